"""Runs actions again and compares what they give with what is known; changes no asset, no lock and no trace.

Every action is verified by itself, on the known bytes of its inputs: a fault is pinned on the stage that has it, and
not on what follows. Within a class of machine the promise is the same bytes, across classes the same looks.
"""

from __future__ import annotations

import itertools
import secrets
import shutil
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from spritebuild import idle, lock
from spritebuild import plan as planning
from spritebuild.alone import alone
from spritebuild.check.difference import difference
from spritebuild.files import machine_errors
from spritebuild.project import Project, opened
from spritebuild.status import Status
from spritebuild.store import Store
from spritebuild.verification.again import Known, NotReady, Preparation, tasks
from spritebuild.verification.causes import causes
from spritebuild.verification.sample import sample, trainings
from spritebuild.verification.varied import run_again, vary
from spritebuild.worker import raised

Outcome = Literal["same", "alike", "different", "failed", "damaged", "unknown"]
Promise = Literal["bytes", "looks", ""]
MOST = 20  # stages whose first faulty action is run once more for everything that was varied, to say what it depends on


@dataclass(frozen=True)
class Request:
    """What to verify. `sample` is a share of the assets (below 1) or their number; None for all that is named."""

    targets: tuple[str, ...] = ()
    sample: float | None = None
    everything: bool = False  # trainings too
    seed: int = 0
    jobs: int = 1
    threads: int = 1


@dataclass(frozen=True)
class Verdict:
    """What became of one action. `promise` is that which was tested, or nothing; `file` the first that differs.

    `versions` are those of libraries that have changed since, `depends_on` what changes the bytes though it must not.
    """

    action: str
    stage: str
    outcome: Outcome
    promise: Promise = ""
    made_on: Mapping[str, str] = field(default_factory=dict)
    here: Mapping[str, str] = field(default_factory=dict)
    file: str = ""
    difference: str = ""
    why: str = ""
    versions: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    depends_on: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Report:
    """Verdicts in the order of the graph; what was varied, by aspect; how many trainings were left out."""

    verdicts: Sequence[Verdict]
    varied: Mapping[str, str]
    trainings: int = 0
    seconds: float = 0.0

    def of(self, *outcomes: Outcome) -> list[Verdict]:
        """The verdicts of some outcomes."""
        return [verdict for verdict in self.verdicts if verdict.outcome in outcomes]


def verify(path: Path, request: Request, status: Status) -> Report:
    """Verify what is asked for. Raises only where nothing can be said; what is not as it should be is in the report."""
    started = time.monotonic()
    root = path.absolute().parent.resolve()
    state = idle.state_folder(root)
    with alone(root, status), opened(path) as project:
        for left in state.glob("verify-*"):  # by one that was killed: nobody else is here
            _remove(left)
        side = state / f"verify-{secrets.token_hex(4)}"
        finals = planning.targets(project.graph, request.targets)
        chosen, left_out = _chosen(project, finals, request)
        try:
            with machine_errors():
                side.mkdir()
                report = _verified(project, request, status, side, chosen, finals)
        finally:
            _remove(side)
        if report.of("damaged"):
            idle.forget(root)
        return replace(report, trainings=left_out, seconds=round(time.monotonic() - started, 3))


def _chosen(project: Project, finals: frozenset[str], request: Request) -> tuple[list[str], int]:
    """The actions to run again, and how many trainings are left out: those that are not asked for by name."""
    graph = project.graph
    wanted = graph.upstream(finals)
    named = {graph.actions[id].target for id in finals} if request.targets else set()
    dear = set() if request.everything else trainings(graph, project.stages, wanted)
    dear = {id for id in dear if graph.actions[id].target not in named}
    if request.sample is None or not finals:
        chosen = wanted - dear
    else:
        chosen = sample(graph, finals, request.sample, request.seed, dear)
    return [id for id in graph.actions if id in chosen], len(dear)


