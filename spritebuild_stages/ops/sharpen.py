"""More contrast at edges, in whole numbers; touches no alpha, and makes colors that were not there."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BAND = 64  # rows at a time, so that a large picture needs little more memory than its pixels


def sharpen(rgba: NDArray[np.uint8], radius: int = 1, percent: int = 100, threshold: int = 0) -> NDArray[np.uint8]:
    """Unsharp mask: add `percent` (0..500) of what every channel differs by from its blurred self.

    `rgba` is uint8 (H, W, 4). The blur is a pyramid of weights (radius + 1 - |x|)(radius + 1 - |y|), `radius` 1..8
    pixels, and counts every pixel by its alpha: what is hidden or outside does not bleed in. A difference below
    `threshold` (0..255) adds nothing. Sums are exact, and the result is rounded once, halves up, then clipped to
    0..255. Alpha, and colors under alpha 0, stay. Returns a new array; raises ValueError for a number out of its range.

    Source: Pratt, "Digital Image Processing" (1978), unsharp masking.
    """
    for name, value, bounds in (
        ("radius", radius, (1, 8)),
        ("percent", percent, (0, 500)),
        ("threshold", threshold, (0, 255)),
    ):
        if not bounds[0] <= value <= bounds[1]:
            raise ValueError(f"{name} is {bounds[0]}..{bounds[1]}, not {value}")
    result = rgba.copy()
    height = len(rgba)
    for top in range(0, height, BAND):
        bottom = min(top + BAND, height)
        start = max(top - radius, 0)
        near = rgba[start : bottom + radius]
        result[top:bottom, :, :3] = _sharper(near, radius, percent, threshold)[top - start : bottom - start]
    return result


def _sharper(rgba: NDArray[np.uint8], radius: int, percent: int, threshold: int) -> NDArray[np.uint8]:
    alpha = rgba[..., 3].astype(np.uint32)
    weight = _blurred(alpha, radius).astype(np.int64)
    shown = np.maximum(weight, 1)
    channels = []
    for channel in range(3):
        color = rgba[..., channel].astype(np.int64)
        # |difference| <= 255 * 255 * 81 * 81 < 2**29, and 1,000 times that fits easily.
        difference = color * weight - _blurred(rgba[..., channel] * alpha, radius).astype(np.int64)
        difference[np.abs(difference) < threshold * weight] = 0
        added = (2 * percent * difference + 100 * shown) // (200 * shown)
        channels.append(np.clip(color + added, 0, 255).astype(np.uint8))
    return np.where(alpha[..., None] > 0, np.stack(channels, axis=2), rgba[..., :3])


def _blurred(values: NDArray[np.uint32], radius: int) -> NDArray[np.uint32]:
    """Sums under the pyramid, zeros outside: two boxes of radius + 1 along each axis make its slopes."""
    for _ in range(2):
        values = np.pad(values, ((radius, radius), (0, 0)))
        values = _boxed(_boxed(values, radius + 1), radius + 1).T
    return values


def _boxed(values: NDArray[np.uint32], length: int) -> NDArray[np.uint32]:
    """Sums of `length` rows that follow each other; totals on the way may wrap, and wrap back when subtracted."""
    totals = np.zeros((len(values) + 1, values.shape[1]), np.uint32)
    np.cumsum(values, axis=0, dtype=np.uint32, out=totals[1:])
    return totals[length:] - totals[:-length]
