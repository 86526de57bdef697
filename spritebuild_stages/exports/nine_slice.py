"""Which part of a frame stretches, where engines want it as a property of the frame; knows no game engine."""

from __future__ import annotations

from spritebuild_stages.sheets.layout import Layout, Rectangle


def centers(layout: Layout) -> dict[int, Rectangle]:
    """By their numbers, the frames that are nine-slices, and the part of their kept pixels that stretches.

    The first nine-slice of a frame is taken. Engines cut a trimmed frame at its kept pixels, so that a center of which
    nothing was kept counts for nothing.
    """
    found: dict[int, Rectangle] = {}
    for part in layout.slices:
        if part.center is None or part.frame in found:
            continue
        box = layout.frames[part.frame].box
        x = part.bounds[0] + part.center[0] - box[0]
        y = part.bounds[1] + part.center[1] - box[1]
        left, right = max(0, x), min(box[2], x + part.center[2])
        top, bottom = max(0, y), min(box[3], y + part.center[3])
        if left < right and top < bottom:
            found[part.frame] = (left, top, right - left, bottom - top)
    return found
