"""A project of the level editor LDtk whose tilesets are the sheets; knows nothing of levels but that there is one.

LDtk has no file for a tileset alone: a project is opened as it is, or its `defs.tilesets` are copied into another.

Sources: LDtk's docs/JSON_SCHEMA.json of version 1.5.3, https://ldtk.io/json, and data/def/TilesetDef.hx for the numbers
of tiles
"""

from __future__ import annotations

import json
import math
import re
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from spritebuild.errors import StageError
from spritebuild_stages.exports import cells, sheet, texts
from spritebuild_stages.exports.sheet import Sheet, refuse_mirrored
from spritebuild_stages.sheets.layout import Frame, Grid, Layout

VERSION, BUILD = "1.5.3", 473702  # BUILD dates that version: LDtk's own samples have it


class Options(sheet.Options):
    """One LDtk project for all sheets, which are grids.

    A tile's custom data is JSON: `name`, `duration`, `pivot` and `slices` of its frame, and the `animations` that begin
    there.
    """

    kind: Literal["ldtk"]
    name: str = Field("sprites", pattern=r"^[^/\\:]*[^/\\:.]$", description="The project's file, without .ldtk.")


def write(sheets: Sequence[Sheet], folder: Path, options: Options) -> None:
    """Write the project, and each sheet's pages by its category.

    Raises StageError for a sheet that is no grid of square tiles, or has trimmed or mirrored frames.
    """
    tilesets: list[dict[str, Any]] = []
    taken: set[str] = set()
    for uid, one in enumerate(sheets, 1):
        tilesets.append(_tileset(one, uid, _identifier(one.layout.name, taken)))
        one.copy_pages(folder / one.category)
    text = json.dumps(_project(options.name, tilesets), indent="\t", ensure_ascii=False)
    texts.write(folder / f"{options.name}.ldtk", text + "\n")


