"""The straight line: spritefile -> load -> resolve -> plan -> fetch -> run -> check -> lock -> install."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from spritebuild import digest, idle, lock, pins
from spritebuild.check.looks import looks, same_looks
from spritebuild.errors import LockError, MachineError, RegressionError, SpritebuildError
from spritebuild.files import machine_errors
from spritebuild.graph import Action
from spritebuild.install import Installer
from spritebuild.lock import Entry
from spritebuild.plan import Plan, describe, input_digests, plan, targets
from spritebuild.project import Project, held
from spritebuild.run import Options, Result, run
from spritebuild.status import Status
from spritebuild.store import Damaged

HEAVY = 1_000_000_000  # bytes of weights
INSTALL_EVERY = 1.0  # seconds: finished assets appear in the project while the build goes on


@dataclass(frozen=True)
class Request:
    """What the user asked for."""

    targets: tuple[str, ...] = ()
    rebuild: bool = False
    locked: bool = False
    options: Options = field(default_factory=Options)


def build(path: Path, request: Request, status: Status) -> dict[str, Any]:
    """Build the targets of a spritefile; returns what was done, in numbers.

    Raises the first failure, or, with keep_going, the failures together once everything else is done.
    """
    started = time.monotonic()
    with held(path, status, locked=request.locked) as project:
        while True:
            try:
                return _build(project, request, status, started)
            except Damaged as damaged:
                status.warning(f"a damaged blob was set aside and will be made again: {damaged.digest[:12]}")


def _build(project: Project, request: Request, status: Status, started: float) -> dict[str, Any]:
    chosen = targets(project.graph, request.targets)
    if request.locked:
        require_locked(project)
    todo = plan(project.graph, project.known, chosen, rebuild=request.rebuild)
    installer = Installer(project.root, project.store, project.known.lock, project.known.files)
    for path, present in todo.present.items():
        installer.refuse_foreign(path, present)
    with machine_errors():
        idle.forget(project.root)
        project.store.fresh_scratch()
    _adopt(project, todo)
    sources = fetch(project, todo)
    delivery = _Delivery(project, todo.present, installer, status, keys=dict(todo.keys))
    status.planned(Counter(project.graph.actions[d.action].stage for d in todo.to_run()))
    for decision in todo.decisions.values():
        if decision.verdict == "reuse" and decision.action in chosen and decision.outputs:
            delivery.receive(project.graph.actions[decision.action], decision.key, decision.outputs)
    fresh = frozenset(d.action for d in todo.to_run()) if request.rebuild else frozenset[str]()
    try:
        result = run(
            project.graph,
            todo,
            project.store,
            project.stages,
            sources,
            replace(request.options, workers=1) if _heavy(project) else request.options,
            status,
            delivery.receive,
            fresh=fresh,
        )
    except BaseException as error:
        if isinstance(error, SpritebuildError | KeyboardInterrupt) and not isinstance(error, MachineError):
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
    _raise_failures(result, delivery)
    if whole:
        _remember_idle(project, installer)
    return _summary(started, ran=len(result.ran), installed=delivery.installed, removed=delivery.removed)


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
    stale += [f"{path}: no longer declared" for path in project.known.lock if path not in known]
    if stale:
        raise LockError(
            "the lock is stale",
            where=lock.PATH,
            facts=[("", line) for line in stale[:10]],
            hint="run `spritebuild build` and commit the lock",
        )


@dataclass
class _Delivery:
    """Checks what is finished against the lock, writes the lock, installs: the end of the line."""

    project: Project
    present: Mapping[str, str]
    installer: Installer
    status: Status
    entries: dict[str, Entry] = field(init=False)
    pending: dict[str, str] = field(default_factory=dict)
    regressions: list[str] = field(default_factory=list)
    platforms: dict[str, Mapping[str, str]] = field(default_factory=dict)
    made_on: dict[str, Mapping[str, str]] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    installed: int = 0
    removed: int = 0
    delivered: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.entries = dict(self.project.known.lock)

    def receive(self, action: Action, key: str | None, outputs: Mapping[str, str]) -> None:
        """An action's outputs are known: judge them by the lock, and install them before long."""
        if key is not None:
            self.keys[action.id] = key
        for name, path in action.installs:
            entry = self.entries.get(path)
            made = outputs[name]
            if entry is None or entry.recipe != action.recipe:
                self.entries[path] = lock.renewed(entry, self._entry(action, path, made))
            elif made != self.project.known.stand_ins.get(entry.digest, entry.digest) and made != entry.digest:
                here = looks(self.project.store.checked(made))
                if not same_looks(entry.looks, here) or entry.platform == self._platform(action):
                    self.regressions.append(path)
                    continue
                self.project.store.record_stand_in(entry.digest, made)
                self.status.message(f"{path}: same in looks, other platform")
            if self.present.get(path) != made:
                self.pending[path] = made
        if self.pending and time.monotonic() - self.delivered > INSTALL_EVERY:
            self.deliver()

    def deliver(self) -> None:
        """Install what is pending."""
        with machine_errors():
            for path, kept in self.installer.install(self.pending):
                if kept:
                    self.status.warning(f"{path} was edited by hand: the edited file is kept as {kept}")
                self.installed += 1
                self.status.installed(path)
        self.pending.clear()
        self.delivered = time.monotonic()

    def remove_stale(self) -> None:
        """Remove assets that the graph no longer makes, and their lock entries."""
        made = {path for action in self.project.graph.actions.values() for _, path in action.installs}
        for path in [path for path in self.installer.recorded if path not in made]:
            if self.installer.remove(path):
                self.removed += 1
                self.status.removed(path)
            else:
                self.status.warning(f"{path} is no longer declared, but was edited by hand: it is left in place")
        self.entries = {path: entry for path, entry in self.entries.items() if path in made}

    def write_lock(self) -> None:
        """Write the lock, and what its platforms are, if that changes anything."""
        lock.write(self.project.root, self.entries.values(), scratch=self.project.store.scratch)
        lock.write_platforms(self.project.root, self.platforms, self.entries.values(), self.project.store.scratch)

    def _entry(self, action: Action, path: str, made: str) -> Entry:
        platform = self._platform(action)
        seen = looks(self.project.store.checked(made)) if platform else {}
        return Entry(path, action.recipe, made, "", platform, seen)

    def _platform(self, action: Action) -> str:
        """The class of machine that an asset's bytes depend on: that of every accelerator stage upstream."""
        merged: dict[str, str] = {}
        for id in sorted(self.project.graph.upstream([action.id])):
            if self.project.stages[self.project.graph.actions[id].stage].device != "cpu":
                if id not in self.made_on:
                    trace = self.project.store.trace(self.keys[id]) if id in self.keys else None
                    self.made_on[id] = trace.provenance.get("platform", {}) if trace else {}
                merged |= self.made_on[id]
        if not merged:
            return ""
        name = digest.of_value(merged)[:12]
        self.platforms[name] = merged
        return name


