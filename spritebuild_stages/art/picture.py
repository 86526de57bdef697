"""A sprite as what the measures read: visible pixels, their colors and lightness; reads no file and judges nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from spritebuild_stages.images.integers import distinct, pack, unpack
from spritebuild_stages.ops.quantize import oklab

Mask = NDArray[np.bool_]
Alpha = NDArray[np.uint8]
Colors = NDArray[np.int32]
Thousandths = NDArray[np.int16]
Kind = TypeVar("Kind", np.bool_, np.int32, np.int16)

HIDDEN = -1
STEPS = 1000  # OKLab is compared in whole thousandths: its last bits differ between processors
AROUND = tuple((y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0))
BESIDE = ((-1, 0), (0, -1), (0, 1), (1, 0))


@dataclass(frozen=True, eq=False)
class Picture:
    """Arrays of one shape (H, W): `alpha` uint8; `colors` int32, 0xRRGGBB; `lab` int16 (H, W, 3), OKLab in thousandths.

    Where alpha is 0, the color is -1, and OKLab 0.
    """

    alpha: Alpha
    colors: Colors
    lab: Thousandths

    @classmethod
    def of(cls, rgba: NDArray[np.uint8]) -> Picture:
        """The picture of uint8 (H, W, 4), straight alpha."""
        visible = rgba[..., 3] > 0
        rgb = np.where(visible, pack(rgba) >> 8, np.uint32(0))
        known = distinct(rgb)
        steps = np.rint(oklab(unpack(known << 8)[:, :3]) * STEPS).astype(np.int16)
        lab = steps[np.searchsorted(known, rgb)] * visible[..., None]
        return cls(rgba[..., 3], np.where(visible, rgb.astype(np.int32), np.int32(HIDDEN)), lab)

    @property
    def visible(self) -> Mask:
        return self.alpha > 0

    @property
    def lightness(self) -> Thousandths:
        return self.lab[..., 0]

    def border(self) -> Mask:
        """The silhouette's border: visible pixels with a hidden one above, below, left or right of them.

        Beyond the canvas nothing is known: where a sprite touches its edge, that is no border.
        """
        found = np.zeros(self.alpha.shape, np.bool_)
        for hidden in neighbors(~self.visible, False, BESIDE):
            found |= hidden
        return found & self.visible


def neighbors(
    values: NDArray[Kind], beyond: int | bool, steps: tuple[tuple[int, int], ...] = AROUND
) -> Iterator[NDArray[Kind]]:
    """For every step (y, x), the values (H, W) of the pixels that lie there; `beyond` is that of the outside."""
    height, width = values.shape
    padded = np.pad(values, 1, constant_values=beyond)
    for y, x in steps:
        yield padded[1 + y : 1 + y + height, 1 + x : 1 + x + width]
