"""The best borders of cells of about one width, by dynamic programming; knows values and widths, no pictures."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

PIXEL = 256  # the parts of a pixel that borders between cells are given in
GIVE = 45  # percent: how much wider or narrower than expected a cell may be
BEYOND = 100  # times the stiffness that every further cell's width costs
SHIFT = 64  # pixels, at most, between a border and where even cells would have it
NEVER = -(1 << 60)

Values = NDArray[np.int64]


def follow(lines: list[Values], width: int, stiffness: int) -> tuple[int, list[Values]]:
    """For each of some lines the chain of borders with the greatest sum of values less costs; and the sum of all sums.

    A line is int64 (N,): what a border at each place is worth. The first border lies less than `width` from the start,
    the last no more than that from the end. A cell of w costs `stiffness` * ((w - width) / width)**2; w is within
    `GIVE` percent of `width`. Of equally good cells the narrowest is taken.
    """
    widths = np.arange(max(1, -(-width * (100 - GIVE) // 100)), width * (100 + GIVE) // 100 + 1)
    costs = stiffness * (widths - width) ** 2 // width**2
    narrowest, widest = int(widths[0]), int(widths[-1])
    longest = max(map(len, lines))
    values = np.zeros((len(lines), longest + narrowest), np.int64)
    for row, line in zip(values, lines, strict=True):
        row[: len(line)] = line
    # What a place is worth does not depend on the `narrowest` places before it: so many are solved at once.
    best = np.full((len(lines), widest + longest + narrowest), NEVER, np.int64)
    chosen = np.zeros(values.shape, np.int64)
    block = np.arange(narrowest)
    # Of each line, each place in a block and each width, where the border before is: in `best` as one row.
    sources = np.arange(len(lines))[:, None, None] * best.shape[1] + block[:, None] + widest - widths
    for start in range(0, longest, narrowest):
        reached = best.ravel()[start:].take(sources) - costs
        pick = reached.argmax(axis=2)
        sums, cells = reached.max(axis=2), widths[pick]
        if start < width:
            first = (start + block < width) & (sums <= 0)
            sums[first], cells[first] = 0, 0
        best[:, start + widest : start + widest + narrowest] = sums + values[:, start : start + narrowest]
        chosen[:, start : start + narrowest] = cells
    total = 0
    chains = []
    for line, ends, cells in zip(lines, best[:, widest:], chosen, strict=True):
        tail = max(0, len(line) - 1 - width)
        chain = [tail + int(ends[tail : len(line)].argmax())]
        total += int(ends[chain[0]])
        while cells[chain[-1]]:
            chain.append(chain[-1] - int(cells[chain[-1]]))
        chains.append(np.array(chain[::-1], np.int64))
    return total, chains


def divide(values: Values, cells: int, stiffness: int) -> Values:
    """As `follow`, for a known number of cells that fill the whole length: int64 (cells + 1,), from 0 to N - 1.

    Here cells may be of any width of at least 1, but those beyond `GIVE` cost far more. Raises ValueError for no
    cells, or more than there are places for.
    """
    length = len(values) - 1
    if not 1 <= cells <= length:
        raise ValueError(f"{cells} cells do not fit into {length} pixels")
    even = np.arange(cells + 1) * length // cells
    reach = min(length // cells, SHIFT)
    shifts = np.arange(-reach, reach + 1)
    best = np.where(shifts == 0, 0, NEVER)
    chosen = np.zeros((cells + 1, len(shifts)), np.int64)
    for number in range(1, cells + 1):
        places = even[number] + shifts
        widths = places[:, None] - even[number - 1] - shifts
        away = np.abs(widths * cells - length)
        beyond = np.maximum(
            100 * (away - cells) - GIVE * length, 0
        )  # a cell has whole pixels: one more or less is free
        costs = stiffness * away**2 // length**2 + BEYOND * stiffness * beyond // (100 * length)
        reached = np.where(widths > 0, best - costs, NEVER)
        chosen[number] = reached.argmax(axis=1)
        inside = (places > 0) & (places < length) if number < cells else shifts == 0
        best = np.where(inside, reached.max(axis=1) + values[places.clip(0, length)], NEVER)
    result = even.copy()
    state = reach
    for number in range(cells, 0, -1):
        result[number] = even[number] + shifts[state]
        state = int(chosen[number, state])
    return result
