"""A strict reader of Godot's text resources: of what its own writer writes, and nothing else."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

TOKEN = re.compile(
    r"""\s*(?:(?P<string>&?"(?:[^"\\]|\\["\\])*")|(?P<number>-?\d+(?:\.\d+)?(?:e-?\d+)?)|(?P<word>[A-Za-z]\w*)"""
    r"""|(?P<mark>[\[\]{}(),:]))"""
)
LINE = re.compile(r"([^\s=]+) = (.*)", re.DOTALL)


@dataclass(frozen=True)
class Name:
    """A StringName."""

    text: str


@dataclass(frozen=True)
class Call:
    """A value such as Rect2(0, 0, 8, 8) or SubResource("1")."""

    kind: str
    values: tuple[Any, ...]


@dataclass(frozen=True)
class Section:
    kind: str
    header: dict[str, Any]
    values: dict[str, Any]


@dataclass(frozen=True)
class Resource:
    header: dict[str, Any]
    pages: dict[Any, str]
    parts: dict[Any, Section]
    values: dict[str, Any]


def parse(text: str) -> Resource:
    """A resource, checked: its parts are all there, before they are used, all used, and as many as it says."""
    assert text.endswith("\n")
    assert "\r" not in text
    sections = [_section(part) for part in re.split(r"\n\n|\n(?=\[ext_resource)", text.removesuffix("\n"))]
    first, *middle, last = sections
    assert first.kind == "gd_resource"
    assert last.kind == "resource"
    assert first.header["load_steps"] == len(middle) + 1
    pages: dict[Any, str] = {}
    parts: dict[Any, Section] = {}
    used: set[tuple[str, Any]] = set()
    for section in middle:
        identity = section.header["id"]
        if section.kind == "ext_resource":
            assert not parts
            assert identity not in pages
            pages[identity] = section.header["path"]
        else:
            assert section.kind == "sub_resource"
            assert identity not in parts
            used |= _checked(section.values, pages, parts)
            parts[identity] = section
    used |= _checked(last.values, pages, parts)
    assert used == {("ExtResource", page) for page in pages} | {("SubResource", part) for part in parts}
    return Resource(first.header, pages, parts, last.values)


def _section(text: str) -> Section:
    head, *lines = text.split("\n")
    match = re.fullmatch(r"\[(\w+)((?: \w+=(?:\"[^\"]*\"|\d+))*)\]", head)
    assert match, head
    header = {key: _value(value) for key, value in re.findall(r' (\w+)=("[^"]*"|\d+)', match[2])}
    values: dict[str, Any] = {}
    for entry in re.split(r"\n(?=[^\s=\"}]+ = )", "\n".join(lines)) if lines else []:
        found = LINE.fullmatch(entry)
        assert found, entry
        assert found[1] not in values
        values[found[1]] = _value(found[2])
    return Section(match[1], header, values)


def _checked(value: Any, pages: dict[Any, str], parts: dict[Any, Section]) -> set[tuple[str, Any]]:
    if isinstance(value, Call) and value.kind in {"ExtResource", "SubResource"}:
        assert value.values[0] in (pages if value.kind == "ExtResource" else parts)
        return {(value.kind, value.values[0])}
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return set().union(*(_checked(child, pages, parts) for child in children))


def _value(text: str) -> Any:
    tokens = []
    at = 0
    while at < len(text):
        match = TOKEN.match(text, at)
        assert match, text[at:]
        tokens.append((match.lastgroup, match[match.lastgroup or ""]))
        at = match.end()
    tokens.reverse()
    value = _read(tokens)
    assert not tokens
    return value


def _read(tokens: list[tuple[str | None, str]]) -> Any:
    kind, text = tokens.pop()
    if kind == "string":
        plain = re.sub(r"\\(.)", r"\1", text.lstrip("&")[1:-1])
        return Name(plain) if text.startswith("&") else plain
    if kind == "number":
        return float(text) if re.search("[.e]", text) else int(text)
    if kind == "word":
        if text in {"true", "false"}:
            return text == "true"
        assert tokens.pop()[1] == "("
        return Call(text, tuple(_listed(tokens, ")")))
    if text == "[":
        return _listed(tokens, "]")
    assert text == "{"
    found: dict[str, Any] = {}
    while tokens[-1][1] != "}":
        key = _read(tokens)
        assert tokens.pop()[1] == ":"
        assert key not in found
        found[key] = _read(tokens)
        if tokens[-1][1] != "}":
            assert tokens.pop()[1] == ","
    tokens.pop()
    return found


def _listed(tokens: list[tuple[str | None, str]], end: str) -> list[Any]:
    found = []
    while tokens[-1][1] != end:
        found.append(_read(tokens))
        if tokens[-1][1] != end:
            assert tokens.pop()[1] == ","
    tokens.pop()
    return found
