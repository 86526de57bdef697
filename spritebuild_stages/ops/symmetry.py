"""One half of a picture mirrored onto the other; makes no new pixel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spritebuild_stages.ops.trim import visible_box

KEEP = {"x": ("left", "right"), "y": ("top", "bottom")}


def symmetry(rgba: NDArray[np.uint8], axis: str, keep: str = "auto", about: str = "picture") -> NDArray[np.uint8]:
    """Make the picture equal to its mirror image: `axis` "x" mirrors left and right, "y" top and bottom.

    `rgba` is uint8 (H, W, 4). `keep` names the half that stays ("left" or "right", "top" or "bottom"); "auto" takes the
    one with more pixels of alpha > 0, the left or top one of equals. A middle column or row stays. `about` "picture"
    mirrors at the middle of the picture, "sprite" at that of the box of the visible pixels. A second time changes
    nothing. Returns a new array. Raises ValueError for another axis, half or middle.
    """
    if axis not in KEEP:
        raise ValueError(f"axis is x or y, not {axis!r}")
    if keep not in (*KEEP[axis], "auto"):
        raise ValueError(f"keep is {', '.join(KEEP[axis])} or auto, not {keep!r}")
    if about not in ("picture", "sprite"):
        raise ValueError(f"about is picture or sprite, not {about!r}")
    result = rgba.copy()
    whole = (0, 0, rgba.shape[1], rgba.shape[0])
    left, top, right, bottom = whole if about == "picture" else visible_box(rgba) or whole
    box = result[top:bottom, left:right]  # a view
    _mirror(box if axis == "y" else box.swapaxes(0, 1), keep, KEEP[axis])
    return result


def _mirror(rows: NDArray[np.uint8], keep: str, halves: tuple[str, str]) -> None:
    """Mirror the first or the last half of the rows onto the other, in place."""
    half = len(rows) // 2
    first, last = rows[:half], rows[len(rows) - half :]
    visible = [int(np.count_nonzero(part[..., 3])) for part in (first, last)]
    if keep == halves[1] or (keep == "auto" and visible[1] > visible[0]):
        first[:] = last[::-1]
    else:
        last[:] = first[::-1]
