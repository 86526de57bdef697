"""Enlargement by whole factors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from spritebuild_stages.ops.scale import nearest

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
