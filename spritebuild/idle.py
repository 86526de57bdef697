"""Answers `nothing to do` without loading anything, when no file that the last build read or wrote has changed.

A whole build without failures leaves the signatures of all those files. Where every one is still the same, a build
would find the same spritefile, lock, stages and assets, so it would do nothing. Anything else is for the real build
to decide, which is told what differs: this file never says that there is something to do.

The state is one line of JSON, the paths, and five columns of 8-byte numbers: read, compared and written again without
an object for each of 100,000 files.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from spritebuild import __version__

STATE = ".spritebuild"
NAME = "idle"
TICK = 0.02  # seconds; longer than the tick of a file system's clock
COLUMNS = "QQqqq"  # device, inode, size, mtime, ctime: what tells, by inequality, that a file may have changed

Row = tuple[int, int, int, int, int]


@dataclass(frozen=True)
class Seen:
    """The files of a project as the last whole build left them. `token` names that build."""

    root: Path
    token: str
    globs: tuple[tuple[str, tuple[str, ...]], ...]
    paths: list[str]  # relative to the project, or absolute; sorted
    columns: tuple[array[int], ...]

    @cached_property
    def changed(self) -> list[str]:
        """The files that are no longer as they were, or are gone, when this is asked first."""
        stat = os.stat
        prefix = f"{self.root}/"
        found = []
        for path, device, inode, size, mtime, ctime in zip(self.paths, *self.columns, strict=True):
            try:
                s = stat(path if path[0] == "/" else prefix + path)
            except OSError:
                found.append(path)
                continue
            if (
                s.st_mtime_ns != mtime
                or s.st_ctime_ns != ctime
                or s.st_size != size
                or s.st_ino != inode
                or s.st_dev != device
            ):
                found.append(path)
        return found


def state_folder(root: Path) -> Path:
    """Where a project's store and other state is."""
    return root / STATE


def read(root: Path, spritefile: str = "spritefile.toml") -> Seen | None:
    """What the last build of the whole project saw, if that is known, and the include globs still find the same.

    Of two spritefiles in one folder, it is that of the one that was built last.
    """
    try:
        data = (state_folder(root) / NAME).read_bytes()
        end = data.index(b"\n") + 1
        head = json.loads(data[:end])
        if head["tool"] != __version__ or head["root"] != str(root) or head["spritefile"] != spritefile:
            return None
        if any(matched(root, pattern) != matches for pattern, matches in head["globs"]):
            return None
        count, length = head["files"], head["length"]
        names = data[end : end + length].decode("utf-8", "surrogateescape")
        numbers = end + length
        if len(data) != numbers + 8 * len(COLUMNS) * count:
            return None
        columns = []
        for number, kind in enumerate(COLUMNS):
            column = array(kind)
            column.frombytes(data[numbers + 8 * count * number : numbers + 8 * count * (number + 1)])
            columns.append(column)
        globs = tuple((pattern, tuple(matches)) for pattern, matches in head["globs"])
        paths = names.split("\0") if names else []
        return Seen(root, head["token"], globs, paths, tuple(columns)) if len(paths) == count else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def token(root: Path) -> str:
    """The token of the state that is there now, or "" """
    try:
        with (state_folder(root) / NAME).open("rb") as file:
            return str(json.loads(file.readline())["token"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def unchanged(root: Path, spritefile: str = "spritefile.toml") -> bool:
    """Whether the last build of the whole project is still true, byte for byte, as far as signatures can tell."""
    seen = read(root, spritefile)
    return seen is not None and not seen.changed


def matched(root: Path, pattern: str) -> list[str]:
    """The files that an include glob names now, sorted, relative to the project."""
    return sorted(path.relative_to(root).as_posix() for path in root.glob(pattern))


def forget(root: Path) -> None:
    """Withdraw the answer: a build is about to change something."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(state_folder(root) / NAME)


def remember(
    root: Path,
    globs: Sequence[str],
    files: Iterable[str],
    seen: Mapping[str, Row],
    spritefile: str = "spritefile.toml",
    token: str = "",
) -> None:
    """Record the signatures of `files` (relative to the project, or absolute).

    `seen` are the signatures under which files were last known to be right, by absolute path: a file that has another
    one by now is not recorded as right, so nothing is. A change within the same tick of the clock as the last write
    would leave no mark: this waits until that tick is over.
    """
    paths = sorted(set(files))
    rows = settled(root, paths, seen)
    if rows is None:
        return
    found = tuple((pattern, tuple(matched(root, pattern))) for pattern in globs)
    columns = tuple(array(kind, column) for kind, column in zip(COLUMNS, zip(*rows.values(), strict=True), strict=True))
    _write(Seen(root, token, found, paths, columns), spritefile)


def renew(
    before: Seen, gone: Iterable[str], files: Iterable[str], seen: Mapping[str, Row], spritefile: str, token: str
) -> None:
    """Record what is new beside what was seen `before`: signatures of `files`, without those that are `gone`."""
    rows = settled(before.root, sorted(set(files)), seen)
    if rows is None:
        return
    left = set(gone) - rows.keys()
    paths, columns = before.paths, before.columns
    places = {path: place for place, path in enumerate(paths)} if len(rows) > 50 else _found(paths, rows)
    if left or any(path not in places for path in rows):
        kept = [place for place, path in enumerate(paths) if path not in left and path not in rows]
        merged = sorted([(paths[place], place) for place in kept] + [(path, -1) for path in rows])
        columns = tuple(
            array(kind, (rows[path][number] if place < 0 else column[place] for path, place in merged))
            for number, (kind, column) in enumerate(zip(COLUMNS, columns, strict=True))
        )
        paths = [path for path, _ in merged]
    else:
        for path, row in rows.items():
            for column, value in zip(columns, row, strict=True):
                column[places[path]] = value
    _write(Seen(before.root, token, before.globs, paths, columns), spritefile)


def _found(paths: list[str], wanted: Iterable[str]) -> dict[str, int]:
    """Where each of a few paths is in a sorted list, if it is."""
    import bisect

    places = ((path, bisect.bisect_left(paths, path)) for path in wanted)
    return {path: place for path, place in places if place < len(paths) and paths[place] == path}


def settled(root: Path, paths: Sequence[str], seen: Mapping[str, Row]) -> dict[str, Row] | None:
    """The signatures of files, once a further change would show; None where one changes or is not as it was seen."""
    first: dict[str, Row] = {}
    newest = 0
    for path in paths:
        first[path] = _signature(os.path.join(root, path))
        newest = max(newest, first[path][3], first[path][4])
        known = seen.get(os.path.join(root, path))
        if known is not None and known != first[path]:
            return None
    if (wait := newest / 1e9 + TICK - time.time()) > 0:
        time.sleep(min(wait, TICK))
    if any(_signature(os.path.join(root, path)) != row for path, row in first.items()):
        return None
    return first


def _write(seen: Seen, spritefile: str) -> None:
    names = "\0".join(seen.paths).encode("utf-8", "surrogateescape")
    head = {
        "tool": __version__,
        "root": str(seen.root),
        "spritefile": spritefile,
        "token": seen.token,
        "globs": seen.globs,
        "files": len(seen.paths),
        "length": len(names),
    }
    state = state_folder(seen.root)
    temporary = state / f"{NAME}.tmp"
    with temporary.open("wb") as file:
        file.write(json.dumps(head, separators=(",", ":")).encode() + b"\n")
        file.write(names)
        for column in seen.columns:
            file.write(column)
    os.replace(temporary, state / NAME)


def _signature(path: str) -> Row:
    s = os.stat(path)
    return (s.st_dev, s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns)
