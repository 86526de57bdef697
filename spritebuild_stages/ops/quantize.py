"""Every visible color to the nearest of a palette, as the eye sees it; touches no alpha."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from spritebuild_stages.images.integers import distinct, pack, unpack

Palette = tuple[tuple[int, int, int], ...]

# OKLab in whole steps of 2**-24: the last bits of cbrt differ between processors, and rounded away here, distances are
# exact integers (below 2**53) in any order of summation. So the nearest color is the same one on every machine.
STEPS = 1 << 24
BLOCK = 1 << 15  # colors compared at a time: 32,768 x 256 distances are 64 MiB

# Björn Ottosson, "A perceptual color space for image processing" (2020, matrices of 2021-01-25),
# https://bottosson.github.io/posts/oklab/
LINEAR_TO_LMS = (
    (0.4122214708, 0.5363325363, 0.0514459929),
    (0.2119034982, 0.6806995451, 0.1073969566),
    (0.0883024619, 0.2817188376, 0.6299787005),
)
LMS_TO_LAB = (
    (0.2104542553, 0.7936177850, -0.0040720468),
    (1.9779984951, -2.4285922050, 0.4505937099),
    (0.0259040371, 0.7827717662, -0.8086757660),
)


def quantize(rgba: NDArray[np.uint8], palette: Palette) -> NDArray[np.uint8]:
    """Replace the color of every pixel of alpha > 0 by the palette's nearest in OKLab (Euclidean distance).

    `rgba` is uint8 (H, W, 4); `palette` holds 1 or more (r, g, b) of 0..255, and the first of equally near colors
    wins. Alpha stays; pixels of alpha 0 become (0, 0, 0, 0). Returns a new array. Raises ValueError for an empty
    palette.
    """
    if not palette:
        raise ValueError("the palette is empty")
    pixels = pack(rgba)
    rgb, alpha = pixels >> 8, pixels & 255
    colors = distinct(rgb)
    chosen = np.array([red << 16 | green << 8 | blue for red, green, blue in palette], np.uint32)
    nearest = chosen[_nearest(unpack(colors << 8)[:, :3], palette)]
    return unpack(np.where(alpha > 0, nearest[np.searchsorted(colors, rgb)] << 8 | alpha, 0))


def oklab(rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    """OKLab of 8-bit sRGB: uint8 (N, 3) to float64 (N, 3), L in 0..1, a and b within -0.4..0.4.

    Transfer function of IEC 61966-2-1, matrices of Ottosson (see above). Written without matrix products: their order
    of summation is the linear algebra library's.
    """
    red, green, blue = _linear()[rgb].T
    long, medium, short = (np.cbrt(x * red + y * green + z * blue) for x, y, z in LINEAR_TO_LMS)
    return np.stack([x * long + y * medium + z * short for x, y, z in LMS_TO_LAB], axis=1)


def _nearest(colors: NDArray[np.uint8], palette: Palette) -> NDArray[np.intp]:
    """The index of the palette's nearest color, the first of equals, for each of uint8 (N, 3)."""
    targets, squares = _steps_of_palette(palette)
    blocks = (colors[start : start + BLOCK] for start in range(0, len(colors), BLOCK))
    # |c - t|^2 less |c|^2, which is the same for every t.
    return np.concatenate([(squares - 2 * _steps(block) @ targets).argmin(axis=1) for block in blocks])


def _steps(rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    return np.rint(oklab(rgb) * STEPS)


@lru_cache(maxsize=64)
def _steps_of_palette(palette: Palette) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    targets = _steps(np.array(palette, np.uint8))
    return targets.T, (targets**2).sum(axis=1)


@lru_cache(maxsize=1)
def _linear() -> NDArray[np.float64]:
    """Linear light of the 256 values of an sRGB channel."""
    encoded = np.arange(256) / 255
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
