"""Removes from a shared store what nothing needs any more: by age, by reference and by lease; knows no graph.

A blob stays while it is younger than the retention, while a lock names it, while a trace that stays speaks of it, and
while somebody holds a lease on it (see `leases`). The rest is marked as doomed first, and removed once it has been so
for the time of grace: traces before the blobs that they speak of, and nothing that a lease names by then.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from spritebuild.digest import FILE, canonical
from spritebuild.errors import MachineError
from spritebuild.shared import leases, packs
from spritebuild.shared.leases import DAY, Sweep
from spritebuild.shared.packs import Where
from spritebuild.shared.places import File
from spritebuild.shared.store import Shared, path_of

AGES = (1, 7, 30, 90, 365)  # days, up to which things are counted together
WASTE = 0.5  # of a pack's bytes, that nothing needs, from which it is written anew
FOREVER = float("inf")


@dataclass
class Held:
    """What a shared store holds, and what became of it."""

    blobs: int = 0
    bytes: int = 0
    packs: int = 0
    traces: int = 0
    leases: int = 0
    ages: dict[str, int] = field(default_factory=dict)  # bytes of blobs by age
    needed: int = 0  # blobs that locks, traces or leases name
    doomed: int = 0  # blobs that are marked, and not removed yet
    removed: int = 0
    removed_bytes: int = 0
    removed_traces: int = 0

    def summary(self) -> dict[str, Any]:
        """As data."""
        return dict(vars(self))


@dataclass
class _Survey:
    """What lies there: loose things and packed ones by name. A blob may be both."""

    loose: dict[str, File]
    packed: dict[str, list[Where]]
    packs: dict[str, File]

    def size(self, name: str) -> int:
        return self.loose[name].size if name in self.loose else self.packed[name][0].length

    def since(self, name: str) -> float:
        """When the youngest of its copies got there."""
        alone = [self.loose[name].since] if name in self.loose else []
        return max(alone + [self.packs[where.pack].since for where in self.packed.get(name, ())])

    def names(self) -> set[str]:
        return self.loose.keys() | self.packed.keys()


def collect(
    shared: Shared,
    needed: Collection[str],
    keys: Collection[str],
    *,
    days: float,
    grace: float,
    now: float,
    dry_run: bool,
) -> Held:
    """Mark what nothing needs, and remove what was marked `grace` days ago; with `dry_run`, only tell.

    `needed` are the names of blobs and `keys` of traces that stay whatever their age. `now` is the time of this
    machine, which only a dry run goes by. What could not be read there removes nothing.
    """
    place = shared.place
    mark = ""
    if not dry_run:
        mark = secrets.token_hex(16)
        shared.put(b"{}", f"doomed/{mark}")
        now = place.files("doomed")[mark].since
        if now == FOREVER:
            raise MachineError("the shared store does not tell when files got there", where=shared.url)
    traces = _survey(shared, "traces", "trace-packs")  # before the blobs: those that a trace speaks of are there by now
    documents = _documents(shared, traces)
    blobs = _survey(shared, "blobs", "packs")
    leased, ended = leases.read(place, now)
    live, dead_traces = _live(shared, {*needed}, {*keys}, leased, traces, documents, now - days * DAY)
    doomed = {name for name in blobs.names() - live if now - blobs.since(name) > days * DAY}
    before = _marks(shared, mark)
    due = {name for name in doomed if grace <= 0 or now - before.get(name, now) > grace * DAY}
    held = _held(blobs, traces, now)
    held.leases = len(place.files("leases"))
    held.needed = len(blobs.names() & live)
    if not dry_run:
        removed = _swept(shared, due, dead_traces, documents, held)
        left = {name: before.get(name, now) for name in doomed - removed}
        old = place.files("doomed")
        if left:
            shared.put(canonical(left), f"doomed/{secrets.token_hex(16)}")
        for name in old:
            place.remove(f"doomed/{name}")
        for name in ended:
            place.remove(f"leases/{name}")
        for folder, most in (("incoming", 1.0), ("sweeping", 1.0)):
            for name, file in place.files(folder).items():
                if now - file.since > most * DAY:
                    place.remove(f"{folder}/{name}")
        for name, file in shared.loose("rosters").items():
            if now - file.since > days * DAY:
                place.remove(path_of("rosters", name))
    else:
        removed = due
        held.removed, held.removed_bytes = len(due), sum(map(blobs.size, due))
        held.removed_traces = len(dead_traces)
    held.doomed = len(doomed - removed)
    return held


def _survey(shared: Shared, folder: str, packed: str) -> _Survey:
    files = shared.place.files(packed)
    found: dict[str, list[Where]] = {}
    there = {name: file for name, file in files.items() if FILE.fullmatch(name) and f"{name}.index" in files}
    for rows in shared.indexes(packed, there):
        for name, where in rows.items():
            found.setdefault(name, []).append(where)
    return _Survey(shared.loose(folder), found, there)


def _documents(shared: Shared, traces: _Survey) -> dict[str, bytes]:
    """Every trace as it lies there."""
    found: dict[str, bytes] = {}

    def loose(key: str) -> None:
        try:
            found[key] = shared.place.read(path_of("traces", key))
        except FileNotFoundError:
            return

    def pack(name: str) -> None:
        try:
            whole = shared.place.read(f"trace-packs/{name}")
        except FileNotFoundError:
            return
        for key, places in traces.packed.items():
            for where in places:
                if where.pack == name:
                    found.setdefault(key, whole[where.offset : where.offset + where.length])

    shared.each(pack, sorted(traces.packs))
    shared.each(loose, sorted(traces.loose))
    return found


def _live(
    shared: Shared,
    needed: set[str],
    keys: set[str],
    leased: set[str],
    traces: _Survey,
    documents: Mapping[str, bytes],
    old: float,
) -> tuple[set[str], set[str]]:
    """The blobs that stay whatever their age, and the traces that go."""
    outputs = {key: _outputs(document) for key, document in documents.items()}
    kept = {key for key in outputs if key in keys or key in leased or traces.since(key) > old}
    artifacts = needed | {name for key in kept for name in outputs[key]}
    live = leased | shared.closure(artifacts)
    dead = {key for key in outputs.keys() - kept if not {name.rstrip("/") for name in outputs[key]} <= live}
    return live, dead


def _outputs(document: bytes) -> list[str]:
    """What a trace speaks of; nothing where it is none. Nobody has to be trusted for that."""
    try:
        outputs = json.loads(json.loads(document)["trace"])["outputs"]
        return [name for name in outputs.values() if FILE.fullmatch(name.rstrip("/"))]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return []


def _marks(shared: Shared, own: str) -> dict[str, float]:
    """Since when blobs have been doomed."""
    found: dict[str, float] = {}
    for name in shared.place.files("doomed"):
        if name != own:
            try:
                rows = json.loads(shared.place.read(f"doomed/{name}"))
                for blob, since in rows.items():
                    found[blob] = min(float(since), found.get(blob, FOREVER))
            except (FileNotFoundError, ValueError, TypeError, AttributeError, RecursionError):
                continue  # what is not marked is not removed
    return found


def _swept(
    shared: Shared, due: set[str], dead_traces: set[str], documents: Mapping[str, bytes], held: Held
) -> set[str]:
    """Remove blobs, and first the traces that speak of them; returns the blobs that are gone."""
    removed: set[str] = set()
    while due - removed or dead_traces:
        sweep = Sweep(shared.place, shared.put)
        try:
            leased, _ = leases.read(shared.place, sweep.now)
            due -= leased
            dead_traces -= leased
            gone = _remove(shared, "traces", "trace-packs", dead_traces, sweep)
            held.removed_traces += len(gone)
            dead_traces -= gone
            speaking = {key for key in dead_traces if {name.rstrip("/") for name in _outputs(documents[key])} & due}
            if not speaking:
                sizes = _survey(shared, "blobs", "packs")
                gone = _remove(shared, "blobs", "packs", due - removed, sweep)
                held.removed_bytes += sum(sizes.size(name) for name in gone & sizes.names())
                removed |= gone
                if sweep.lasts():
                    break  # what is left lies in packs that are not worth writing anew
        finally:
            sweep.end()
    held.removed = len(removed)
    return removed


def _remove(shared: Shared, folder: str, packed: str, names: Collection[str], sweep: Sweep) -> set[str]:
    """Remove things, alone and from packs, as long as a sweep lasts; returns those of which no copy is left."""
    there = _survey(shared, folder, packed)
    left = {*names} & there.packed.keys()
    gone = {*names} - there.names()
    for name in sorted({*names} & there.loose.keys()):
        if not sweep.lasts():
            return gone
        shared.place.remove(path_of(folder, name))
        if name not in left:
            gone.add(name)
    for pack in sorted({where.pack for name in left for where in there.packed[name]}):
        members = {name: where for name, places in there.packed.items() for where in places if where.pack == pack}
        staying = members.keys() - {*names}
        waste = sum(members[name].length for name in members.keys() - staying)
        whole = sum(where.length for where in members.values())
        if folder == "blobs" and staying and waste < WASTE * whole:
            continue  # nobody is harmed by what stays, as long as no trace may be removed for it
        if staying and not _anew(shared, packed, pack, members, staying):
            continue
        if not sweep.lasts():
            return gone
        shared.place.remove(f"{packed}/{pack}.index")  # first: without it, the pack is not there
        shared.place.remove(f"{packed}/{pack}")
        gone |= members.keys() - staying
    return gone


def _anew(shared: Shared, packed: str, pack: str, members: Mapping[str, Where], staying: Iterable[str]) -> bool:
    """Put what stays of a pack into a new one."""
    try:
        whole = shared.place.read(f"{packed}/{pack}")
    except FileNotFoundError:
        return False
    things = {name: whole[members[name].offset :][: members[name].length] for name in sorted(staying)}
    new, data, index = packs.packed(things)
    shared.put(data, f"{packed}/{new}")
    shared.put(index, f"{packed}/{new}.index")
    return True


def _held(blobs: _Survey, traces: _Survey, now: float) -> Held:
    held = Held(packs=len(blobs.packs), traces=len(traces.names()), blobs=len(blobs.names()))
    held.ages = {f"{days} days": 0 for days in AGES} | {"older": 0}
    for name in blobs.names():
        size = blobs.size(name)
        age = (now - blobs.since(name)) / DAY
        held.bytes += size
        held.ages[next((f"{days} days" for days in AGES if age <= days), "older")] += size
    return held
