"""What a plan lacks and a shared store may have; who may write there. Knows no file system and runs nothing.

Lock, local store, shared store, run: in this order. What the lock or a trace names is fetched instead of made, the last
actions first, so that nothing comes that only serves to make what is there already.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from spritebuild import ci, digest
from spritebuild.errors import PolicyError
from spritebuild.graph import Graph
from spritebuild.plan import Plan
from spritebuild.project import Project
from spritebuild.shared import rosters, signed
from spritebuild.shared.quick import URL
from spritebuild.shared.store import Shared, path_of
from spritebuild.shared.transport import Unreachable, at
from spritebuild.spritefile import SharedStore
from spritebuild.status import Status
from spritebuild.store import Damaged

KEY = "SPRITEBUILD_STORE_KEY"
WRITE = "SPRITEBUILD_STORE_WRITE"


def declared(project: Project) -> SharedStore | None:
    """What the spritefile says of a shared store, at the URL of the environment if that names one; None for none."""
    said, url = project.spritefile.store, os.environ.get(URL)
    if url is None:
        return said
    if not url:
        return None
    return said.model_copy(update={"url": url}) if said else SharedStore(url=url)


def opened(project: Project, said: SharedStore) -> Shared:
    """The shared store, not yet asked anything."""
    trusted = None if said.traces == "any" else said.trusted if said.traces == "signed" else ()
    return Shared(at(said.url, project.root), said.url, project.store, trusted)


def supply(project: Project, todo: Plan, again: Callable[[], Plan], status: Status) -> Plan:
    """Fetch what a plan lacks; returns the plan `again`, now that it is here.

    A store that cannot be reached is a warning. Raises IntegrityError if anything there was wrong, once everything else
    is here.
    """
    said = declared(project)
    if said is None or not todo.to_run():
        return todo
    shared = opened(project, said)
    try:
        todo = bring(project, todo, again, shared)
    except Unreachable as why:
        status.warning(f"the shared store cannot be reached, so this build goes on without it: {why}")
        todo = again()
    if shared.count.blobs or shared.count.traces:
        status.message(f"from the shared store: {shared.count.words()}")
    shared.raise_faults()
    return todo


def bring(project: Project, todo: Plan, again: Callable[[], Plan], shared: Shared) -> Plan:
    """Fetch traces until they tell nothing new, then the blobs that the last of the known actions gave."""
    store = project.store
    asked: set[str] = set()
    tried: set[str] = set()
    while True:
        lacking, unknown = _frontier(project.graph, todo, tried)
        keys = {todo.keys[id] for id in unknown if id in todo.keys} - asked
        if keys and (shared.trusted is None or shared.trusted):
            asked |= keys
            actions = {todo.keys[id]: project.graph.actions[id] for id in unknown if id in todo.keys}
            found = shared.traces(keys)
            for key, trace in found.items():
                if trace.outputs.keys() == {name for name, _ in actions[key].outputs}:
                    store.record(key, actions[key].id, trace)
            store.commit()
            if found:
                todo = again()
                continue
        names = {name for id in lacking for name in (todo.outputs[id] or {}).values() if not store.has(name)}
        if not names:
            return todo
        tried |= lacking
        shared.fetch(names)
        todo = again()


def _frontier(graph: Graph, todo: Plan, tried: set[str]) -> tuple[set[str], set[str]]:
    """From the targets upward: actions whose bytes are known and not here, and those above which nothing is known."""
    lacking: set[str] = set()
    unknown: set[str] = set()
    seen: set[str] = set()
    running = {decision.action for decision in todo.to_run()}
    stack = [id for id in todo.targets if id in running]
    while stack:
        id = stack.pop()
        if id in seen:
            continue
        seen.add(id)
        if id in todo.outputs and id not in tried and id not in todo.again:
            lacking.add(id)
            continue
        if id not in todo.outputs and id not in todo.again:
            unknown.add(id)
        stack += [ref.action for ref in graph.actions[id].producers() if ref.action in running]
    return lacking, unknown


def share(project: Project, todo: Plan, said: SharedStore, status: Status) -> Shared:
    """Push what the targets of a plan, and all that they are made of, gave: blobs, and traces if they are signed.

    For a whole project that agrees with its lock, a roster as well.
    """
    store = project.store
    shared = opened(project, said)
    secret = os.environ.get(KEY) or None
    tell = said.traces == "any" or (said.traces == "signed" and secret is not None)
    if said.traces == "signed" and secret is None and said.trusted:
        status.warning(f"without {KEY} no traces are pushed: others find only what the lock names")
    if secret and said.traces == "signed" and signed.public_of(secret) not in said.trusted:
        hint = f'add "{signed.public_of(secret)}" to trusted in [store]'
        raise PolicyError(
            "the spritefile does not trust this key, so nobody would take its traces", where=KEY, hint=hint
        )
    names: set[str] = set()
    documents: dict[str, bytes] = {}
    outputs: dict[str, set[str]] = {}
    for id in project.graph.upstream(todo.targets):
        key = todo.keys.get(id)
        trace = store.trace(key) if key else None
        given = {*(trace.outputs if trace else {}).values(), *todo.outputs.get(id, {}).values()}
        names |= given
        if key and trace and tell and all(map(store.has, trace.outputs.values())):
            documents[key] = signed.write(key, id, dict(trace.outputs), dict(trace.provenance), secret)
            outputs[key] = files_of(project, trace.outputs.values())
    paths = {path for id in todo.targets for _, path in project.graph.actions[id].installs}
    for path in paths & project.known.lock.keys():
        names |= project.known.lock[path].needed()
    shared.push(files_of(project, names), documents, outputs)
    if todo.targets == frozenset(project.graph.finals) and (roster := _roster(project, todo)) is not None:
        shared.put(roster, path_of("rosters", rosters.key(project.root, _spritefile(project))))
    return shared


def _spritefile(project: Project) -> str:
    return next(iter(project.spritefile.files)).path


def _roster(project: Project, todo: Plan) -> bytes | None:
    """The files that decide what this project is; None where its lock says something else."""
    graph, root, spritefile = project.graph, project.root, project.spritefile
    if any(dataset.path is not None for dataset in spritefile.datasets.values()) or project.known.stand_ins:
        return None
    for id in graph.finals:
        for name, path in graph.actions[id].installs:
            entry = project.known.lock.get(path)
            made = todo.outputs.get(id, {}).get(name)
            if entry is None or entry.recipe != graph.actions[id].recipe or entry.digest != made:
                return None
    if {path for id in graph.finals for _, path in graph.actions[id].installs} != {
        path for path, entry in project.known.lock.items() if entry.digest
    }:
        return None
    files = {file.path: file.digest for file in spritefile.files}
    actions = graph.actions.values()
    files |= {ref.name: ref.digest for action in actions for _, ref in action.sources() if ref.name not in project.pins}
    own = spritefile.project.stages
    declared = [palette.file for palette in spritefile.palettes.values() if palette.file]
    declared += [
        path.relative_to(root).as_posix() for path in map(Path, project.declared_by) if path.is_relative_to(root)
    ]
    files |= {path: digest.of_file(root / path) for path in declared if path not in files}
    globs = [*spritefile.include, *([f"{own}/*.py"] if own else [])]
    return rosters.write(files, globs, root)


def files_of(project: Project, names: Iterable[str]) -> set[str]:
    """The blobs of artifacts, as far as they are here."""
    found: set[str] = set()
    for name in names:
        found.add(name.rstrip("/"))
        if name.endswith("/"):
            try:
                found |= {*project.store.listed(name).values()}
            except Damaged:
                continue
    return found


# Who may write


def require_writing(said: SharedStore, environ: Mapping[str, str] | None = None) -> None:
    """Raise PolicyError unless this build may write to the shared store.

    The credentials decide, and a fork's build has none; this is so that nobody's are used by mistake.
    """
    if said.push == "never":
        raise PolicyError('push = "never": this project only reads its shared store', where="[store]")
    if reason := read_only(os.environ if environ is None else environ):
        raise PolicyError(f"the shared store is read-only here: {reason}", where=said.url)


def read_only(environ: Mapping[str, str]) -> str | None:
    """Why a build with this environment may not write to a shared store; None if it may."""
    if ci.is_of_a_fork(environ):
        return "this is a pull request of a fork"
    write = environ.get(WRITE, "").lower()
    if write in ("0", "false", "no"):
        return f"{WRITE} says so"
    if ci.is_ci(environ) and not write:
        return f"this is CI, and {WRITE} is not set"
    return None


def writes_after_builds(said: SharedStore) -> bool:
    """Whether a build pushes what it made."""
    return said.push == "build" and read_only(os.environ) is None
