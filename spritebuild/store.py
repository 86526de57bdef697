"""Blobs and traces on this machine: content-addressed files, and a SQLite database in WAL mode.

A blob is in the store when its file is under its final name: it got there by fsync and rename, whole. Blobs are
read-only and are hashed whenever they are used; one that does not match its name is set aside and counts as missing.
This file alone touches SQLite.
"""

from __future__ import annotations

import contextlib
import copy
import errno
import itertools
import json
import os
import secrets
import shutil
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spritebuild import digest
from spritebuild.errors import StageError
from spritebuild.files import exists, sync_files, sync_folder, sync_folders, write_atomic

SCHEMA = 2
LARGE = 1 << 20  # bytes from which a link is worth a read-only asset; below, a copy costs nothing
SPACE = "\x1f"  # between the name of a space and what is named in it: no action and no path has it
SCRATCH = "scratch"  # the folder of what is unfinished, which the next build empties
COMMIT_EVERY = 0.5  # seconds of cheap actions that a kill may cost; a generated image is committed at once


@dataclass(frozen=True, slots=True)
class Trace:
    """What an action once gave: output digests by name, and where and how they were made."""

    outputs: Mapping[str, str]
    provenance: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Description:
    """How an action was declared at the last build: what a reason compares with."""

    key: str
    stage: str
    version: int
    params: Mapping[str, Any]
    inputs: Mapping[str, str]


class Damaged(Exception):  # noqa: N818 - caught and healed, never shown
    """A blob did not match its digest and was set aside; whoever needs it plans again."""

    def __init__(self, digest: str) -> None:
        super().__init__(digest)
        self.digest = digest


