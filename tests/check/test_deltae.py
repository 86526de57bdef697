"""Colors are as far apart as published."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from spritebuild.check.deltae import BLOCK, channels, ciede2000, delta_e, lab

# Sharma, Wu and Dalal (2005), table 1: two colors in CIELAB and their difference.
PUBLISHED = """
50.0000 2.6772 -79.7751 50.0000 0.0000 -82.7485 2.0425
50.0000 3.1571 -77.2803 50.0000 0.0000 -82.7485 2.8615
50.0000 2.8361 -74.0200 50.0000 0.0000 -82.7485 3.4412
50.0000 -1.3802 -84.2814 50.0000 0.0000 -82.7485 1.0000
50.0000 -1.1848 -84.8006 50.0000 0.0000 -82.7485 1.0000
50.0000 -0.9009 -85.5211 50.0000 0.0000 -82.7485 1.0000
50.0000 0.0000 0.0000 50.0000 -1.0000 2.0000 2.3669
50.0000 -1.0000 2.0000 50.0000 0.0000 0.0000 2.3669
50.0000 2.4900 -0.0010 50.0000 -2.4900 0.0009 7.1792
50.0000 2.4900 -0.0010 50.0000 -2.4900 0.0010 7.1792
50.0000 2.4900 -0.0010 50.0000 -2.4900 0.0011 7.2195
50.0000 2.4900 -0.0010 50.0000 -2.4900 0.0012 7.2195
50.0000 -0.0010 2.4900 50.0000 0.0009 -2.4900 4.8045
50.0000 -0.0010 2.4900 50.0000 0.0010 -2.4900 4.8045
50.0000 -0.0010 2.4900 50.0000 0.0011 -2.4900 4.7461
50.0000 2.5000 0.0000 50.0000 0.0000 -2.5000 4.3065
50.0000 2.5000 0.0000 73.0000 25.0000 -18.0000 27.1492
50.0000 2.5000 0.0000 61.0000 -5.0000 29.0000 22.8977
50.0000 2.5000 0.0000 56.0000 -27.0000 -3.0000 31.9030
50.0000 2.5000 0.0000 58.0000 24.0000 15.0000 19.4535
50.0000 2.5000 0.0000 50.0000 3.1736 0.5854 1.0000
50.0000 2.5000 0.0000 50.0000 3.2972 0.0000 1.0000
50.0000 2.5000 0.0000 50.0000 1.8634 0.5757 1.0000
50.0000 2.5000 0.0000 50.0000 3.2592 0.3350 1.0000
60.2574 -34.0099 36.2677 60.4626 -34.1751 39.4387 1.2644
63.0109 -31.0961 -5.8663 62.8187 -29.7946 -4.0864 1.2630
61.2901 3.7196 -5.3901 61.4292 2.2480 -4.9620 1.8731
35.0831 -44.1164 3.7933 35.0232 -40.0716 1.5901 1.8645
22.7233 20.0904 -46.6940 23.0331 14.9730 -42.5619 2.0373
36.4612 47.8580 18.3852 36.2715 50.5065 21.2231 1.4146
90.8027 -2.0831 1.4410 91.1528 -1.6435 0.0447 1.4441
90.9257 -0.5406 -0.9208 88.6381 -0.8985 -0.7239 1.5381
6.7747 -0.2908 -2.4247 5.8714 -0.0985 -2.2286 0.6377
2.0776 0.0795 -1.1350 0.9033 -0.0636 -0.5514 0.9082
"""
colors = arrays(np.uint32, st.integers(1, 40), elements=st.integers(0, 0xFFFFFF))


def published() -> NDArray[np.float64]:
    return np.array([row.split() for row in PUBLISHED.split("\n") if row], np.float64)


def test_the_34_published_pairs_are_met_to_their_last_digit_in_both_orders() -> None:
    pairs = published()
    assert len(pairs) == 34
    for first, second in ((slice(0, 3), slice(3, 6)), (slice(3, 6), slice(0, 3))):
        assert np.abs(ciede2000(pairs[:, first], pairs[:, second]) - pairs[:, 6]).max() < 5.1e-5


@pytest.mark.parametrize(
    ("rgb", "expected"),
    [
        ((0, 0, 0), (0, 0, 0)),
        ((255, 255, 255), (100, 0, 0)),
        ((255, 0, 0), (53.24, 80.09, 67.20)),
        ((0, 255, 0), (87.73, -86.18, 83.18)),
        ((0, 0, 255), (32.30, 79.19, -107.86)),
        ((128, 128, 128), (53.59, 0, 0)),
    ],
)
def test_the_corners_of_srgb_have_their_known_place(
    rgb: tuple[int, int, int], expected: tuple[float, float, float]
) -> None:
    assert lab(np.array([rgb], np.uint8))[0] == pytest.approx(expected, abs=0.05)


def test_white_and_black_are_a_hundred_apart_whatever_else_is_asked() -> None:
    old = np.array([0, 0xFFFFFF, 0x336699, 0], np.uint32)
    new = np.array([0xFFFFFF, 0, 0x336699, 0xFFFFFF], np.uint32)
    assert delta_e(old, new) == pytest.approx([100, 100, 0, 100])


@given(colors)
def test_no_color_differs_from_itself(some: NDArray[np.uint32]) -> None:
    assert not delta_e(some, some).any()


@given(colors)
def test_the_order_of_two_colors_does_not_matter(some: NDArray[np.uint32]) -> None:
    other = some[::-1]
    there, back = delta_e(some, other), delta_e(other, some)
    assert np.isfinite(there).all()
    assert np.allclose(there, back, atol=1e-9)
    assert (there[some != other] > 0).all()


def test_more_pairs_than_a_block_are_each_their_own() -> None:
    old = np.arange(BLOCK + 10, dtype=np.uint32) * 97 % (1 << 24)
    new = old ^ 0x40
    found = delta_e(old, new)
    for place in (0, 1, BLOCK - 1, BLOCK, BLOCK + 9):
        assert found[place] == pytest.approx(delta_e(old[place : place + 1], new[place : place + 1])[0], abs=1e-12)


def test_nothing_has_no_difference() -> None:
    assert delta_e(np.empty(0, np.uint32), np.empty(0, np.uint32)).shape == (0,)


def test_channels_are_red_green_and_blue() -> None:
    assert channels(np.array([0x010203], np.uint32)).tolist() == [[1, 2, 3]]
