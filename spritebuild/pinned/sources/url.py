"""Files at addresses of the web: one, or several below one address."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from spritebuild.pinned.sources import Wanted, safe
from spritebuild.pinned.sources.http import Http


class Url:
    """A file, under a `name` of its own, or the `files` below an address."""

    def __init__(self, url: str, files: Sequence[str], name: str, http: Http) -> None:
        self.url, self.files, self.name, self.http = url, tuple(files), name, http

    @property
    def folder(self) -> bool:
        return bool(self.files)

    def resolve(self) -> None:
        return None

    def listing(self, revision: str | None) -> list[Wanted]:
        return [Wanted(safe(path)) for path in self.files or (self.name,)]

    def bring(self, files: Iterable[Wanted], revision: str | None, into: Path) -> None:
        for file in files:
            url = f"{self.url.rstrip('/')}/{quote(file.path)}" if self.folder else self.url
            self.http.download(url, into / file.path, size=file.size, sha256=file.sha256)


def file_name(url: str) -> str:
    """The last part of an address's path, empty where it has none."""
    return unquote(urlsplit(url).path.rstrip("/").rpartition("/")[2])
