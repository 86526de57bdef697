"""What DVC tracks, in another repository or in this one, and what its plugins reach. Alone knows DVC."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from spritebuild.errors import MachineError, SpritebuildError
from spritebuild.pinned.sources import Wanted, safe

HINT = "check the repository, its path and revision, and that its DVC remote can be reached"
PLUGINS = {"s3": "s3", "gs": "gs", "ssh": "ssh", "webdav": "webdav", "webdavs": "webdav"}


class Tracked:
    """A file or folder that DVC (or git) tracks in a repository, at a revision."""

    def __init__(self, repo: str, path: str, rev: str | None) -> None:
        self.repo, self.path, self.rev = repo, path, rev
        self._at: dict[str | None, Any] = {}
        self._folder = True

    @property
    def folder(self) -> bool:
        return self._folder

    def resolve(self) -> str | None:
        with _told(self.path, self.repo):
            system = self._system(self.rev)
            revision = str(getattr(system.repo.scm, "get_rev", lambda: "")()) or None
        self._at[revision] = system
        return revision

    def listing(self, revision: str | None) -> list[Wanted]:
        with _told(self.path, self.repo):
            system = self._system(revision)
            self._folder = system.isdir(self.path)
            if not self._folder:
                system.info(self.path)
                return [Wanted(PurePosixPath(self.path).name)]
            top = PurePosixPath("/") / self.path
            names = [(PurePosixPath("/") / name).relative_to(top).as_posix() for name in system.find(self.path)]
        return [Wanted(safe(name)) for name in sorted(names)]

    def bring(self, files: Iterable[Wanted], revision: str | None, into: Path) -> None:
        with _told(self.path, self.repo):
            system = self._system(revision)
            folder = system.isdir(self.path)
            for file in files:
                place = into / safe(file.path)
                place.parent.mkdir(parents=True, exist_ok=True)
                system.get_file(f"{self.path.rstrip('/')}/{file.path}" if folder else self.path, str(place))

    def _system(self, revision: str | None) -> Any:
        if revision not in self._at:
            self._at[revision] = _import().DVCFileSystem(self.repo, rev=revision)
        return self._at[revision]


class Cloud:
    """A file or folder at an address that a plugin of DVC reaches: s3, gs, ssh, webdav."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._folder = True

    @property
    def folder(self) -> bool:
        return self._folder

    def resolve(self) -> None:
        return None

    def listing(self, revision: str | None) -> list[Wanted]:
        with _told(self.url, self.url):
            system, path = self._system
            self._folder = system.isdir(path)
            if not self._folder:
                return [Wanted(PurePosixPath(path).name, system.info(path).get("size"))]
            names = [PurePosixPath(name).relative_to(path).as_posix() for name in system.find(path)]
        return [Wanted(safe(name)) for name in sorted(names)]

    def bring(self, files: Iterable[Wanted], revision: str | None, into: Path) -> None:
        with _told(self.url, self.url):
            system, path = self._system
            folder = system.isdir(path)
            for file in files:
                place = into / safe(file.path)
                place.parent.mkdir(parents=True, exist_ok=True)
                system.get_file(f"{path.rstrip('/')}/{file.path}" if folder else path, str(place))

    @cached_property
    def _system(self) -> tuple[Any, str]:
        _import()
        from dvc.fs import parse_external_url

        system, path = parse_external_url(self.url)
        return system, str(path)


def pull(root: Path, path: str) -> None:
    """Bring what this project's own repository tracks at a path; DVC checks its md5, and whoever asked its sha256."""
    _import()
    from dvc.repo import Repo

    with _told(path, str(root)), Repo.open(root) as repo:
        repo.pull(targets=[str(root / path)])


def can_pull(root: Path, path: str) -> bool:
    """Whether a path is missing that this project's own DVC tracks: a `.dvc` file is beside it or a folder above it."""
    parts = PurePosixPath(path).parts
    if (root / path).exists() or ".." in parts or PurePosixPath(path).is_absolute():
        return False
    return any((root / f"{'/'.join(parts[:depth])}.dvc").is_file() for depth in range(1, len(parts) + 1))


@contextlib.contextmanager
def _told(path: str, where: str) -> Iterator[None]:
    """Whatever DVC raises, as what could not be done."""
    try:
        yield
    except SpritebuildError:
        raise
    except Exception as error:
        plugin = PLUGINS.get(where.partition("://")[0])
        missing = plugin is not None and isinstance(error, ImportError)
        raise MachineError(
            f"cannot fetch {path}: {type(error).__name__}: {error}",
            where=where,
            hint=f'pip install "spritebuild[{plugin}]"' if missing else HINT,
        ) from error


def _import() -> Any:
    try:
        import dvc.api
    except ImportError:
        raise MachineError("models of another repository need DVC", hint='pip install "spritebuild[dvc]"') from None
    os.environ["DVC_NO_ANALYTICS"] = "1"
    os.environ["GIT_LFS_SKIP_SMUDGE"] = "1"  # git-lfs would download every object of a repository for one file of it
    return dvc.api
