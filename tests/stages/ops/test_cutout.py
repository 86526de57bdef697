"""The ground behind a sprite, removed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from spritebuild_stages.ops.cutout import flood, ground_color, key

values = st.sampled_from([0, 0, 5, 100, 255])
pictures = arrays(np.uint8, st.tuples(st.integers(1, 8), st.integers(1, 8), st.just(4)), elements=values)
COLORS = {".": (0, 0, 0, 0), "w": (250, 250, 250, 255), "v": (240, 250, 245, 255), "r": (200, 0, 0, 255)}
COLORS |= {"p": (225, 125, 125, 255), "s": (200, 0, 0, 90), "h": (250, 250, 250, 0)}


def drawn(*rows: str) -> NDArray[np.uint8]:
    return np.array([[COLORS[letter] for letter in row] for row in rows], np.uint8)


def shown(rgba: NDArray[np.uint8]) -> list[str]:
    letters = {color: letter for letter, color in COLORS.items()}
    return ["".join(letters[tuple(pixel)] for pixel in row) for row in rgba.tolist()]


RING = drawn("wwwwwv", "wrrrrw", "wrwwrw", "wrwvrw", "vrrrrw", "wwwwww")


def test_the_ground_goes_and_what_the_sprite_encloses_stays() -> None:
    assert shown(flood(RING, 16)) == ["......", ".rrrr.", ".rwwr.", ".rwvr.", ".rrrr.", "......"]


def test_with_holes_what_it_encloses_goes_too() -> None:
    assert shown(flood(RING, 16, holes=True)) == ["......", ".rrrr.", ".r..r.", ".r..r.", ".rrrr.", "......"]


def test_a_color_beyond_the_tolerance_stays() -> None:
    assert shown(flood(RING, 9)) == [".....v", ".rrrr.", ".rwwr.", ".rwvr.", "vrrrr.", "......"]


def test_the_ground_is_not_left_through_a_corner() -> None:
    picture = drawn("wwwww", "wwrww", "wrwrw", "wwrww", "wwwww")
    assert shown(flood(picture, 0)) == [".....", "..r..", ".rwr.", "..r..", "....."]


def test_growing_eats_the_fringe() -> None:
    picture = drawn("wwwwwww", "wpppppw", "wprrrpw", "wprrrpw", "wpppppw", "wwwwwww")
    assert shown(flood(picture, 20, grow=1)) == [".......", ".......", "..rrr..", "..rrr..", ".......", "......."]


def test_a_picture_whose_ground_is_gone_stays_as_it_is() -> None:
    picture = drawn("......", ".rssr.", "rr.wrr")
    assert np.array_equal(flood(picture, 255, grow=4), picture)


def test_the_flood_passes_through_transparent_pixels() -> None:
    picture = drawn("wwwwww", "whhhhw", "whwwhw", "whhhhw", "wwwwww")
    assert not flood(picture, 0)[..., 3].any()


def test_a_key_is_removed_wherever_it_is() -> None:
    assert shown(key(RING, (200, 0, 0), 0)) == [row.replace("r", ".") for row in shown(RING)]
    assert shown(key(RING, None, 0)) == [row.replace("w", ".") for row in shown(RING)]


def test_soft_alpha_is_kept_or_gone() -> None:
    assert shown(key(drawn("srw"), (250, 250, 250), 3)) == ["sr."]


def test_the_color_of_a_noisy_border_is_the_one_that_most_is_near_to() -> None:
    rng = np.random.default_rng(0)
    picture = np.full((64, 64, 4), 255, np.uint8)
    picture[..., :3] = rng.integers(180, 201, (64, 64, 3))
    picture[:20, :2] = (0, 0, 9, 255)  # the most frequent single color
    color = ground_color(picture, 20)
    assert color is not None
    assert min(color) >= 180
    assert flood(picture, 20)[..., 3].astype(bool).sum() == 40


def test_the_border_of_one_pixel_is_the_pixel() -> None:
    assert not flood(drawn("w"), 0).any()
    assert ground_color(drawn("."), 0) is None


def test_a_border_counts_every_pixel_once() -> None:
    picture = drawn("rrw", "rrw", "wwr")  # five red, three white around
    assert ground_color(picture, 0) is not None
    assert shown(flood(picture, 0)) == ["..w", "..w", "ww."]


@given(pictures, st.integers(0, 255), st.booleans(), st.integers(0, 4))
def test_a_second_flood_changes_nothing(rgba: NDArray[np.uint8], tolerance: int, holes: bool, grow: int) -> None:
    once = flood(rgba, tolerance, holes, grow)
    assert np.array_equal(flood(once, tolerance, holes, grow), once)


@given(pictures, st.one_of(st.none(), st.tuples(values, values, values)), st.integers(0, 255), st.integers(0, 4))
def test_a_second_key_changes_nothing(
    rgba: NDArray[np.uint8], color: tuple[int, int, int] | None, tolerance: int, grow: int
) -> None:
    once = key(rgba, color, tolerance, grow)
    assert np.array_equal(key(once, color, tolerance, grow), once)


@given(pictures, st.integers(0, 255), st.integers(0, 4))
def test_a_pixel_is_gone_or_as_it_was(rgba: NDArray[np.uint8], tolerance: int, grow: int) -> None:
    before = rgba.copy()
    result = flood(rgba, tolerance, grow=grow)
    assert (result.any(axis=2) <= (result == rgba).all(axis=2)).all()
    assert np.array_equal(rgba, before)


@pytest.mark.parametrize("tolerance", [-1, 256])
def test_a_tolerance_out_of_range_is_an_error(tolerance: int) -> None:
    with pytest.raises(ValueError, match=r"0\.\.255"):
        flood(RING, tolerance)
    with pytest.raises(ValueError, match=r"0\.\.255"):
        key(RING, (0, 0, 0), tolerance)


def test_growing_out_of_range_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"0\.\.4"):
        flood(RING, 0, grow=5)
