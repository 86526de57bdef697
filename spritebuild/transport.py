"""Files at another place: a folder, or any file system that DVC has. Alone with remote.py knows DVC; knows no blob.

Whatever is put there is whole or not there: it is uploaded under another name and renamed, or put by one request where
the file system is an object store.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from spritebuild.errors import MachineError, UsageError
from spritebuild.files import sync_folder

TIMEOUT = 30  # seconds, where DVC's configuration says none: a build without the shared store is better than none
OBJECTS = {"s3", "gs", "azure", "oss", "gdrive"}  # a put there is whole or not at all, and there is no rename
LOCAL = {"", "file", "local"}


class Unreachable(Exception):  # noqa: N818 - says what is so
    """The place cannot be reached, or refuses; the message is for the user."""


class Place(Protocol):
    """What a store needs of a file system. Paths are relative, with slashes. All but these errors are Unreachable."""

    jobs: int  # requests that it serves well side by side

    def sizes(self, folder: str) -> dict[str, int]:
        """The size of every file in a folder, by name; nothing where there is no folder."""

    def read(self, path: str) -> bytes:
        """A file's bytes. Raises FileNotFoundError."""

    def get(self, path: str, file: str) -> None:
        """Copy a file to this machine. Raises FileNotFoundError."""

    def put(self, file: str, path: str) -> None:
        """Copy a file of this machine there, whole or not at all."""


def at(url: str, root: Path) -> Place:
    """The place that a URL names, a path below the project's root, or `remote://NAME` of DVC's configuration."""
    scheme = urlsplit(url).scheme.lower()
    if scheme in LOCAL:
        path = url.partition("://")[2] if scheme else url
        return Folder(root / Path(path).expanduser())
    return Distant(url, root)


class Folder:
    """A folder of this machine, or one that is mounted here."""

    jobs = 8

    def __init__(self, root: Path) -> None:
        self.root = root
        self._durable: set[Path] = set()  # folders that a power cut leaves

    def sizes(self, folder: str) -> dict[str, int]:
        try:
            with _local_errors(), os.scandir(self.root / folder) as entries:
                return {entry.name: entry.stat().st_size for entry in entries if entry.is_file()}
        except (FileNotFoundError, NotADirectoryError):
            if not self.root.is_dir():
                raise Unreachable(f"{self.root}: no such folder") from None
            return {}

    def read(self, path: str) -> bytes:
        with _local_errors():
            return (self.root / path).read_bytes()

    def get(self, path: str, file: str) -> None:
        with _local_errors():
            shutil.copyfile(self.root / path, file)

    def put(self, file: str, path: str) -> None:
        with _local_errors():
            final = self.root / path
            incoming = self.root / "incoming"
            os.makedirs(incoming, exist_ok=True)
            os.makedirs(final.parent, exist_ok=True)
            temporary = incoming / secrets.token_hex(8)
            try:
                with open(temporary, "xb") as target, open(file, "rb") as source:
                    shutil.copyfileobj(source, target, 1 << 20)
                    target.flush()
                    os.fsync(target.fileno())
                os.rename(temporary, final)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(temporary)
                raise
            sync_folder(final.parent)
            self._keep(final.parent)

    def _keep(self, folder: Path) -> None:
        """Make the names of a folder and those above it durable, whoever made them."""
        while folder != self.root and folder not in self._durable:
            sync_folder(folder.parent)
            self._durable.add(folder)
            folder = folder.parent


@contextlib.contextmanager
def _local_errors() -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        raise Unreachable(str(error)) from error


class Distant:
    """A file system of DVC's: ssh, webdav, s3, gs, azure, ... Credentials are the environment's, or DVC's own."""

    def __init__(self, url: str, root: Path) -> None:
        try:
            from dvc.config import Config
            from dvc.config import ConfigError as Misconfigured
            from dvc.fs import get_cloud_fs
        except ImportError:
            hint = 'pip install "spritebuild[dvc]", and DVC\'s plugin for it, such as dvc-ssh, dvc-s3 or dvc-webdav'
            raise MachineError("a shared store that is no folder needs DVC", where=url, hint=hint) from None
        os.environ["DVC_NO_ANALYTICS"] = "1"
        folder = root / ".dvc"
        try:
            config = Config(str(folder) if folder.is_dir() else None)
            named = urlsplit(url)
            if named.scheme == "remote" and not named.path.strip("/"):
                kind, settings, self._root = get_cloud_fs(config, name=named.netloc)
            else:
                kind, settings, self._root = get_cloud_fs(config, url=url)
            if kind.protocol == "local":
                raise UsageError("is a local folder for DVC: say its path instead", where=url)
            if kind.protocol in ("ssh", "webdav", "webdavs"):
                settings.setdefault("timeout", TIMEOUT)
            self._kind = kind(**settings)
        except ImportError as error:
            raise MachineError(str(error), where=url, hint="install DVC's plugin for it") from None
        except Misconfigured as error:
            raise UsageError(str(error), where=url, hint="look at `dvc remote list`") from error
        protocol = self._kind.protocol
        self._whole = protocol in OBJECTS or (isinstance(protocol, tuple) and bool(OBJECTS & {*protocol}))
        self.jobs = 16
        self._made: set[str] = set()

    def sizes(self, folder: str) -> dict[str, int]:
        try:
            with _distant_errors():
                fs = self._fs()
                if hasattr(fs, "invalidate_cache"):
                    fs.invalidate_cache()
                rows = fs.ls(self._path(folder), detail=True)
        except (FileNotFoundError, NotADirectoryError):
            return {}
        return {
            row["name"].rstrip("/").rpartition("/")[2]: int(row.get("size") or 0)
            for row in rows
            if row.get("type") != "directory"
        }

    def read(self, path: str) -> bytes:
        with _distant_errors():
            return bytes(self._fs().cat_file(self._path(path)))

    def get(self, path: str, file: str) -> None:
        with _distant_errors():
            self._fs().get_file(self._path(path), file)

    def put(self, file: str, path: str) -> None:
        final = self._path(path)
        with _distant_errors():
            fs = self._fs()
            if self._whole:
                fs.put_file(file, final)
                return
            temporary = self._path(f"incoming/{secrets.token_hex(8)}")
            for name in (temporary, final):
                self._make(name.rpartition("/")[0])
            try:
                fs.put_file(file, temporary)
                fs.mv(temporary, final)
            except BaseException:
                there = _tried(fs.exists, final)  # somebody else put the same bytes there meanwhile
                _tried(fs.rm_file if hasattr(fs, "rm_file") else fs.rm, temporary)
                if not there:
                    raise

    def _make(self, folder: str) -> None:
        if folder and folder not in self._made:
            self._fs().makedirs(folder, exist_ok=True)
            self._made.add(folder)

    def _path(self, path: str) -> str:
        return f"{self._root.rstrip('/')}/{path}" if self._root else path

    def _fs(self) -> Any:
        return self._kind.fs


def _tried(call: Any, path: str) -> bool:
    try:
        return bool(call(path))
    except Exception:
        return False


@contextlib.contextmanager
def _distant_errors() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except Exception as error:  # each file system has its own
        raise Unreachable(f"{type(error).__name__}: {error}".rstrip(": ")) from error
