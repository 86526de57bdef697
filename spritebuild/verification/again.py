"""Makes known actions ready to run again, each by itself, on the known bytes of its inputs; runs and compares nothing.

An input that another action makes becomes a Source of the known digest, so that no action waits for another, and every
key stays as it is.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from spritebuild import lock
from spritebuild.build import HEAVY
from spritebuild.errors import MachineError
from spritebuild.graph import Action, Source
from spritebuild.plan import Plan, input_digests
from spritebuild.project import Project
from spritebuild.store import LARGE, Damaged
from spritebuild.verification.varied import Task

UNBUILT = "not built here as it is declared now"
WITHOUT_INPUTS = "its inputs are not in the store"


@dataclass(frozen=True)
class Known:
    """What is known of an action by its trace or, where there is none, by the lock; `ready` is it to be run again.

    `platform` is the class of machine whose bytes are known, empty for pure work on the CPU.
    """

    action: Action
    key: str
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    platform: Mapping[str, str]
    versions: Mapping[str, str]
    ready: Action


class NotReady(Exception):  # noqa: N818 - becomes a verdict
    """An action cannot be verified, and why; `damaged` says that a blob was."""

    def __init__(self, why: str, *, damaged: bool = False) -> None:
        super().__init__(why)
        self.damaged = damaged


@dataclass
class Preparation:
    """Looks up what is known, and puts inputs at places other than those of a build."""

    project: Project
    decided: Plan  # of everything that may be asked for
    folder: Path
    places: dict[str, str] = field(default_factory=dict)
    at_hand: dict[str, str] = field(default_factory=dict)  # installed assets by digest

    def __post_init__(self) -> None:
        self.at_hand = {found: path for path, found in self.decided.present.items()}

    def known(self, action: Action) -> Known:
        """The action, ready to run again. Raises NotReady."""
        key, outputs = self.decided.keys.get(action.id), self.decided.outputs.get(action.id)
        inputs = input_digests(action, self.decided.outputs)
        if outputs is None:
            raise NotReady(UNBUILT)
        if key is None or inputs is None:
            raise NotReady(WITHOUT_INPUTS)
        trace = self.project.store.trace(key)
        platform: Mapping[str, str]
        if trace is not None:
            outputs, platform = trace.outputs, lock.class_of(trace.provenance)
            versions = trace.provenance.get("versions", {})
        else:
            platform, versions = self._class_in_the_lock(action), {}
        for name, made in outputs.items():
            if self.project.store.has(made):
                self._check(made, f"its output {name}")
        return Known(action, key, inputs, outputs, platform, versions, self._ready(action, inputs))

    def bytes_of(self, name: str) -> Path | None:
        """Where the known bytes of an output lie, if they are still here."""
        if self.project.store.has(name):
            return self._checked(name, "an output")
        return self._installed(name) if name in self.at_hand else None

    def _installed(self, name: str) -> Path:
        """The asset of that digest, as it lies in the project; a folder's files are gathered from where they are."""
        path, root = self.at_hand[name], self.project.root
        if not lock.is_folder(path):
            return root / path
        gathered = self.folder / "installed" / name
        if not gathered.exists():
            entry = self.project.known.lock[path]
            for file, place in zip(entry.files, entry.installed(), strict=True):
                (gathered / file).parent.mkdir(parents=True, exist_ok=True)
                (gathered / file).symlink_to(root / place)
        return gathered

    def _class_in_the_lock(self, action: Action) -> Mapping[str, str]:
        if self.project.stages[action.stage].device == "cpu":
            return {}  # the lock's is of all that an asset is made of
        entries = [entry for _, path in action.installs if (entry := self.project.known.lock.get(path))]
        return lock.read_platforms(self.project.root).get(entries[0].platform, {}) if entries else {}

    def _ready(self, action: Action, inputs: Mapping[str, str]) -> Action:
        found = []
        for name, ref in action.inputs:
            place = self._source(ref) if isinstance(ref, Source) else self._blob(inputs[name], name)
            found.append((name, Source(place, inputs[name])))
        return replace(action, inputs=tuple(found))

    def _check(self, name: str, what: str) -> None:
        """Hash bytes; a folder's files where they are, for to put it together would touch those that are installed."""
        if name[-1:] != "/":
            self._checked(name, what)
            return
        self._checked(name[:-1], what)
        for member in self.project.store.listed(name).values():
            self._checked(member, what)

    def _checked(self, name: str, what: str) -> Path:
        try:
            return Path(self.project.store.checked(name))
        except Damaged as error:
            why = f"the blob {error.digest[:12]} of {what} is damaged, and was set aside"
            raise NotReady(why, damaged=True) from None

    def _blob(self, name: str, input: str) -> str:
        if name not in self.places:
            if self.project.store.has(name):
                found = self._checked(name, f"its input {input}")
            elif name in self.at_hand:
                found = self._installed(name)
            else:
                raise NotReady(WITHOUT_INPUTS)
            self.places[name] = _placed(found, self.folder / "made" / name.rstrip("/"))
        return self.places[name]

    def _source(self, ref: Source) -> str:
        if ref.name not in self.places:
            declarations = self.project.declarations()
            if ref.name in declarations:
                try:
                    found = self.project.remote.fetch(self.project.pins[ref.name], declarations[ref.name])
                except MachineError as error:
                    raise NotReady(f"{ref.name}: {error.message}") from error
                place = self.folder / "pinned" / ref.name / found.name
            else:
                found, place = self.project.root / ref.name, self.folder / "project" / ref.name
            self.places[ref.name] = _placed(found, place)
        return self.places[ref.name]


def tasks(project: Project, folder: Path, known: Mapping[str, Known], jobs: int, threads: int) -> Iterator[Task]:
    """The actions by how many threads they are to have: those of their class, or, where it names none, any number."""
    groups: dict[tuple[int, bool], list[tuple[Action, str]]] = {}
    for each in known.values():
        declared = each.platform.get("threads", "")
        number = int(declared) if declared.isdecimal() else threads
        groups.setdefault((number, not declared), []).append((each.ready, each.key))
    workers = 1 if sum(pin.size for pin in project.pins.values()) > HEAVY else None
    for (number, free), actions in groups.items():
        yield Task(folder, project.stages.own, actions, jobs, workers, number, free)


def _placed(path: Path, place: Path) -> str:
    """Bytes at another place: a copy, or a link to what is large; a second name would change the file's ctime."""
    place.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir() or path.stat().st_size >= LARGE:
        place.symlink_to(path.absolute())
    else:
        shutil.copyfile(path, place)
    return str(place)