def _verified(
    project: Project, request: Request, status: Status, side: Path, chosen: Sequence[str], finals: frozenset[str]
) -> Report:
    preparation = Preparation(project, planning.plan(project.graph, project.known, finals), side / "inputs")
    verdicts: dict[str, Verdict] = {}
    known: dict[str, Known] = {}
    for id in chosen:
        action = project.graph.actions[id]
        try:
            known[id] = preparation.known(action)
        except NotReady as error:
            verdicts[id] = Verdict(id, action.stage, "damaged" if error.damaged else "unknown", why=str(error))
    status.planned(Counter(each.action.stage for each in known.values()))
    varied: dict[str, str] = {}
    done = list(tasks(project, side, known, request.jobs, request.threads))
    for task in done:
        variation = vary(task, request.seed)
        varied |= variation.said
        result = run_again(task, variation, status)
        made = Store(side)
        for action, _ in task.actions:
            verdicts[action.id] = _verdict(preparation, known[action.id], result, made)
    first: dict[str, str] = {}
    for id in chosen:
        if verdicts[id].outcome == "different" and verdicts[id].promise == "bytes":
            first.setdefault(verdicts[id].stage, id)
    if first:
        status.message(f"looking for what makes {', '.join(list(first)[:MOST])} differ")
    for number, (task, device) in enumerate(itertools.product(done, ("cpu", "accelerator"))):
        members = {action.id for action, _ in task.actions if project.stages[action.stage].device == device}
        faulty = [id for id in list(first.values())[:MOST] if id in members]
        found = causes(faulty, task, side / "causes" / str(number), request.seed) if faulty else {}
        for id, depends_on in found.items():
            verdicts[id] = replace(verdicts[id], depends_on=depends_on)
    return Report([verdicts[id] for id in chosen], varied)


def _remove(folder: Path) -> None:
    for _ in range(50):  # a killed worker may write for a moment yet
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.02)


# Comparing


def _verdict(preparation: Preparation, known: Known, result: Mapping[str, Any], made: Store) -> Verdict:
    id, stage = known.action.id, known.action.stage
    if id not in result["ran"]:
        error = raised(result["failed"].get(id, {"failed": "it did not run"}), id)
        return Verdict(id, stage, "failed", made_on=known.platform, why=error.message)
    outputs, provenance = result["ran"][id]["outputs"], result["ran"][id]["provenance"]
    here, now = lock.class_of(provenance), provenance.get("versions", {})
    versions = {name: (old, now[name]) for name, old in known.versions.items() if now.get(name, old) != old}
    promise: Promise = "bytes" if here == known.platform else "looks"
    verdict = Verdict(id, stage, "same", promise, known.platform, here, versions=versions)
    for name, file in known.action.outputs:
        expected = known.outputs.get(name, outputs[name])  # the lock may know but some
        if outputs[name] == expected:
            continue
        new = Path(made.checked(outputs[name]))
        try:
            old = preparation.bytes_of(expected)
        except NotReady as error:
            return replace(verdict, outcome="damaged", why=str(error))
        if promise == "bytes":
            said = difference(old, new) if old else "other bytes than the known ones, which are no longer here"
            return replace(verdict, outcome="different", file=file, difference=said)
        outcome, said = _across(preparation, known, name, old, new)
        if outcome != "alike":
            return replace(verdict, outcome=outcome, file=file, difference=said, why=said)
        verdict = replace(verdict, outcome="alike")
    return verdict


def _across(preparation: Preparation, known: Known, name: str, old: Path | None, new: Path) -> tuple[Outcome, str]:
    """Whether an output made on another class of machine still looks as it did."""
    from spritebuild.check.across import unlike
    from spritebuild.check.looks import looks, same_looks

    if old is not None:
        said = unlike(old, new)
        return ("different", said) if said else ("alike", "")
    installed = dict(known.action.installs).get(name, "")
    entry = preparation.project.known.lock.get(installed)
    if entry is None or lock.is_folder(installed) or not entry.looks:
        return "unknown", "made on another class of machine, and what it looked like is not here"
    return ("alike", "") if same_looks(entry.looks, looks(new)) else ("different", "unlike its looks in the lock")
