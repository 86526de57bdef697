"""Every visible color to one of a palette, the nearest or a mix of them; touches no alpha."""

from __future__ import annotations

import mmap
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from spritebuild_stages.images.integers import ALPHA, COLOR, channels, distinct, words
from spritebuild_stages.ops import dither as dithers
from spritebuild_stages.ops.dither import DITHERS
from spritebuild_stages.ops.oklab import Palette, nearest, oklab, steps

__all__ = ["DITHERS", "Palette", "oklab", "quantize"]


def quantize(rgba: NDArray[np.uint8], palette: Palette, dither: str = "none") -> NDArray[np.uint8]:
    """Replace the color of every pixel of alpha > 0 by the palette's nearest in OKLab (Euclidean distance).

    `rgba` is uint8 (H, W, 4); `palette` holds 1 or more (r, g, b) of 0..255, and the first of equally near colors
    wins. `dither` is one of DITHERS: with another than "none", neighbors mix colors that the palette lacks (see
    `dither.py`). Alpha stays; pixels of alpha 0 become (0, 0, 0, 0). Returns a new array. Raises ValueError for an
    empty palette, one of more than 65,535 colors, or an unknown `dither`.
    """
    if not palette:
        raise ValueError("the palette is empty")
    if dither not in DITHERS:
        raise ValueError(f"dither is one of {', '.join(DITHERS)}, not {dither!r}")
    if dither in dithers.ORDERED:
        return dithers.ordered(rgba, palette, dither)
    if dither in dithers.DIFFUSED:
        return dithers.diffused(rgba, palette, dither)
    pixels = words(rgba)
    rgb = pixels & COLOR
    table, colors = _table(palette)
    found = table.take(rgb)
    if np.count_nonzero(found) < found.size:
        new = distinct(rgb[found == 0])
        table[new] = nearest(steps(oklab(channels(new)[:, :3])), palette) + 1
        found = table.take(rgb)
    return channels((colors.take(found) & (pixels | COLOR)) * (pixels > COLOR))


@lru_cache(maxsize=4)
def _table(palette: Palette) -> tuple[NDArray[np.uint8] | NDArray[np.uint16], NDArray[np.uint32]]:
    """For each of the 2**24 colors 1 + the index of its nearest, or 0 where that was not asked yet; and the palette.

    Sprites of one game share most colors. Threads may share the table, for what is written to a place is always the
    same number.
    """
    if len(palette) >= 1 << 16:
        raise ValueError(f"a palette of {len(palette):,} colors, more than {(1 << 16) - 1:,}")
    packed = [ALPHA | blue << 16 | green << 8 | red for red, green, blue in palette]
    number = np.dtype(np.uint8 if len(palette) < 1 << 8 else np.uint16)
    # Memory for these 16 or 32 MiB is taken page by page where a color is; np.zeros asks for huge pages, up to 15 ms.
    memory = mmap.mmap(-1, number.itemsize << 24, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_NOHUGEPAGE"):
        memory.madvise(mmap.MADV_NOHUGEPAGE)
    return np.frombuffer(memory, number), np.array([0, *packed], np.uint32)
