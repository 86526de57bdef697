"""The canvas around a sprite."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from spritebuild_stages.ops.trim import ANCHORS, align, pad, trim, visible_box

# Half of the values zero, so that borders are often empty.
values = st.one_of(st.just(0), st.integers(0, 255))
pictures = arrays(
    np.uint8, st.tuples(st.integers(1, 8), st.integers(1, 8), st.just(4)), elements=values, fill=st.just(0)
)


def square(size: int) -> NDArray[np.uint8]:
    return np.full((size, size, 4), 255, np.uint8)


@given(pictures, st.integers(0, 3))
def test_visible_pixels_stay_with_the_margin_around_them(rgba: NDArray[np.uint8], margin: int) -> None:
    box = visible_box(rgba)
    result = trim(rgba, margin)
    if box is None:
        assert np.array_equal(result, np.zeros((1, 1, 4), np.uint8))
        return
    left, top, right, bottom = box
    assert result.shape == (bottom - top + 2 * margin, right - left + 2 * margin, 4)
    inner = result[margin : result.shape[0] - margin, margin : result.shape[1] - margin]
    assert np.array_equal(inner, rgba[top:bottom, left:right])
    assert np.count_nonzero(result[..., 3]) == np.count_nonzero(rgba[..., 3])


@given(pictures, st.integers(0, 3))
def test_a_second_trim_changes_nothing(rgba: NDArray[np.uint8], margin: int) -> None:
    once = trim(rgba, margin)
    assert np.array_equal(trim(once, margin), once)


def test_hidden_color_is_not_visible() -> None:
    rgba = np.full((5, 5, 4), (9, 9, 9, 0), np.uint8)
    rgba[2, 3] = 255
    assert trim(rgba, 0).tolist() == [[[255] * 4]]


def test_a_negative_margin_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least 0"):
        trim(square(2), -1)


@given(pictures, st.sampled_from(sorted(ANCHORS)), st.integers(0, 5), st.integers(0, 5))
def test_padding_keeps_every_pixel(rgba: NDArray[np.uint8], anchor: str, more_x: int, more_y: int) -> None:
    height, width = rgba.shape[:2]
    result = pad(rgba, width + more_x, height + more_y, anchor)
    assert result.shape == (height + more_y, width + more_x, 4)
    x = 0 if "left" in anchor else more_x if "right" in anchor else more_x // 2
    y = 0 if "top" in anchor else more_y if "bottom" in anchor else more_y // 2
    assert np.array_equal(result[y : y + height, x : x + width], rgba)
    assert int(result.sum()) == int(rgba.sum())


def test_an_odd_pixel_of_room_goes_to_the_right_and_the_bottom() -> None:
    assert visible_box(pad(square(1), 4, 4, "center")) == (1, 1, 2, 2)
    assert visible_box(pad(square(1), 4, 4, "bottom")) == (1, 3, 2, 4)


@pytest.mark.parametrize("size", [(3, 4), (4, 3)])
def test_padding_never_crops(size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="4x4, larger than"):
        pad(square(4), *size, "center")


def test_an_unknown_anchor_is_an_error() -> None:
    with pytest.raises(ValueError, match="bottom-left"):
        pad(square(1), 2, 2, "middle")


anchors = st.sampled_from(sorted(ANCHORS))


@given(pictures, anchors, anchors, st.integers(0, 3))
def test_aligning_moves_the_sprite_and_a_second_time_nothing(
    rgba: NDArray[np.uint8], pivot: str, at: str, more: int
) -> None:
    size = (2 * rgba.shape[1] + more, 2 * rgba.shape[0] + more)
    try:
        once = align(rgba, pivot, at, size)
    except ValueError as error:
        assert "would leave the canvas" in str(error)
        assert pivot != at
        return
    assert once.shape == (size[1], size[0], 4)
    assert np.array_equal(trim(once, 0), trim(rgba, 0))
    assert np.array_equal(align(once, pivot, at, size), once)


@given(pictures, anchors)
def test_aligned_to_its_own_anchor_it_lies_as_padding_lays_it(rgba: NDArray[np.uint8], anchor: str) -> None:
    if visible_box(rgba) is not None:
        assert np.array_equal(align(rgba, anchor, anchor, (9, 12)), pad(trim(rgba, 0), 9, 12, anchor))


def test_a_point_lies_between_pixels() -> None:
    assert visible_box(align(square(4), "bottom", (6, 10), (16, 16))) == (4, 6, 8, 10)
    assert visible_box(align(square(3), "center", (6, 6), (12, 12))) == (4, 4, 7, 7)
    assert visible_box(align(square(4), "top-left", (12, 12), (16, 16))) == (12, 12, 16, 16)


def test_aligning_keeps_the_canvas_unless_told() -> None:
    rgba = np.zeros((9, 5, 4), np.uint8)
    rgba[2, 1] = 255
    assert visible_box(align(rgba, "bottom", "bottom")) == (2, 8, 3, 9)
    assert align(np.zeros((9, 5, 4), np.uint8), "top", (0, 0)).shape == (9, 5, 4)


@pytest.mark.parametrize(
    ("pivot", "at", "size"), [("bottom", (8, 3), None), ("center", (0, 4), None), ("top", "top", (3, 9))]
)
def test_visible_pixels_are_never_lost(pivot: str, at: str | tuple[int, int], size: tuple[int, int] | None) -> None:
    with pytest.raises(ValueError, match=r"the sprite of 4x4 would leave the canvas of \d+x\d+: its corner goes to"):
        align(pad(square(4), 16, 16, "center"), pivot, at, size)


@pytest.mark.parametrize("told", [("middle", "top"), ("top", "middle")])
def test_an_unknown_place_is_an_error(told: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match="anchor is one of"):
        align(square(1), *told)
