"""A soft, almost-pixel picture down to its true pixels; knows no palette."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from spritebuild_stages.ops import cells, deblur, grid
from spritebuild_stages.ops.borders import PIXEL

Mode = Literal["auto", "nearest", "median", "mode", "kcentroid"]
Rgba = NDArray[np.uint8]

WAYS: dict[Mode, Callable[..., Rgba]] = {
    "auto": deblur.sharp,
    "nearest": cells.nearest,
    "median": cells.median,
    "mode": cells.mode,
    "kcentroid": cells.kcentroid,
}


def pixelate(rgba: Rgba, size: tuple[int, int] | None = None, mode: Mode = "auto") -> Rgba:
    """One pixel for every cell of the grid that a picture was drawn on: uint8 (H, W, 4) to (rows, columns, 4).

    `size`, (width, height), says how many cells the picture has at most: cells stay about square, so one of the two
    is met and the other one is what the picture's own aspect makes of it, rounded, at least 1. The cells then fill
    the picture. Where no size is told, the grid is detected, with its scale, its offset and its drift; cells of which
    the picture shows less than half are left out. A picture in which no grid is found is returned as it is: true
    pixels, flat pictures, photographs.

    `mode` says how a cell gets its color: `nearest` from its middle, `median` and `mode` from what it shows most,
    `kcentroid` from the larger of two clusters. `auto` takes the median and undoes blur and noise; where a picture is
    nothing but cells of one color each, it loses nothing.

    Returns a new array. Raises ValueError for a size of less than 1x1 or of more cells than pixels, and for another
    mode.
    """
    if mode not in get_args(Mode):
        raise ValueError(f"a mode is one of {', '.join(get_args(Mode))}, not {mode!r}")
    found = grid.find(rgba) if size is None else grid.divide(rgba, *_cells(rgba, size))
    if (found.rows, found.columns) == rgba.shape[:2]:
        return rgba.copy()
    x, y = (np.rint(np.array(line) * PIXEL).astype(np.int64) for line in (found.x, found.y))
    way = cells.nearest if mode == "auto" and found.exact else WAYS[mode]
    return way(rgba, x, y)


def _cells(rgba: Rgba, size: tuple[int, int]) -> tuple[int, int]:
    """How many columns and rows of about square cells a picture has if neither is more than in a size."""
    height, width = rgba.shape[:2]
    across, down = size
    if min(size) < 1:
        raise ValueError(f"a size of {across}x{down} is less than 1x1")
    if across > width and down > height:
        raise ValueError(f"a size of {across}x{down} is larger than the picture, {width}x{height}")
    if width * down >= height * across:
        return across, max(1, (2 * height * across + width) // (2 * width))
    return max(1, (2 * width * down + height) // (2 * height)), down
