"""Digests of bytes and canonical values; knows no file's meaning."""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Mapping
from typing import Any

CHUNK = 1 << 20
FILE = re.compile(r"[0-9a-f]{64}")  # what the digest of a file looks like
ANY = re.compile(r"[0-9a-f]{64}/?")  # or of a folder: the store makes paths of them
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


def canonical(value: Any) -> bytes:
    """The one encoding of a JSON value: sorted keys, no spaces, UTF-8, shortest floats. NaN and infinity are errors."""
    return _encode(value).encode("utf-8")


def of_bytes(data: bytes) -> str:
    """sha256 of bytes, 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def of_value(value: Any) -> str:
    """sha256 of a JSON value in its canonical encoding."""
    return hashlib.sha256(canonical(value)).hexdigest()


def of_listing(files: Mapping[str, str]) -> str:
    """The name of a folder, given its files' digests by path in it: their list's digest and a slash."""
    return of_value(files) + "/"


def of_file(path: str | os.PathLike[str]) -> str:
    """sha256 of a file's bytes, read in pieces of 1 MiB."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    try:
        return of_descriptor(descriptor)
    finally:
        os.close(descriptor)


def of_descriptor(descriptor: int) -> str:
    """sha256 of what is left to read of an open file."""
    digest = hashlib.sha256()
    while piece := os.read(descriptor, CHUNK):
        digest.update(piece)
    return digest.hexdigest()


Signature = tuple[int, int, int, int, int]


def signature(stat: os.stat_result) -> Signature:
    """What tells, by inequality, that a file may have changed: device, inode, size, mtime and ctime in ns."""
    return (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)


class Files:
    """Digests of files, hashed again only when their signature changed since they were last hashed.

    A file that was written in the last moments is hashed every time: its next change might leave no mark in the clock.
    """

    RACY = 50_000_000  # ns; well above the tick of any file system's clock

    def __init__(
        self,
        known: dict[str, tuple[Signature, str]],
        look_up: Callable[[str], tuple[Signature, str] | None] | None = None,
    ) -> None:
        self.known = known
        self.look_up = look_up  # asked for what is not in `known`, by absolute path
        self.fresh: dict[str, tuple[Signature, str]] = {}

    def of(self, path: str | os.PathLike[str]) -> str:
        """sha256 of a file; raises OSError where it cannot be read."""
        name = os.path.abspath(path)
        now = signature(os.stat(name))
        seen = self.known.get(name) or (self.look_up(name) if self.look_up is not None else None)
        if seen is not None and seen[0] == now:
            return seen[1]
        found = of_file(name)
        if max(now[3], now[4]) < time.time_ns() - self.RACY:
            self.known[name] = self.fresh[name] = (now, found)
        return found
