"""How well a grid explains a picture; finds none."""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spritebuild_stages.ops.borders import PIXEL, Values
from spritebuild_stages.ops.cells import AT_ONCE, picked, places

SAMPLES = 4  # places along either side of the inner half of a cell
SMALL = 4  # pixels: the inner half of a smaller cell is hardly more than one, so all of it is looked at


def agreement(rgba: NDArray[np.uint8], x: Values, y: Values) -> float:
    """1 less the ratio of how much colors differ inside of cells to how much they do between neighbors; at least 0.

    `rgba` is uint8 (H, W, 4) that hides no colors under its alpha; borders are ascending, in parts of a pixel. Both
    differences are root mean squares over all channels, the first from the mean of the inner half of each cell. Pixel
    art gives 0.8 and more however soft it is; photographs, and pixel art under another grid than its own, 0.7 and
    less; a picture without any difference 0.
    """
    across, down = len(x) - 1, len(y) - 1
    margin = int(min((x[-1] - x[0]) // across, (y[-1] - y[0]) // down) >= SMALL * PIXEL)
    rows, columns = places(y, SAMPLES, margin), places(x, SAMPLES, margin)[:, None]
    sums = np.empty((down, across, 4), np.int32)
    inside = 0
    height = max(1, AT_ONCE // (across * SAMPLES**2))
    for top in range(0, down, height):
        seen = picked(rgba, rows[top : top + height, None, :, None], columns)
        seen = seen.reshape(len(seen), across, SAMPLES**2, 4)
        sums[top : top + height] = seen.sum(axis=2, dtype=np.int32)
        inside += SAMPLES**2 * _square(seen)
    inside -= _square(sums)
    between = sum(_square(np.diff(sums, axis=axis)) for axis in (0, 1))
    if not between:
        return 0.0
    pairs = (down - 1) * across + down * (across - 1)
    return max(0.0, 1 - sqrt(inside * 2 * pairs / (between * across * down)))


def _square(values: NDArray[np.integer[Any]]) -> int:
    """The sum of the squares."""
    wide = values.astype(np.int64)
    return int((wide * wide).sum())
