"""A strict reader of Rusty Object Notation: of what its own writer writes, and nothing else."""

from __future__ import annotations

import re
from typing import Any

TOKEN = re.compile(
    r'(?P<string>"(?:[^"\\\n]|\\["\\nt])*")|(?P<float>-?\d+\.\d+)|(?P<int>-?\d+)|(?P<word>[A-Za-z_]\w*)|(?P<mark>[\[\](){}:,])'
)
ESCAPES = {"n": "\n", "t": "\t"}


def parse(text: str) -> Any:
    """Structures as dictionaries, with their names as "" where they have one; tuples, lists, maps and values."""
    assert text.endswith("\n")
    assert "\r" not in text
    tokens: list[tuple[str, str]] = []
    at = 0
    while at < len(text):
        if text[at] in " \n":
            at += 1
            continue
        match = TOKEN.match(text, at)
        assert match, text[at : at + 40]
        tokens.append((match.lastgroup or "", match[0]))
        at = match.end()
    tokens.reverse()
    value = _value(tokens)
    assert not tokens
    return value


def _value(tokens: list[tuple[str, str]]) -> Any:
    kind, text = tokens.pop()
    if kind == "string":
        return re.sub(r"\\(.)", lambda match: ESCAPES.get(match[1], match[1]), text[1:-1])
    if kind in {"int", "float"}:
        return int(text) if kind == "int" else float(text)
    if kind == "word":
        if text in {"true", "false"}:
            return text == "true"
        if tokens and tokens[-1][1] == "(":
            tokens.pop()
            return {"": text, **_fields(tokens)}
        return {"": text}
    if text == "[":
        return _entries(tokens, "]")
    if text == "{":
        found: dict[str, Any] = {}
        for key, value in _pairs(tokens, "}", "string"):
            assert key not in found
            found[key] = value
        return found
    assert text == "("
    return _fields(tokens) if tokens[-2][1] == ":" else tuple(_entries(tokens, ")"))


def _fields(tokens: list[tuple[str, str]]) -> dict[str, Any]:
    pairs = _pairs(tokens, ")", "word")
    assert len({name for name, _ in pairs}) == len(pairs)
    return dict(pairs)


def _pairs(tokens: list[tuple[str, str]], end: str, kind: str) -> list[tuple[str, Any]]:
    found = []
    while tokens[-1][1] != end:
        assert tokens[-1][0] == kind
        name = _value(tokens) if kind == "string" else tokens.pop()[1]
        assert tokens.pop()[1] == ":"
        found.append((name, _value(tokens)))
        if tokens[-1][1] != end:
            assert tokens.pop()[1] == ","
    tokens.pop()
    return found


def _entries(tokens: list[tuple[str, str]], end: str) -> list[Any]:
    found = []
    while tokens[-1][1] != end:
        found.append(_value(tokens))
        if tokens[-1][1] != end:
            assert tokens.pop()[1] == ","
    tokens.pop()
    return found
