"""Runs groups of actions on another machine, which has the shared store and nothing of the project; knows no cluster.

Everything comes by content: inputs, weights and a project's own stages are artifacts of the shared store, hashed when
they come. What a group gives is signed, put there, and only then told. Nothing here outlives its usefulness: whatever
is in this folder can be deleted while no worker runs.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import queue
import shutil
import socket
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spritebuild import __version__, digest
from spritebuild.elsewhere.shipping import Message, Order, Pushing, Setup
from spritebuild.errors import MachineError, PolicyError, SpritebuildError
from spritebuild.libraries import Libraries
from spritebuild.shared import signed
from spritebuild.shared.quick import URL
from spritebuild.shared.store import Shared
from spritebuild.shared.supply import KEY
from spritebuild.shared.transport import at
from spritebuild.stage import Context, Stage, Stages
from spritebuild.store import Store
from spritebuild.worker import bind, collected, failure

FOLDER = "SPRITEBUILD_WORKER_FOLDER"  # where a machine keeps what comes and what is unfinished
KEPT = 4 << 30  # bytes moved after which a worker begins with an empty store again
OWN = "stages"


def code() -> str:
    """What tells whether two machines have the same spritebuild: its version, and its stages' source."""
    files = {path.parent.name + "/" + path.name: digest.of_file(path) for path in Stages().files()}
    return digest.of_value([__version__, files])


