"""The store that a team shares: blobs by sha256 and signed traces, at some place; knows no graph and no file system.

    blobs/ab/cdef...        a blob
    packs/ID, ID.index      many small blobs in one file, and where in it each is (see `packs`)
    traces/ab/cdef...       the trace of a key (see `signed`)
    trace-packs/            likewise many traces in one file, each of them signed

Nothing there is believed: whatever comes is hashed, and what is wrong is set aside and named. Nothing there is ever
overwritten: two who push the same put the same bytes.
"""

from __future__ import annotations

import os
import secrets
import threading
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from spritebuild import packs, signed
from spritebuild.digest import FILE
from spritebuild.errors import IntegrityError
from spritebuild.packs import Where
from spritebuild.store import Damaged, Store, Trace
from spritebuild.transport import Place

SMALL = 64 << 10  # bytes below which a blob costs its request, not its bytes
T = TypeVar("T")
R = TypeVar("R")


@dataclass
class Count:
    """What was asked of a shared store and what came of it."""

    asked: int = 0  # blobs and traces that were looked for
    found: int = 0  # those that are there
    blobs: int = 0  # that were moved
    traces: int = 0  # that were moved
    bytes: int = 0  # of the blobs that were moved

    def summary(self) -> dict[str, Any]:
        """As data: with the share that was found."""
        return {**vars(self), "hit_rate": round(self.found / self.asked, 4) if self.asked else None}


