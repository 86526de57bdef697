"""One TOML file: read, refused or parsed, and faults that point into it; knows no key by name."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from spritebuild import digest
from spritebuild.errors import Fault, SpritefileError, printable
from spritebuild.spritefile.locate import Place, Places, places
from spritebuild.spritefile.mistakes import Mistake
from spritebuild.spritefile.scan import LARGEST_FILE, scan

LONGEST_LINE = 200  # a longer line is not shown in a fault

_POSITION = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_TWICE = ("Cannot overwrite", "Cannot declare", "Cannot redefine", "Cannot mutate", "Duplicate inline")


@dataclass(frozen=True)
class SourceFile:
    """A file of declarations: its path from the project folder, its text, and the sha256 of its bytes."""

    path: str
    text: str
    digest: str

    @cached_property
    def places(self) -> Places:
        """Where its keys stand; found out once, when the first fault needs it."""
        return places(self.text)

    def fault(self, mistake: Mistake) -> Fault:
        """A mistake, at its place in this file."""
        return self.fault_at(self.places.find(mistake.path, key=mistake.key), mistake.message, mistake.hint)

    def fault_at(self, place: Place | None, message: str, hint: str | None = None) -> Fault:
        if place is None:
            return Fault(message, self.path, hint=hint)
        if len(place.source) > LONGEST_LINE:
            return Fault(message, self.path, place.line, place.column, hint=hint)
        shown = "".join(c if c.isprintable() else " " for c in place.source)
        return Fault(message, self.path, place.line, place.column, shown, place.width, hint)


def point(files: Sequence[SourceFile], mistake: Mistake) -> Fault:
    """A mistake, at its place in the file that declares the most of its path; the first of equals."""
    return max(files, key=lambda file: file.places.depth(mistake.path)).fault(mistake)


def read(path: Path, name: str) -> tuple[SourceFile, dict[str, Any]]:
    """A file and what it declares. Raises SpritefileError, and OSError for a file that cannot be read."""
    with path.open("rb") as stream:
        data = stream.read(LARGEST_FILE + 1)
    if len(data) > LARGEST_FILE:
        raise SpritefileError([Fault(f"is larger than {LARGEST_FILE >> 20} MiB", name, hint="split it with `include`")])
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SpritefileError([_not_utf8(data, error.start, name)]) from None
    if fault := scan(text, name):
        raise SpritefileError([fault])
    file = SourceFile(name, text, digest.of_bytes(data))
    try:
        return file, tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SpritefileError([_syntax(file, str(error))]) from None
    except (RecursionError, ValueError) as error:
        raise SpritefileError([Fault(f"cannot be read as TOML: {error}", name)]) from None


def _not_utf8(data: bytes, start: int, name: str) -> Fault:
    line = data.count(b"\n", 0, start) + 1
    column = len(data[data.rfind(b"\n", 0, start) + 1 : start].decode("utf-8")) + 1
    return Fault(f"byte 0x{data[start]:02x} is not UTF-8", name, line, column, hint="save the file as UTF-8")


def _syntax(file: SourceFile, error: str) -> Fault:
    """What tomllib says, with its place, in our form."""
    match = _POSITION.search(error)
    message = printable(error[: match.start()] if match else error)
    if message.startswith(_TWICE) and file.places.repeated:
        path, span = file.places.repeated[0]
        first = file.places.place(file.places.keys[path])
        earlier = f"first declared on line {first.line}"
        return file.fault_at(file.places.place(span), f"{dotted(path)} is declared twice", earlier)
    hint = "save the file without a byte order mark" if file.text.startswith("\ufeff") else None
    return file.fault_at(_reported(file.text, match), message[:1].lower() + message[1:], hint)


def _reported(text: str, match: re.Match[str] | None) -> Place:
    end = text.rstrip()
    line, column = end.count("\n") + 1, len(end) - end.rfind("\n")
    if match is not None and match[1]:
        line, column = int(match[1]), int(match[2])
    return Place(line, column, 1, text.split("\n")[line - 1].rstrip("\r"))


def dotted(path: Sequence[str | int]) -> str:
    """A path as a person writes it: `styles.ruins.finish[0].palette`."""
    return printable("".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip("."))
