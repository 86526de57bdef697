"""The first difference between two texts, or two JSON values, in words that a terminal can show; knows no file."""

from __future__ import annotations

import itertools
import json
from typing import Any

from spritebuild.errors import printable

WIDTH = 60  # characters of a value that are shown


def shown(text: str) -> str:
    """Text for a terminal: whatever is not printable is escaped, and what is long is cut."""
    cut = text if len(text) <= WIDTH else f"{text[: WIDTH - 3]}..."
    return printable(cut)


def of_texts(old: str, new: str) -> str:
    """`frames[3].w: 4 -> 5` in two JSON documents, `line 3: a -> b` in other texts."""
    try:
        values = [json.loads(text) for text in (old, new)]
    except ValueError:
        return _lines(old, new)
    if found := first_value(*values):
        return found.removeprefix(".").removeprefix(": ")
    pairs = [json.loads(text, object_pairs_hook=list) for text in (old, new)]
    return "same values, keys in another order" if repr(pairs[0]) != repr(pairs[1]) else "same values, spaced otherwise"


def first_value(old: Any, new: Any) -> str:
    """`.frames[3].w: 4 -> 5`, or nothing."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            if key not in old or key not in new:
                gone = "(nothing)"
                sides = [_value(each[key]) if key in each else gone for each in (old, new)]
                return f".{shown(key)}: {' -> '.join(sides)}"
            if found := first_value(old[key], new[key]):
                return f".{shown(key)}{found}"
        return ""
    if isinstance(old, list) and isinstance(new, list):
        for place, (a, b) in enumerate(zip(old, new, strict=False)):
            if found := first_value(a, b):
                return f"[{place}]{found}"
        return f": {len(old)} values -> {len(new)}" if len(old) != len(new) else ""
    return "" if type(old) is type(new) and repr(old) == repr(new) else f": {both(_text(old), _text(new))}"


def _lines(old: str, new: str) -> str:
    pairs = itertools.zip_longest(old.split("\n"), new.split("\n"))
    number, (before, now) = next((n, pair) for n, pair in enumerate(pairs, 1) if pair[0] != pair[1])
    return f"line {number:,}: {both(before, now)}"


def both(old: str | None, new: str | None) -> str:
    """Two texts, cut around the first place at which they differ."""
    if old is None or new is None:
        return f"{'(nothing)' if old is None else shown(old)} -> {'(nothing)' if new is None else shown(new)}"
    first = next((n for n, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    start = max(0, first - WIDTH // 3) if max(len(old), len(new)) > WIDTH else 0
    before = "..." if start else ""
    return " -> ".join(f"{before}{shown(text[start:])}" if text[start:] else "(nothing)" for text in (old, new))


def _value(value: Any) -> str:
    return shown(_text(value))


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
