"""A soft, almost-pixel picture down to its true pixels; knows no palette."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from spritebuild_stages.ops import cells, grid

Mode = Literal["auto", "nearest", "median", "mode", "kcentroid"]

WAYS = {
    "auto": cells.sharp,
    "nearest": cells.nearest,
    "median": cells.median,
    "mode": cells.mode,
    "kcentroid": cells.kcentroid,
}


def pixelate(
    rgba: NDArray[np.uint8], size: tuple[int, int] | None = None, mode: Mode = "auto"
) -> NDArray[np.uint8]:
    """docstring"""
    if mode not in WAYS:
        raise ValueError(f"a mode is one of {', '.join(WAYS)}, not {mode!r}")
    found = grid.find(rgba) if size is None else grid.divide(rgba, *_cells(rgba, size))
    height, width = rgba.shape[:2]
    if (len(found.x), len(found.y)) == (width + 1, height + 1):
        return rgba.copy()
    if mode == "auto" and found.exact:
        mode = "nearest"
    x, y = (np.rint(np.array(line) * cells.PIXEL).astype(np.int64) for line in (found.x, found.y))
    return WAYS[mode](rgba, x, y)


def _cells(rgba: NDArray[np.uint8], size: tuple[int, int]) -> tuple[int, int]:
    """How many columns and rows of about square cells fit into a size."""
    height, width = rgba.shape[:2]
    across, down = size
    if across < 1 or down < 1:
        raise ValueError(f"a size of {across}x{down} is less than 1x1")
    if across > width and down > height:
        raise ValueError(f"a size of {across}x{down} is larger than the picture, {width}x{height}")
    if width * down >= height * across:
        return across, max(1, (2 * height * across + width) // (2 * width))
    return max(1, (2 * width * down + height) // (2 * height)), down
