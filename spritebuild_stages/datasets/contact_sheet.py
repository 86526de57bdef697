"""A contact sheet: pictures with their captions, to be looked at before anything is trained on them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from spritebuild_stages.datasets.artifact import Dataset, Example
from spritebuild_stages.images.grid import CHECKER, SQUARE

COLUMNS = 8
SHOWN = 120  # pictures at most: more are not looked at
VIEW = 128  # pixels: the side that small pictures are enlarged to, and at most twice of it that large ones keep
GAP = 12
LINE = 12  # the font is 11 pixels high
LINES = 4  # of captions below a picture, at most
GLYPH = 6  # width of a character
PAPER, INK, FAINT, HELD_OUT = (244, 244, 240), (24, 24, 24), (120, 120, 120), (190, 60, 20)


def contact_sheet(dataset: Dataset, title: str) -> NDArray[np.uint8]:
    """The sheet of one or more pictures as uint8 (H, W, 4), opaque; of many it shows 120, spread evenly over the set.

    Those held out have a frame. Pictures are enlarged by whole factors; of larger ones every second, third... pixel is
    shown. The font is Pillow's own bitmap, so that a sheet is the same everywhere.
    """
    examples = _spread(dataset.examples)
    largest = max(max(example.pixels.shape[:2]) for example in examples)
    view = VIEW if largest <= VIEW else min(largest, 2 * VIEW)
    texts = [_wrapped(" | ".join(example.captions), view // GLYPH) for example in examples]
    columns = min(COLUMNS * VIEW // view, len(examples))
    rows = -(-len(examples) // columns)
    heading = [title, *([f"{len(examples)} of them are shown"] if len(examples) < len(dataset.examples) else [])]
    top = 2 * GAP + LINE * len(heading)
    cell = (view + GAP, view + LINE * (1 + max(map(len, texts))) + GAP)
    width = max(GAP + columns * cell[0], 2 * GAP + GLYPH * max(map(len, heading)))
    sheet = Image.new("RGBA", (width, top + rows * cell[1]), (*PAPER, 255))
    draw = ImageDraw.Draw(sheet)
    _write(draw, (GAP, GAP), heading, INK)
    for place, (example, lines) in enumerate(zip(examples, texts, strict=True)):
        x, y = GAP + place % columns * cell[0], top + place // columns * cell[1]
        sheet.paste(_view(example.pixels, view), (x, y))
        if example.held_out:
            draw.rectangle((x - 2, y - 2, x + view + 1, y + view + 1), outline=(*HELD_OUT, 255), width=2)
        _write(draw, (x, y + view + 3), [_end(example.name.removesuffix(".png"), view // GLYPH)], FAINT)
        _write(draw, (x, y + view + 3 + LINE), lines, INK)
    return np.array(sheet)


def _spread(examples: Sequence[Example]) -> list[Example]:
    count = min(SHOWN, len(examples))
    return [examples[place * len(examples) // count] for place in range(count)]


def _view(rgba: NDArray[np.uint8], side: int) -> Image.Image:
    """The picture in the middle of a checkered square of that side."""
    longest = max(rgba.shape[:2])
    rgba = rgba[:: -(-longest // side), :: -(-longest // side)]
    factor = side // max(rgba.shape[:2])
    picture = Image.fromarray(rgba.repeat(factor, axis=0).repeat(factor, axis=1))
    y, x = np.mgrid[:side, :side] // SQUARE
    colors = np.array([(*color, 255) for color in CHECKER], np.uint8)
    ground = Image.fromarray(colors[(x + y) % 2])
    ground.alpha_composite(picture, ((side - picture.width) // 2, (side - picture.height) // 2))
    return ground


def _end(text: str, characters: int) -> str:
    """The end of a text, which tells more of a path than its beginning."""
    return text if len(text) <= characters else f"..{text[2 - characters :]}"


def _wrapped(text: str, characters: int) -> list[str]:
    """The text in lines, cut where there would be too many."""
    wrapped = [""]
    for word in text.split():
        longer = f"{wrapped[-1]} {word}".strip()
        if len(longer) <= characters or not wrapped[-1]:
            wrapped[-1] = longer
        else:
            wrapped.append(word)
    if len(wrapped) > LINES:
        wrapped = [*wrapped[: LINES - 1], f"{wrapped[LINES - 1][: characters - 3]}..."]
    return [line[:characters] for line in wrapped]


def _write(draw: ImageDraw.ImageDraw, corner: tuple[int, int], lines: Sequence[str], color: tuple[int, ...]) -> None:
    font = ImageFont.load_default_imagefont()
    for number, line in enumerate(lines):
        text = line.encode("latin-1", "replace").decode("latin-1")  # what the font has
        draw.text((corner[0], corner[1] + number * LINE), text, fill=(*color, 255), font=font)
