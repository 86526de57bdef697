"""One color for every cell of a grid, in several ways; finds no grid, and takes cells as they are, blurred or not.

Borders are whole numbers here, ascending, in parts of a pixel, and all arithmetic is on whole numbers. Pictures are
uint8 (H, W, 4); so is what is returned, with a pixel for every cell.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from spritebuild_stages.images.integers import LUMA
from spritebuild_stages.ops.borders import PIXEL, Values
from spritebuild_stages.ops.profiles import whole

SAMPLES = 8  # a cell is looked at in at most 8 x 8 places
AT_ONCE = 1 << 20  # of them at a time
COARSE = 4  # bits of a channel that colors have in common where they are counted as one
ROUNDS = 8  # of 2-means: 64 colors settle in fewer
ALPHA = 1000  # what alpha counts beside lightness: nothing is as unlike as visible and transparent

Rgba = NDArray[np.uint8]
Samples = NDArray[np.int16]  # (rows, columns, 4, samples)


def nearest(rgba: Rgba, x: Values, y: Values) -> Rgba:
    """The pixel in the middle of every cell."""
    return picked(rgba, places(y, 1, 0), places(x, 1, 0)[:, 0])


def median(rgba: Rgba, x: Values, y: Values) -> Rgba:
    """The median of the inner half of every cell, channel by channel; colors are those of what is visible."""
    return reduced(rgba, x, y, 1, _medians)


def mode(rgba: Rgba, x: Values, y: Values) -> Rgba:
    """The commonest color of the inner half of every cell, of 4 bits a channel; the median of what has that color."""
    return reduced(rgba, x, y, 1, _modes)


def kcentroid(rgba: Rgba, x: Values, y: Values) -> Rgba:
    """The mean of the larger of two clusters of each whole cell: 2-means, begun at the darkest and the lightest."""
    return reduced(rgba, x, y, 0, _centroids)


def places(lines: Values, count: int, margin: int) -> Values:
    """`count` whole pixels along every cell, evenly, in its inner half where `margin` is 1: int64 (cells, count)."""
    start, width = lines[:-1, None], np.diff(lines)[:, None]
    steps = 2 * np.arange(count) + 1
    parts = start * 4 * count + width * (margin * count + steps * (2 - margin))
    pixels: Values = np.floor_divide(parts, 4 * count * PIXEL)
    return pixels


def picked(rgba: Rgba, rows: Values, columns: Values) -> Rgba:
    """The pixels where these rows and columns, of any shapes that go together, cross; whole ones, which is fast."""
    pixels: Rgba = whole(rgba).ravel().take(rows * rgba.shape[1] + columns)[..., None].view(np.uint8)
    return pixels


def samples(lines: Values, margin: int) -> int:
    """How many places along a cell are worth looking at."""
    inner = int(lines[-1] - lines[0]) // (len(lines) - 1) // (1 + margin)
    return max(1, min(SAMPLES, -(-inner // PIXEL)))


def reduced(rgba: Rgba, x: Values, y: Values, margin: int, reduction: Callable[[Samples], Rgba]) -> Rgba:
    """A reduction of every cell's samples, some rows of cells at a time."""
    columns, rows = places(x, samples(x, margin), margin), places(y, samples(y, margin), margin)
    count = rows.shape[1] * columns.shape[1]
    height = max(1, AT_ONCE // (len(columns) * count))
    parts = []
    for top in range(0, len(rows), height):
        seen = picked(rgba, rows[top : top + height, None, :, None], columns[:, None])
        seen = seen.reshape(len(seen), len(columns), count, 4)
        parts.append(reduction(seen.swapaxes(2, 3).astype(np.int16, order="C")))
    return np.concatenate(parts)


def _medians(seen: Samples, counted: NDArray[np.bool_] | None = None) -> Rgba:
    """The median of the samples that are counted, all unless told otherwise; the color of the visible among them."""
    count = seen.shape[-1]
    if counted is None and seen[..., 3, :].min() > 0:
        return middle(np.sort(seen, axis=-1))
    every = np.ones(seen[..., 3, :].shape, np.bool_) if counted is None else counted
    shown = every & (seen[..., 3, :] > 0)
    used = np.stack([shown, shown, shown, every], axis=2)
    ordered = np.sort(np.where(used, seen, 256), axis=-1)  # what does not count comes last
    total = used.sum(axis=-1, keepdims=True)
    low = np.take_along_axis(ordered, np.maximum(total - 1, 0) // 2, axis=-1)
    high = np.take_along_axis(ordered, np.minimum(total // 2, count - 1), axis=-1)
    result: Rgba = ((low + high + 1) // 2)[..., 0].astype(np.uint8)
    result[result[..., 3] == 0] = 0
    return result


def middle(ordered: Samples) -> Rgba:
    """The median of samples that are in order."""
    count = ordered.shape[-1]
    twice = ordered[..., (count - 1) // 2] + ordered[..., count // 2]
    result: Rgba = ((twice + 1) // 2).astype(np.uint8)
    return result


def _modes(seen: Samples) -> Rgba:
    coarse = np.where(seen[..., 3:, :] > 0, seen, 0).astype(np.int32) >> (8 - COARSE)
    red, green, blue, alpha = (coarse[..., channel, :] << (3 - channel) * COARSE for channel in range(4))
    names = red | green | blue | alpha
    ordered = np.sort(names, axis=-1)
    at = np.arange(ordered.shape[-1])
    begins = np.ones(ordered.shape, np.bool_)
    begins[..., 1:] = ordered[..., 1:] != ordered[..., :-1]
    runs = at - np.maximum.accumulate(np.where(begins, at, 0), axis=-1)
    common = np.take_along_axis(ordered, runs.argmax(axis=-1)[..., None], axis=-1)
    return _medians(seen, names == common)


def _centroids(seen: Samples) -> Rgba:
    shown = seen[..., 3:, :] > 0
    values = np.where(shown, seen, 0).astype(np.int32)
    light = (values * np.array([*LUMA, ALPHA], np.int32)[:, None]).sum(axis=2)
    ends = light.argmin(axis=-1), light.argmax(axis=-1)
    centers = [np.take_along_axis(values, end[..., None, None], axis=-1) for end in ends]
    first = np.ones(light.shape, np.bool_)
    for _ in range(ROUNDS):
        one, other = (((values - center) ** 2).sum(axis=2) for center in centers)
        first = one <= other
        centers = [_mean(values, shown, part[..., None, :]) for part in (first, ~first)]
    larger = 2 * first.sum(axis=-1) >= first.shape[-1]
    result = np.where(larger[..., None], centers[0][..., 0], centers[1][..., 0])
    result[result[..., 3] == 0] = 0
    return result.astype(np.uint8)


def _mean(values: NDArray[np.int32], shown: NDArray[np.bool_], part: NDArray[np.bool_]) -> NDArray[np.int32]:
    """The rounded mean of a part of the samples: the color of the visible ones, the alpha of all."""
    sums = np.where(part, values, 0).sum(axis=-1, keepdims=True)
    counts = np.repeat((part & shown).sum(axis=-1, keepdims=True), 4, axis=2)
    counts[..., 3:, :] = part.sum(axis=-1, keepdims=True)
    counts = np.maximum(counts, 1)
    means: NDArray[np.int32] = ((2 * sums + counts) // (2 * counts)).astype(np.int32)
    return means
