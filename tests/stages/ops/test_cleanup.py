"""Stray pixels and broken corners of lines."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from spritebuild_stages.ops.cleanup import despeckle, jaggies
from spritebuild_stages.ops.components import areas

COLORS = {".": (0, 0, 0, 0), "#": (0, 0, 0, 255), "a": (200, 0, 0, 255), "b": (190, 9, 0, 255), "c": (0, 0, 99, 255)}
COLORS |= {"s": (200, 0, 0, 90)}
PALETTE = np.array(
    [(0, 0, 0, 0), (7, 7, 7, 0), (0, 0, 0, 255), (200, 0, 0, 255), (0, 99, 0, 255), (0, 99, 0, 120)], np.uint8
)
INK = (0, 0, 0)

pictures = arrays(np.intp, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 5)).map(
    lambda indices: PALETTE[indices]
)


def drawn(*rows: str) -> NDArray[np.uint8]:
    return np.array([[COLORS[letter] for letter in row] for row in rows], np.uint8)


def shown(rgba: NDArray[np.uint8]) -> list[str]:
    letters = {color: letter for letter, color in COLORS.items()}
    return ["".join(letters[tuple(pixel)] for pixel in row) for row in rgba.tolist()]


def test_an_orphan_takes_the_most_frequent_color_beside_it() -> None:
    assert shown(despeckle(drawn("aaaa", "acab", "bbbb"))) == ["aaaa", "aaab", "bbbb"]


def test_of_equally_frequent_colors_it_takes_the_nearest_to_its_own() -> None:
    assert shown(despeckle(drawn("ccc", "...", "bbb"))) == ["ccc", "...", "bbb"]
    assert shown(despeckle(drawn("ccc", ".a.", "bbb"))) == ["ccc", ".b.", "bbb"]


def test_what_floats_alone_vanishes() -> None:
    assert shown(despeckle(drawn("a..aa", ".....", "..s.."))) == ["...aa", ".....", "....."]


def test_small_areas_of_several_colors_that_float_vanish_together() -> None:
    assert shown(despeckle(drawn("ab....", "......", "...aac"), size=4)) == ["......"] * 3
    assert shown(despeckle(drawn("ab....", "......", "...aac"), size=3)) == ["......", "......", "...aac"]


def test_dithering_and_diagonal_lines_stay() -> None:
    picture = drawn("acac", "caca", "acac")
    assert np.array_equal(despeckle(picture), picture)


def test_small_areas_within_small_areas_follow() -> None:
    assert shown(despeckle(drawn("aaabc#"))) == ["aaaaaa"]


def test_a_detail_of_high_contrast_stays() -> None:
    picture = drawn("aaaaaa", "abaaca", "aaaaaa")
    assert shown(despeckle(picture, contrast=20)) == ["aaaaaa", "aaaaca", "aaaaaa"]


def test_alpha_stays() -> None:
    assert despeckle(drawn("ccc", "csc", "ccc"))[1, 1].tolist() == [0, 0, 99, 90]


def test_a_picture_of_orphans_alone_stays() -> None:
    rng = np.random.default_rng(0)
    picture = rng.permutation(1 << 8).astype(np.uint8).reshape(16, 16)
    rgba = np.stack([picture, picture, picture, np.full_like(picture, 255)], axis=2)
    assert np.array_equal(despeckle(rgba), rgba)


@given(pictures, st.integers(1, 6), st.integers(1, 255))
def test_a_second_despeckling_changes_nothing(rgba: NDArray[np.uint8], size: int, contrast: int) -> None:
    once = despeckle(rgba, size, contrast)
    assert np.array_equal(despeckle(once, size, contrast), once)


@given(pictures, st.integers(1, 6))
def test_despeckling_keeps_colors_and_alpha(rgba: NDArray[np.uint8], size: int) -> None:
    before = rgba.copy()
    result = despeckle(rgba, size)
    stays = result[..., 3] > 0
    assert np.array_equal(result[stays, 3], rgba[stays, 3])
    visible = {tuple(pixel) for pixel in rgba[rgba[..., 3] > 0][:, :3].tolist()}
    assert {tuple(pixel) for pixel in result[stays][:, :3].tolist()} <= visible
    assert np.array_equal(rgba, before)


@given(pictures, st.integers(2, 6))
def test_no_speck_is_left_beside_a_larger_area(rgba: NDArray[np.uint8], size: int) -> None:
    result = despeckle(rgba, size)
    visible = result[..., 3] > 0
    packed = np.where(visible, result[..., 0].astype(int) << 16 | result[..., 1].astype(int) << 8 | result[..., 2], -1)
    found = areas(packed, corners=True)
    small = visible & (found.sizes < size)[found.labels]
    large = np.pad(visible & ~small, 1)
    for y, x in np.argwhere(small):
        assert not large[y : y + 3, x : x + 3].any()


@pytest.mark.parametrize(("size", "contrast", "message"), [(0, 9, "at least 1"), (2, 0, "1..255"), (2, 256, "1..255")])
def test_other_numbers_are_errors(size: int, contrast: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        despeckle(drawn("a"), size, contrast)


def test_a_staircase_of_doubles_becomes_a_diagonal() -> None:
    assert shown(jaggies(drawn("##...", ".##..", "..##.", "...##"), INK)) == ["#....", ".#...", "..#..", "...##"]


def test_one_of_two_pixels_in_a_step_goes() -> None:
    assert shown(jaggies(drawn("####....", "...#####"), INK)) == ["###.....", "...#####"]


def test_right_angles_of_straight_arms_stay() -> None:
    box = drawn("####", "#aa#", "#aa#", "####")
    assert np.array_equal(jaggies(box, INK), box)


def test_filled_areas_and_branches_stay() -> None:
    picture = drawn("##...#.", "##...##", "....#..")
    assert np.array_equal(jaggies(picture, INK), picture)


def test_a_removed_pixel_becomes_what_is_outside_of_the_corner() -> None:
    assert shown(jaggies(drawn("cccccc", "###ccc", "aa####", "aaaaaa"), INK)) == [
        "cccccc",
        "##cccc",
        "aa####",
        "aaaaaa",
    ]


def test_without_a_color_the_outline_is_cleaned() -> None:
    picture = drawn(".......", ".####..", ".#aa##.", ".#aaa#.", ".#cca#.", ".#cac#.", ".######", ".......")
    cleaned = shown(jaggies(picture))
    assert cleaned[:4] == [".......", ".###...", ".#aa#..", ".#aaa#."]
    assert [row.count("c") for row in cleaned] == [row.count("c") for row in shown(picture)]


def test_no_visible_pixel_is_no_line() -> None:
    assert not jaggies(drawn("...")).any()


@given(pictures, st.sampled_from([None, INK]))
def test_lines_that_were_cleaned_stay(rgba: NDArray[np.uint8], color: tuple[int, int, int] | None) -> None:
    once = jaggies(rgba, INK if color is None else color)
    assert np.array_equal(jaggies(once, INK if color is None else color), once)


@given(pictures)
def test_cleaned_lines_are_as_connected_as_before(rgba: NDArray[np.uint8]) -> None:
    before, after = ((p[..., 3] > 0) & ~p[..., :3].any(axis=2) for p in (rgba, jaggies(rgba, INK)))
    assert (after <= before).all()
    old, new = areas(before, corners=True).labels, areas(after, corners=True).labels
    assert len(np.unique(old[before])) == len(np.unique(new[after]))


@given(pictures)
def test_cleaning_lines_makes_no_pixel_that_was_not_there(rgba: NDArray[np.uint8]) -> None:
    there = {tuple(pixel) for pixel in rgba.reshape(-1, 4).tolist()} | {(0, 0, 0, 0)}
    assert {tuple(pixel) for pixel in jaggies(rgba).reshape(-1, 4).tolist()} <= there
