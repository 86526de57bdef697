"""Dithering: mixes of a palette's colors for those that it lacks; touches no alpha."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from spritebuild_stages.images.integers import pack, unpack
from spritebuild_stages.ops import oklab
from spritebuild_stages.ops.oklab import Palette

ORDERED = {"bayer2": 1, "bayer4": 2, "bayer8": 3}  # the side of the pattern, as a power of two

# What a pixel takes of the errors of those before it: (dx, dy) and a share in sixteenths or eighths.
# R. Floyd and L. Steinberg, "An adaptive algorithm for spatial grey scale", Proc. SID 17 (1976); B. Atkinson's filter
# (Apple, 1984) passes on three quarters of an error, which keeps light and dark parts clean.
FLOYD_STEINBERG = (((-1, 0), 7), ((1, -1), 3), ((0, -1), 5), ((-1, -1), 1))
ATKINSON = (((-1, 0), 1), ((-2, 0), 1), ((1, -1), 1), ((0, -1), 1), ((-1, -1), 1), ((0, -2), 1))
DIFFUSED = {"floyd-steinberg": (FLOYD_STEINBERG, 4), "atkinson": (ATKINSON, 3)}  # and the shares' power of two

DITHERS = ("none", *ORDERED, *DIFFUSED)


def ordered(rgba: NDArray[np.uint8], palette: Palette, dither: str) -> NDArray[np.uint8]:
    """The picture in the palette's colors, mixed in a fixed pattern that starts at the picture's top left corner.

    `rgba` is uint8 (H, W, 4), `dither` a key of ORDERED. A pixel's lightness is shifted by its place in Bayer's matrix
    before the nearest color is chosen, by up to half of `spread` either way. Colors of the palette stay as they are, so
    flat parts stay flat and a second time changes nothing. Pixels of alpha 0 become (0, 0, 0, 0); returns a new array.

    Source: B. E. Bayer, "An optimum method for two-level rendition of continuous-tone pictures", ICC 1973.
    """
    height, width = rgba.shape[:2]
    pattern = _bayer(ORDERED[dither])
    side = len(pattern)
    shifts = (2 * pattern + 1 - side * side) * spread(palette) // (2 * side * side)
    # Pixels of one color at one place of the pattern become one color.
    pixels = pack(rgba)
    places = np.tile(pattern, (-(-height // side), -(-width // side)))[:height, :width]
    keys, inverse = np.unique((pixels >> 8).astype(np.int64) << 8 | places, return_inverse=True)
    colors = unpack((keys & ~255).astype(np.uint32))[:, :3]
    lab = oklab.steps(oklab.oklab(colors))
    order = np.argsort(pattern, axis=None)
    own = np.isin(keys >> 8, _packed(palette))
    lab[:, 0] += np.where(own, 0, shifts.ravel()[order][keys & 255])
    chosen = _packed(palette)[oklab.nearest(lab, palette)][inverse.reshape(height, width)]
    alpha = pixels & 255
    return unpack(np.where(alpha > 0, chosen << 8 | alpha, 0))


def diffused(rgba: NDArray[np.uint8], palette: Palette, dither: str) -> NDArray[np.uint8]:
    """The picture in the palette's colors, what each pixel is off by passed on to those after it, row by row.

    `rgba` is uint8 (H, W, 4), `dither` a key of DIFFUSED. Errors are in whole steps of OKLab, as distances are, and at
    most `spread` on each axis: what no mix can reach (a purer red than the palette has) would pile up otherwise, and
    break out far away. Pixels of alpha 0 become (0, 0, 0, 0), take no error and pass none on. A picture in the
    palette's colors stays as it is. Returns a new array.
    """
    shares, shift = DIFFUSED[dither]
    height, width = rgba.shape[:2]
    pixels = pack(rgba)
    values, inverse = np.unique(pixels, return_inverse=True)
    places = inverse.reshape(height, width)
    lab = oklab.steps(oklab.oklab(unpack(values)[:, :3])).astype(np.int64)
    targets = oklab.steps(oklab.oklab(np.array(palette, np.uint8))).astype(np.int64)
    most = spread(palette)
    chosen = np.zeros((height, width), np.uint32)
    # Pixels with equal x + 2y do not depend on each other: they are a wave, and done at once. `waves` holds the errors
    # of the last five by row, below two rows of zeros.
    waves = np.zeros((5, height + 2, 3), np.int64)
    packed = _packed(palette)
    for wave in range(width + 2 * height - 2):
        first, after = max(0, (wave - width + 2) // 2), min(height, wave // 2 + 1)
        rows = np.arange(first, after)
        columns = wave - 2 * rows
        taken = sum(
            share * waves[(wave + dx + 2 * dy) % 5, first + 2 + dy : after + 2 + dy] for (dx, dy), share in shares
        )
        wanted = lab[places[rows, columns]] + ((taken + (1 << shift - 1)) >> shift)
        best = oklab.nearest(wanted.astype(np.float64), palette)
        visible = pixels[rows, columns] & 255 > 0
        waves[wave % 5] = 0
        waves[wave % 5, first + 2 : after + 2] = np.clip(wanted - targets[best], -most, most) * visible[:, None]
        chosen[rows, columns] = packed[best]
    alpha = pixels & 255
    return unpack(np.where(alpha > 0, chosen << 8 | alpha, 0))


@lru_cache(maxsize=64)
def spread(palette: Palette) -> int:
    """How far ordered dithering shifts lightness in all, in steps of OKLab: as far as neighboring colors are apart.

    That is the mean, rounded down, of every color's distance to the nearest other; 0 for a single color.
    """
    lab = oklab.steps(oklab.oklab(np.array(sorted(set(palette)), np.uint8)))
    if len(lab) < 2:
        return 0
    squares = ((lab[:, None] - lab[None]) ** 2).sum(axis=2)  # whole numbers below 2**53
    np.fill_diagonal(squares, np.inf)
    apart = np.floor(np.sqrt(squares.min(axis=1)))  # a square root is rounded alike everywhere (IEEE 754)
    return int(apart.sum()) // len(lab)


def _bayer(power: int) -> NDArray[np.int64]:
    """Bayer's matrix: the ranks 0..4**power - 1 over a square of side 2**power."""
    ranks = np.zeros((1, 1), np.int64)
    for _ in range(power):
        ranks = np.block([[4 * ranks, 4 * ranks + 2], [4 * ranks + 3, 4 * ranks + 1]])
    return ranks


def _packed(palette: Palette) -> NDArray[np.uint32]:
    return np.array([red << 16 | green << 8 | blue for red, green, blue in palette], np.uint32)
