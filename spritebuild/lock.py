"""The committed record of every asset, `lockfiles/sprites.lock`; knows no store and no graph.

One JSON object a line, sorted by path, so that git merges and diffs it asset by asset.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from spritebuild import digest
from spritebuild.errors import LockError
from spritebuild.files import write_atomic

PATH = "lockfiles/sprites.lock"
PLATFORMS = "lockfiles/toolchain.lock"
MOST_REASONS = 8  # that an entry keeps; the latest
HEX = re.compile(r"[0-9a-f]+")
HASHES = ("pixels", "phash", "dhash", "silhouette")  # of the fingerprints of a picture


@dataclass(frozen=True, slots=True)
class Entry:
    """What is agreed about one asset.

    `recipe` is the declaration that made it and `digest` its bytes (sha256); without one it is gone, and was approved
    before. Files that come from one folder are one asset, whose path is a glob and whose `files` say the digest of
    each. `approved` is the digest that somebody approved, or empty: the baseline. `before` is the baseline that there
    was before these bytes: its `digest`, `looks` and `files`, and `why` they differ. `platform` is the class of machine
    that made the bytes (empty: no part of them depends on one), `looks` the fingerprints of the picture, or of a
    folder's by file (empty: no picture). `pick` is the `seed` that was chosen of several candidates, and the `digest`
    that it had then; empty where nobody has chosen.
    """

    path: str
    recipe: str = ""
    digest: str = ""
    approved: str = ""
    platform: str = ""
    looks: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    before: Mapping[str, Any] = field(default_factory=dict)
    pick: Mapping[str, Any] = field(default_factory=dict)

    def installed(self) -> Mapping[str, str]:
        """The digest of every file of the asset, by its path below the project."""
        if not self.digest:
            return {}
        return placed(self.path, self.files) if is_folder(self.path) else {self.path: self.digest}

    def needed(self) -> set[str]:
        """The digests of what must not be lost: its bytes, and those that it is compared with."""
        return {name for name in (self.digest, self.approved, self.before.get("digest", "")) if name}


def is_folder(path: str) -> bool:
    """Whether an asset's path stands for the files of a folder."""
    return path.endswith("*")


def placed(path: str, files: Mapping[str, str]) -> dict[str, str]:
    """Where the files of a folder are put, whose asset's path is a glob."""
    folder = path.rpartition("/")[0]
    return {f"{folder}/{file}": digest for file, digest in files.items()}


FIELDS = tuple(each.name for each in fields(Entry))
Lock = Mapping[str, Entry]


def read(root: Path) -> dict[str, Entry]:
    """The lock of a project, by asset path; empty when there is none. Raises LockError on a damaged line."""
    try:
        return parse((root / PATH).read_bytes())
    except FileNotFoundError:
        return {}


