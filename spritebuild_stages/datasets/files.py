"""Which files a training set is made of, by their names alone; opens none of them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath

from spritebuild.errors import UsageError
from spritebuild_stages import _weights
from spritebuild_stages.datasets.params import DatasetParams

TEXT = ".txt"
PICTURES = (".png", ".webp", ".jpg", ".jpeg")
OTHER_PICTURES = (".gif", ".bmp", ".tga", ".tif", ".tiff", ".psd", ".ase", ".aseprite")
SHOWN = 5  # names that an error lists


@dataclass(frozen=True)
class Found:
    """Files by their path within the set, sorted. `layers` are by the layer's name; what they hold is no picture."""

    pictures: Mapping[str, Path]
    texts: Mapping[str, Path]
    layers: Mapping[str, Mapping[str, Path]]
    others: tuple[str, ...]  # what is neither, in sorted order
    every_picture: frozenset[str]  # those that were not chosen, too


def gather(files: Mapping[str, Path], source: Path | None, params: DatasetParams) -> Found:
    """Sort the files of a set by what they are; the globs choose among those of a `source`, and a text file comes with
    its folder's pictures. Raises UsageError for what can be no set."""
    if bool(files) == (source is not None):
        raise UsageError("a training set is made of `files` or of a `source`, one of them", hint="give one of them")
    listed = dict(sorted((files if source is None else _listed(source)).items()))
    seen = {name: path for name, path in listed.items() if source is None or not matches(name, params.exclude)}
    readable = {name: path for name, path in seen.items() if _suffix(name) in PICTURES}
    layers = {
        layer.name: {name: path for name, path in readable.items() if matches(name, (layer.files,))}
        for layer in (params.compose.layers if params.compose else ())
    }
    for name, layer in layers.items():
        if not layer:
            raise UsageError(f"layer {name} has no file", facts=_about(listed), hint="correct its `files`, a glob")
    worn = {name for layer in layers.values() for name in layer}
    pictures = {
        name: path
        for name, path in readable.items()
        if name not in worn and (source is None or matches(name, params.include))
    }
    if not pictures and not layers:
        hint = f"give it {', '.join(PICTURES)} files"
        raise UsageError("a training set of no picture", facts=_about(listed), hint=hint)
    folders = {PurePosixPath(name).parent for name in pictures}
    texts = {
        name: path
        for name, path in seen.items()
        if _suffix(name) == TEXT and (source is None or PurePosixPath(name).parent in folders)
    }
    others = tuple(name for name in seen if _suffix(name) not in (*PICTURES, TEXT))
    every_picture = frozenset(name for name in listed if _suffix(name) in PICTURES)
    return Found(pictures, texts, layers, others, every_picture)


def text_of(picture: str) -> str:
    """The name of the text file that belongs to a picture."""
    return PurePosixPath(picture).with_suffix(TEXT).as_posix()


def orphans(found: Found) -> list[str]:
    """The text files that belong to no picture, chosen or not."""
    own = {text_of(name).casefold() for name in found.every_picture}
    return [name for name in found.texts if name.casefold() not in own]


def beside(found: Found) -> Counter[str]:
    """What else lies beside the pictures under their names: suffixes, such as `.caption` or `.png.txt`."""
    stems = {PurePosixPath(name).with_suffix("").as_posix() for name in found.pictures}
    suffixes: Counter[str] = Counter()
    for name in (*found.others, *found.texts):
        stem = name
        while (place := PurePosixPath(stem)).suffix:
            stem = place.with_suffix("").as_posix()
            if stem in stems:
                suffixes[name[len(stem) :]] += 1
                break
    return suffixes


def counted(number: int, what: str) -> str:
    """`1 picture`, `2 pictures`."""
    return f"{number} {what}{'s' * (number != 1)}"


def shown(names: Iterable[str], kind: str) -> list[tuple[str, str]]:
    """The first names as facts of an error, and how many more there are."""
    names = list(names)
    facts = [(kind, name) for name in names[:SHOWN]]
    return facts + ([("", f"and {len(names) - SHOWN} more")] if len(names) > SHOWN else [])


def matches(name: str, globs: Iterable[str]) -> bool:
    """Whether a path matches one of the globs as a whole; upper and lower case are the same."""
    return any(_compiled(glob).fullmatch(name) for glob in globs)


@cache
def _compiled(glob: str) -> re.Pattern[str]:
    """`**/` is any folders or none, `**` anything, `*` and `?` anything within a name, [abc] one of these."""
    parts = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    result = ""
    for token in re.findall(r"\*\*/|\*\*|\*|\?|\[[^\]/]+\]|.", glob, re.DOTALL):
        if token[0] == "[" and len(token) > 1:
            inside = re.sub(r"([\\\[&~|^])", r"\\\1", token[1:-1])
            result += f"[^/{inside[1:]}]" if inside[0] == "!" else f"[{inside}]"
        else:
            result += parts.get(token) or re.escape(token)
    try:
        return re.compile(result, re.IGNORECASE | re.DOTALL)
    except re.error as error:
        raise UsageError(f"{glob!r} is no glob: {error}") from error


def _listed(source: Path) -> dict[str, Path]:
    if not source.is_dir():
        raise UsageError("the source of a training set is a folder", where=str(source))
    return {path.relative_to(source).as_posix(): path for path in _weights.files(source)}


def unread(found: Found) -> list[str]:
    """Pictures in formats that are not read."""
    return [name for name in found.others if _suffix(name) in OTHER_PICTURES]


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix.lower()


def _about(listed: Mapping[str, Path]) -> list[tuple[str, str]]:
    suffixes = Counter(_suffix(name) or "no suffix" for name in listed)
    kinds = ", ".join(f"{count} {suffix}" for suffix, count in sorted(suffixes.items()))
    return [("files", kinds or "none"), *shown(listed, "such as")[:2]]
