"""Rusty Object Notation, as far as exports write it; knows nothing of what is said in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from spritebuild_stages.exports.texts import number


@dataclass(frozen=True)
class Struct:
    """A structure with named fields, of an enumeration's variant where it has a name; without fields the name alone."""

    name: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)


def document(value: Any) -> str:
    """A value as a file: structures and lists on a level of their own each, what holds only numbers on one line.

    A map in the document's place is wrapped in a tuple, as Bevy's assets have it.

    Source: https://github.com/ron-rs/ron/blob/master/docs/grammar.md
    """
    text = f"({_text(value, '')})" if isinstance(value, dict) else _text(value, "")
    return f"{text}\n"


def _text(value: Any, indent: str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        text = number(value)
        return text if "." in text else f"{text}.0"
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, tuple):
        return f"({', '.join(_text(entry, indent) for entry in value)})"
    if isinstance(value, list):
        return _block("[", [_text(entry, f"{indent} ") for entry in value], "]", indent, flat=False)
    if isinstance(value, dict):
        entries = [f"{_string(name)}: {_text(entry, f'{indent} ')}" for name, entry in value.items()]
        return _block("{", entries, "}", indent, flat=False)
    if not isinstance(value, Struct):
        raise ValueError(f"no RON for {type(value).__name__}")
    if value.name and not value.fields:
        return value.name
    deep = any(isinstance(entry, list | dict) for entry in value.fields.values())
    entries = [f"{name}: {_text(entry, f'{indent} ' if deep else indent)}" for name, entry in value.fields.items()]
    return value.name + _block("(", entries, ")", indent, flat=not deep)


def _block(opening: str, entries: list[str], closing: str, indent: str, flat: bool) -> str:
    if flat or not entries:
        return f"{opening}{', '.join(entries)}{closing}"
    lines = "".join(f"{indent} {entry},\n" for entry in entries)
    return f"{opening}\n{lines}{indent}{closing}"


def _string(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{escaped}"'
