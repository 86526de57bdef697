"""The grid of cells in a soft, almost-pixel picture: its scale, its offset, its drift; knows no colors of cells.

Cells are taken to be about square, and all of about one size. Edges say where their borders are:

1. Where a picture changes only at multiples of something, that is the grid, exactly.
2. Otherwise the profiles of edge strength repeat with the width of a cell: their autocorrelation proposes widths, and a
   chain of borders is followed at each, which pays for cells of other widths. It collects values above the local mean,
   so twice the width misses half of them, and half the width pays for the places between.
3. Borders that lie on an even comb belong to one, which is fitted to all of them; others are taken as they are, so that
   cells may drift.
4. What was found must explain the picture: colors differ little inside of cells, much between them.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd

import numpy as np
from numpy.typing import NDArray

from spritebuild_stages.ops import borders, combs, profiles
from spritebuild_stages.ops.agreement import agreement
from spritebuild_stages.ops.borders import PIXEL, Values
from spritebuild_stages.ops.profiles import Pixels

UNIT = 1024  # the root mean square of a profile's values
STIFFNESS = 2 * UNIT
SCALES = ((8, 2, 6), (2, 1, 3))  # lines averaged, pixels compared, narrowest cell: soft large cells, then small ones
SHARE = 20  # a lag at which a profile repeats less than a 20th of itself proposes no width
PROPOSED = 2  # the widths that repeat most, and the narrowest that repeat at least a third as much
CLEAR = 3
EVEN = 0.055  # in cells, how far borders may lie from an even comb on average; cells of +-18 % begin at 0.07
ROUNDED = 0.45  # and in pixels, where borders were drawn at whole ones
BLURRED = 2  # pixels on either side of a border in which its edge has its centroid
NOWHERE = -(1 << 20)
CONFIDENT = 0.75
CELLS = 10  # along either side, at least, of a soft picture: fewer agree by chance
CHANGES = 8  # at least, to tell from them that a picture changes at multiples of something

Lines = NDArray[np.float64]


@dataclass(frozen=True)
class Grid:
    """The borders of cells along x and y, ascending, in pixels from the left and the top, in whole 1/256ths.

    `confidence` is that of `agreement`, 0.75 to 1; or 0 where no grid was found, and then every pixel is a cell.
    `exact` says that the picture is nothing but its cells, each of one color. Less than half a cell lies outside of
    the borders on either side.
    """

    x: tuple[float, ...]
    y: tuple[float, ...]
    confidence: float
    exact: bool = False

    @property
    def columns(self) -> int:
        return len(self.x) - 1

    @property
    def rows(self) -> int:
        return len(self.y) - 1


def find(rgba: NDArray[np.uint8]) -> Grid:
    """The grid that a picture, uint8 (H, W, 4), was drawn on, if it shows one. Alpha counts as a color does."""
    pixels = _visible(rgba)
    exact = _exact(pixels)
    if exact:
        return exact
    for block, reach, narrowest in SCALES:
        found = _soft(pixels, block, reach, narrowest)
        if found and found.confidence >= CONFIDENT and min(found.columns, found.rows) >= CELLS:
            return found
    height, width = pixels.shape
    return Grid(tuple(map(float, range(width + 1))), tuple(map(float, range(height + 1))), 0)


def divide(rgba: NDArray[np.uint8], columns: int, rows: int) -> Grid:
    """The grid of so many cells that fits a picture, uint8 (H, W, 4), best, whatever its confidence.

    Cells fill the whole picture; where its edges show no borders, they are even. Raises ValueError for no cells, or
    more than pixels.
    """
    pixels = _visible(rgba)
    height, width = pixels.shape
    small = min(width // max(columns, 1), height // max(rows, 1)) < SCALES[0][2]
    block, reach, _ = SCALES[small]
    raw = profiles.edges(pixels, block, reach)
    lines = []
    for profile, cells in zip(raw, (columns, rows), strict=True):
        length = len(profile) - 1
        cell = max(1, length // max(cells, 1))
        values = _above(_values(profile), cell)
        chain = borders.divide(values, cells, STIFFNESS)
        even = np.rint(np.arange(cells + 1) * (length * PIXEL) / cells) / PIXEL
        lines.append(even if _on(even, chain, values, cell) else _centered(profile, chain, cell))
    return _grid(pixels, lines)


def _visible(rgba: NDArray[np.uint8]) -> Pixels:
    """Whole pixels whose colors count as much as they show: an edge between two hidden ones is none."""
    if not profiles.opaque(rgba):
        color = (rgba[..., :3].astype(np.uint16) * rgba[..., 3:] + 127) // 255
        rgba = np.dstack([color.astype(np.uint8), rgba[..., 3]])
    return profiles.whole(rgba)


def _exact(pixels: Pixels) -> Grid | None:
    """The coarsest grid of whole pixels under which the picture loses nothing, if it has cells of 2 or more."""
    height, width = pixels.shape
    some = pixels[:: max(1, height // CHANGES)], pixels[:, :: max(1, width // CHANGES)]
    if _step(profiles.hard_edges(some[0], 1), profiles.hard_edges(some[1], 0)) == 1:
        return None
    places = profiles.hard_edges(pixels, 1), profiles.hard_edges(pixels, 0)
    cell = _step(*places)
    if cell < 2 or sum(map(len, places)) < CHANGES:
        return None
    x, y = (
        tuple(map(float, sorted({0, *range(int(line[0]) % cell if len(line) else 0, length, cell), length})))
        for line, length in zip(places, (width, height), strict=True)
    )
    return Grid(x, y, 1, exact=True)


def _step(x: Values, y: Values) -> int:
    """The greatest common divisor of the distances between places along x and along y; 0 if there are none."""
    return gcd(int(np.gcd.reduce(np.diff(x))), int(np.gcd.reduce(np.diff(y))))


def _soft(pixels: Pixels, block: int, reach: int, narrowest: int) -> Grid | None:
    """The best grid that blurred edges show, if they repeat at all."""
    raw = profiles.edges(pixels, block, reach)
    values = [_values(profile) for profile in raw]
    found = []
    for width in _widths(values, narrowest, min(pixels.shape) // 4):
        worth, chains = borders.follow([_above(line, width * 3 // 2) for line in values], width, STIFFNESS)
        found.append((worth, width, chains))
    if not found:
        return None
    _, width, chains = max(found, key=lambda each: each[0])
    above = [_above(line, width * 3 // 2) for line in values]
    mean = sum(int(chain[-1] - chain[0]) for chain in chains) / max(1, sum(len(chain) - 1 for chain in chains))
    comb = combs.fit(above, mean or width, 0.5 / width + 0.02)
    lines = [comb.lines(axis, len(line) - 1) for axis, line in enumerate(values)]
    if not all(_on(even, chain, line, width) for even, chain, line in zip(lines, chains, above, strict=True)):
        lines = [_centered(profile, chain, width) for profile, chain in zip(raw, chains, strict=True)]
    return _grid(pixels, [_ended(line, len(profile) - 1, width) for line, profile in zip(lines, raw, strict=True)])


def _values(profile: Values) -> Values:
    """What a border is worth at each place: the root, so that one strong edge does not outweigh ten."""
    total = int(profile.sum())
    if not total:
        return profile
    roots: Values = np.rint(np.sqrt(profile * (UNIT**2 * len(profile) / total))).astype(np.int64)
    return roots


def _above(values: Values, radius: int) -> Values:
    """Values less their mean within a radius."""
    sums = np.concatenate([[0], values.cumsum()])
    at = np.arange(len(values))
    low, high = np.maximum(at - radius, 0), np.minimum(at + radius + 1, len(values))
    above: Values = values - (sums[high] - sums[low]) // (high - low)
    return above


def _widths(values: list[Values], narrowest: int, widest: int) -> list[int]:
    """The widths of cells with which profiles repeat most: the peaks of their autocorrelations' sum."""
    if widest < narrowest:
        return []
    lags = np.zeros(widest + 2)
    for line in values:
        high = _above(line, 12).astype(np.float64)  # whole numbers: the sums below are exact
        lags += [high[: len(high) - lag] @ high[lag:] for lag in range(widest + 2)]
    smooth = lags[:-2] + 2 * lags[1:-1] + lags[2:]  # of the lags from 1 on
    peak = (smooth[1:-1] >= smooth[:-2]) & (smooth[1:-1] >= smooth[2:]) & (smooth[1:-1] * SHARE > smooth[0])
    widths = np.flatnonzero(peak) + 2
    widths = widths[widths >= narrowest]
    if not len(widths):
        return []
    heights = smooth[widths - 1]
    highest = widths[np.argsort(-heights, kind="stable")][:PROPOSED]
    # Of many cells, some number together may come closer to whole pixels than one, and repeat more.
    narrow = widths[heights * CLEAR >= heights.max()][:PROPOSED]
    return sorted({*highest.tolist(), *narrow.tolist()})


