"""A project as it lies on the disk, loaded and resolved; one build at a time changes it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from spritebuild import digest, idle, lock
from spritebuild.alone import alone
from spritebuild.errors import LockError
from spritebuild.files import machine_errors
from spritebuild.graph import Graph
from spritebuild.part import Part
from spritebuild.pinned import pins
from spritebuild.pinned.pins import Pin
from spritebuild.pinned.remote import Declaration, Remote
from spritebuild.plan import Known
from spritebuild.resolution.resolve import resolve
from spritebuild.spritefile import Spritefile, load
from spritebuild.spritefile.tiers import Quality
from spritebuild.stage import Stages
from spritebuild.status import Status
from spritebuild.store import Store


@dataclass(frozen=True)
class Project:
    """A project, loaded and resolved; nothing of it has been run or changed."""

    spritefile: Spritefile
    stages: Stages
    graph: Graph
    pins: Mapping[str, Pin]
    known: Known
    remote: Remote
    declared_by: Mapping[str, digest.Signature]  # stage files and pins as they were when they were read, by path
    quality: Quality | None = None  # where all sprites are of one that is asked for, whatever is declared
    part: Part | None = None  # what is known of the rest, where this is only what a few changes touch

    @property
    def root(self) -> Path:
        return self.spritefile.root

    @property
    def home(self) -> Path:
        """The folder that assets and their lock are in: the project's own, unless a quality is asked for."""
        return self.root if self.quality is None else home(self.root, self.quality)

    @property
    def store(self) -> Store:
        return self.known.store

    def declarations(self) -> dict[str, Declaration]:
        """The tables whose bytes are pinned, by name as `models.mini`."""
        return declarations(self.spritefile)


@contextlib.contextmanager
def opened(path: Path, *, locked: bool = False, checks: bool = False) -> Iterator[Project]:
    """A project to look at: what is not pinned yet is shown as if it were, unless it must be `locked`."""
    with contextlib.closing(_read(path, locked=locked, checks=checks)) as reading, machine_errors():
        yield reading.project()
        reading.save()


@contextlib.contextmanager
def held(
    path: Path, status: Status, *, locked: bool = False, checks: bool = False, offline: bool = False
) -> Iterator[Project]:
    """A project to change: everything is pinned, and no other process builds it meanwhile.

    Every fault of the spritefile is found before anything is written.
    """
    reading = _read(path, locked=locked, checks=checks, offline=offline)
    try:
        with alone(reading.spritefile.root, status) as waited:
            if waited:  # whoever was waited for has changed the lock and the store
                reading.close()
                reading = _read(path, locked=locked, checks=checks, offline=offline)
            with machine_errors():
                reading.pin()
                yield reading.project()
                reading.save()
    finally:
        reading.close()


def home(root: Path, quality: Quality) -> Path:
    """Where the assets of a quality that was asked for are: apart, since they are not what is declared."""
    return idle.state_folder(root) / "quality" / quality


def of_quality(project: Project, quality: Quality) -> Project:
    """An opened or held project with every sprite in that quality, whatever is declared; as long as that is open.

    It has the same store, and keys of its own. Its assets and its lock lie apart: the project's are not touched.
    """
    place = home(project.root, quality)
    store = project.store.spaced(quality)
    graph = resolve(
        project.spritefile,
        project.stages,
        project.pins,
        project.known.files,
        locked=project.known.lock,  # for what was picked
        quality=quality,
    )
    with machine_errors():
        known = replace(project.known, root=str(place), lock=lock.read(place), store=store)
    return replace(project, graph=graph, known=known, quality=quality)


def declarations(spritefile: Spritefile) -> dict[str, Declaration]:
    """The tables of a spritefile whose bytes are pinned, by name as `models.mini`."""
    return {
        **{f"models.{name}": model for name, model in spritefile.models.items() if model.dataset is None},
        **{f"loras.{name}": lora for name, lora in spritefile.loras.items() if lora.dataset is None},
        **{f"datasets.{name}": dataset for name, dataset in spritefile.datasets.items() if dataset.path is None},
    }


@dataclass
class _Reading:
    """A project on its way in."""

    spritefile: Spritefile
    stages: Stages
    store: Store
    files: digest.Files
    remote: Remote
    pins: dict[str, Pin]
    missing: list[str]
    graph: Graph
    declared_by: dict[str, digest.Signature]
    checks: bool
    picked: lock.Lock  # the lock when the graph was resolved, if that depends on it

    def pin(self) -> None:
        """Pin what is not, and resolve again with its digests."""
        if self.missing:
            with machine_errors():
                self.pins |= self.remote.pin_all({name: declarations(self.spritefile)[name] for name in self.missing})
                self.declared_by |= _signatures(pins.path_of(self.remote.root, name) for name in self.missing)
                self._resolve()
            self.missing = []

    def _resolve(self) -> None:
        self.graph = resolve(
            self.spritefile, self.stages, self.pins, self.files, checks=self.checks, locked=self.picked
        )

    def project(self) -> Project:
        root = self.spritefile.root
        with machine_errors():
            locked = lock.read(root)
            if _has_candidates(self.spritefile) and locked != self.picked:  # somebody built or picked meanwhile
                self.picked = locked
                self._resolve()
            known = Known(str(root), locked, self.store, self.files, self.stages, self.store.stand_ins())
        return Project(self.spritefile, self.stages, self.graph, self.pins, known, self.remote, self.declared_by)

    def save(self) -> None:
        """Remember the digests of files; a plan in a project never built makes no store for that."""
        with machine_errors():
            if self.store.root.exists():
                self.store.record_files(self.files.fresh)
            self.store.close()

    def close(self) -> None:
        self.store.abandon()


def _read(path: Path, *, locked: bool, checks: bool, offline: bool = False) -> _Reading:
    spritefile = load(path)
    root = spritefile.root
    stages = Stages(root / spritefile.project.stages if spritefile.project.stages else None)
    with machine_errors():
        store = Store(idle.state_folder(root))
        files = digest.Files(store.files())
        remote = Remote(root, store.root / "models", files, offline=offline)
        wanted = declarations(spritefile)
        declared_by = _signatures([*stages.files(), *(pins.path_of(root, name) for name in wanted)])
        pinned = remote.read(wanted)
        missing = [name for name in wanted if name not in pinned]
        if missing and locked:
            raise LockError(f"{missing[0]} is not pinned", hint=f"spritebuild lock, and commit {pins.FOLDER}/")
        unpinned = {name: Pin(name, "unpinned", ()) for name in missing}
        everything = {**unpinned, **pinned}
        picked = lock.read(root) if _has_candidates(spritefile) else {}
        graph = resolve(spritefile, stages, everything, files, checks=checks, locked=picked)
    return _Reading(spritefile, stages, store, files, remote, everything, missing, graph, declared_by, checks, picked)


def _has_candidates(spritefile: Spritefile) -> bool:
    return any(sprite.candidates is not None for sprite in spritefile.sprites.values())


def _signatures(paths: Iterable[Path]) -> dict[str, digest.Signature]:
    return {str(path): digest.signature(path.stat()) for path in paths if path.exists()}
