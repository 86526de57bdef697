"""Banding: steps of a color ramp that hug each other; knows colors and lightness alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spritebuild_stages.art.picture import HIDDEN, Colors, Picture, Thousandths

Places = NDArray[np.int32]

LONG = 2  # pixels: ends of single pixels meet by chance
NEAR = 1  # pixels by which the ends may differ, as they do around a corner
STEP = 30  # thousandths of OKLab's lightness between colors of a ramp; less is hardly seen


def banding(picture: Picture) -> tuple[int, int]:
    """How many color changes are banded, and how many there are.

    A change is a side between two visible pixels of different colors. Sides in a row between the same two colors make
    a run. A side is banded if the one a pixel further is a change, too, the run of that ends where its own run does,
    give or take a pixel, both are two or more pixels long, and lightness rises in both or falls in both, by 0.03 in
    OKLab or more: a step of the ramp one pixel thick, as long as its neighbor. The eye joins the ends that lie in line
    and sees the grid.

    The fault is described in "The Pixel Art Tutorial" by cure (Pixel Joint, 2010), under "banding"; the computable
    form is our own. Silhouettes of 1,000 hand-made sprites, filled by the distance from their border (pillow shading),
    have more of it than the sprites themselves in 96 % of all pairs; of figures and items in 98 %, of clothes that are
    a few pixels wide in 87 %.
    """
    across, down = _banded(picture.colors, picture.lightness), _banded(picture.colors.T, picture.lightness.T)
    return across[0] + down[0], across[1] + down[1]


def _banded(colors: Colors, light: Thousandths) -> tuple[int, int]:
    """Banded sides between the rows of a picture, and all sides there between visible colors that differ."""
    above, below = colors[:-1], colors[1:]
    change = (above != below) & (above != HIDDEN) & (below != HIDDEN)
    if len(change) < 2:
        return 0, int(np.count_nonzero(change))
    start, end = _runs(above, below)
    rise = light[1:] - light[:-1]
    strong = change & (end - start + 1 >= LONG)
    steps = np.where(rise >= STEP, 1, np.where(rise <= -STEP, -1, 0))
    hugging = strong[:-1] & strong[1:] & (steps[:-1] != 0) & (steps[:-1] == steps[1:])
    hugging &= (np.abs(start[:-1] - start[1:]) <= NEAR) & (np.abs(end[:-1] - end[1:]) <= NEAR)
    banded = np.zeros_like(change)
    banded[:-1] |= hugging
    banded[1:] |= hugging
    return int(np.count_nonzero(banded)), int(np.count_nonzero(change))


def _runs(above: Colors, below: Colors) -> tuple[Places, Places]:
    """Where the run of equal pairs that each pixel belongs to begins and ends in its row."""
    height, width = above.shape
    breaks = np.ones((height, width + 1), np.bool_)
    breaks[:, 1:-1] = (above[:, 1:] != above[:, :-1]) | (below[:, 1:] != below[:, :-1])
    places = np.arange(width, dtype=np.int32)
    start = np.maximum.accumulate(np.where(breaks[:, :-1], places, np.int32(0)), axis=1)
    end = np.minimum.accumulate(np.where(breaks[:, 1:], places, np.int32(width))[:, ::-1], axis=1)[:, ::-1]
    return start, end
