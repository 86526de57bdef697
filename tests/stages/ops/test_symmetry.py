"""One half mirrored onto the other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from spritebuild_stages.ops.symmetry import symmetry

values = st.one_of(st.just(0), st.integers(0, 255))
pictures = arrays(np.uint8, st.tuples(st.integers(1, 7), st.integers(1, 7), st.just(4)), elements=values)
AXES = st.sampled_from(["x", "y"])


def row(*alphas: int) -> NDArray[np.uint8]:
    return np.array([[(n, n, n, alpha) for n, alpha in enumerate(alphas, 1)]], np.uint8)


def reds(rgba: NDArray[np.uint8]) -> list[int]:
    return rgba.reshape(-1, 4)[:, 0].tolist()


@given(pictures, AXES)
def test_the_picture_equals_its_mirror_image(rgba: NDArray[np.uint8], axis: str) -> None:
    before = rgba.copy()
    result = symmetry(rgba, axis)
    assert np.array_equal(result, result[:, ::-1] if axis == "x" else result[::-1])
    assert np.array_equal(symmetry(result, axis), result)
    assert np.array_equal(rgba, before)


@given(pictures, AXES)
def test_about_the_sprite_a_second_time_changes_nothing(rgba: NDArray[np.uint8], axis: str) -> None:
    once = symmetry(rgba, axis, about="sprite")
    assert np.array_equal(symmetry(once, axis, about="sprite"), once)


@pytest.mark.parametrize(("keep", "expected"), [("left", [1, 2, 3, 2, 1]), ("right", [5, 4, 3, 4, 5])])
def test_the_half_that_is_named_stays_and_so_does_the_middle(keep: str, expected: list[int]) -> None:
    line = row(9, 9, 9, 9, 9)
    assert reds(symmetry(line, "x", keep)) == expected
    other = {"left": "top", "right": "bottom"}[keep]
    assert reds(symmetry(line.swapaxes(0, 1), "y", other)) == expected


def test_the_half_with_more_visible_pixels_stays() -> None:
    assert reds(symmetry(row(9, 0, 0, 9, 9), "x")) == [5, 4, 3, 4, 5]
    assert reds(symmetry(row(9, 0, 9, 0, 9), "x")) == [1, 2, 3, 2, 1]


def test_the_middle_may_be_the_sprites() -> None:
    assert reds(symmetry(row(9, 9, 9, 0, 0, 0), "x", "left", about="sprite")) == [1, 2, 1, 4, 5, 6]
    assert not symmetry(np.zeros((2, 3, 4), np.uint8), "y", about="sprite").any()


@pytest.mark.parametrize(
    ("told", "message"),
    [(("z",), "x or y"), (("x", "top"), "left, right or auto"), (("y", "auto", "box"), "picture or sprite")],
)
def test_other_words_are_errors(told: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        symmetry(row(1), *told)
