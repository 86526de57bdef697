"""Where every key of a TOML text stands; walked only when there is a fault to point at, and tolerant of broken text.

It checks nothing: tomllib has, or has already said where it stopped. After a statement that it cannot read it goes on
with the next line.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from spritebuild.spritefile.scan import COMMENT, DEEPEST_NESTING, STRING

Path = tuple[str | int, ...]

_WHITE = re.compile(r"[ \t]*+")
_BLANK = re.compile(rf"(?:[ \t\r\n]++|{COMMENT})*+")
_STRING = re.compile(STRING)
_KEY = re.compile(r'[A-Za-z0-9_-]++|"(?:[^"\\\n]++|\\[^\n])*+"|\'[^\'\n]*+\'')
_SCALAR = re.compile(r"[^\s,\[\]{}#=]++(?: [0-9][^\s,\[\]{}#=]*+)?")  # a date and a time may stand apart


@dataclass(frozen=True)
class Place:
    """A stretch of one line; line and column count from 1, `source` is the whole line."""

    line: int
    column: int
    width: int
    source: str


@dataclass(frozen=True)
class Places:
    """The stretches of text (start, end) of keys and values by path; `repeated` are second declarations, in order."""

    text: str
    keys: dict[Path, tuple[int, int]] = field(default_factory=dict)
    values: dict[Path, tuple[int, int]] = field(default_factory=dict)
    repeated: list[tuple[Path, tuple[int, int]]] = field(default_factory=list)

    def depth(self, path: Sequence[str | int]) -> int:
        """How many leading parts of a path the text declares."""
        return next((size for size in range(len(path), 0, -1) if tuple(path[:size]) in self.keys), 0)

    def find(self, path: Sequence[str | int], *, key: bool = True) -> Place | None:
        """The place of a key or its value, or of the nearest declared table around it; None if there is none."""
        size = self.depth(path)
        if size == 0:
            return None
        nearest = tuple(path[:size])
        span = self.keys[nearest]
        if not key and size == len(path):
            span = self.values.get(nearest, span)
        return self.place(span)

    def place(self, span: tuple[int, int]) -> Place:
        """A stretch of text as line, column and width; what runs over the end of its line is cut there."""
        start, end = span
        left = self.text.rfind("\n", 0, start) + 1
        right = self.text.find("\n", start)
        source = self.text[left : right if right >= 0 else len(self.text)].rstrip("\r")
        column = start - left + 1
        width = max(1, min(end - start, len(source) - column + 1))
        return Place(bisect_left(self._line_ends, start) + 1, column, width, source)

    @cached_property
    def _line_ends(self) -> list[int]:
        return [match.start() for match in re.finditer("\n", self.text)]


def places(text: str) -> Places:
    """Walk a TOML text and note where its keys and values stand."""
    found = Places(text)
    _Walk(found).document()
    return found


class _LostError(Exception):
    """The walk cannot read on from here."""


class _Walk:
    def __init__(self, found: Places) -> None:
        self.text = found.text
        self.found = found
        self.at = 0
        self.explicit: set[Path] = set()
        self.last: dict[Path, int] = {}  # the index of the latest entry of every array of tables

    def document(self) -> None:
        table: Path = ()
        self.skip(_BLANK)
        while self.at < len(self.text):
            try:
                if self.text[self.at] == "[":
                    table = self.header()
                else:
                    self.pair(table)
            except _LostError:
                following = self.text.find("\n", self.at)
                self.at = following if following >= 0 else len(self.text)
            self.skip(_BLANK)

    def header(self) -> Path:
        marks = 2 if self.text.startswith("[[", self.at) else 1
        self.at += marks
        self.skip(_WHITE)
        *outer, (name, span) = self.key()
        if not self.text.startswith("]" * marks, self.at):
            raise _LostError
        self.at += marks
        table: Path = ()
        for part, place in outer:
            table = self.entered((*table, part), place)
        table = (*table, name)
        if marks == 1:
            self.declare(table, span)
            return table
        self.found.keys.setdefault(table, span)
        self.last[table] = self.last.get(table, -1) + 1
        table = (*table, self.last[table])
        self.declare(table, span)
        return table

    def entered(self, table: Path, span: tuple[int, int]) -> Path:
        """A table on the way to another one; of an array of tables it is the latest entry."""
        self.found.keys.setdefault(table, span)
        return (*table, self.last[table]) if table in self.last else table

    def declare(self, path: Path, span: tuple[int, int]) -> None:
        if path in self.explicit:
            self.found.repeated.append((path, span))
            return
        self.explicit.add(path)
        self.found.keys.setdefault(path, span)

    def pair(self, table: Path, depth: int = 0) -> None:
        *outer, (name, span) = self.key()
        if not self.text.startswith("=", self.at):
            raise _LostError
        self.at += 1
        for part, place in outer:
            table = (*table, part)
            self.found.keys.setdefault(table, place)
        path = (*table, name)
        self.declare(path, span)
        self.skip(_WHITE)
        self.value(path, depth)

    def key(self) -> list[tuple[str, tuple[int, int]]]:
        parts: list[tuple[str, tuple[int, int]]] = []
        while match := _KEY.match(self.text, self.at):
            parts.append((_name(match[0]), match.span()))
            self.at = match.end()
            self.skip(_WHITE)
            if not self.text.startswith(".", self.at):
                return parts
            self.at += 1
            self.skip(_WHITE)
        raise _LostError

    def value(self, path: Path, depth: int) -> None:
        start = self.at
        opening = self.text[start : start + 1]
        if opening and opening in "[{":
            if depth == DEEPEST_NESTING:
                raise _LostError
            self.items(path, "]" if opening == "[" else "}", depth + 1)
        else:
            match = (_STRING if opening in ("'", '"') else _SCALAR).match(self.text, start)
            if match is None:
                raise _LostError
            self.at = match.end()
        self.found.values.setdefault(path, (start, self.at))

    def items(self, path: Path, closing: str, depth: int) -> None:
        self.at += 1
        self.skip(_BLANK)
        index = 0
        while not self.text.startswith(closing, self.at):
            if closing == "}":
                self.pair(path, depth)
            else:
                item = (*path, index)
                self.value(item, depth)
                self.found.keys.setdefault(item, self.found.values[item])
            index += 1
            self.skip(_BLANK)
            if self.text.startswith(",", self.at):
                self.at += 1
                self.skip(_BLANK)
            elif not self.text.startswith(closing, self.at):
                raise _LostError
        self.at += 1

    def skip(self, pattern: re.Pattern[str]) -> None:
        match = pattern.match(self.text, self.at)
        assert match is not None, "these patterns match the empty text"
        self.at = match.end()


def _name(key: str) -> str:
    if key[0] == "'":
        return key[1:-1]
    if key[0] != '"' or "\\" not in key:
        return key.strip('"')
    try:
        return str(tomllib.loads(f"key = {key}")["key"])
    except tomllib.TOMLDecodeError:
        return key[1:-1]
