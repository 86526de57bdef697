"""The best borders of cells of about one width, by dynamic programming; knows values and widths, no pictures."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

GIVE = 45  # percent: how much wider or narrower than expected a cell may be
NEVER = -(1 << 50)

Values = NDArray[np.int64]


def follow(values: Values, width: int, stiffness: int) -> tuple[int, NDArray[np.int64]]:
    """The chain of borders with the greatest sum of values less penalties: that sum, and the borders.

    `values` is int64 (N,): what a border at each place is worth. The first border lies less than `width` from the
    start, the last within `width` of the end. A cell of w costs `stiffness` * ((w - width) / width)**2; w is within
    `GIVE` percent of `width`. Of equally good cells the narrowest is taken.
    """
    count = len(values)
    widths, costs = _cells(width, stiffness)
    narrowest, widest = int(widths[0]), int(widths[-1])
    # What a place is worth does not depend on the `narrowest` places before it: so many are solved at once.
    best = np.full(widest + count + narrowest, NEVER, np.int64)
    chosen = np.zeros(count + narrowest, np.int64)
    padded = np.concatenate([values, np.zeros(narrowest, np.int64)])
    lines = np.arange(narrowest)
    sources = lines[:, None] + widest - widths
    for start in range(0, count, narrowest):
        reached = best[start:][sources] - costs
        pick = reached.argmax(axis=1)
        sums, cells = reached[lines, pick], widths[pick]
        if start < width:
            first = (start + lines < width) & (sums <= 0)
            sums[first], cells[first] = 0, 0
        best[start + widest : start + widest + narrowest] = sums + padded[start : start + narrowest]
        chosen[start : start + narrowest] = cells
    ends = best[widest : widest + count]
    tail = max(0, count - 1 - width)
    chain = [tail + int(ends[tail:].argmax())]
    while chosen[chain[-1]]:
        chain.append(chain[-1] - int(chosen[chain[-1]]))
    return int(ends[chain[0]]), np.array(chain[::-1], np.int64)


def divide(values: Values, cells: int, stiffness: int) -> NDArray[np.int64]:
    """As `follow`, for a known number of cells that fill the whole length: int64 (cells + 1,), 0 to N - 1.

    Raises ValueError if there are more cells than places for them.
    """
    length = len(values) - 1
    if not 1 <= cells <= length:
        raise ValueError(f"{cells} cells do not fit into {length} pixels")
    even = np.arange(cells + 1) * length // cells
    width = length // cells
    reach = min(width, 64)
    shifts = np.arange(-reach, reach + 1)
    best = np.where(shifts == 0, 0, NEVER)
    chosen = np.zeros((cells + 1, len(shifts)), np.int64)
    for number in range(1, cells + 1):
        places = even[number] + shifts
        widths = places[:, None] - even[number - 1] - shifts
        costs = stiffness * (widths * cells - length) ** 2 // length**2
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


def _cells(width: int, stiffness: int) -> tuple[Values, Values]:
    widths = np.arange(max(1, -(-width * (100 - GIVE) // 100)), width * (100 + GIVE) // 100 + 1)
    return widths, stiffness * (widths - width) ** 2 // width**2
