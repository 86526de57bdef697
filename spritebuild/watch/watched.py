"""What a build depends on, as places on the disk: which saves concern it, and in which folders they are seen."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from spritebuild import digest, idle, lock
from spritebuild.pinned import pins
from spritebuild.project import Project

LARGEST_TREE = 4096  # folders below one that are watched
PASSED_OVER = ("node_modules", "__pycache__")  # folders that hold no source of a sprite
TEMPORARY = ("~", ".swp", ".swx", ".tmp", ".bak", ".part", ".crdownload")  # what editors and browsers write beside
State = Mapping[str, object]


@dataclass(frozen=True)
class Watched:
    """The places that a project's build reads, all absolute.

    `files` are read, `trees` are folders of which every file may be; `globs` say what each include finds; `stages` is
    the project's own folder of those, `lock` its lock. `made` is what builds write, which never counts.
    """

    root: str
    files: frozenset[str]
    trees: tuple[str, ...] = ()
    globs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    stages: str = ""
    lock: str = ""
    made: frozenset[str] = frozenset()
    made_in: tuple[str, ...] = ()  # the beginnings of paths that folders of files are put under

    @classmethod
    def of(cls, project: Project) -> Watched:
        """The places of a project that could be read."""
        root, spritefile = project.root, project.spritefile
        named = {file.path for file in spritefile.files}
        named |= {
            ref.name
            for action in project.graph.actions.values()
            for _, ref in action.sources()
            if ref.name not in project.pins
        }
        named |= {palette.file for palette in spritefile.palettes.values() if palette.file}
        named |= {dataset.corrections for dataset in spritefile.datasets.values() if dataset.corrections}
        named |= {os.path.relpath(pins.path_of(root, name), root) for name in project.declarations()}
        trees = {root / dataset.path for dataset in spritefile.datasets.values() if dataset.path}
        for pin in project.pins.values():
            if pin.source.partition(":")[0] in ("path", "folder"):
                trees.add(project.remote.place(pin))
        assets = [path for action in project.graph.actions.values() for _, path in action.installs]
        installed = {place for entry in project.known.lock.values() for place in entry.installed()}
        return cls(
            str(root),
            frozenset(_ways(os.path.join(root, path) for path in named)),
            tuple(sorted(map(str, trees))),
            {pattern: tuple(idle.matched(root, pattern)) for pattern in spritefile.include},
            str(project.stages.own) if project.stages.own else "",
            str(root / lock.PATH),
            frozenset(f"{root}/{path}" for path in (*assets, *installed)),
            tuple(f"{root}/{path[:-1]}" for path in assets if lock.is_folder(path)),
        )

    @classmethod
    def of_broken(cls, path: Path, before: Watched | None) -> Watched:
        """The places of a spritefile that cannot be read: any file of the project may be the one that mends it."""
        root = path.absolute().parent.resolve()
        files = frozenset(_ways([str(path.absolute()), f"{root}/{path.name}"]))
        known = before or cls(str(root), frozenset(), lock=str(root / lock.PATH))
        return replace(known, files=known.files | files, trees=tuple({str(root): 0, **dict.fromkeys(known.trees)}))

    def concerns(self, path: str) -> bool:
        """Whether a build may turn out otherwise for a change at this path."""
        if path in self.made or path.startswith((f"{self.root}/{idle.STATE}/", *self.made_in)):
            return False
        if path in self.files or path == self.lock or path in self._above:
            return True
        if not _counts(path):
            return False
        if any(path == tree or path.startswith(f"{tree}/") for tree in self.trees):
            return not any(part in PASSED_OVER or part.startswith(".") for part in path[len(self.root) :].split("/"))
        if self.stages and self.stages in (path, os.path.dirname(path)):
            return path == self.stages or path.endswith(".py")
        return any(tuple(self._matched(pattern)) != found for pattern, found in self.globs.items())

    @cached_property
    def _above(self) -> frozenset[str]:
        """The folders that hold what is read: one that is renamed takes it along."""
        found: set[str] = set()
        for path in (*self.files, *self.trees, *([self.stages] if self.stages else [])):
            parent = os.path.dirname(path)
            while parent.startswith(f"{self.root}/") and parent not in found:
                found.add(parent)
                parent = os.path.dirname(parent)
        return frozenset(found)

    def _matched(self, pattern: str) -> list[str]:
        try:
            return idle.matched(Path(self.root), pattern)
        except (OSError, ValueError, NotImplementedError):
            return []

    def folders(self) -> frozenset[str]:
        """The folders that exist now in which such changes are seen, each for what lies in it alone."""
        found = {os.path.dirname(path) for path in (*self.files, self.lock) if path} | self._above | {self.root}
        found |= {self.stages} if self.stages else set()
        for tree in self.trees:
            found |= {os.path.dirname(tree), *_folders(tree)}
        for pattern in self.globs:
            found |= {*_folders(_base(self.root, pattern), None if "**" in pattern else pattern.count("/"))}
        return frozenset(_existing(folder) for folder in found)

    def state(self) -> State:
        """What tells, by inequality, where something changed: for those places whose changes nobody reports."""
        found: dict[str, object] = {}
        names = {*self.files, self.lock}
        for folder in (*self.trees, *([self.stages] if self.stages else [])):
            names |= {f"{each}/{name}" for each in _folders(folder) for name in _listed(each)}
            names.add(folder)
        for pattern in self.globs:
            names |= {f"{self.root}/{name}" for name in self._matched(pattern)}
        for name in names:
            try:
                stat = os.stat(name)
            except OSError:
                found[name] = None
            else:
                found[name] = True if os.path.isdir(name) else digest.signature(stat)
        return found


def _counts(path: str) -> bool:
    """Whether a file is one that somebody made, by its name: editors write others beside it for a moment."""
    name = os.path.basename(path)
    return not (name.startswith((".", "#")) or name.endswith(TEMPORARY) or name.isdigit())


def _ways(paths: Iterable[str]) -> Iterator[str]:
    """Every path, and where links lead from it."""
    for path in paths:
        yield os.path.abspath(path)
        yield os.path.realpath(path)


def _base(root: str, pattern: str) -> str:
    """The folder below which a glob looks."""
    parts = pattern.split("/")
    plain = next((n for n, part in enumerate(parts) if any(c in part for c in "*?[")), len(parts) - 1)
    return os.path.join(root, *parts[:plain])


def _folders(top: str, depth: int | None = None) -> list[str]:
    """A folder and those below it, the nearest first, as far as they are watched."""
    found: list[str] = []
    level = [top]
    while level and len(found) < LARGEST_TREE and (depth is None or depth >= 0):
        found += level
        level = [f"{each}/{name}" for each in level for name in _listed(each, folders=True)]
        depth = None if depth is None else depth - 1
    return found[:LARGEST_TREE]


def _listed(folder: str, *, folders: bool = False) -> list[str]:
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        return [
            entry.name
            for entry in entries
            if not entry.name.startswith(".")
            and entry.name not in PASSED_OVER
            and (not folders or entry.is_dir(follow_symlinks=False))
        ]
    return []


def _existing(folder: str) -> str:
    """The folder, or the nearest above it that is there."""
    while not os.path.isdir(folder) and folder != os.path.dirname(folder):
        folder = os.path.dirname(folder)
    return folder
