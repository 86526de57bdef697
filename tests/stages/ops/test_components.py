"""Connected areas of equal value."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from spritebuild_stages.ops.components import areas

pictures = arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 2))


def by_hand(values: NDArray[np.uint8], corners: bool) -> list[list[int]]:
    """Labels by a flood from every pixel in reading order."""
    labels = np.full(values.shape, -1)
    for place in np.ndindex(values.shape):
        if labels[place] >= 0:
            continue
        number, waiting = labels.max() + 1, [place]
        labels[place] = number
        while waiting:
            y, x = waiting.pop()
            for other in np.ndindex(values.shape):
                away = sorted((abs(other[0] - y), abs(other[1] - x)))
                near = away == [0, 1] or (corners and away == [1, 1])
                if near and labels[other] < 0 and values[other] == values[place]:
                    labels[other] = number
                    waiting.append(other)
    return labels.tolist()


def spiral(side: int) -> NDArray[np.bool_]:
    """One line that winds to the middle, a pixel of ground between its turns."""
    line = np.zeros((side, side), np.bool_)
    for ring in range(0, side // 2 - 1, 2):
        last = side - 1 - ring
        line[ring, max(ring - 1, 0) : last + 1] = line[ring : last + 1, last] = True
        line[last, ring : last + 1] = line[ring + 2 : last + 1, ring] = True
        line[ring + 2, ring : ring + 2] = True
    return line


@given(pictures, st.booleans())
def test_areas_are_what_a_flood_finds(values: NDArray[np.uint8], corners: bool) -> None:
    found = areas(values, corners)
    assert found.labels.tolist() == by_hand(values, corners)
    assert found.sizes.tolist() == np.bincount(found.labels.ravel()).tolist()


@pytest.mark.parametrize("turned", range(4))
def test_a_long_spiral_is_one_area(turned: int) -> None:
    line = np.rot90(spiral(400), turned)
    found = areas(line, corners=False)
    assert len(np.unique(found.labels[line])) == 1
    assert found.sizes.sum() == line.size


def test_a_staircase_of_corners_is_one_area_with_corners_and_many_without() -> None:
    assert len(areas(np.eye(300, dtype=np.bool_), corners=True).sizes) == 3 - 1
    assert len(areas(np.eye(300, dtype=np.bool_), corners=False).sizes) == 302
