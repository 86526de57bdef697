"""Known changes of real sprites, and what it is right to call them; compares nothing with them.

Sprites are the 32x32 PNGs in `SPRITES` or ../shared/data/dcss with 64 visible pixels and 3 colors or more, in the order
of the hashes of their names: even ones are reported, the odd ones were there to tune with. Changes are drawn by the
sprite's name. What is right was written down before anything was measured:

- edits of 1, 3 and 10 pixels to colors 5 or more apart (CIEDE2000), for half of the sprites their own: edit
- a hole of 3x3 pixels: edit
- a shift by a pixel in one of eight directions; what leaves the picture is lost: shift
- every color becomes one of a ramp of other hues or, for half of the sprites, another one of the sprite's: recolor
- the hue turned by 30 degrees: recolor; flipped left to right: flip
- where the last four change nothing that can be seen (grays, symmetric sprites), same and imperceptible are right
- red, green and blue each off by -1, 0 or 1, in every visible pixel: imperceptible; other colors under alpha 0: same
- a sprite of another folder instead: different
"""

from __future__ import annotations

import colorsys
import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from spritebuild.check.deltae import delta_e

Rgba = NDArray[np.uint8]
Pair = tuple[Rgba, Rgba]

SPRITES = Path(os.environ.get("SPRITES", Path(__file__).parent / "../../shared/data/dcss"))
SIDE = 32
VISIBLE, COLORS = 64, 3  # pixels and colors of a sprite, at least
SEEN = 2.3  # CIEDE2000 beyond which a color looks different
CLEAR = 5.0  # and at least of an edited pixel
NOTHING = ("same", "imperceptible")


def load(half: str, count: int) -> list[tuple[str, Rgba]]:
    """The first sprites of a half, by name."""
    odd = {"report": 0, "tune": 1}[half]
    paths = {path.relative_to(SPRITES).as_posix(): path for path in SPRITES.rglob("*.png")}
    found: list[tuple[str, Rgba]] = []
    for name in sorted((name for name in paths if number(name) % 2 == odd), key=number):
        rgba = np.array(Image.open(paths[name]).convert("RGBA"))
        visible = rgba[rgba[..., 3] > 0]
        rgba[rgba[..., 3] == 0] = 0
        if rgba.shape[:2] != (SIDE, SIDE) or len(visible) < VISIBLE or len(np.unique(packed(visible))) < COLORS:
            continue
        found.append((name, rgba))
        if len(found) == count:
            break
    return found


def number(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:6], "big")


def draw(name: str, change: str) -> np.random.Generator:
    return np.random.default_rng([number(name), number(change)])


def packed(rgba: Rgba) -> NDArray[np.uint32]:
    """0xRRGGBB of pixels (N, 4)."""
    red, green, blue = rgba[:, :3].astype(np.uint32).T
    return red << 16 | green << 8 | blue


def remapped(rgba: Rgba, targets: Callable[[Rgba], NDArray[np.float64]]) -> Rgba:
    """The visible colors, distinct (K, 3), each replaced by one of (K, 3) of 0..1."""
    visible = rgba[..., 3] > 0
    distinct, places = np.unique(rgba[visible][:, :3], axis=0, return_inverse=True)
    result = rgba.copy()
    result[visible, :3] = np.rint(255 * np.clip(targets(distinct), 0, 1)).astype(np.uint8)[places.reshape(-1)]
    return result


def edited(count: int) -> Callable[..., Rgba]:
    def edit(rgba: Rgba, rng: np.random.Generator, _: object) -> Rgba:
        own = rgba[rgba[..., 3] > 0][:, :3] if rng.integers(2) else None
        result = rgba.copy()
        places = np.argwhere(rgba[..., 3] > 0)
        for y, x in rng.choice(places, count, replace=False):
            was = packed(rgba[y, x][None])
            for _ in range(1000):
                color = own[rng.integers(len(own))] if own is not None else rng.integers(0, 256, 3, np.uint8)
                if delta_e(was, packed(color[None]))[0] > CLEAR:
                    break
                own = own if rng.integers(50) else None  # a sprite may have no color that far off
            result[y, x, :3] = color
        return result

    return edit


def hole(rgba: Rgba, rng: np.random.Generator, _: object) -> Rgba:
    visible = rgba[..., 3] > 0
    whole = np.lib.stride_tricks.sliding_window_view(visible, (3, 3)).sum(axis=(2, 3))
    y, x = rng.choice(np.argwhere(whole == whole.max()))
    result = rgba.copy()
    result[y : y + 3, x : x + 3] = 0
    return result


