"""How much of a known sprite a picture holds: exact pixels after the best whole shift; knows no converter."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sprites import SIDE, Sprite

from spritebuild_stages.ops.oklab import oklab

NONE = -1


def exact(rgb: NDArray[np.uint8], sprite: Sprite) -> float:
    """Percent of the pixels in the sprite's box whose nearest true color, in OKLab, is the right one.

    `rgb` is uint8 (H, W, 3) of any size: it is shifted by whole pixels to where it fits best, and what lies outside of
    it counts as wrong. The true colors are those of the sprite and of its ground.
    """
    return 100 * _best(rgb, sprite)[0]


def aligned(rgb: NDArray[np.uint8], sprite: Sprite) -> NDArray[np.uint8]:
    """The 32x32 pixels of a picture that fit the sprite best; black where it has none."""
    _, down, across = _best(rgb, sprite)
    padded = np.pad(rgb, ((SIDE, SIDE), (SIDE, SIDE), (0, 0)))
    top, left = down - sprite.box[0] + SIDE, across - sprite.box[2] + SIDE
    return padded[top : top + SIDE, left : left + SIDE]


def _best(rgb: NDArray[np.uint8], sprite: Sprite) -> tuple[float, int, int]:
    """The greatest share of right pixels, and where in the picture the box lies then."""
    colors = np.unique(sprite.rgb.reshape(-1, 3), axis=0)
    top, bottom, left, right = sprite.box
    truth = _nearest(sprite.rgb[top:bottom, left:right], colors)
    height, width = truth.shape
    found = np.pad(_nearest(rgb, colors), ((height, height), (width, width)), constant_values=NONE)
    windows = np.lib.stride_tricks.sliding_window_view(found, truth.shape)
    right_ones = np.array([(row == truth).sum(axis=(1, 2)) for row in windows])
    down, across = np.unravel_index(right_ones.argmax(), right_ones.shape)
    return float(right_ones[down, across] / truth.size), int(down) - height, int(across) - width


def _nearest(rgb: NDArray[np.uint8], colors: NDArray[np.uint8]) -> NDArray[np.intp]:
    pixels, targets = oklab(rgb.reshape(-1, 3)), oklab(colors)
    return ((pixels[:, None] - targets) ** 2).sum(axis=2).argmin(axis=1).reshape(rgb.shape[:2])
