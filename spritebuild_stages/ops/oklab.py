"""Colors as the eye sees them, in whole numbers, and the nearest of a palette; knows no picture."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

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


def oklab(rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    """OKLab of 8-bit sRGB: uint8 (N, 3) to float64 (N, 3), L in 0..1, a and b within -0.4..0.4.

    Transfer function of IEC 61966-2-1, matrices of Ottosson (see above). Written without matrix products: their order
    of summation is the linear algebra library's.
    """
    reds, greens, blues = _cones()
    # One row a cone, one a coordinate: NumPy is slow along rows of three.
    long, medium, short = np.cbrt(
        reds.take(rgb[:, 0], axis=1) + greens.take(rgb[:, 1], axis=1) + blues.take(rgb[:, 2], axis=1)
    )
    of_long, of_medium, of_short = _coordinates()
    return np.ascontiguousarray((of_long * long + of_medium * medium + of_short * short).T)


def steps(lab: NDArray[np.float64]) -> NDArray[np.float64]:
    """OKLab in whole steps, as floats: whole numbers below 2**53, which are exact."""
    return np.rint(lab * STEPS)


def nearest(lab: NDArray[np.float64], palette: Palette) -> NDArray[np.intp]:
    """The index of the palette's nearest color (Euclidean), the first of equals, for each of (N, 3) in steps.

    The steps are whole and within -2**25..2**25.
    """
    targets, squares = _targets(palette)
    blocks = (lab[start : start + BLOCK] for start in range(0, max(len(lab), 1), BLOCK))
    # |c - t|^2 less |c|^2, which is the same for every t.
    found = [(squares - block @ targets).argmin(axis=1) for block in blocks]
    return found[0] if len(found) == 1 else np.concatenate(found)


@lru_cache(maxsize=64)
def _targets(palette: Palette) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The palette as (3, K), doubled, and the squares of its lengths (K,), in steps."""
    targets = steps(oklab(np.array(palette, np.uint8)))
    return 2 * targets.T, (targets**2).sum(axis=1)


@lru_cache(maxsize=1)
def _cones() -> tuple[NDArray[np.float64], ...]:
    """What the 256 values of red, green and blue add to the three cones' responses: (3, 256) each."""
    return tuple(weights[:, None] * _linear() for weights in np.array(LINEAR_TO_LMS).T)


@lru_cache(maxsize=1)
def _coordinates() -> tuple[NDArray[np.float64], ...]:
    """What the root of a cone's response adds to L, a and b: (3, 1) for each cone."""
    return tuple(weights[:, None] for weights in np.array(LMS_TO_LAB).T)


@lru_cache(maxsize=1)
def _linear() -> NDArray[np.float64]:
    """Linear light of the 256 values of an sRGB channel."""
    encoded = np.arange(256) / 255
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
