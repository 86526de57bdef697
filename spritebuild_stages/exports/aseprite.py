"""Aseprite's JSON, which most engines read: a page's frames, tags and slices; knows nothing of how they were packed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from spritebuild_stages.exports import documents, sheet
from spritebuild_stages.exports.sheet import Sheet, refuse_mirrored
from spritebuild_stages.sheets.layout import Frame, Layout, Slice, Tag

Format = Literal["hash", "array"]

TAG_COLOR, SLICE_COLOR = "#000000ff", "#0000ffff"  # what Aseprite gives new ones


class Options(sheet.Options):
    """Aseprite's JSON for every page of every sheet, beside the pages."""

    kind: Literal["aseprite"]
    format: Format = "hash"


def write(sheets: Sequence[Sheet], folder: Path, options: Options) -> None:
    """Write every page with its companions and its JSON, by the sheets' categories.

    Raises StageError for a frame that is stored mirrored: the format cannot say it.
    """
    for one in sheets:
        refuse_mirrored(one.layout.frames, "Aseprite's JSON")
        place = folder / one.category
        one.copy_pages(place)
        write_documents(one.layout, place, options.format)


def write_documents(layout: Layout, folder: Path, format: Format) -> None:
    """Write the JSON of every page into a folder that is there."""
    for page in range(len(layout.pages)):
        documents.write(folder / file_name(layout, page), document(layout, page, format))


def file_name(layout: Layout, page: int) -> str:
    """The name of a page's JSON: that of its picture with another suffix."""
    return layout.pages[page].image.removesuffix(".png") + ".json"


def document(layout: Layout, page: int, format: str) -> dict[str, Any]:
    """What Aseprite writes for a page, frames in the layout's order: `format` is "hash" or "array".

    Numbers of frames in tags and slices count the frames of this page; a tag is given where all of its frames are.
    Beyond Aseprite, as TexturePacker: a frame's `pivot` as a part of its source's size, with the same as `anchor`,
    which is PixiJS' word; `related_multi_packs` for the JSONs of the other pages. `companions` and `mirrored` are ours.

    Source: Aseprite's src/app/doc_exporter.cpp, and https://www.aseprite.org/docs/cli/#format
    """
    numbers = [number for number, frame in enumerate(layout.frames) if frame.page == page]
    place = {number: at for at, number in enumerate(numbers)}
    named = [(layout.frames[number].name, _frame(layout.frames[number])) for number in numbers]
    picture = layout.pages[page]
    meta: dict[str, Any] = {
        "app": "spritebuild",
        "version": "1",
        "image": picture.image,
        "format": "RGBA8888",
        "size": {"w": picture.width, "h": picture.height},
        "scale": "1",
    }
    if tags := [_tag(tag, place) for tag in layout.tags if {*range(tag.first, tag.last + 1)} <= place.keys()]:
        meta["frameTags"] = tags
    if slices := _slices(layout, place):
        meta["slices"] = slices
    if picture.companions:
        meta["companions"] = dict(picture.companions)
    if len(layout.pages) > 1:
        others = [number for number in range(len(layout.pages)) if number != page]
        meta["related_multi_packs"] = [file_name(layout, number) for number in others]
    frames = dict(named) if format == "hash" else [{"filename": name} | frame for name, frame in named]
    return {"frames": frames, "meta": meta}


def _frame(frame: Frame) -> dict[str, Any]:
    width, height = frame.source
    entry: dict[str, Any] = {
        "frame": _rectangle(*frame.rectangle),
        "rotated": False,
        "trimmed": frame.trimmed,
        "spriteSourceSize": _rectangle(*frame.box),
        "sourceSize": {"w": width, "h": height},
        "duration": frame.duration,
    }
    if frame.pivot:
        entry["pivot"] = {"x": frame.pivot[0] / width, "y": frame.pivot[1] / height}
        entry["anchor"] = dict(entry["pivot"])
    if frame.mirrored:
        entry["mirrored"] = True
    return entry


def _tag(tag: Tag, place: dict[int, int]) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": tag.name,
        "from": place[tag.first],
        "to": place[tag.last],
        "direction": tag.direction,
    }
    if tag.repeat:
        # Aseprite counts there and back as two.
        entry["repeat"] = str(tag.repeat * (2 if tag.direction.startswith("pingpong") else 1))
    return entry | {"color": TAG_COLOR}


def _slices(layout: Layout, place: dict[int, int]) -> list[dict[str, Any]]:
    """Slices by name; one of several frames has a key for each."""
    keys: dict[str, list[dict[str, Any]]] = {}
    for part in sorted(layout.slices, key=lambda part: part.frame):
        if part.frame in place:
            keys.setdefault(part.name, []).append(_key(part, layout.frames[part.frame], place[part.frame]))
    names = [name for name in dict.fromkeys(part.name for part in layout.slices) if name in keys]
    return [{"name": name, "color": SLICE_COLOR, "keys": keys[name]} for name in names]


def _key(part: Slice, frame: Frame, place: int) -> dict[str, Any]:
    entry: dict[str, Any] = {"frame": place, "bounds": _rectangle(*part.bounds)}
    if part.center:
        entry["center"] = _rectangle(*part.center)
    if frame.pivot:
        # Whole pixels from the slice's corner.
        entry["pivot"] = {
            "x": math.floor(frame.pivot[0]) - part.bounds[0],
            "y": math.floor(frame.pivot[1]) - part.bounds[1],
        }
    return entry


def _rectangle(x: int, y: int, width: int, height: int) -> dict[str, int]:
    return {"x": x, "y": y, "w": width, "h": height}
