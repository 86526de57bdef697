"""Every asset of a project beside its approved baseline, and beside its declared limits; changes nothing.

What is equal is told by digests alone: only what changed is read.
"""

from __future__ import annotations

import contextlib
import fnmatch
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from spritebuild import lock
from spritebuild.check.cases import Case, Checked, Kind, Part, Verdict, Violation
from spritebuild.check.looks import distance
from spritebuild.errors import UsageError
from spritebuild.gates import rules_of, verdict_on
from spritebuild.graph import Action
from spritebuild.history import History
from spritebuild.limits import broken, unjudged
from spritebuild.lock import Entry
from spritebuild.project import Project
from spritebuild.spritefile import Check
from spritebuild.spritefile.mistakes import alternatives
from spritebuild.store import Damaged

WITHOUT_PIXELS = {"new": "is new", "deleted": "is gone"}
SEVERITY = ("same", "imperceptible", "flip", "shift", "recolor", "edit", "different")  # of pictures, the worst last


@dataclass(frozen=True)
class Pictures:
    """Where the bytes of assets and of their baselines lie; None for what is not here.

    That is in the project or in the store, into which the repository's history is read.
    """

    project: Project
    history: History

    def now(self, path: str, file: str = "") -> Path | None:
        """The asset as it is installed, or as the store has it."""
        entry = self.project.known.lock.get(path)
        place = self.project.root / (lock.placed(path, {file: ""}).popitem()[0] if file else path)
        if place.is_file():
            return place
        return self._stored(entry.digest, entry.files, file) if entry else None

    def baseline(self, path: str, file: str = "") -> Path | None:
        """The asset as it was approved."""
        entry = self.project.known.lock.get(path)
        if entry is None or not entry.approved:
            return None
        if entry.approved == entry.digest:
            return self.now(path, file)
        known = entry.before.get("digest") == entry.approved
        return self._stored(entry.approved, entry.before.get("files", {}) if known else {}, file)

    def former(self, path: str, file: str = "") -> Path | None:
        """The asset as it was approved before its present bytes were."""
        entry = self.project.known.lock.get(path)
        if entry is None or not entry.before or entry.before["digest"] in (entry.approved, entry.digest):
            return None
        return self._stored(entry.before["digest"], entry.before.get("files", {}), file)

    def listed(self, name: str) -> Mapping[str, str]:
        """The files of a folder that the store has, by their digests; empty where it has them not, or damaged."""
        store = self.project.store
        with contextlib.suppress(Damaged):
            return store.listed(name) if store.has(name) else {}
        return {}

    def _stored(self, name: str, files: Mapping[str, str], file: str) -> Path | None:
        store = self.project.store
        if file and name.endswith("/") and not files:
            files = self.listed(name)
        name = files.get(file, "") if file else name
        if not name or name.endswith("/"):
            return None
        for _ in range(2):  # a damaged blob is set aside, and the history may have it as it was
            self.history.recover(store, [name])
            with contextlib.suppress(Damaged):
                return Path(store.checked(name)) if store.has(name) else None
        return None


@dataclass(frozen=True)
class Comparison:
    """What a check found, and the pictures that it is about."""

    checked: Checked
    pictures: Pictures


def compare(project: Project, patterns: Collection[str] = (), *, revision: str | None = None) -> Comparison:
    """Compare the assets that patterns name, as paths, targets or globs of either; all for none.

    They are compared with what was approved or, if a revision is named, with what was locked in it. Limits on the art
    are judged by those of its checks that have run (a project opened with `checks`). Raises UsageError for a pattern or
    a revision that there is not.
    """
    history = History(project.root)
    if revision is not None:
        locked = _since(history.lock_of(revision), project.known.lock)
        project = replace(project, known=replace(project.known, lock=locked))
    comparing = _Comparing(project, Pictures(project, history))
    return Comparison(
        Checked(project.spritefile.project.name, comparing.cases(patterns), comparing.notes()), comparing.pictures
    )


def _since(old: Mapping[str, Entry], new: Mapping[str, Entry]) -> dict[str, Entry]:
    """A lock whose baselines are those of another one."""
    found = {}
    for path in sorted({*old, *new}):
        before, now = old.get(path), new.get(path, Entry(path))
        if before is None or not before.digest:
            found[path] = replace(now, approved="", before={})
        else:
            baseline = {"digest": before.digest, "looks": before.looks, "files": before.files}
            why = {"why": now.before["why"]} if now.before.get("why") and now.digest != before.digest else {}
            found[path] = replace(now, approved=before.digest, before={**baseline, **why})
    return {path: entry for path, entry in found.items() if entry.digest or entry.approved}


@dataclass(frozen=True, slots=True)
class _Asset:
    """An asset on its way to a verdict."""

    entry: Entry
    action: Action | None
    rules: Check
    now: str  # the digest of what is installed


