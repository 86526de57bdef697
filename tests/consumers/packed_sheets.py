"""Sheets as the sheet stage makes them of drawn pictures: trimmed, packed, extruded, tagged; knows no game engine."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from drawn_sheets import drawing

from spritebuild.stage import BoundAction, Context
from spritebuild_stages import sheet as stage
from spritebuild_stages.exports.sheet import Sheet
from spritebuild_stages.images import png
from spritebuild_stages.images.png import Rgba
from spritebuild_stages.sheets import layout as layouts
from spritebuild_stages.sheets.layout import Tag

DURATIONS = (100, 83, 130, 33, 250, 90)
TAGS = (
    Tag(name="walk", first=0, last=3),
    Tag(name="turn", first=1, last=4, direction="pingpong"),
    Tag(name="back", first=2, last=4, direction="reverse", repeat=2),
    Tag(name="sway", first=3, last=5, direction="pingpong_reverse"),
    Tag(name="nod", first=3, last=5, direction="pingpong", repeat=2),
    Tag(name="rest", first=5, last=5, repeat=1),
)
PANEL = 2  # the frame that is a nine-slice: center at (4, 3), 5x4 large


def sprites(count: int = 12) -> list[Rgba]:
    """Pictures of 17x13 with hard alpha, trimmed differently: one is full, one has nothing, two are equal."""
    pictures = []
    for number in range(count):
        picture = np.zeros((13, 17, 4), np.uint8)
        width, height = 17 - number, 13 - number
        picture[number // 2 : number // 2 + height, number // 3 : number // 3 + width] = drawing(
            number, width, height, (0, 255)
        )
        pictures.append(picture)
    pictures += [pictures[3].copy(), np.zeros((13, 17, 4), np.uint8)]
    return pictures


def packed(folder: Path, name: str, pictures: Iterable[Rgba], **told: Any) -> Sheet:
    """What the sheet stage makes of pictures: trimmed, packed and extruded, with tags, pivots and a nine-slice."""
    pictures = list(pictures)
    names = tuple(f"{name} {number}" for number in range(len(pictures)))
    paths = tuple(folder / f"{number}.png" for number in range(len(pictures)))
    folder.mkdir(parents=True)
    for path, picture in zip(paths, pictures, strict=True):
        png.write(path, picture)
    params = {
        "names": names, "name": name, "layout": "packed", "spacing": 1, "extrude": 1, "multipack": True,
        "durations": {frame: DURATIONS[number % len(DURATIONS)] for number, frame in enumerate(names)},
        "pivots": {frame: (number, 13) for number, frame in enumerate(names) if number % 2},
        "slices": {"panel": {"frames": names[PANEL], "center": (4, 3, 5, 4)}},
        "tags": {
            tag.name: {
                "frames": names[tag.first : tag.last + 1], "direction": tag.direction, "repeat": tag.repeat
            } for tag in TAGS
        },
    }  # fmt: skip
    outputs = stage.Sheet.Outputs(files=folder / "files", layout=folder / "layout.json")
    action = BoundAction(stage.Sheet.Params(**params | told), stage.Sheet.Inputs(frames=paths), outputs)
    stage.Sheet().run(action, Context(memory=folder))
    layout = layouts.read(outputs.layout)
    sheet = Sheet(layout, outputs.files)
    assert sorted(tag.name for tag in layout.tags) == sorted(tag.name for tag in TAGS)
    assert all(map(np.array_equal, sheet.pictures(), pictures))
    return sheet
