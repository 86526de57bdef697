"""Which sprites of a file of declarations changed, by parsing only their tables; knows no key of a sprite.

A TOML document is a sequence of statements. Cut between two of them, just before the header of a table, the parts can
be parsed by themselves, as long as none of them adds to a table of another. `cuttable` says whether a file is so
written that its headers are where lines look like headers, and every sprite's tables are together; for any other file
these functions are not asked.
"""

from __future__ import annotations

import re
import tomllib
from typing import Any

from spritebuild.spritefile.scan import LARGEST_FILE, OPAQUE, scan

SPRITES = "sprites"
TABLES = (
    "project|policy|check|store|quality|cost|budget|"
    "datasets|vaes|classifiers|evaluations|models|loras|palettes|styles|sheets|exports"
)
# What begins a part: a sprite's own header, or any of another table. No value looks like one, so no list holds such a
# line; a string of several lines may.
BORDER = re.compile(
    rb"^\[(?:sprites\.([a-z0-9][a-z0-9_-]*)|(?:" + TABLES.encode() + rb")(?:\.[A-Za-z0-9_-]+)*)\]", re.MULTILINE
)
_REST = re.compile(rb"[ \t]*(?:#[^\n]*)?\r?(?:\n|\Z)")  # of a header's line
_ANY_SPRITE = re.compile(rb"^[ \t]*\[{1,2}[ \t]*[\"']?sprites[\"']?[ \t]*\.[ \t]*([^\].\n]*)", re.MULTILINE)
_ESCAPED = re.compile(rb"^[ \t]*\[[^\n]*\\", re.MULTILINE)
_LONG_STRING = re.compile(rb"\"\"\"|'''")


def cuttable(data: bytes) -> list[str] | None:
    """The sprites of a valid file in their order, if it can be cut at its borders; None where that is not certain."""
    if _ESCAPED.search(data) or (_LONG_STRING.search(data) and _hides_a_border(data)):
        return None
    names: list[str] = []
    borders = {match.start(): match[1] for match in BORDER.finditer(data)}
    for match in _ANY_SPRITE.finditer(data):
        name = match[1].strip().decode("utf-8", "replace")
        if match.start() in borders:
            names.append(name)
        elif not names or name != names[-1]:
            return None
    return names if len(set(names)) == len(names) else None


def _hides_a_border(data: bytes) -> bool:
    """Whether a line of a string looks like a header."""
    bare = OPAQUE.sub("_", data.decode("utf-8")).encode()
    return len(BORDER.findall(bare)) != len(BORDER.findall(data))


def without_sprites(data: bytes) -> bytes:
    """A cuttable file without its sprites."""
    kept, start, skipping = [], 0, False
    for match in BORDER.finditer(data):
        if not skipping:
            kept.append(data[start : match.start()])
        start, skipping = match.start(), match[1] is not None
    if not skipping:
        kept.append(data[start:])
    return b"".join(kept)


def one(data: bytes, name: str) -> dict[str, Any] | None:
    """The table of a sprite in a cuttable file."""
    header = b"[sprites." + name.encode() + b"]"
    start = 0 if data.startswith(header) else data.find(b"\n" + header) + 1
    if not data.startswith(header, start):
        return None
    following = BORDER.search(data, start + 1)
    tree = _parsed(data[start : following.start() if following else len(data)])
    return tree.get(name) if tree is not None and list(tree) == [name] else None


def changed(old: bytes, new: bytes) -> dict[str, tuple[Any, Any]] | None:
    """The sprites whose tables differ, each before and after, between a cuttable file and its successor.

    None where anything else may have changed: a header, the sprites' names or order, another table, or the syntax.
    """
    if len(new) > LARGEST_FILE:
        return None
    same = _common(old, new)
    if same == len(old) == len(new):
        return {}
    start = _border_before(old, same)
    if start is None:
        return None
    tail = _common_end(old, new, min(len(old), len(new)) - same)
    end = _border_after(old, len(old) - tail, start)
    before = old[start:end]
    after = new[start : len(new) - (len(old) - end)]
    names = cuttable(after)
    if names is None or names != cuttable(before):
        return None
    olds, news = _parsed(before), _parsed(after)
    if olds is None or news is None or not list(olds) == list(news) == names:
        return None
    return {name: (olds[name], news[name]) for name in names if repr(olds[name]) != repr(news[name])}


def _parsed(data: bytes) -> dict[str, Any] | None:
    """The sprites of a part that holds nothing else."""
    try:
        text = data.decode("utf-8")
        tree = tomllib.loads(text) if scan(text, "") is None else {}
    except (ValueError, RecursionError):
        return None
    return tree[SPRITES] if list(tree) == [SPRITES] and isinstance(tree[SPRITES], dict) else None


def _common(a: bytes, b: bytes) -> int:
    """How many bytes two strings begin with in common."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _common_end(a: bytes, b: bytes, most: int) -> int:
    """How many bytes, of `most`, two strings end with in common."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        if a[len(a) - middle : len(a) - low] == b[len(b) - middle : len(b) - low]:
            low = middle
        else:
            high = middle - 1
    return low


def _border_before(data: bytes, end: int) -> int | None:
    """The last header of a sprite whose line ends before `end`; None if another table's is nearer."""
    at = end
    while at > 0:
        at = data.rfind(b"\n[", 0, at) + 1  # 0: the first line
        match = BORDER.match(data, at)
        if match and (rest := _REST.match(data, match.end())) and rest.end() <= end and data[rest.end() - 1] == 10:
            return at if match[1] is not None else None
    return None


def _border_after(data: bytes, start: int, least: int) -> int:
    """The first header whose line begins after `start`, or else the end."""
    at = data.find(b"\n[", max(start, least + 1))
    while at >= 0:
        if BORDER.match(data, at + 1):
            return at + 1
        at = data.find(b"\n[", at + 1)
    return len(data)
