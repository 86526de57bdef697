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
FINENESS = 4  # frequencies for every one that goes once into the length
AT_ONCE = 256  # frequencies
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
    low, high = TURN / (width * (1 + slack)), TURN / (width * (1 - slack))
    frequencies = np.arange(int(low), int(high) + 1, max(1, TURN // (FINENESS * max(map(len, values)))))
    waves = [_waves(line, frequencies) for line in values]
    best = int(
        sum(((re >> COARSE) ** 2 + (im >> COARSE) ** 2 for re, im in waves), np.zeros_like(frequencies)).argmax()
    )
    found = TURN / int(frequencies[best])
    cosines, steps = _cosines(), np.arange(PHASES) * (TABLE // PHASES)
    phases = [(re[best] * cosines[steps] + im[best] * cosines[steps - TABLE // 4]).argmax() for re, im in waves]
    comb = Comb(found, tuple(int(phase) * found / PHASES for phase in phases))
    for _ in range(ROUNDS):
        comb = _refined(values, comb)
    return comb


def _waves(values: Values, frequencies: Values) -> tuple[Values, Values]:
    """How much of a profile there is in the cosine and the sine of every frequency."""
    cosines, at = _cosines(), np.arange(len(values))
    real, imaginary = np.zeros_like(frequencies), np.zeros_like(frequencies)
    for start in range(0, len(frequencies), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        turns = np.outer(frequencies[part], at) % TURN // (TURN // TABLE)
        real[part] = (cosines[turns] * values).sum(axis=1)
        imaginary[part] = (cosines[turns - TABLE // 4] * values).sum(axis=1)
    return real, imaginary


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
