"""One color for every cell of a grid, in several ways; finds no grid.

Borders are whole numbers here, in parts of 1/256 of a pixel; all arithmetic is on whole numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import erf, exp, pi, sqrt

import numpy as np
from numpy.typing import NDArray

from spritebuild_stages.ops.profiles import opaque, whole

PIXEL = 256
SAMPLES = 8  # a cell is looked at in at most 8 x 8 places
AT_ONCE = 1 << 22  # values held at a time
EDGE = (3, 16)  # how far inside of a border blur is measured, in cells
BLURRIEST = 0.25  # the share of the neighbor there beyond which nothing more is taken back
FINE = 16  # bits of fractions
INWARD = (0, 0, 0, 1, 3)  # what was 1, 2, 3, 4 before noise and compression moved it inward, measured
ROUNDS = 8  # of 2-means; two clusters of 64 colors settle in fewer

Lines = NDArray[np.int64]
Rgba = NDArray[np.uint8]
Reduction = Callable[[NDArray[np.int16]], Rgba]


def nearest(rgba: Rgba, x: Lines, y: Lines) -> Rgba:
    """The pixel in the middle of every cell."""
    return _picked(rgba, _places(y, 1, 0), _places(x, 1, 0)[:, 0])


def median(rgba: Rgba, x: Lines, y: Lines) -> Rgba:
    """The median of the inner half of every cell, channel by channel; of the color, among what is visible."""
    return _reduced(rgba, x, y, 1, _medians)


def mode(rgba: Rgba, x: Lines, y: Lines) -> Rgba:
    """The commonest color of every cell: of 4-bit channels, and then the median of what has that color."""
    return _reduced(rgba, x, y, 0, _modes)


def kcentroid(rgba: Rgba, x: Lines, y: Lines) -> Rgba:
    """The mean of the larger of two clusters of every cell (2-means, begun at the darkest and the lightest)."""
    return _reduced(rgba, x, y, 0, _centroids)


def sharp(rgba: Rgba, x: Lines, y: Lines) -> Rgba:
    """As `median`, with what blur brought in from the neighbors taken back.

    A Gaussian lets a share of the neighbor's color into a cell that falls with the distance from the border; measured
    close to all borders together, it tells the share in the inner half, and so the colors before. Noise that is cut off
    at 0 and 255 moves what is close to them inward: where there is noise, that is undone as well.
    """
    if not opaque(rgba):
        return median(rgba, x, y)
    seen = _reduced(rgba, x, y, 1, _spread_medians)
    colors, spread = seen[..., :4], seen[..., 4]
    clean = _without(colors, _share(rgba, x, y, colors.astype(np.int32)))
    if 2 * np.count_nonzero(spread) > spread.size:
        clean[..., :3] = _unclipped()[clean[..., :3]]
    return clean


def _places(lines: Lines, count: int, margin: int) -> Lines:
    """`count` places in every cell, evenly in it, or in its inner half where `margin` is 1: (cells, count)."""
    start, width = lines[:-1, None], np.diff(lines)[:, None]
    steps = 2 * np.arange(count) + 1
    parts = start * 4 * count + width * (margin * count + steps * (2 - margin))
    return parts // (4 * count * PIXEL)


def _count(lines: Lines, margin: int) -> int:
    inner = int(lines[-1] - lines[0]) // (len(lines) - 1) // (1 + margin)
    return max(1, min(SAMPLES, -(-inner // PIXEL)))


def _picked(rgba: Rgba, rows: Lines, columns: Lines) -> Rgba:
    """The pixels where these rows and columns, of any shapes that go together, cross; whole pixels: that is fast."""
    return whole(rgba).ravel().take(rows * rgba.shape[1] + columns)[..., None].view(np.uint8)


def _reduced(rgba: Rgba, x: Lines, y: Lines, margin: int, reduce: Reduction) -> Rgba:
    """`reduce` applied to int16 (..., 4, samples) of every cell, a few rows of cells at a time."""
    columns, rows = _places(x, _count(x, margin), margin), _places(y, _count(y, margin), margin)
    samples = rows.shape[1] * columns.shape[1]
    height = max(1, AT_ONCE // (len(columns) * samples))
    parts = []
    for top in range(0, len(rows), height):
        seen = _picked(rgba, rows[top : top + height, None, :, None], columns[:, None])
        seen = seen.reshape(len(seen), len(columns), samples, 4)
        parts.append(reduce(seen.swapaxes(2, 3).astype(np.int16, order="C")))
    return np.concatenate(parts)


def _medians(seen: NDArray[np.int16], counted: NDArray[np.bool_] | None = None) -> Rgba:
    """The median of the visible of every cell that are `counted`, all unless told otherwise."""
    count = seen.shape[-1]
    if counted is None and seen[..., 3, :].min() == 255:
        ordered = np.sort(seen, axis=-1)
        return ((ordered[..., (count - 1) // 2] + ordered[..., count // 2] + 1) // 2).astype(np.uint8)
    every = np.ones(seen.shape[:2] + (count,), np.bool_) if counted is None else counted
    shown = every & (seen[..., 3, :] > 0)
    used = np.stack([shown, shown, shown, every], axis=2)
    ordered = np.sort(np.where(used, seen, 256), axis=-1)
    total = used.sum(axis=-1, keepdims=True)
    low = np.take_along_axis(ordered, np.maximum(total - 1, 0) // 2, axis=-1)
    high = np.take_along_axis(ordered, np.minimum(total // 2, count - 1), axis=-1)
    result = ((low + high + 1) // 2)[..., 0]
    result[(result[..., 3] == 0) | (total[..., 0, 0] == 0)] = 0
    return result.astype(np.uint8)


def _spread_medians(seen: NDArray[np.int16]) -> Rgba:
    """Of opaque cells: the median, and in a fifth channel by how much the middle half of the values differs at most."""
    count = seen.shape[-1]
    ordered = np.sort(seen[..., :3, :], axis=-1)
    result = np.full(seen.shape[:2] + (5,), 255, np.uint8)
    result[..., :3] = (ordered[..., (count - 1) // 2] + ordered[..., count // 2] + 1) // 2
    result[..., 4] = (ordered[..., count * 3 // 4] - ordered[..., count // 4]).max(axis=-1)
    return result


def _modes(seen: NDArray[np.int16]) -> Rgba:
    coarse = seen.astype(np.int32) >> 4
    coarse = np.where(seen[..., 3:, :] > 0, coarse, 0)
    names = coarse[..., 0, :] << 12 | coarse[..., 1, :] << 8 | coarse[..., 2, :] << 4 | coarse[..., 3, :]
    ordered = np.sort(names, axis=-1)
    at = np.arange(ordered.shape[-1])
    begins = np.ones(ordered.shape, np.bool_)
    begins[..., 1:] = ordered[..., 1:] != ordered[..., :-1]
    runs = at - np.maximum.accumulate(np.where(begins, at, 0), axis=-1)
    common = np.take_along_axis(ordered, runs.argmax(axis=-1)[..., None], axis=-1)
    return _medians(seen, names == common)


def _centroids(seen: NDArray[np.int16]) -> Rgba:
    seen = np.where(seen[..., 3:, :] > 0, seen, 0).astype(np.int64)
    # What is transparent is far from any color, whatever is hidden in it.
    weights = np.array([299, 587, 114, 1000])[:, None]
    light = (seen * weights).sum(axis=2)
    centers = [np.take_along_axis(seen, pick(light, axis=-1)[..., None, None], axis=-1) for pick in (np.argmin, np.argmax)]
    count = seen.shape[-1]
    for _ in range(ROUNDS):
        first, second = (((seen - center) ** 2).sum(axis=2) for center in centers)
        belongs = (first <= second)[..., None, :]
        sizes = belongs.sum(axis=-1, keepdims=True)
        sums = np.where(belongs, seen, 0).sum(axis=-1, keepdims=True)
        whole = seen.sum(axis=-1, keepdims=True)
        others = count - sizes
        centers = [
            (2 * sums + sizes) // np.maximum(2 * sizes, 1),
            np.where(others > 0, (2 * (whole - sums) + others) // np.maximum(2 * others, 1), centers[1]),
        ]
    result = np.where(2 * sizes >= count, centers[0], centers[1])[..., 0]
    result[result[..., 3] == 0] = 0
    return result.astype(np.uint8)


def _share(rgba: Rgba, x: Lines, y: Lines, colors: NDArray[np.int32]) -> int:
    """The share of a neighbor's color in the inner half of a cell, in 2**-FINE."""
    mixed = apart = 0
    for axis, (across, down) in enumerate(((x, y), (y, x))):
        if len(across) < 3:
            continue
        cells = colors if axis == 0 else colors.swapaxes(0, 1)
        width = np.diff(across) * EDGE[0] // EDGE[1]
        before, after = (across[1:-1] - width[:-1]) // PIXEL, (across[1:-1] + width[1:]) // PIXEL
        count = min(4, _count(down, 1))
        rows = _places(down, count, 1)  # (cells, count)
        for places, own, other in ((before, cells[:, :-1], cells[:, 1:]), (after, cells[:, 1:], cells[:, :-1])):
            at = (rows[:, None], places[:, None]) if axis == 0 else (places[:, None], rows[:, None])
            seen = _picked(rgba, *at).sum(axis=2, dtype=np.int32)
            # Whole numbers: the sums of their products are exact as floats.
            step = (other - own).astype(np.float64).ravel()
            mixed += int((seen - count * own).astype(np.float64).ravel() @ step)
            apart += count * int(step @ step)
    if apart == 0:
        return 0
    measured = max(0, (mixed << FINE) // apart)
    near, inner = _leaks()
    return int(inner[min(int(np.searchsorted(near, measured)), len(inner) - 1)])


def _without(colors: Rgba, share: int) -> Rgba:
    """Colors of which each gave a share to its four neighbors: what they were, in two rounds."""
    mixed = colors.astype(np.int64) << 8
    clean = mixed
    for _ in range(2):
        padded = np.pad(clean, ((1, 1), (1, 1), (0, 0)), mode="edge")
        around = padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:]
        clean = mixed + (share * (4 * clean - around) >> FINE)
    return ((clean + 128) >> 8).clip(0, 255).astype(np.uint8)


@lru_cache(maxsize=1)
def _unclipped() -> NDArray[np.uint8]:
    table = np.arange(256, dtype=np.uint8)
    table[: len(INWARD)] = INWARD
    table[-len(INWARD) :] = 255 - np.array(INWARD[::-1])
    return table


@lru_cache(maxsize=1)
def _leaks() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The neighbor's share under a Gaussian at EDGE, ascending, and on average in the inner half, in 2**-FINE.

    Of a step that is blurred with sigma, the share at t from it is Phi(-t / sigma).
    """

    def below(value: float) -> float:
        return (1 + erf(value / sqrt(2))) / 2

    def integral(value: float) -> float:  # of Phi(-t) from value on
        return exp(-value * value / 2) / sqrt(2 * pi) - value * below(-value)

    near, inner = [0], [0]
    for step in range(200, 0, -1):  # the cell's width in sigmas, from 20 down
        width = step / 10
        share = below(-width * EDGE[0] / EDGE[1])
        if share > BLURRIEST:
            break
        near.append(round(share * 2**FINE))
        inner.append(round((integral(width / 4) - integral(width * 3 / 4)) / (width / 2) * 2**FINE))
    return np.array(near), np.array(inner)