@dataclass
class _Comparing:
    project: Project
    pictures: Pictures
    merged: dict[str, Check] = field(default_factory=dict)  # what passes, by declaration
    places: dict[str, tuple[str, int]] = field(default_factory=dict)  # file and line, likewise

    def notes(self) -> list[str]:
        """What concerns no asset alone."""
        unread = unjudged(self.project)
        return [
            *self._stale(),
            *(f"nothing is judged by {name}, for it is not here: spritebuild build {name}" for name in unread),
        ]

    def _stale(self) -> list[str]:
        known = self.project.known.lock
        stale = [
            path for path, action in self.makers.items() if path not in known or known[path].recipe != action.recipe
        ]
        stale += [path for path, entry in known.items() if entry.digest and path not in self.makers]
        if not stale:
            return []
        some = ", ".join(stale[:3]) + (", ..." if len(stale) > 3 else "")
        count = "1 asset is" if len(stale) == 1 else f"{len(stale):,} assets are"
        return [f"{count} not built as declared ({some}): spritebuild build"]

    @cached_property
    def makers(self) -> dict[str, Action]:
        """The action that makes each asset."""
        return {path: action for action in self.project.graph.actions.values() for _, path in action.installs}

    def cases(self, patterns: Collection[str]) -> list[Case]:
        """A case for every asset that patterns name, in the order of their paths."""
        assets = [self._asset(entry) for entry in self._chosen(patterns)]
        cases = {asset.entry.path: self._settled(asset) for asset in assets}
        changed = [asset for asset in assets if cases[asset.entry.path] is None]
        cases |= {case.path: case for case in self._changed(changed)}
        found = [case for case in cases.values() if case is not None]
        judged = [(asset.entry, asset.rules) for asset in assets]
        violations = broken(self.project, self.makers, judged, self.pictures.now)
        return self._renamed([self._judged(case, violations.get(case.path, ())) for case in found])

    def _chosen(self, patterns: Collection[str]) -> list[Entry]:
        known = self.project.known.lock
        if not patterns:
            return [known[path] for path in sorted(known)]
        names: dict[str, list[str]] = defaultdict(list)
        for path in known:
            action = self.makers.get(path)
            for name in (path, *((action.target, action.target.partition(".")[2]) if action else ())):
                names[name].append(path)
        found: set[str] = set()
        for pattern in patterns:
            some = names.get(pattern) or [path for name in fnmatch.filter(names, pattern) for path in names[name]]
            if not some:
                raise UsageError(f"no asset is called {pattern!r}", hint=alternatives(pattern, names, "assets"))
            found |= {*some}
        return [known[path] for path in sorted(found)]

    def _asset(self, entry: Entry) -> _Asset:
        action = self.makers.get(entry.path)
        declared = action.declared if action else ""
        if declared not in self.merged:
            self.merged[declared] = rules_of(self.project.spritefile, declared)
        now = self.project.known.asset(entry.path) if entry.digest else ""
        return _Asset(entry, action, self.merged[declared], now or "")

    def _settled(self, asset: _Asset) -> Case | None:
        """The case of what can be told by digests; None for what has to be looked at."""
        entry = asset.entry
        if not entry.digest:
            return self._case(asset, "deleted", "is no longer made")
        stands_in = bool(asset.now) and asset.now == self.project.known.stand_ins.get(entry.digest)
        if asset.now != entry.digest and not stands_in:
            fault = "is not what the lock says" if asset.now else "is not installed"
            return self._case(asset, "missing", f"{fault}: spritebuild build")
        if not entry.approved:
            return self._case(asset, "new", "nobody has approved it yet")
        if entry.approved == entry.digest:
            return self._case(asset, "same", "same in looks, other platform" if stands_in else "")
        pixels = entry.looks.get("pixels")
        if pixels is not None and pixels == self._before(entry).get("looks", {}).get("pixels"):
            return self._case(asset, "same", "the same pixels, encoded otherwise")
        return None

    @staticmethod
    def _before(entry: Entry) -> Mapping[str, Any]:
        return entry.before if entry.before.get("digest") == entry.approved else {}

    def _changed(self, assets: Iterable[_Asset]) -> Iterator[Case]:
        """Compare bytes with bytes, all of them together."""
        from spritebuild.check.pairs import Pair, compared  # for these alone NumPy is loaded

        pairs: dict[tuple[str, str], Pair] = {}
        listed = [(asset, self._files(asset.entry)) for asset in assets]
        baselines = [old for _, files in listed for old, _ in files.values() if old]
        self.pictures.history.recover(self.project.store, baselines)
        for asset, files in listed:
            for file in files:
                old, new = (find(asset.entry.path, file) for find in (self.pictures.baseline, self.pictures.now))
                if old is not None and new is not None:
                    pairs[asset.entry.path, file] = Pair(str(old), str(new), asset.rules.delta_e or 0.0)
        results = dict(zip(pairs, compared(list(pairs.values())), strict=True))
        for asset, files in listed:
            path = asset.entry.path
            if lock.is_folder(path):
                yield self._folder(asset, files, results)
            elif (found := results.get((path, ""))) is not None:
                yield self._case(asset, found.kind, found.words, found.measures, found.group)
            else:
                yield self._case(
                    asset, "other", _by_looks(self._before(asset.entry).get("looks", {}), asset.entry.looks)
                )

    def _files(self, entry: Entry) -> dict[str, tuple[str, str]]:
        """The files of an asset that differ, with the digests then and now; of a folder, by their names in it."""
        if not lock.is_folder(entry.path):
            return {"": (entry.approved, entry.digest)}
        before = self._before(entry).get("files") or self.pictures.listed(entry.approved)
        both = {file: (before.get(file, ""), entry.files.get(file, "")) for file in sorted({*before, *entry.files})}
        return {file: pair for file, pair in both.items() if pair[0] != pair[1]}

    def _folder(
        self, asset: _Asset, files: Mapping[str, tuple[str, str]], results: Mapping[tuple[str, str], Any]
    ) -> Case:
        """A folder is what the worst of its pictures is, or other, where none of them differs."""
        parts = []
        for file, (old, new) in files.items():
            found = results.get((asset.entry.path, file))
            kind: Kind = found.kind if found else "other" if old and new else "new" if new else "deleted"
            words = found.words if found else WITHOUT_PIXELS.get(kind, "its baseline is not here")
            parts.append(Part(file, kind, words, new, old))
        pictures = [part for part in parts if part.kind in SEVERITY]
        worst = max(pictures, key=lambda part: SEVERITY.index(part.kind), default=None)
        shown = worst or (parts[0] if parts else None)
        kind = worst.kind if worst else "same"
        if kind == "same" and any(part.kind != "same" for part in parts):
            kind = "other"
        more = ["", "", ", and another file"][len(parts)] if len(parts) < 3 else f", and {len(parts) - 1} more files"
        words = f"{shown.file}: {shown.words}{more}" if shown else "its files changed"
        return self._case(asset, kind, words, parts=tuple(parts))

    def _case(
        self,
        asset: _Asset,
        kind: Kind,
        words: str,
        measures: Mapping[str, Any] | None = None,
        group: str = "",
        parts: tuple[Part, ...] = (),
    ) -> Case:
        entry, action = asset.entry, asset.action
        declared = action.declared if action else ""
        file, line = self._place(declared) if kind != "same" else ("", 0)
        before = entry.before.get("digest", "")
        seen = (entry.looks or self._before(entry).get("looks", {})).get("size")
        return Case(
            path=entry.path,
            kind=kind,
            verdict=verdict_on(kind, measures or {}, asset.rules),
            words=words,
            target=action.target if action else "",
            declared=declared,
            file=file,
            line=line,
            digest=entry.digest,
            baseline=entry.approved,
            former=before if before not in (entry.approved, entry.digest) else "",
            size=(seen[0], seen[1]) if isinstance(seen, list) else None,
            measures=measures or {},
            parts=parts,
            why=tuple(entry.before.get("why", ())) if entry.digest != entry.approved else (),
            group=group,
            platform=entry.platform,
        )

    def _place(self, declared: str) -> tuple[str, int]:
        """The file and line of a declaration."""
        if declared not in self.places:
            fault = self.project.spritefile.fault(declared.split(".", 1), "") if declared else None
            self.places[declared] = (fault.file, fault.line) if fault else ("", 0)
        return self.places[declared]

    # Together

    def _judged(self, case: Case, violations: Collection[tuple[Violation, Verdict]]) -> Case:
        if not violations:
            return case
        worst: Verdict = "fail" if any(verdict == "fail" for _, verdict in violations) else "notice"
        verdict = worst if case.verdict != "fail" else case.verdict
        file, line = self._place(case.declared)
        told = tuple(violation for violation, _ in violations)
        return replace(case, verdict=verdict, violations=told, file=file, line=line)

    def _renamed(self, cases: list[Case]) -> list[Case]:
        """A new asset with the pixels of one that is gone was renamed, as far as anybody can see."""
        locked = self.project.known.lock
        gone = {
            pixels: case.path
            for case in cases
            if case.kind == "deleted" and (pixels := self._before(locked[case.path]).get("looks", {}).get("pixels"))
        }
        return [
            replace(case, words=f"shows what {other} showed, which is gone")
            if case.kind == "new" and (other := gone.get(locked[case.path].looks.get("pixels", 0)))
            else case
            for case in sorted(cases, key=lambda case: case.path)
        ]


def _by_looks(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """What fingerprints alone say of a change whose baseline is not here."""
    if not old or not new:
        return "its bytes changed; the baseline is not here"
    told = []
    if old["size"] != new["size"]:
        told.append("{}x{} became {}x{}".format(*old["size"], *new["size"]))
    if old.get("palette") != new.get("palette"):
        told.append(
            f"{old['colors']} colors became {new['colors']}" if old["colors"] != new["colors"] else "other colors"
        )
    if old["silhouette"] != new["silhouette"]:
        told.append("another silhouette")
    bits = distance(old["phash"], new["phash"])
    told.append(f"{bits} of 64 bits of its perceptual hash differ" if bits else "the same perceptual hash")
    return f"{', '.join(told)}; the baseline's pixels are not here"
