"""The grid of cells in a soft, almost-pixel picture: its scale, its offset, its drift; knows no colors of cells.

Cells are taken to be about square, and all of about one size. Edges say where their borders are:

1. Where a picture changes only at multiples of something, that is the grid, exactly.
2. Otherwise the profiles of edge strength repeat with the width of a cell: their autocorrelation proposes widths, and a
   chain of borders is followed at each, which pays for cells of other widths. Values above the local mean are what a
   chain collects, so twice the width misses half of them, and half the width pays for the places between.
3. Borders that lie on an even comb belong to one, which is fitted to all of them; others are taken as they are, so that
   cells may drift.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd

import numpy as np
from numpy.typing import NDArray

from spritebuild_stages.ops import borders, combs, profiles
from spritebuild_stages.ops.profiles import opaque, whole

UNIT = 1024  # the root mean square of a profile's values
STIFFNESS = 2 * UNIT
SCALES = ((8, 2, 6), (2, 1, 3))  # (lines averaged, pixels compared, narrowest cell): soft large cells, then small ones
CANDIDATES = 5
EVEN = 0.055  # how far borders may lie from an even comb, on average, in cells: drifting ones begin at 0.07
LEAST = 0.5  # the confidence below which there is no grid
FEW = 8  # hard edges, at least, to tell a scale from

Lines = NDArray[np.float64]


@dataclass(frozen=True)
class Grid:
    """The borders of cells along x and y, ascending, in pixels from the left and the top, in parts of 1/256.

    `confidence` is 1 less the ratio of the strength of edges inside of cells to that on their borders; 0 where no grid
    was found, and then every pixel is a cell. `exact` says that every cell is of one color, with nothing lost. What lies
    outside of the first and last border is less than half a cell.
    """

    x: tuple[float, ...]
    y: tuple[float, ...]
    confidence: float
    exact: bool = False


def find(rgba: NDArray[np.uint8]) -> Grid:
    """The grid that a picture, uint8 (H, W, 4), was drawn on, if it shows one."""
    pixels = _visible(rgba)
    exact = _exact(pixels)
    if exact:
        return exact
    for block, reach, narrowest in SCALES:
        found = _soft(pixels, block, reach, narrowest)
        if found and found.confidence >= LEAST:
            return found
    height, width = pixels.shape
    return Grid(tuple(map(float, range(width + 1))), tuple(map(float, range(height + 1))), 0)


def divide(rgba: NDArray[np.uint8], columns: int, rows: int) -> Grid:
    """The grid of so many cells that fits a picture, uint8 (H, W, 4), best; even where its edges show no better.

    Raises ValueError for no cells, or more than pixels.
    """
    pixels = _visible(rgba)
    block, reach, _ = SCALES[min(pixels.shape[1] // max(columns, 1), pixels.shape[0] // max(rows, 1)) < SCALES[0][2]]
    raw = profiles.edges(pixels, block, reach)
    lines = []
    for profile, cells in zip(raw, (columns, rows), strict=True):
        length = len(profile) - 1
        width = max(1, length // max(cells, 1))
        chain = borders.divide(_above(_values(profile), width), cells, STIFFNESS)
        even = np.rint(np.arange(cells + 1) * length * combs.PIXEL / cells) / combs.PIXEL
        drifts = np.abs(_weighted(profile, chain, even)) > EVEN * width
        lines.append(_centered(profile, chain, width) if drifts else even)
    drifting, confidence = lines, _confidence(raw, lines)
    return Grid(tuple(drifting[0].tolist()), tuple(drifting[1].tolist()), confidence)


def _visible(rgba: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Packed pixels whose colors count as much as they show: an edge between two hidden colors is none."""
    if not opaque(rgba):
        color = (rgba[..., :3].astype(np.uint16) * rgba[..., 3:] + 127) // 255
        rgba = np.dstack([color.astype(np.uint8), rgba[..., 3]])
    return whole(rgba)