def shifted(rgba: Rgba, rng: np.random.Generator, _: object) -> Rgba:
    dx, dy = [(x, y) for x in (-1, 0, 1) for y in (-1, 0, 1) if x or y][rng.integers(8)]
    wide = np.pad(rgba, ((1, 1), (1, 1), (0, 0)))
    return wide[1 - dy : 1 - dy + len(rgba), 1 - dx : 1 - dx + len(rgba[0])].copy()


def palette_swapped(rgba: Rgba, rng: np.random.Generator, _: object) -> Rgba:
    def ramp(colors: Rgba) -> NDArray[np.float64]:
        order = (colors @ np.array([299, 587, 114])).argsort(kind="stable").argsort(kind="stable")
        dark, middle, light = rng.uniform(0, 0.3, 3), rng.uniform(0.2, 0.8, 3), rng.uniform(0.7, 1, 3)
        at = order / max(1, len(colors) - 1)
        return np.stack([np.interp(at, (0, 0.5, 1), part) for part in zip(dark, middle, light, strict=True)], axis=1)

    return remapped(rgba, ramp if rng.integers(2) else lambda colors: rng.permutation(colors) / 255)


def hue_turned(rgba: Rgba, *_: object) -> Rgba:
    def turn(colors: Rgba) -> NDArray[np.float64]:
        turned = []
        for color in colors.tolist():
            hue, saturation, value = colorsys.rgb_to_hsv(*(channel / 255 for channel in color))
            turned.append(colorsys.hsv_to_rgb((hue + 30 / 360) % 1, saturation, value))
        return np.array(turned)

    return remapped(rgba, turn)


def noisy(rgba: Rgba, rng: np.random.Generator, _: object) -> Rgba:
    result = rgba.copy()
    moved = np.clip(rgba[..., :3].astype(int) + rng.integers(-1, 2, rgba[..., :3].shape), 0, 255)
    result[..., :3] = np.where(rgba[..., 3:] > 0, moved, 0)
    return result


def hidden(rgba: Rgba, rng: np.random.Generator, _: object) -> Rgba:
    noise = rng.integers(0, 256, rgba.shape, np.uint8)
    noise[..., 3] = 0
    return np.where(rgba[..., 3:] > 0, rgba, noise)


def another(rgba: Rgba, rng: np.random.Generator, sprites: Sequence[tuple[str, Rgba]]) -> Rgba:
    folder = next(Path(name).parent for name, other in sprites if other is rgba)
    return sprites[rng.choice([n for n, (name, _) in enumerate(sprites) if Path(name).parent != folder])][1].copy()


CHANGES: dict[str, Callable[..., Rgba]] = {
    "identical": lambda rgba, *_: rgba.copy(),
    "other colors under alpha 0": hidden,
    "+-1 noise": noisy,
    "1 pixel": edited(1),
    "3 pixels": edited(3),
    "10 pixels": edited(10),
    "hole": hole,
    "shift": shifted,
    "palette swap": palette_swapped,
    "hue by 30 degrees": hue_turned,
    "flip": lambda rgba, *_: rgba[:, ::-1].copy(),
    "another sprite": another,
}
QUIET = ("identical", "other colors under alpha 0")
WANTED = {
    **dict.fromkeys(CHANGES, "edit"),
    **dict.fromkeys(("palette swap", "hue by 30 degrees"), "recolor"),
    **dict.fromkeys(QUIET, "same"),
    "+-1 noise": "imperceptible",
    "shift": "shift",
    "flip": "flip",
    "another sprite": "different",
}
MAY_BE_NOTHING = ("shift", "palette swap", "hue by 30 degrees", "flip")


def fits(name: str, kind: str, pair: Pair) -> bool:
    """Whether a kind is right for a change."""
    if kind in NOTHING and (name == "+-1 noise" or name in MAY_BE_NOTHING):
        return name == "+-1 noise" or not differs(*pair)
    return kind == WANTED[name]


def differs(one: Rgba, other: Rgba) -> bool:
    """Whether anything can be seen to have changed."""
    visible = one[..., 3] > 0
    if not np.array_equal(one[..., 3], other[..., 3]):
        return True
    return bool((delta_e(packed(one[visible]), packed(other[visible])) > SEEN).any())
