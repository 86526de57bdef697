"""What goes to workers elsewhere and what comes back: by content, through the shared store; knows no cluster."""

from __future__ import annotations

import queue
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spritebuild import digest
from spritebuild.errors import MachineError
from spritebuild.executor import Outcome, Tell, Work
from spritebuild.graph import Source
from spritebuild.project import Project
from spritebuild.shared.store import Shared
from spritebuild.shared.transport import LOCAL, Unreachable, at
from spritebuild.spritefile import SharedStore
from spritebuild.store import Damaged, Store

Message = dict[str, Any]


@dataclass(frozen=True)
class Setup:
    """What a driver says of a project. `own` is the folder of its stages, an artifact; `dvc` its configuration."""

    project: str
    url: str
    trusted: tuple[str, ...] | None
    threads: int
    own: str | None = None
    dvc: str | None = None


@dataclass(frozen=True)
class Order:
    """An action, by content: `inputs` are artifacts by name.

    `sources` are those of them that exist before the build, with the names of their files at home, whose suffixes may
    matter. `names` say what the user calls the inputs.
    """

    id: str
    key: str
    params: Mapping[str, Any]
    inputs: Mapping[str, str]
    sources: Mapping[str, str]
    names: Mapping[str, str]
    outputs: tuple[tuple[str, str], ...]
    fresh: bool = False


class Shipping:
    """What a driver sends: orders, and all that they read, as far as it is here and not known to be there."""

    def __init__(
        self,
        project: Project,
        said: SharedStore,
        trusted: Collection[str] | None,
        sources: Mapping[str, Path],
        threads: int,
    ) -> None:
        self.there: set[str] = set()  # artifacts that are known to be in the shared store
        self._project = project
        self._sources = sources
        self._shelf = Shelf(project)
        self._shared = Shared(at(said.url, project.root), said.url, self._shelf, trusted)
        dvc = project.root / ".dvc" / "config"
        own = project.stages.own
        self.setup = Setup(
            digest.of_bytes(str(project.root).encode())[:16],
            _from_anywhere(said.url, project.root),
            None if trusted is None else tuple(trusted),
            threads,
            self._shelf.folder(own) if own else None,
            dvc.read_text("utf-8") if dvc.is_file() else None,
        )

    def order(self, work: Work) -> Order:
        """An action by content."""
        action = work.action
        sources = dict(action.sources())
        return Order(
            action.id,
            work.key,
            action.params,
            {
                name: self._shelf.source(ref, self._sources[ref.name], self._project.pins.get(ref.name))
                if isinstance(ref, Source)
                else work.inputs[name]
                for name, ref in action.inputs
            },
            {name: self._sources[ref.name].name for name, ref in sources.items()},
            {
                name: ref.name if isinstance(ref, Source) else ref.action.partition(":")[0]
                for name, ref in action.inputs
            },
            action.outputs,
            work.fresh,
        )

    def ship(self, orders: Iterable[Order]) -> None:
        """Put into the shared store what the orders read."""
        wanted = {artifact for order in orders for artifact in order.inputs.values()}
        if self.setup.own:
            wanted.add(self.setup.own)
        wanted -= self.there
        if wanted:
            self._shared.push(self._shelf.blobs_of(wanted), {}, {})
            self.there |= wanted


def _from_anywhere(url: str, root: Path) -> str:
    """The address of the shared store as other machines know it."""
    scheme, _, path = url.rpartition("://")
    if scheme.lower() not in LOCAL:
        return url
    return str((root / Path(path).expanduser()).resolve())


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


class Pushing:
    """Puts results into the shared store while the next ones are made: as many at once as wait."""

    def __init__(self, shared: Shared) -> None:
        self.error: BaseException | None = None
        self._shared = shared
        self._made: queue.SimpleQueue[tuple[int, set[str], str, bytes] | None] = queue.SimpleQueue()
        self._told: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._push, name="pushing", daemon=True)
        self._thread.start()

    def put(self, index: int, names: set[str], key: str, document: bytes) -> None:
        """Something was made."""
        if self.error is not None:
            raise self.error
        self._made.put((index, names, key, document))

    def told(self) -> Iterator[Message]:
        """What can be told by now."""
        while not self._told.empty():
            yield self._told.get()

    def finish(self) -> None:
        """Wait until everything is there, or an error."""
        self._made.put(None)
        self._thread.join()

    def _push(self) -> None:
        over = False
        try:
            while not over:
                batch = [self._made.get()]
                while not self._made.empty():
                    batch.append(self._made.get())
                over = batch[-1] is None
                made = [each for each in batch if each is not None]
                names = {name for _, found, _, _ in made for name in found}
                documents = {key: document for _, _, key, document in made}
                self._shared.push(names, documents, {key: found for _, found, key, _ in made})
                for index, _, _, document in made:
                    self._told.put({"done": index, "trace": document.decode()})
        except BaseException as error:
            self.error = error
