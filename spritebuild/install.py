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
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from spritebuild import digest
from spritebuild.errors import PolicyError
from spritebuild.files import sync_folder, temporary_for
from spritebuild.lock import Lock
from spritebuild.store import Damaged, Store

FICLONE = 0x40049409  # ioctl of Linux: share the blocks of another file, copy on write
LARGE = 1 << 20  # bytes from which a link is worth its read-only asset; below, a copy costs nothing
REPLACED = "replaced"


@dataclass
class Installer:
    """Installs into one project. `recorded` is what builds have installed before, digest by path."""

    root: Path
    store: Store
    lock: Lock
    recorded: Mapping[str, str]
    files: digest.Files
    reflinks: bool = True
    touched: set[str] = field(default_factory=set)

    def refuse_foreign(self, path: str, present: str) -> None:
        """Raise PolicyError if the file at `path`, whose digest is `present`, is not ours to replace."""
        if not self._ours(path, present) and path not in self.recorded:
            raise PolicyError(
                "is in the way: spritebuild did not make this file and will not overwrite it",
                where=path,
                hint="move it away, or give the sprite another name or category",
            )

    def install(self, path: str, name: str) -> str | None:
        """Put the blob `name` at `path`, by atomic rename. Returns where a hand-edited file was kept, if one was."""
        final = self.root / path
        kept = None
        with contextlib.suppress(FileNotFoundError):
            present = self.files.of(final)
            if present == name:
                return None
            self.refuse_foreign(path, present)
            if not self._ours(path, present):
                kept = self._keep(final, path)
        self._contained(final.parent, path)
        temporary = temporary_for(final, self.store.scratch)
        try:
            self._copy(name, temporary)
            os.rename(temporary, final)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
        self.files.known[os.path.abspath(final)] = self.files.fresh[os.path.abspath(final)] = (
            digest.signature(os.stat(final)),
            name,
        )
        self.touched.add(str(final.parent))
        return kept

    def remove(self, path: str) -> bool:
        """Remove a stale asset if it is still as it was installed; says whether it is gone."""
        final = self.root / path
        try:
            if self.files.of(final) != self.recorded[path]:
                return False
        except (FileNotFoundError, NotADirectoryError):
            return True
        os.unlink(final)
        folder = final.parent
        with contextlib.suppress(OSError):  # not empty: somebody's files are there
            while folder != self.root:
                os.rmdir(folder)
                folder = folder.parent
        return True

    def sync(self) -> None:
        """Make the names of what was installed durable."""
        for folder in sorted(self.touched):
            sync_folder(folder)
        self.touched.clear()

    def _ours(self, path: str, present: str) -> bool:
        entry = self.lock.get(path)
        return (
            self.recorded.get(path) == present
            or (entry is not None and present in (entry.digest, entry.approved))
            or self.store.has(present)
        )

    def _contained(self, folder: Path, path: str) -> None:
        if str(folder) in self.touched:
            return
        os.makedirs(folder, exist_ok=True)
        if not folder.resolve().is_relative_to(self.root.resolve()):
            raise PolicyError("leaves the project through a link", where=path, hint="make it a real folder")

    def _keep(self, final: Path, path: str) -> str:
        aside = self.store.root / REPLACED / path
        os.makedirs(aside.parent, exist_ok=True)
        number = 1
        while aside.exists():
            number += 1
            aside = aside.with_stem(f"{Path(path).stem}-{number}")
        shutil.copy2(final, aside)
        return str(aside.relative_to(self.store.root.parent))

    def _copy(self, name: str, temporary: str) -> None:
        """Share, link or copy a blob's bytes, which are hashed on the way."""
        source = self.store.path(name)
        try:
            size = os.stat(source).st_size
        except FileNotFoundError:
            raise Damaged(name) from None
        if size >= LARGE:
            self.store.checked(name)
            if self._reflinked(source, temporary):
                return
            with contextlib.suppress(OSError):
                os.link(source, temporary)
                return
            shutil.copyfile(source, temporary)
            with open(temporary, "rb") as stream:
                os.fsync(stream.fileno())
            return
        with open(source, "rb") as stream:
            data = stream.read()
        if digest.of_bytes(data) != name:
            self.store.checked(name)  # sets the blob aside
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _reflinked(self, source: str, temporary: str) -> bool:
        if not self.reflinks:
            return False
        with open(source, "rb") as old, open(temporary, "xb") as new:
            try:
                fcntl.ioctl(new.fileno(), FICLONE, old.fileno())
                os.fsync(new.fileno())
                return True
            except OSError as error:
                if error.errno not in (errno.EOPNOTSUPP, errno.ENOTTY, errno.EXDEV, errno.EINVAL, errno.ENOSYS):
                    raise
                self.reflinks = False
        os.unlink(temporary)
        return False
