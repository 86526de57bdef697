"""Files written whole or not at all, and errors of the machine in plain words; knows no file's meaning."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from spritebuild.errors import MachineError, SpritebuildError

FULL = {errno.ENOSPC, errno.EDQUOT}
MANY = 8  # files from which one flush of the file system is cheaper than an fsync for each
DISK = FULL | {errno.EIO, errno.EROFS}  # never a stage's own fault


def write_atomic(path: Path, *data: bytes | memoryview, scratch: Path | None = None, mode: int = 0o644) -> None:
    """Put `data`, one piece after the other, under `path`: temp file, fsync, rename, fsync of the folder.

    The temp file lies in `scratch` where that is on the same file system, so that a kill leaves nothing beside `path`.
    """
    temporary = _temporary(path, scratch)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        try:
            for piece in data:
                view = memoryview(piece)
                while view:
                    view = view[os.write(descriptor, view) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.rename(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    sync_folder(path.parent)


def exists(path: str) -> bool:
    """Whether anything is there. Raises OSError where that cannot be told, which `os.path` takes for a no."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _temporary(path: Path, scratch: Path | None) -> str:
    """A free name from which a rename to `path` is atomic; makes the folders it needs."""
    os.makedirs(path.parent, exist_ok=True)
    if scratch is not None:
        os.makedirs(scratch, exist_ok=True)
        if os.stat(scratch).st_dev == os.stat(path.parent).st_dev:
            return f"{scratch}/{path.name}.{secrets.token_hex(4)}.tmp"
    return f"{path.parent}/.{path.name}.{secrets.token_hex(4)}.tmp"


def sync_files(paths: Sequence[str]) -> None:
    """Make the bytes of files durable: one by one, or, many at a time, by one flush of their file system."""
    flush = _syncfs() if len(paths) >= MANY else None
    if flush is None:
        for path in paths:
            _synced(path, os.O_RDONLY, os.fsync)
    else:
        for folder in {os.path.dirname(path) for path in paths}:
            _synced(folder, os.O_RDONLY | os.O_DIRECTORY, flush)


def sync_folders(paths: Iterable[str]) -> None:
    """Make the names in folders durable, as `sync_files` does bytes."""
    folders = sorted(set(paths))
    flush = _syncfs() if len(folders) >= MANY else None
    for folder in folders[:1] if flush else folders:
        _synced(folder, os.O_RDONLY | os.O_DIRECTORY, flush or os.fsync)


def _synced(path: str, flags: int, sync: Callable[[int], object]) -> None:
    descriptor = os.open(path, flags | os.O_CLOEXEC)
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)


def _syncfs() -> Callable[[int], None] | None:
    """Linux's syncfs: a sixth of the cost of fsync for each of many small files. None where there is no such call."""
    import ctypes

    call = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    if call is None:
        return None

    def flush(descriptor: int) -> None:
        if call(descriptor) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

    return flush


def sync_folder(folder: str | os.PathLike[str]) -> None:
    """Make the names in a folder durable."""
    _synced(os.fspath(folder), os.O_RDONLY | os.O_DIRECTORY, os.fsync)


@contextlib.contextmanager
def machine_errors() -> Iterator[None]:
    """Turn what the operating system refuses into a MachineError that names the file and the remedy."""
    try:
        yield
    except SpritebuildError:
        raise
    except OSError as error:
        raise of_os_error(error) from error
    except sqlite3.Error as error:
        raise of_sqlite_error(error) from error


def of_os_error(error: OSError) -> MachineError:
    """The MachineError for an OSError."""
    name = error.filename2 or error.filename  # of a rename, where to
    where = os.fspath(name) if isinstance(name, str | os.PathLike) else None
    if error.errno in FULL:
        return _full(where)
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return MachineError(f"{error.strerror}", where=where, hint="check who owns the project folder and its store")
    return MachineError(f"{error.strerror or error}", where=where, hint="nothing is lost: build again")


def of_sqlite_error(error: sqlite3.Error) -> MachineError:
    """The MachineError for a failure of the trace database."""
    code = getattr(error, "sqlite_errorname", "")
    if code == "SQLITE_FULL":
        return _full(".spritebuild/traces.db")
    if code in ("SQLITE_CORRUPT", "SQLITE_NOTADB"):
        return MachineError(
            "the trace database is damaged",
            where=".spritebuild/traces.db",
            hint="`spritebuild doctor --repair` makes a new one; the blobs and the lock are untouched",
        )
    if code.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY")):
        hint = "check who owns the project folder and its store"
    else:
        hint = "nothing is lost: build again, with more room if the disk is full (SQLite does not tell)"
    return MachineError(str(error), where=".spritebuild/traces.db", hint=hint)


def _full(where: str | None) -> MachineError:
    return MachineError(
        "no space left on the disk; everything finished so far is stored",
        where=where,
        hint="make room (`spritebuild gc`), then build again",
    )
