"""The even comb of borders that explains profiles best, to a fraction of a pixel; knows no pictures.

Sums are of whole numbers, exact in any order; the rest is done on single numbers: the same comb on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from spritebuild_stages.ops.borders import PIXEL, Values

TURN = 1 << 20  # a whole turn, in the steps that frequencies are searched in
TABLE = 1 << 10  # and in the table of cosines
PHASES = 64
COARSE = 8  # bits that waves lose, so that their squares fit into 64
ROUNDS = 3


@dataclass(frozen=True)
class Comb:
    """Borders at offset + n * width, in pixels; every profile has an offset of its own."""

    width: float
    offsets: tuple[float, ...]

    def lines(self, axis: int, length: int) -> NDArray[np.float64]:
        """All borders from 0 to `length`, in whole parts of a pixel."""
        offset = self.offsets[axis]
        count = int((length - offset) / self.width + 1 / PIXEL) + 1
        lines = np.rint((offset + np.arange(count) * self.width) * PIXEL) / PIXEL
        inside: NDArray[np.float64] = np.minimum(lines, length)
        return inside


def fit(values: list[Values], width: float, slack: float) -> Comb:
    """The comb of a width within a share `slack` of `width` under which most of the values lies.

    The fundamental of a Fourier series finds it; least squares over the centroids of what lies near its lines, in all
    profiles together, refine it.
    """
    length = max(map(len, values))
    frequencies = np.arange(
        int(TURN / (width * (1 + slack))), int(TURN / (width * (1 - slack))) + 1, max(1, TURN // (8 * length))
    )
    cosines = _cosines()
    waves = []
    for line in values:
        turns = np.outer(frequencies, np.arange(len(line))) % TURN // (TURN // TABLE)
        waves.append([(cosines[turns - quarter] * line).sum(axis=1) for quarter in (0, TABLE // 4)])
    best = int(sum((wave >> COARSE) ** 2 for both in waves for wave in both).argmax())
    found = TURN / int(frequencies[best])
    steps = np.arange(PHASES) * (TABLE // PHASES)
    phases = [(re[best] * cosines[steps] + im[best] * cosines[steps - TABLE // 4]).argmax() for re, im in waves]
    comb = Comb(found, tuple(int(phase) * found / PHASES for phase in phases))
    for _ in range(ROUNDS):
        comb = _refined(values, comb)
    return comb


def _refined(values: list[Values], comb: Comb) -> Comb:
    """Least squares over the lines of all profiles, which share the width; each line weighs what lies near it."""
    measured = [_measured(line, comb, axis) for axis, line in enumerate(values)]
    moved = steps = 0
    for numbers, places, weights in measured:
        total = max(1, int(weights.sum()))
        first = int((weights * numbers).sum())
        moved += int((weights * numbers * places).sum()) - first * int((weights * places).sum()) // total
        steps += int((weights * numbers**2).sum()) - first * first // total
    if moved <= 0 or steps <= 0:
        return comb
    width = moved / steps / PIXEL
    offsets = list(comb.offsets)
    for axis, (numbers, places, weights) in enumerate(measured):
        total = int(weights.sum())
        if total:
            place, number = int((weights * places).sum()) / total / PIXEL, int((weights * numbers).sum()) / total
            offsets[axis] = (place - width * number) % width
    return Comb(width, tuple(offsets))


def _measured(values: Values, comb: Comb, axis: int) -> tuple[Values, Values, Values]:
    """For every line of a comb: its number, its measured place in parts of a pixel, and how much that weighs."""
    last = len(values) - 1
    lines = np.rint(comb.lines(axis, last)).astype(np.int64)
    reach = max(1, int(comb.width / 4))
    places = lines[:, None] + np.arange(-reach, reach + 1)
    weights = np.where((places > 0) & (places < last), values[places.clip(0, last)].clip(0), 0) ** 2
    sums = weights.sum(axis=1)
    measured = (weights * places).sum(axis=1) * PIXEL // np.maximum(sums, 1)
    return np.arange(len(lines)), measured, sums // max(1, int(sums.max()) >> 16)  # products of three fit into 64 bits


@lru_cache(maxsize=1)
def _cosines() -> Values:
    """A turn of the cosine in 2**-12ths: whole numbers, for its last bits differ between processors."""
    steps: Values = np.rint(np.cos(np.arange(TABLE) * (2 * np.pi / TABLE)) * 4096).astype(np.int64)
    return steps
