"""Paper dolls: pictures composed of layers by draws that depend on seed, number and layer alone; knows no files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from spritebuild.errors import UsageError
from spritebuild_stages._draws import chance, hashed
from spritebuild_stages.datasets.captioning import Reading
from spritebuild_stages.datasets.params import PATH_SLOTS, Compose
from spritebuild_stages.ops.alpha import clear_hidden


@dataclass(frozen=True, eq=False)
class Piece:
    """A file of a layer: uint8 (H, W, 4), and what the rules make of its path."""

    name: str
    pixels: NDArray[np.uint8]
    reading: Reading


@dataclass(frozen=True, eq=False)
class Doll:
    """A composed picture, transparent if it wears nothing, and what is said of it."""

    name: str
    pixels: NDArray[np.uint8]
    slots: Mapping[str, str]


def composed(told: Compose, layers: Mapping[str, Sequence[Piece]]) -> Iterator[Doll]:
    """Dolls by their number. `layers` holds the pieces of every layer by its name, sorted by theirs, at least one.

    Raises UsageError for layers of different sizes.
    """
    _check_sizes(layers)
    order = told.order()
    for number in range(told.count):
        worn: dict[str, Piece] = {}
        for place in order:
            layer = told.layers[place]
            draw = (told.seed, number, layer.name)
            if (
                chance(*draw, "worn") < layer.chance
                and all(_wears(worn, other, regex) for other, regex in layer.requires.items())
                and not any(_wears(worn, other, regex) for other, regex in layer.forbids.items())
            ):
                worn[layer.name] = layers[layer.name][hashed(*draw, "which") % len(layers[layer.name])]
        pieces = [(layer.name, worn[layer.name]) for layer in told.layers if layer.name in worn]
        bare = np.zeros_like(next(iter(layers.values()))[0].pixels)
        stack = _stacked([bare, *(piece.pixels for _, piece in pieces)])
        yield Doll(f"compose/{number:06d}", stack, _slots(told, pieces))


def _wears(worn: Mapping[str, Piece], layer: str, regex: str) -> bool:
    return layer in worn and re.search(regex, worn[layer].name) is not None


def _slots(told: Compose, pieces: Sequence[tuple[str, Piece]]) -> dict[str, str]:
    """Slots of the declaration, then those that rules set for a piece, a higher layer last; layers by their names."""
    slots = dict(told.set)
    for _, piece in pieces:
        slots |= {slot: text for slot, text in piece.reading.slots.items() if slot not in PATH_SLOTS and text}
    return slots | {layer: piece.reading.slots["name"] for layer, piece in pieces}


def _stacked(layers: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Layers (H, W, 4) over each other, the first one lowest: Porter and Duff's `over`, as Pillow rounds it."""
    stack = Image.fromarray(layers[0])
    for layer in layers[1:]:
        stack = Image.alpha_composite(stack, Image.fromarray(layer))
    return clear_hidden(np.asarray(stack))


def _check_sizes(layers: Mapping[str, Sequence[Piece]]) -> None:
    first = next(iter(layers.values()))[0]
    for pieces in layers.values():
        for piece in pieces:
            if piece.pixels.shape != first.pixels.shape:
                sizes = [(f"{p.pixels.shape[1]}x{p.pixels.shape[0]}", p.name) for p in (first, piece)]
                raise UsageError("layers are of different sizes", facts=sizes, hint="exclude the ones, or pad them")
