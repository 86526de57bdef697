"""Text of others made harmless for every report, and the words that reports share; knows no form of report."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Any

from spritebuild.check.cases import Case, Checked, Part
from spritebuild.digest import FILE
from spritebuild.errors import printable

NAME = 200  # characters of a path or a name that are shown
SENTENCE = 500  # of a sentence

KINDS = ("missing", "deleted", "different", "other", "edit", "recolor", "shift", "flip", "imperceptible", "new", "same")
PLURALS = {"edit": "edits", "flip": "flips", "shift": "shifts", "recolor": "recolors"}
VERDICTS = ("fail", "notice", "pass")
MEASURES = {
    "pixels": "differ",
    "delta_e": "worst color",
    "box": "region",
    "worst": "densest at",
    "by": "moved by",
    "axis": "flipped along",
    "mapped": "colors",
}


def plain(text: str, most: int = SENTENCE) -> str:
    r"""Text of one line that does nothing: what is not printable is escaped, what is long is cut in its middle.

    Unprintable are control characters, line breaks, marks that turn the direction of writing, lone surrogates and what
    has no width: `\n`, `\x1b`, `\u202e`. `::` and `##` are escaped as well, for build servers take lines of a log that
    begin so for commands. At most `most` characters are left, two thirds of them from the start.
    """
    if len(text) <= most and text.isprintable() and "::" not in text and "##" not in text:
        return text
    pieces = _harmless(text if len(text) <= 4 * most else text[:most] + text[-most:])
    if len(text) <= 4 * most and sum(map(len, pieces)) <= most:
        return "".join(pieces)
    start, end = _fitting(pieces, most - 1 - most // 3), _fitting(pieces[::-1], most // 3)
    return "".join((*pieces[:start], "…", *pieces[len(pieces) - end :]))


def _harmless(text: str) -> list[str]:
    """A piece for every character."""
    pieces = [printable(each) for each in text]
    for place, (one, other) in enumerate(itertools.pairwise(text)):
        if one == other and one in ":#":
            pieces[place] = f"\\x{ord(one):02x}"
    return pieces


def _fitting(pieces: Sequence[str], most: int) -> int:
    """How many of the first pieces fit whole."""
    length = 0
    for count, piece in enumerate(pieces):
        length += len(piece)
        if length > most:
            return count
    return len(pieces)


def sentence(case: Case) -> str:
    """How an asset differs."""
    return plain(case.words) or ("the same" if case.kind == "same" else case.kind)


def headline(case: Case) -> str:
    """`edit: 3 pixels differ`; of what is the same and breaks a limit, that."""
    if case.kind == "same" and case.violations:
        return broken(case)[0]
    return f"{case.kind}: {sentence(case)}"


def broken(case: Case) -> list[str]:
    """`limit colors: hero has 41 colors, more than 32`, for each limit that an asset breaks."""
    return [f"limit {plain(each.limit, NAME)}: {plain(each.words)}" for each in case.violations]


def untold(case: Case) -> list[Part]:
    """The files of a folder that differ, but for those that the folder's sentence is about."""
    return [part for part in case.parts if part.kind != "same" and f"{part.file}: {part.words}" not in case.words]


def tally(checked: Checked) -> str:
    """`10,000 same, 3 edits, 1 new; 4 fail`."""
    counts = [f"{n:,} {PLURALS.get(kind, kind) if n != 1 else kind}" for kind, n in checked.counts().items()]
    failed = len(checked.failed)
    return (", ".join(counts) or "no assets") + (f"; {failed:,} {'fail' if failed > 1 else 'fails'}" if failed else "")


def more(count: int, one: str, many: str = "") -> str:
    """`and 41 more alike`, `and 1 more file`."""
    return f"and {count:,} more {one if count == 1 else many or one}"


def measured(measures: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The numbers behind a kind, as names and values for people; colors are for a picture to show."""
    told = {name: value for name, value in measures.items() if value not in (None, "", 0, [], ())}
    shares = {name: _share(told.pop(name)) for name in ("share", "worst_share") if isinstance(told.get(name), float)}
    told.pop("colors", None)
    lines = []
    for name, value in told.items():
        text = _value(name, value)
        if name == "pixels" and "share" in shares:
            text += f" ({shares['share']} of the visible)"
        if name == "worst" and "worst_share" in shares:
            text += f", {shares['worst_share']} around it"
        lines.append((plain(MEASURES.get(name, name), NAME), text))
    return lines


def _share(share: float) -> str:
    return f"{share:.0%}" if share >= 0.1 else f"{share:.2%}"


def _value(name: str, value: Any) -> str:
    numbers = isinstance(value, list | tuple) and all(isinstance(each, int) for each in value)
    if name == "box" and numbers and len(value) == 4:
        left, top, right, bottom = value
        return f"{right - left}x{bottom - top} at ({left}, {top})"
    if name == "worst" and numbers and len(value) == 2:
        return f"({value[0]}, {value[1]})"
    if name == "by" and numbers and len(value) == 2:
        return f"{value[0]:+}, {value[1]:+} (right, down)"
    if name == "pixels" and isinstance(value, int):
        return f"{value:,} {'pixel' if value == 1 else 'pixels'}"
    if name == "delta_e" and isinstance(value, float):
        return f"delta E {value:.3g}"
    if isinstance(value, float):
        return f"{value:.3g}"
    return plain(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str))


def file_name(digest: str) -> str:
    """What the file of a picture with that digest is called in a report; nothing for what is no digest."""
    return f"{digest}.png" if FILE.fullmatch(digest) else ""
