"""How visible the seam of a tile is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from spritebuild_stages.ops.seam import seam

pictures = arrays(np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12), st.just(4)))


def bricks(side: int = 64) -> NDArray[np.uint8]:
    """Courses of bricks of 8x16 with mortar between them, each brick of its own shade, the same every 32 pixels."""
    y, x = np.mgrid[:side, :side] % 32
    moved = (x + 8 * (y // 8 % 2)) % 32
    mortar = (y % 8 == 7) | (moved % 16 == 15)
    shade = 90 + 20 * (y // 8) + 10 * (moved // 16) + (x * 7 + y * 5) % 3
    rgba = np.full((side, side, 4), 255, np.uint8)
    rgba[..., :3] = np.where(mortar, 40, shade)[..., None]
    return rgba


@pytest.mark.parametrize(("x", "y"), [(0, 0), (5, 0), (11, 3), (16, 30)])
def test_a_crop_of_the_period_is_seamless_and_another_is_not(x: int, y: int) -> None:
    plane = bricks(96)
    whole = seam(plane[y : y + 32, x : x + 32])
    for width, height in ((27, 29), (37, 35), (28, 37)):
        assert seam(plane[y : y + height, x : x + width]) > whole + 0.1


def test_each_axis_has_its_own_seam() -> None:
    broken = bricks(96)[:32, :27]
    assert seam(broken, "x") > 0.7
    assert seam(broken, "x") > seam(broken, "y") + 0.2
    assert seam(broken, "xy") == (seam(broken, "x") + seam(broken, "y")) / 2
    assert seam(broken.swapaxes(0, 1), "y") == seam(broken, "x")


def test_a_busy_texture_is_no_seam() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (48, 48, 4), np.uint8)
    noise[..., 3] = 255
    assert 0.4 < seam(noise) < 0.6


def test_a_slope_has_one() -> None:
    slope = np.full((32, 32, 4), 255, np.uint8)
    slope[..., :3] = np.arange(0, 256, 8)[None, :, None]
    assert seam(slope, "x") == 1
    assert seam(slope, "y") == 0.5


def test_hidden_color_has_none() -> None:
    rgba = np.random.default_rng(0).integers(0, 256, (16, 16, 4), np.uint8)
    rgba[..., 3] = 0
    assert seam(rgba) == 0.5


@settings(deadline=None)
@given(pictures, st.sampled_from(["x", "y", "xy"]))
def test_it_is_a_share_and_nothing_for_small_pictures(rgba: NDArray[np.uint8], axes: str) -> None:
    before = rgba.copy()
    value = seam(rgba, axes)
    assert 0 <= value <= 1
    assert value == 0.5 or min(rgba.shape[:2]) >= 8
    assert np.array_equal(rgba, before)


def test_other_axes_are_an_error() -> None:
    with pytest.raises(ValueError, match="x, y or xy"):
        seam(bricks(), "z")
