"""Pictures from text, and sprites of a hand, for the tests of what is measured in them."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

Rgba = NDArray[np.uint8]
INK, DARK, MIDDLE, LIGHT, RED = (10, 8, 12), (70, 50, 60), (130, 100, 80), (210, 190, 150), (200, 30, 40)
COLORS = {"#": INK, "d": DARK, "m": MIDDLE, "l": LIGHT, "r": RED}

values = st.one_of(st.sampled_from([0, 255]), st.integers(0, 255))
pictures = arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(4)), elements=values)
few_colors = arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 4)).map(
    lambda places: np.array([(0, 0, 0, 0), (*INK, 255), (*MIDDLE, 255), (*LIGHT, 255), (*RED, 90)], np.uint8)[places]
)


def draw(*rows: str) -> Rgba:
    """A picture of one letter a pixel: `#` ink, `d`, `m`, `l` a ramp from dark to light, `r` red, `.` nothing."""
    return np.array(
        [[(*COLORS[letter], 255) if letter in COLORS else (0, 0, 0, 0) for letter in row] for row in rows], np.uint8
    )


def enlarged(rgba: Rgba, factor: int) -> Rgba:
    return rgba.repeat(factor, axis=0).repeat(factor, axis=1)


def sprite(number: int = 0, side: int = 16) -> Rgba:
    """A round, outlined sprite with texture, all from its number."""
    rng = np.random.default_rng(number)
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    radius = side / 2 - 2 + rng.random()
    inside = x**2 + (y * (1 + number % 5 / 10)) ** 2 <= radius**2
    core = inside[1:-1, 1:-1] & inside[:-2, 1:-1] & inside[2:, 1:-1] & inside[1:-1, :-2] & inside[1:-1, 2:]
    rgba = np.zeros((side, side, 4), np.uint8)
    rgba[inside] = (*INK, 255)
    ramp = np.array([DARK, MIDDLE, LIGHT], np.uint8) + rng.integers(0, 40, 3).astype(np.uint8)
    fill = ramp[rng.integers(0, 3, inside.shape)]
    rgba[1:-1, 1:-1, :3][core] = fill[1:-1, 1:-1][core]
    return rgba