@dataclass
class Shared:
    """A shared store and the local one beside it. `trusted` are the public keys of traces; None takes any trace."""

    place: Place
    url: str
    store: Store
    trusted: Collection[str] | None = ()
    count: Count = field(default_factory=Count)
    faults: dict[str, str] = field(default_factory=dict)  # what is wrong there, by its path
    _lock: threading.Lock = field(default_factory=threading.Lock)

    # What comes

    def fetch(self, names: Iterable[str], *, commit: bool = True) -> None:
        """Bring artifacts into the local store, as far as they are there; what is wrong becomes a fault."""
        wanted = {*names}
        try:
            self._fetch({name.rstrip("/") for name in wanted})
            self._fetch({file for name in wanted if name.endswith("/") for file in self._members(name)})
        finally:
            if commit:
                self.store.commit()

    def there(self, names: Iterable[str]) -> set[str]:
        """Those of the artifacts that lie there whole, as far as listings tell; of folders, the listing comes here."""
        wanted = {*names}
        folders = {name for name in wanted if name.endswith("/")}
        self.fetch({name[:-1] for name in folders}, commit=False)
        parts = {name: {name.rstrip("/"), *(self._members(name) if name in folders else ())} for name in wanted}
        asked = {part for each in parts.values() for part in each}
        packed = self._packed("packs")
        found = self._loose("blobs", [name for name in asked if name not in packed]).keys() | (asked & packed.keys())
        return {name for name, each in parts.items() if each <= found and (name not in folders or len(each) > 1)}

    def traces(self, keys: Collection[str]) -> dict[str, Trace]:
        """The traces of keys, as far as they are there; those that are refused become faults."""
        packed = self._packed("trace-packs")
        groups = packs.by_pack(keys, packed)
        there = self._loose("traces", [key for key in keys if key not in packed])
        self._asked(len(keys), len(there) + sum(map(len, groups.values())))
        work = [(_path("traces", key), [key]) for key in there]
        work += [(f"trace-packs/{pack}", members) for pack, members in groups.items()]

        def read(each: tuple[str, list[str]]) -> dict[str, Trace]:
            path, members = each
            try:
                data = self.place.read(path)
            except FileNotFoundError:
                return {}
            found = {}
            for key in members:
                piece = data[packed[key].offset :][: packed[key].length] if key in packed else data
                try:
                    found[key] = Trace(*signed.read(piece, key, self.trusted))
                except signed.Refused as refused:
                    self._fault(path if path.startswith("traces") else f"{path}:{key[:12]}", str(refused))
            return found

        traces = {key: trace for found in self._all(read, work) for key, trace in found.items()}
        self.count.traces += len(traces)
        return traces

    def raise_faults(self) -> None:
        """Raise IntegrityError if anything there was wrong."""
        if self.faults:
            count = len(self.faults)
            raise IntegrityError(
                f"{count} thing{'s' * (count > 1)} in the shared store {'are' if count > 1 else 'is'} refused",
                where=self.url,
                facts=sorted(self.faults.items())[:20],
                hint="nothing of it was used. Find out who wrote it, delete it there and push again; "
                "--offline builds without the shared store",
            )

    def _fetch(self, names: Collection[str]) -> None:
        missing = [name for name in names if not self.store.has(name)]
        if not missing:
            return
        packed = self._packed("packs")
        loose = self._loose("blobs", [name for name in missing if name not in packed])
        groups = packs.by_pack(missing, packed)
        self._asked(len(missing), len(loose) + sum(map(len, groups.values())))
        os.makedirs(self.store.scratch, exist_ok=True)
        largest = sorted(loose, key=lambda name: -loose[name])  # so that none of them is left alone at the end
        work: list[Callable[[], None]] = [lambda name=name: self._get(name) for name in largest]  # type: ignore[misc]
        for pack, members in groups.items():
            work.append(lambda pack=pack, members=members: self._get_packed(pack, members, packed))  # type: ignore[misc]
        self._all(lambda each: each(), work)

    def _get(self, name: str) -> None:
        file = self._scratch()
        try:
            self.place.get(_path("blobs", name), file)
        except FileNotFoundError:
            return
        self._take(file, name, _path("blobs", name))

    def _get_packed(self, pack: str, members: Collection[str], packed: Mapping[str, Where]) -> None:
        whole = self._scratch()
        try:
            self.place.get(f"packs/{pack}", whole)
        except FileNotFoundError:
            return
        try:
            with open(whole, "rb") as source:
                for name in members:
                    _, offset, length = packed[name]
                    source.seek(offset)
                    file = self._scratch()
                    with open(file, "xb") as target:
                        target.write(source.read(length))
                    self._take(file, name, f"packs/{pack}")
        finally:
            os.unlink(whole)

    def _take(self, file: str, name: str, path: str) -> None:
        """Take a file over that came from a path there, if it is the blob of that name."""
        size = os.stat(file).st_size
        try:
            self.store.take(file, expected=name)
        except Damaged:
            self._fault(path, f"is not {name[:12]}: it was set aside in {self.store.root.name}/quarantine")
            return
        with self._lock:
            self.count.blobs += 1
            self.count.bytes += size

    def _members(self, name: str) -> Collection[str]:
        """The files of a folder whose listing is here; none if that would lead out of the folder."""
        if not self.store.has(name[:-1]):
            return ()
        try:
            listing = self.store.listed(name)
            for path, member in listing.items():
                if not FILE.fullmatch(member) or path.startswith("/") or {"..", ""} & {*path.split("/")}:
                    raise ValueError
        except Damaged:
            return ()
        except (ValueError, TypeError, AttributeError):
            self._fault(_path("blobs", name[:-1]), "is no listing of a folder")
            return ()
        return listing.values()

    def _packed(self, folder: str) -> dict[str, Where]:
        return packs.find(self.place, folder, self.store.root / "packs", self._all, self._fault)

    # What goes

    def push(self, names: Iterable[str], traces: Mapping[str, bytes]) -> None:
        """Put blobs there that are not, then the documents of traces: a trace never speaks of what is not there."""
        paths: dict[str, str] = {}
        for name in {*names}:
            try:
                paths[name] = self.store.checked(name)
            except Damaged:
                continue
        packed = self._packed("packs")
        loose = self._loose("blobs", [name for name in paths if name not in packed])
        sizes = {name: os.stat(path).st_size for name, path in paths.items()}
        for name, size in loose.items():
            if size != sizes[name]:
                self._fault(_path("blobs", name), f"has {size} bytes and should have {sizes[name]}")
        new = {name: sizes[name] for name in paths if name not in packed and name not in loose}
        self._asked(len(paths), len(paths) - len(new))
        small = {name: size for name, size in new.items() if size < SMALL}
        done = self._put_packs("packs", small, lambda name: Path(paths[name]).read_bytes())
        largest = sorted(new.keys() - done, key=lambda name: -sizes[name])
        self._all(lambda name: self.place.put(paths[name], _path("blobs", name)), largest)
        self.count.blobs += len(new)
        self.count.bytes += sum(new.values())
        self.raise_faults()
        self._push_traces(traces)

    def _push_traces(self, traces: Mapping[str, bytes]) -> None:
        packed = self._packed("trace-packs")
        left = [key for key in traces if key not in packed]
        there = self._loose("traces", left)
        new = {key: len(traces[key]) for key in left if key not in there}
        done = self._put_packs("trace-packs", new, lambda key: traces[key])
        self._all(lambda key: self._put(traces[key], _path("traces", key)), sorted(new.keys() - done))
        self.count.traces += len(new)

    def _put_packs(self, folder: str, sizes: Mapping[str, int], read: Callable[[str], bytes]) -> set[str]:
        """Put things into packs, if they are enough for one; returns those that are."""
        groups = packs.groups(sizes)

        def put(names: list[str]) -> None:
            pack, data, index = packs.packed({name: read(name) for name in names})
            self._put(data, f"{folder}/{pack}")
            self._put(index, f"{folder}/{pack}.index")  # last: without it, the pack is not there

        self._all(put, groups)
        return {name for names in groups for name in names}

    def _put(self, data: bytes, path: str) -> None:
        os.makedirs(self.store.scratch, exist_ok=True)
        file = self._scratch()
        Path(file).write_bytes(data)
        try:
            self.place.put(file, path)
        finally:
            os.unlink(file)

    # Both ways

    def _loose(self, folder: str, names: Iterable[str]) -> dict[str, int]:
        """Those of the names that are there, with their sizes: a listing for every two digits, not a request each."""
        wanted: dict[str, list[str]] = defaultdict(list)
        for name in names:
            wanted[name[:2]].append(name)
        found: dict[str, int] = {}
        for prefix, sizes in zip(wanted, self._all(lambda p: self.place.sizes(f"{folder}/{p}"), wanted), strict=True):
            found |= {name: sizes[name[2:]] for name in wanted[prefix] if name[2:] in sizes}
        return found

    def _all(self, call: Callable[[T], R], values: Collection[T]) -> list[R]:
        """A call for every value, many at a time; the first failure ends them."""
        if len(values) < 2:
            return [call(value) for value in values]
        with ThreadPoolExecutor(min(self.place.jobs, len(values)), thread_name_prefix="shared") as pool:
            try:
                return list(pool.map(call, values))
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise

    def _asked(self, asked: int, found: int) -> None:
        self.count.asked += asked
        self.count.found += found

    def _fault(self, path: str, why: str) -> None:
        with self._lock:
            self.faults[path] = why

    def _scratch(self) -> str:
        return f"{self.store.scratch}/{secrets.token_hex(8)}.shared"


def _path(folder: str, name: str) -> str:
    return f"{folder}/{name[:2]}/{name[2:]}"