def _adopt(project: Project, todo: Plan) -> None:
    """Store those installed assets that an action will read and that the store has lost."""
    at_hand = {found: path for path, found in todo.present.items()}
    running = {decision.action for decision in todo.to_run()}
    for decision in todo.decisions.values():
        if decision.verdict == "reuse" and running.intersection(project.graph.consumers.get(decision.action, ())):
            for name in (decision.outputs or {}).values():
                if name in at_hand and not project.store.has(name):
                    with machine_errors():
                        project.store.put((project.root / at_hand[name]).read_bytes())


def _remember(project: Project, todo: Plan, result: Result, *, whole: bool) -> None:
    """Describe every action as it is declared now, for the reasons of later builds."""
    before = project.store.described_keys()
    outputs = {**todo.outputs, **result.outputs}
    rows = {}
    for id, key in todo.keys.items():
        if id not in result.described and before.get(id) != key:
            inputs = input_digests(project.graph.actions[id], outputs)
            if inputs is not None:
                rows[id] = describe(project.graph.actions[id], key, inputs)
    gone = [id for id in before if id not in project.graph.actions] if whole else []
    project.store.describe({**rows, **result.described}.items(), gone)


def _raise_failures(result: Result, delivery: _Delivery) -> None:
    if result.failed:
        errors = list(result.failed.values())
        if len(errors) == 1 and not result.skipped:
            raise errors[0]
        kind = max(errors, key=lambda error: error.exit_code)
        raise type(kind)(
            f"{len(errors)} action{'s' * (len(errors) > 1)} failed, {len(result.skipped)} could not run",
            facts=[(id, error.message) for id, error in list(result.failed.items())[:20]],
            hint="everything else is built; the next build tries these again",
        )
    if delivery.regressions:
        raise RegressionError(
            f"{len(delivery.regressions)} asset{'s' * (len(delivery.regressions) > 1)} came out unlike the lock",
            where=lock.PATH,
            facts=[("", path) for path in delivery.regressions[:20]],
            hint="same declaration, other picture: compare the machine with lockfiles/toolchain.lock. "
            "To take the new bytes, delete these lines from the lock and build",
        )


def _remember_idle(project: Project, installer: Installer) -> None:
    """Let the next build say `nothing to do` at once; withheld wherever something changed while this one ran."""
    root = project.root
    if not (root / lock.PATH).exists():
        return
    spritefile = project.spritefile
    with machine_errors():
        if any(digest.of_file(root / file.path) != file.digest for file in spritefile.files):
            return
        palettes = [palette.file for palette in spritefile.palettes.values() if palette.file]
        files = [
            *(file.path for file in spritefile.files),
            *palettes,
            *(str(pins.path_of(root, name)) for name in project.pins),
            *(str(path) for path in project.stages.files()),
            *(path for action in project.graph.actions.values() for _, path in action.installs),
            *lock.files(root),
        ]
        seen = {path: signature for path, (signature, _) in installer.files.known.items()}
        idle.remember(root, spritefile.include, files, seen)


def _summary(started: float, ran: int = 0, installed: int = 0, removed: int = 0) -> dict[str, Any]:
    return {"ran": ran, "installed": installed, "removed": removed, "seconds": round(time.monotonic() - started, 3)}
