"""Every visible color to the nearest of a palette."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from spritebuild_stages.ops import oklab as module
from spritebuild_stages.ops.quantize import DITHERS, Palette, oklab, quantize

pictures = arrays(np.uint8, st.tuples(st.integers(1, 8), st.integers(1, 8), st.just(4)))
GOLDEN = "328bd56fd7c1a106a15e45a284cf3f62bfe7812517da8174c4a5c5c0b7b91e40"
palettes = st.lists(st.tuples(*[st.integers(0, 255)] * 3), min_size=1, max_size=40).map(tuple)


def by_the_book(rgb: tuple[int, ...]) -> NDArray[np.float64]:
    """OKLab of one color, as its author's page writes it, in plain floats."""
    r, g, b = (v / 255 / 12.92 if v / 255 <= 0.04045 else ((v / 255 + 0.055) / 1.055) ** 2.4 for v in rgb)
    long = (0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b) ** (1 / 3)
    medium = (0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b) ** (1 / 3)
    short = (0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b) ** (1 / 3)
    return np.array(
        [
            0.2104542553 * long + 0.7936177850 * medium - 0.0040720468 * short,
            1.9779984951 * long - 2.4285922050 * medium + 0.4505937099 * short,
            0.0259040371 * long + 0.7827717662 * medium - 0.8086757660 * short,
        ]
    )


@pytest.mark.parametrize(
    ("rgb", "lab"),  # as published with CSS Color 4: oklab() of the named colors
    [
        ((255, 255, 255), (1.0, 0.0, 0.0)),
        ((0, 0, 0), (0.0, 0.0, 0.0)),
        ((255, 0, 0), (0.62796, 0.22486, 0.12585)),
        ((0, 255, 0), (0.86644, -0.23389, 0.17950)),
        ((0, 0, 255), (0.45201, -0.03246, -0.31153)),
    ],
)
def test_oklab_of_known_colors(rgb: tuple[int, int, int], lab: tuple[float, float, float]) -> None:
    assert oklab(np.array([rgb], np.uint8))[0] == pytest.approx(lab, abs=2e-5)


@given(pictures, palettes)
def test_the_nearest_color_is_chosen(rgba: NDArray[np.uint8], palette: Palette) -> None:
    result = quantize(rgba, palette)
    targets = np.array([by_the_book(color) for color in palette])
    for before, after in zip(rgba.reshape(-1, 4).tolist(), result.reshape(-1, 4).tolist(), strict=True):
        if before[3]:
            distances = np.linalg.norm(targets - by_the_book(tuple(before[:3])), axis=1)
            assert distances[palette.index(tuple(after[:3]))] <= distances.min() + 1e-6


@given(pictures, palettes)
def test_alpha_stays_and_hidden_color_goes(rgba: NDArray[np.uint8], palette: Palette) -> None:
    before = rgba.copy()
    result = quantize(rgba, palette)
    assert np.array_equal(result[..., 3], rgba[..., 3])
    assert not result[rgba[..., 3] == 0].any()
    assert np.array_equal(rgba, before)


@given(pictures, palettes)
def test_a_second_time_changes_nothing(rgba: NDArray[np.uint8], palette: Palette) -> None:
    once = quantize(rgba, palette)
    assert np.array_equal(quantize(once, palette), once)


@given(pictures)
def test_a_palette_of_the_pictures_own_colors_changes_nothing_visible(rgba: NDArray[np.uint8]) -> None:
    palette = tuple(dict.fromkeys((r, g, b) for r, g, b, _ in rgba.reshape(-1, 4).tolist()))
    visible = rgba[..., 3] > 0
    assert np.array_equal(quantize(rgba, palette)[visible], rgba[visible])


def test_the_first_of_equally_near_colors_wins() -> None:
    color = module.steps(oklab(np.array([[10, 20, 30]], np.uint8)))
    assert module.nearest(color, ((255, 0, 0), (50, 60, 70), (50, 60, 70))).tolist() == [1]


def test_more_colors_than_a_block_are_compared_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    y, x = np.mgrid[:60, :60]
    rgba = np.stack([x * 4, y * 4, (x + y) * 2, np.full_like(x, 255)], axis=2).astype(np.uint8)
    palette = ((0, 0, 0), (200, 40, 60), (20, 220, 120), (250, 250, 250))
    whole = quantize(rgba, palette)
    monkeypatch.setattr(module, "BLOCK", 7)
    assert np.array_equal(quantize(rgba, palette), whole)


@pytest.mark.parametrize("dither", DITHERS)
def test_an_empty_palette_is_an_error(dither: str) -> None:
    with pytest.raises(ValueError, match="empty"):
        quantize(np.zeros((1, 1, 4), np.uint8), (), dither)


def test_a_palette_of_65_536_colors_is_an_error() -> None:
    with pytest.raises(ValueError, match="65,536 colors, more than 65,535"):
        quantize(np.zeros((1, 1, 4), np.uint8), tuple((0, n >> 8, n & 255) for n in range(1 << 16)))


@pytest.mark.parametrize("count", [254, 255, 256])
def test_colors_seen_before_are_found_alike(count: int) -> None:
    """The last color, the first and black are where a table of what was found could go wrong: of bytes up to 255."""
    palette = tuple((n, n, 255 - n) for n in range(count))
    rgba = np.array([[(*color, 255) for color in ((0, 0, 0), *palette)]], np.uint8)
    first = quantize(rgba, palette)
    assert np.array_equal(quantize(rgba, palette), first)
    assert np.array_equal(first[0, 1:], rgba[0, 1:])
    assert np.array_equal(quantize(rgba[:, ::-1], palette[::-1])[:, ::-1][:, 1:], rgba[:, 1:])


def test_an_unknown_dither_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"dither is one of none, bayer2, .*, not 'bayer3'"):
        quantize(np.zeros((1, 1, 4), np.uint8), ((0, 0, 0),), "bayer3")


def test_the_bytes_of_a_picture_in_every_color_are_these() -> None:
    """Golden: no library, processor or later version may choose otherwise."""
    y, x = np.mgrid[:256, :256]
    rgba = np.stack([x, y, (x * 7 + y * 13) % 256, np.where(x % 17, 255, y % 2)], axis=2).astype(np.uint8)
    palette = tuple((n * 37 % 256, n * 91 % 256, n * 151 % 256) for n in range(32))
    assert hashlib.sha256(quantize(rgba, palette).tobytes()).hexdigest() == GOLDEN
