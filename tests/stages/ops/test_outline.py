"""A line around a sprite."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from spritebuild_stages.ops.outline import outline

values = st.one_of(st.just(0), st.integers(0, 255))
pictures = arrays(
    np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(4)), elements=values, fill=st.just(0)
)
INK = (1, 2, 3)


def dot(size: int, *places: tuple[int, int]) -> NDArray[np.uint8]:
    rgba = np.zeros((size, size, 4), np.uint8)
    for place in places:
        rgba[place] = 255
    return rgba


def drawn(rgba: NDArray[np.uint8]) -> list[str]:
    """`o` the sprite, `#` the outline, `.` nothing."""
    ink = (rgba == (*INK, 255)).all(axis=2)
    return [
        "".join("#" if i else "o" if a else "." for i, a in zip(*row, strict=True))
        for row in zip(ink, rgba[..., 3], strict=True)
    ]


@given(pictures, st.integers(1, 3), st.booleans())
def test_the_outline_is_what_lies_within_its_thickness(rgba: NDArray[np.uint8], thickness: int, corners: bool) -> None:
    before = rgba.copy()
    result = outline(rgba, INK, thickness, corners)
    sprite = rgba[..., 3] > 0
    places = np.argwhere(sprite)
    for y, x in np.ndindex(sprite.shape):
        if sprite[y, x]:
            assert result[y, x].tolist() == rgba[y, x].tolist()
            continue
        away = np.abs(places - (y, x))
        distances = away.max(axis=1) if corners else away.sum(axis=1)
        inked = bool(len(places)) and distances.min() <= thickness
        assert result[y, x].tolist() == ([*INK, 255] if inked else rgba[y, x].tolist())
    assert np.array_equal(rgba, before)


def test_corners_belong_to_it_only_when_asked_for() -> None:
    assert drawn(outline(dot(5, (2, 2)), INK, 1, False)) == [".....", "..#..", ".#o#.", "..#..", "....."]
    assert drawn(outline(dot(5, (2, 2)), INK, 1, True)) == [".....", ".###.", ".#o#.", ".###.", "....."]


def test_a_hole_gets_its_outline() -> None:
    ring = dot(3, *((y, x) for y in range(3) for x in range(3) if (y, x) != (1, 1)))
    assert drawn(outline(ring, INK, 1, False)) == ["ooo", "o#o", "ooo"]


def test_what_falls_outside_is_lost_and_does_not_wrap() -> None:
    assert drawn(outline(dot(3, (0, 0)), INK, 1, True)) == ["o#.", "##.", "..."]


def test_a_thickness_below_1_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        outline(dot(1), INK, 0, False)
