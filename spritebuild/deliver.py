"""The end of the line: judges what is finished by the lock, installs it, and writes the lock; runs nothing."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from spritebuild import digest, lock
from spritebuild.check.looks import looks_of, same_looks
from spritebuild.errors import PolicyError, RegressionError
from spritebuild.files import machine_errors
from spritebuild.graph import Action
from spritebuild.install import Installer
from spritebuild.lock import Entry
from spritebuild.project import Project
from spritebuild.spans import Spans, timed
from spritebuild.status import Status

INSTALL_EVERY = 1.0  # seconds: finished assets appear in the project while the build goes on


@dataclass
class Delivery:
    """Checks what is finished against the lock, writes the lock, installs: the end of the line."""

    project: Project
    present: Mapping[str, str]
    installer: Installer
    status: Status
    reasons: Mapping[str, str]  # why actions ran, by their ids
    entries: dict[str, Entry] = field(init=False)
    pending: dict[str, str] = field(default_factory=dict)
    unseen: dict[str, str] = field(default_factory=dict)  # outputs whose entries lack their looks, by path
    regressions: list[str] = field(default_factory=list)
    refused: list[PolicyError] = field(default_factory=list)
    platforms: dict[str, Mapping[str, str]] = field(default_factory=dict)
    made_on: dict[str, Mapping[str, str]] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    spans: Spans | None = None
    installed: int = 0
    removed: int = 0
    delivered: float = field(default_factory=time.monotonic)
    owners: dict[str, str] = field(init=False)  # who makes a file, by its path in lower case

    def __post_init__(self) -> None:
        actions = self.project.graph.actions.values()
        self.owners = {path.lower(): action.target for action in actions for _, path in action.installs}
        self.entries = dict(self.project.known.lock)

    def receive(self, action: Action, key: str | None, outputs: Mapping[str, str]) -> None:
        """An action's outputs are known: judge them by the lock, and install them before long."""
        if key is not None:
            self.keys[action.id] = key
        for name, path in action.installs:
            entry = self.entries.get(path)
            made = outputs[name]
            agreed = entry is not None and entry.recipe == action.recipe
            known = (entry.digest, self.project.known.stand_ins.get(entry.digest)) if entry else ()
            other = agreed and made not in known
            if entry and other and not self._stands_in(entry, action, made):
                self.regressions.append(path)
                continue
            try:
                files = self._files(action, path, made) if self.present.get(path) != made else {}
                for place in files:
                    self.installer.check_way(place)
            except PolicyError as error:
                self.refused.append(error)  # the others are none the worse for it
                continue
            if not agreed:
                self.entries[path] = lock.renewed(entry, self._entry(action, path, made), self._why(action, entry))
            elif entry and other:
                self.project.store.record_stand_in(entry.digest, made)
                self.status.message(f"{path}: same in looks, other platform")
            self.pending |= files
            self.status.made(path, made)
        if (self.pending or self.unseen) and time.monotonic() - self.delivered > INSTALL_EVERY:
            self.deliver()

    def deliver(self) -> None:
        """Install what is pending, and look at what is new, all of it at once: that is cheaper than one by one."""
        with machine_errors(), timed(self.spans, "install"):
            for path, seen in self._looks(self.unseen).items():
                self.entries[path] = replace(self.entries[path], looks=seen)
            self.unseen.clear()
            for path, kept in self.installer.install(self.pending):
                if kept:
                    self.status.warning(f"{path} was edited by hand: the edited file is kept as {kept}")
                self.installed += 1
                self.status.installed(path)
        self.pending.clear()
        self.delivered = time.monotonic()

    def remove_stale(self) -> None:
        """Remove assets that the graph no longer makes, and their lock entries."""
        assets = {path for action in self.project.graph.actions.values() for _, path in action.installs}
        made = {path for asset in assets & self.entries.keys() for path in self.entries[asset].installed()}
        locked = {path for entry in self.project.known.lock.values() for path in entry.installed()}
        known = self.installer.recorded.keys() | locked
        for path in sorted(path for path in known if path not in made):
            if self.installer.remove(path):
                self.removed += 1
                self.status.removed(path)
            else:
                self.status.warning(f"{path} is no longer declared, but was edited by hand: it is left in place")
        kept = {path: entry if path in assets else lock.gone(entry) for path, entry in self.entries.items()}
        self.entries = {path: entry for path, entry in kept.items() if entry is not None}
        chosen = {
            path
            for action in self.project.graph.actions.values()
            if action.target in self.project.graph.candidates
            for _, path in action.installs
        }
        for path in [path for path, entry in self.entries.items() if entry.pick and path not in chosen]:
            self.entries[path] = replace(self.entries[path], pick={})

    def raise_refusals(self) -> None:
        """Raise PolicyError if anything could not be installed, RegressionError if anything is unlike the lock."""
        if len(self.refused) > 1:
            facts = [(str(error.where or ""), error.message) for error in self.refused[:20]]
            raise PolicyError(
                f"{len(self.refused)} assets could not be installed", facts=facts, hint=self.refused[0].hint
            )
        if self.refused:
            raise self.refused[0]
        if self.regressions:
            raise RegressionError(
                f"{len(self.regressions)} asset{'s' * (len(self.regressions) > 1)} came out unlike the lock",
                where=lock.PATH,
                facts=[("", path) for path in self.regressions[:20]],
                hint="same declaration, other picture: compare the machine with lockfiles/toolchain.lock. "
                "To take the new bytes, delete these lines from the lock, build, and approve them anew",
            )

    def write_lock(self) -> None:
        """Write the lock, and what its platforms are, if that changes anything."""
        # The platforms first: an entry that is locked is not judged again, so nothing would ever add its platform.
        lock.write_platforms(self.project.home, self.platforms, self.entries.values(), self.project.store.scratch)
        lock.write(self.project.home, self.entries.values(), scratch=self.project.store.scratch)

    def _entry(self, action: Action, path: str, made: str) -> Entry:
        known, platform = self.project.known.lock.get(path), self._platform(action)
        if known is not None and known.digest == made:  # nothing to look at, and perhaps nothing in the store to see
            return Entry(path, action.recipe, made, "", platform, known.looks, known.files)
        self.unseen[path] = made
        files = self.project.store.listed(made) if lock.is_folder(path) else {}
        return Entry(path, action.recipe, made, "", platform, files=files)

    def _why(self, action: Action, entry: Entry | None) -> list[str]:
        """Why an approved asset is made anew: what was changed of it and what it is made of, or that it was picked."""
        if entry is None or not entry.approved:
            return []
        ran = [self.reasons[id] for id in sorted(self.project.graph.upstream([action.id])) if self.reasons.get(id)]
        if ran or action.candidate is None:
            return ran
        picked = any(entry.pick for _, path in action.installs if (entry := self.entries.get(path)) is not None)
        return [f"seed {action.candidate} was picked" if picked else f"nobody picked: seed {action.candidate} is first"]

    def _stands_in(self, entry: Entry, action: Action, made: str) -> bool:
        """Whether bytes of another platform may stand in for the locked ones: they look the same."""
        if entry.platform == self._platform(action):
            return False
        return _alike(entry.path, entry.looks, self._looks({entry.path: made})[entry.path])

    def _looks(self, outputs: Mapping[str, str]) -> dict[str, dict[str, Any]]:
        """The looks of outputs, by path; of a folder's pictures, by file."""
        store = self.project.store
        files = {
            path: {"": made} if not lock.is_folder(path) else dict(store.listed(made)) for path, made in outputs.items()
        }
        seen = looks_of(store.content(name) for names in files.values() for name in names.values())
        found = {path: {file: next(seen) for file in names} for path, names in files.items()}
        return {
            path: {file: looks for file, looks in each.items() if looks} if lock.is_folder(path) else each[""]
            for path, each in found.items()
        }

    def _files(self, action: Action, path: str, made: str) -> dict[str, str]:
        """What to install for an asset: itself, or those files of a folder that are not in place.

        Raises PolicyError where a file of a folder is not one that its glob covers, or is somebody else's.
        """
        if not lock.is_folder(path):
            return {path: made}
        entry = self.entries.get(path)
        files = entry.files if entry is not None and entry.digest == made else self.project.store.listed(made)
        found = lock.placed(path, files)
        for place in found:
            owner = self.owners.setdefault(place.lower(), action.target)
            if owner != action.target or not place.startswith(path[:-1]):
                fault = f"is also made by {owner}" if owner != action.target else f"does not belong to {path}"
                hint = "give one of them another name, category or path"
                raise PolicyError(fault, where=place, facts=[("made by", action.target)], hint=hint)
        return {place: name for place, name in found.items() if self.project.known.asset(place) != name}

    def _platform(self, action: Action) -> str:
        """The class of machine that an asset's bytes depend on: that of every accelerator stage upstream."""
        merged: dict[str, str] = {}
        for id, stage in sorted(self._makers(action).items()):
            if self.project.stages[stage].device != "cpu":
                if id not in self.made_on:
                    key = self._key(id)
                    trace = self.project.store.trace(key) if key else None
                    self.made_on[id] = lock.class_of(trace.provenance) if trace else {}
                merged |= self.made_on[id]
        if not merged:
            return ""
        name = digest.of_value(merged)[:12]
        self.platforms[name] = merged
        return name

    def _makers(self, action: Action) -> Mapping[str, str]:
        """The stage of an action and of all that it needs, however far, by the action's id."""
        actions = self.project.graph.actions
        return {id: actions[id].stage for id in self.project.graph.upstream([action.id])}

    def _key(self, id: str) -> str | None:
        """The key of an action that is finished, if it is known."""
        return self.keys.get(id)


def _alike(path: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether an asset still looks as it did; of a folder, every picture. What is no picture follows from those."""
    if not lock.is_folder(path):
        return same_looks(old, new)
    return old.keys() == new.keys() and all(same_looks(old[file], new[file]) for file in old) and bool(old)
