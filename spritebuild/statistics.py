"""What a project's store holds and what it saves, from the traces that builds recorded; runs nothing."""

from __future__ import annotations

import os
import re
import statistics
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spritebuild.plan import plan, targets
from spritebuild.project import Project

SLOWEST = 10
NUMBERED = re.compile(r"-\d+$")  # of the second action of one stage in a chain


@dataclass(frozen=True)
class Timed:
    """An action that ran once: what it is called, its stage, its seconds and whether it is still declared so."""

    action: str
    stage: str
    seconds: float
    current: bool


def measure(project: Project) -> dict[str, Any]:
    """Sizes, actions that are known, seconds per stage, the slowest actions, and the seconds that a build saves now."""
    decided = plan(project.graph, project.known, targets(project.graph, ()))
    known = _known(project, decided.keys)
    timed = list(_timed(project, known))
    recorded = {one.action: one.seconds for one in timed if one.current}
    saved = sum(recorded.values())
    ran = {decision.action for decision in decided.to_run()}
    return {
        "store": _store(project),
        "actions": {"declared": len(project.graph.actions), "known": len(project.graph.actions) - len(ran)},
        "saved_seconds": round(saved, 3),
        "stages": _stages(timed),
        "slowest": [
            {"action": one.action, "seconds": one.seconds}
            for one in sorted(timed, key=lambda one: one.seconds, reverse=True)[:SLOWEST]
        ],
    }


def _known(project: Project, planned: Any) -> dict[str, str]:
    """The key of every action as it is declared now, where that is known, or as it was at the last build."""
    described = project.store.described_keys()
    return {id: planned.get(id) or described.get(id, "") for id in project.graph.actions}


def _timed(project: Project, known: dict[str, str]) -> Iterable[Timed]:
    current = set(known.values())
    for key, action, seconds in project.store.seconds():
        found = project.graph.actions.get(action)
        stage = found.stage if found is not None else NUMBERED.sub("", action.rpartition(":")[2])
        yield Timed(action, stage, seconds, key in current)


def _stages(timed: Iterable[Timed]) -> list[dict[str, Any]]:
    seconds: dict[str, list[float]] = defaultdict(list)
    for one in timed:
        seconds[one.stage].append(one.seconds)
    rows = [
        {
            "stage": stage,
            "runs": len(found),
            "seconds": round(sum(found), 3),
            "median": round(statistics.median(found), 4),
            "slowest": round(max(found), 4),
        }
        for stage, found in seconds.items()
    ]
    return sorted(rows, key=lambda row: -float(str(row["seconds"])))


def _store(project: Project) -> dict[str, Any]:
    store = project.store
    blobs = [entry.stat().st_size for _, entry in store.blobs()]
    return {
        "folder": os.path.relpath(store.root, project.root),
        "blobs": len(blobs),
        "bytes": sum(blobs),
        "model_bytes": _size(store.root / "models"),
        "quality_bytes": _size(store.root / "quality"),
        "traces": sum(1 for _ in store.all_outputs()),
    }


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
