"""One sprite in other colors: a palette swap; touches no alpha."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spritebuild_stages.images.integers import pack, unpack
from spritebuild_stages.ops.oklab import Palette


def swap(rgba: NDArray[np.uint8], source: Palette, target: Palette) -> NDArray[np.uint8]:
    """Replace every visible pixel's color that is exactly `source[i]` by `target[i]`; all others stay.

    `rgba` is uint8 (H, W, 4); the palettes hold (r, g, b) of 0..255. All colors are replaced at once, so two may change
    places. Alpha stays, and so do pixels of alpha 0. Returns a new array. Raises ValueError for palettes of different
    lengths, for empty ones, and for a source that holds a color twice.
    """
    if len(source) != len(target):
        raise ValueError(f"{len(source)} colors to replace, but {len(target)} to replace them by")
    if not source:
        raise ValueError("the palettes are empty")
    if twice := [color for index, color in enumerate(source) if color in source[:index]]:
        raise ValueError(f"#{bytes(twice[0]).hex()} is to be replaced twice")
    pairs = np.array([[red << 16 | green << 8 | blue for red, green, blue in palette] for palette in (source, target)])
    before, after = pairs[:, pairs[0].argsort(kind="stable")].astype(np.uint32)
    pixels = pack(rgba)
    rgb, alpha = pixels >> 8, pixels & 255
    place = np.minimum(np.searchsorted(before, rgb), len(before) - 1)
    return unpack(np.where((before[place] == rgb) & (alpha > 0), after[place] << 8 | alpha, pixels))
