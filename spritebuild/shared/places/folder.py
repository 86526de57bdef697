"""A folder of this machine, or one that is mounted here, as a place."""

from __future__ import annotations

import contextlib
import functools
import os
import secrets
import shutil
from pathlib import Path

from spritebuild.files import sync_folder
from spritebuild.shared.places import File, Unreachable, unreachable

_errors = functools.partial(unreachable, "", OSError)


class Folder:
    """A folder of this machine, or one that is mounted here."""

    jobs = 8

    def __init__(self, root: Path) -> None:
        self.root = root
        self._durable: set[Path] = set()  # folders whose own names were made durable

    def files(self, folder: str) -> dict[str, File]:
        found: dict[str, File] = {}
        for entry in self._entries(folder):
            with _errors(), contextlib.suppress(FileNotFoundError):  # somebody removed it meanwhile
                if entry.is_file():
                    stat = entry.stat()
                    found[entry.name] = File(stat.st_size, stat.st_mtime)
        return found

    def folders(self, folder: str) -> list[str]:
        return [entry.name for entry in self._entries(folder) if entry.is_dir()]

    def _entries(self, folder: str) -> list[os.DirEntry[str]]:
        try:
            with _errors(), os.scandir(self.root / folder) as entries:
                return [*entries]
        except (FileNotFoundError, NotADirectoryError):
            if not self.root.is_dir():
                raise Unreachable(f"{self.root}: no such folder") from None
            return []

    def read(self, path: str) -> bytes:
        with _errors():
            return (self.root / path).read_bytes()

    def get(self, path: str, file: str) -> None:
        with _errors():
            shutil.copyfile(self.root / path, file)

    def put(self, file: str, path: str) -> None:
        with _errors():
            if not self.root.is_dir():  # a drive that is not mounted is not to be made
                raise Unreachable(f"{self.root}: no such folder")
            final = self.root / path
            incoming = self.root / "incoming"
            self._make(incoming)
            self._make(final.parent)
            temporary = incoming / secrets.token_hex(8)
            try:
                with open(temporary, "xb") as target, open(file, "rb") as source:
                    shutil.copyfileobj(source, target, 1 << 20)
                    target.flush()
                    os.fsync(target.fileno())
                os.rename(temporary, final)
                sync_folder(final.parent)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(temporary)
                raise

    def remove(self, path: str) -> None:
        with _errors(), contextlib.suppress(FileNotFoundError, NotADirectoryError):
            os.unlink(self.root / path)

    def _make(self, folder: Path) -> None:
        """Make a folder below the root, and the names of all that lead there durable."""
        if folder in self._durable:
            return
        os.makedirs(folder, exist_ok=True)
        inner = folder
        while inner != self.root and inner.parent not in self._durable:
            inner = inner.parent
            sync_folder(inner)
        self._durable.add(folder)
