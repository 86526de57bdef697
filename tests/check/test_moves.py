"""Flips and shifts are told from edits."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from spritebuild.check.classify import Rules, classify, describe
from tests.check.pictures import BLUE, GREEN, RED, Rgba, figure, moved, put, textured


@given(arrays(np.uint8, st.tuples(st.integers(4, 12), st.integers(4, 12)), elements=st.integers(0, 3)))
def test_a_flip_of_what_is_not_symmetric_is_a_flip(places: NDArray[np.uint8]) -> None:
    rgba = np.array([(0, 0, 0, 0), RED, BLUE, GREEN], np.uint8)[places]
    flipped = rgba[:, ::-1]
    change = classify(rgba, flipped)
    if np.array_equal(rgba, flipped):
        assert change.kind == "same"
        return
    # What looks the same upside down, too, may be called either.
    assume(not np.array_equal(rgba[::-1], flipped) and not np.array_equal(rgba[::-1, ::-1], flipped))
    assert (change.kind, change.axis) == ("flip", "x")


@pytest.mark.parametrize(
    ("axis", "flipped", "words"),
    [
        ("x", lambda rgba: rgba[:, ::-1], "flipped left to right"),
        ("y", lambda rgba: rgba[::-1], "flipped upside down"),
        ("xy", lambda rgba: rgba[::-1, ::-1], "flipped left to right and upside down"),
    ],
)
def test_a_flip_has_its_axis(axis: str, flipped: Callable[[Rgba], Rgba], words: str) -> None:
    change = classify(figure(), flipped(figure()))
    assert (change.kind, change.axis, describe(change)) == ("flip", axis, words)


def test_an_edit_of_a_symmetric_picture_is_no_flip() -> None:
    rgba = np.zeros((16, 16, 4), np.uint8)
    rgba[2:14, 4:12] = RED
    rgba[6:9, 6:10] = BLUE
    assert np.array_equal(rgba, rgba[:, ::-1])
    assert classify(rgba, rgba[:, ::-1]).kind == "same"
    assert classify(rgba, put(rgba, GREEN, (5, 4))).kind == "edit"


@pytest.mark.parametrize("by", [(1, 0), (0, 1), (-1, 0), (2, -1), (-2, 2), (1, 2)])
def test_a_shift_has_its_direction(by: tuple[int, int]) -> None:
    change = classify(figure(), moved(figure(), *by))
    assert (change.kind, change.by) == ("shift", by)


def test_a_shift_is_said_in_words() -> None:
    assert describe(classify(figure(), moved(figure(), 1, 2))) == "moved by 1 to the right and 2 down"
    assert describe(classify(figure(), moved(figure(), -2, 0))) == "moved by 2 to the left"
    assert describe(classify(figure(), moved(figure(), 0, -1))) == "moved by 1 up"


def test_a_tile_that_comes_in_where_it_left_is_shifted() -> None:
    change = classify(textured(), np.roll(textured(), (-1, 2), (0, 1)))
    assert (change.kind, change.by) == ("shift", (2, -1))


def test_beyond_its_reach_a_shift_is_none() -> None:
    assert classify(textured(), moved(textured(), 3, 0)).kind == "different"
    assert classify(textured(), moved(textured(), 3, 0), Rules(reach=3, shift=0.1)).by == (3, 0)
    assert classify(textured(), moved(textured(), 1, 0), Rules(reach=0)).kind == "different"


def test_an_edit_at_the_edge_of_a_flat_tile_is_no_shift() -> None:
    flat = np.full((16, 16, 4), RED, np.uint8)
    assert classify(flat, put(flat, BLUE, (0, 5))).kind == "edit"