def _exact(pixels: NDArray[np.uint32]) -> Grid | None:
    """The coarsest grid of whole pixels on which the picture loses nothing, if that has cells of 2 or more."""
    height, width = pixels.shape
    few = [profiles.hard_edges(pixels[:: max(1, height // FEW)], 1), profiles.hard_edges(pixels[:, :: max(1, width // FEW)], 0)]
    if _step(few) == 1:
        return None
    places = [profiles.hard_edges(pixels, axis) for axis in (1, 0)]
    cell = _step(places)
    if sum(map(len, places)) < FEW or cell < 2:
        return None
    lines = []
    for line, length in zip(places, pixels.shape[::-1], strict=True):
        first = int(line[0]) % cell if len(line) else 0
        lines.append(tuple(map(float, sorted({0, *range(first, length, cell), length}))))
    return Grid(lines[0], lines[1], 1, exact=True)


def _step(places: list[NDArray[np.intp]]) -> int:
    """The greatest common divisor of the distances between places; 0 if there are none."""
    return gcd(*(int(np.gcd.reduce(np.diff(line))) for line in places))


def _soft(pixels: NDArray[np.uint32], block: int, reach: int, narrowest: int) -> Grid | None:
    raw = profiles.edges(pixels, block, reach)
    values = [_values(profile) for profile in raw]
    best: tuple[int, int, list[NDArray[np.int64]]] | None = None
    for width in _widths(values, narrowest, min(pixels.shape) // 4):
        found = [borders.follow(_above(line, width * 3 // 2), width, STIFFNESS) for line in values]
        total = sum(worth for worth, _ in found)
        if best is None or total > best[0]:
            best = total, width, [chain for _, chain in found]
    if best is None:
        return None
    _, width, chains = best
    above = [_above(line, width * 3 // 2) for line in values]
    mean = sum(int(chain[-1] - chain[0]) for chain in chains) / max(1, sum(len(chain) - 1 for chain in chains))
    comb = combs.fit(above, mean, 0.5 / width + 0.02)
    even = [comb.lines(axis, len(line) - 1) for axis, line in enumerate(values)]
    away = [abs(_weighted(profile, chain, lines)) for profile, chain, lines in zip(above, chains, even, strict=True)]
    if max(away) <= EVEN * width:
        lines = even
    else:
        lines = [_centered(profile, chain, width) for profile, chain in zip(raw, chains, strict=True)]
    lines = [_ended(line, len(profile) - 1, width) for line, profile in zip(lines, raw, strict=True)]
    return Grid(tuple(lines[0].tolist()), tuple(lines[1].tolist()), _confidence(raw, lines))


def _values(profile: NDArray[np.int64]) -> NDArray[np.int64]:
    """What a border is worth at each place: the root, so that one strong edge does not outweigh ten."""
    total = int(profile.sum())
    if not total:
        return profile
    return np.rint(np.sqrt(profile * (UNIT**2 * len(profile) / total))).astype(np.int64)


def _above(values: NDArray[np.int64], radius: int) -> NDArray[np.int64]:
    """Values less their mean within a radius."""
    sums = np.concatenate([[0], values.cumsum()])
    at = np.arange(len(values))
    low, high = np.maximum(at - radius, 0), np.minimum(at + radius + 1, len(values))
    return values - (sums[high] - sums[low]) // (high - low)


def _widths(values: list[NDArray[np.int64]], narrowest: int, widest: int) -> list[int]:
    """The widths of cells with which the profiles repeat most, by the peaks of their autocorrelation."""
    if widest < narrowest:
        return []
    lags = np.zeros(widest + 2)
    for line in values:
        high = _above(line, 12).astype(np.float64)  # whole numbers: the sums below are exact
        lags += [high[: len(high) - lag] @ high[lag:] for lag in range(widest + 2)]
    smooth = lags[:-2] + 2 * lags[1:-1] + lags[2:]
    smooth = np.concatenate([[np.inf], smooth, [-np.inf]])  # at its own lag again
    peaks = np.flatnonzero((smooth[1:-1] >= smooth[:-2]) & (smooth[1:-1] >= smooth[2:])) + 1
    peaks = peaks[(peaks >= narrowest) & (smooth[peaks] > smooth[1] / 20)]
    return [int(peak) for peak in peaks[np.argsort(-smooth[peaks], kind="stable")][:CANDIDATES]]


def _weighted(worth: NDArray[np.int64], chain: NDArray[np.int64], lines: Lines) -> float:
    """How far a chain of borders lies from the nearest lines, on average, each border weighing what it is worth."""
    weights = worth[chain].clip(0)
    total = int(weights.sum())
    if not total:
        return 0.0
    nearest = np.abs(chain[:, None] - lines).min(axis=1)
    parts = np.rint(nearest * combs.PIXEL).astype(np.int64)
    return int((weights * parts).sum()) / total / combs.PIXEL


def _centered(profile: NDArray[np.int64], chain: NDArray[np.int64], width: int) -> Lines:
    """Borders moved to the centroid of the edges around them."""
    reach = max(1, min(2, width // 6))
    places = (chain[:, None] + np.arange(-reach, reach + 1)).clip(0, len(profile) - 1)
    weights = profile[places]
    sums = weights.sum(axis=1)
    parts = np.where(sums > 0, (weights * places).sum(axis=1) * combs.PIXEL // np.maximum(sums, 1), chain * combs.PIXEL)
    return parts / combs.PIXEL


def _ended(lines: Lines, length: int, width: float) -> Lines:
    """Lines with the picture's own edges added where at least half a cell lies outside."""
    start = [0.0] if 2 * lines[0] >= width else []
    end = [float(length)] if 2 * (length - lines[-1]) >= width else []
    return np.concatenate([start, lines, end])


def _confidence(raw: list[NDArray[np.int64]], lines: list[Lines]) -> float:
    inside = border = 0
    for profile, line in zip(raw, lines, strict=True):
        inside += int(profile[np.rint((line[1:] + line[:-1]) / 2).astype(np.int64)].sum())
        border += int(profile[np.rint(line).astype(np.int64)].sum())
    return max(0.0, 1 - inside / border) if border else 0.0
