"""How far pictures are from a reference set by their pixels: palette, edges, nearest picture; knows no network.

Pictures are uint8 (H, W, 4), straight alpha. Opaque are pixels of alpha >= 128.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from spritebuild_stages.datasets.colors import OPAQUE
from spritebuild_stages.images import batches
from spritebuild_stages.images.integers import pack, unpack
from spritebuild_stages.ops.alpha import clear_hidden
from spritebuild_stages.ops.quantize import oklab, quantize
from spritebuild_stages.ops.trim import pad

Rgba = NDArray[np.uint8]
Floats = NDArray[np.float64]

SHARE, MAX_COLORS = 0.99, 256  # of opaque pixels, and of colors, that a palette covers
SAME_COLOR = 0.02  # of OKLab: colors less apart are hardly told apart side by side
BLOCK = 1 << 12  # colors that are compared with a palette at once

GROUND = 0.5  # the lightness behind sprites
STRENGTHS = (0.03, 0.09, 0.2)  # lightness a pixel, where weak, middle and strong edges begin
DIRECTIONS = 8

CELL = 4  # pixels of a side; sums over cells bound how near two pictures can be
SHIFTS = tuple((y, x) for y in (0, -1, 1) for x in (0, -1, 1))
AT_ONCE = 16  # pictures that are compared in full before it is asked whether any other can be nearer


# Palette


@dataclass(frozen=True, eq=False)
class Palette:
    """The smallest set of most common colors that covers 99 % of a set's opaque pixels, or the 256 most common.

    `colors` is uint8 (N, 3), the most common first, `shares` (N,) their shares of all opaque pixels.
    """

    colors: NDArray[np.uint8]
    shares: Floats

    @classmethod
    def of(cls, pictures: Sequence[Rgba]) -> Palette:
        """The palette of pictures; empty if nothing of them is opaque."""
        colors, counts = _colors(pictures)
        order = np.argsort(-counts, kind="stable")  # equally common ones stay in order of red, green, blue
        shares = counts[order] / max(1, counts.sum())
        count = min(MAX_COLORS, int(np.searchsorted(shares.cumsum(), SHARE) + 1), len(shares))
        return cls(colors[order[:count]], shares[:count])


def palette_distances(pictures: Sequence[Rgba], palette: Palette) -> tuple[Floats, NDArray[np.int64]]:
    """How far each picture's colors are from a palette (N,), and of how many opaque pixels that is the mean (N,).

    100 times the mean over opaque pixels of the distance in OKLab to the nearest color of the palette: 0 for colors
    that are all in it, about 2 for a difference that is just seen, up to about 100. 0 of 0 pixels where none is opaque.
    """
    chosen = tuple((int(red), int(green), int(blue)) for red, green, blue in palette.colors)
    found, opaque = np.zeros(len(pictures)), np.zeros(len(pictures), np.int64)
    for place, rgba in enumerate(pictures):
        colors, counts = _colors([rgba])
        if len(colors):
            solid = np.concatenate([colors, np.full((len(colors), 1), 255, np.uint8)], axis=1)
            nearest = quantize(solid[None], chosen)[0, :, :3]
            apart = np.sqrt(((oklab(colors) - oklab(nearest)) ** 2).sum(axis=1))
            found[place], opaque[place] = 100 * float(apart @ counts) / counts.sum(), counts.sum()
    return found, opaque


def palette_coverage(pictures: Sequence[Rgba], palette: Palette) -> float:
    """How much of a palette is used: 0..1.

    The share of the palette, each color counted as often as the reference set has it, that is less than 0.02 in OKLab
    from the color of some opaque pixel of the pictures. The reverse of the palette distance: that is 0, and this is
    small, for pictures of one color out of many.
    """
    colors, _ = _colors(pictures)
    targets, used = oklab(palette.colors), np.zeros(len(palette.colors), np.bool_)
    for start in range(0, len(colors), BLOCK):
        block = oklab(colors[start : start + BLOCK])
        used |= (((targets[:, None] - block[None]) ** 2).sum(axis=2) < SAME_COLOR**2).any(axis=1)
    return float(palette.shares[used].sum() / max(palette.shares.sum(), 1e-12))


def color_spread(pictures: Sequence[Rgba]) -> tuple[Floats, Floats]:
    """The mean (3,) and the covariance (3, 3) of the OKLab colors of all opaque pixels; zeros where there are none."""
    colors, counts = _colors(pictures)
    if not len(colors):
        return np.zeros(3), np.zeros((3, 3))
    lab, shares = oklab(colors), counts / counts.sum()
    mean = shares @ lab
    return mean, (lab - mean).T @ ((lab - mean) * shares[:, None])


def color_distance(first: tuple[Floats, Floats], second: tuple[Floats, Floats]) -> float:
    """How far two sets are apart in their colors as a whole: 100 times the Fréchet distance of their OKLab colors.

    The distance of two normal distributions of the same means and covariances (Dowson and Landau 1982): 0 for the same
    colors in the same shares, about 2 for a difference that is just seen, up to about 100. Unlike the palette distance
    it says nothing of single pixels: soft edges between two colors of the palette count little.
    """
    (mean, spread), (other_mean, other_spread) = first, second
    values, vectors = np.linalg.eigh(spread)
    root = vectors @ np.diag(np.sqrt(np.maximum(values, 0))) @ vectors.T
    cross = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ other_spread @ root), 0)).sum()
    squared = ((mean - other_mean) ** 2).sum() + np.trace(spread) + np.trace(other_spread) - 2 * cross
    return 100 * float(np.sqrt(max(squared, 0)))


def _colors(pictures: Sequence[Rgba]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The distinct colors of opaque pixels, uint8 (N, 3), in order of red, green, blue, and how many have each (N,)."""
    packed = [pack(rgba[rgba[..., 3] >= OPAQUE]) >> 8 for rgba in pictures]
    values, counts = np.unique(np.concatenate([np.zeros(0, np.uint32), *packed]), return_counts=True)
    return unpack(values << 8)[:, :3], counts.astype(np.int64)