def parse(data: bytes) -> dict[str, Entry]:
    """The entries of a lock's bytes, by asset path. Raises LockError on a damaged line."""
    try:
        lines = _lines(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise LockError("is not UTF-8 text", where=PATH, hint=f"git checkout {PATH}") from error
    try:
        entries = [Entry(**row) for row in json.loads("[" + ",".join(lines) + "]")]
        sound = all(map(_sound, entries))
    except (ValueError, TypeError, RecursionError):
        sound = False
    if not sound:
        entries = [_entry(line, number) for number, line in enumerate(lines, 1)]  # names the line
    found = {entry.path: entry for entry in entries}
    if len(found) != len(entries):
        twice = next(entry.path for n, entry in enumerate(entries) if entry.path in {e.path for e in entries[:n]})
        raise LockError(f"{twice} is there twice", where=PATH, hint="keep one of the two lines")
    return found


def _entry(line: str, number: int) -> Entry:
    conflict = line.startswith(("<<<<<<<", "=======", ">>>>>>>"))
    try:
        entry = Entry(**json.loads(line))
        if not _sound(entry):
            raise ValueError(line)
        return entry
    except (ValueError, TypeError, RecursionError) as error:
        raise LockError(
            "an unresolved merge conflict" if conflict else f"not an entry: {line[:80]}",
            where=f"{PATH}:{number}",
            hint="keep either side of each line, then `spritebuild build`"
            if conflict
            else f"restore it with `git checkout {PATH}`",
        ) from error


def _lines(text: str) -> list[str]:
    """Lines as git sees them: JSON leaves some of Python's line breaks inside its strings."""
    return text.removesuffix("\n").split("\n") if text else []


def _sound(entry: Entry) -> bool:
    if not (type(entry.path) is type(entry.recipe) is type(entry.platform) is str and _inside(entry.path)):
        return False
    if not (entry.recipe and entry.digest) and not (entry.approved and not entry.digest):
        return False
    if not all(
        type(name) is str and (not name or digest.ANY.fullmatch(name)) for name in (entry.digest, entry.approved)
    ):
        return False
    if not (_are_files(entry.files) and _are_looks(entry.looks, entry.path)):
        return False
    if entry.before and not (type(entry.before) is dict and _is_before(entry.before, entry.path)):
        return False
    return not entry.pick or (type(entry.pick) is dict and _is_pick(entry.pick))


def _are_files(files: Any) -> bool:
    return type(files) is dict and all(
        type(name) is str and digest.ANY.fullmatch(name) and _inside(file) for file, name in files.items()
    )


def _are_looks(looks: Any, path: str) -> bool:
    if type(looks) is not dict:
        return False
    return all(map(_is_look, looks.values())) if is_folder(path) else not looks or _is_look(looks)


def _is_look(look: Any) -> bool:
    """Whether these are the fingerprints of a picture (see `check.looks`), as far as others rely on it."""
    if type(look) is not dict or type(look.get("colors")) is not int or type(look.get("palette", "")) is not str:
        return False
    size = look.get("size")
    if not (type(size) is list and len(size) == 2 and all(type(side) is int for side in size)):
        return False
    return all(type(text := look.get(name)) is str and HEX.fullmatch(text) for name in HASHES)


def _is_before(before: Mapping[str, Any], path: str) -> bool:
    name, why = before.get("digest"), before.get("why", [])
    if not (type(name) is str and digest.ANY.fullmatch(name) and type(why) is list):
        return False
    words = all(type(reason) is str for reason in why)
    return words and _are_files(before.get("files", {})) and _are_looks(before.get("looks", {}), path)


def _is_pick(pick: Mapping[str, Any]) -> bool:
    seed = pick.get("seed")
    if pick.keys() != {"seed", "digest"} or type(seed) is not int or seed < 0:
        return False
    return type(pick["digest"]) is str and digest.ANY.fullmatch(pick["digest"]) is not None


def _inside(path: str) -> bool:
    """Whether a path of the lock stays below the project: nothing else is ever installed, compared or removed."""
    return (
        bool(path) and path[0] != "/" and "\0" not in path and not {"..", ".git", ".spritebuild"} & {*path.split("/")}
    )


def text(entries: Iterable[Entry]) -> str:
    """The lock's text: one canonical line an entry, sorted by path; fields that say nothing are left out."""
    rows = sorted(entries, key=lambda entry: entry.path)
    return "".join(
        digest.canonical({name: value for name in FIELDS if (value := getattr(row, name))}).decode() + "\n"
        for row in rows
    )


def write(root: Path, entries: Iterable[Entry], *, scratch: Path | None = None) -> bool:
    """Write the lock by atomic rename, if it changes at all; says whether it did."""
    new = text(entries).encode()
    path = root / PATH
    try:
        if path.read_bytes() == new:
            return False
    except FileNotFoundError:
        if not new:
            return False
    write_atomic(path, new, scratch=scratch)
    return True


def renewed(old: Entry | None, new: Entry, why: Sequence[str] = ()) -> Entry:
    """The entry after a build gave other bytes, for reasons in the user's words.

    The approval stays what it was, and then no longer covers the bytes; the baseline is kept beside them. So is what
    was picked.
    """
    if old is not None and old.pick:
        new = replace(new, pick=old.pick)
    if old is None or not old.approved:
        return new
    if new.digest == old.approved:
        return replace(new, approved=new.digest)
    baseline: dict[str, Any] = {"digest": old.approved}
    if old.digest == old.approved:
        baseline |= {key: value for key, value in (("looks", old.looks), ("files", old.files)) if value}
    elif old.before.get("digest") == old.approved:
        baseline = dict(old.before)
    reasons = [*dict.fromkeys((*baseline.get("why", ()), *why))][-MOST_REASONS:]
    return replace(new, approved=old.approved, before={**baseline, **({"why": reasons} if reasons else {})})


def gone(old: Entry) -> Entry | None:
    """The entry of what is no longer made: what was approved stays until somebody approves that it is gone."""
    return renewed(replace(old, pick={}), Entry(old.path), ("no longer declared",)) if old.approved else None


def approve(entry: Entry) -> Entry | None:
    """The entry with its bytes as the baseline, and the former one beside them; None for what is gone."""
    return replace(entry, approved=entry.digest) if entry.digest else None


# The classes of machine that made the locked bytes


def class_of(provenance: Mapping[str, Any]) -> dict[str, str]:
    """The class of machine of a trace: the platform, and the size of the batches that were made there."""
    platform, batch = provenance.get("platform", {}), provenance.get("batch")
    return {**platform, "batch": str(batch)} if platform and batch else dict(platform)


def read_platforms(root: Path) -> dict[str, Mapping[str, str]]:
    """What each class of machine was (device, versions), by the short name that entries give it."""
    found: dict[str, Mapping[str, str]] = {}
    with contextlib.suppress(FileNotFoundError):
        for number, line in enumerate(_lines((root / PLATFORMS).read_text("utf-8")), 1):
            try:
                row = json.loads(line)
                found[row.pop("platform")] = row
            except (ValueError, KeyError, AttributeError, TypeError) as error:
                hint = f"restore it with `git checkout {PLATFORMS}`"
                raise LockError("not a platform", where=f"{PLATFORMS}:{number}", hint=hint) from error
    return found


def write_platforms(
    root: Path,
    new: Mapping[str, Mapping[str, str]],
    entries: Iterable[Entry],
    scratch: Path | None = None,
    *,
    elsewhere: Callable[[str], bool] = lambda _: False,
) -> None:
    """Write the platforms that entries name, these or those that are `elsewhere`, if that changes anything."""
    old = read_platforms(root)
    used = {entry.platform for entry in entries if entry.platform}
    rows = {name: platform for name, platform in {**old, **new}.items() if name in used or elsewhere(name)}
    if rows != old:
        lines = [digest.canonical({**rows[name], "platform": name}).decode() + "\n" for name in sorted(rows)]
        write_atomic(root / PLATFORMS, "".join(lines).encode(), scratch=scratch)


def files(root: Path) -> list[str]:
    """The lock's files that there are, relative to the project."""
    return [path for path in (PATH, PLATFORMS) if (root / path).exists()]
