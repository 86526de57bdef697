"""How far a set of pictures is from another in a feature space: KID, density and coverage; knows no pictures.

Features are float64 (N, D), a row for each picture. The order of rows changes nothing but the last bits.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from spritebuild_stages._draws import hashed

Features = NDArray[np.float64]
NEIGHBORS = 5  # k of Naeem et al.
SUBSET, SUBSETS = 1000, 10  # pictures of a subset, and subsets, of sets too large for one estimate
BLOCK = 1 << 22  # distances that are computed at once
DECIMALS = 9  # of a squared distance: what is left of a difference of equal numbers is rounded away


def kid(generated: Features, real: Features) -> float | None:
    """The kernel inception distance; None for a set of fewer than two pictures.

    The unbiased estimate of the squared maximum mean discrepancy with k(x, y) = (x.y / D + 1)^3:
    mean of k(x, x') over pairs of different generated pictures, plus that of real ones, less 2 times the mean of
    k(x, y). Of sets of more than 1000 pictures it is the mean over 10 subsets of 1000, which are drawn by place: sort
    the rows where that shall not matter. About 0 for two samples of one distribution, and a little below for a set and
    itself; with features of mean 0 and variance 1, at most 16.

    Source: Bińkowski et al. 2018, "Demystifying MMD GANs", arXiv 1801.01401.
    """
    if min(len(generated), len(real)) < 2:
        return None
    several = max(len(generated), len(real)) > SUBSET
    found = [
        _discrepancy(generated[_subset(len(generated), number)], real[_subset(len(real), number)])
        for number in range(SUBSETS if several else 1)
    ]
    return float(np.mean(found))


def spread(generated: Features, real: Features) -> tuple[float, float, float] | None:
    """Density, coverage, and the coverage to expect, by the nearest neighbors of real pictures; None if there are none.

    B(r) is the ball around a real picture that reaches to its k-th nearest other real one, k = 5 (fewer in a set of
    fewer than 6). Density is the mean number of balls that a generated picture is in, over k: 0 or more, 1 for two
    samples of one distribution. Coverage is the share of balls that hold a generated picture: 0..1. Few pictures cannot
    cover many: M of the very distribution that N real ones are of are expected to cover (lemma 2)
    1 - (N - 1) ... (N - k) / ((M + N - 1) ... (M + N - k)).

    Source: Naeem et al. 2020, "Reliable Fidelity and Diversity Metrics for Generative Models", arXiv 2002.09797.
    """
    if len(real) < 2 or not len(generated):
        return None
    neighbors = min(NEIGHBORS, len(real) - 1)
    # at 0 is each itself
    radii = np.concatenate([np.partition(block, neighbors, axis=1)[:, neighbors] for block in _distances(real, real)])
    within, held, start, missed = 0, 0, 0, 1.0
    for block in _distances(real, generated):
        inside = block <= radii[start : start + len(block), None]
        within, held, start = within + int(inside.sum()), held + int(inside.any(axis=1).sum()), start + len(block)
    for place in range(1, neighbors + 1):
        missed *= (len(real) - place) / (len(generated) + len(real) - place)
    return within / (neighbors * len(generated)), held / len(real), 1 - missed


def _subset(count: int, number: int) -> list[int]:
    if count <= SUBSET:
        return list(range(count))
    return sorted(range(count), key=lambda place: hashed("kid", number, place))[:SUBSET]


def _discrepancy(generated: Features, real: Features) -> float:
    def kernel(left: Features, right: Features) -> Features:
        found: Features = (left @ right.T / left.shape[1] + 1) ** 3
        return found

    def of_pairs(kernels: Features) -> float:
        return float((kernels.sum() - np.trace(kernels)) / (len(kernels) * (len(kernels) - 1)))

    own, other = of_pairs(kernel(generated, generated)), of_pairs(kernel(real, real))
    return own + other - 2 * float(kernel(generated, real).mean())


def _distances(left: Features, right: Features) -> Iterator[Features]:
    """Squared Euclidean distances (len(left), len(right)), some rows at a time; 0 for equal rows."""
    step = max(1, BLOCK // len(right))
    squares = (right**2).sum(axis=1)
    for start in range(0, len(left), step):
        rows = left[start : start + step]
        found = (rows**2).sum(axis=1)[:, None] + squares - 2 * rows @ right.T
        yield np.round(found, DECIMALS).clip(0)
