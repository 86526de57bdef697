"""Sheets laid out by hand or by the stage, for tests of what is exported from them; knows no game engine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from spritebuild.stage import BoundAction, Context
from spritebuild_stages.exports.sheet import Sheet
from spritebuild_stages.images import png
from spritebuild_stages.images.png import Rgba
from spritebuild_stages.sheet import Sheet as SheetStage
from spritebuild_stages.sheets import layout
from spritebuild_stages.sheets.layout import Frame, Grid, Layout, Page, Slice, Tag

DURATIONS = (100, 70, 130, 40, 250, 90)
HERO_TAGS = (
    Tag(name="walk", first=0, last=3),
    Tag(name="turn", first=1, last=4, direction="pingpong"),
    Tag(name="back", first=2, last=4, direction="reverse", repeat=2),
    Tag(name="sway", first=3, last=5, direction="pingpong_reverse", repeat=1),
    Tag(name="rest", first=5, last=5),
)
HERO_SLICES = (
    Slice(name="hit <1>", frame=1, bounds=(2, 1, 4, 5)),
    Slice(name="foot", frame=1, bounds=(0, 7, 8, 1)),
    Slice(name="frame", frame=2, bounds=(0, 0, 8, 8), center=(2, 2, 4, 4)),
)


def drawing(number: int, width: int = 8, height: int = 8, alphas: Sequence[int] = (0, 80, 255)) -> Rgba:
    """A picture of its own: few colors, some of them translucent, nothing under alpha 0; its corners are opaque."""
    rng = np.random.default_rng([number, width, height])
    rgba = rng.integers(0, 256, (6, 4), np.uint8)[rng.integers(0, 6, (height, width))]
    rgba[..., 3] = rng.choice(np.array(alphas, np.uint8), (height, width))
    rgba[:: max(1, height - 1), :: max(1, width - 1), 3] = 255
    rgba[rgba[..., 3] == 0] = 0
    return rgba


def hero(count: int = 6, size: tuple[int, int] = (8, 8)) -> list[Rgba]:
    return [drawing(number, *size) for number in range(count)]


def grid(
    folder: Path,
    pictures: Sequence[Rgba],
    *,
    columns: int = 3,
    spacing: int = 0,
    margin: int = 0,
    extrude: int = 0,
    size: tuple[int, int] | None = None,
    **more: Any,
) -> Sheet:
    """A sheet of cells, smaller pictures at their top left.

    `extrude` repeats the pictures' edges; `size` is that of a page which is larger than it must be.
    """
    height, width = (max(one.shape[axis] for one in pictures) for axis in (0, 1))
    far = spacing + 2 * extrude
    edge = margin + extrude
    rows = -(-len(pictures) // columns)
    least = (2 * edge + columns * (width + far) - far, 2 * edge + rows * (height + far) - far)
    across, down = size or least
    page = np.zeros((down, across, 4), np.uint8)
    frames = []
    for number, picture in enumerate(pictures):
        x = edge + number % columns * (width + far)
        y = edge + number // columns * (height + far)
        high, wide = picture.shape[:2]
        repeated = np.pad(picture, ((extrude, extrude), (extrude, extrude), (0, 0)), "edge")
        page[y - extrude : y + high + extrude, x - extrude : x + wide + extrude] = repeated
        frames.append(_frame(number, 0, x, y, (0, 0, wide, high), (wide, high)))
    found = _layout(folder, [page], frames, **more)
    return Sheet(
        found.model_copy(update={"grid": Grid(columns=columns, cell=(width, height), spacing=far, margin=edge)}),
        folder,
    )


def packed(folder: Path, pictures: Sequence[Rgba], *, per_page: int = 100, **more: Any) -> Sheet:
    """A sheet of pictures beside each other, one pixel apart, nothing trimmed."""
    pages: list[Rgba] = []
    frames: list[Frame] = []
    for first in range(0, len(pictures), per_page):
        here = pictures[first : first + per_page]
        page = np.zeros((max(len(one) for one in here), sum(one.shape[1] + 1 for one in here), 4), np.uint8)
        x = 0
        for number, picture in enumerate(here, first):
            height, width = picture.shape[:2]
            page[:height, x : x + width] = picture
            frames.append(_frame(number, len(pages), x, 0, (0, 0, width, height), (width, height)))
            x += width + 1
        pages.append(page)
    return Sheet(_layout(folder, pages, frames, **more), folder)


def trimmed(folder: Path, **more: Any) -> Sheet:
    """Two pages: a trimmed picture, its mirror image from the same place, an untrimmed one, and one of a pixel."""
    first, second = np.zeros((12, 16, 4), np.uint8), np.zeros((5, 7, 4), np.uint8)
    first[2:7, 3:9] = drawing(0, 6, 5)
    first[:, 10:15] = drawing(1, 5, 12)
    second[4, 6] = (1, 2, 3, 80)
    frames = [
        _frame(0, 0, 3, 2, (2, 1, 6, 5), (10, 9)),
        _frame(1, 0, 3, 2, (2, 1, 6, 5), (10, 9)).model_copy(update={"mirrored": True}),
        _frame(2, 0, 10, 0, (0, 0, 5, 12), (5, 12)),
        _frame(3, 1, 6, 4, (0, 3, 1, 1), (1, 4)),
    ]
    tags = (
        Tag(name="flip", first=0, last=1),
        Tag(name="all", first=0, last=3, direction="pingpong", repeat=2),
        Tag(name="end", first=2, last=3, direction="reverse"),
    )
    slices = (
        Slice(name="hit", frame=0, bounds=(2, 1, 4, 4)),
        Slice(name="hit", frame=2, bounds=(0, 0, 5, 5), center=(1, 1, 3, 3)),
    )
    return Sheet(_layout(folder, [first, second], frames, **{"tags": tags, "slices": slices, **more}), folder)


def staged(folder: Path, pictures: Sequence[Rgba], **params: Any) -> Sheet:
    """A sheet made by the sheet stage, frames named f0, f1 and so on."""
    (folder / "frames").mkdir(parents=True)
    frames = tuple(folder / "frames" / f"{number}.png" for number in range(len(pictures)))
    for path, picture in zip(frames, pictures, strict=True):
        png.write(path, picture)
    names = tuple(f"f{number}" for number in range(len(pictures)))
    outputs = SheetStage.Outputs(files=folder / "files", layout=folder / "layout.json")
    told = SheetStage.Params.model_validate({"names": names, "name": "hero", **params})
    SheetStage().run(BoundAction(told, SheetStage.Inputs(frames=frames), outputs), Context(memory=folder))
    return Sheet(layout.read(folder / "layout.json"), folder / "files")


def _frame(number: int, page: int, x: int, y: int, box: tuple[int, int, int, int], source: tuple[int, int]) -> Frame:
    duration = DURATIONS[number % len(DURATIONS)]
    pivot = (source[0] / 2, float(source[1])) if number % 2 else None
    return Frame(
        name=f"hero {number} <&\"'>", page=page, x=x, y=y, box=box, source=source, duration=duration, pivot=pivot
    )


def _layout(folder: Path, pages: Sequence[Rgba], frames: Sequence[Frame], name: str = "hero", **more: Any) -> Layout:
    folder.mkdir(parents=True, exist_ok=True)
    entries = []
    for number, page in enumerate(pages):
        image = f"{name}.png" if len(pages) == 1 else f"{name}-{number}.png"
        png.write(folder / image, page)
        entries.append(Page(image=image, width=page.shape[1], height=page.shape[0]))
    return Layout(name=name, pages=tuple(entries), frames=tuple(frames), **more)
