"""The straight line: spritefile -> load -> resolve -> plan -> fetch -> run -> check -> lock -> install."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from spritebuild import digest, idle, lock, picks, record
from spritebuild.deliver import Delivery
from spritebuild.errors import LockError, MachineError, SpritebuildError, UsageError
from spritebuild.executor import Executor
from spritebuild.files import machine_errors
from spritebuild.front import PartDelivery, narrowed
from spritebuild.graph import Action
from spritebuild.install import Installer
from spritebuild.plan import NEW, WAITS, Plan, describe, input_digests, plan, targets
from spritebuild.project import Project, held, of_quality
from spritebuild.resolution import tiers
from spritebuild.run import Options, Result, run
from spritebuild.shared.lookup import lookup
from spritebuild.shared.supply import declared, share, supply, writes_after_builds
from spritebuild.shared.transport import Unreachable
from spritebuild.spans import timed
from spritebuild.spritefile import Budget
from spritebuild.spritefile.tiers import Quality
from spritebuild.status import Status
from spritebuild.store import Damaged

HEAVY = 1_000_000_000  # bytes of weights
MOST_HEALINGS = 3  # of one blob in a build; a machine that damages it every time will not stop


@dataclass(frozen=True)
class Request:
    """What the user asked for."""

    targets: tuple[str, ...] = ()
    rebuild: bool = False
    locked: bool = False
    options: Options = field(default_factory=Options)
    checks: bool = False  # whether this is for the checks of the art, and nothing else
    offline: bool = False
    expensive: bool = False  # whether it may cost more than the budget
    quality: Quality | None = None  # of all sprites, whatever is declared: they are installed apart
    elsewhere: Callable[[Project], Executor] | None = None  # who runs what has to run, if not this machine


def build(path: Path, request: Request, status: Status, seen: idle.Seen | None = None) -> dict[str, Any]:
    """Build the targets of a spritefile; returns what was done, in numbers.

    What the last build has `seen`, if that is given, saves looking at what nothing touched since. Raises the first
    failure, or, with keep_going, the failures together once everything else is done.
    """
    started = time.monotonic()
    if request.quality is not None and request.locked:
        raise UsageError("the lock knows no quality but the declared one", hint="say --locked or --quality, not both")
    if seen is not None and _may_be_part(request):
        with narrowed(path, seen, status, offline=request.offline) as project:
            if project is not None:
                try:
                    return _build(project, request, status, started)
                except Damaged as found:
                    _tell_damaged(found, status)
    with held(path, status, locked=request.locked, checks=request.checks, offline=request.offline) as project:
        if request.quality is not None:
            project = of_quality(project, request.quality)
        if request.options.spans is not None:
            request.options.spans.add("resolve", "MainThread", started, time.monotonic())
        if request.elsewhere is not None:
            options = replace(request.options, executor=request.elsewhere(project))
            request = replace(request, options=options)
        return build_held(project, request, status, started)


def build_held(project: Project, request: Request, status: Status, started: float) -> dict[str, Any]:
    """The same of a project that this process holds; `started` is the monotonic time since which seconds count."""
    damaged: Counter[str] = Counter()
    while True:
        try:
            return _build(project, request, status, started)
        except Damaged as found:
            damaged[found.digest] += 1
            if damaged[found.digest] == MOST_HEALINGS:
                raise MachineError(
                    f"blob {found.digest[:12]} is damaged or lost whenever it is made",
                    where=str(project.store.root),
                    hint="look for what writes there: another program, a failing disk, a full one",
                ) from None
            _tell_damaged(found, status)


def _may_be_part(request: Request) -> bool:
    """Whether a request is for the whole project as it is declared: only then may what is unchanged be left out."""
    narrower = request.targets or request.rebuild or request.locked or request.checks
    return not (narrower or request.quality or request.elsewhere or request.options.spans)


def _tell_damaged(found: Damaged, status: Status) -> None:
    status.warning(f"a damaged blob was set aside and will be made again: {found.digest[:12]}")


def _build(project: Project, request: Request, status: Status, started: float) -> dict[str, Any]:
    chosen = targets(project.graph, request.targets)
    if project.part is None:  # a part is looked at only where it comes from nothing that was not allowed before
        from spritebuild.licences import check_policy

        check_policy(project, chosen)
    if request.locked:
        require_locked(project)

    spans = request.options.spans

    def planned() -> Plan:
        with timed(spans, "plan"):
            return plan(project.graph, project.known, chosen, rebuild=request.rebuild)

    todo = planned()
    only = None if project.part is None else _places(project.known.lock)
    installer = Installer(project.home, project.store, project.known.lock, project.known.files, only)
    for path in (path for id in chosen for _, path in project.graph.actions[id].installs):
        if path in todo.present and not lock.is_folder(path):
            installer.refuse_foreign(path, todo.present[path])
    with machine_errors():
        if project.quality is None:
            idle.forget(project.root)
        else:
            project.home.mkdir(parents=True, exist_ok=True)
        project.store.fresh_scratch()
    _adopt(project, todo)
    if not request.offline:
        with machine_errors(), timed(spans, "pull"):
            todo = supply(project, todo, planned, status)
    if not request.expensive:
        _keep_to_budget(project, todo, status)
    with timed(spans, "fetch"):
        sources = fetch(project, todo)
    reasons = {d.action: d.reason for d in todo.to_run() if d.reason != NEW and not d.reason.startswith(WAITS)}
    delivery = (Delivery if project.part is None else PartDelivery)(
        project, todo.present, installer, status, reasons, keys=dict(todo.keys), spans=spans
    )
    look = None if request.offline or request.rebuild else lookup(project, todo, status)
    status.planned(Counter(project.graph.actions[d.action].stage for d in todo.to_run()))
    for decision in todo.to_run():
        status.expected(decision.action, decision.reason)
    for decision in todo.decisions.values():
        if decision.verdict == "reuse" and decision.action in chosen and decision.outputs:
            delivery.receive(project.graph.actions[decision.action], decision.key, decision.outputs)
    try:
        result = run(
            project.graph,
            todo,
            project.store,
            project.stages,
            sources,
            replace(request.options, workers=1) if _heavy(project) else request.options,
            status,
            delivery.receive if not request.checks else _kept_in_the_store,
            fresh=todo.again,
            look=look,
        )
    except BaseException as error:
        if isinstance(error, SpritebuildError | KeyboardInterrupt) and not isinstance(error, MachineError):
            with machine_errors():
                project.store.commit()
                delivery.deliver()
                delivery.write_lock()
        raise
    with machine_errors():
        delivery.deliver()
        whole = not request.targets
        if whole and not result.failed:
            delivery.remove_stale()
        delivery.write_lock()
        _remember(project, todo, result, whole=whole)
        with timed(spans, "store"):
            project.store.settle()
    if result.ran and not request.offline and project.quality is None:
        _share(project, chosen, status)
    if project.quality is not None:
        said = tiers.words(project.spritefile.quality, project.quality)
        status.message(f"{said}; assets are below {project.home.relative_to(project.root)}")
    _tell_undecided(project, chosen, delivery, status)
    _raise_failures(result)
    if look is not None:
        look.shared.raise_faults()
    delivery.raise_refusals()
    if whole and project.quality is None:
        _remember_idle(project, delivery)
    return _summary(started, ran=len(result.ran), installed=delivery.installed, removed=delivery.removed)


def _keep_to_budget(project: Project, todo: Plan, status: Status) -> None:
    if project.spritefile.budget != Budget():
        from spritebuild.cost import keep_to_budget

        for dark in keep_to_budget(project, todo):
            status.warning(f"[budget] cannot tell {dark}")


def _share(project: Project, chosen: frozenset[str], status: Status) -> None:
    """Push what was made, where the spritefile says that builds do so and this one may."""
    said = declared(project)
    if said is not None and writes_after_builds(said):
        try:
            with machine_errors():
                shared = share(project, plan(project.graph, project.known, chosen), said, status)
        except Unreachable as why:
            status.warning(f"the shared store cannot be reached, so nothing was pushed: {why}")
        else:
            status.message(f"to the shared store: {shared.count.words()}")


def _kept_in_the_store(action: Action, key: str | None, outputs: Mapping[str, str]) -> None:
    """What is made for a check is not installed."""


def _tell_undecided(project: Project, chosen: Collection[str], delivery: Delivery, status: Status) -> None:
    """Say which of the chosen sprites somebody should pick a candidate of."""
    if project.graph.candidates:
        asked = {project.graph.actions[id].target for id in chosen if project.graph.actions[id].candidate is not None}
        left = [target for target in picks.undecided(project.graph, delivery.entries) if target in asked]
        if said := picks.words(left):
            status.message(said)


def _places(locked: lock.Lock) -> list[str]:
    return [place for entry in locked.values() for place in entry.installed()]


def _heavy(project: Project) -> bool:
    """Whether a second worker's copy of the models would strain this machine's memory."""
    return sum(pin.size for pin in project.pins.values()) > HEAVY


def fetch(project: Project, todo: Plan) -> dict[str, Path]:
    """The verified paths of every pinned and project file that the actions of a plan may read."""
    declarations = project.declarations()
    found: dict[str, Path] = {}
    for decision in todo.to_run():
        for _, source in project.graph.actions[decision.action].sources():
            if source.name in found:
                continue
            if source.name in declarations:
                found[source.name] = project.remote.fetch(project.pins[source.name], declarations[source.name])
            else:
                found[source.name] = project.root / source.name
    return found


def require_locked(project: Project) -> None:
    """Raise LockError unless the lock says what the spritefile says."""
    stale = [
        f"{path}: {'its declaration changed' if path in project.known.lock else 'not in the lock'}"
        for id in project.graph.finals
        for _, path in project.graph.actions[id].installs
        if (entry := project.known.lock.get(path)) is None or entry.recipe != project.graph.actions[id].recipe
    ]
    known = {path for id in project.graph.finals for _, path in project.graph.actions[id].installs}
    locked = project.known.lock.items()
    stale += [f"{path}: no longer declared" for path, entry in locked if entry.digest and path not in known]
    if stale:
        raise LockError(
            "the lock is stale",
            where=lock.PATH,
            facts=[("", line) for line in stale[:10]],
            hint="run `spritebuild build` and commit the lock",
        )


def _adopt(project: Project, todo: Plan) -> None:
    """Store those installed assets that the store has lost and that an action, or whoever locks them, will read."""
    at_hand = {found: path for path, found in todo.present.items()}
    running = {decision.action for decision in todo.to_run()}
    for decision in todo.decisions.values():
        if decision.verdict != "reuse" or decision.outputs is None or decision.action in project.graph.made:
            continue
        installs = project.graph.actions[decision.action].installs
        entries = [(project.known.lock.get(path), decision.outputs[name]) for name, path in installs]
        new = any(entry is None or entry.digest != made for entry, made in entries)
        if new or running.intersection(project.graph.consumers.get(decision.action, ())):
            for name in decision.outputs.values():
                if name in at_hand and not project.store.has(name):
                    with machine_errors():
                        _take_back(project, at_hand[name])


def _take_back(project: Project, path: str) -> None:
    """Store an installed asset, of a folder all its files."""
    if not lock.is_folder(path):
        project.store.put((project.home / path).read_bytes())
        return
    entry = project.known.lock[path]
    places = zip(entry.files, entry.installed(), strict=True)
    files = {file: project.store.put((project.home / place).read_bytes()) for file, place in places}
    project.store.put(digest.canonical(files))


def _remember(project: Project, todo: Plan, result: Result, *, whole: bool) -> None:
    """Describe every action as it is declared now, for the reasons of later builds."""
    if project.part is None:
        before = project.store.described_keys()
    else:
        found = ((id, project.store.described_key(id)) for id in project.graph.actions)
        before = {id: key for id, key in found if key is not None}
    outputs = {**todo.outputs, **result.outputs}
    rows = {}
    for id, key in todo.keys.items():
        if id not in result.described and before.get(id) != key:
            inputs = input_digests(project.graph.actions[id], outputs)
            if inputs is not None:
                rows[id] = describe(project.graph.actions[id], key, inputs)
    gone = [id for id in before if id not in project.graph.actions] if whole else []
    project.store.describe({**rows, **result.described}.items(), gone)


def _raise_failures(result: Result) -> None:
    errors = list(result.failed.values())
    if not errors:
        return
    if len(errors) == 1 and not result.skipped:
        raise errors[0]
    worst = max(errors, key=lambda error: error.exit_code)
    raise type(worst)(
        f"{len(errors)} action{'s' * (len(errors) > 1)} failed, {len(result.skipped)} could not run",
        facts=[(id, error.message) for id, error in list(result.failed.items())[:20]],
        hint="everything else is built; the next build tries these again",
    )


def _remember_idle(project: Project, delivery: Delivery) -> None:
    """Let the next build say `nothing to do` at once; withheld wherever something changed while this one ran."""
    root = project.root
    if not (root / lock.PATH).exists():
        return
    spritefile = project.spritefile
    seen = {path: signature for path, (signature, _) in delivery.installer.files.known.items()}
    if project.part is not None:
        with machine_errors():
            record.renew(project, project.part, delivery.entries, seen, spritefile.files[0].path)
        return
    actions = project.graph.actions.values()
    read = {file.path: file.digest for file in spritefile.files}
    read |= {ref.name: ref.digest for action in actions for _, ref in action.sources() if ref.name not in project.pins}
    with machine_errors():
        if any(digest.of_file(root / path) != then for path, then in read.items()):
            return
        unused = [palette.file for palette in spritefile.palettes.values() if palette.file]
        unused += [folder for dataset in spritefile.datasets.values() for folder in _folders(root, dataset.path)]
        files = [*read, *unused, *project.declared_by, *_places(delivery.entries), *lock.files(root)]
        token = os.urandom(8).hex()
        record.record(project, delivery.entries, token)
        idle.remember(root, spritefile.include, files, {**seen, **project.declared_by}, files[0], token)


def _folders(root: Path, path: str | None) -> list[str]:
    """A dataset's folder and those in it: their signatures tell when a file comes or goes."""
    return [folder for folder, _, _ in os.walk(root / path)] if path is not None else []


def _summary(started: float, ran: int = 0, installed: int = 0, removed: int = 0) -> dict[str, Any]:
    return {"ran": ran, "installed": installed, "removed": removed, "seconds": round(time.monotonic() - started, 3)}
