"""The store that a team shares: blobs by sha256 and signed traces, at some place; knows no graph and no file system.

    blobs/ab/cdef...        a blob
    packs/ID, ID.index      many small blobs in one file, and where in it each is (see `packs`)
    traces/ab/cdef...       the trace of a key (see `signed`)
    leases/, sweeping/      what must stay for a while, and who removes something now (see `leases`)
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

from spritebuild import digest
from spritebuild.digest import FILE
from spritebuild.errors import IntegrityError
from spritebuild.shared import leases, packs, signed
from spritebuild.shared.packs import Where
from spritebuild.shared.places import File, Place
from spritebuild.store import Damaged, Store, Trace

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

    def words(self) -> str:
        """What was moved, in words."""
        parts = [f"{self.blobs:,} blob{'s' * (self.blobs != 1)}, {self.bytes / 1e6:.1f} MB"]
        if self.traces:
            parts.append(f"{self.traces:,} trace{'s' * (self.traces != 1)}")
        return " and ".join(parts) + f"; {self.found:,} of {self.asked:,} looked for were there"


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
        gone: list[str] = []
        traces = self._traces(keys, gone)
        if gone:  # somebody collects garbage there: they are in another pack now
            traces |= self._traces(gone, [])
        self._asked(len(keys), len(traces))
        self.count.traces += len(traces)
        return traces

    def _traces(self, keys: Collection[str], gone: list[str]) -> dict[str, Trace]:
        packed = self._packed("trace-packs")
        groups = packs.by_pack(keys, packed)
        there = self._loose("traces", [key for key in keys if key not in packed])
        work = [(path_of("traces", key), [key]) for key in there]
        work += [(f"trace-packs/{pack}", members) for pack, members in groups.items()]

        def read(each: tuple[str, list[str]]) -> dict[str, Trace]:
            path, members = each
            try:
                data = self.place.read(path)
            except FileNotFoundError:
                gone.extend(members)
                return {}
            found = {}
            for key in members:
                piece = data[packed[key].offset :][: packed[key].length] if key in packed else data
                try:
                    found[key] = Trace(*signed.read(piece, key, self.trusted))
                except signed.Refused as refused:
                    self._fault(path if path.startswith("traces") else f"{path}:{key[:12]}", str(refused))
            return found

        return {key: trace for found in self._all(read, work) for key, trace in found.items()}

    def keys(self) -> set[str]:
        """The keys of all traces that are there."""
        return {*self._packed("trace-packs"), *self.loose("traces")}

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
        moved = self._fetch_once(names)
        if moved and not all(map(self.store.has, moved)):  # somebody collects garbage there: it is in another pack now
            self._fetch_once([name for name in moved if not self.store.has(name)], again=True)

    def _fetch_once(self, names: Collection[str], *, again: bool = False) -> list[str]:
        """Bring blobs; returns those whose pack was gone when it was asked for."""
        missing = [name for name in names if not self.store.has(name)]
        if not missing:
            return []
        gone: list[str] = []
        packed = self._packed("packs")
        loose = self._loose("blobs", [name for name in missing if name not in packed])
        groups = packs.by_pack(missing, packed)
        if not again:
            self._asked(len(missing), len(loose) + sum(map(len, groups.values())))
        os.makedirs(self.store.scratch, exist_ok=True)
        largest = sorted(loose, key=lambda name: -loose[name])  # so that none of them is left alone at the end
        work: list[Callable[[], None]] = [lambda name=name: self._get(name) for name in largest]  # type: ignore[misc]
        for pack, members in groups.items():
            work.append(lambda pack=pack, members=members: self._get_packed(pack, members, packed, gone))  # type: ignore[misc]
        self._all(lambda each: each(), work)
        return gone

    def _get(self, name: str) -> None:
        file = self._scratch()
        try:
            self.place.get(path_of("blobs", name), file)
        except FileNotFoundError:
            return
        self._take(file, name, path_of("blobs", name))

    def _get_packed(self, pack: str, members: Collection[str], packed: Mapping[str, Where], gone: list[str]) -> None:
        try:
            whole = self.place.read(f"packs/{pack}")
        except FileNotFoundError:
            gone += members
            return
        things = {}
        for name in members:
            _, offset, length = packed[name]
            data = whole[offset : offset + length]
            if digest.of_bytes(data) == name:
                things[name] = data
                continue
            file = self._scratch()
            Path(file).write_bytes(data)
            self._take(file, name, f"packs/{pack}")
        self.store.put_many(things)
        with self._lock:
            self.count.blobs += len(things)
            self.count.bytes += sum(map(len, things.values()))

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
            self._fault(path_of("blobs", name[:-1]), "is no listing of a folder")
            return ()
        return listing.values()

    def _packed(self, folder: str) -> dict[str, Where]:
        return packs.find(self.place, folder, self.store.root / "packs", self._all, self._fault)

    # What goes

    def push(self, names: Iterable[str], traces: Mapping[str, bytes], outputs: Mapping[str, Collection[str]]) -> None:
        """Put blobs there that are not, then the documents of traces, with the blobs that each of them speaks of.

        First a lease: what it names stays for LEASE days, whatever is collected meanwhile, so that a lock can be
        committed. Then blobs, packs before their indexes, and traces last: none ever speaks of what is not there.
        """
        paths: dict[str, str] = {}
        for name in {*names}:
            try:
                paths[name] = self.store.checked(name)
            except Damaged:
                continue
        traces = {key: document for key, document in traces.items() if paths.keys() >= {*outputs.get(key, ())}}
        leases.take(self.place, [*paths, *traces], self.put)
        packed = self._packed("packs")
        loose = self._loose("blobs", [name for name in paths if name not in packed])
        sizes = {name: os.stat(path).st_size for name, path in paths.items()}
        for name, size in loose.items():
            if size != sizes[name]:
                self._fault(path_of("blobs", name), f"has {size} bytes and should have {sizes[name]}")
        new = {name: sizes[name] for name in paths if name not in packed and name not in loose}
        self._asked(len(paths), len(paths) - len(new))
        small = {name: size for name, size in new.items() if size < SMALL}
        done = self.put_packs("packs", small, lambda name: Path(paths[name]).read_bytes())
        largest = sorted(new.keys() - done, key=lambda name: -sizes[name])
        self._all(lambda name: self.place.put(paths[name], path_of("blobs", name)), largest)
        self.count.blobs += len(new)
        self.count.bytes += sum(new.values())
        self.raise_faults()
        self._push_traces(traces)

    def _push_traces(self, traces: Mapping[str, bytes]) -> None:
        packed = self._packed("trace-packs")
        left = [key for key in traces if key not in packed]
        there = self._loose("traces", left)
        new = {key: len(traces[key]) for key in left if key not in there}
        done = self.put_packs("trace-packs", new, lambda key: traces[key])
        self._all(lambda key: self.put(traces[key], path_of("traces", key)), sorted(new.keys() - done))
        self.count.traces += len(new)

    def put_packs(self, folder: str, sizes: Mapping[str, int], read: Callable[[str], bytes]) -> set[str]:
        """Put things into packs, if they are enough for one; returns those that are."""
        groups = packs.groups(sizes)

        def put(names: list[str]) -> None:
            pack, data, index = packs.packed({name: read(name) for name in names})
            self.put(data, f"{folder}/{pack}")
            self.put(index, f"{folder}/{pack}.index")  # last: without it, the pack is not there

        self._all(put, groups)
        return {name for names in groups for name in names}

    def put(self, data: bytes, path: str) -> None:
        """Put bytes there."""
        os.makedirs(self.store.scratch, exist_ok=True)
        file = self._scratch()
        Path(file).write_bytes(data)
        try:
            self.place.put(file, path)
        finally:
            os.unlink(file)

    # What lies there

    def loose(self, folder: str) -> dict[str, File]:
        """Everything in a folder that lies there by itself, by name."""
        prefixes = sorted(self.place.folders(folder))
        each = zip(prefixes, self._all(lambda prefix: self.place.files(f"{folder}/{prefix}"), prefixes), strict=True)
        found = {prefix + name: file for prefix, files in each for name, file in files.items()}
        return {name: file for name, file in found.items() if FILE.fullmatch(name)}

    def indexes(self, folder: str, there: Collection[str]) -> list[dict[str, Where]]:
        """What is in each of the packs of a folder. Raises IntegrityError where that cannot be read."""
        kept = self.store.root / "packs"
        found = self._all(lambda pack: packs.index(self.place, folder, pack, kept, self._fault), sorted(there))
        self.raise_faults()
        return [rows or {} for rows in found]

    def each(self, call: Callable[[T], R], values: Collection[T]) -> list[R]:
        """A call for every value, many at a time."""
        return self._all(call, values)

    def closure(self, names: Iterable[str]) -> set[str]:
        """The blobs of artifacts: a folder's listing, brought here for that, and its files. Raises IntegrityError."""
        wanted = {*names}
        folders = {name for name in wanted if name.endswith("/")}
        self._fetch({name[:-1] for name in folders})
        self.store.commit()
        found = {name.rstrip("/") for name in wanted} | {file for name in folders for file in self._members(name)}
        self.raise_faults()
        return found

    # Both ways

    def _loose(self, folder: str, names: Iterable[str]) -> dict[str, int]:
        """Those of the names that are there, with their sizes: a listing for every two digits, not a request each."""
        wanted: dict[str, list[str]] = defaultdict(list)
        for name in names:
            wanted[name[:2]].append(name)
        found: dict[str, int] = {}
        for prefix, there in zip(wanted, self._all(lambda p: self.place.files(f"{folder}/{p}"), wanted), strict=True):
            found |= {name: there[name[2:]].size for name in wanted[prefix] if name[2:] in there}
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


def path_of(folder: str, name: str) -> str:
    """Where a thing of that name lies in a shared store."""
    return f"{folder}/{name[:2]}/{name[2:]}"
