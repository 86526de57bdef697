"""How far two colors are apart for the eye: 8-bit sRGB to CIELAB to CIEDE2000; knows no picture."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Whole = NDArray[np.integer[Any]]

# IEC 61966-2-1: linear sRGB to CIE XYZ under D65, and the white that (1, 1, 1) is by it.
TO_XYZ = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))
EPSILON, KAPPA = 216 / 24389, 24389 / 27  # CIE 15: where the cube root gives way to a line
CHROMA_7 = 25.0**7
BLOCK = 1 << 16  # pairs at a time: some twenty arrays of half a MiB


def lab(rgb: NDArray[np.uint8]) -> Floats:
    """CIELAB under D65 of 8-bit sRGB: uint8 (N, 3) to float64 (N, 3), L in 0..100, a and b within -128..128.

    Source: IEC 61966-2-1 for sRGB, CIE 15 for CIELAB.
    """
    reds, greens, blues = _lights()
    xyz = reds[rgb[:, 0]]
    xyz += greens[rgb[:, 1]]
    xyz += blues[rgb[:, 2]]
    roots = np.where(xyz > EPSILON, np.cbrt(xyz), (KAPPA * xyz + 16) / 116)
    result = np.empty_like(roots)
    result[:, 0] = 116 * roots[:, 1] - 16
    result[:, 1] = 500 * (roots[:, 0] - roots[:, 1])
    result[:, 2] = 200 * (roots[:, 1] - roots[:, 2])
    return result


def ciede2000(first: Floats, second: Floats) -> Floats:
    """The CIEDE2000 difference (kL = kC = kH = 1) of CIELAB colors: float64 (N, 3) twice to float64 (N,), 0 or more.

    Symmetric. Source: G. Sharma, W. Wu, E. N. Dalal, "The CIEDE2000 color-difference formula: implementation notes,
    supplementary test data, and mathematical observations", Color Research and Application 30 (2005), 21-30; numbers
    in comments are of its equations.
    """
    both = np.stack((first, second))  # one call for both is half the cost where there are few
    light, a, b = both[..., 0], both[..., 1], both[..., 2]
    seventh = _seventh(np.sqrt(a * a + b * b).sum(axis=0) / 2)
    a = a * (1.5 - 0.5 * np.sqrt(seventh / (seventh + CHROMA_7)))  # 2 to 5
    chroma, hue = np.sqrt(a * a + b * b), np.arctan2(b, a)  # 6, 7: within -pi..pi
    light_mean, chroma_mean = light.sum(axis=0) / 2, chroma.sum(axis=0) / 2
    light_step, chroma_step, turn = (pair[1] - pair[0] for pair in (light, chroma, hue))
    product = chroma[0] * chroma[1]
    # 10: the shorter way round. Half a turn apart to the last bits, colors have a mean hue on either side: the one that
    # equation 14 takes is that of the angles as they are.
    far = np.abs(turn) > np.pi + 1e-12
    turn = np.where(far, turn - np.copysign(2 * np.pi, turn), turn)
    hue_step = 2 * np.sqrt(product) * np.sin(turn / 2)  # 11
    hue = np.where(hue < 0, hue + 2 * np.pi, hue)
    total = hue[0] + hue[1]
    apart = np.abs(hue[0] - hue[1]) > np.pi + 1e-12
    mean = np.where(apart, np.where(total < 2 * np.pi, total / 2 + np.pi, total / 2 - np.pi), total / 2)  # 14
    mean = np.where(product == 0, total, mean)
    weight = (
        1
        - 0.17 * np.cos(mean - np.radians(30))
        + 0.24 * np.cos(2 * mean)
        + 0.32 * np.cos(3 * mean + np.radians(6))
        - 0.20 * np.cos(4 * mean - np.radians(63))
    )  # 15
    middle = (light_mean - 50) ** 2
    light_step /= 1 + 0.015 * middle / np.sqrt(20 + middle)  # 18
    chroma_step /= 1 + 0.045 * chroma_mean  # 19
    hue_step = np.where(product == 0, 0, hue_step) / (1 + 0.015 * chroma_mean * weight)  # 20
    seventh = _seventh(chroma_mean)
    blue = np.radians(60) * np.exp(-(((np.degrees(mean) - 275) / 25) ** 2))  # 16, doubled
    rotation = -2 * np.sqrt(seventh / (seventh + CHROMA_7)) * np.sin(blue)  # 17, 21
    squares = light_step**2 + chroma_step**2 + hue_step**2 + rotation * chroma_step * hue_step  # 22
    return np.asarray(np.sqrt(np.maximum(squares, 0)), np.float64)


def delta_e(old: Whole, new: Whole) -> Floats:
    """CIEDE2000 of pairs of 8-bit sRGB colors, 0xRRGGBB each: uint32 (N,) twice to float64 (N,).

    Computed once for every distinct pair: sprites have few.
    """
    pairs, places = np.unique(old.astype(np.uint64) << np.uint64(24) | new, return_inverse=True)
    first, second = (pairs >> np.uint64(24)).astype(np.uint32), (pairs & np.uint64(0xFFFFFF)).astype(np.uint32)
    return delta_e_each(first, second)[places]


def delta_e_each(old: Whole, new: Whole) -> Floats:
    """The same, computed for every pair, which are known to be distinct."""
    found = np.empty(len(old))
    for start in range(0, len(old), BLOCK):
        block = slice(start, start + BLOCK)
        found[block] = ciede2000(lab(channels(old[block])), lab(channels(new[block])))
    return found


def channels(packed: Whole) -> NDArray[np.uint8]:
    """0xRRGGBB, uint32 (N,), as uint8 (N, 3)."""
    return packed.astype(">u4")[:, None].view(np.uint8)[:, 1:]


def _seventh(values: Floats) -> Floats:
    square = values * values
    return square * square * square * values


@lru_cache(maxsize=1)
def _lights() -> tuple[Floats, Floats, Floats]:
    """What the 256 values of red, green and blue add to X, Y and Z, each by its white: (256, 3) each."""
    values = np.arange(256) / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    matrix = np.array(TO_XYZ)
    matrix /= matrix.sum(axis=1, keepdims=True)
    red, green, blue = (linear[:, None] * column for column in matrix.T)
    return red, green, blue
