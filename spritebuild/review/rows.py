"""A case as a line of the page's list, and the animation of a folder; knows no decision's history and no HTTP."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from spritebuild import lock
from spritebuild.check.cases import Case
from spritebuild.compare import Pictures
from spritebuild.project import Project
from spritebuild.review import frames
from spritebuild.review.decisions import Mark
from spritebuild.review.frames import Animation
from spritebuild.review.pixels import files_of
from spritebuild.store import Damaged


def row(case: Case, mark: Mark | None, candidates: int, count: int) -> dict[str, Any]:
    """The line of a case; `mark` is heard where it is about these bytes, `count` is the number of frames."""
    heard = mark if mark is not None and mark.digest == case.digest else None
    return {
        "path": case.path,
        "target": case.target,
        "kind": case.kind,
        "verdict": case.verdict,
        "words": case.words,
        "digest": case.digest,
        "baseline": case.baseline,
        "size": list(case.size) if case.size else None,
        "group": case.group,
        "violations": len(case.violations),
        "decision": heard.decision if heard else "",
        "comment": heard.comment if heard else "",
        "candidates": candidates,
        "folder": lock.is_folder(case.path),
        "frames": count,
    }


def animation(project: Project, find: Callable[[str, str], Path | None], case: Case, name: str) -> Animation:
    """What the documents of a folder asset of digest `name` say, found by `find`; empty for what is no folder."""
    if not lock.is_folder(case.path) or not name:
        return Animation()
    files = files_of(project, project.known.lock.get(case.path), name)
    return frames.read(_documents(files, case.path, find), files)


def _documents(files: Mapping[str, str], path: str, find: Callable[[str, str], Path | None]) -> dict[str, bytes]:
    found = {}
    for file in files:
        if file.lower().endswith(".json"):
            with contextlib.suppress(Damaged, OSError):
                place = find(path, file)
                if place is not None and place.stat().st_size <= frames.LARGEST:
                    found[file] = place.read_bytes()
    return found


def count_of(project: Project, pictures: Pictures, case: Case) -> int:
    """How many frames an asset has now, as far as a document tells."""
    return len(animation(project, pictures.now, case, case.digest).frames)
