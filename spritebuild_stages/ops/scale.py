"""Enlargement by whole factors; mixes no colors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spritebuild_stages.images.integers import Whole, pack, unpack


def nearest(rgba: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """Make every pixel a square of `factor` x `factor`: uint8 (H, W, 4) to (H * factor, W * factor, 4).

    Raises ValueError for a factor below 1.
    """
    if factor < 1:
        raise ValueError(f"factor is at least 1, not {factor}")
    return rgba.repeat(factor, axis=0).repeat(factor, axis=1)


def epx(rgba: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """Enlarge by 2, 3 or 4 and round the steps of diagonal lines: uint8 (H, W, 4) to (H * factor, W * factor, 4).

    A part of a pixel takes the color of two neighbors where these are equal and the others are not. Pixels are equal if
    all four channels are, or if both have alpha 0; those at the border are their own neighbors. Every pixel of the
    result is one of the picture, or (0, 0, 0, 0). Four is two times two. Raises ValueError for another factor.

    Source: Mazzoleni, Scale2x and Scale3x (https://www.scale2x.it/algorithm); Johnston's EPX (1992) is the former.
    """
    if factor not in (2, 3, 4):
        raise ValueError(f"epx enlarges by 2, 3 or 4, not {factor}")
    packed = pack(rgba)
    packed[rgba[..., 3] == 0] = 0
    if factor == 3:
        return unpack(_thrice(packed))
    for _ in range(factor // 2):
        packed = _twice(packed)
    return unpack(packed)


def _twice(packed: Whole) -> Whole:
    _, up, _, left, here, right, _, down, _ = _neighbors(packed)
    apart = (up != down) & (left != right)
    result = np.empty((2 * packed.shape[0], 2 * packed.shape[1]), np.uint32)
    result[0::2, 0::2] = np.where(apart & (left == up), left, here)
    result[0::2, 1::2] = np.where(apart & (up == right), right, here)
    result[1::2, 0::2] = np.where(apart & (left == down), left, here)
    result[1::2, 1::2] = np.where(apart & (down == right), right, here)
    return result


def _thrice(packed: Whole) -> Whole:
    up_left, up, up_right, left, here, right, down_left, down, down_right = _neighbors(packed)
    apart = (up != down) & (left != right)
    corners = [apart & (up == left), apart & (up == right), apart & (down == left), apart & (down == right)]
    first, second, third, fourth = corners
    result = np.empty((3 * packed.shape[0], 3 * packed.shape[1]), np.uint32)
    result[0::3, 0::3] = np.where(first, left, here)
    result[0::3, 1::3] = np.where(first & (here != up_right) | second & (here != up_left), up, here)
    result[0::3, 2::3] = np.where(second, right, here)
    result[1::3, 0::3] = np.where(first & (here != down_left) | third & (here != up_left), left, here)
    result[1::3, 1::3] = here
    result[1::3, 2::3] = np.where(second & (here != down_right) | fourth & (here != up_right), right, here)
    result[2::3, 0::3] = np.where(third, left, here)
    result[2::3, 1::3] = np.where(third & (here != down_right) | fourth & (here != down_left), down, here)
    result[2::3, 2::3] = np.where(fourth, right, here)
    return result


def _neighbors(packed: Whole) -> list[Whole]:
    """The picture moved so that each pixel meets those around it, in reading order; the middle one is itself."""
    height, width = packed.shape
    wide = np.pad(packed, 1, mode="edge")
    return [wide[y : y + height, x : x + width] for y in range(3) for x in range(3)]
