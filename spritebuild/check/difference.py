"""The first difference between two files or folders, in a line or two, as diffoscope finds it; knows no action."""

from __future__ import annotations

import json
import math
import struct
import zlib
from pathlib import Path
from typing import Any, NamedTuple

from spritebuild.check.chunks import SIGNATURE, of_pngs
from spritebuild.check.values import both, first_value, of_texts, shown

CHUNK = 1 << 20  # bytes compared at a time
MAX_READ = 1 << 24  # bytes up to which a file is read as a picture, JSON or text
NUMBERS = {"F64": "d", "F32": "f", "F16": "e", "I64": "q", "I32": "i", "I16": "h", "I8": "b", "U8": "B", "BOOL": "?"}


def difference(old: Path, new: Path) -> str:
    """What tells `new` from `old`, at its first place; empty if their bytes are equal. Raises OSError."""
    if old.is_dir() and new.is_dir():
        return _folders(old, new)
    if old.is_dir() or new.is_dir():
        return "a folder -> a file" if old.is_dir() else "a file -> a folder"
    first = _first_offset(old, new)
    if first is None:
        return ""
    for found in (_pictures, _tensors, _texts):
        try:
            if said := found(old, new):
                return said
        except (ValueError, LookupError, TypeError, RecursionError, struct.error, zlib.error):
            continue  # not what it looks like
    return _bytes(old, new, first)


def _folders(old: Path, new: Path) -> str:
    here, there = _files(old), _files(new)
    found: list[str] = []
    count = 0
    for path in sorted(here | there):
        if path not in there:
            said = "is missing now"
        elif path not in here:
            said = "was not there"
        elif _first_offset(old / path, new / path) is None:
            continue
        else:
            said = "" if found else difference(old / path, new / path)
        count += 1
        found = found or [f"{shown(path)}: {said}"]
    return found[0] + (f"\n{count} of {len(here | there)} files differ" if count > 1 else "") if found else ""


def _files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


# Bytes


def _first_offset(old: Path, new: Path, start: tuple[int, int] = (0, 0), length: int | None = None) -> int | None:
    """The first byte, counted from `start` in each file, at which they differ or one of them ends."""
    left = math.inf if length is None else length
    place = 0
    with old.open("rb") as one, new.open("rb") as other:
        one.seek(start[0])
        other.seek(start[1])
        while left > 0:
            size = int(min(CHUNK, left))
            a, b = one.read(size), other.read(size)
            if a != b:
                same = (n for n, (x, y) in enumerate(zip(a, b, strict=False)) if x != y)
                return place + next(same, min(len(a), len(b)))
            if not a:
                return None
            place += len(a)
            left -= len(a)
    return None


def _bytes(old: Path, new: Path, first: int) -> str:
    sizes = (old.stat().st_size, new.stat().st_size)
    size = f" ({sizes[0]:,} bytes -> {sizes[1]:,})" if sizes[0] != sizes[1] else f" of {sizes[0]:,}"
    return f"byte {first:,}{size}: {_hex(old, first)} -> {_hex(new, first)}"


def _hex(path: Path, place: int, length: int = 8) -> str:
    with path.open("rb") as file:
        file.seek(place)
        return file.read(length).hex(" ") or "(end)"


def _pictures(old: Path, new: Path) -> str:
    pngs = all(_start(path, len(SIGNATURE)) == SIGNATURE and _size(path) <= MAX_READ for path in (old, new))
    return of_pngs(old, new) if pngs else ""


def _texts(old: Path, new: Path) -> str:
    if max(_size(old), _size(new)) > MAX_READ:
        return ""
    texts = [path.read_bytes().decode("utf-8") for path in (old, new)]
    return "" if any("\0" in text for text in texts) else of_texts(*texts)


# Safetensors


def _tensors(old: Path, new: Path) -> str:
    before, now = _header(old), _header(new)
    if before is None or now is None:
        return ""
    notes = [header.rows.pop("__metadata__", {}) for header in (before, now)]
    if said := first_value(*notes):
        return f"__metadata__{said}"
    for name in before.rows | now.rows:
        one, two = before.rows.get(name), now.rows.get(name)
        if _brief(one) != _brief(two):
            return f"tensor {shown(name)}: {both(_brief(one), _brief(two))}"
        if one is not None and two is not None and (said := _first_element(old, before, one, new, now, two)):
            return f"tensor {shown(name)} ({_brief(one)}), {said}"
    return "same tensors, in another order or with other padding"


def _first_element(old: Path, before: _Header, one: Any, new: Path, now: _Header, two: Any) -> str:
    begin, end = one["data_offsets"]
    starts = before.data + begin, now.data + two["data_offsets"][0]
    place = _first_offset(old, new, starts, end - begin)
    if place is None:
        return ""
    size = max(1, (end - begin) // max(1, math.prod(one["shape"])))
    element = place // size
    sides = zip((old, new), starts, strict=True)
    values = (_number(path, start + element * size, size, one["dtype"]) for path, start in sides)
    return f"element {element:,}: {' -> '.join(values)}"


class _Header(NamedTuple):
    """Where the data of a safetensors file begins, and its rows by tensor."""

    data: int
    rows: dict[str, Any]


def _header(path: Path) -> _Header | None:
    """The header of a safetensors file; None for another file."""
    size = _size(path)
    length = int.from_bytes(_start(path, 8), "little")
    if not 2 <= length <= min(MAX_READ, size - 8) or _start(path, 9)[8:] != b"{":
        return None
    return _Header(8 + length, json.loads(_start(path, 8 + length)[8:]))


def _number(path: Path, place: int, size: int, dtype: str) -> str:
    with path.open("rb") as file:
        file.seek(place)
        data = file.read(size)
    if dtype == "BF16":
        return f"{struct.unpack('<f', bytes(2) + data)[0]:g}"
    return f"{struct.unpack('<' + NUMBERS[dtype], data)[0]!r}" if dtype in NUMBERS else data.hex(" ")


def _brief(row: Any) -> str | None:
    return None if row is None else f"{row['dtype']} {'x'.join(map(str, row['shape'])) or 'scalar'}"


def _start(path: Path, length: int) -> bytes:
    with path.open("rb") as file:
        return file.read(length)


def _size(path: Path) -> int:
    return path.stat().st_size
