"""Draws known sprites, soft at every level, and how they come back.

    python benchmarks/recovery/picture.py docs/recovery.png

Above, the soft picture, 512x512, at half its size; below it what `pixelate` makes of it with nothing told, every pixel
as a square. The first column shows a part of the softest picture at its full size, and the sprite as it was.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from degrade import LEVELS, degrade
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from score import aligned, exact
from sprites import SIDE, load

from spritebuild_stages.ops.pixelate import pixelate

SPRITES = ("mon/merfolk_water.png", "mon/unique/sojobo.png", "mon/fungi_plants/wandering_mushroom.png")
HEADS = ("the sprite", "L0", "L1", "L2", "L3", "L4")
NOTES = (
    "above it a part of L4",
    "cells of 16 pixels",
    "blur and noise",
    "more blur, JPEG",
    "odd scale, offset",
    "drift and shading",
)
PAGE, HEAD, NOTE = (36, 39, 48), (240, 240, 244), (158, 164, 182)
TILE, GAP, TOP, FOOT, MARGIN = 256, 12, 66, 30, 24
COLORS = 256  # of the file: as it is, the noise would make it six times as large

Rgb = NDArray[np.uint8]


def main(target: str) -> None:
    """Write the picture."""
    known = {sprite.name: sprite for sprite in load("report", 1 << 20)}
    width = 2 * MARGIN + len(HEADS) * (TILE + GAP) - GAP
    band = 2 * TILE + GAP // 2 + FOOT
    page = Image.new("RGB", (width, TOP + len(SPRITES) * (band + GAP) - GAP + MARGIN // 2), PAGE)
    draw = ImageDraw.Draw(page)
    large, small = ImageFont.load_default(24), ImageFont.load_default(16)
    for column, (head, note) in enumerate(zip(HEADS, NOTES, strict=True)):
        left = MARGIN + column * (TILE + GAP)
        draw.text((left, 18), head, HEAD, large)
        draw.text((left + TILE, 25), note, NOTE, small, anchor="ra")
    for row, name in enumerate(SPRITES):
        sprite = known[name]
        top = TOP + row * (band + GAP)
        page.paste(_part(degrade(sprite, LEVELS[-1]).rgba[..., :3]), (MARGIN, top))
        page.paste(_squares(sprite.rgb), (MARGIN, top + TILE + GAP // 2))
        for column, level in enumerate(LEVELS, 1):
            left = MARGIN + column * (TILE + GAP)
            soft = degrade(sprite, level).rgba
            found = pixelate(soft)[..., :3]
            page.paste(_half(soft[..., :3]), (left, top))
            page.paste(_squares(aligned(found, sprite)), (left, top + TILE + GAP // 2))
            share = f"{exact(found, sprite):.1f} % exact"
            draw.text((left + TILE, top + band - FOOT + 6), share, NOTE, small, anchor="ra")
    page.quantize(COLORS, Image.Quantize.MAXCOVERAGE, kmeans=3, dither=Image.Dither.NONE).save(
        Path(target), optimize=True
    )


def _squares(rgb: Rgb) -> Image.Image:
    return Image.fromarray(rgb.repeat(TILE // SIDE, axis=0).repeat(TILE // SIDE, axis=1))


def _part(rgb: Rgb) -> Image.Image:
    start = (rgb.shape[0] - TILE) // 2
    return Image.fromarray(rgb[start - TILE // 4 :][:TILE, start : start + TILE])


def _half(rgb: Rgb) -> Image.Image:
    """Every four pixels as their mean."""
    side = rgb.shape[0] // 2
    means = rgb.reshape(side, 2, side, 2, 3).mean(axis=(1, 3))
    return Image.fromarray(np.rint(means).astype(np.uint8))


if __name__ == "__main__":
    main(*sys.argv[1:])
