"""The candidates of a sprite, ranked, and picking one of them: what `spritebuild pick` and the review page do."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from spritebuild import idle, lock, picks
from spritebuild.build import Request, build
from spritebuild.errors import RegressionError, UsageError
from spritebuild.files import machine_errors
from spritebuild.graph import Action, Graph
from spritebuild.plan import Plan, plan
from spritebuild.project import Project, held, opened
from spritebuild.resolution.ranks import RANK
from spritebuild.run import Options
from spritebuild.spritefile.mistakes import alternatives
from spritebuild.status import Status


@dataclass(frozen=True)
class Candidate:
    """One of the pictures to choose from.

    `digest` is empty where it is not here. `rank` counts from 1; without ranks it is that of the seeds, `score` is None
    and `scores` are empty. `words` say what the scores stand for. `picked` is one that somebody picked as it is now;
    `installed` the one that the game has, picked or not.
    """

    seed: int
    digest: str
    rank: int
    score: float | None = None
    scores: Mapping[str, float] = field(default_factory=dict)
    words: str = ""
    picked: bool = False
    installed: bool = False


def candidates(project: Project, target: str) -> list[Candidate]:
    """What there is to choose from for a sprite, the best first; ranked if the project was opened with its checks.

    Nothing is run: `rank` does that. Empty for a target that has no candidates.
    """
    ends = project.graph.candidates.get(target, {})
    if not ends:
        return []
    known = _known(project, [target])
    rows = _report(project, target, known)
    lines = project.known.lock
    found = []
    for place, (seed, id) in enumerate(ends.items(), 1):
        row = rows.get(seed, {})
        found.append(
            Candidate(
                seed,
                _here(project, known, id),
                row.get("rank", place),
                row.get("score"),
                row.get("scores", {}),
                row.get("words", ""),
                picks.is_picked(project.graph.actions[id], lines),
                bool(project.graph.actions[id].installs),
            )
        )
    return sorted(found, key=lambda candidate: candidate.rank)


def undecided(project: Project) -> list[str]:
    """The targets that have candidates of which none is picked, or not as it is now."""
    return picks.undecided(project.graph, project.known.lock)


def rank(path: Path, status: Status, targets: Collection[str] = (), options: Options | None = None) -> None:
    """Rank the candidates of these targets, of all for none, where all of a target's are here: none is made for it."""
    with opened(path, checks=True) as project:
        chosen = [target for target in project.graph.candidates if not targets or target in targets]
        known = _known(project, chosen)
        complete = [target for target in chosen if _all_here(project, known, target)]
    if complete:
        ids = tuple(f"{target}:{RANK}" for target in complete)
        build(path, Request(ids, options=options or Options(), checks=True), status)


def pick(
    path: Path, target: str, seed: int, status: Status, digest: str | None = None, options: Options | None = None
) -> None:
    """Record the candidate of that seed as the one to use, and install it.

    `digest` is what was looked at: RegressionError if the candidate is not that any more. UsageError for a seed that is
    no candidate, and for one that is not here.
    """
    with held(path, status) as project:
        action = _candidate(project, target, seed)
        known = _known(project, [target])
        here = _here(project, known, action.id)
        place = _place(project.graph, target)
        entry = project.known.lock.get(place)
        if not here or entry is None or not entry.digest:
            raise UsageError(f"seed {seed} of {target} is not here", hint=f"make it first: spritebuild build {target}")
        stands_for = entry.recipe == action.recipe and project.known.stand_ins.get(entry.digest) == here
        name = entry.digest if stands_for else here  # the locked bytes, where others stand in for them on this machine
        if digest is not None and digest not in (name, here):
            hint = "look at it again: it was made anew meanwhile"
            raise RegressionError(f"seed {seed} of {target} is not what was looked at", where=place, hint=hint)
        _write(project, replace(entry, pick={"seed": seed, "digest": name}))
    build(path, Request((action.id,), options=options or Options()), status)


def clear(path: Path, target: str, status: Status, options: Options | None = None) -> bool:
    """Forget what was picked for a target, and install its first candidate; says whether anything was picked."""
    with held(path, status) as project:
        _ends(project, target)
        first = next(iter(project.graph.candidates[target].values()))
        entry = project.known.lock.get(_place(project.graph, target))
        if entry is None or not entry.pick:
            return False
        _write(project, replace(entry, pick={}))
    build(path, Request((first,), options=options or Options()), status)
    return True


def named(project: Project, name: str) -> str:
    """The target that a name such as `potion` or `sprites.potion` means. UsageError if it has no candidates."""
    target = name if "." in name else f"sprites.{name}"
    _ends(project, target)
    return target


def _ends(project: Project, target: str) -> Mapping[int, str]:
    graph = project.graph
    if target in graph.candidates:
        return graph.candidates[target]
    if any(action.target == target for action in graph.actions.values()):
        raise UsageError(f"{target} has no candidates", hint="declare some: candidates = 8")
    short = [name.partition(".")[2] for name in graph.candidates]
    hint = alternatives(target.partition(".")[2], short, "with candidates") if short else "declare some: candidates = 8"
    raise UsageError(f"no sprite is called {target.partition('.')[2]!r}", hint=hint)


def _candidate(project: Project, target: str, seed: int) -> Action:
    ends = _ends(project, target)
    if seed not in ends:
        raise UsageError(f"{target} has no candidate of seed {seed}", hint=f"seeds: {', '.join(map(str, ends))}")
    return project.graph.actions[ends[seed]]


def _place(graph: Graph, target: str) -> str:
    """Where the sprite of a target is installed."""
    return next(path for a in graph.actions.values() if a.target == target for _, path in a.installs)


def _known(project: Project, targets: Collection[str]) -> Plan:
    """What is known of the candidates of targets and of their ranks, without running anything."""
    ids = {id for target in targets for id in project.graph.candidates[target].values()}
    ids |= {f"{target}:{RANK}" for target in targets} & project.graph.actions.keys()
    return plan(project.graph, project.known, frozenset(ids))


def _here(project: Project, known: Plan, id: str) -> str:
    """The digest of what an action makes, if those bytes are in the store or in the project."""
    made = known.outputs.get(id, {}).get("image", "")
    return made if made and (project.store.has(made) or made in known.present.values()) else ""


def _all_here(project: Project, known: Plan, target: str) -> bool:
    return all(_here(project, known, id) for id in project.graph.candidates[target].values())


def _report(project: Project, target: str, known: Plan) -> dict[int, Mapping[str, Any]]:
    """What the rank of a target says of each seed, where it is known."""
    report = known.outputs.get(f"{target}:{RANK}", {}).get("report")
    if report is None or not project.store.has(report):
        return {}
    rows = json.loads(Path(project.store.checked(report)).read_bytes())["candidates"]
    return {row["seed"]: row for row in rows}


def _write(project: Project, entry: lock.Entry) -> None:
    with machine_errors():
        idle.forget(project.root)
        entries = {**project.known.lock, entry.path: entry}
        lock.write(project.root, entries.values(), scratch=project.store.scratch)
