"""The even comb of borders that explains two profiles best, to a fraction of a pixel; knows no pictures.

Sums are of whole numbers, exact in any order, and what is not a sum is done on single numbers: the same comb everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

TURN = 1 << 20  # a whole turn, in the steps that frequencies are searched in
TABLE = 1 << 10  # and in the table of cosines
PHASES = 64
PIXEL = 256  # the parts of a pixel that borders are given in
ROUNDS = 3

Values = NDArray[np.int64]


@dataclass(frozen=True)
class Comb:
    """Borders at offset + n * width, in pixels, for every profile."""

    width: float
    offsets: tuple[float, ...]

    def lines(self, axis: int, length: int) -> NDArray[np.float64]:
        """All borders from 0 to `length`, in whole parts of a pixel."""
        offset = self.offsets[axis]
        count = int((length - offset) / self.width + 1 / PIXEL) + 1
        lines = np.rint((offset + np.arange(count) * self.width) * PIXEL) / PIXEL
        return np.minimum(lines, length)


def fit(values: list[Values], width: float, slack: float) -> Comb:
    """The comb of a width within a share `slack` of `width` under which most of all the values lies.

    The fundamental of a Fourier series finds it, least squares over the centroids of what lies near its lines refine it.
    """
    length = max(map(len, values))
    low, high = (int(TURN / (width * (1 + sign * slack))) for sign in (1, -1))
    frequencies = np.arange(low, high + 1, max(1, TURN // (8 * length)))
    cosine = _cosines()
    waves = []
    for line in values:
        turns = (np.outer(frequencies, np.arange(len(line))) % TURN) // (TURN // TABLE)
        weights = line.astype(np.float64)  # whole numbers: the products and their sums are exact
        waves.append((cosine[turns] @ weights, cosine[(turns - TABLE // 4) % TABLE] @ weights))
    power = sum((real**2 + imaginary**2 for real, imaginary in waves), np.zeros(len(frequencies)))
    best = int(power.argmax())
    comb = TURN / int(frequencies[best])
    steps = np.arange(PHASES) * (TABLE // PHASES)
    phases = [
        int((real[best] * cosine[steps] + imaginary[best] * cosine[steps - TABLE // 4]).argmax())
        for real, imaginary in waves
    ]
    found = Comb(comb, tuple(phase * comb / PHASES for phase in phases))
    for _ in range(ROUNDS):
        found = _refined(values, found)
    return found


def _refined(values: list[Values], comb: Comb) -> Comb:
    """Least squares over the lines of all profiles, which share the width; each line weighs what lies near it."""
    measured = [_measured(line, comb, axis) for axis, line in enumerate(values)]
    across = along = 0
    for numbers, places, weights in measured:
        total = int(weights.sum())
        if total:
            mean = int((weights * numbers).sum())
            along += int((weights * numbers * places).sum()) - mean * int((weights * places).sum()) // total
            across += int((weights * numbers**2).sum()) - mean * mean // total
    if across <= 0 or along <= 0:
        return comb
    width = along / across / PIXEL
    offsets = list(comb.offsets)
    for axis, (numbers, places, weights) in enumerate(measured):
        total = int(weights.sum())
        if total:
            start = int((weights * places).sum()) / total / PIXEL - width * (int((weights * numbers).sum()) / total)
            offsets[axis] = start % width
    return Comb(width, tuple(offsets))


def _measured(values: Values, comb: Comb, axis: int) -> tuple[Values, Values, Values]:
    """For every line of the comb: its number, where it is measured to be (in parts of a pixel), and with what weight."""
    lines = comb.lines(axis, len(values) - 1)
    reach = max(1, int(comb.width / 4))
    places = np.rint(lines).astype(np.int64)[:, None] + np.arange(-reach, reach + 1)
    near = np.where((places > 0) & (places < len(values) - 1), values[places.clip(0, len(values) - 1)], 0).clip(0)
    near = near**2
    sums = near.sum(axis=1)
    measured = (near * places).sum(axis=1) * PIXEL // np.maximum(sums, 1)
    scale = max(1, int(sums.max()) >> 16)
    return np.arange(len(lines)), measured, sums // scale


@lru_cache(maxsize=1)
def _cosines() -> NDArray[np.float64]:
    """A turn in 2**-12ths: whole numbers, for the last bits of cos differ between processors."""
    return np.rint(np.cos(np.arange(TABLE) * (2 * np.pi / TABLE)) * 4096)
