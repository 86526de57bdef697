"""A project as it lies on the disk, loaded and resolved, and the lock that lets one build at a time change it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from spritebuild import digest, idle, lock
from spritebuild.files import machine_errors
from spritebuild.graph import Graph
from spritebuild.pins import Pin
from spritebuild.plan import Known
from spritebuild.remote import Declaration, Remote, pinned
from spritebuild.resolve import resolve
from spritebuild.spritefile import Spritefile, load
from spritebuild.stage import Stages
from spritebuild.status import Status
from spritebuild.store import Store


@dataclass(frozen=True)
class Project:
    """A project, loaded and resolved; nothing of it has been run or changed."""

    spritefile: Spritefile
    graph: Graph
    stages: Stages
    pins: Mapping[str, Pin]
    known: Known
    remote: Remote

    @property
    def root(self) -> Path:
        return self.spritefile.root

    @property
    def store(self) -> Store:
        return self.known.store

    def declarations(self) -> dict[str, Declaration]:
        """The tables whose bytes are pinned, by name as `models.mini`."""
        return _declarations(self.spritefile)


@contextlib.contextmanager
def opened(path: Path, *, locked: bool = False) -> Iterator[Project]:
    """Load and resolve the project of a spritefile; closes its store in the end."""
    spritefile = load(path)
    stages = Stages(spritefile.root / spritefile.project.stages if spritefile.project.stages else None)
    with machine_errors():
        store = Store(idle.state_folder(spritefile.root))
        try:
            files = digest.Files(store.files())
            sources = Remote(spritefile.root, store.root / "models", files)
            pins = pinned(sources, _declarations(spritefile), locked=locked)
            graph = resolve(spritefile, stages, pins, files)
            known = Known(str(spritefile.root), lock.read(spritefile.root), store, files, store.stand_ins())
            yield Project(spritefile, graph, stages, pins, known, sources)
            store.record_files(files.fresh)
            store.close()
        finally:
            store.abandon()


@contextlib.contextmanager
def pinning(path: Path) -> Iterator[tuple[Remote, dict[str, Declaration]]]:
    """The sources of a project and what it pins; nothing is resolved."""
    spritefile = load(path)
    with machine_errors():
        store = Store(idle.state_folder(spritefile.root))
        try:
            files = digest.Files(store.files())
            yield Remote(spritefile.root, store.root / "models", files), _declarations(spritefile)
            store.record_files(files.fresh)
            store.close()
        finally:
            store.abandon()


@contextlib.contextmanager
def alone(root: Path, status: Status) -> Iterator[None]:
    """Hold the project's build lock, which the kernel releases however the holder ends; wait for another holder."""
    state = idle.state_folder(root)
    with machine_errors():
        state.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(state / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 200, 0).decode("utf-8", "replace").strip() or "unknown"
            status.message(f"another build is running here ({holder}): waiting for it")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        with contextlib.suppress(OSError):  # who holds it is a courtesy
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"pid {os.getpid()} on {socket.gethostname()}".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _declarations(spritefile: Spritefile) -> dict[str, Declaration]:
    models = {f"models.{name}": model for name, model in spritefile.models.items()}
    return {**models, **{f"loras.{name}": lora for name, lora in spritefile.loras.items()}}