# Edges


def edge_histogram(pictures: Sequence[Rgba]) -> Floats:
    """The shares of flat pixels, and of edges by strength and direction, (25,): the mean of pictures that show any.

    The gradient is Sobel's, over 8, of the OKLab lightness in front of 0.5, at opaque pixels. A pixel is flat where it
    is shorter than 0.03 a pixel (the first bin); others are in one of three strengths, from 0.03, 0.09 and 0.2, and in
    one of eight directions of a half turn, the first of them around that of the x axis. Sums to 1, or is all 0.
    """
    bins = 1 + len(STRENGTHS) * DIRECTIONS
    found, count = np.zeros(bins), 0
    for chunk in batches.chunks([rgba.shape[:2] for rgba in pictures]):
        stack = np.stack([pictures[index] for index in chunk])
        lightness = oklab(stack[..., :3].reshape(-1, 3))[:, 0].reshape(stack.shape[:3])
        alpha = stack[..., 3] / 255
        shown = np.pad(alpha * lightness + (1 - alpha) * GROUND, ((0, 0), (1, 1), (1, 1)), mode="edge")
        rows, columns = (shown[:, :-2] + 2 * shown[:, 1:-1] + shown[:, 2:]), (shown[..., :-2] + 2 * shown[..., 1:-1])
        columns = columns + shown[..., 2:]
        x, y = (rows[..., 2:] - rows[..., :-2]) / 8, (columns[:, 2:] - columns[:, :-2]) / 8
        strength = np.searchsorted(STRENGTHS, np.hypot(x, y), side="right")
        direction = np.floor(np.arctan2(y, x) / np.pi * DIRECTIONS + 0.5).astype(np.int64) % DIRECTIONS
        place = np.where(strength > 0, 1 + (strength - 1) * DIRECTIONS + direction, 0)
        opaque = stack[..., 3] >= OPAQUE
        place += bins * np.arange(len(stack))[:, None, None]
        counts = np.bincount(place[opaque], minlength=bins * len(stack)).reshape(-1, bins)
        visible = counts[counts.any(axis=1)]
        found += (visible / visible.sum(axis=1, keepdims=True)).sum(axis=0)
        count += len(visible)
    return found / max(1, count)


