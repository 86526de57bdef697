"""What people decided and did not save yet, in `.spritebuild/review.json`, a decisions.json; knows no case."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from spritebuild import approve
from spritebuild.approve import Choice
from spritebuild.errors import UsageError
from spritebuild.files import machine_errors, write_atomic
from spritebuild.idle import state_folder

NAME = "review.json"
LONGEST_COMMENT = 10_000  # characters
DECISIONS = ("approve", "reject", "")


@dataclass(frozen=True, slots=True)
class Mark:
    """What somebody said of the bytes `digest` of an asset: a decision, or a comment alone."""

    path: str
    digest: str
    decision: Literal["approve", "reject", ""]
    comment: str = ""


class Decisions:
    """The marks by path, on the disk as soon as they are set."""

    def __init__(self, root: Path) -> None:
        self.path = state_folder(root) / NAME
        self.marks: Mapping[str, Mark] = _read(self.path)

    def put(self, marks: Iterable[Mark], gone: Iterable[str] = ()) -> None:
        """Set marks and drop others, and write them all; an empty mark is none."""
        new = {**self.marks, **{mark.path: mark for mark in marks}}
        for path in gone:
            new.pop(path, None)
        new = {path: mark for path, mark in new.items() if mark.decision or mark.comment}
        if new != self.marks:
            with machine_errors():
                write_atomic(self.path, text(new.values()).encode())
            self.marks = new

    def choices(self) -> list[Choice]:
        """The marks that decide, in the order of their paths."""
        return [
            Choice(mark.path, mark.digest, mark.decision, mark.comment)
            for _, mark in sorted(self.marks.items())
            if mark.decision
        ]


def text(marks: Iterable[Mark]) -> str:
    """A decisions.json of marks, which `spritebuild approve --from` reads; comments alone are listed beside."""
    parts: dict[str, list[str]] = {"decisions": [], "comments": []}
    for mark in sorted(marks, key=lambda mark: mark.path):
        row = {"path": mark.path, "digest": mark.digest, "decision": mark.decision, "comment": mark.comment}
        parts["decisions" if mark.decision else "comments"].append(json.dumps(row, ensure_ascii=False))
    if not parts["comments"]:
        del parts["comments"]
    lists = [f' "{name}": [' + ",".join(f"\n  {row}" for row in rows) + "]" for name, rows in parts.items()]
    return "{\n" + ",\n".join([f' "format": {approve.FORMAT}', *lists]) + "\n}\n"


def _read(path: Path) -> dict[str, Mark]:
    """The marks of a file; none where there is no file. Raises UsageError for one that is damaged."""
    if not path.exists():
        return {}
    choices = approve.read_choices(path)
    comments = json.loads(path.read_text("utf-8")).get("comments", [])
    marks = [_mark(row) for row in comments] if isinstance(comments, list) else []
    marks += [Mark(choice.path, choice.digest, choice.decision, choice.comment) for choice in choices]
    return {mark.path: mark for mark in marks if mark is not None}


def _mark(row: Any) -> Mark | None:
    if not isinstance(row, dict):
        return None
    path, digest, comment = (row.get(key) for key in ("path", "digest", "comment"))
    if isinstance(path, str) and isinstance(digest, str) and isinstance(comment, str):
        return Mark(path, digest, "", comment)
    return None


@contextlib.contextmanager
def alone(root: Path) -> Iterator[None]:
    """Be the only review that decides in a project, until the end; raises UsageError where there is another."""
    state = state_folder(root)
    with machine_errors():
        state.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(state / "review.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 40, 0).decode("utf-8", "replace").strip() or "unknown"
            raise UsageError(
                f"another review is open here ({holder})",
                hint="use that one: Enter in its terminal prints an address; or look on with --read-only",
            ) from None
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"pid {os.getpid()}".encode(), 0)
        yield
    finally:
        os.close(descriptor)
