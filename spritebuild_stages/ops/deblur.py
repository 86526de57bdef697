"""The colors of soft cells as they were before blur and noise; finds no grid.

A Gaussian lets a share of the neighbor's color into a cell that falls with the distance from the border. Measured close
to all borders together, it tells the sigma, so the share in the inner half, so the colors before. Noise that was cut
off at 0 and 255 moved what is close to them inward, and that is undone as well.
"""

from __future__ import annotations

from functools import lru_cache
from math import erf, exp, pi, sqrt

import numpy as np
from numpy.typing import NDArray

from spritebuild_stages.ops.borders import PIXEL, Values
from spritebuild_stages.ops.cells import Rgba, Samples, median, middle, picked, places, reduced, samples
from spritebuild_stages.ops.profiles import opaque

NEAR = (3, 16)  # how far inside of a border the neighbor's share is measured, in cells
MEASURED = 2  # lines, at most, for every cell along the border
BLURRIEST = 0.25  # the share there beyond which nothing more is taken back
FINE = 16  # bits of fractions
INWARD = (0, 0, 0, 1, 3)  # what 0 to 4 were before noise and compression, as measured; and so from 255 down


def sharp(rgba: Rgba, x: Values, y: Values) -> Rgba:
    """The median of every cell as in `cells`, with what blur and noise did to it undone if the picture is opaque."""
    if not opaque(rgba):
        return median(rgba, x, y)
    seen = reduced(rgba, x, y, 1, _medians_and_spread)
    colors, spread = seen[..., :4], seen[..., 4]
    clean = _without(colors, _share(rgba, x, y, colors.astype(np.int32)))
    return _outward()[clean] if 2 * np.count_nonzero(spread) > spread.size else clean


def _medians_and_spread(seen: Samples) -> Rgba:
    """The median of opaque samples, and in a fifth channel the width of the middle half of the widest channel."""
    ordered = np.sort(seen[..., :3, :], axis=-1)
    count = ordered.shape[-1]
    result = np.full((*seen.shape[:2], 5), 255, np.uint8)
    result[..., :3] = middle(ordered)
    result[..., 4] = (ordered[..., count * 3 // 4] - ordered[..., count // 4]).max(axis=-1)
    return result


def _share(rgba: Rgba, x: Values, y: Values, colors: NDArray[np.int32]) -> int:
    """The share of each neighbor in the inner half of a cell, in 2**-FINE, by least squares over all borders."""
    mixed = apart = 0
    for axis, (across, along) in enumerate(((x, y), (y, x))):
        if len(across) < 3:
            continue
        cells = colors if axis == 0 else colors.swapaxes(0, 1)
        inset = np.diff(across) * NEAR[0] // NEAR[1]
        before, after = (across[1:-1] - inset[:-1]) // PIXEL, (across[1:-1] + inset[1:]) // PIXEL
        count = min(MEASURED, samples(along, 1))
        lines = places(along, count, 1)[:, None]
        for beside, own, other in ((before, cells[:, :-1], cells[:, 1:]), (after, cells[:, 1:], cells[:, :-1])):
            at = (lines, beside[:, None]) if axis == 0 else (beside[:, None], lines)
            seen = picked(rgba, *at).sum(axis=2, dtype=np.int32)
            step = other - own
            mixed += int(((seen - count * own) * step).sum(dtype=np.int64))
            apart += count * int((step * step).sum(dtype=np.int64))
    if mixed <= 0:
        return 0
    near, inner = _shares()
    return inner[min(int(np.searchsorted(near, (mixed << FINE) // apart)), len(inner) - 1)]


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
def _outward() -> Rgba:
    table = np.arange(256)
    table[: len(INWARD)] = INWARD
    table[-len(INWARD) :] = 255 - np.array(INWARD[::-1])
    return table.astype(np.uint8)


@lru_cache(maxsize=1)
def _shares() -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The neighbor's share under a Gaussian NEAR the border, ascending, and that in the inner half, in 2**-FINE.

    Of a step blurred with sigma, the share at t beyond it is Phi(-t / sigma), and the mean over an interval is the
    difference of phi(t) - t Phi(-t) at its ends, over its length; all in sigmas.
    """

    def beyond(t: float) -> float:
        return (1 + erf(-t / sqrt(2))) / 2

    def integral(t: float) -> float:
        return exp(-t * t / 2) / sqrt(2 * pi) - t * beyond(t)

    near, inner = [0], [0]
    for step in range(200, 0, -1):
        width = step / 10  # of a cell, in sigmas
        share = beyond(width * NEAR[0] / NEAR[1])
        if share > BLURRIEST:
            break
        near.append(round(share * 2**FINE))
        inner.append(round((integral(width / 4) - integral(width * 3 / 4)) / (width / 2) * 2**FINE))
    return tuple(near), tuple(inner)
