"""Hard edges."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from spritebuild_stages.ops.alpha import binarize, clear_hidden

pictures = arrays(np.uint8, st.tuples(st.integers(1, 8), st.integers(1, 8), st.just(4)))


@given(pictures, st.integers(1, 255))
def test_alpha_becomes_all_or_nothing(rgba: NDArray[np.uint8], threshold: int) -> None:
    result = binarize(rgba, threshold)
    opaque = rgba[..., 3] >= threshold
    assert (result[opaque, 3] == 255).all()
    assert np.array_equal(result[opaque, :3], rgba[opaque, :3])
    assert not result[~opaque].any()


@given(pictures, st.integers(1, 255))
def test_a_second_time_changes_nothing(rgba: NDArray[np.uint8], threshold: int) -> None:
    once = binarize(rgba, threshold)
    assert np.array_equal(binarize(once, threshold), once)


@given(pictures)
def test_only_hidden_color_is_cleared(rgba: NDArray[np.uint8]) -> None:
    before = rgba.copy()
    result = clear_hidden(rgba)
    hidden = rgba[..., 3] == 0
    assert not result[hidden].any()
    assert np.array_equal(result[~hidden], rgba[~hidden])
    assert np.array_equal(rgba, before)


@pytest.mark.parametrize("threshold", [0, 256])
def test_a_threshold_out_of_range_is_an_error(threshold: int) -> None:
    with pytest.raises(ValueError, match=r"1\.\.255"):
        binarize(np.zeros((1, 1, 4), np.uint8), threshold)
