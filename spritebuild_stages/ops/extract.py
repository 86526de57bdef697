"""One palette for many pictures: deterministic k-means in OKLab, in whole numbers; writes no file."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from spritebuild_stages.images.integers import Whole, distinct, pack, unpack
from spritebuild_stages.ops import oklab
from spritebuild_stages.ops.eras import Era
from spritebuild_stages.ops.oklab import Palette

MOST_COLORS = 256
# Coarser steps of OKLab than those in which the nearest color is found: one step of an sRGB channel is 2 of them or
# more, mostly 50. Sums of squares stay below 2**63 (STEPS**2 * TOTAL), and sums of positions are exact in floats.
STEPS = 1 << 15
FINER = oklab.STEPS // STEPS
SHARE = 1 << 18  # the weight of one picture
TOTAL = 1 << 32
WEIGHT_BITS = 39  # of a number that holds a color and its weight: two million pictures of one color
MOST_PENDING = 1 << 22  # colors of several pictures that wait to be put together
MOST_POINTS = 1 << 15  # colors that are clustered; more are put together with their neighbors
ROUNDS = 50  # of Lloyd's iterations, at most
ATTEMPTS = 8
AROUND = np.array(list(itertools.product(range(-2, 3), repeat=3)))


def extract(pictures: Iterable[NDArray[np.uint8]], colors: int, era: Era | None = None) -> Palette:
    """The palette of at most `colors` (1..256) that suits all pictures together, each uint8 (H, W, 4).

    Every picture counts as much as any other, and a pixel by its alpha: a background does not drown the icons that
    share its palette, and what is hardly seen hardly counts. Up to `colors` distinct visible colors are the palette as
    they are. Otherwise clusters in OKLab are cut from the whole, always the one of the greatest squared error at the
    mean of its widest axis, and refined by Lloyd's iterations (k-means); each gives the sRGB color nearest to its mean.
    An `era` lowers the number of colors to its own and takes the colors from its levels.

    Sorted by lightness, then by a (green to red), b (blue to yellow). The order of the pictures changes nothing, and
    neither does the machine: all sums are of whole numbers. Raises ValueError for another number of colors, and for
    pictures without a visible pixel.

    Sources: X. Wu, "Color quantization by dynamic programming and principal analysis" (1992); S. Lloyd, "Least squares
    quantization in PCM" (1982).
    """
    if not 1 <= colors <= MOST_COLORS:
        raise ValueError(f"a palette has 1 to {MOST_COLORS} colors, not {colors}")
    most = min(colors, era.colors) if era else colors
    values, weights = _histogram(pictures)
    found = _as_they_are(values, most, era)
    if found is None:
        points, weights = _points(values, weights)
        found, clusters = _snapped(_means(points, weights, most), era), most
        # Means may fall on one color, the more easily the fewer levels an era has; then there is room for more.
        for _ in range(ATTEMPTS):
            if len(found) == most:
                break
            clusters += -(-(most - len(found)) // 2)
            more = _snapped(_means(points, weights, clusters), era)
            if len(more) > most:
                break
            found = max(found, more, key=len)
    return _sorted(found)


def _histogram(pictures: Iterable[NDArray[np.uint8]]) -> tuple[Whole, NDArray[np.int64]]:
    """The distinct visible colors of all pictures as 0xRRGGBB, sorted, and their weights, at least 1 each."""
    merged, parts = np.empty(0, np.int64), []
    for rgba in pictures:
        parts.append(_weighed(rgba))
        if sum(map(len, parts)) > max(MOST_PENDING, len(merged)):
            merged, parts = _merged([merged, *parts]), []
    merged = _merged([merged, *parts])
    if not len(merged):
        raise ValueError("no visible pixel in any picture: there is nothing to take colors from")
    return (merged >> WEIGHT_BITS).astype(np.uint32), merged & (1 << WEIGHT_BITS) - 1


def _weighed(rgba: NDArray[np.uint8]) -> NDArray[np.int64]:
    """A picture's distinct visible colors, each above its weight in one number; the weights are SHARE in all, about."""
    pixels = np.sort(pack(rgba), axis=None)  # one color's pixels side by side
    pixels = pixels[pixels & 255 > 0]
    if not len(pixels):
        return np.empty(0, np.int64)
    values = pixels >> 8
    first = np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]]))
    alphas = np.add.reduceat(pixels & 255, first, dtype=np.int64)
    weights = np.maximum(alphas * SHARE // int(alphas.sum()), 1)
    together: NDArray[np.int64] = weights + (values[first].astype(np.int64) << WEIGHT_BITS)
    return together


def _merged(parts: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    """The same of several pictures: sorted by color, the weights of each added up."""
    together = np.sort(np.concatenate(parts))
    if not len(together):
        return together
    values = together >> WEIGHT_BITS
    first = np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]]))
    weights: NDArray[np.int64] = np.add.reduceat(together & (1 << WEIGHT_BITS) - 1, first)
    return weights + (values[first] << WEIGHT_BITS)


def _as_they_are(values: Whole, most: int, era: Era | None) -> list[tuple[int, int, int]] | None:
    """The colors themselves, at the era's levels, if they are no more than `most`."""
    if era:
        levels = np.array([era.fit((value, value, value))[0] for value in range(256)], np.uint32)
        values = distinct(levels[values >> 16] << 16 | levels[values >> 8 & 255] << 8 | levels[values & 255])
    return _colors(unpack(values << 8)[:, :3]) if len(values) <= most else None


