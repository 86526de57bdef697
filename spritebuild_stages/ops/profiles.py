"""How strong the edges of a picture are between any two of its columns or rows; knows no grid.

Everything is whole numbers: the same profile on every machine.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

PAIR = np.uint32(0x00FF00FF)  # two of a pixel's four bytes, with room to add 256 of them
NOISE = 3  # what a difference must exceed to count, in medians of all differences


def whole(rgba: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """uint8 (H, W, 4) as uint32 (H, W), in this machine's order of bytes: to compare and to pick, not to compute with."""
    return np.ascontiguousarray(rgba).view(np.uint32)[..., 0]


def opaque(rgba: NDArray[np.uint8]) -> bool:
    """Whether every pixel has full alpha."""
    return bool(np.bitwise_and.reduce(whole(rgba), axis=None).reshape(1).view(np.uint8)[3] == 255)


def hard_edges(pixels: NDArray[np.uint32], axis: int) -> NDArray[np.intp]:
    """The places along an axis where anything at all changes: n for a change between lines n - 1 and n."""
    changed = pixels[:, 1:] != pixels[:, :-1] if axis else pixels[1:] != pixels[:-1]
    return np.flatnonzero(changed.any(axis=1 - axis)) + 1


def edges(pixels: NDArray[np.uint32], block: int, reach: int) -> list[NDArray[np.int64]]:
    """Strength of the edges between columns and between rows: int64 (W + 1) and (H + 1), 0 at both ends.

    `pixels` is uint32 (H, W) of four bytes each. Sums of `block` lines along an edge are compared over `reach` pixels
    on either side of it, which averages noise out; what is left of the noise, known by the median, is taken off.
    `block` times `reach` is at most 64.
    """
    pairs = pixels & PAIR, pixels >> 8 & PAIR
    return [_profile(pairs, axis, min(block, pixels.shape[1 - axis]), reach) for axis in (1, 0)]


def _profile(pairs: tuple[NDArray[np.uint32], ...], axis: int, block: int, reach: int) -> NDArray[np.int64]:
    total = np.zeros(pairs[0].shape[axis] + 1, np.int64)
    if len(total) > 2 * reach:
        strength = _differences(pairs[0], axis, block, reach) + _differences(pairs[1], axis, block, reach)
        middle = strength.size // 2
        noise = np.uint16(min(NOISE * int(np.partition(strength, middle, axis=None)[middle]), 0xFFFF))
        total[reach:-reach] = (np.maximum(strength, noise) - noise).sum(axis=1 - axis, dtype=np.int64)
    return total


def _differences(pairs: NDArray[np.uint32], axis: int, block: int, reach: int) -> NDArray[np.uint16]:
    """Absolute differences of two of the channels, added: uint16, `reach` short of both ends."""
    count = pairs.shape[1 - axis] // block * block
    lines = [pairs[:, start:count:block] if axis == 0 else pairs[start:count:block] for start in range(block)]
    sums = lines[0].copy()
    for line in lines[1:]:
        sums += line
    width = sums.shape[axis] - reach + 1
    near = sums[:, :width] if axis else sums[:width]
    for start in range(1, reach):
        near = near + (sums[:, start : start + width] if axis else sums[start : start + width])
    channels = np.ascontiguousarray(near).view(np.int16).reshape(*near.shape, 2)
    change = channels[:, reach:] - channels[:, :-reach] if axis else channels[reach:] - channels[:-reach]
    change = np.abs(change).view(np.uint16)
    return change[..., 0] + change[..., 1]
