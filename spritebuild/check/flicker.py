"""How much of an animation blinks for a single frame; knows no sheet."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def flicker(frames: Sequence[NDArray[np.uint8]], *, closed: bool = True) -> tuple[float, int]:
    """The greatest share of an animation's visible pixels that differ for one frame and are back in the next.

    `frames` are uint8 (H, W, 4) of one size. Returns that share, 0..1 of the pixels visible in any of the three frames,
    and the index of the frame. With `closed` the first frame follows the last. Less than three frames do not flicker;
    nor do those of several sizes, which move as they are.
    """
    count = len(frames)
    if count < 3 or len({frame.shape for frame in frames}) > 1:
        return 0.0, 0
    packed = [np.where(frame[..., 3:] > 0, frame, 0).view("<u4")[..., 0] for frame in map(np.ascontiguousarray, frames)]
    worst, place = 0.0, 0
    for index in range(count if closed else count - 2):
        before, here, after = (packed[(index + step) % count] for step in range(3))
        visible = np.count_nonzero(before | here | after)
        blinking = np.count_nonzero((before == after) & (before != here))
        if visible and blinking / visible > worst:
            worst, place = blinking / visible, (index + 1) % count
    return worst, place
