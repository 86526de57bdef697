"""What a whole build of a tree reads: who has an equal one needs what its lock names, and no more. Knows no graph.

Whoever pushes a project whose lock agrees with its declarations leaves a roster in the shared store: every file that
decides what is built, by its sha256. Where they are all the same, the bytes that the lock names are all that a build
would want. Nothing is believed because of it but that there is nothing else to bring; the next build looks for itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from spritebuild import __version__, digest, lock
from spritebuild.idle import matched


def key(root: Path, spritefile: str) -> str:
    """What the roster of a tree is called."""
    names = digest.of_file(root / spritefile), digest.of_file(root / lock.PATH)
    return digest.of_value(["roster 1", __version__, spritefile, *names])


def write(files: Mapping[str, str], globs: Iterable[str], root: Path) -> bytes:
    """A roster of files by digest, and of what globs match."""
    return digest.canonical({"files": dict(files), "globs": {pattern: matched(root, pattern) for pattern in globs}})


def holds(data: bytes, root: Path) -> bool:
    """Whether a roster is true of a tree."""
    try:
        said = json.loads(data)
        return all(
            digest.of_file(root / path) == name for path, name in said["files"].items() if _inside(path)
        ) and all(matched(root, pattern) == names for pattern, names in said["globs"].items() if _inside(pattern))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, NotImplementedError):
        return False


def _inside(path: str) -> bool:
    """Of a tree, what is outside it is not looked at. Raises ValueError."""
    if path.startswith("/") or ".." in path.split("/"):
        raise ValueError(path)
    return True