def _on(lines: Lines, chain: Values, worth: Values, width: int) -> bool:
    """Whether a chain of borders lies on lines, on average; each border weighs what it is worth."""
    weights = worth[chain].clip(0)
    away = np.rint(np.abs(chain[:, None] - lines).min(axis=1) * PIXEL).astype(np.int64)
    return int((weights * away).sum()) <= max(EVEN * width, ROUNDED) * PIXEL * int(weights.sum())


def _centered(profile: Values, chain: Values, width: int) -> Lines:
    """Borders moved to the centroid of the edges around them, but never to another; the outermost, if near, outside."""
    last = len(profile) - 1
    steps = np.arange(-BLURRED, BLURRED + 1)
    gaps = np.minimum(np.diff(chain, prepend=NOWHERE), np.diff(chain, append=-NOWHERE))
    places = (chain[:, None] + steps).clip(0, last)
    weights = np.where(2 * np.abs(steps) < np.minimum(gaps, width // 2)[:, None], profile[places], 0)
    sums = weights.sum(axis=1)
    parts = np.where(sums > 0, (weights * places).sum(axis=1) * PIXEL // np.maximum(sums, 1), chain * PIXEL)
    if 4 * chain[0] <= width:
        parts[0] = 0
    if 4 * (last - chain[-1]) <= width:
        parts[-1] = last * PIXEL
    return parts / PIXEL


def _ended(lines: Lines, length: int, width: int) -> Lines:
    """Lines and the picture's own edges, where at least half a cell lies outside of the lines."""
    start = [0.0] if 2 * lines[0] >= width else []
    end = [float(length)] if 2 * (length - lines[-1]) >= width else []
    return np.concatenate([start, lines, end])


def _grid(pixels: Pixels, lines: list[Lines]) -> Grid:
    x, y = (np.rint(line * PIXEL).astype(np.int64) for line in lines)
    confidence = agreement(pixels[..., None].view(np.uint8), x, y)
    return Grid(tuple(lines[0].tolist()), tuple(lines[1].tolist()), confidence)
