"""Draws what every finishing operation does, before and after: `python docs/finishing.py assets docs/finishing.png`."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from spritebuild.stage import BoundAction, Context
from spritebuild_stages.finish import Finish
from spritebuild_stages.images import png

Rgba = NDArray[np.uint8]

PAGE, CARD, ARROW = (58, 62, 74, 255), (72, 77, 92, 255), (150, 156, 172, 255)
GROUND = (226, 221, 208, 255)
SIDE, GAP, COLUMNS = 128, 16, 4  # of a picture and of what is between two, in pixels; cards in a row
BLUES = ["#0d0b10", "#0f13aa", "#1b59ec", "#5ebdcf", "#b4eee5"]
GOLDS = ["#1a0a04", "#7a2a08", "#d9731a", "#f2b632", "#fff2b0"]
SOFTNESS = 6


def finish(rgba: Rgba, *ops: dict[str, Any]) -> Rgba:
    """A picture through the finish stage."""
    with tempfile.TemporaryDirectory() as name:
        source, target = Path(name) / "in.png", Path(name) / "out.png"
        png.write(source, rgba)
        inputs, outputs = Finish.Inputs(image=source), Finish.Outputs(image=target)
        Finish().run(BoundAction(Finish.Params.model_validate({"ops": ops}), inputs, outputs), Context(Path(name)))
        return png.read(target)


def soft(rgba: Rgba, times: int) -> Image.Image:
    """A sprite as a diffusion model would draw it: enlarged and blurred."""
    large = Image.fromarray(rgba).resize((rgba.shape[1] * times, rgba.shape[0] * times), Image.Resampling.NEAREST)
    return large.filter(ImageFilter.GaussianBlur(times / SOFTNESS))


def on_ground(rgba: Rgba) -> Rgba:
    """A sprite in front of a plain color."""
    ground = Image.new("RGBA", (rgba.shape[1], rgba.shape[0]), GROUND)
    ground.alpha_composite(Image.fromarray(rgba))
    return np.array(ground)


def speckled(rgba: Rgba) -> Rgba:
    """A sprite with pixels here and there that have another pixel's color."""
    rng = np.random.default_rng(3)
    strewn = rgba[rng.permutation(rgba.shape[0])][:, rng.permutation(rgba.shape[1])]
    return np.where(rng.random(rgba.shape[:2])[..., None] < 0.06, strewn, rgba)


def pairs(assets: Path) -> Iterator[tuple[Rgba, Rgba]]:
    """Pictures before and after each operation, in the order of the reference."""

    def asset(name: str) -> Rgba:
        return png.read(assets / f"{name}.png")

    def both(before: Rgba, *ops: dict[str, Any]) -> tuple[Rgba, Rgba]:
        return before, finish(before, *ops)

    potion = on_ground(finish(asset("items/potion-green"), {"op": "trim"}, {"op": "pad", "size": [32, 32]}))
    yield both(np.array(soft(potion, 12)), {"op": "pixelate"})
    yield both(potion, {"op": "cutout"})
    yield both(np.array(soft(asset("creatures/mushroom"), 4).resize((32, 32), Image.Resampling.BOX)), {"op": "alpha"})
    blurred = np.array(Image.fromarray(asset("characters/knight")).filter(ImageFilter.GaussianBlur(0.6)))
    yield both(finish(blurred, {"op": "alpha"}), {"op": "sharpen", "percent": 180})

    jelly = asset("creatures/blue-jelly")
    blues = {"op": "quantize", "palette": "blues", "colors": BLUES}
    yield both(jelly, blues)
    yield both(jelly, {**blues, "dither": "bayer4"})
    swap = {"op": "swap", "palette": "blues", "colors": BLUES, "to": "golds", "to_colors": GOLDS}
    yield both(finish(jelly, blues), swap)
    yield both(speckled(finish(jelly, blues)), {"op": "despeckle", "size": 3})

    line = {"op": "outline", "color": "#f2e6b0"}
    wizard = asset("characters/red-wizard")
    yield both(finish(wizard, {**line, "corners": True}), {"op": "jaggies"})
    yield both(wizard, line)
    yield both(wizard, {**line, "side": "inner"})
    bare = finish(asset("items/potion-purple"), {"op": "cutout", "mode": "key", "color": "#0d0b10", "tolerance": 24})
    yield both(bare, {"op": "outline", "selective": True, "shade": 45, "corners": True})

    yield both(asset("creatures/goblin"), {"op": "symmetry", "keep": "left", "about": "sprite"})
    sword = finish(asset("items/gold-sword"), {"op": "trim"}, {"op": "pad", "size": [48, 48], "anchor": "top-left"})
    yield both(sword, {"op": "align", "pivot": "center"})
    yield both(asset("scenery/closed-door"), {"op": "nine-slice", "margins": [6, 6, 6, 6], "size": [52, 52]})
    wolf = asset("creatures/gray-wolf")
    squares = {"op": "scale", "factor": 4}
    yield finish(wolf, squares), finish(wolf, {**squares, "mode": "epx"})


def shown(rgba: Rgba, factor: int) -> Image.Image:
    """A picture enlarged, or brought down to fit."""
    image = Image.fromarray(rgba)
    if not factor:
        return image.resize((SIDE, SIDE), Image.Resampling.BOX)
    return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)


def main(source: str, target: str) -> None:
    """Write the cards, `COLUMNS` to a row, each with a picture before and one after."""
    cards = list(pairs(Path(source)))
    width, height = 2 * SIDE + 3 * GAP, SIDE + 2 * GAP
    rows = -(-len(cards) // COLUMNS)
    page = Image.new("RGBA", (GAP + COLUMNS * (width + GAP), GAP + rows * (height + GAP)), PAGE)
    for number, (before, after) in enumerate(cards):
        x, y = GAP + number % COLUMNS * (width + GAP), GAP + number // COLUMNS * (height + GAP)
        page.paste(CARD, (x, y, x + width, y + height))
        same = SIDE // max(*before.shape[:2], *after.shape[:2])
        for place, rgba in enumerate((before, after)):
            view = shown(rgba, same or SIDE // max(rgba.shape[:2]))
            left = x + GAP + place * (SIDE + GAP) + (SIDE - view.width) // 2
            page.alpha_composite(view, (left, y + GAP + (SIDE - view.height) // 2))
        middle, across = y + height // 2, x + GAP + SIDE + GAP // 2
        for step in range(5):
            page.paste(ARROW, (across - 2 + step, middle - 5 + step, across - 1 + step, middle + 6 - step))
    page.convert("RGB").save(target, optimize=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
