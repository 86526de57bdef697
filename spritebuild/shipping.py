"""What goes to workers elsewhere and what comes back: by content, through the shared store; knows no cluster."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from spritebuild import digest
from spritebuild.errors import MachineError
from spritebuild.executor import Outcome, Tell
from spritebuild.graph import Source
from spritebuild.project import Project
from spritebuild.shared import Shared
from spritebuild.spritefile import SharedStore
from spritebuild.store import Damaged, Store
from spritebuild.transport import Unreachable, at


class Shelf(Store):
    """The project's store, and what lies in the project and its caches beside it, by content; only read."""

    def __init__(self, project: Project) -> None:
        super().__init__(project.store.root)
        self.scratch = project.store.root / "shipping"
        self.files_of = project.known.files
        self.inner = project.store
        self.places: dict[str, Path] = {}
        self.members: dict[str, frozenset[str]] = {}
        self.known: dict[str, str] = {}

    def checked(self, name: str) -> str:
        """The path of a blob, wherever it lies. Raises Damaged."""
        path = self.places.get(name)
        if path is None:
            return self.inner.checked(name)
        try:
            if self.files_of.of(path) == name:
                return str(path)
        except OSError:
            pass
        raise Damaged(name)

    def source(self, ref: Source, path: Path, pin: Any) -> str:
        """A source's name as an artifact."""
        if ref.name not in self.known:
            if pin is None or not pin.folder:
                self.places[ref.digest] = path
                self.known[ref.name] = ref.digest
            else:
                self.known[ref.name] = self._listed({file: (path / file, sha256) for file, _, sha256 in pin.files})
        return self.known[ref.name]

    def folder(self, path: Path) -> str:
        """The name of a folder of the project as an artifact: all that it holds but bytecode."""
        found = [file for file in sorted(path.rglob("*")) if file.is_file() and "__pycache__" not in file.parts]
        return self._listed({file.relative_to(path).as_posix(): (file, self.files_of.of(file)) for file in found})

    def _listed(self, files: Mapping[str, tuple[Path, str]]) -> str:
        listing = {name: found for name, (_, found) in files.items()}
        self.places |= {found: file for file, found in files.values()}
        data = digest.canonical(listing)
        name = self.inner.put(data) + "/"
        self.members[name] = frozenset(listing.values())
        return name

    def blobs_of(self, artifacts: Iterable[str]) -> set[str]:
        """The blobs of artifacts, as far as they are here."""
        found: set[str] = set()
        for name in artifacts:
            found.add(name.rstrip("/"))
            if name in self.members:
                found |= self.members[name]
            elif name.endswith("/") and self.inner.has(name):
                found |= {*self.inner.listed(name).values()}
        return found


class Bringing:
    """Brings what is wanted here, many at a time, and tells of it then."""

    def __init__(self, project: Project, said: SharedStore, trusted: Any, tell: Tell) -> None:
        self.shared = Shared(at(said.url, project.root), said.url, project.store, trusted)
        self.tell = tell
        self._outcomes: queue.SimpleQueue[Outcome | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def put(self, outcome: Outcome) -> None:
        """What was made is wanted here."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._bring, name="bringing", daemon=True)
            self._thread.start()
        self._outcomes.put(outcome)

    def stop(self) -> None:
        """Finish what is on its way."""
        if self._thread is not None:
            self._outcomes.put(None)
            self._thread.join()
            self._thread = None

    def _bring(self) -> None:
        over = False
        while not over:
            batch = [self._outcomes.get()]
            while not self._outcomes.empty():
                batch.append(self._outcomes.get())
            over = None in batch
            outcomes = [outcome for outcome in batch if outcome is not None and outcome.trace is not None]
            try:
                names = {name for outcome in outcomes for name in outcome.trace.outputs.values()}  # type: ignore[union-attr]
                self.shared.fetch(names, commit=False)
                self.shared.raise_faults()
            except Unreachable as why:
                hint = "check the address, the network and the credentials; what was made is there, so build again"
                self.tell("broke", MachineError(f"the shared store cannot be reached: {why}", hint=hint))
                return
            except BaseException as error:
                self.tell("broke", error)
                return
            for outcome in outcomes:
                self.tell("outcome", self._checked(outcome))

    def _checked(self, outcome: Outcome) -> Outcome:
        assert outcome.trace is not None
        for name in outcome.trace.outputs.values():
            if not self.shared.store.has(name):
                return Outcome(outcome.id, error=Damaged(name))
        return outcome
