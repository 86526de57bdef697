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


def marble(side: int = 96) -> NDArray[np.uint8]:
    """Soft patches of five shades, the same every 32 pixels."""
    field = np.random.default_rng(5).normal(size=(32, 32))
    for _ in range(6):
        for axis in (0, 1):
            field = np.roll(field, 1, axis) + 2 * field + np.roll(field, -1, axis)
    levels = np.digitize(field, np.quantile(field, [0.2, 0.4, 0.6, 0.8]))
    rgba = np.full((side, side, 4), 255, np.uint8)
    rgba[..., :3] = 40 + 40 * np.tile(levels, (side // 32, side // 32))[..., None]
    return rgba


@pytest.mark.parametrize(("x", "y"), [(0, 0), (5, 0), (11, 3), (16, 30)])
def test_a_crop_of_the_period_is_seamless_and_another_is_not(x: int, y: int) -> None:
    plane = marble()
    whole = seam(plane[y : y + 32, x : x + 32])
    for width, height in ((27, 25), (39, 40), (28, 41)):
        assert seam(plane[y : y + height, x : x + width]) > whole + 0.1


def test_each_axis_has_its_own_seam() -> None:
    broken = marble()[:32, :22]
    assert seam(broken, "x") > seam(broken, "y") + 0.1
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
        seam(marble(), "z")
