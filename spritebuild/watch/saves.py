"""Tells that something was saved that a build depends on: by the system's notices, or by looking; builds nothing."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from spritebuild import digest
from spritebuild.watch.watched import State, Watched

if TYPE_CHECKING:
    from watchfiles._rust_notify import RustNotify

QUIET = 25  # ms without a further notice after which a burst of saves is over
BURST = 400  # ms that a burst lasts at most
ADDED = 1  # of watchfiles' changes
LOOK_EVERY = 0.3  # seconds, where nothing gives notice


@dataclass
class Saves:
    """What was saved since it was last asked. `pending` is set as long as something was."""

    polling: bool = False
    pending: threading.Event = field(default_factory=threading.Event)
    _watched: Watched | None = None
    _folders: frozenset[str] = frozenset()
    _ending: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _gate: threading.Lock = field(default_factory=threading.Lock)
    _saved: set[str] = field(default_factory=set)
    _lock: str | None = None  # the bytes of the lock as the last build left them
    _building: bool = False

    def watch(self, watched: Watched) -> bool:
        """Watch these places from now on. Says whether some were not watched before: what they held is to be read anew.

        Where the system gives no notices, or no more of them, the places are looked at now and then.
        """
        folders = watched.folders()
        before, self._watched = self._watched, watched
        if before is not None and folders <= self._folders and (not self.polling or watched.files <= before.files):
            return False
        self.close()
        self._ending = threading.Event()
        notices = None if self.polling else self._notices(folders)
        self._folders = folders
        if notices is None:
            self._thread = threading.Thread(target=self._look, args=(self._ending, watched.state()), daemon=True)
        else:
            self._thread = threading.Thread(target=self._listen, args=(self._ending, notices), daemon=True)
        self._thread.start()
        return True

    def taken(self) -> list[str]:
        """What was saved, by path; it counts as heard. A build begins."""
        with self._gate:
            self._building = True
            self.pending.clear()
            saved, self._saved = sorted(self._saved), set()
            return saved

    def built(self) -> None:
        """The build is over, and nobody else has written to the lock meanwhile."""
        with self._gate:
            self._lock = _bytes_of(self._watched.lock) if self._watched is not None else None
            self._building = False

    def close(self) -> None:
        """Watch nothing any more; whoever still listens ends soon, and is heard no more."""
        self._ending.set()

    def _notices(self, folders: Iterable[str]) -> RustNotify | None:
        """The system's notices of what happens in folders; None where it gives none, for one of many reasons."""
        from watchfiles._rust_notify import RustNotify

        with contextlib.suppress(OSError, RuntimeError):
            return RustNotify(sorted(folders), False, False, 0, False, True)
        self.polling = True
        return None

    def _listen(self, ending: threading.Event, notices: RustNotify) -> None:
        with notices:
            while not ending.is_set():
                changes = notices.watch(BURST, QUIET, 1000, ending)
                if isinstance(changes, set) and not ending.is_set():
                    self._folders -= {path for change, path in changes if change == ADDED}  # others than are watched
                    self._hear(path for _, path in changes)

    def _look(self, ending: threading.Event, before: State) -> None:
        while not ending.wait(LOOK_EVERY):
            if (watched := self._watched) is not None:
                now = watched.state()
                changed = {path for path in now.keys() | before.keys() if now.get(path) != before.get(path)}
                before = now
                self._hear(changed)

    def _hear(self, paths: Iterable[str]) -> None:
        watched = self._watched
        if watched is None:
            return
        with self._gate:
            found = {path for path in paths if watched.concerns(path) and not self._is_ours(watched, path)}
            self._saved |= found
            if found:
                self.pending.set()

    def _is_ours(self, watched: Watched, path: str) -> bool:
        """Whether it is the lock as a build wrote it; while one runs, nobody else does."""
        return path == watched.lock and (self._building or _bytes_of(path) == self._lock)


def _bytes_of(path: str) -> str | None:
    try:
        return digest.of_file(path)
    except OSError:
        return None


def shown(root: str, paths: Iterable[str]) -> list[str]:
    """Paths as a person calls them: below the project, where they are."""
    return [path.removeprefix(f"{os.path.join(root, '')}") for path in paths]
