"""Small pictures and what is done to them, for tests of what becomes of pictures."""

from __future__ import annotations

import colorsys

import numpy as np
from numpy.typing import NDArray

Rgba = NDArray[np.uint8]

RED, BLUE, GREEN = (200, 40, 40, 255), (40, 40, 200, 255), (40, 160, 60, 255)


def figure() -> Rgba:
    """A figure of three colors on nothing, like none of its mirror images."""
    rgba = np.zeros((16, 16, 4), np.uint8)
    rgba[4:12, 5:10] = RED
    rgba[2:5, 6:9] = BLUE
    rgba[9:13, 9:12] = GREEN
    rgba[13, 4:7] = GREEN
    return rgba


def textured(side: int = 32, colors: int = 12) -> Rgba:
    """An opaque tile of random pixels of a few colors."""
    rng = np.random.default_rng(1)
    return np.array([(*color, 255) for color in rng.integers(0, 256, (colors, 3))], np.uint8)[
        rng.integers(0, colors, (side, side))
    ]


def put(rgba: Rgba, color: tuple[int, int, int, int], *places: tuple[int, int]) -> Rgba:
    changed = rgba.copy()
    for x, y in places:
        changed[y, x] = color
    return changed


def turned(rgba: Rgba, degrees: float = 30) -> Rgba:
    changed = rgba.copy()
    for y, x in np.argwhere(rgba[..., 3] > 0):
        hue, saturation, value = colorsys.rgb_to_hsv(*(int(channel) / 255 for channel in rgba[y, x, :3]))
        channels = colorsys.hsv_to_rgb((hue + degrees / 360) % 1, saturation, value)
        changed[y, x, :3] = [round(255 * channel) for channel in channels]
    return changed


def moved(rgba: Rgba, dx: int, dy: int) -> Rgba:
    height, width = rgba.shape[:2]
    wide = np.pad(rgba, ((height, height), (width, width), (0, 0)))
    return wide[height - dy : 2 * height - dy, width - dx : 2 * width - dx].copy()