def _points(values: Whole, weights: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions (N, 3) in steps of OKLab and their weights, at most MOST_POINTS."""
    lab = np.rint(oklab.oklab(unpack(values << 8)[:, :3]) * STEPS).astype(np.int64)
    while int(weights.sum()) >= TOTAL:
        weights = np.maximum(weights >> 1, 1)
    for bits in range(7, 0, -1):
        if len(lab) <= MOST_POINTS:
            break
        # Cubes of 2**(8 - bits) values a side: each becomes one point at its mean.
        mask = (0xFF00 >> bits & 0xFF) * 0x010101
        _, cube = np.unique(values & np.uint32(mask), return_inverse=True)
        count = int(cube.max()) + 1
        if count > MOST_POINTS:
            continue
        lab, weights = _centers(lab, weights, cube, count), _sums(weights, cube, count)
    return lab, weights


def _means(points: NDArray[np.int64], weights: NDArray[np.int64], clusters: int) -> NDArray[np.int64]:
    """The means of at most `clusters` clusters of the points, (K, 3)."""
    labels = _cut(points, weights, clusters)
    count = int(labels.max()) + 1
    centers = _centers(points, weights, labels, count)
    positions = points.astype(np.float64)
    for _ in range(ROUNDS):
        squares = (centers**2).sum(axis=1)
        labels = (squares - positions @ (2 * centers.T)).argmin(axis=1)
        used = np.bincount(labels, minlength=len(centers)) > 0
        means = np.where(used[:, None], _centers(points, weights, labels, len(centers)), centers)
        if np.array_equal(means, centers):
            break
        centers = means
    return centers[used]


def _cut(points: NDArray[np.int64], weights: NDArray[np.int64], clusters: int) -> NDArray[np.intp]:
    """A first clustering: the number of each point's cluster, 0 and up."""
    labels = np.zeros(len(points), np.intp)
    whole = np.arange(len(points))
    parts = [(_errors(points, weights), whole)]
    while len(parts) < clusters:
        worst = max(range(len(parts)), key=lambda part: max(parts[part][0]))  # the first of equals
        errors, members = parts[worst]
        if not max(errors):
            break
        axis = errors.index(max(errors))
        along, counts = points[members, axis], weights[members]
        right = along * int(counts.sum()) > int((along * counts).sum())
        halves = members[~right], members[right]
        parts[worst] = (_errors(points[halves[0]], weights[halves[0]]), halves[0])
        parts.append((_errors(points[halves[1]], weights[halves[1]]), halves[1]))
    for number, (_, members) in enumerate(parts):
        labels[members] = number
    return labels


def _errors(points: NDArray[np.int64], weights: NDArray[np.int64]) -> list[int]:
    """The sum of the squared distances from the mean, along each axis, rounded down."""
    total = int(weights.sum())
    firsts = (points * weights[:, None]).sum(axis=0).tolist()
    seconds = (points**2 * weights[:, None]).sum(axis=0).tolist()
    return [second - first * first // total for first, second in zip(firsts, seconds, strict=True)]


def _centers(
    points: NDArray[np.int64], weights: NDArray[np.int64], labels: NDArray[np.intp], count: int
) -> NDArray[np.int64]:
    """The weighted mean of each cluster's points, rounded, (count, 3)."""
    total = np.maximum(_sums(weights, labels, count), 1)
    sums = np.stack([_sums(points[:, axis] * weights, labels, count) for axis in range(3)], axis=1)
    means: NDArray[np.int64] = (2 * sums + total[:, None]) // (2 * total[:, None])
    return means


def _sums(values: NDArray[np.int64], labels: NDArray[np.intp], count: int) -> NDArray[np.int64]:
    # In floats, but exact: see TOTAL.
    return np.bincount(labels, values, minlength=count).astype(np.int64)


def _snapped(means: NDArray[np.int64], era: Era | None) -> list[tuple[int, int, int]]:
    """The distinct sRGB colors, or colors of the era, that are nearest to positions in OKLab."""
    # The inverse of OKLab is in floats, whose last bits differ: it says where to look, whole numbers what is nearest.
    near = np.clip(_srgb(means / STEPS)[:, None] + AROUND, 0, 255).astype(np.uint8)
    apart = ((oklab.steps(oklab.oklab(near.reshape(-1, 3))).reshape(near.shape) - means[:, None] * FINER) ** 2).sum(
        axis=2
    )
    colors = _colors(near[np.arange(len(near)), apart.argmin(axis=1)])
    return list(dict.fromkeys(era.fit(color) if era else color for color in colors))


def _srgb(lab: NDArray[np.float64]) -> NDArray[np.int64]:
    """8-bit sRGB (N, 3) of OKLab, one more or less where rounding is close; beyond the gamut it is clipped."""
    roots = lab @ np.linalg.inv(np.array(oklab.LMS_TO_LAB)).T
    light = np.clip(roots**3 @ np.linalg.inv(np.array(oklab.LINEAR_TO_LMS)).T, 0, 1)
    encoded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    rgb: NDArray[np.int64] = np.rint(encoded * 255).astype(np.int64)
    return rgb


def _sorted(colors: list[tuple[int, int, int]]) -> Palette:
    lab = oklab.steps(oklab.oklab(np.array(colors, np.uint8))).tolist()
    return tuple(color for _, color in sorted(zip(lab, colors, strict=True)))


def _colors(rgb: NDArray[np.uint8]) -> list[tuple[int, int, int]]:
    return [(red, green, blue) for red, green, blue in rgb.tolist()]
