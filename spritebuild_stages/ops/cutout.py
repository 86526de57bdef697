"""The ground behind a sprite made transparent: by its color and by what the border touches; adds no color."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spritebuild_stages.images.integers import pack, unpack
from spritebuild_stages.ops.components import areas

Color = tuple[int, int, int]
Mask = NDArray[np.bool_]

BLOCK = 1 << 22  # comparisons of border colors made at a time


def flood(rgba: NDArray[np.uint8], tolerance: int, holes: bool = False, grow: int = 0) -> NDArray[np.uint8]:
    """Make the ground transparent that can be reached from the border.

    `rgba` is uint8 (H, W, 4). The ground is every visible pixel whose color is at most `tolerance` (0..255) from the
    border's color (see `ground_color`) in its worst channel. From the border it is followed through side neighbors and
    transparent pixels; areas of it that the sprite encloses stay, unless `holes`. Then `grow` (0..4) times the visible
    side neighbors of what was removed go, too: the fringe of a soft edge. All other pixels keep color and alpha, what
    is removed becomes (0, 0, 0, 0). A second time changes nothing. Returns a new array; raises ValueError for a
    tolerance or growth out of its range.
    """
    color = ground_color(rgba, tolerance)
    if color is None:
        return rgba.copy()
    ground = _like(rgba, color, tolerance)
    if holes:
        return _without(rgba, ground, grow)
    open_ = ground | (rgba[..., 3] == 0)
    return _without(rgba, ground & _reached(open_), grow)


def key(rgba: NDArray[np.uint8], color: Color | None, tolerance: int, grow: int = 0) -> NDArray[np.uint8]:
    """Make every visible pixel within `tolerance` of `color` (the border's, if None) transparent, wherever it is.

    Arrays, ranges, `grow` and errors are those of `flood`.
    """
    color = ground_color(rgba, tolerance) if color is None else color
    if color is None:
        return rgba.copy()
    return _without(rgba, _like(rgba, color, tolerance), grow)


def ground_color(rgba: NDArray[np.uint8], tolerance: int) -> Color | None:
    """The color of the border that most of its pixels are within `tolerance` of; None if more are transparent.

    The border is the outermost row or column of pixels on each side. Among equals the more frequent color is taken,
    then the one of the least red, green, blue. So once its ground is removed a picture has none.
    """
    if not 0 <= tolerance <= 255:
        raise ValueError(f"tolerance is 0..255, not {tolerance}")
    border = np.concatenate([rgba[0], rgba[1:, -1], rgba[-1:, :-1].reshape(-1, 4), rgba[1:-1, 0]])
    seen = border[border[:, 3] > 0]
    if not len(seen):
        return None
    colors, counts = np.unique(pack(seen) >> 8, return_counts=True)
    near = _counts_near(unpack(colors << 8)[:, :3].astype(np.int16), counts, tolerance)
    if len(border) - len(seen) >= near.max():
        return None
    best = int(colors[np.lexsort((-counts, -near))[0]])
    return best >> 16, best >> 8 & 255, best & 255


def _counts_near(colors: NDArray[np.int16], counts: NDArray[np.intp], tolerance: int) -> NDArray[np.intp]:
    """How many pixels are within the tolerance of each color, int16 (N, 3) sorted by red."""
    if tolerance == 0:
        return counts
    near = np.empty(len(colors), np.intp)
    step = max(1, BLOCK // len(colors))
    for start in range(0, len(colors), step):
        block = colors[start : start + step]
        low = np.searchsorted(colors[:, 0], block[0, 0] - tolerance)
        high = np.searchsorted(colors[:, 0], block[-1, 0] + tolerance, side="right")
        close = (np.abs(block[:, None] - colors[None, low:high]) <= tolerance).all(axis=2)
        near[start : start + step] = close @ counts[low:high]
    return near


def _like(rgba: NDArray[np.uint8], color: Color, tolerance: int) -> Mask:
    """The visible pixels within the tolerance of a color."""
    if not 0 <= tolerance <= 255:
        raise ValueError(f"tolerance is 0..255, not {tolerance}")
    like = rgba[..., 3] > 0
    for channel, value in enumerate(color):
        like &= (rgba[..., channel] >= max(value - tolerance, 0)) & (rgba[..., channel] <= min(value + tolerance, 255))
    return like


def _reached(open_: Mask) -> Mask:
    """What of a mask is joined to the border through side neighbors."""
    found = areas(open_, corners=False)
    labels = found.labels
    touched = np.zeros(len(found.sizes), np.bool_)
    for edge in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        touched[edge] = True
    return open_ & touched[labels]


def _without(rgba: NDArray[np.uint8], ground: Mask, grow: int) -> NDArray[np.uint8]:
    """The picture less the ground and `grow` rings of pixels beside it."""
    if not 0 <= grow <= 4:
        raise ValueError(f"growth is 0..4 pixels, not {grow}")
    removed = ground
    for _ in range(grow):
        wider = removed.copy()
        wider[1:] |= removed[:-1]
        wider[:-1] |= removed[1:]
        wider[:, 1:] |= removed[:, :-1]
        wider[:, :-1] |= removed[:, 1:]
        removed = wider
    result = rgba.copy()
    result[removed] = 0
    return result
