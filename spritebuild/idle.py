"""Answers `nothing to do` without loading anything, when no file that the last build read or wrote has changed.

A whole build without failures leaves the signatures of all those files. Where every one is still the same, a build
would find the same spritefile, lock, stages and assets, so it would do nothing. Anything else is for the real build
to decide: this file never says that there is something to do.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from spritebuild import __version__

STATE = ".spritebuild"
NAME = "idle.json"
TICK = 0.02  # seconds; longer than the tick of a file system's clock


def state_folder(root: Path) -> Path:
    """Where a project's store and other state is."""
    return root / STATE


def unchanged(root: Path, spritefile: str = "spritefile.toml") -> bool:
    """Whether the last build of the whole project is still true, byte for byte, as far as signatures can tell.

    Of two spritefiles in one folder, it is that of the one that was built last.
    """
    try:
        data = json.loads((state_folder(root) / NAME).read_bytes())
        if data["tool"] != __version__ or data["root"] != str(root):
            return False
        for pattern, matches in data["globs"]:
            if matched(root, pattern) != matches:
                return False
        stat = os.stat
        prefix = f"{root}/"
        if all(row[0] != spritefile for row in data["files"]):
            return False
        for path, device, inode, size, mtime, ctime in data["files"]:
            s = stat(path if path[0] == "/" else prefix + path)
            if (
                s.st_mtime_ns != mtime
                or s.st_ctime_ns != ctime
                or s.st_size != size
                or s.st_ino != inode
                or s.st_dev != device
            ):
                return False
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return True


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
    seen: dict[str, tuple[int, int, int, int, int]],
) -> None:
    """Record the signatures of `files` (relative to the project, or absolute).

    `seen` are the signatures under which assets were last known to be right, by absolute path: a file that has another
    one by now is not recorded as right, so nothing is. A change within the same tick of the clock as the last write
    would leave no mark: this waits until that tick is over.
    """
    rows: list[list[str | int]] = []
    newest = 0
    first: dict[str, tuple[int, ...]] = {}
    paths = sorted(set(files))
    for path in paths:
        first[path] = _signature(os.path.join(root, path))
        newest = max(newest, first[path][3], first[path][4])
        known = seen.get(os.path.join(root, path))
        if known is not None and known != first[path]:
            return
    if (wait := newest / 1e9 + TICK - time.time()) > 0:
        time.sleep(min(wait, TICK))
    for path in paths:
        now = _signature(os.path.join(root, path))
        if now != first[path]:
            return
        rows.append([path, *now])
    data = {
        "tool": __version__,
        "root": str(root),
        "globs": [[pattern, matched(root, pattern)] for pattern in globs],
        "files": rows,
    }
    state = state_folder(root)
    temporary = state / f"{NAME}.tmp"
    temporary.write_text(json.dumps(data, separators=(",", ":")))
    os.replace(temporary, state / NAME)


def _signature(path: str) -> tuple[int, int, int, int, int]:
    s = os.stat(path)
    return (s.st_dev, s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns)
