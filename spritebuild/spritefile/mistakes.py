"""What is wrong with a declaration, in plain words; knows paths of keys, and no files or lines."""

from __future__ import annotations

import difflib
import functools
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from spritebuild.errors import printable
from spritebuild.spritefile.declarations import DECLARED, Document, LoraUse, Project, Tables
from spritebuild.spritefile.fields import Table
from spritebuild.spritefile.origins import Dvc, Git
from spritebuild.spritefile.rules import Budget, Check, Cost, Policy, Rank, Rate, SharedStore

LONGEST_VALUE = 60
MOST_LISTED = 8
MOST_COMPARED = 1000

NAME_HINT = 'names are lower-case letters, digits, "-" and "_", at most 100, and begin with a letter or a digit'
EVERY = "every item of "
AXIS_HINT = 'axes are named by letters, digits and "_", and do not begin with a digit'

BARE_KEY = re.compile(rf"[A-Za-z0-9_-]{{1,{LONGEST_VALUE}}}")

_TYPES = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
}
_BOUNDS = {
    "greater_than": ("gt", "more than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
    "multiple_of": ("multiple_of", "a multiple of"),
}


@dataclass(frozen=True)
class Mistake:
    """What is wrong at a path of keys: with the key itself, or with its value."""

    path: tuple[str | int, ...]
    message: str
    hint: str | None = None
    key: bool = True


def say(value: object) -> str:
    """A value as a person would write it, short and safe to print."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return printable(json.dumps(_clip(value), ensure_ascii=False))
        case int() | float():
            return _clip(str(value))
        case dict():
            return "a table"
        case list() | tuple():
            return "a list"
        case None:
            return "nothing"
        case _:
            return "a date or time"


def _clip(text: str) -> str:
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 3] + "..."


def alternatives(word: str, known: Iterable[str], what: str) -> str | None:
    """`did you mean "ruins"? styles: ruins, forest`, or None if nothing is known."""
    return _alternatives(word, tuple(known), what)


@functools.lru_cache(maxsize=256)  # one misspelled style may be the fault of 10,000 sprites
def _alternatives(word: str, known: tuple[str, ...], what: str) -> str | None:
    if not known:
        return None
    listed = ", ".join(known[:MOST_LISTED]) + (", ..." if len(known) > MOST_LISTED else "")
    return printable(" ".join(filter(None, (_near(word, known), f"{what}: {listed}"))))


def _near(word: str, known: Sequence[str]) -> str | None:
    near = difflib.get_close_matches(word[:100], known[:MOST_COMPARED], 1)
    return f'did you mean "{near[0]}"?' if near else None


def explain(error: ValidationError, document: type[Tables]) -> list[Mistake]:
    """What pydantic found wrong in a whole file, in plain words."""
    problems = error.errors(include_url=False)
    # A list of which all items are wrong is "too short" as well: only what was written empty is.
    real = [p for p in problems if p["type"] != "too_short" or not p["input"]]
    return [_explain(problem, problem["loc"], document) for problem in real]


def _explain(problem: Mapping[str, Any], path: tuple[str | int, ...], document: type[Tables]) -> Mistake:
    if path[-1] == "[key]":
        return _wrong_name(problem, path[:-1])
    if problem["type"] == "extra_forbidden":
        return _unknown_key(problem, path, document)
    return _plainly(problem, path, ())


def _unknown_key(problem: Mapping[str, Any], path: tuple[str | int, ...], document: type[Tables]) -> Mistake:
    word = str(path[-1])
    table = _table(path[:-1], document)
    if word == "license" and "licence" in table.model_fields:
        return Mistake(path, "license and licence are the same key; say it once")
    if table is Tables and word in Document.model_fields:
        return Mistake(path, f"an included file may not hold {say(word)}", "move it to the main spritefile")
    if len(path) == 1 and isinstance(problem["input"], dict):
        tables = [*DECLARED, "project"] if document is Document else [*DECLARED]
        return Mistake(path, f"unknown table {say(word)}", _near(word, tables) or f"tables: {', '.join(tables)}")
    return _plainly(problem, path, list(table.model_fields))


def stage_mistake(problem: Mapping[str, Any], path: tuple[str | int, ...], known: Sequence[str]) -> Mistake:
    """What pydantic found in a stage's params, at a path of the spritefile; `known` are the keys there could be."""
    mistake = _plainly(problem, path, known)
    # A stage's own message need not say which key it is about.
    return (
        replace(mistake, message=f"{_label(path).removeprefix(EVERY)}: {mistake.message}")
        if problem["type"] == "value_error"
        else mistake
    )


def _plainly(problem: Mapping[str, Any], path: tuple[str | int, ...], known: Sequence[str]) -> Mistake:
    """One of pydantic's errors at a path, in plain words; `known` are the keys that may stand there."""
    kind, value, context = problem["type"], problem["input"], problem.get("ctx", {})
    label = _label(path)
    match kind:
        case "extra_forbidden":
            near = _near(str(path[-1]), known)
            return Mistake(path, f"unknown key {say(path[-1])}", near or f"keys: {', '.join(known)}")
        case "missing" if isinstance(path[-1], int):  # a pair of one
            return Mistake(path[:-1], f"{_label(path[:-1])} must hold more values", key=False)
        case "missing":
            return Mistake(path, f"{say(path[-1])} is missing")
        case "value_error":
            return Mistake(path, str(context["error"]), key=False)
        case "literal_error" | "enum":
            expected = str(context["expected"]).replace("'", '"')
            hint = _near(value, _quoted(context["expected"])) if isinstance(value, str) else None
            return Mistake(path, f"{label} must be {expected}, not {say(value)}", hint, key=False)
        case "union_tag_invalid":
            what = context["discriminator"].strip("'")
            hint = alternatives(context["tag"], _quoted(context["expected_tags"]), f"{what}s")
            return Mistake((*path, what), f"unknown {what} {say(context['tag'])}", hint, key=False)
        case "string_pattern_mismatch" if context["pattern"].startswith("^#"):
            return Mistake(path, f"{say(value)} is not a color", 'colors are written "#rgb" or "#rrggbb"', key=False)
        case "too_short" | "string_too_short" if context["min_length"] == 1:
            return Mistake(path, f"{label} must not be empty", key=False)
        case "too_short" | "too_long":
            bound = f"at least {context['min_length']}" if kind == "too_short" else f"at most {context['max_length']}"
            count = context["actual_length"]
            return Mistake(path, f"{label} must hold {bound} values, not {count}", key=False)
        case "string_too_long":
            return Mistake(path, f"{label} must have at most {context['max_length']} characters", key=False)
    if kind in _TYPES:
        return Mistake(path, f"{label} must be {_TYPES[kind]}, not {say(value)}", key=False)
    if kind in _BOUNDS:
        name, words = _BOUNDS[kind]
        bound = str(context[name]).removesuffix(".0")
        return Mistake(path, f"{label} must be {words} {bound}, not {say(value)}", key=False)
    return Mistake(path, f"{label}: {printable(problem['msg'])}", key=False)


def _quoted(choices: str) -> list[str]:
    """The choices in pydantic's `'a', 'b' or 'c'`."""
    return re.findall(r"'([^']*)'", choices)


def _label(path: Sequence[str | int]) -> str:
    if path and isinstance(path[-1], str):
        return path[-1] if BARE_KEY.fullmatch(path[-1]) else say(path[-1])
    return f"{EVERY}{next((part for part in reversed(path) if isinstance(part, str)), 'the list')}"


def _wrong_name(problem: Mapping[str, Any], path: tuple[str | int, ...]) -> Mistake:
    if problem["type"] == "value_error":
        return Mistake(path, str(problem["ctx"]["error"]), "prompt, name and seed are taken")
    return Mistake(path, f"{say(path[-1])} is not a name", AXIS_HINT if "matrix" in path[2:] else NAME_HINT)


def _table(path: tuple[str | int, ...], document: type[Tables]) -> type[Table]:
    """The model of the table at a path."""
    match path:
        case ():
            return document
        case ("project",):
            return Project
        case ("check",) | (_, _, "check"):
            return Check
        case ("policy",):
            return Policy
        case ("store",):
            return SharedStore
        case ("cost",):
            return Cost
        case ("budget",):
            return Budget
        case ("cost", "rates", _):
            return Rate
        case (_, _, "rank"):
            return Rank
        case (_, _, "dvc"):
            return Dvc
        case (_, _, "git"):
            return Git
        case (_, _, "loras", _):
            return LoraUse
        case (str(name), *_):
            return DECLARED[name]
        case _:
            raise AssertionError(f"no table at {path}")
