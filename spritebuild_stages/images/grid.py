"""Pictures in rows and columns for people to look at: enlarged by whole numbers, on a checkerboard; no captions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

VIEW = 96  # pixels: the side that small pictures are enlarged to
GAP = 6
PAPER = 244
CHECKER = ((168, 168, 168), (148, 148, 148))
SQUARE = 8


def grid(rows: Sequence[Sequence[NDArray[np.uint8]]]) -> NDArray[np.uint8]:
    """Rows of pictures, each uint8 (H, W, 4), as one opaque picture (H, W, 4)."""
    longest = max(max(picture.shape[:2]) for row in rows for picture in row)
    factor = max(1, VIEW // longest)
    side = longest * factor
    columns = max(map(len, rows))
    sheet = np.full((GAP + len(rows) * (side + GAP), GAP + columns * (side + GAP), 4), PAPER, np.uint8)
    sheet[..., 3] = 255
    for y, row in enumerate(rows):
        for x, picture in enumerate(row):
            view = shown(picture, factor)
            top, left = GAP + y * (side + GAP), GAP + x * (side + GAP)
            sheet[top : top + view.shape[0], left : left + view.shape[1]] = view
    return sheet


def shown(rgba: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """A picture (H, W, 4), enlarged, in front of a checkerboard."""
    large = rgba.repeat(factor, axis=0).repeat(factor, axis=1).astype(np.float32)
    y, x = np.mgrid[: large.shape[0], : large.shape[1]] // SQUARE
    ground = np.array(CHECKER, np.float32)[(x + y) % 2]
    alpha = large[..., 3:] / 255
    view = np.full(large.shape, 255, np.uint8)
    view[..., :3] = np.rint(large[..., :3] * alpha + ground * (1 - alpha))
    return view
