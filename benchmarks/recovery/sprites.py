"""The known sprites: real 32x32 pixel art, in two halves of which only one is for tuning; knows no degradation."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spritebuild_stages.images import png

SIDE = 32
FOLDER = Path(os.environ.get("SPRITES", Path(__file__).parents[2] / "../shared/data/dcss"))
GROUNDS = (
    (58, 62, 74),
    (244, 244, 244),
    (120, 168, 120),
    (24, 26, 34),
    (152, 144, 176),
    (96, 136, 184),
    (200, 184, 152),
    (255, 0, 255),
)


@dataclass(frozen=True)
class Sprite:
    """A sprite on its ground: uint8 (32, 32, 3), and the box (top, bottom, left, right) of what was not ground."""

    name: str
    rgb: NDArray[np.uint8]
    ground: tuple[int, int, int]
    box: tuple[int, int, int, int]

    @property
    def seed(self) -> int:
        return _number(self.name)


def load(half: str, count: int, folder: Path = FOLDER) -> list[Sprite]:
    """The first `count` sprites of a half, "tune" or "report", in the order of their names' hashes.

    A sprite has hard alpha, 4 to 64 colors, and between a tenth and nine tenths of its pixels are visible.
    """
    wanted = {"tune": 0, "report": 1}[half]
    paths = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*.png")}
    names = sorted((name for name in paths if _number(name) % 2 == wanted), key=_number)
    sprites: list[Sprite] = []
    for name in names:
        sprite = _sprite(name, png.read(paths[name]))
        if sprite is not None:
            sprites.append(sprite)
        if len(sprites) == count:
            break
    return sprites


def _number(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:6], "big")


def _sprite(name: str, rgba: NDArray[np.uint8]) -> Sprite | None:
    visible = rgba[..., 3] == 255
    if rgba.shape[:2] != (SIDE, SIDE) or not np.isin(rgba[..., 3], (0, 255)).all():
        return None
    if not 0.1 <= visible.mean() <= 0.9:
        return None
    colors = {tuple(color) for color in rgba[visible][:, :3].tolist()}
    if not 4 <= len(colors) <= 64:
        return None
    ground = _ground(colors, _number(name))
    rgb = np.where(visible[..., None], rgba[..., :3], np.array(ground, np.uint8))
    rows, columns = np.flatnonzero(visible.any(axis=1)), np.flatnonzero(visible.any(axis=0))
    return Sprite(name, rgb, ground, (int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1))


def _ground(colors: set[tuple[int, ...]], number: int) -> tuple[int, int, int]:
    """One of the grounds, by the sprite's number, that none of its colors comes near."""
    turned = [GROUNDS[(number // 2 + step) % len(GROUNDS)] for step in range(len(GROUNDS))]
    return max(turned, key=lambda ground: min(32, min(_apart(ground, color) for color in colors)))


def _apart(one: tuple[int, ...], other: tuple[int, ...]) -> int:
    return max(abs(a - b) for a, b in zip(one, other, strict=True))
