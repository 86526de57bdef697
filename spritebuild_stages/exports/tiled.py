"""Tilesets for the Tiled map editor, as .tsx and .tsj, from a sheet's layout; knows nothing of maps.

A grid becomes a tileset of one image, cut as Tiled cuts it: its tile count is that of all cells that Tiled finds in the
image, so cells without a frame count too. A packed sheet, or one of several pages, becomes a collection of images, each
a rectangle of a page, which Tiled reads since 1.9.

Sources: https://doc.mapeditor.org/en/stable/reference/tmx-map-format/#tileset, .../json-map-format/#tileset, and
Tileset::initializeTilesetTiles and columnCountForWidth in Tiled's src/libtiled/tileset.cpp
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from xml.etree import ElementTree

from pydantic import Field

from spritebuild.errors import StageError
from spritebuild_stages.exports import cells, sheet, texts
from spritebuild_stages.exports.sheet import Sheet, refuse_mirrored
from spritebuild_stages.sheets.layout import Grid, Layout, Page, Rectangle

Format = Literal["tsx", "tsj"]
Alignment = Literal[
    "unspecified", "topleft", "top", "topright", "left", "center", "right", "bottomleft", "bottom", "bottomright"
]
Value = str | int | float
Steps = tuple[tuple[int, int], ...]  # (tile, milliseconds)

VERSION, TILED_VERSION = "1.10", "1.10.2"  # of the format, and the Tiled that writes it so


class Options(sheet.Options):
    """Tilesets for Tiled, each beside the pages of its sheet.

    Every tile has its frame's name as the property `name`. A tag becomes the animation of its first tile that has none
    yet, whose property `animation` is the tag's name. Slices without a center are a tile's collision rectangles.
    """

    kind: Literal["tiled"]
    formats: tuple[Format, ...] = Field(("tsx", "tsj"), min_length=1, description="XML, JSON, or both.")
    object_alignment: Alignment = Field("unspecified", description="Where a tile that is an object has its position.")


@dataclass(frozen=True)
class _Tile:
    """`picture` is its own, page and rectangle; None in a tileset of one image."""

    number: int
    properties: dict[str, Value]
    animation: Steps = ()
    objects: tuple[tuple[str, Rectangle], ...] = ()
    picture: tuple[Page, Rectangle] | None = None


@dataclass(frozen=True)
class _Tileset:
    """`page` is its one image; None in a collection of images."""

    attributes: dict[str, Value]
    page: Page | None
    tiles: tuple[_Tile, ...]


def write(sheets: Sequence[Sheet], folder: Path, options: Options) -> None:
    """Write each sheet's tileset and pages, by the sheets' categories.

    Raises StageError for frames that are trimmed or mirrored, which Tiled cannot undo, and for a tag that finds no tile
    to animate.
    """
    for one in sheets:
        place = folder / one.category
        tileset = _tileset(one, options)
        one.copy_pages(place)
        for name in sorted(set(options.formats)):
            text = _xml(tileset) if name == "tsx" else _json(tileset)
            texts.write(place / f"{one.layout.name}.{name}", text)


def _tileset(one: Sheet, options: Options) -> _Tileset:
    layout = one.layout
    refuse_mirrored(layout.frames, "Tiled")
    cells.refuse_trimmed(layout.frames, "Tiled")
    grid = layout.grid if len(layout.pages) == 1 else None
    page = layout.pages[0] if grid else None
    attributes: dict[str, Value] = {"version": VERSION, "tiledversion": TILED_VERSION, "name": layout.name}
    if page and grid:
        cells.refuse_strays(one, grid, "Tiled")
        attributes |= _cut(page, grid)
        columns = int(attributes["columns"])
        places = [cells.place(frame, grid, grid.cell) for frame in layout.frames]
        numbers = [row * columns + column for column, row in places]
    else:
        numbers = list(range(len(layout.frames)))
        attributes |= {
            "tilewidth": max((frame.source[0] for frame in layout.frames), default=0),
            "tileheight": max((frame.source[1] for frame in layout.frames), default=0),
            "tilecount": len(numbers),
            "columns": 0,
        }
    if options.object_alignment != "unspecified":
        attributes["objectalignment"] = options.object_alignment
    return _Tileset(attributes, page, _tiles(layout, numbers, of_one_image=page is not None))


def _cut(page: Page, grid: Grid) -> dict[str, Value]:
    """The grid as Tiled cuts it: it takes no margin off the right and the bottom, where it may find further cells."""
    width, height = grid.cell
    columns = (page.width - grid.margin + grid.spacing) // (width + grid.spacing)
    rows = (page.height - grid.margin + grid.spacing) // (height + grid.spacing)
    found: dict[str, Value] = {"tilewidth": width, "tileheight": height}
    found |= {name: value for name, value in (("spacing", grid.spacing), ("margin", grid.margin)) if value}
    return found | {"tilecount": columns * rows, "columns": columns}


def _tiles(layout: Layout, numbers: list[int], *, of_one_image: bool) -> tuple[_Tile, ...]:
    """The tiles of all frames, by number; frames that share a cell share the first one's tile."""
    animations = _animations(layout, numbers)
    objects: dict[int, list[tuple[str, Rectangle]]] = {}
    for part in layout.slices:
        if not part.center:
            objects.setdefault(part.frame, []).append((part.name, part.bounds))
    tiles: dict[int, _Tile] = {}
    for place, (number, frame) in enumerate(zip(numbers, layout.frames, strict=True)):
        properties: dict[str, Value] = {"name": frame.name}
        steps, more = animations.get(number, ((), {}))
        if frame.pivot:
            properties |= {"pivot_x": float(frame.pivot[0]), "pivot_y": float(frame.pivot[1])}
        picture = None if of_one_image else (layout.pages[frame.page], frame.rectangle)
        ordered = dict(sorted((properties | more).items()))
        tiles.setdefault(number, _Tile(number, ordered, steps, tuple(objects.get(place, ())), picture))
    return tuple(tiles[number] for number in sorted(tiles))


