"""Connected areas of equal value, of any shape and number; knows no color and no alpha."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.int32]


@dataclass(frozen=True)
class Areas:
    """The areas of a picture: `labels` int32 (H, W) of 0..N-1, and the pixels that each has, int64 (N,)."""

    labels: Labels
    sizes: NDArray[np.int64]


def areas(values: NDArray[Any], corners: bool) -> Areas:
    """The connected areas of equal `values` (H, W), by the four neighbors, or by all eight with `corners`.

    Areas are numbered by their first pixels in reading order. Time is near linear in the pixels, whatever the shapes:
    the runs of every row are joined with those of the row above (Rosenfeld and Pfaltz, "Sequential Operations in
    Digital Picture Processing", 1966), all at a time, by hooking each tree of joined runs to its least neighbor and
    halving all paths (Shiloach and Vishkin, "An O(log n) Parallel Connectivity Algorithm", 1982).
    """
    starts = np.ones(values.shape, np.bool_)
    np.not_equal(values[:, 1:], values[:, :-1], out=starts[:, 1:])
    runs = np.cumsum(starts, dtype=np.int32).reshape(values.shape) - np.int32(1)
    lengths = np.diff(np.flatnonzero(starts), append=values.size)
    first, second = (np.concatenate(ends) for ends in zip(*_touching(values, starts, runs, corners), strict=True))
    roots = _roots(len(lengths), first, second)
    numbers = np.cumsum(roots == np.arange(len(roots)), dtype=np.int32) - np.int32(1)
    of_run = numbers[roots]
    sizes = np.zeros(int(numbers[-1]) + 1, np.int64)
    np.add.at(sizes, of_run, lengths)
    return Areas(of_run[runs], sizes)


def _touching(
    values: NDArray[Any], starts: NDArray[np.bool_], runs: Labels, corners: bool
) -> list[tuple[Labels, Labels]]:
    """Pairs of runs of equal value that touch in rows that follow each other, each pair about once."""
    above, below = values[:-1], values[1:]
    # Two runs that touch begin to do so where one of them starts.
    joined = (above == below) & (starts[:-1] | starts[1:])
    pairs = [(runs[:-1][joined], runs[1:][joined])]
    if corners:
        level = above == below
        for here, there in ((np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:, 1:], np.s_[:, :-1])):
            # Where one of the two pixels between has their value, the runs touch by a side or are one.
            joined = (above[here] == below[there]) & ~level[here] & ~level[there]
            pairs.append((runs[:-1][here][joined], runs[1:][there][joined]))
    return pairs


def _roots(count: int, first: Labels, second: Labels) -> Labels:
    """The least member of the tree that each of `count` runs is in, once the pairs are joined."""
    parents = np.arange(count, dtype=np.int32)
    while len(first):
        low, high = np.minimum(first, second), np.maximum(first, second)
        np.minimum.at(parents, high, low)
        while True:
            grand = parents[parents]
            if np.array_equal(grand, parents):
                break
            parents = grand
        first, second = parents[first], parents[second]
        apart = first != second
        first, second = first[apart], second[apart]
    return parents
