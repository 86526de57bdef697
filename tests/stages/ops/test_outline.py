"""A line around a sprite."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from spritebuild_stages.ops.outline import outline, selective

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


@given(pictures, st.integers(1, 3), st.booleans())
def test_the_inner_outline_is_what_lies_within_its_thickness_of_the_outside(
    rgba: NDArray[np.uint8], thickness: int, corners: bool
) -> None:
    result = outline(rgba, INK, thickness, corners, "inner")
    sprite = np.pad(rgba[..., 3] > 0, thickness)
    ground = np.argwhere(~sprite)
    for y, x in np.argwhere(rgba[..., 3] > 0).tolist():
        away = np.abs(ground - (y + thickness, x + thickness))
        near = (away.max(axis=1) if corners else away.sum(axis=1)).min() <= thickness
        assert result[y, x, :3].tolist() == (list(INK) if near else rgba[y, x, :3].tolist())
    assert np.array_equal(result[..., 3], rgba[..., 3])
    hidden = rgba[..., 3] == 0
    assert np.array_equal(result[hidden], rgba[hidden])
    assert np.array_equal(outline(result, INK, thickness, corners, "inner"), result)


def test_an_inner_outline_lies_inside() -> None:
    square = dot(5, *((y, x) for y in range(1, 5) for x in range(1, 5)))
    assert drawn(outline(square, INK, 1, False, "inner")) == [".....", ".####", ".#oo#", ".#oo#", ".####"]


@given(pictures, st.integers(1, 3), st.booleans(), st.sampled_from(["outer", "inner"]), st.integers(0, 100))
def test_a_selective_outline_is_where_the_plain_one_is(
    rgba: NDArray[np.uint8], thickness: int, corners: bool, side: str, shade: int
) -> None:
    before = rgba.copy()
    line = (outline(rgba, INK, thickness, corners, side) != rgba).any(axis=2)
    result = selective(rgba, shade, thickness, corners, side)
    changed = (result != rgba).any(axis=2)
    assert (changed <= (line | (rgba[..., :3] == INK).all(axis=2))).all()
    assert np.array_equal(result[..., 3], outline(rgba, INK, thickness, corners, side)[..., 3])
    assert np.array_equal(rgba, before)


def test_a_selective_outline_darkens_the_darkest_color_beside_it() -> None:
    rgba = np.zeros((1, 5, 4), np.uint8)
    rgba[0, 1], rgba[0, 3] = (200, 100, 51, 255), (90, 80, 70, 128)
    assert selective(rgba, 50, 1, False)[0].tolist() == [
        [100, 50, 26, 255],
        [200, 100, 51, 255],
        [45, 40, 35, 255],
        [90, 80, 70, 128],
        [45, 40, 35, 255],
    ]
    assert selective(rgba, 50, 1, False, "inner")[0, 3].tolist() == [45, 40, 35, 128]


def test_a_thick_selective_outline_is_darkened_once() -> None:
    rgba = np.zeros((1, 4, 4), np.uint8)
    rgba[0, 0] = (200, 100, 50, 255)
    assert selective(rgba, 50, 2, False)[0, 1:].tolist() == [[100, 50, 25, 255], [100, 50, 25, 255], [0, 0, 0, 0]]


def test_a_mirrored_sprite_has_a_mirrored_outline() -> None:
    rgba = np.random.default_rng(0).integers(0, 256, (9, 9, 4), np.uint8)
    rgba[..., 3] = 255 * (rgba[..., 3] > 128)
    for turned in (np.s_[:, ::-1], np.s_[::-1]):
        assert np.array_equal(selective(rgba[turned], 60, 2, True), selective(rgba, 60, 2, True)[turned])


def test_another_side_or_shade_is_an_error() -> None:
    with pytest.raises(ValueError, match="outer or inner"):
        outline(dot(1), INK, 1, False, "both")
    with pytest.raises(ValueError, match=r"0\.\.100 percent"):
        selective(dot(1), 101, 1, False)
