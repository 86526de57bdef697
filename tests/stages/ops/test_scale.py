"""Enlargement by whole factors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from spritebuild_stages.ops.scale import epx, nearest

pictures = arrays(np.uint8, st.tuples(st.integers(1, 6), st.integers(1, 6), st.just(4)))


@given(pictures, st.integers(1, 5))
def test_every_pixel_becomes_a_square_of_itself(rgba: NDArray[np.uint8], factor: int) -> None:
    result = nearest(rgba, factor)
    assert result.shape == (rgba.shape[0] * factor, rgba.shape[1] * factor, 4)
    for y in range(factor):
        for x in range(factor):
            assert np.array_equal(result[y::factor, x::factor], rgba)


def test_a_factor_below_1_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        nearest(np.zeros((1, 1, 4), np.uint8), 0)


few = arrays(np.intp, st.tuples(st.integers(1, 6), st.integers(1, 6)), elements=st.integers(0, 3)).map(
    lambda indices: np.array([(0, 0, 0, 0), (9, 0, 0, 255), (0, 9, 0, 255), (9, 9, 0, 80)], np.uint8)[indices]
)


def by_hand(rgba: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """Scale2x and Scale3x as their author writes them: A to I are the pixel E and those around it."""
    height, width = rgba.shape[:2]
    result = np.zeros((height * factor, width * factor, 4), np.uint8)
    for y, x in np.ndindex(height, width):
        near = [
            tuple(rgba[min(max(y + dy, 0), height - 1), min(max(x + dx, 0), width - 1)].tolist())
            for dy in (-1, 0, 1)
            for dx in (-1, 0, 1)
        ]
        a, b, c, d, e, f, g, h, i = near
        parts = [e] * factor * factor
        if b != h and d != f:
            if factor == 2:
                parts = [d if d == b else e, f if b == f else e, d if d == h else e, f if h == f else e]
            else:
                parts = [
                    d if d == b else e,
                    b if (d == b and e != c) or (b == f and e != a) else e,
                    f if b == f else e,
                    d if (d == b and e != g) or (d == h and e != a) else e,
                    e,
                    f if (b == f and e != i) or (h == f and e != c) else e,
                    d if d == h else e,
                    h if (d == h and e != i) or (h == f and e != g) else e,
                    f if h == f else e,
                ]
        block = np.array(parts, np.uint8).reshape(factor, factor, 4)
        result[y * factor : (y + 1) * factor, x * factor : (x + 1) * factor] = block
    return result


@given(few)
def test_epx_is_scale2x_and_scale3x(rgba: NDArray[np.uint8]) -> None:
    before = rgba.copy()
    assert np.array_equal(epx(rgba, 2), by_hand(rgba, 2))
    assert np.array_equal(epx(rgba, 3), by_hand(rgba, 3))
    assert np.array_equal(epx(rgba, 4), by_hand(by_hand(rgba, 2), 2))
    assert np.array_equal(rgba, before)


def test_color_that_is_hidden_counts_as_one() -> None:
    rgba = np.zeros((3, 3, 4), np.uint8)
    rgba[..., :3] = np.random.default_rng(0).integers(0, 256, (3, 3, 3))
    rgba[1, 1] = 255
    assert np.array_equal(epx(rgba, 2), epx(np.where(rgba[..., 3:] > 0, rgba, 0).astype(np.uint8), 2))


@pytest.mark.parametrize("factor", [1, 5, 6])
def test_epx_has_three_factors(factor: int) -> None:
    with pytest.raises(ValueError, match="2, 3 or 4"):
        epx(np.zeros((1, 1, 4), np.uint8), factor)
