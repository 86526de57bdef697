"""How well a sprite's shape is read: contrast, parts, and distance from the shapes beside it; judges nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spritebuild_stages.art.picture import Mask, Picture, Thousandths, neighbors
from spritebuild_stages.ops.components import areas

DARK, LIGHT = 200, 900  # lightness in thousandths of OKLab: a dungeon's floor (#161616), and paper (#dedede)
STANDS_OUT = 200  # of lightness between a pixel and the ground
REACH = 2  # pixels inward: what a line of two pixels encloses still shows the shape

Numbers = NDArray[np.int64]

LARGEST = 256  # pixels of a side that are kept of a shape
SIDE = 48  # of the canvas on which shapes are compared
SHARED = 20  # shapes that differ in at most a 20th of what either covers are nearly the same
TOLD_APART = 50  # thousandths: the mean difference of the colors, in L, a and b together, from which they tell apart
TRIED = 16  # of the shapes that are nearly the same, the nearest whose colors are compared
BLOCK = 1 << 10


def contrast(picture: Picture) -> tuple[int, int, int]:
    """How many pixels of the border stand out from a dark ground, how many from a light one, and how many there are.

    A pixel of the silhouette's border stands out if it, or one of its eight neighbors, differs from the ground by 0.2
    or more in OKLab's lightness: a dark outline is lost on a dark ground, and the shape is still read if what it
    encloses is lighter. The grounds have a lightness of 0.2 and 0.9.
    """
    border = picture.border()
    counts = [int(np.count_nonzero(border & _near(picture, ground))) for ground in (DARK, LIGHT)]
    return counts[0], counts[1], int(np.count_nonzero(border))


def parts(picture: Picture) -> tuple[int, int]:
    """How many separate parts the visible pixels have, by their eight neighbors, and how many are a single pixel."""
    visible = picture.visible
    found = areas(visible, corners=True)
    sizes = found.sizes[np.unique(found.labels[visible])]
    return len(sizes), int(np.count_nonzero(sizes == 1))


def _near(picture: Picture, ground: int) -> Mask:
    """Pixels that differ from the ground, or have a visible neighbor that does."""
    differs = picture.visible & (np.abs(picture.lightness - ground) >= STANDS_OUT)
    found = differs
    for _ in range(REACH):
        near = found
        for other in neighbors(near, False):
            found = found | other
    return found


@dataclass(frozen=True, eq=False)
class Shape:
    """The visible part of a picture: `lab` int16 (H, W, 3) in thousandths and `visible` (H, W), every `step` pixels."""

    lab: Thousandths
    visible: Mask
    step: int

    @classmethod
    def of(cls, picture: Picture) -> Shape:
        """The shape of a picture with a visible pixel."""
        rows, columns = (np.flatnonzero(picture.visible.any(axis=axis)) for axis in (1, 0))
        box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        step = -(-max(rows[-1] - rows[0], columns[-1] - columns[0]) // LARGEST) or 1
        visible = picture.visible[box][::step, ::step]
        return cls(picture.lab[box][::step, ::step].copy(), visible.copy(), int(step))


@dataclass(frozen=True)
class Twin:
    """The shape that is hardest to tell from another.

    `different` of `covered` pixels of the two belong to one of them alone; over those of both, the colors are `apart`
    thousandths of OKLab, the differences of L, a and b added.
    """

    index: int
    different: int
    covered: int
    apart: int

    @property
    def same_colors(self) -> bool:
        return self.apart < TOLD_APART


def twins(shapes: Sequence[Shape]) -> list[Twin | None]:
    """For each of the shapes, which of the others is hardest to tell from it; None if there is no other.

    Shapes are laid over each other with the middles of their boxes, all at one scale, on a canvas of at most 48x48. The
    distance is that of Jaccard: pixels that belong to one alone, to those that belong to either. Of those that are
    nearly the same, up to a 20th, the one with the nearest colors is taken; otherwise the nearest, the first of equals.
    """
    if len(shapes) < 2:
        return [None] * len(shapes)
    lab, covers = _canvases(shapes)
    return [_hardest(index, lab, covers, both) for index, both in enumerate(_overlaps(covers))]


def _canvases(shapes: Sequence[Shape]) -> tuple[Thousandths, Mask]:
    """Colors (N, P, 3) and what is visible (N, P) of shapes on one canvas of P pixels, each in the middle."""
    longest = max(max(shape.visible.shape) * shape.step for shape in shapes)
    step = -(-longest // SIDE)
    side = -(-longest // step)
    lab, covers = np.zeros((len(shapes), side, side, 3), np.int16), np.zeros((len(shapes), side, side), np.bool_)
    for index, shape in enumerate(shapes):
        # in the middle of each step, by whole numbers
        rows, columns = (
            np.arange(step // 2, length * shape.step, step) // shape.step for length in shape.visible.shape
        )
        if not len(rows) or not len(columns):
            rows, columns = (np.array([0]) if not len(places) else places for places in (rows, columns))
        top, left = (side - len(rows)) // 2, (side - len(columns)) // 2
        place = np.s_[index, top : top + len(rows), left : left + len(columns)]
        lab[place], covers[place] = shape.lab[rows[:, None], columns], shape.visible[rows[:, None], columns]
    return lab.reshape(len(shapes), -1, 3), covers.reshape(len(shapes), -1)


def _overlaps(covers: Mask) -> Iterator[Numbers]:
    """For each shape, how many pixels it has in common with every other."""
    # Sums of at most 48 * 48 ones are exact in fp32, in whatever order they are added.
    ones = covers.astype(np.float32)
    for start in range(0, len(ones), BLOCK):
        yield from (ones[start : start + BLOCK] @ ones.T).astype(np.int64)


def _hardest(index: int, lab: Thousandths, covers: Mask, both: Numbers) -> Twin:
    sizes = np.count_nonzero(covers, axis=1)
    covered = sizes + sizes[index] - both
    different = covered - both
    # The distance in millionths, rounded down: whole numbers have one order.
    distance = different * 1_000_000 // np.maximum(covered, 1)
    distance[index] = 1_000_001
    order = np.argsort(distance, kind="stable")[: min(TRIED, len(sizes) - 1)]
    close = order[different[order] * SHARED <= covered[order]]
    tried = close if len(close) else order[:1]
    shared = covers[tried] & covers[index]
    gaps = np.abs(lab[tried].astype(np.int64) - lab[index]).sum(axis=2)
    # Rounded up, so that 0 says that no color differs.
    apart = -(-np.where(shared, gaps, 0).sum(axis=1) // np.maximum(np.count_nonzero(shared, axis=1), 1))
    best = int(apart.argmin())
    found = int(tried[best])
    return Twin(found, int(different[found]), int(covered[found]), int(apart[best]))