def _tileset(one: Sheet, uid: int, identifier: str) -> dict[str, Any]:
    layout = one.layout
    refuse_mirrored(layout.frames, "LDtk")
    cells.refuse_trimmed(layout.frames, "LDtk")
    if not layout.grid or len(layout.pages) > 1:
        raise StageError(
            f"LDtk cuts tiles from a grid in one picture, and the sheet {layout.name!r} is no such",
            facts=[("pages", len(layout.pages))],
            hint='say layout = "grid" and duplicates = false in the sheet; make several sheets of one of several pages',
        )
    page, grid = layout.pages[0], layout.grid
    cells.refuse_strays(one, grid, "LDtk")
    tile = _tile_size(layout.name, grid)
    # As LDtk counts: a last tile that is cut off by the edge counts too.
    columns, rows = (-((2 * grid.margin - size) // (tile + grid.spacing)) for size in (page.width, page.height))
    areas = [_area(frame, grid, tile, columns) for frame in layout.frames]
    return {
        "__cWid": columns,
        "__cHei": rows,
        "identifier": identifier,
        "uid": uid,
        "relPath": (Path(one.category) / page.image).as_posix(),
        "embedAtlas": None,
        "pxWid": page.width,
        "pxHei": page.height,
        "tileGridSize": tile,
        "spacing": grid.spacing,
        "padding": grid.margin,
        "tags": [],
        "tagsSourceEnumUid": None,
        "enumTags": [],
        "customData": _custom_data(layout, [area[0] for area in areas]),
        # A click on a tile takes its whole frame.
        "savedSelections": [{"ids": area, "mode": "Stamp"} for area in areas if len(area) > 1],
        "cachedPixelData": None,
    }


def _tile_size(name: str, grid: Grid) -> int:
    """The side of square tiles of which every cell is made."""
    width, height = grid.cell
    tile = math.gcd(width, height)
    if width != height and (grid.spacing or tile == 1):
        raise StageError(
            f"LDtk's tiles are square, and the cells of the sheet {name!r} are {width}x{height}",
            facts=[("spacing", grid.spacing)],
            hint="pad the sprites to squares"
            if tile == 1
            else "pad the sprites to squares, or say spacing = 0 and extrude = 0 in the sheet",
        )
    return tile


def _area(frame: Frame, grid: Grid, tile: int, columns: int) -> list[int]:
    """The tiles that a frame's cell is made of, row by row."""
    left, top = cells.place(frame, grid, (tile, tile))
    return [
        row * columns + column
        for row in range(top, top + grid.cell[1] // tile)
        for column in range(left, left + grid.cell[0] // tile)
    ]


def _custom_data(layout: Layout, numbers: list[int]) -> list[dict[str, Any]]:
    """What LDtk keeps with the tile at each frame's top left."""
    slices: dict[int, list[dict[str, Any]]] = {}
    for part in layout.slices:
        slices.setdefault(part.frame, []).append(part.model_dump(exclude={"frame"}))
    found: dict[int, dict[str, Any]] = {}
    for place, (number, frame) in enumerate(zip(numbers, layout.frames, strict=True)):
        data: dict[str, Any] = {"name": frame.name, "duration": frame.duration}
        if frame.pivot:
            data["pivot"] = list(frame.pivot)
        if place in slices:
            data["slices"] = slices[place]
        found.setdefault(number, data)
    for tag in layout.tags:
        steps = cells.steps(layout, tag, numbers)
        frames = [{"tile": number, "duration": duration} for number, duration in steps]
        animation = {"name": tag.name, "repeat": tag.repeat, "frames": frames}
        found[steps[0][0]].setdefault("animations", []).append(animation)
    return [{"tileId": number, "data": _escaped(found[number])} for number in sorted(found)]


def _escaped(data: dict[str, Any]) -> str:
    """JSON as LDtk keeps texts: it takes one layer of backslashes off when it loads them."""
    return json.dumps(data, ensure_ascii=False).replace("\\", "\\\\")


def _identifier(name: str, taken: set[str]) -> str:
    """A name as LDtk allows it, letters, digits and _, that is not taken; it is from now on."""
    base = re.sub(r"[^A-Za-z0-9]+", "_", name)
    base = "Sheet" if base in ("", "_") else f"_{base}" if base[0].isdigit() else base
    found, number = base, 2
    while found in taken:
        found, number = f"{base}_{number}", number + 1
    taken.add(found)
    return found


def _project(name: str, tilesets: list[dict[str, Any]]) -> dict[str, Any]:
    tile = tilesets[0]["tileGridSize"] if tilesets else 16
    ids = [str(uuid.uuid5(uuid.NAMESPACE_URL, f"spritebuild:{name}:{part}")) for part in ("project", "world", "level")]
    side = 16 * tile
    defaults = {"defaultGridSize": tile, "defaultEntityWidth": tile, "defaultEntityHeight": tile}
    return {
        "__header__": {
            "fileType": "LDtk Project JSON",
            "app": "LDtk",
            "doc": "https://ldtk.io/json",
            "schema": "https://ldtk.io/files/JSON_SCHEMA.json",
            "appAuthor": "Sebastien 'deepnight' Benard",
            "appVersion": VERSION,
            "url": "https://ldtk.io",
        },
        "iid": ids[0],
        "jsonVersion": VERSION,
        "appBuildId": BUILD,
        "nextUid": len(tilesets) + 2,
        "identifierStyle": "Free",
        "toc": [],
        "worldLayout": "Free",
        "worldGridWidth": side,
        "worldGridHeight": side,
        "defaultLevelWidth": side,
        "defaultLevelHeight": side,
        "defaultPivotX": 0,
        "defaultPivotY": 0,
        **defaults,
        "bgColor": "#40465B",
        "defaultLevelBgColor": "#696A79",
        "minifyJson": False,
        "externalLevels": False,
        "exportTiled": False,
        "simplifiedExport": False,
        "imageExportMode": "None",
        "exportLevelBg": True,
        "pngFilePattern": None,
        "backupOnSave": False,
        "backupLimit": 10,
        "backupRelPath": None,
        "levelNamePattern": "Level_%idx",
        "tutorialDesc": None,
        "customCommands": [],
        "flags": [],
        "defs": {
            "layers": [],
            "entities": [],
            "tilesets": tilesets,
            "enums": [],
            "externalEnums": [],
            "levelFields": [],
        },
        "levels": [_level(ids[2], len(tilesets) + 1, side)],  # LDtk opens no project without one
        "worlds": [],
        "dummyWorldIid": ids[1],
    }


def _level(iid: str, uid: int, side: int) -> dict[str, Any]:
    return {
        "identifier": "Level_0",
        "iid": iid,
        "uid": uid,
        "worldX": 0,
        "worldY": 0,
        "worldDepth": 0,
        "pxWid": side,
        "pxHei": side,
        "__bgColor": "#696A79",
        "bgColor": None,
        "useAutoIdentifier": True,
        "bgRelPath": None,
        "bgPos": None,
        "bgPivotX": 0.5,
        "bgPivotY": 0.5,
        "__smartColor": "#ADADB5",
        "__bgPos": None,
        "externalRelPath": None,
        "fieldInstances": [],
        "layerInstances": [],
        "__neighbours": [],
    }
