"""Mixes of a palette's colors."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from spritebuild_stages.ops import dither as module
from spritebuild_stages.ops import oklab
from spritebuild_stages.ops.dither import ATKINSON, DIFFUSED, FLOYD_STEINBERG, ORDERED, spread
from spritebuild_stages.ops.oklab import Palette
from spritebuild_stages.ops.quantize import DITHERS, quantize

BLACK_AND_WHITE = ((0, 0, 0), (255, 255, 255))
GOLDEN = {
    "bayer2": "72d4329c53cad5fd3af55ed4073e52a1f7db6922f1b0c89cd686230fdc3d878a",
    "bayer4": "dea3951c1d6d5c4e164ff9e53db9034fe96e504d657aed5ffddafba0252b712f",
    "bayer8": "fe660ab0bc3960077b37a4345bd58669ece371da941d754ccc62750c7a633acb",
    "floyd-steinberg": "40c13bef1f016767e16adc75ca8323556399dcdf7723d5ee22805620d4293d8c",
    "atkinson": "d8f8479aa9b9821863ffe37dd62f074ac915e7d29bc09d8d3771df3cbeecbdf3",
}

pictures = arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(4)))
palettes = st.lists(st.tuples(*[st.integers(0, 255)] * 3), min_size=1, max_size=40).map(tuple)
every = pytest.mark.parametrize("dither", DITHERS[1:])


def flat(color: tuple[int, int, int], side: int) -> NDArray[np.uint8]:
    return np.full((side, side, 4), (*color, 255), np.uint8)


def gray(lightness: float) -> tuple[int, int, int]:
    """The gray whose lightness in OKLab is nearest."""
    grays = np.arange(256, dtype=np.uint8)[:, None].repeat(3, axis=1)
    value = int(np.abs(oklab.oklab(grays)[:, 0] - lightness).argmin())
    return value, value, value


@given(pictures, palettes, st.sampled_from(DITHERS))
def test_every_visible_pixel_gets_a_color_of_the_palette(
    rgba: NDArray[np.uint8], palette: Palette, dither: str
) -> None:
    before = rgba.copy()
    result = quantize(rgba, palette, dither)
    assert {tuple(pixel[:3]) for pixel in result[rgba[..., 3] > 0].tolist()} <= set(palette)
    assert np.array_equal(result[..., 3], rgba[..., 3])
    assert not result[rgba[..., 3] == 0].any()
    assert np.array_equal(rgba, before)


@given(pictures, palettes, st.sampled_from(DITHERS))
def test_a_second_time_changes_nothing(rgba: NDArray[np.uint8], palette: Palette, dither: str) -> None:
    once = quantize(rgba, palette, dither)
    assert np.array_equal(quantize(once, palette, dither), once)


@given(pictures, palettes, st.sampled_from(DITHERS))
def test_colors_of_hidden_pixels_have_no_say(rgba: NDArray[np.uint8], palette: Palette, dither: str) -> None:
    other = rgba.copy()
    other[rgba[..., 3] == 0, :3] = 255 - other[rgba[..., 3] == 0, :3]
    assert np.array_equal(quantize(other, palette, dither), quantize(rgba, palette, dither))


@given(pictures, palettes, st.sampled_from(sorted(DIFFUSED)))
def test_waves_give_what_one_pixel_after_another_gives(rgba: NDArray[np.uint8], palette: Palette, dither: str) -> None:
    shares, shift = DIFFUSED[dither]
    lab = oklab.steps(oklab.oklab(rgba[..., :3].reshape(-1, 3))).astype(np.int64).reshape(*rgba.shape[:2], 3)
    targets = oklab.steps(oklab.oklab(np.array(palette, np.uint8))).astype(np.int64)
    errors: dict[tuple[int, int], NDArray[np.int64]] = {}
    result = np.zeros_like(rgba)
    for y, x in np.ndindex(rgba.shape[:2]):
        if rgba[y, x, 3]:
            taken = sum(share * errors.get((x + dx, y + dy), np.zeros(3, np.int64)) for (dx, dy), share in shares)
            wanted = lab[y, x] + ((taken + (1 << shift >> 1)) >> shift)
            best = int(((targets - wanted) ** 2).sum(axis=1).argmin())
            errors[x, y] = np.clip(wanted - targets[best], -spread(palette), spread(palette))
            result[y, x] = (*palette[best], rgba[y, x, 3])
    assert np.array_equal(quantize(rgba, palette, dither), result)


@pytest.mark.parametrize(("dither", "side"), [("bayer2", 2), ("bayer4", 4), ("bayer8", 8)])
def test_the_pattern_starts_at_the_pictures_corner_and_repeats(dither: str, side: int) -> None:
    whole = quantize(flat(gray(0.4), 19), BLACK_AND_WHITE, dither)
    assert np.array_equal(whole[side:, side:], whole[:-side, :-side])
    assert np.array_equal(quantize(flat(gray(0.4), 7), BLACK_AND_WHITE, dither), whole[:7, :7])


@pytest.mark.parametrize(("dither", "side"), [("bayer2", 2), ("bayer4", 4), ("bayer8", 8)])
def test_lightness_between_black_and_white_is_the_share_of_white(dither: str, side: int) -> None:
    for step in range(1, side * side, 3):
        result = quantize(flat(gray(step / side**2), 16), BLACK_AND_WHITE, dither)
        assert abs((result[..., 0] == 255).mean() - step / side**2) <= 1 / side**2


def test_bayers_matrix_is_the_published_one() -> None:
    assert module._bayer(2).tolist() == [[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]]
    assert sorted(module._bayer(3).ravel().tolist()) == list(range(64))


@pytest.mark.parametrize("lightness", [0.2, 0.35, 0.5, 0.65, 0.8])
def test_floyd_steinberg_keeps_the_mean_lightness(lightness: float) -> None:
    result = quantize(flat(gray(lightness), 64), BLACK_AND_WHITE, "floyd-steinberg")
    assert abs((result[..., 0] == 255).mean() - lightness) < 0.02


def test_the_shares_are_the_whole_error_and_three_quarters_of_it() -> None:
    assert sum(share for _, share in FLOYD_STEINBERG) == 16
    assert sum(share for _, share in ATKINSON) * 4 == 3 * 8


def test_the_spread_is_the_mean_distance_to_the_nearest_other_color() -> None:
    assert spread(BLACK_AND_WHITE) == pytest.approx(oklab.STEPS, rel=1e-6)
    palette = ((0, 0, 0), (10, 10, 10), (255, 255, 255), (255, 255, 255))
    black, dark, white = oklab.oklab(np.array(palette[:3], np.uint8))[:, 0] * oklab.STEPS
    assert spread(palette) == pytest.approx((2 * (dark - black) + (white - dark)) / 3, rel=1e-6)
    assert spread(((1, 2, 3),)) == 0


@every
def test_colors_that_the_palette_has_stay_flat(dither: str) -> None:
    palette = ((0, 0, 0), (20, 20, 20), (255, 255, 255))
    assert np.array_equal(quantize(flat((20, 20, 20), 9), palette, dither), flat((20, 20, 20), 9))


@every
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (3, 5), (2, 64)])
def test_narrow_pictures_are_dithered_too(dither: str, shape: tuple[int, int]) -> None:
    rgba = np.random.default_rng(1).integers(0, 256, (*shape, 4), np.uint8)
    assert quantize(rgba, BLACK_AND_WHITE, dither).shape == rgba.shape


@every
def test_a_picture_without_a_visible_pixel_becomes_empty(dither: str) -> None:
    assert not quantize(np.full((5, 5, 4), (9, 9, 9, 0), np.uint8), BLACK_AND_WHITE, dither).any()


@every
def test_the_bytes_of_a_picture_in_every_color_are_these(dither: str) -> None:
    """Golden: no library, processor or later version may choose otherwise."""
    y, x = np.mgrid[:256, :256]
    rgba = np.stack([x, y, (x * 7 + y * 13) % 256, np.where(x % 17, 255, y % 2)], axis=2).astype(np.uint8)
    palette = tuple((n * 37 % 256, n * 91 % 256, n * 151 % 256) for n in range(32))
    assert hashlib.sha256(quantize(rgba, palette, dither).tobytes()).hexdigest() == GOLDEN[dither]


def test_the_names_are_these() -> None:
    assert DITHERS == ("none", "bayer2", "bayer4", "bayer8", "floyd-steinberg", "atkinson")
    assert set(DITHERS) == {"none", *ORDERED, *DIFFUSED}
