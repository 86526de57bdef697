"""Hard edges: alpha is all or nothing; knows no color."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spritebuild_stages.images.integers import ALPHA, COLOR, channels, words


def binarize(rgba: NDArray[np.uint8], threshold: int) -> NDArray[np.uint8]:
    """Make pixels of alpha >= `threshold` opaque and all others (0, 0, 0, 0).

    `rgba` is uint8 (H, W, 4); `threshold` is 1..255. Returns a new array of the same shape.
    Raises ValueError for another threshold.
    """
    if not 1 <= threshold <= 255:
        raise ValueError(f"threshold is 1..255, not {threshold}")
    pixels = words(rgba)
    return channels((pixels | ALPHA) * (pixels >= threshold << 24))


def clear_hidden(rgba: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Make pixels of alpha 0 (0, 0, 0, 0), so that no color is hidden under them; uint8 (H, W, 4) to the same."""
    pixels = words(rgba)
    return channels(pixels * (pixels > COLOR))
