"""Puts blobs into the project as assets, and takes away those that it once put there; knows no graph.

A file is ours if a build installed it, the lock lists its bytes, or they are in the store. Nothing else is overwritten
or removed; an asset of ours that was edited by hand is kept aside before it is replaced.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from spritebuild import digest
from spritebuild.errors import PolicyError
from spritebuild.files import sync_files, sync_folder
from spritebuild.lock import Lock, is_folder
from spritebuild.store import Store

FICLONE = 0x40049409  # ioctl of Linux: share the blocks of another file, copy on write
REPLACED = "replaced"


@dataclass
class Installer:
    """Installs into one project. `recorded` is what builds have installed before, digest by path.

    Of a part of a project, `only` are the paths that it is about.
    """

    root: Path
    store: Store
    lock: Lock
    files: digest.Files
    only: Collection[str] | None = None
    recorded: dict[str, str] = field(init=False)
    reflinks: bool = True
    contained: set[str] = field(default_factory=set)
    temporary: dict[str, bool] = field(default_factory=dict)
    in_folders: dict[str, str] = field(default_factory=dict)  # locked files that are assets only together

    def __post_init__(self) -> None:
        if self.only is None:
            self.recorded = self.store.installed()
        else:
            rows = ((path, self.store.installed_at(path)) for path in self.only)
            self.recorded = {path: name for path, name in rows if name is not None}
        for path, entry in self.lock.items():
            if is_folder(path):
                self.in_folders |= entry.installed()

    def refuse_foreign(self, path: str, present: str) -> None:
        """Raise PolicyError if what is at `path`, of digest `present` (empty: a folder), is not ours to replace."""
        known = path in self.recorded or path in self.lock or path in self.in_folders
        if not present or not (known or self._ours(path, present)):
            raise PolicyError(
                "is in the way: spritebuild did not make this file and will not overwrite it",
                where=path,
                hint="move it away, or have what is made of that name go elsewhere: another name, category or path",
            )

    def install(self, assets: Mapping[str, str]) -> list[tuple[str, str | None]]:
        """Put blobs at their paths, each by atomic rename. Returns the paths, and where hand-edited files were kept.

        All are recorded before the first is there, so that after a crash none of ours is ever taken for foreign.
        """
        if not assets:
            return []
        for path in assets:
            self.check_way(path)
        rows = {path: name for path, name in assets.items() if self.recorded.get(path) != name}
        self.store.record_installed(rows.items())
        self.store.commit()
        names = {path: self._temporary(path, number) for number, path in enumerate(assets)}
        try:
            for path, name in assets.items():
                self._copy(name, names[path])
            sync_files([*names.values()])
            kept = {path: self._keep(path) for path in assets}
            for path, name in assets.items():
                final = f"{self.root}/{path}"
                os.rename(names[path], final)
                self.files.known[final] = self.files.fresh[final] = (digest.signature(os.stat(final)), name)
        except BaseException:
            for temporary in names.values():
                with contextlib.suppress(OSError):
                    os.unlink(temporary)
            raise
        for folder in sorted({os.path.dirname(path) for path in assets}):
            sync_folder(self.root / folder)
        self.recorded |= rows
        return list(kept.items())

    def remove(self, path: str) -> bool:
        """Remove a stale asset if it is still as it was installed; says whether it is gone. It is ours no longer."""
        final = self.root / path
        try:
            if not final.parent.resolve().is_relative_to(self.root.resolve()):
                raise FileNotFoundError(path)  # a link leads out of the project: what lies there is not ours
            mine = self._ours(path, self.files.of(final))
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            mine = False
        if mine:
            os.unlink(final)
            folder = final.parent
            with contextlib.suppress(OSError):  # not empty: somebody's files are there
                while folder != self.root:
                    os.rmdir(folder)
                    folder = folder.parent
        self.store.record_installed((), [path])
        self.recorded.pop(path, None)
        return mine or not final.exists()

    def check_way(self, path: str) -> None:
        """Check that `path` may be written, and make its folder. Raises PolicyError."""
        final = f"{self.root}/{path}"
        folder = os.path.dirname(final)
        if folder not in self.contained:
            if not Path(folder).resolve().is_relative_to(self.root.resolve()):
                raise PolicyError("leaves the project through a link", where=path, hint="make it a real folder")
            os.makedirs(folder, exist_ok=True)
            self.contained.add(folder)
        try:
            present = self.files.of(final)
        except FileNotFoundError:
            return
        except IsADirectoryError:
            present = ""
        self.refuse_foreign(path, present)

    def _ours(self, path: str, present: str) -> bool:
        entry = self.lock.get(path)
        return (
            self.recorded.get(path) == present
            or (entry is not None and present in (entry.digest, entry.approved))
            or self.in_folders.get(path) == present
            or self.store.has(present)
        )

    def _keep(self, path: str) -> str | None:
        """Keep a hand-edited file that is about to be replaced; returns where."""
        final = f"{self.root}/{path}"
        try:
            if self._ours(path, self.files.of(final)):
                return None
        except FileNotFoundError:
            return None
        aside = self.store.root / REPLACED / path
        os.makedirs(aside.parent, exist_ok=True)
        number = 1
        while aside.exists():
            number += 1
            aside = aside.with_stem(f"{Path(path).stem}-{number}")
        shutil.copy2(final, aside)
        return str(aside.relative_to(self.store.root.parent))

    def _temporary(self, path: str, number: int) -> str:
        """A free name from which a rename to `path` is atomic: in scratch, unless that is on another file system."""
        folder, _, file = path.rpartition("/")
        if folder not in self.temporary:
            self.temporary[folder] = os.stat(self.root / folder).st_dev == os.stat(self.store.scratch).st_dev
        if self.temporary[folder]:
            return f"{self.store.scratch}/{file}.{number}.tmp"
        beside = f"{self.root}/{folder}/.{file}.tmp"  # always the same: what a kill leaves is found and replaced
        with contextlib.suppress(FileNotFoundError):
            os.unlink(beside)
        return beside

    def _copy(self, name: str, temporary: str) -> None:
        """Put a blob's bytes, which are hashed on the way, into a temporary file: shared, linked or copied."""
        data = self.store.content(name)
        if isinstance(data, str):
            if self._reflinked(data, temporary):
                return
            with contextlib.suppress(OSError):
                os.link(data, temporary)
                return
            shutil.copyfile(data, temporary)
            return
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
        finally:
            os.close(descriptor)

    def _reflinked(self, source: str, temporary: str) -> bool:
        if not self.reflinks:
            return False
        with open(source, "rb") as old, open(temporary, "xb") as new:
            try:
                fcntl.ioctl(new.fileno(), FICLONE, old.fileno())
                return True
            except OSError as error:
                if error.errno not in (errno.EOPNOTSUPP, errno.ENOTTY, errno.EXDEV, errno.EINVAL, errno.ENOSYS):
                    raise
                self.reflinks = False
        os.unlink(temporary)
        return False