def edge_similarity(left: Floats, right: Floats) -> float:
    """How much alike the edges of two sets are: 0..1, 1 for equal histograms.

    The part that two edge histograms have in common, sum of min(p, q): 1 less half of the sum of |p - q|. It falls
    where edges are rarer or more frequent, softer or harder, or run in other directions.
    """
    return float(np.minimum(left, right).sum())


# Nearest picture


@dataclass(frozen=True, eq=False)
class Gallery:
    """Pictures among which the nearest to others are sought."""

    pictures: Sequence[Rgba]

    def nearest(self, rgba: Rgba, besides: int = -1) -> tuple[int, float]:
        """The nearest picture's index, the first of equals, and its distance: 0..1, 0 for the same picture.

        The mean absolute difference of red, green, blue and alpha over 255, the least over all moves of -1..1 pixels
        in both directions. Colors under alpha 0 are 0. Pictures of other sizes are compared on a canvas that holds
        both, centered. `besides` is the index of one that is left out: with it the gallery holds two or more.
        """
        best = (np.inf, -1)
        for (height, width), members in self._groups.items():
            side = (max(height, rgba.shape[0]), max(width, rgba.shape[1]))
            stack, cells = self._on(side, (height, width))
            moved = [np.roll(_canvas(rgba, side), shift, axis=(0, 1)) for shift in SHIFTS]
            bounds = np.stack([np.abs(cells - _cells(one[None])).sum(axis=1, dtype=np.int64) for one in moved])
            order = np.argsort(bounds.min(axis=0), kind="stable")
            order = order[np.array(members)[order] != besides]
            size = 4 * 255 * side[0] * side[1]
            for start in range(0, len(order), AT_ONCE):
                some = order[start : start + AT_ONCE]
                if bounds[:, some[0]].min() / size > best[0]:
                    break
                for move, picture in enumerate(moved):
                    able = some[bounds[move, some] / size <= best[0]]
                    if not len(able):
                        continue
                    apart = np.maximum(stack[able], picture) - np.minimum(stack[able], picture)
                    sums = apart.reshape(len(able), -1).sum(axis=1, dtype=np.int64)
                    least = int(sums.min())
                    first = min(members[index] for index in able[sums == least])
                    best = min(best, (least / size, first))
        return best[1], float(best[0])

    @cached_property
    def _groups(self) -> dict[tuple[int, int], list[int]]:
        groups: dict[tuple[int, int], list[int]] = {}
        for index, picture in enumerate(self.pictures):
            groups.setdefault(picture.shape[:2], []).append(index)
        return groups

    @cached_property
    def _canvases(self) -> dict[tuple[tuple[int, int], tuple[int, int]], tuple[Rgba, NDArray[np.int16]]]:
        return {}

    def _on(self, side: tuple[int, int], size: tuple[int, int]) -> tuple[Rgba, NDArray[np.int16]]:
        """The pictures of a size on canvases of another, and the sums of their cells."""
        if (side, size) not in self._canvases:
            stack = np.stack([_canvas(self.pictures[index], side) for index in self._groups[size]])
            self._canvases[side, size] = stack, _cells(stack)
        return self._canvases[side, size]


def centered(rgba: Rgba, height: int, width: int) -> Rgba:
    """The picture in the middle of a transparent canvas, where it is smaller than that; no color under alpha 0."""
    sides = max(width, rgba.shape[1]), max(height, rgba.shape[0])
    return pad(clear_hidden(rgba), *sides, "center")


def _canvas(rgba: Rgba, side: tuple[int, int]) -> Rgba:
    """The picture centered with a pixel to spare on every side, so that none is lost when it is moved by one."""
    return np.pad(centered(rgba, *side), ((1, 1), (1, 1), (0, 0)))


def _cells(stack: Rgba) -> NDArray[np.int16]:
    """Sums over 4x4 pixels of pictures (N, H, W, 4), as (N, cells): they differ by no more than the pixels do."""
    height, width = (-side % CELL for side in stack.shape[1:3])
    whole = np.pad(stack, ((0, 0), (0, height), (0, width), (0, 0)))
    rows, columns = (side // CELL for side in whole.shape[1:3])
    found: NDArray[np.int16] = whole.reshape(-1, rows, CELL, columns, CELL, 4).sum(axis=(2, 4), dtype=np.int16)
    return found.reshape(len(stack), -1)
