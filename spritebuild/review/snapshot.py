"""A project as it was compared at one moment, for as long as somebody looks at it; decides nothing."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from spritebuild import digest, lock
from spritebuild.check.cases import Case
from spritebuild.compare import Comparison, compare
from spritebuild.project import Project, opened
from spritebuild.review import rows
from spritebuild.review.decisions import Mark
from spritebuild.review.guard import Refused
from spritebuild.review.pixels import Index, url
from spritebuild.store import Damaged

Signatures = Mapping[Path, digest.Signature | None]


@dataclass
class Snapshot:
    """A project as it was compared. It is closed when it was replaced and nobody looks at it any more."""

    project: Project
    comparison: Comparison
    signatures: Signatures
    closing: contextlib.ExitStack
    users: int = 1

    @cached_property
    def cases(self) -> dict[str, Case]:
        return {case.path: case for case in self.comparison.checked.cases}

    @cached_property
    def index(self) -> Index:
        index = Index(self.project, self.comparison.pictures)
        for case in self.comparison.checked.cases:
            index.add_case(case)
        return index

    @cached_property
    def makers(self) -> dict[str, str]:
        """The id of the action that installs each asset."""
        return {path: action.id for action in self.project.graph.actions.values() for _, path in action.installs}

    @cached_property
    def groups(self) -> dict[str, list[str]]:
        """The paths of equal changes."""
        found = defaultdict(list)
        for case in self.comparison.checked.cases:
            if case.group:
                found[case.group].append(case.path)
        return found

    @cached_property
    def frames(self) -> dict[str, int]:
        """How many frames each folder has."""
        pictures = self.comparison.pictures
        folders = [case for case in self.cases.values() if lock.is_folder(case.path)]
        return {case.path: rows.count_of(self.project, pictures, case) for case in folders}

    def case(self, path: str) -> Case:
        """The case of an asset. Raises Refused where there is none."""
        if path not in self.cases:
            raise Refused(404, "no such asset in this review")
        return self.cases[path]

    def row(self, case: Case, mark: Mark | None) -> dict[str, Any]:
        """The line of a case in the list."""
        several = len(self.project.graph.candidates.get(case.target, ()))
        return rows.row(case, mark, several, self.frames.get(case.path, 0))

    def candidates(self, target: str) -> list[dict[str, Any]]:
        """What a target is to be chosen from, where it is; empty where nothing is to be chosen."""
        if target not in self.project.graph.candidates:
            return []
        from spritebuild.candidates import candidates

        store, found = self.project.store, []
        for one in candidates(self.project, target):
            address: str | None
            if one.digest and store.has(one.digest):
                address = self.index.add(one.digest, Path(store.path(one.digest)))
            else:  # only what is installed may be here without the store
                address = url(one.digest) if one.digest in self.index.places else None
            found.append({**asdict(one), "url": address})
        return found

    def is_there(self, entries: Mapping[str, lock.Entry], mark: Mark) -> bool:
        """Whether the bytes that somebody looked at are those of the lock and, to be approved, those that lie there."""
        entry = entries.get(mark.path)
        if entry is None or entry.digest != mark.digest or self.cases[mark.path].digest != mark.digest:
            return False
        if mark.decision == "reject" or not mark.digest:
            return True
        known = self.project.known
        installed = known.asset(mark.path)
        stands_in = known.stand_ins.get(mark.digest)
        return installed in (mark.digest, stands_in) or (installed is None and known.store.has(mark.digest))


def compared(spritefile: Path, patterns: Collection[str], measure: Callable[[Project], bool] | None = None) -> Snapshot:
    """Compare the assets of a project that patterns name, as they are now.

    `measure` makes what is to be shown and is not there, and says whether it did: then the project is opened again.
    """
    root = spritefile.absolute().parent.resolve()
    while True:
        closing = contextlib.ExitStack()
        try:
            before = signatures([root / spritefile.name, root / lock.PATH])  # what changes from here on is seen
            project = closing.enter_context(opened(spritefile, checks=True))
            if measure is not None and measure(project):
                closing.close()
                measure = None
                continue
            included = (root / file.path for file in project.spritefile.files)
            snapshot = Snapshot(project, compare(project, patterns), {**signatures(included), **before}, closing)
            _ = snapshot.index, snapshot.makers, snapshot.groups, snapshot.frames
            return snapshot
        except Damaged:
            closing.close()  # a blob was set aside: from now on it counts as missing
        except BaseException:
            closing.close()
            raise


def signatures(paths: Iterable[Path]) -> Signatures:
    """What tells that files were written to."""
    found: dict[Path, digest.Signature | None] = {}
    for path in paths:
        try:
            found[path] = digest.signature(path.stat())
        except OSError:
            found[path] = None
    return found
