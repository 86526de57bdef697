"""A palette swap."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from spritebuild_stages.ops.oklab import Palette
from spritebuild_stages.ops.recolor import swap

# Few values of a channel, so that pictures hold colors of the palettes.
pictures = arrays(np.uint8, st.tuples(st.integers(1, 8), st.integers(1, 8), st.just(4)), elements=st.integers(0, 2))
colors = st.tuples(*[st.integers(0, 2)] * 3)
pairs = st.dictionaries(colors, colors, min_size=1).map(lambda swaps: (tuple(swaps), tuple(swaps.values())))


@given(pictures, pairs)
def test_exactly_the_colors_of_the_source_are_replaced(
    rgba: NDArray[np.uint8], palettes: tuple[Palette, Palette]
) -> None:
    before = rgba.copy()
    result = swap(rgba, *palettes)
    swaps = dict(zip(*palettes, strict=True))
    for old, new in zip(rgba.reshape(-1, 4).tolist(), result.reshape(-1, 4).tolist(), strict=True):
        color = tuple(old[:3])
        assert new == [*(swaps.get(color, color) if old[3] else color), old[3]]
    assert np.array_equal(rgba, before)


@given(pictures, pairs)
def test_a_swap_to_colors_of_its_own_is_undone_by_its_inverse(
    rgba: NDArray[np.uint8], palettes: tuple[Palette, Palette]
) -> None:
    source, _ = palettes
    target = tuple((red + 100, green, blue) for red, green, blue in source)
    assert np.array_equal(swap(swap(rgba, source, target), target, source), rgba)


def test_two_colors_change_places() -> None:
    rgba = np.array([[(1, 0, 0, 255), (2, 0, 0, 40), (3, 0, 0, 255)]], np.uint8)
    swapped = swap(rgba, ((1, 0, 0), (2, 0, 0)), ((2, 0, 0), (1, 0, 0)))
    assert swapped.tolist() == [[[2, 0, 0, 255], [1, 0, 0, 40], [3, 0, 0, 255]]]


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        (((0, 0, 0),), (), "1 colors to replace, but 0"),
        ((), (), "empty"),
        (((0, 0, 1), (0, 0, 1)), ((1, 1, 1), (2, 2, 2)), "#000001 is to be replaced twice"),
    ],
)
def test_palettes_that_do_not_fit_are_an_error(source: Palette, target: Palette, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        swap(np.zeros((1, 1, 4), np.uint8), source, target)
