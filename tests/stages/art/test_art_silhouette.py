"""Contrast, parts, and how far silhouettes are apart."""

from __future__ import annotations

import numpy as np
import pytest
from drawn import INK, LIGHT, RED, Rgba, draw, enlarged, pictures, sprite
from hypothesis import given
from hypothesis import strategies as st

from spritebuild_stages.art.picture import Picture
from spritebuild_stages.art.silhouette import Shape, Twin, contrast, parts, twins
from spritebuild_stages.ops.outline import outline


def shapes(*drawn: Rgba) -> list[Shape]:
    return [Shape.of(Picture.of(rgba)) for rgba in drawn]


def disc(radius: int, color: tuple[int, int, int]) -> Rgba:
    y, x = np.mgrid[-20:21, -20:21]
    rgba = np.zeros((41, 41, 4), np.uint8)
    rgba[x**2 + y**2 <= radius**2] = (*color, 255)
    return rgba


def test_a_light_sprite_is_lost_on_paper_and_a_dark_one_in_the_dungeon() -> None:
    dark, light, border = contrast(Picture.of(disc(8, (235, 235, 235))))
    assert (dark, light) == (border, 0)
    dark, light, border = contrast(Picture.of(disc(8, INK)))
    assert (dark, light) == (0, border)


@pytest.mark.parametrize(("thickness", "seen"), [(1, True), (2, True), (3, False)])
def test_what_a_thin_line_encloses_still_shows_the_shape(thickness: int, seen: bool) -> None:
    dark, light, border = contrast(Picture.of(outline(disc(8, LIGHT), INK, thickness, True)))
    assert light == border
    assert dark == border * seen


def test_parts_that_touch_by_a_corner_are_one() -> None:
    assert parts(Picture.of(draw("r.r", ".r.", "..."))) == (1, 0)
    assert parts(Picture.of(draw("rr..r", ".....", "r.ll."))) == (4, 2)


@given(pictures)
def test_every_visible_pixel_is_in_some_part(rgba: Rgba) -> None:
    count, single = parts(Picture.of(rgba))
    visible = np.count_nonzero(rgba[..., 3])
    assert (count == 0) == (visible == 0)
    assert single <= count <= visible


def test_a_shape_alone_has_no_twin() -> None:
    assert twins([]) == []
    assert twins(shapes(disc(3, RED))) == [None]


def test_where_a_shape_lies_on_its_canvas_does_not_matter() -> None:
    moved = np.roll(disc(5, RED), (3, -4), axis=(0, 1))
    assert twins(shapes(disc(5, RED), moved, disc(9, RED)))[:2] == [Twin(1, 0, 81, 0), Twin(0, 0, 81, 0)]


def test_the_distance_is_what_belongs_to_one_alone() -> None:
    first, second = twins(shapes(draw("rrrr"), draw("rr")))
    assert first is not None
    assert (first.index, first.different, first.covered) == (1, 2, 4)
    assert second is not None
    assert (second.index, second.different, second.covered) == (0, 2, 4)


def test_of_equal_silhouettes_the_one_with_the_nearest_colors_is_the_twin() -> None:
    red, paler, dark = disc(6, (200, 40, 40)), disc(6, (205, 50, 45)), disc(6, (40, 10, 10))
    found = twins(shapes(dark, red, disc(6, (20, 200, 60)), paler))
    assert [twin.index for twin in found if twin] == [1, 3, 3, 1]
    assert [twin.same_colors for twin in found if twin] == [False, True, False, True]


@given(st.lists(st.integers(0, 30), min_size=2, max_size=8))
def test_twins_are_never_a_shape_itself_and_distances_are_shares(numbers: list[int]) -> None:
    found = twins(shapes(*(sprite(number) for number in numbers)))
    for place, twin in enumerate(found):
        assert twin is not None
        assert twin.index != place
        assert 0 <= twin.different <= twin.covered
        if numbers.count(numbers[place]) > 1:
            assert (twin.different, twin.apart) == (0, 0)
            assert numbers[twin.index] == numbers[place]


@pytest.mark.parametrize("factor", [2, 7, 19])
def test_large_shapes_are_compared_as_well(factor: int) -> None:
    one, other = enlarged(disc(18, RED), factor), enlarged(disc(18, LIGHT), factor)
    far = enlarged(draw("r.r", ".r.", "r.r"), 13 * factor)
    first, second, third = twins(shapes(one, other, far))
    assert first is not None and second is not None and third is not None
    assert (first.index, first.different, second.index, second.different) == (1, 0, 0, 0)
    assert not first.same_colors
    assert 2 * third.different > third.covered


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (3, 4096)])
def test_thin_shapes_are_compared_as_well(size: tuple[int, int]) -> None:
    line = np.full((*size, 4), 255, np.uint8)
    first, second = twins(shapes(line, line.copy()))
    assert first == Twin(1, 0, first.covered, 0) if first else False
    assert second == Twin(0, 0, second.covered, 0) if second else False


def test_more_shapes_than_a_block_are_compared_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    some = shapes(*(sprite(number) for number in range(12)))
    whole = twins(some)
    monkeypatch.setattr("spritebuild_stages.art.silhouette.BLOCK", 5)
    assert twins(some) == whole
