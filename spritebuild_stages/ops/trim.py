"""The canvas around a sprite: cut it to what is visible, or pad it to a size; touches no visible pixel."""

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


def visible_box(rgba: NDArray[np.uint8]) -> tuple[int, int, int, int] | None:
    """Left, top, right, bottom (the last two exclusive) of the pixels of alpha > 0; None if there are none."""
    visible = rgba[..., 3] > 0
    columns, rows = np.flatnonzero(visible.any(axis=0)), np.flatnonzero(visible.any(axis=1))
    if not len(rows):
        return None
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
