"""Which frames a declaration means, by name or glob, and what it says of them; knows no pixels."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Literal, TypeVar

Anchor = Literal["center", "top", "bottom", "left", "right", "top-left", "top-right", "bottom-left", "bottom-right"]
Point = tuple[float, float]

Value = TypeVar("Value")

WILD = "*?["


def matching(patterns: Iterable[str], names: Sequence[str]) -> tuple[str, ...]:
    """The frames that names and globs mean, each once: pattern after pattern, those of a glob in the given order.

    Raises ValueError for a pattern that means none.
    """
    found: dict[str, None] = {}
    known = frozenset(names)
    for pattern in patterns:
        matches = re.compile(fnmatch.translate(pattern)).match
        meant = [pattern] if pattern in known else [name for name in names if matches(name)]
        if not meant:
            raise ValueError(f"no frame of the sheet is called {pattern!r}")
        found |= dict.fromkeys(meant)
    return tuple(found)


def told(values: Mapping[str, Value], names: Sequence[str]) -> dict[str, Value]:
    """What a mapping of names and globs says of each frame that it speaks of, in whatever order it is written.

    A name of its own comes before any glob, and of globs the one with the most characters that are not wild, of
    equals the first by alphabet. Raises ValueError for a key that means no frame.
    """
    found: dict[str, Value] = {}
    known = frozenset(names)
    for pattern in sorted(values, key=lambda key: (-sum(letter not in WILD for letter in key), key)):
        if pattern not in known:
            for name in matching([pattern], names):
                found.setdefault(name, values[pattern])
    return found | {name: values[name] for name in names if name in values}


def in_a_row(patterns: Iterable[str], names: Sequence[str]) -> tuple[int, int]:
    """The first and the last place of frames that follow each other in `names`.

    Raises ValueError for a pattern that means no frame, for frames with others between them, and for another order.
    """
    place = {name: number for number, name in enumerate(names)}
    chosen = matching(patterns, names)
    for name, following in pairwise(chosen):
        if place[following] < place[name]:
            raise ValueError(f"the sheet has {following!r} before {name!r}: list its sprites in the animation's order")
        if place[following] > place[name] + 1:
            raise ValueError(
                f"the sheet has {names[place[name] + 1]!r} between {name!r} and {following!r}: list the sprites of an "
                "animation side by side"
            )
    return place[chosen[0]], place[chosen[-1]]


def point(pivot: Anchor | Point, size: tuple[int, int]) -> Point:
    """A pivot in pixels from the top left corner of a picture of that (width, height)."""
    if not isinstance(pivot, str):
        return pivot
    x = 0.0 if "left" in pivot else float(size[0]) if "right" in pivot else size[0] / 2
    y = 0.0 if "top" in pivot else float(size[1]) if "bottom" in pivot else size[1] / 2
    return x, y
