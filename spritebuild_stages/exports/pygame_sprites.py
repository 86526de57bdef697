"""Sprites for pygame and pygame-ce, from a sheet's JSON and PNG; needs nothing else.

    sheet = sprites.load("hero.json")
    walk = sheet.animations["walk"]
    screen.blit(walk.frame_at(pygame.time.get_ticks()).image, (x, y))

Written by spritebuild. Do with this file what you like: CC0 1.0, https://creativecommons.org/publicdomain/zero/1.0/
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pygame


@dataclass(frozen=True)
class Slice:
    """A named part of a frame's image, such as a hit box; with a center it is a nine-slice.

    `bounds` is of the image; `center` is relative to the bounds.
    """

    bounds: pygame.Rect
    center: pygame.Rect | None


@dataclass(frozen=True)
class Frame:
    """A picture as it was drawn: untrimmed, and flipped if it is stored as another's mirror image.

    `duration` is in milliseconds; `pivot` in pixels from the image's top left corner.
    """

    name: str
    image: pygame.Surface
    duration: int
    pivot: tuple[float, float] | None
    slices: dict[str, Slice]


@dataclass(frozen=True)
class Animation:
    """The frames of one pass, in the order in which they are shown.

    `count` is how many frames are shown before it stops; None if it never does.
    """

    name: str
    frames: tuple[Frame, ...]
    count: int | None = None

    @property
    def duration(self) -> int:
        """Milliseconds of one pass."""
        return sum(frame.duration for frame in self.frames)

    def ended(self, milliseconds: float) -> bool:
        """Whether it stopped, so long after its start; then the last frame stays."""
        if self.count is None:
            return False
        passes, rest = divmod(self.count, len(self.frames))
        return milliseconds >= passes * self.duration + sum(frame.duration for frame in self.frames[:rest])

    def frame_at(self, milliseconds: float) -> Frame:
        """The frame that is shown so long after the start."""
        if self.count is not None and self.ended(milliseconds):
            return self.frames[(self.count - 1) % len(self.frames)]
        left = milliseconds % max(1, self.duration)
        for frame in self.frames:
            if left < frame.duration:
                return frame
            left -= frame.duration
        return self.frames[-1]


@dataclass(frozen=True)
class Sheet:
    """Frames and animations by their names, in the order of the sheet."""

    frames: dict[str, Frame]
    animations: dict[str, Animation]


def load(path: str | os.PathLike[str], companion: str | None = None) -> Sheet:
    """Load a sheet from its JSON; with `companion` the pictures packed alike, such as "normal" or "emissive".

    Images are converted for the display if there is one.
    """
    path = Path(path)
    data = json.loads(path.read_text("utf-8"))
    meta = data["meta"]
    pages = []
    for entry in meta.get("pages", [meta]):
        name = entry["companions"][companion] if companion else entry["image"]
        pages.append(_page(path.parent / name))
    slices = _slices(meta)
    frames = tuple(
        Frame(
            entry["filename"],
            _image(entry, pages[entry.get("page", 0)]),
            entry["duration"],
            _pivot(entry),
            slices.get(number, {}),
        )
        for number, entry in enumerate(data["frames"])
    )
    animations = {tag["name"]: _animation(tag, frames) for tag in meta.get("frameTags", ())}
    return Sheet({frame.name: frame for frame in frames}, animations)


def _page(path: Path) -> pygame.Surface:
    """A picture with an alpha channel; a palette with one transparent color is loaded with a color key instead."""
    loaded = pygame.image.load(path)
    if loaded.get_flags() & pygame.SRCALPHA:
        return loaded
    page = pygame.Surface(loaded.get_size(), pygame.SRCALPHA, 32)
    page.blit(loaded, (0, 0))
    return page


def _image(entry: dict[str, Any], page: pygame.Surface) -> pygame.Surface:
    kept = page.subsurface(_rectangle(entry["frame"]))
    if entry.get("mirrored"):
        kept = pygame.transform.flip(kept, True, False)
    image = pygame.Surface((entry["sourceSize"]["w"], entry["sourceSize"]["h"]), pygame.SRCALPHA, 32)
    # Added to nothing, the pixels stay what they are; blended, translucent ones might be rounded.
    image.blit(kept, _rectangle(entry["spriteSourceSize"]), special_flags=pygame.BLEND_RGBA_ADD)
    return image.convert_alpha() if pygame.display.get_init() and pygame.display.get_surface() else image


def _pivot(entry: dict[str, Any]) -> tuple[float, float] | None:
    if "pivot" not in entry:
        return None
    return entry["pivot"]["x"] * entry["sourceSize"]["w"], entry["pivot"]["y"] * entry["sourceSize"]["h"]


def _slices(meta: dict[str, Any]) -> dict[int, dict[str, Slice]]:
    """The slices of each frame, by its number."""
    found: dict[int, dict[str, Slice]] = {}
    for part in meta.get("slices", ()):
        for key in part["keys"]:
            center = _rectangle(key["center"]) if "center" in key else None
            found.setdefault(key["frame"], {})[part["name"]] = Slice(_rectangle(key["bounds"]), center)
    return found


def _animation(tag: dict[str, Any], frames: tuple[Frame, ...]) -> Animation:
    shown = frames[tag["from"] : tag["to"] + 1]
    if tag["direction"].endswith("reverse"):
        shown = shown[::-1]
    repeat = int(tag.get("repeat", 0))
    if not tag["direction"].startswith("pingpong"):
        return Animation(tag["name"], shown, repeat * len(shown) or None)
    # A repeat is one way; the next begins where the last ended, with a frame that is shown once.
    count = repeat * (len(shown) - 1) + 1 if repeat else None
    return Animation(tag["name"], shown + shown[-2:0:-1], count)


def _rectangle(entry: dict[str, int]) -> pygame.Rect:
    return pygame.Rect(entry["x"], entry["y"], entry["w"], entry["h"])
