"""How strong the edges of a picture are between any two of its columns or rows; knows no grid.

Everything is whole numbers: the same profile on every machine.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

PAIR = np.uint32(0x00FF00FF)  # two of a pixel's four bytes, with room to add 256 of them
SPARSE = 2  # every second place along both axes tells the median
NOISE = 3  # what a difference must exceed to count, in medians of all differences

Pixels = NDArray[np.uint32]


def whole(rgba: NDArray[np.uint8]) -> Pixels:
    """uint8 (H, W, 4) as uint32 (H, W), in this machine's order of bytes: to compare and to pick."""
    pixels: Pixels = np.ascontiguousarray(rgba).view(np.uint32)[..., 0]
    return pixels


def opaque(rgba: NDArray[np.uint8]) -> bool:
    """Whether every pixel has full alpha."""
    common = np.bitwise_and.reduce(whole(rgba), axis=None)
    return bool(np.array([common]).view(np.uint8)[3] == 255)


def hard_edges(pixels: Pixels, axis: int) -> NDArray[np.int64]:
    """The places along an axis where anything at all changes: n for a change between lines n - 1 and n."""
    changed = pixels[:, 1:] != pixels[:, :-1] if axis else pixels[1:] != pixels[:-1]
    return np.flatnonzero(changed.any(axis=1 - axis)) + 1


def edges(pixels: Pixels, block: int, reach: int) -> list[NDArray[np.int64]]:
    """Strength of the edges between columns and between rows: int64 (W + 1) and (H + 1), 0 at both ends.

    `pixels` is uint32 (H, W) of four bytes each. Sums of `block` lines along an edge are compared over `reach` pixels
    on either side of it, which averages noise out; what is left of the noise, known by the median, is taken off.
    `block` is a power of two, and that times `reach` at most 64.
    """
    pairs = pixels & PAIR, (pixels >> np.uint32(8)) & PAIR
    return [_profile(pairs, axis, block, reach) for axis in (1, 0)]


def _profile(pairs: tuple[Pixels, Pixels], axis: int, block: int, reach: int) -> NDArray[np.int64]:
    height, width = pairs[0].shape if axis else pairs[0].shape[::-1]
    total = np.zeros(width + 1, np.int64)
    while block > height:
        block //= 2
    if width >= 2 * reach:
        strength = _differences(pairs[0], axis, block, reach) + _differences(pairs[1], axis, block, reach)
        some = strength[::SPARSE, ::SPARSE]
        median = int(np.partition(some, some.size // 2, axis=None)[some.size // 2])
        noise = np.uint16(min(NOISE * median, 0xFFFF))
        total[reach:-reach] = (np.maximum(strength, noise) - noise).sum(axis=1 - axis, dtype=np.int64)
    return total


def _differences(pairs: Pixels, axis: int, block: int, reach: int) -> NDArray[np.uint16]:
    """Absolute differences of two of the channels, added: uint16, `reach` short of both ends."""
    count = pairs.shape[1 - axis] // block * block
    sums = pairs[:count] if axis else pairs[:, :count]
    while block > 1:
        sums = sums[::2] + sums[1::2] if axis else sums[:, ::2] + sums[:, 1::2]
        block //= 2
    width = sums.shape[axis] - reach + 1
    near = sums[:, :width] if axis else sums[:width]
    for start in range(1, reach):
        near = near + (sums[:, start : start + width] if axis else sums[start : start + width])
    channels = np.ascontiguousarray(near).view(np.int16).reshape(*near.shape, 2)
    change = channels[:, reach:] - channels[:, :-reach] if axis else channels[reach:] - channels[:-reach]
    strength: NDArray[np.uint16] = np.abs(change).view(np.uint16)
    return strength[..., 0] + strength[..., 1]
