"""What a project and its branches need of a shared store, and the collection of the rest; runs nothing."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from spritebuild import lock
from spritebuild.errors import LockError
from spritebuild.history import History
from spritebuild.plan import plan
from spritebuild.project import Project
from spritebuild.shared.retention import Held, collect
from spritebuild.shared.store import Shared


@dataclass(frozen=True)
class Kept:
    """What stays whatever its age: artifacts and keys of traces; and of how many branches, tags and locks."""

    names: frozenset[str]
    keys: frozenset[str]
    refs: int
    locks: int


def kept(project: Project, shared: Shared, others: Sequence[Path]) -> Kept:
    """What the locks of all branches and tags name, of this folder and of other files, and what is declared now gave.

    Raises LockError where a lock cannot be read: what it names is not known then.
    """
    refs, locks = History(project.root).locks()
    locks.append(dict(project.known.lock))
    for file in others:
        try:
            locks.append(lock.parse(file.read_bytes()))
        except OSError as error:
            raise LockError(f"cannot be read: {error.strerror}", where=str(file)) from error
    names = {name for entries in locks for entry in entries.values() for name in entry.needed()}
    for entries in locks:
        for entry in entries.values():
            names |= {*entry.files.values(), *entry.before.get("files", {}).values()}
    graph = project.graph
    asked: set[str] = set()
    while True:
        todo = plan(graph, project.known, frozenset(graph.finals))
        unknown = {key for key in todo.keys.values() if project.store.outputs(key) is None} - asked
        asked |= unknown
        found = shared.traces(unknown) if unknown and (shared.trusted is None or shared.trusted) else {}
        ids = {key: id for id, key in todo.keys.items()}
        for key, trace in found.items():
            if trace.outputs.keys() == {name for name, _ in graph.actions[ids[key]].outputs}:
                project.store.record(key, ids[key], trace)
        project.store.commit()
        if not found:
            break
    shared.raise_faults()
    for id, outputs in todo.outputs.items():
        names |= {*outputs.values(), *(project.store.outputs(todo.keys.get(id, "")) or {}).values()}
    return Kept(frozenset(names), frozenset(todo.keys.values()), refs, len(locks))


def tidy(project: Project, shared: Shared, stays: Kept, *, days: float, grace: float, dry_run: bool) -> Held:
    """Collect what does not stay: see `retention`."""
    return collect(shared, stays.names, stays.keys, days=days, grace=grace, now=time.time(), dry_run=dry_run)
