"""Pixels as whole numbers, and as the scanlines of a PNG."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from spritebuild_stages.images import scanlines
from spritebuild_stages.images.integers import ALPHA, COLOR, channels, distinct, pack, unpack, words
from spritebuild_stages.ops.alpha import binarize, clear_hidden
from spritebuild_stages.ops.outline import outline
from spritebuild_stages.ops.quantize import quantize

pictures = arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(4)))


def test_the_bits_of_a_pixel_are_these() -> None:
    pixel = np.array([1, 2, 3, 4], np.uint8)
    assert int(pack(pixel)) == 0x01020304
    assert int(words(pixel)) == 0x04030201
    assert int(words(pixel)) & COLOR == 0x030201
    assert int(words(pixel)) & ALPHA == 0x04000000


@given(pictures)
def test_numbers_are_taken_apart_again(rgba: NDArray[np.uint8]) -> None:
    assert np.array_equal(unpack(pack(rgba)), rgba)
    assert np.array_equal(channels(words(rgba)), rgba)
    assert np.array_equal(words(rgba) > COLOR, rgba[..., 3] > 0)


@given(pictures)
def test_distinct_values_are_those_of_numpy(rgba: NDArray[np.uint8]) -> None:
    values = pack(rgba % 3)
    assert np.array_equal(distinct(values), np.unique(values))


@given(pictures)
def test_operations_take_arrays_of_any_order_and_leave_them_as_they_are(rgba: NDArray[np.uint8]) -> None:
    turned = np.asfortranarray(rgba)
    part = np.pad(rgba, ((1, 1), (1, 1), (0, 0)))[1:-1, 1:-1]
    before = rgba.copy()
    for operation in (
        clear_hidden,
        lambda one: binarize(one, 90),
        lambda one: quantize(one, ((1, 2, 3), (200, 100, 0))),
        lambda one: outline(one, (9, 8, 7), 1, True),
        lambda one: outline(one, (9, 8, 7), 2, False, "inner"),
    ):
        made = operation(rgba)
        assert np.array_equal(operation(turned), made)
        assert np.array_equal(operation(part), made)
        assert not np.shares_memory(made, rgba)
        assert made.flags.writeable
        assert np.array_equal(rgba, before)


@given(st.data(), st.sampled_from([1, 2, 4, 8]), st.integers(1, 20), st.integers(1, 5))
def test_indices_are_unpacked_again(data: st.DataObject, depth: int, width: int, height: int) -> None:
    values = data.draw(arrays(np.uint8, (height, width), elements=st.integers(0, (1 << depth) - 1)))
    lines = scanlines.unfiltered(values, depth)
    assert len(lines) == scanlines.size(width, height, depth)
    found = scanlines.indices(lines, width, height, depth)
    assert found is not None
    assert np.array_equal(found, values)
    row = len(lines) // height
    for number in range(height):
        changed = bytearray(lines)
        changed[number * row] = 1
        assert scanlines.indices(changed, width, height, depth) is None
