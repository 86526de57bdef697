"""Captions as text: from paths by rules and templates, from sidecar files, from corrections; knows no pixels."""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path, PurePosixPath

from spritebuild.errors import UsageError
from spritebuild_stages.datasets.files import Found, beside, counted, orphans, shown, text_of
from spritebuild_stages.datasets.params import SLOT, Rule

MAX_BYTES = 1 << 24  # of a file of captions


@dataclass(frozen=True)
class Reading:
    """What the rules make of a path. `slots` holds no color unless a rule sets it: that is measured."""

    slots: Mapping[str, str] = field(default_factory=dict)
    weight: float = 1.0
    dropped: str | None = None  # the regular expression that dropped it
    hues: tuple[float, ...] = ()  # of copies
    dyes: tuple[str, ...] = ()  # of copies


def read_path(path: str, rules: Iterable[Rule], words: Mapping[str, str]) -> Reading:
    """Slots, weight and fate of a file, by its path within the set."""
    place = PurePosixPath(path)
    said = {word.casefold(): instead for word, instead in words.items()}
    slots = {
        "name": _plain(re.sub(r"[\d _-]+$", "", place.stem), said),
        "folder": _plain(place.parent.name, said),
    }
    weight, dropped = 1.0, None
    hues: tuple[float, ...] = ()
    dyes: tuple[str, ...] = ()
    for rule in rules:
        match = re.search(rule.match, path)
        if match is None:
            continue
        weight *= rule.weight
        dropped = dropped or (rule.match if rule.drop else None)
        hues = rule.hues or hues
        dyes = rule.dyes or dyes
        slots |= {slot: _plain(match.expand(text), said, hyphens=True) for slot, text in rule.set.items()}
    return Reading(slots, weight, dropped, hues, dyes)


def filled(templates: Iterable[str], slots: Mapping[str, str]) -> tuple[str, ...]:
    """The captions of the templates whose slots all have text, each once, in order."""
    full = (template for template in templates if all(slots.get(slot) for slot in SLOT.findall(template)))
    return tuple(dict.fromkeys(_once(SLOT.sub(lambda match: slots[match[1]], template)) for template in full))


def slots_of(templates: Iterable[str]) -> set[str]:
    """Every slot that the templates name."""
    return {slot for template in templates for slot in SLOT.findall(template)}


def with_triggers(caption: str, triggers: Iterable[str]) -> str:
    """The caption after those triggers that it does not contain as whole words, in either case."""
    return ", ".join([*(trigger for trigger in triggers if not contains(caption, trigger)), caption])


def contains(caption: str, trigger: str) -> bool:
    """Whether a trigger is among the words of a caption."""
    return _whole(trigger).search(caption) is not None


@lru_cache(4096)  # asked of every caption
def _whole(words: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(words)}(?!\w)", re.IGNORECASE)


def without(captions: Iterable[str], withheld: Iterable[str]) -> tuple[str, ...]:
    """The captions that do not say all words of one of `withheld`, in any order."""
    sayings = [text.split() for text in withheld]
    return tuple(
        caption for caption in captions if not any(all(contains(caption, word) for word in said) for said in sayings)
    )


def sidecar(path: Path, name: str) -> tuple[str, ...]:
    """The captions of a text file, one a line; none if it is blank. Raises UsageError if it is no text."""
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise UsageError("not a text in UTF-8", where=name, hint="save it in UTF-8") from error
    return _normal(lines)


