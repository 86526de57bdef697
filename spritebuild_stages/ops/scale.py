"""Enlargement by whole factors; mixes no colors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def nearest(rgba: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """Make every pixel a square of `factor` x `factor`: uint8 (H, W, 4) to (H * factor, W * factor, 4).

    Raises ValueError for a factor below 1.
    """
    if factor < 1:
        raise ValueError(f"factor is at least 1, not {factor}")
    return rgba.repeat(factor, axis=0).repeat(factor, axis=1)
