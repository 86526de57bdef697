"""Five levels of what makes pixel art soft, each a pure function of a sprite and its seed; knows no converter.

Every picture is 512x512. In L0 to L2 and in L4 the 32x32 cells of the sprite fill it. In L3 cells are 11.3 to 15.3
pixels wide, one width for a picture, which is a part of a larger canvas: the sprite's cells lie wholly in it but
anywhere, at a fraction of a pixel, with cells of ground around them that the picture's edges cut. In L4 the width of
every column and row varies by up to 18 % before all of them are brought to fill 512 pixels. A pixel has the color of
the cell that its center is in. Then come, in this order: shading, blur, noise, JPEG.

What the description of the levels leaves open was chosen so that the median of the inner half of each cell, told a
grid of 32x32, recovers what was measured with it before, within one percent: the blur and the noise of L3 (2 and 4),
and the shading of L4 (a plane from 90 to 110 % of the light).
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sprites import SIDE, Sprite

CANVAS = 512
REACH = 4  # a Gaussian is cut off at this many sigmas


@dataclass(frozen=True)
class Level:
    """What is done: sigmas in pixels and in 8-bit values, shading as the share of lightness gained and lost."""

    name: str
    blur: float = 0
    noise: float = 0
    quality: int | None = None
    cells: tuple[float, float] = (16, 16)
    drift: float = 0
    shading: float = 0


LEVELS = (
    Level("L0"),
    Level("L1", blur=1.5, noise=4),
    Level("L2", blur=2, noise=4, quality=75),
    Level("L3", blur=2, noise=4, quality=85, cells=(11.3, 15.3)),
    Level("L4", blur=2, noise=5, quality=80, drift=0.18, shading=0.1),
)


@dataclass(frozen=True)
class Soft:
    """A degraded picture, uint8 (512, 512, 4), and where the sprite's 33 borders truly are along x and y."""

    rgba: NDArray[np.uint8]
    x: NDArray[np.float64]
    y: NDArray[np.float64]


def degrade(sprite: Sprite, level: Level) -> Soft:
    """The sprite as a soft picture; the same one every time."""
    rng = np.random.default_rng([sprite.seed, int(level.name[1:])])
    cell = rng.uniform(*level.cells)
    x, y = _borders(rng, cell, level.drift), _borders(rng, cell, level.drift)
    padded = np.pad(sprite.rgb, ((1, 1), (1, 1), (0, 0)), constant_values=0)
    padded[0] = padded[-1] = padded[:, 0] = padded[:, -1] = sprite.ground
    centers = np.arange(CANVAS) + 0.5
    rows, columns = np.searchsorted(y, centers), np.searchsorted(x, centers)
    picture = padded[rows[:, None], columns].astype(np.float64)
    if level.shading:
        picture *= _shading(rng, level.shading)[..., None]
    if level.blur:
        picture = _blur(_blur(picture, level.blur).swapaxes(0, 1), level.blur).swapaxes(0, 1)
    if level.noise:
        picture += rng.normal(0, level.noise, picture.shape)
    rgb = np.rint(picture.clip(0, 255)).astype(np.uint8)
    if level.quality is not None:
        rgb = _jpeg(rgb, level.quality)
    return Soft(np.dstack([rgb, np.full_like(rgb[..., :1], 255)]), x, y)


def _borders(rng: np.random.Generator, cell: float, drift: float) -> NDArray[np.float64]:
    """33 borders of 32 cells; those of drifting cells fill the canvas."""
    widths = cell * rng.uniform(1 - drift, 1 + drift, SIDE)
    if drift:
        widths *= CANVAS / widths.sum()
    slack = CANVAS - widths.sum()
    return rng.uniform(0, 1) * slack + np.concatenate([[0], widths.cumsum()])


def _shading(rng: np.random.Generator, share: float) -> NDArray[np.float64]:
    """Light from one side: a plane from 1 - share to 1 + share."""
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[:CANVAS, :CANVAS] / (CANVAS - 1) * 2 - 1
    return 1 + share * (np.cos(angle) * x + np.sin(angle) * y) / (abs(np.cos(angle)) + abs(np.sin(angle)))


def _blur(picture: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """A Gaussian along the first axis, the edge pixels repeated outside."""
    reach = int(np.ceil(REACH * sigma))
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    weights /= weights.sum()
    padded = np.pad(picture, ((reach, reach), (0, 0), (0, 0)), mode="edge")
    result = np.zeros_like(picture)
    for place, weight in enumerate(weights):
        result += weight * padded[place : place + len(picture)]
    return result


def _jpeg(rgb: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    file = io.BytesIO()
    Image.fromarray(rgb).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file).convert("RGB"))
