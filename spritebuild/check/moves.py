"""Whether a picture is another one flipped or moved by a few pixels; knows no rules and no words."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Packed = NDArray[np.integer[Any]]
Bytes = NDArray[np.uint8]

FLIPS = ("x", "y", "xy")
BLOCK = 1 << 15  # pixels of a block of rows, of which every candidate that is left has a copy
FIRST = 1 << 8  # and of the first block, in the middle of the picture: it drops most


def steps(old: Packed, new: Packed) -> Bytes:
    """How far the channels of pixels are apart: uint32 (..., W) that broadcast to uint8 (..., 4 W)."""
    one, other = old.view(np.uint8), new.view(np.uint8)
    apart = np.maximum(one, other)
    apart -= np.minimum(one, other)
    return apart


def move(
    old: Packed, new: Packed, tolerance: Bytes, flip: int, shift: int, reach: int
) -> tuple[str, tuple[int, int] | None]:
    """How `old` was flipped, one of FLIPS, or moved to become `new`; ("", None) if it was neither.

    Both are uint32 (H, W), whose bytes are the channels; one that is off by more than its `tolerance`, uint8 (4,),
    makes a pixel unfit. At most `flip` pixels are unfit after a flip, `shift` after a shift by (dx, dy), each of
    -reach..reach. What then comes in at the edge is nothing or, for tiles, what left at the other. A flip comes before
    a shift, then the one with fewer unfit pixels, then the shorter.
    """
    height, width = old.shape
    by = [(dx, dy) for dx, dy in _vectors(reach) if abs(dx) < width and abs(dy) < height]
    wide = np.zeros((height + 2 * reach, width + 2 * reach), old.dtype)
    wide[reach : reach + height, reach : reach + width] = old
    flips = [old[:, ::-1], old[::-1], old[::-1, ::-1]]
    most = np.array([flip] * len(flips) + [shift] * len(by))
    limits = np.tile(tolerance, width)
    counts = _unfit(flips + _windows(wide, by, old.shape, reach), new, limits, most)
    if (axis := _fewest(counts[: len(flips)])) is not None:
        return FLIPS[axis], None
    best = _fewest(counts[len(flips) :])
    if best is None and (new[0].any() or new[-1].any() or new[:, 0].any() or new[:, -1].any()):
        wrapped = _windows(_wrapped(old, reach), by, old.shape, reach)
        best = _fewest(_unfit(wrapped, new, limits, most[len(flips) :]))
    return "", None if best is None else by[best]


@lru_cache(maxsize=4)
def _vectors(reach: int) -> tuple[tuple[int, int], ...]:
    """All but (0, 0), the shortest first."""
    span = range(-reach, reach + 1)
    vectors = [(dx, dy) for dy in span for dx in span if dx or dy]
    return tuple(sorted(vectors, key=lambda vector: (vector[0] ** 2 + vector[1] ** 2, vector)))


def _wrapped(old: Packed, reach: int) -> Packed:
    height, width = old.shape
    rows, columns = np.arange(-reach, height + reach) % height, np.arange(-reach, width + reach) % width
    return np.asarray(old[rows[:, None], columns])


def _windows(wide: Packed, moves: Sequence[tuple[int, int]], shape: tuple[int, ...], reach: int) -> list[Packed]:
    height, width = shape
    return [wide[reach - dy : reach - dy + height, reach - dx : reach - dx + width] for dx, dy in moves]


def _unfit(candidates: list[Packed], new: Packed, tolerance: Bytes, most: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many pixels of each candidate do not fit, or -1 where there are more than its `most`.

    Rows are compared in blocks, and a candidate is dropped as soon as it has too many.
    """
    height, width = new.shape
    middle = height // 2
    first = min(height, middle + max(1, FIRST // width))
    rows = max(1, BLOCK // width)
    blocks = [(middle, first)]
    blocks += [
        (top, min(end, top + rows)) for start, end in ((0, middle), (first, height)) for top in range(start, end, rows)
    ]
    counts = np.zeros(len(candidates), np.int64)
    left = np.flatnonzero(most >= 0)
    for top, bottom in blocks:
        if not len(left):
            break
        some = np.empty((len(left), bottom - top, width), new.dtype)
        for place, candidate in enumerate(left.tolist()):
            some[place] = candidates[candidate][top:bottom]
        over = steps(some, new[top:bottom]) > tolerance
        counts[left] += np.count_nonzero(over.view(np.uint32), axis=(1, 2))
        left = left[counts[left] <= most[left]]
    found = np.full(len(candidates), -1)
    found[left] = counts[left]
    return found


def _fewest(counts: NDArray[np.int64]) -> int | None:
    """The place of the least count that is not -1, the first of equals."""
    places = np.flatnonzero(counts >= 0)
    return int(places[counts[places].argmin()]) if len(places) else None
