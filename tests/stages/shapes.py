"""Small shapes of three kinds, to be told apart by a classifier; for the tests of the stages that train and use one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spritebuild_stages.datasets.artifact import Example

SMALL: dict[str, Any] = {"label": "kind", "channels": (8, 16), "batch": 16, "min_examples": 4, "log_every": 10}
KINDS = ("bar", "cross", "disc")
COLORS = ((200, 30, 30), (50, 160, 50), (40, 60, 200), (230, 200, 60), (140, 50, 180), (205, 205, 205))


def shape(kind: str, number: int, side: int = 12) -> NDArray[np.uint8]:
    """A shape with a black outline; two of six colors, places and size are drawn."""
    rng = np.random.default_rng([KINDS.index(kind), number])
    y, x = np.mgrid[:side, :side]
    top, left, size = rng.integers(4, 7), rng.integers(4, 7), rng.integers(3, 5)
    y, x = y - top, x - left
    color, light = rng.permutation(COLORS)[:2]
    spot = top + rng.integers(-1, 2), left + rng.integers(-1, 2)

    def inside(size: int) -> Any:
        return {
            "bar": abs(y) <= size - 2,
            "cross": (abs(abs(y) - abs(x)) <= size - 3) & (abs(y) <= size),
            "disc": y**2 + x**2 <= size**2,
        }[kind]

    rgba = np.zeros((side, side, 4), np.uint8)
    rgba[inside(size)] = (0, 0, 0, 255)
    rgba[inside(size - 1) & inside(size)] = (*color, 255)
    rgba[spot] = (*light, 255)
    return rgba


def shapes(count: int = 16, held_out: int = 6, side: int = 12) -> list[Example]:
    """That many of each kind, the last of them held out."""
    return [
        Example(
            f"{kind}{number}.png",
            (kind,),
            shape(kind, number, side),
            held_out=number >= count - held_out,
            labels={"kind": kind},
        )
        for kind in KINDS
        for number in range(count)
    ]