@dataclass
class Outpost:
    """A worker's place on its machine: a store of its own, and one of weights and files that the machine shares."""

    setup: Setup
    stages: Stages | None = None
    placed: dict[tuple[str, str], str] = field(default_factory=dict)  # where sources lie, by artifact and file name
    called: dict[str, str] = field(default_factory=dict)  # what the user calls the inputs of a group, by their places
    platforms: dict[str, Mapping[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.secret = os.environ.get(KEY) or None
        self.machine = _folder() / self.setup.project
        self.machine.mkdir(parents=True, exist_ok=True)
        (self.machine / "probes").mkdir(exist_ok=True)
        self.root, self._held = _slot(self.machine)
        self.sources = Store(self.machine / "sources")
        self.libraries = Libraries()
        self.numbers = itertools.count()
        self._open()

    def _open(self) -> None:
        """Begin with an empty store."""
        shutil.rmtree(self.root, ignore_errors=True)
        self.root.mkdir()
        if self.setup.dvc is not None:
            (self.root / ".dvc").mkdir()
            (self.root / ".dvc/config").write_text(self.setup.dvc, "utf-8")
        url = os.environ.get(URL) or self.setup.url
        self.store = Store(self.root / "store")
        self.store.fresh_scratch()
        self.shared = Shared(at(url, self.root), url, self.store, self.setup.trusted)
        self.shared_sources = Shared(self.shared.place, url, self.sources, self.setup.trusted)

    def facts(self) -> Message:
        """Who this is, so that a driver can refuse it before it works in vain."""
        public = signed.public_of(self.secret) if self.secret else None
        return {"host": socket.gethostname(), "public": public, "code": code(), "version": __version__}

    def run(self, kind: str, orders: Sequence[Order]) -> Iterator[Message]:
        """Run a group; what is done is told once it is in the shared store, signed.

        `{"known" or "done": index, "trace": document}` for each action, `{"missing": index, "artifact"}` where an
        input is nowhere, `{"say"}`; in the end `{"end"}`, or `{"failed"}` for all that is left.
        """
        if self.shared.count.bytes > KEPT:
            self._open()
        self.called.clear()
        pushing = Pushing(self.shared)
        try:
            yield from self._run(kind, orders, pushing)
            last: Message = {"end": True}
        except Exception as error:
            last = failure(self._in_the_users_words(error))
        pushing.finish()
        yield from pushing.told()
        with contextlib.suppress(OSError):
            self.store.settle()
        yield failure(pushing.error) if pushing.error is not None else last

    def _run(self, kind: str, orders: Sequence[Order], pushing: Pushing) -> Iterator[Message]:
        left = dict(enumerate(orders))
        for index, document in self._known(left):
            del left[index]
            yield {"known": index, "trace": document.decode()}
        self._fetch(left.values())
        for index, artifact in [(i, lacking) for i, order in left.items() if (lacking := self._lacks(order))]:
            del left[index]
            yield {"missing": index, "artifact": artifact}
        if not left:
            return
        stage = self._stage(kind)
        said: queue.SimpleQueue[Message] = queue.SimpleQueue()
        context = Context(self.machine / "probes", self.setup.threads, lambda text: said.put({"say": text}))
        if kind not in self.platforms:
            self.platforms[kind] = dict(stage.platform(context))
        yield {"device": self.platforms[kind].get("gpu") or self.platforms[kind].get("device", "")}
        folders = {index: self._new_folder() for index in left}
        bound = [bind(stage, **self._prepared(stage, order, folders[index])) for index, order in left.items()]
        indices = list(left)
        started = time.monotonic()
        for number, notes in stage.run_batch(bound, context):
            index = indices[number]
            order = left[index]
            seconds = time.monotonic() - started
            outputs = collected(self.store, kind, order.outputs, folders[index])
            Path(folders[index]).rmdir()
            provenance = {
                "platform": self.platforms[kind],
                "seconds": round(seconds, 4),
                **(notes or {}),
                "versions": dict(self.libraries.of(type(stage).__module__)),
            }
            document = signed.write(order.key, order.id, outputs, provenance, self.secret)
            pushing.put(index, self._files(outputs.values()), order.key, document)
            if stage.resumable:
                shutil.rmtree(self.machine / "kept" / order.key, ignore_errors=True)
            yield from pushing.told()
            while not said.empty():
                yield said.get()
            started = time.monotonic()

    # What is there already

    def _known(self, orders: Mapping[int, Order]) -> list[tuple[int, bytes]]:
        """Actions that somebody ran, if all that they gave is still in the shared store, with their signed traces."""
        asked = {order.key: index for index, order in orders.items() if not order.fresh}
        traces = self.shared.traces(asked)
        self.shared.raise_faults()
        if not traces:
            return []
        there = self.shared.there({name for trace in traces.values() for name in trace.outputs.values()})
        found = []
        for key, trace in traces.items():
            order = orders[asked[key]]
            if there.issuperset(trace.outputs.values()) and trace.outputs.keys() == {name for name, _ in order.outputs}:
                said = signed.write(key, order.id, dict(trace.outputs), dict(trace.provenance), self.secret)
                found.append((asked[key], said))
        return found

    # What comes

    def _fetch(self, orders: Iterable[Order]) -> None:
        """Bring the inputs here: those that other actions made for this worker alone, the others for the machine."""
        made: set[str] = set()
        sources = {(self.setup.own, OWN)} if self.setup.own else set()
        for order in orders:
            for name, artifact in order.inputs.items():
                if name in order.sources:
                    sources.add((artifact, order.sources[name]))
                else:
                    made.add(artifact)
        self.shared.fetch({name for name in made if not self.store.has(name)})
        self._place(sources - self.placed.keys())
        for shared in (self.shared, self.shared_sources):
            shared.raise_faults()

    def _place(self, sources: set[tuple[str, str]]) -> None:
        if not sources:
            return
        with (self.machine / "sources.lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # the kernel gives it back, however this ends
            self.shared_sources.fetch({artifact for artifact, _ in sources})
            self.sources.settle()
            for artifact, name in sources:
                if self.sources.has(artifact):
                    path = self.sources.checked(artifact)
                    self.placed[artifact, name] = path if artifact.endswith("/") else self._named(artifact, path, name)

    def _named(self, artifact: str, path: str, name: str) -> str:
        """A file under the name that it has at home."""
        named = self.machine / "named" / artifact / name
        named.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            if digest.of_file(named) == artifact:
                return str(named)
            named.unlink()
        try:
            named.hardlink_to(path)
        except OSError:
            shutil.copyfile(path, named)
        return str(named)

    def _lacks(self, order: Order) -> str | None:
        """An input that is nowhere."""
        for name, artifact in order.inputs.items():
            known = (
                (artifact, order.sources[name]) in self.placed if name in order.sources else self.store.has(artifact)
            )
            if not known:
                return artifact
        return None

    def _stage(self, kind: str) -> Stage:
        if self.stages is None:
            own = self.setup.own
            if own is not None and (own, OWN) not in self.placed:
                raise MachineError("the project's own stages are not in the shared store", where=self.shared.url)
            self.stages = Stages(Path(self.placed[own, OWN]) if own else None)
        return self.stages[kind]

    def _new_folder(self) -> str:
        folder = f"{self.store.scratch}/{next(self.numbers)}"
        Path(folder).mkdir()
        return folder

    def _prepared(self, stage: Stage, order: Order, folder: str) -> dict[str, Any]:
        inputs = {
            name: self.placed[artifact, order.sources[name]] if name in order.sources else self.store.checked(artifact)
            for name, artifact in order.inputs.items()
        }
        self.called |= {path: order.names[name] for name, path in inputs.items()}
        prepared: dict[str, Any] = {
            "params": dict(order.params),
            "inputs": inputs,
            "outputs": {name: f"{folder}/{file}" for name, file in order.outputs},
        }
        if stage.resumable:
            prepared["kept"] = str(self.machine / "kept" / order.key)
            prepared["watched"] = str(self.machine / "watched" / order.key[:12])
        return prepared

    def _in_the_users_words(self, error: Exception) -> Exception:
        if isinstance(error, SpritebuildError):
            for path, name in self.called.items():
                error.message = error.message.replace(path, name)
        return error

    # What goes

    def _files(self, artifacts: Iterable[str]) -> set[str]:
        found: set[str] = set()
        for artifact in artifacts:
            found.add(artifact.rstrip("/"))
            if artifact.endswith("/"):
                found |= {*self.store.listed(artifact).values()}
        return found


def _folder() -> Path:
    """Where this machine keeps things: nobody else's folder, whatever its name."""
    said = os.environ.get(FOLDER)
    if said:
        return Path(said).absolute()
    folder = Path(tempfile.gettempdir()) / f"spritebuild-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    stat = folder.lstat()
    if stat.st_uid != os.getuid() or stat.st_mode & 0o077 or not folder.is_dir() or folder.is_symlink():
        hint = f"set {FOLDER} to a folder of your own on this machine's disk"
        raise PolicyError("others may write there", where=str(folder), hint=hint)
    return folder


def _slot(machine: Path) -> tuple[Path, int]:
    """A folder that no other worker of this machine has, and the lock on it for as long as we live."""
    for number in itertools.count():
        descriptor = os.open(machine / f"worker-{number}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            continue
        return machine / f"worker-{number}", descriptor
    raise AssertionError
