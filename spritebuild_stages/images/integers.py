"""Pixels as whole numbers, for what sorts and compares them; knows neither files nor operations."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

LUMA = (299, 587, 114)  # Rec. 601: what red, green and blue count in lightness, in thousandths
COLOR, ALPHA = 0xFFFFFF, 0xFF000000  # the bits of a word that are red, green and blue, and those that are alpha
Whole = NDArray[np.integer[Any]]  # uint32; NumPy's stubs forget the width when such an array is shifted

LITTLE, BIG = np.dtype("<u4"), np.dtype(">u4")


def pack(rgba: NDArray[np.uint8]) -> Whole:
    """uint8 (..., 4) as uint32 (...), red in the high byte and alpha in the low one."""
    return np.ascontiguousarray(rgba).view(BIG)[..., 0].astype(np.uint32)


def unpack(packed: Whole) -> NDArray[np.uint8]:
    """The inverse of `pack`: uint32 (...) as uint8 (..., 4)."""
    return packed.astype(BIG)[..., None].view(np.uint8)


def words(rgba: NDArray[np.uint8]) -> Whole:
    """uint8 (..., 4) as uint32 (...), alpha in the high byte and red in the low one; where it can, the same memory.

    A pixel is visible if it is more than COLOR. On nearly every machine this costs nothing, and `pack` a pass.
    """
    return np.ascontiguousarray(rgba).view(LITTLE)[..., 0]


def channels(words: Whole) -> NDArray[np.uint8]:
    """The inverse of `words`: uint32 (...) as uint8 (..., 4), likewise."""
    return words.astype(LITTLE, copy=False)[..., None].view(np.uint8)


def distinct(values: Whole) -> Whole:
    """The sorted distinct values of an array of any shape, at least one.

    np.unique gives the same, since NumPy 2.3 by hashing: a million different values then take 0.6 s, sorted 0.01.
    """
    ordered = values.flatten()
    ordered.sort()
    first = np.empty(len(ordered), np.bool_)
    first[0] = True
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    return ordered[first]
