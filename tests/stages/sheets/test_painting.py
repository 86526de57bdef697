"""Pictures on a page."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from spritebuild_stages.sheets.painting import paint


def noise(width: int, height: int) -> np.ndarray:
    return np.random.default_rng(width * 100 + height).integers(0, 256, (height, width, 4), np.uint8)


@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 16))
def test_every_pixel_around_a_picture_is_the_nearest_of_it(width: int, height: int, extrude: int) -> None:
    rgba = noise(width, height)
    page = paint((width + 2 * extrude + 2, height + 2 * extrude + 3), [(rgba, extrude + 1, extrude + 2)], extrude)
    for y in range(height + 2 * extrude):
        for x in range(width + 2 * extrude):
            nearest = rgba[min(max(y - extrude, 0), height - 1), min(max(x - extrude, 0), width - 1)]
            assert np.array_equal(page[y + 2, x + 1], nearest)
    page[2 : 2 + height + 2 * extrude, 1 : 1 + width + 2 * extrude] = 0
    assert not page.any()


def test_nothing_is_painted_twice() -> None:
    first, second = noise(2, 2), noise(3, 2)
    page = paint((5, 2), [(first, 0, 0), (second, 2, 0)], 0)
    assert np.array_equal(page, np.concatenate([first, second], axis=1))


def test_in_a_grid_the_edges_of_the_cell_are_repeated_not_those_of_a_smaller_picture() -> None:
    red = np.full((2, 2, 4), (255, 0, 0, 255), np.uint8)
    page = paint((8, 8), [(red, 2, 2)], 2, (4, 4))
    assert (page[:4, :4, 3] == 255).all()  # extruded up and to the left, where it touches its cell
    assert not page[4:].any()
    assert not page[:, 4:].any()
