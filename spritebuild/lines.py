"""A few entries of a large lock, looked up and replaced without reading the others; knows no graph."""

from __future__ import annotations

import json
import mmap
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from spritebuild import digest, lock
from spritebuild.lock import Entry


class Lines:
    """A lock as it was written, of which a few entries are looked up and replaced without reading the others."""

    def __init__(self, root: Path) -> None:
        with (root / lock.PATH).open("rb") as file:
            empty = os.fstat(file.fileno()).st_size == 0
            self._data: bytes | mmap.mmap = b"" if empty else mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self.pieces: list[bytes | memoryview] = [memoryview(self._data)]  # of the lock, copying nothing

    def find(self, paths: Iterable[str]) -> dict[str, Entry]:
        """The entries of these paths, where there are any. Raises LockError on a damaged line that is met."""
        places = ((path, *self._place(path)) for path in paths)
        return {
            path: entry
            for _, start, end in places
            if end > start
            for path, entry in lock.parse(self._data[start:end]).items()
        }

    def names_platform(self, name: str) -> bool:
        """Whether an entry was made on this class of machine."""
        said = re.compile(re.escape(b'"platform":' + digest.canonical(name)))
        return any(said.search(piece) for piece in self.pieces)

    def replace(self, old: Mapping[str, Entry], new: Mapping[str, Entry]) -> bool:
        """Put new entries into the places of old ones, once, in memory; says whether that changes anything."""
        whole = memoryview(self._data)
        pieces: list[bytes | memoryview] = []
        done = 0
        for path in sorted({path for path in (*old, *new) if old.get(path) != new.get(path)}):
            start, end = self._place(path)
            pieces += [whole[done:start], lock.text([new[path]]).encode() if path in new else b""]
            done = end
        if pieces:
            self.pieces = [*pieces, whole[done:]]
        return bool(pieces)

    def _place(self, path: str) -> tuple[int, int]:
        """Where the line of a path begins and ends, the line end included; both where it would be, if it is not."""
        low, high = 0, len(self._data)
        while low < high:
            start = self._data.rfind(b"\n", low, (low + high) // 2) + 1 or low
            end = self._data.find(b"\n", start) + 1 or len(self._data)
            found = json.loads(self._data[start:end])["path"]
            if found == path:
                return start, end
            low, high = (end, high) if found < path else (low, start)
        return low, low