def corrections(path: Path) -> dict[str, tuple[str, ...]]:
    """Captions by picture, from a file in TOML or JSON: path = "caption" or ["caption", "another"].

    Raises UsageError for anything else, and for an empty caption.
    """
    hint = 'write "folder/picture.png" = "a caption", or a list of captions; in TOML or JSON'
    if path.stat().st_size > MAX_BYTES:
        raise UsageError(f"corrections of more than {MAX_BYTES >> 20} MiB", where=path.name, hint=hint)
    try:
        text = path.read_text("utf-8-sig")
        # By its content, for what another action made may have no suffix; no TOML starts like that.
        table = json.loads(text) if text.lstrip().startswith("{") else tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"the corrections are neither TOML nor JSON: {error}", where=path.name, hint=hint) from error
    result = {}
    for name, value in table.items():
        said = [value] if isinstance(value, str) else value
        if not isinstance(said, list) or not said or not all(isinstance(text, str) and text.strip() for text in said):
            raise UsageError(f"the correction of {name!r} is no caption", where=path.name, hint=hint)
        result[name] = _normal(said)
    return result


def given(
    found: Found, wanted: Collection[str], corrected: Path | None, *, sidecars: bool
) -> dict[str, tuple[str, ...]]:
    """The captions that people wrote for pictures: corrections, and where there is none the sidecar's.

    Raises UsageError if there is a text without a picture, a blank one, or a correction of nothing; and, where
    captions come from sidecars, for every picture without any.
    """
    better = corrections(corrected) if corrected else {}
    if unknown := sorted(better.keys() - found.every_picture):
        close = difflib.get_close_matches(unknown[0], sorted(found.every_picture), 1)
        hint = f"did you mean {close[0]!r}?" if close else "paths are relative to the folder of the set"
        raise UsageError(
            f"no picture for {counted(len(unknown), 'correction')}", facts=shown(unknown, "path"), hint=hint
        )
    if not sidecars:
        return {name: better[name] for name in wanted if name in better}
    if lost := orphans(found):
        hint = "name a text like its picture, hero.txt for hero.png, or exclude it"
        raise UsageError(f"no picture for {counted(len(lost), 'text')}", facts=shown(lost, "text"), hint=hint)
    captions = {
        name: better.get(name) or sidecar(found.texts[text_of(name)], text_of(name))
        for name in wanted
        if name in better or text_of(name) in found.texts
    }
    if blank := [text_of(name) for name, said in captions.items() if not said]:
        hint = "write what the picture shows, or exclude the picture"
        raise UsageError(counted(len(blank), "empty caption"), facts=shown(blank, "text"), hint=hint)
    if missing := [name for name in wanted if name not in captions]:
        raise _uncaptioned(missing, found, none=not captions)
    return captions


def _uncaptioned(missing: list[str], found: Found, *, none: bool) -> UsageError:
    """The error for pictures without captions; where none has any, it says what lies beside them instead."""
    hint = 'write hero.txt beside hero.png, put the caption into the corrections, or set captions = "auto"'
    if not none:
        return UsageError(
            f"no caption for {counted(len(missing), 'picture')}", facts=shown(missing, "picture"), hint=hint
        )
    instead = beside(found)
    facts = [
        ("such as", missing[0]),
        *((f"{suffix} files", f"{count} beside them") for suffix, count in instead.items()),
    ]
    if instead:
        hint = f"captions are read from .txt files: rename the {next(iter(instead))} files"
    return UsageError(f"no caption at all, for {counted(len(missing), 'picture')}", facts=facts, hint=hint)


def _plain(text: str, words: Mapping[str, str], *, hyphens: bool = False) -> str:
    """Text with spaces for underscores (and hyphens, unless kept), and with other words for some."""
    text = text.replace("_", " ") if hyphens else re.sub("[_-]", " ", text)
    return " ".join(" ".join(words.get(word.casefold(), word) for word in text.split()).split())


def _once(text: str) -> str:
    """The text without words that repeat the one before, as `red` + `red potion` would."""
    kept: list[str] = []
    for word in text.split():
        if not kept or word.casefold() != kept[-1].casefold():
            kept.append(word)
    return " ".join(kept)


def _normal(captions: Iterable[str]) -> tuple[str, ...]:
    """Captions without needless spaces, none of them empty or said twice."""
    return tuple(dict.fromkeys(caption for line in captions if (caption := " ".join(line.split()))))
