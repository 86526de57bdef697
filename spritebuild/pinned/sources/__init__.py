"""Where bytes elsewhere can be had, one module a transport; none of them knows what a model is, or a pin."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from spritebuild.errors import PolicyError

NETWORK = ("http", "https")


@dataclass(frozen=True)
class Wanted:
    """A file of a source by its path there; size and sha256 where they are known before its bytes are here."""

    path: str
    size: int | None = None
    sha256: str | None = None


class Source(Protocol):
    """A file or a folder that is elsewhere. Every method raises MachineError where it cannot be reached."""

    @property
    def folder(self) -> bool:
        """Whether it is a folder; known once `listing` was asked."""

    def resolve(self) -> str | None:
        """The exact revision that is meant now, where the source has revisions."""

    def listing(self, revision: str | None) -> Sequence[Wanted]:
        """Every file there is at a revision."""

    def bring(self, files: Iterable[Wanted], revision: str | None, into: Path) -> None:
        """Put files of a revision below a folder, going on where an earlier try was cut off."""


def safe(path: str) -> str:
    """A path below a folder, as it is; raises PolicyError for one that would lie elsewhere on any system."""
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or "\\" in path or "\0" in path or ":" in parts[0] or ".." in parts:
        raise PolicyError(f"a file named {path!r} is refused: it would leave its folder")
    return path


def hidden(path: str) -> bool:
    """Whether a file is no part of a pin: its name, or that of a folder that it is in, begins with a dot."""
    return any(part.startswith(".") for part in PurePosixPath(path).parts)
