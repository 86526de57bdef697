"""Any file system that DVC has, as a place. Alone with sources/dvc.py knows DVC.

Whatever is put there is whole or not there: it is uploaded under another name and renamed, or put by one request where
the file system is an object store.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from spritebuild.errors import MachineError, UsageError
from spritebuild.shared.places import TIMEOUT, File, Unreachable

OBJECTS = {"s3", "gs", "azure", "oss", "gdrive"}  # a put there is whole or not at all, and there is no rename
SINCE = ("mtime", "modified", "LastModified", "last_modified", "updated", "created")  # when a file got there
NEVER = float("inf")


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
        self._making = threading.Lock()

    def files(self, folder: str) -> dict[str, File]:
        rows = self._rows(folder)
        return {_name(row): File(int(row.get("size") or 0), _since(row)) for row in rows if not _is_folder(row)}

    def folders(self, folder: str) -> list[str]:
        return [_name(row) for row in self._rows(folder) if _is_folder(row)]

    def _rows(self, folder: str) -> list[dict[str, Any]]:
        try:
            with _distant_errors():
                fs = self._fs()
                if hasattr(fs, "invalidate_cache"):
                    fs.invalidate_cache()
                return [*fs.ls(self._path(folder), detail=True)]
        except (FileNotFoundError, NotADirectoryError):
            return []

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

    def remove(self, path: str) -> None:
        with _distant_errors(), contextlib.suppress(FileNotFoundError):
            fs = self._fs()
            (fs.rm_file if hasattr(fs, "rm_file") else fs.rm)(self._path(path))

    def _make(self, folder: str) -> None:
        with self._making:
            if folder and folder not in self._made:
                try:
                    self._fs().makedirs(folder, exist_ok=True)
                except Exception:
                    if not _tried(self._fs().exists, folder):  # else somebody else made it meanwhile
                        raise
                self._made.add(folder)

    def _path(self, path: str) -> str:
        return f"{self._root.rstrip('/')}/{path}" if self._root else path

    def _fs(self) -> Any:
        return self._kind.fs


def _name(row: dict[str, Any]) -> str:
    return str(row["name"]).rstrip("/").rpartition("/")[2]


def _is_folder(row: dict[str, Any]) -> bool:
    return row.get("type") == "directory"


def _since(row: dict[str, Any]) -> float:
    """When a file got there. In the far future where the file system does not tell: then nothing there is ever old."""
    found = next((row[name] for name in SINCE if row.get(name) is not None), None)
    if isinstance(found, str):
        found = datetime.fromisoformat(found)
    if isinstance(found, datetime):
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    return float(found) if isinstance(found, int | float) else NEVER


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
        if getattr(getattr(error, "response", None), "status_code", None) == 404:  # WebDAV's, of what just vanished
            raise FileNotFoundError(str(error)) from error
        raise Unreachable(f"{type(error).__name__}: {error}".rstrip(": ")) from error
