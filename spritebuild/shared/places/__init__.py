"""What a store needs of files at another place; knows no store and no protocol."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import NamedTuple, Protocol

TIMEOUT = 30  # seconds, where DVC's configuration says none: a build without the shared store is better than none


class Unreachable(Exception):  # noqa: N818 - says what is so
    """The place cannot be reached, or refuses; the message is for the user."""


class File(NamedTuple):
    """What a place says of a file: bytes, and when it got there in seconds since 1970, by the clock of the place."""

    size: int
    since: float


class Place(Protocol):
    """Files at another place. Paths are relative, with slashes. All but these errors are Unreachable.

    Whatever is put is whole or not there: it is uploaded under another name and renamed, or put by one request where
    the place is an object store. It is as durable as the place can make it when `put` returns.
    """

    jobs: int  # requests that it serves well side by side

    def files(self, folder: str) -> dict[str, File]:
        """Every file in a folder, by name; nothing where there is no folder."""

    def folders(self, folder: str) -> list[str]:
        """The names of the folders in a folder; nothing where there is none."""

    def read(self, path: str) -> bytes:
        """A file's bytes. Raises FileNotFoundError."""

    def get(self, path: str, file: str) -> None:
        """Copy a file to this machine. Raises FileNotFoundError."""

    def put(self, file: str, path: str) -> None:
        """Copy a file of this machine there, whole or not at all."""

    def remove(self, path: str) -> None:
        """Delete a file; nothing happens where there is none."""


@contextlib.contextmanager
def unreachable(name: str, *kinds: type[Exception]) -> Iterator[None]:
    """Errors of these kinds as Unreachable, but for those that are a Place's own; `name` says by what it is reached."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError, Unreachable):
        raise
    except kinds as error:
        raise Unreachable(f"{name}: {error}" if name else str(error)) from error
