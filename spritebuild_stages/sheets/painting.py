"""Pictures put onto a page, with their edges repeated around them; knows neither names nor how they were packed."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from spritebuild_stages.images.png import Rgba


def paint(
    size: tuple[int, int],
    pictures: Iterable[tuple[Rgba, int, int]],
    extrude: int,
    cell: tuple[int, int] | None = None,
) -> Rgba:
    """A transparent page of (width, height) with pictures at their (x, y), as uint8 (height, width, 4).

    The outermost pixels of each are repeated `extrude` times outwards, those of its corners in both directions, so
    that a texture that is sampled a little beside a frame still shows that frame. In a grid, it is the `cell` of
    (width, height) whose outermost pixels are repeated: a smaller picture ends within it.
    """
    page = np.zeros((size[1], size[0], 4), np.uint8)
    for rgba, x, y in pictures:
        if cell and extrude:
            rgba = np.pad(rgba, ((0, cell[1] - rgba.shape[0]), (0, cell[0] - rgba.shape[1]), (0, 0)))
        height, width = rgba.shape[:2]
        if extrude:
            rgba = np.pad(rgba, ((extrude, extrude), (extrude, extrude), (0, 0)), mode="edge")
        page[y - extrude : y + height + extrude, x - extrude : x + width + extrude] = rgba
    return page
