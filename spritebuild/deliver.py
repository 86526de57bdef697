"""The end of the line: judges what is finished by the lock, installs it, and writes the lock; runs nothing."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from spritebuild import digest, lock
from spritebuild.check.looks import looks, same_looks
from spritebuild.errors import RegressionError
from spritebuild.files import machine_errors
from spritebuild.graph import Action
from spritebuild.install import Installer
from spritebuild.lock import Entry
from spritebuild.project import Project
from spritebuild.status import Status

INSTALL_EVERY = 1.0  # seconds: finished assets appear in the project while the build goes on


@dataclass
class Delivery:
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
        known = self.installer.recorded.keys() | self.project.known.lock.keys()
        for path in sorted(path for path in known if path not in made):
            if self.installer.remove(path):
                self.removed += 1
                self.status.removed(path)
            else:
                self.status.warning(f"{path} is no longer declared, but was edited by hand: it is left in place")
        self.entries = {path: entry for path, entry in self.entries.items() if path in made}

    def raise_regressions(self) -> None:
        """Raise RegressionError if anything came out unlike the lock."""
        if self.regressions:
            raise RegressionError(
                f"{len(self.regressions)} asset{'s' * (len(self.regressions) > 1)} came out unlike the lock",
                where=lock.PATH,
                facts=[("", path) for path in self.regressions[:20]],
                hint="same declaration, other picture: compare the machine with lockfiles/toolchain.lock. "
                "To take the new bytes, delete these lines from the lock and build",
            )

    def write_lock(self) -> None:
        """Write the lock, and what its platforms are, if that changes anything."""
        # The platforms first: an entry that is locked is not judged again, so nothing would ever add its platform.
        lock.write_platforms(self.project.root, self.platforms, self.entries.values(), self.project.store.scratch)
        lock.write(self.project.root, self.entries.values(), scratch=self.project.store.scratch)

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
