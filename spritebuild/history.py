"""Bytes and locks of earlier revisions, from the git repository that a project is in; knows no asset's meaning."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from spritebuild import digest, lock
from spritebuild.errors import LockError, UsageError
from spritebuild.lock import Entry
from spritebuild.store import Store

TOGETHER = 500  # files that are read at a time
MOST_LINE = 8192  # bytes of a line about a file
ELSEWHERE = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR"}  # which git tells its hooks
MOST_REVISIONS = 50  # of the lock, the latest, in which approved bytes are looked for


@dataclass
class History:
    """The revisions of one project. Where there is no git, or no repository, nothing is ever found."""

    root: Path
    _known: dict[str, tuple[str, str]] = field(default_factory=dict)  # revision and place by digest
    _unread: Iterator[str] | None = None

    def lock_of(self, revision: str) -> dict[str, Entry]:
        """The lock as it was in a revision. Raises UsageError where there is no such revision, LockError for damage."""
        if revision.startswith("-") or self._git("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}") is None:
            raise UsageError(f"no revision is called {revision!r}", hint="a commit, branch or tag of this repository")
        data = self._git("show", f"{revision}:./{lock.PATH}")
        entries = lock.parse(data) if data is not None else {}
        self._learn(revision, entries)
        return entries

    def locks(self) -> tuple[int, list[dict[str, Entry]]]:
        """How many branches and tags there are, and every lock that one of them has. Raises LockError for damage."""
        found = self._git("for-each-ref", "--format=%(objectname)", "refs/heads", "refs/remotes", "refs/tags")
        refs = (found or b"").decode().split()
        texts = dict.fromkeys(self._blobs([(ref, lock.PATH) for ref in dict.fromkeys([*refs, "HEAD"])]))
        return len(refs), [lock.parse(text) for text in texts if text]

    def recover(self, store: Store, names: Iterable[str]) -> None:
        """Bring the bytes of digests into the store, of those that Git LFS keeps here, or that a revision has."""
        wanted = [name for name in names if not store.has(name)]
        for name in wanted if self._large_files else ():
            with contextlib.suppress(OSError):  # Git LFS calls them by the same digest
                data = Path(self._large_files, name[:2], name[2:4], name).read_bytes()
                if digest.of_bytes(data) == name:
                    store.put(data)
        wanted = [name for name in wanted if not store.has(name)]
        while any(name not in self._known for name in wanted):
            revision = next(self._revisions(), None)
            if revision is None:
                break
            with contextlib.suppress(LockError, UsageError):  # a lock that was committed with a conflict says nothing
                self.lock_of(revision)
        found = [name for name in wanted if name in self._known]
        for start in range(0, len(found), TOGETHER):
            some = found[start : start + TOGETHER]
            for name, data in zip(some, self._blobs([self._known[name] for name in some]), strict=False):
                if digest.of_bytes(data) == name:
                    store.put(data)

    @cached_property
    def _large_files(self) -> str:
        """The folder in which Git LFS keeps what it has fetched; empty without one."""
        found = (self._git("rev-parse", "--git-common-dir") or b"").decode(errors="surrogateescape").strip()
        folder = self.root / found / "lfs/objects"
        return str(folder) if found and folder.is_dir() else ""

    def _learn(self, revision: str, entries: dict[str, Entry]) -> None:
        for entry in entries.values():
            for place, name in entry.installed().items():
                if "\n" not in place:
                    self._known.setdefault(name, (revision, place))

    def _revisions(self) -> Iterator[str]:
        if self._unread is None:
            most = f"-{MOST_REVISIONS}"
            found = self._git("rev-list", most, "HEAD", "--", lock.PATH)  # `log` would heed the user's settings
            self._unread = iter(found.decode().split() if found else ())
        return self._unread

    def _git(self, *arguments: str, given: bytes | None = None) -> bytes | None:
        environment = {name: value for name, value in os.environ.items() if name not in ELSEWHERE}
        command = ["git", *arguments]
        try:
            done = subprocess.run(
                command, cwd=self.root, env=environment, input=given, capture_output=True, check=False
            )
        except OSError:
            return None
        return done.stdout if done.returncode == 0 else None

    def _blobs(self, places: Sequence[tuple[str, str]]) -> Iterator[bytes]:
        """Files of revisions, by one process; empty for what is none."""
        asked = "".join(f"{revision}:./{place}\n" for revision, place in places)
        rest = memoryview(self._git("cat-file", "--batch", given=asked.encode()) or b"")
        while rest:
            line, _, _ = bytes(rest[:MOST_LINE]).partition(b"\n")
            rest = rest[len(line) + 1 :]
            *_, kind, size = (b"", *line.split())
            if kind in (b"blob", b"tree") and size.isdigit():
                yield bytes(rest[: int(size)]) if kind == b"blob" else b""
                rest = rest[int(size) + 1 :]
            else:
                yield b""