def _animations(layout: Layout, numbers: list[int]) -> dict[int, tuple[Steps, dict[str, Value]]]:
    """Steps and properties of every tag of more than one frame, by the tile that is animated: a tile has one."""
    found: dict[int, tuple[Steps, dict[str, Value]]] = {}
    for tag in layout.tags:
        if tag.first == tag.last:
            continue
        free = [number for number in numbers[tag.first : tag.last + 1] if number not in found]
        if not free:
            raise StageError(
                f"Tiled gives a tile one animation, and all tiles of {tag.name!r} have one",
                facts=[("tags", ", ".join(other.name for other in layout.tags))],
                hint="repeat a frame in the sheet, or leave a tag out",
            )
        more: dict[str, Value] = {"animation": tag.name}
        found[free[0]] = cells.steps(layout, tag, numbers), more | ({"repeat": tag.repeat} if tag.repeat else {})
    return found


def _xml(tileset: _Tileset) -> str:
    root = ElementTree.Element("tileset", {name: str(value) for name, value in tileset.attributes.items()})
    if tileset.page:
        _image(root, tileset.page)
    for tile in tileset.tiles:
        element = ElementTree.SubElement(root, "tile", {"id": str(tile.number)})
        if tile.picture:
            element.attrib |= dict(zip(("x", "y", "width", "height"), map(str, tile.picture[1]), strict=True))
        properties = ElementTree.SubElement(element, "properties")
        for name, value in tile.properties.items():
            kind = {int: {"type": "int"}, float: {"type": "float"}}.get(type(value), {})
            text = texts.number(value) if isinstance(value, float) else str(value)
            ElementTree.SubElement(properties, "property", {"name": name, **kind, "value": text})
        if tile.picture:
            _image(element, tile.picture[0])
        if tile.objects:
            group = ElementTree.SubElement(element, "objectgroup", {"draworder": "index"})
            for number, (name, (x, y, width, height)) in enumerate(tile.objects, 1):
                found = {"id": number, "name": name, "x": x, "y": y, "width": width, "height": height}
                ElementTree.SubElement(group, "object", {key: str(value) for key, value in found.items()})
        if tile.animation:
            animation = ElementTree.SubElement(element, "animation")
            for number, duration in tile.animation:
                ElementTree.SubElement(animation, "frame", {"tileid": str(number), "duration": str(duration)})
    ElementTree.indent(root, " ")
    text = ElementTree.tostring(root, "unicode").replace(" />", "/>")  # as Tiled; a > in an attribute is escaped
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def _image(parent: ElementTree.Element, page: Page) -> None:
    size = {"width": str(page.width), "height": str(page.height)}
    ElementTree.SubElement(parent, "image", {"source": page.image, **size})


def _json(tileset: _Tileset) -> str:
    root: dict[str, Any] = {"type": "tileset", "margin": 0, "spacing": 0, **tileset.attributes}
    if tileset.page:
        root |= _image_json(tileset.page)
    tiles: list[dict[str, Any]] = []
    for tile in tileset.tiles:
        entry: dict[str, Any] = {"id": tile.number}
        if tile.picture:
            entry |= dict(zip(("x", "y", "width", "height"), tile.picture[1], strict=True))
            entry |= _image_json(tile.picture[0])
        kinds: dict[type, str] = {str: "string", int: "int", float: "float"}
        entry["properties"] = [
            {"name": name, "type": kinds[type(value)], "value": value} for name, value in tile.properties.items()
        ]
        if tile.objects:
            entry["objectgroup"] = _objects_json(tile.objects)
        if tile.animation:
            entry["animation"] = [{"duration": duration, "tileid": number} for number, duration in tile.animation]
        tiles.append(entry)
    # Keys in the order of the alphabet, as Tiled writes them.
    return json.dumps(root | {"tiles": tiles}, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _image_json(page: Page) -> dict[str, Value]:
    return {"image": page.image, "imagewidth": page.width, "imageheight": page.height}


def _objects_json(objects: tuple[tuple[str, Rectangle], ...]) -> dict[str, Any]:
    shown = {"opacity": 1, "visible": True, "x": 0, "y": 0}
    entries = [
        {"id": number, "name": name, "type": "", "rotation": 0, "visible": True}
        | dict(zip(("x", "y", "width", "height"), bounds, strict=True))
        for number, (name, bounds) in enumerate(objects, 1)
    ]
    return {"type": "objectgroup", "name": "", "draworder": "index", "objects": entries, **shown}
