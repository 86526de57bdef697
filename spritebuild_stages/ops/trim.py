"""The canvas around a sprite: cut to what is visible, padded, or moved under it; touches no visible pixel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Where the picture sits in the padded one, as halves of the room that is left: (x, y).
ANCHORS = {
    "top-left": (0, 0),
    "top": (1, 0),
    "top-right": (2, 0),
    "left": (0, 1),
    "center": (1, 1),
    "right": (2, 1),
    "bottom-left": (0, 2),
    "bottom": (1, 2),
    "bottom-right": (2, 2),
}


def trim(rgba: NDArray[np.uint8], margin: int) -> NDArray[np.uint8]:
    """Crop to the box of the pixels of alpha > 0, with exactly `margin` pixels around it.

    `rgba` is uint8 (H, W, 4); `margin` >= 0. Where the margin reaches beyond the picture it is transparent. A picture
    without a visible pixel becomes a single transparent one, whatever the margin. Raises ValueError for a margin < 0.
    """
    if margin < 0:
        raise ValueError(f"margin is at least 0, not {margin}")
    box = visible_box(rgba)
    if box is None:
        return np.zeros((1, 1, 4), np.uint8)
    left, top, right, bottom = box
    height, width = rgba.shape[:2]
    result = np.zeros((bottom - top + 2 * margin, right - left + 2 * margin, 4), np.uint8)
    x, y = left - margin, top - margin  # where the result's corner lies in the picture
    kept = rgba[max(y, 0) : min(bottom + margin, height), max(x, 0) : min(right + margin, width)]
    y, x = max(-y, 0), max(-x, 0)
    result[y : y + kept.shape[0], x : x + kept.shape[1]] = kept
    return result


def pad(rgba: NDArray[np.uint8], width: int, height: int, anchor: str) -> NDArray[np.uint8]:
    """Surround the picture with transparent pixels to `width` x `height`; never crops.

    `rgba` is uint8 (H, W, 4), result uint8 (height, width, 4). `anchor` is a name of ANCHORS: "bottom" puts the picture
    at the middle of the bottom edge. An odd pixel of room goes to the right or to the bottom.
    Raises ValueError if the picture is larger than that, or the anchor is unknown.
    """
    if anchor not in ANCHORS:
        raise ValueError(f"anchor is one of {', '.join(ANCHORS)}, not {anchor!r}")
    room_x, room_y = width - rgba.shape[1], height - rgba.shape[0]
    if room_x < 0 or room_y < 0:
        raise ValueError(f"the picture is {rgba.shape[1]}x{rgba.shape[0]}, larger than {width}x{height}")
    x, y = room_x * ANCHORS[anchor][0] // 2, room_y * ANCHORS[anchor][1] // 2
    result = np.zeros((height, width, 4), np.uint8)
    result[y : y + rgba.shape[0], x : x + rgba.shape[1]] = rgba
    return result


def align(
    rgba: NDArray[np.uint8], pivot: str, at: str | tuple[int, int], size: tuple[int, int] | None = None
) -> NDArray[np.uint8]:
    """Move the sprite so that its pivot lies at a place of the canvas.

    `rgba` is uint8 (H, W, 4), result uint8 (height, width, 4) of `size` (width, height), or of the picture's. `pivot`
    is an anchor (a name of ANCHORS) of the box of the pixels of alpha > 0: "bottom" is the middle of its lower edge.
    `at` is an anchor of the canvas, or a point (x, y) of it: (0, 0) is its upper left corner, (width, height) its lower
    right one, so that what stands at y has its last row above it. Where the pivot is the middle of an odd side, the odd
    pixel goes to the right or the bottom. A second time changes nothing. Returns a new array. Raises ValueError if
    visible pixels would be lost, or for an unknown anchor.
    """
    for anchor in (pivot, at):
        if isinstance(anchor, str) and anchor not in ANCHORS:
            raise ValueError(f"anchor is one of {', '.join(ANCHORS)}, not {anchor!r}")
    width, height = size or (rgba.shape[1], rgba.shape[0])
    result = np.zeros((height, width, 4), np.uint8)
    box = visible_box(rgba)
    if box is None:
        return result
    left, top, right, bottom = box
    sprite = rgba[top:bottom, left:right]
    # In halves of a pixel, as the anchors are.
    place = (ANCHORS[at][0] * width, ANCHORS[at][1] * height) if isinstance(at, str) else (2 * at[0], 2 * at[1])
    x = (place[0] - ANCHORS[pivot][0] * (right - left)) // 2
    y = (place[1] - ANCHORS[pivot][1] * (bottom - top)) // 2
    if x < 0 or y < 0 or x + right - left > width or y + bottom - top > height:
        sides = f"{right - left}x{bottom - top}"
        raise ValueError(
            f"the sprite of {sides} would leave the canvas of {width}x{height}: its corner goes to {x}, {y}"
        )
    result[y : y + bottom - top, x : x + right - left] = sprite
    return result


def visible_box(rgba: NDArray[np.uint8]) -> tuple[int, int, int, int] | None:
    """Left, top, right, bottom (the last two exclusive) of the pixels of alpha > 0; None if there are none."""
    visible = rgba[..., 3] > 0
    columns, rows = np.flatnonzero(visible.any(axis=0)), np.flatnonzero(visible.any(axis=1))
    if not len(rows):
        return None
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
