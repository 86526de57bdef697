"""The frames and animations that a JSON beside a picture tells of, as Aseprite or TexturePacker does; draws none."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

LARGEST = 32 << 20  # bytes of a JSON that is read
DURATION = 100  # milliseconds, where the JSON says none
Rectangle = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Frame:
    """A part `rect` (x, y, width, height) of the file `image`, which lies at `at` (x, y) of a `source` (w, h)."""

    name: str
    image: str
    rect: Rectangle
    at: tuple[int, int]
    source: tuple[int, int]
    duration: int


@dataclass(frozen=True, slots=True)
class Tag:
    """An animation: the frames `first` to `last` (inclusive) of the list."""

    name: str
    first: int
    last: int
    direction: str


@dataclass(frozen=True, slots=True)
class Animation:
    """What the documents of a folder tell together, page after page."""

    frames: Sequence[Frame] = ()
    tags: Sequence[Tag] = ()


def read(documents: Mapping[str, bytes], files: Mapping[str, str]) -> Animation:
    """What documents say, by their names in a folder, of the pictures among its `files`.

    Where several speak of one picture, the one that tells of animations is heard. What is no such document, or speaks
    of another picture, is passed over.
    """
    heard: dict[str, tuple[tuple[bool, bool], list[Frame], list[Tag]]] = {}
    for name in sorted(documents):
        found = _document(name, documents[name], files)
        if found is None:
            continue
        image, frames, tags, told = found
        rank = (bool(tags), told)
        if image not in heard or rank > heard[image][0]:
            heard[image] = rank, frames, tags
    all_frames: list[Frame] = []
    all_tags: list[Tag] = []
    for image in sorted(heard):
        _, frames, tags = heard[image]
        base = len(all_frames)
        all_frames += frames
        all_tags += [Tag(tag.name, base + tag.first, base + tag.last, tag.direction) for tag in tags]
    return Animation(tuple(all_frames), tuple(all_tags))


def _document(name: str, text: bytes, files: Mapping[str, str]) -> tuple[str, list[Frame], list[Tag], bool] | None:
    """The picture, frames and tags of a document, and whether it says how long frames last; None for another kind."""
    try:
        data = json.loads(text)
        meta, listed = data["meta"], data["frames"]
        image = _beside(name, meta["image"])
        if image not in files:
            return None
        rows = listed.items() if isinstance(listed, dict) else [(row["filename"], row) for row in listed]
        frames = [_frame(str(frame), image, row) for frame, row in rows]
        told = any("duration" in row for _, row in rows)
        return image, frames, list(_tags(meta, len(frames))), told
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _beside(name: str, image: str) -> str:
    """The name in the folder of the picture that a document names as its neighbor."""
    folder, slash, _ = name.rpartition("/")
    return f"{folder}{slash}{image}"


def _frame(name: str, image: str, row: Mapping[str, Any]) -> Frame:
    rect = _rectangle(row["frame"])
    box = _rectangle(row["spriteSourceSize"]) if "spriteSourceSize" in row else (0, 0, *rect[2:])
    size = row.get("sourceSize", {"w": box[2], "h": box[3]})
    duration = row.get("duration", DURATION)
    if type(duration) is not int or not 1 <= duration <= 1 << 20:
        duration = DURATION
    return Frame(name, image, rect, box[:2], (_length(size["w"]), _length(size["h"])), duration)


def _rectangle(value: Mapping[str, Any]) -> Rectangle:
    return _length(value["x"]), _length(value["y"]), _length(value["w"]), _length(value["h"])


def _length(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= 1 << 16:
        raise ValueError(f"0 to {1 << 16} pixels, not {value!r}")
    return value


def _tags(meta: Mapping[str, Any], count: int) -> Iterator[Tag]:
    for row in meta.get("frameTags", ()):
        first, last = row["from"], row["to"]
        if type(first) is type(last) is int and 0 <= first <= last < count:
            yield Tag(str(row["name"]), first, last, str(row.get("direction", "forward")))
