"""More contrast at edges."""

from __future__ import annotations

import hashlib
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from spritebuild_stages.ops.sharpen import BAND, sharpen

values = st.one_of(st.just(0), st.integers(0, 255))
pictures = arrays(np.uint8, st.tuples(st.integers(1, 7), st.integers(1, 7), st.just(4)), elements=values)


def by_hand(rgba: NDArray[np.uint8], radius: int, percent: int, threshold: int) -> list[list[list[int]]]:
    """The formula with fractions, pixel by pixel."""
    result = rgba.tolist()
    height, width = rgba.shape[:2]
    for y, x in np.argwhere(rgba[..., 3] > 0).tolist():
        around = [
            ((radius + 1 - abs(v - y)) * (radius + 1 - abs(u - x)) * int(rgba[v, u, 3]), rgba[v, u].tolist())
            for v in range(max(y - radius, 0), min(y + radius + 1, height))
            for u in range(max(x - radius, 0), min(x + radius + 1, width))
        ]
        for channel in range(3):
            blurred = Fraction(sum(w * p[channel] for w, p in around), sum(w for w, _ in around))
            difference = int(rgba[y, x, channel]) - blurred
            if abs(difference) >= threshold:
                added = (difference * percent / 100 + Fraction(1, 2)).__floor__()
                result[y][x][channel] = min(max(int(rgba[y, x, channel]) + added, 0), 255)
    return result


@given(pictures, st.integers(1, 8), st.integers(0, 500), st.integers(0, 60))
def test_it_is_the_formula_of_the_unsharp_mask(
    rgba: NDArray[np.uint8], radius: int, percent: int, threshold: int
) -> None:
    before = rgba.copy()
    assert sharpen(rgba, radius, percent, threshold).tolist() == by_hand(rgba, radius, percent, threshold)
    assert np.array_equal(rgba, before)


def test_an_edge_is_raised_on_both_sides() -> None:
    rgba = np.full((1, 6, 4), 255, np.uint8)
    rgba[0, :3, :3], rgba[0, 3:, :3] = 100, 140
    assert sharpen(rgba)[0, :, 0].tolist() == [100, 100, 90, 150, 140, 140]


def test_hidden_color_does_not_bleed_in() -> None:
    rgba = np.full((5, 5, 4), (120, 60, 30, 255), np.uint8)
    rgba[:, 3:] = (255, 255, 255, 0)
    assert np.array_equal(sharpen(rgba, 4, 500), rgba)


def test_bands_leave_no_trace() -> None:
    y, x = np.mgrid[: BAND * 2 + 5, :9]
    rgba = np.stack([x * y % 251, y % 256, x * 20, 255 - x * y % 13], axis=2).astype(np.uint8)
    whole, part = sharpen(rgba, 8), sharpen(rgba[BAND - 20 : BAND + 20], 8)
    assert np.array_equal(whole[BAND - 12 : BAND + 12], part[8:-8])


def test_bytes_are_those_of_every_machine() -> None:
    y, x = np.mgrid[:90, :70]
    rgba = np.stack([x * y % 256, (x * x + y) % 256, (x ^ y) % 256, (x * 7 + y * 3) % 256], axis=2).astype(np.uint8)
    digest = hashlib.sha256(sharpen(rgba, 3, 180, 4).tobytes()).hexdigest()
    assert digest == "79f7944193fea14f55dc114ce3f96fd696ca42bb678736858ba2c99344afd751"


@pytest.mark.parametrize("numbers", [(0, 100, 0), (9, 100, 0), (1, -1, 0), (1, 501, 0), (1, 100, -1), (1, 100, 256)])
def test_a_number_out_of_range_is_an_error(numbers: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match=r"is \d+\.\.\d+, not"):
        sharpen(np.zeros((1, 1, 4), np.uint8), *numbers)
