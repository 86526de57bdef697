"""Many small things in one file at another place, so that they cost one request; knows not what they are.

A pack is called by the sha256 of its bytes; `ID.index` beside it says where each thing lies. It never changes, so an
index is read once and kept here. It is believed in nothing but where to look: what lies there is verified by its name.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from spritebuild.digest import FILE, canonical
from spritebuild.files import write_atomic
from spritebuild.shared.places import Place

SIZE = 8 << 20  # bytes of a pack, about
TRIES = 4  # to look where everything lies while packs come and go
WORTH_IT = 16  # things; fewer are put one by one
Fault = Callable[[str, str], None]
Map = Callable[..., list[dict[str, "Where"] | None]]


class Where(NamedTuple):
    """Where a thing lies."""

    pack: str
    offset: int
    length: int


def find(place: Place, folder: str, kept: Path, each: Map, fault: Fault) -> dict[str, Where]:
    """Where everything lies that is in a pack of a folder; `each` maps, and what is wrong is told to `fault`."""
    for _ in range(TRIES):
        sizes = {name: file.size for name, file in place.files(folder).items()}
        packs = sorted(name for name in sizes if FILE.fullmatch(name) and f"{name}.index" in sizes)
        found: dict[str, Where] = {}
        vanished = False
        for pack, rows in zip(packs, each(lambda pack: index(place, folder, pack, kept, fault), packs), strict=True):
            if rows is None:
                vanished = True
            elif any(where.offset + where.length > sizes[pack] for where in rows.values()):
                fault(f"{folder}/{pack}", f"is truncated: it has {sizes[pack]} bytes")
            else:
                found |= rows
        if not vanished:
            break  # else what stays of that pack is in another one by now
    return found


def index(place: Place, folder: str, pack: str, kept: Path, fault: Fault) -> dict[str, Where] | None:
    """Where each thing lies in a pack; None where that has vanished, nothing where it is wrong: `fault` is told."""
    file = kept / f"{pack}.index"
    path = f"{folder}/{pack}.index"
    try:
        data, known = file.read_bytes(), True
    except FileNotFoundError:
        try:
            data, known = place.read(path), False
        except FileNotFoundError:
            return None
    try:
        rows = {str(name): Where(pack, int(offset), int(length)) for name, (offset, length) in json.loads(data).items()}
        if any(row.offset < 0 or row.length < 0 for row in rows.values()):
            raise ValueError
    except (ValueError, TypeError, AttributeError, RecursionError):
        fault(path, "is no index of a pack")
        return {}
    if not known:
        write_atomic(file, data)
    return rows


def by_pack(names: Iterable[str], packed: Mapping[str, Where]) -> dict[str, list[str]]:
    """Those of the names that are in a pack, by the pack."""
    found: dict[str, list[str]] = {}
    for name in names:
        if name in packed:
            found.setdefault(packed[name].pack, []).append(name)
    return found


def groups(sizes: Mapping[str, int]) -> list[list[str]]:
    """The names of what goes into each pack; no pack for too few."""
    if len(sizes) < WORTH_IT:
        return []
    found: list[list[str]] = []
    room = 0
    for name in sorted(sizes):
        if sizes[name] > room or not found:
            found.append([])
            room = SIZE
        found[-1].append(name)
        room -= sizes[name]
    return found


def packed(things: Mapping[str, bytes]) -> tuple[str, bytes, bytes]:
    """A pack of things: its name, its bytes and its index."""
    index: dict[str, tuple[int, int]] = {}
    data = bytearray()
    for name, piece in things.items():
        index[name] = len(data), len(piece)
        data += piece
    return hashlib.sha256(data).hexdigest(), bytes(data), canonical(index)