class Store:
    """The store in a folder, usually `.spritebuild` in the project. Safe for threads as long as one writes traces."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.space = ""
        self.scratch = root / SCRATCH
        self._blobs = f"{root}/blobs"
        self._folders: set[str] = set()
        self._taken: dict[str, str] = {}  # files that are blobs, or will be with the next commit, by digest
        self._fresh: deque[str] = deque()  # those of them that will be
        self._hashed: dict[str, digest.Signature] = {}  # large blobs and files of folders as they were when hashed
        self._recorded: dict[str, tuple[str, Trace]] = {}  # action and trace by key, until the next commit
        self._absent: bool | None = None  # whether there was no database when first asked
        self._database: sqlite3.Connection | None = None
        self._committed = 0.0
        self._assembling = threading.Lock()  # threads that read one folder must not put it together at once

    def spaced(self, space: str) -> Store:
        """The same blobs and traces; but what the last build saw and installed is another's, by the name of `space`.

        It is good for as long as this one is open.
        """
        if self.root.exists():
            self.database  # noqa: B018 - opened here, both have one connection
        view = copy.copy(self)
        view.space = f"{space}{SPACE}"
        return view

    # Blobs

    def path(self, name: str) -> str:
        """Where the bytes of that digest lie, if they are here; good for as long as the store is open."""
        return self._taken.get(name) or self._final(name)

    def kept(self, key: str) -> Path:
        """Where the unfinished work of an action of that key survives a kill."""
        return self.root / "kept" / key

    def has(self, name: str) -> bool:
        """Whether the blob, or every file of the folder, is here; bytes are checked when they are used."""
        if name[-1:] == "/":
            try:
                return all(map(self.has, self.listed(name).values()))
            except Damaged:
                return False
        return name in self._taken or exists(self._final(name))

    def take(self, file: str, expected: str | None = None) -> str:
        """Take over a file of ours; returns its digest. The file is gone afterwards. A folder's path ends in a slash.

        One that came from elsewhere is `expected` to have a digest; it is set aside, and Damaged raised, if it has not.

        The bytes can be read at once. They become a blob with the next commit, before the traces that speak of them:
        fsync, then the final name, then fsync of the folder. Many at a time share one flush.
        """
        if file[-1:] == "/":
            return self._take_folder(file)
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
        try:
            name = digest.of_descriptor(descriptor)
            large = os.fstat(descriptor).st_size >= LARGE
            os.fchmod(descriptor, 0o444)
            if large:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if expected is not None and expected != name:
            self._set_aside(file, name)
            raise Damaged(expected)
        if self.has(name):
            with contextlib.suppress(Damaged):
                self.checked(name)
                os.unlink(file)
                return name
        if large:  # may be linked as an asset, which a second name's coming and going would touch
            folder = self._folder(name)
            os.rename(file, self._final(name))
            sync_folder(folder)
            self._hashed[name] = digest.signature(os.stat(self._final(name)))
            return name
        kept = f"{self.scratch}/{name}"
        os.rename(file, kept)
        self._taken[name] = kept
        self._fresh.append(name)
        return name

    def _publish(self) -> None:
        """Give what was taken its final name, now that its bytes are durable."""
        count = len(self._fresh)  # other threads append meanwhile
        names = [name for name in itertools.islice(self._fresh.copy(), count) if name in self._taken]
        sync_files([self._taken[name] for name in names])
        self._make_folders(names)
        for name in names:
            try:
                os.link(self._taken[name], self._final(name))  # whoever reads it by its first name goes on reading
            except FileExistsError:
                continue
            except OSError as error:
                if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK):
                    raise
                write_atomic(Path(self._final(name)), Path(self._taken[name]).read_bytes(), mode=0o444)
        sync_folders(os.path.dirname(self._final(name)) for name in names)
        for _ in range(count):  # only now: a commit after a failure tries them again, before it speaks of them
            self._fresh.popleft()

    def settle(self) -> None:
        """Commit, and drop the first names of what was taken: nothing reads any more."""
        self.commit()
        while self._taken:
            os.unlink(self._taken.popitem()[1])

    def put(self, data: bytes) -> str:
        """Store bytes; returns their digest. Takes the place of a damaged blob, which is set aside."""
        name = digest.of_bytes(data)
        if self.has(name):
            with contextlib.suppress(Damaged):
                self.checked(name)
                return name
        self._folder(name)
        write_atomic(Path(self._final(name)), data, scratch=self.scratch, mode=0o444)
        return name

    def put_many(self, things: Mapping[str, bytes]) -> None:
        """Store bytes by their digests, which the caller has verified: one flush for all of them."""
        new = {name: f"{self.scratch}/{name}.{secrets.token_hex(4)}" for name in things if not self.has(name)}
        for name, temporary in new.items():
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444)
            try:
                view = memoryview(things[name])
                while view:
                    view = view[os.write(descriptor, view) :]
            finally:
                os.close(descriptor)
        sync_files([*new.values()])
        self._make_folders(new)
        for name, temporary in new.items():
            os.rename(temporary, self._final(name))
        sync_folders(os.path.dirname(self._final(name)) for name in new)

    def checked(self, name: str) -> str:
        """The path of a blob, or of a folder, whose bytes were hashed. Raises Damaged when it is missing or wrong.

        Small ones are hashed every time, large ones once for as long as their file is not written to.
        """
        if name[-1:] == "/":
            with self._assembling:
                return self._checked_folder(name)
        if not digest.FILE.fullmatch(name):
            raise ValueError(f"{name!r} is no digest")  # a path made of it might lead out of the store
        path = self.path(name)
        try:
            now = digest.signature(os.stat(path))
            if self._hashed.get(name) == now:
                return path
            found = digest.of_file(path)
        except FileNotFoundError:
            raise Damaged(name) from None
        if found == name and now[2] >= LARGE:
            self._hashed[name] = now
        if found != name:
            self._set_aside(path, name)
            self._taken.pop(name, None)
            raise Damaged(name)
        return path

    def content(self, name: str) -> bytes | str:
        """The bytes of a blob, hashed; of a large one, the path that `checked` gives. Raises Damaged."""
        try:
            descriptor = os.open(self.path(name), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise Damaged(name) from None
        try:
            data = os.read(descriptor, LARGE)
        finally:
            os.close(descriptor)
        if len(data) < LARGE and digest.of_bytes(data) == name:
            return data
        return self.checked(name)  # large, or damaged

    def _set_aside(self, path: str, name: str) -> None:
        aside = f"{self.root}/quarantine"
        os.makedirs(aside, exist_ok=True)
        os.rename(path, f"{aside}/{name}.{secrets.token_hex(4)}")

    # Folders: a blob lists the files, which are blobs; the folder is called by the list's digest and a slash

    def listed(self, name: str) -> Mapping[str, str]:
        """The digests of a folder's files, by path in it. Raises Damaged."""
        listing = self.checked(name[:-1])
        return dict(json.loads(Path(listing).read_bytes()))

    def _take_folder(self, folder: str) -> str:
        listing: dict[str, str] = {}
        for parent, _, files in os.walk(folder, onerror=_raise):  # which would pass over what it cannot list
            for file in files:
                path = os.path.join(parent, file)
                if os.path.islink(path):
                    raise StageError(f"wrote a link into a folder, {path.removeprefix(folder)}", hint="copy the file")
                listing[path.removeprefix(folder)] = self.take(path)
        shutil.rmtree(folder)
        return self.put(digest.canonical(listing)) + "/"

    def _checked_folder(self, name: str) -> str:
        """The folder, put together from its files: links to blobs, which are read-only."""
        listing = self.listed(name)
        final = f"{self.root}/folders/{name[:-1]}"
        if not os.path.isdir(final):
            temporary = f"{self.scratch}/{name[:-1]}.folder"
            shutil.rmtree(temporary, ignore_errors=True)
            for path, member in listing.items():
                target = f"{temporary}/{path}"
                os.makedirs(os.path.dirname(target), exist_ok=True)
                try:
                    os.link(self.checked(member), target)
                except OSError as error:
                    if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK):
                        raise
                    shutil.copyfile(self.checked(member), target)
            os.makedirs(os.path.dirname(final), exist_ok=True)
            os.rename(temporary, final)
        for path, member in listing.items():
            self._check_member(f"{final}/{path}", member, final)
        return final

    def _check_member(self, path: str, name: str, folder: str) -> None:
        try:
            now = digest.signature(os.stat(path))
            right = self._hashed.get(path) == now or digest.of_file(path) == name
        except FileNotFoundError:
            right = False
        if not right:
            shutil.rmtree(folder)  # it is put together again, from blobs that are checked
            self.checked(name)
            raise Damaged(name)
        self._hashed[path] = now

    def blobs(self) -> Iterator[tuple[str, os.DirEntry[str]]]:
        """Every blob by digest."""
        with contextlib.suppress(FileNotFoundError):
            for folder in sorted(os.scandir(self._blobs), key=lambda entry: entry.name):
                for entry in os.scandir(folder.path):
                    yield folder.name + entry.name, entry

    def remove(self, name: str) -> None:
        """Delete a blob."""
        os.unlink(self._final(name))

    def fresh_scratch(self) -> None:
        """Empty the scratch folder of what a killed build left there. The caller holds the build lock."""
        self.commit()
        self._taken.clear()
        shutil.rmtree(self.scratch, ignore_errors=True)
        os.makedirs(self.scratch, exist_ok=True)

    def _final(self, name: str) -> str:
        return f"{self._blobs}/{name[:2]}/{name[2:]}"

    def _folder(self, name: str) -> str:
        self._make_folders([name])
        return f"{self._blobs}/{name[:2]}"

    def _make_folders(self, names: Iterable[str]) -> None:
        """Make the folders of blobs, and their names durable by one flush for all."""
        asked = {f"{self._blobs}/{name[:2]}" for name in names} - self._folders
        new = [folder for folder in sorted(asked) if not os.path.isdir(folder)]
        for folder in new:
            os.makedirs(folder, exist_ok=True)
        if new:
            sync_folder(self._blobs)
        self._folders |= asked

    # Traces

    def _read(self, query: str, values: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
        """Rows of a query; none where there is no database yet: reading makes none."""
        if self._database is None:
            if self._absent is None:
                self._absent = not exists(f"{self.root}/traces.db")
            if self._absent:
                return iter(())
        return self.database.execute(query, values)

    @property
    def database(self) -> sqlite3.Connection:
        """The open database, made when first written to."""
        if self._database is None:
            os.makedirs(self.root, exist_ok=True)
            connection = sqlite3.connect(self.root / "traces.db", isolation_level=None, check_same_thread=False)
            connection.execute("PRAGMA busy_timeout=10000")
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            if connection.execute("PRAGMA user_version").fetchone()[0] != SCHEMA:
                connection.executescript(_TABLES)
            self._database = connection
        return self._database

    def close(self) -> None:
        """Commit and close; the store may be opened again."""
        self.commit()
        self.abandon()

    def commit(self, *, when_due: bool = False) -> None:
        """Make everything recorded so far durable: the blobs first, then the traces that speak of them."""
        if when_due and time.monotonic() - self._committed < COMMIT_EVERY:
            return
        self._publish()
        self._many(
            "INSERT OR REPLACE INTO traces VALUES (?,?,?,?)",
            (
                (key, action, json.dumps(trace.outputs), json.dumps(trace.provenance))
                for key, (action, trace) in self._recorded.items()
            ),
        )
        if self._database is not None and self._database.in_transaction:
            self._database.execute("COMMIT")
        self._recorded.clear()
        self._committed = time.monotonic()

    def abandon(self) -> None:
        """Close without a commit, after a failure of the disk; never raises."""
        for kept in self._taken.values():
            with contextlib.suppress(OSError):
                os.unlink(kept)
        self._taken.clear()
        self._fresh.clear()
        self._recorded.clear()
        if self._database is not None:
            with contextlib.suppress(sqlite3.Error):
                self._database.close()
            self._database = None

    def trace(self, key: str) -> Trace | None:
        """What is known of a key."""
        if key in self._recorded:
            return self._recorded[key][1]
        row = next(self._read("SELECT outputs, provenance FROM traces WHERE key=?", (key,)), None)
        return Trace(json.loads(row[0]), json.loads(row[1])) if row else None

    def outputs(self, key: str) -> Mapping[str, str] | None:
        """The output digests of a key, if it was ever run here: `trace` for the many."""
        if key in self._recorded:
            return self._recorded[key][1].outputs
        row = next(self._read("SELECT outputs FROM traces WHERE key=?", (key,)), None)
        return json.loads(row[0]) if row else None

    def record(self, key: str, action: str, trace: Trace, *, now: bool = False) -> None:
        """Record a trace; it is durable within COMMIT_EVERY seconds of further records, or at once."""
        self._recorded[key] = action, trace
        self.commit(when_due=not now)

    def all_outputs(self) -> Iterator[tuple[str, dict[str, str]]]:
        """Every committed trace's key and outputs."""
        for key, outputs in self._read("SELECT key, outputs FROM traces"):
            yield key, json.loads(outputs)

    def seconds(self) -> Iterator[tuple[str, str, float]]:
        """Every committed trace's key, action and seconds."""
        query = "SELECT key, action, coalesce(json_extract(provenance, '$.seconds'), 0) FROM traces"
        return ((key, action, float(seconds)) for key, action, seconds in self._read(query))

    def forget(self, keys: Iterable[str]) -> None:
        """Drop traces."""
        self._many("DELETE FROM traces WHERE key=?", ((key,) for key in keys))

    # What the last build saw

    def described_keys(self) -> dict[str, str]:
        """The key of every action at the last build."""
        return dict(self._of_space("SELECT action, key FROM described", "action"))

    def described_key(self, action: str) -> str | None:
        """The key of an action at the last build."""
        row = next(self._read("SELECT key FROM described WHERE action=?", (self.space + action,)), None)
        return row[0] if row else None

    def description(self, action: str) -> Description | None:
        """How an action was declared at the last build."""
        row = next(self._read("SELECT key, description FROM described WHERE action=?", (self.space + action,)), None)
        return Description(key=row[0], **json.loads(row[1])) if row else None

    def describe(self, rows: Iterable[tuple[str, Description]], gone: Iterable[str] = ()) -> None:
        """Remember how actions are declared now, and forget those that are gone."""
        self._many(
            "INSERT OR REPLACE INTO described VALUES (?,?,?)",
            (
                (
                    self.space + action,
                    d.key,
                    json.dumps(
                        {"stage": d.stage, "version": d.version, "params": dict(d.params), "inputs": dict(d.inputs)}
                    ),
                )
                for action, d in rows
            ),
        )
        self._many("DELETE FROM described WHERE action=?", ((self.space + action,) for action in gone))

    def installed(self) -> dict[str, str]:
        """The digest of every asset that a build put into the project, by path."""
        return dict(self._of_space("SELECT path, digest FROM installed", "path"))

    def installed_at(self, path: str) -> str | None:
        """The digest of one asset that a build put into the project: `installed` for one."""
        row = next(self._read("SELECT digest FROM installed WHERE path=?", (self.space + path,)), None)
        return row[0] if row else None

    def record_installed(self, rows: Iterable[tuple[str, str]], gone: Iterable[str] = ()) -> None:
        """Remember what is about to be installed, and forget what was removed."""
        spaced = ((self.space + path, name) for path, name in rows)
        self._many("INSERT OR REPLACE INTO installed VALUES (?,?)", spaced)
        self._many("DELETE FROM installed WHERE path=?", ((self.space + path,) for path in gone))

    def _of_space(self, query: str, column: str) -> Iterator[tuple[str, str]]:
        """Rows of a name and a digest, those of this space, called there as they are."""
        if not self.space:
            return ((row[0], row[1]) for row in self._read(f"{query} WHERE instr({column}, char(31))=0"))
        length = len(self.space)
        rows = self._read(f"{query} WHERE substr({column}, 1, {length})=?", (self.space,))
        return ((row[0][length:], row[1]) for row in rows)

    def stand_ins(self) -> dict[str, str]:
        """Locked digests made on another platform, and the bytes that stand for them here."""
        return {row[0]: row[1] for row in self._read("SELECT locked, digest FROM stand_ins")}

    def record_stand_in(self, locked: str, here: str) -> None:
        """Remember that bytes made here look like the locked ones."""
        self._many("INSERT OR REPLACE INTO stand_ins VALUES (?,?)", [(locked, here)])

    def files(self) -> dict[str, tuple[digest.Signature, str]]:
        """What files had which bytes when last hashed: (signature, digest) by absolute path."""
        rows = self._read("SELECT path, device, inode, size, mtime, ctime, digest FROM files")
        return {
            path: ((device, inode, size, mtime, ctime), name) for path, device, inode, size, mtime, ctime, name in rows
        }

    def file(self, path: str) -> tuple[digest.Signature, str] | None:
        """What one file had when last hashed: `files` for one."""
        query = "SELECT device, inode, size, mtime, ctime, digest FROM files WHERE path=?"
        row = next(self._read(query, (path,)), None)
        return ((row[0], row[1], row[2], row[3], row[4]), row[5]) if row else None

    def record_files(self, rows: Mapping[str, tuple[digest.Signature, str]]) -> None:
        """Remember the digests of files."""
        self._many(
            "INSERT OR REPLACE INTO files VALUES (?,?,?,?,?,?,?)",
            ((path, *signature, name) for path, (signature, name) in rows.items()),
        )

    # What the front of the next build looks up (see `front.py`): rows by name, and who uses what

    def front(self, name: str) -> Any:
        """A row of the front, or None."""
        row = next(self._read("SELECT row FROM front WHERE name=?", (name,)), None)
        return json.loads(row[0]) if row else None

    def front_users(self, used: str) -> list[str]:
        """Who uses something, sorted."""
        return [row[0] for row in self._read("SELECT user FROM front_uses WHERE used=? ORDER BY user", (used,))]

    def renew_front(self, rows: Mapping[str, str], uses: set[tuple[str, str]]) -> None:
        """Make these all rows, in JSON, and all uses; writes only what differs."""
        before = dict(self._read("SELECT name, row FROM front"))
        used = set(self._read("SELECT used, user FROM front_uses"))
        self.change_front(
            {name: row for name, row in rows.items() if before.get(name) != row},
            before.keys() - rows.keys(),
            uses - used,
            used - uses,
        )

    def change_front(
        self,
        rows: Mapping[str, str],
        gone: Iterable[str] = (),
        uses: Iterable[tuple[str, str]] = (),
        unused: Iterable[tuple[str, str]] = (),
    ) -> None:
        """Replace some rows and uses."""
        self._many("DELETE FROM front WHERE name=?", ((name,) for name in gone))
        self._many("INSERT OR REPLACE INTO front VALUES (?,?)", rows.items())
        self._many("DELETE FROM front_uses WHERE used=? AND user=?", unused)
        self._many("INSERT OR REPLACE INTO front_uses VALUES (?,?)", uses)

    def _begin(self) -> None:
        if not self.database.in_transaction:
            self.database.execute("BEGIN IMMEDIATE")

    def _many(self, statement: str, rows: Iterable[tuple[Any, ...]]) -> None:
        rows = list(rows)
        if rows:
            self._begin()
            self.database.executemany(statement, rows)


def _raise(error: OSError) -> None:
    raise error


_TABLES = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS traces(key TEXT PRIMARY KEY, action TEXT, outputs TEXT, provenance TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS described(action TEXT PRIMARY KEY, key TEXT, description TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS installed(path TEXT PRIMARY KEY, digest TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS stand_ins(locked TEXT PRIMARY KEY, digest TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS files(path TEXT PRIMARY KEY, device INT, inode INT, size INT, mtime INT, ctime INT,
  digest TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS front(name TEXT PRIMARY KEY, row TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS front_uses(used TEXT, user TEXT, PRIMARY KEY(used, user)) WITHOUT ROWID;
PRAGMA user_version={SCHEMA};
COMMIT;
"""
