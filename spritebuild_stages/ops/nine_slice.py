"""A frame of any size from a small one: corners stay, edges and center are repeated; mixes no colors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spritebuild_stages.images import png


def nine_slice(
    rgba: NDArray[np.uint8], margins: tuple[int, int, int, int], size: tuple[int, int], fill: str = "tile"
) -> NDArray[np.uint8]:
    """Bring a frame to `size` (width, height) without touching its corners.

    `rgba` is uint8 (H, W, 4); `margins` (left, top, right, bottom) >= 0 cut it into nine. The corners stay as they are,
    the edges grow or shrink along one axis and the center along both: `fill` "tile" repeats them from the left and the
    top and cuts off the rest, "stretch" takes the nearest pixel, the left or upper one of two. Returns uint8
    (height, width, 4); at that size, a second time changes nothing.
    Raises ValueError where the margins do not fit the picture or the size, or leave nothing to repeat.
    """
    if fill not in ("tile", "stretch"):
        raise ValueError(f"fill is tile or stretch, not {fill!r}")
    left, top, right, bottom = margins
    width, height = size
    png.check_size(width, height)
    columns = _places(rgba.shape[1], left, right, width, fill, "width")
    rows = _places(rgba.shape[0], top, bottom, height, fill, "height")
    return rgba[rows][:, columns]


def _places(length: int, before: int, after: int, target: int, fill: str, what: str) -> NDArray[np.intp]:
    """Where each pixel of the target comes from, along one axis."""
    if before < 0 or after < 0:
        raise ValueError(f"margins are at least 0, not {min(before, after)}")
    if before + after > length:
        raise ValueError(f"margins of {before} and {after} do not fit into the picture's {what} of {length}")
    if before + after > target:
        raise ValueError(f"margins of {before} and {after} do not fit into a {what} of {target}")
    middle, room = length - before - after, target - before - after
    if room and not middle:
        raise ValueError(f"margins of {before} and {after} leave nothing of the picture's {what} of {length} to repeat")
    steps = np.arange(room)
    inner = steps % max(middle, 1) if fill == "tile" else ((2 * steps + 1) * middle - 1) // (2 * max(room, 1))
    return np.concatenate([np.arange(before), before + inner, np.arange(length - after, length)])
