"""A review in progress: the project as it was compared, and what people decide about it; knows no HTTP."""

from __future__ import annotations

import contextlib
import json
import secrets
import threading
from collections.abc import Collection, Iterator, Sequence
from dataclasses import InitVar, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from spritebuild import approve, lock
from spritebuild.approve import Choice
from spritebuild.check.cases import Case
from spritebuild.errors import SpritebuildError
from spritebuild.project import Project
from spritebuild.review.decisions import DECISIONS, LONGEST_COMMENT, Decisions, Mark
from spritebuild.review.details import details
from spritebuild.review.guard import Refused
from spritebuild.review.prepare import measured
from spritebuild.review.snapshot import Snapshot, compared, signatures
from spritebuild.review.steps import Steps
from spritebuild.run import Options
from spritebuild.status import Status

MOST_ITEMS = 100_000  # decisions in one request
STEPS = "review"  # the folder of pictures on the way, in the project's state
Row = dict[str, Any]


class Impatient(Status):
    """Says that another build is running instead of waiting for it."""

    def message(self, text: str) -> None:
        if text.startswith("another build is running"):
            raise Refused(423, text.partition(": waiting")[0], "try again when it has ended")


@dataclass
class Session:
    """One review of one project. Every method may be called by several threads at once."""

    spritefile: Path
    patterns: Collection[str] = ()
    read_only: bool = False
    options: Options | None = None  # how to measure what was not measured; None measures nothing
    status: InitVar[Status | None] = None  # is told of what is measured at first
    snapshot: Snapshot = field(init=False)
    decisions: Decisions = field(init=False)
    steps: Steps = field(init=False)
    revision: int = 0  # counts what the list of cases shows

    def __post_init__(self, status: Status | None) -> None:
        self._gate = threading.RLock()  # decisions and rows; held for moments
        self._changing = threading.Lock()  # who compares, saves or picks
        self._list: tuple[int, bytes] | None = None
        self._dropped = 0
        self.name = secrets.token_hex(8)  # of this review, in the names of what it answers
        self._note = ""
        self.snapshot = compared(self.spritefile, self.patterns, partial(self._measure, status or Status()))
        root = self.snapshot.project.root
        self.decisions = Decisions(root)
        self.steps = Steps.under(self.snapshot.project.store.root / STEPS)
        self._settle()
        self._rows = self._all_rows()

    def close(self) -> None:
        """End the review once what it writes is written; decisions stay where they are."""
        with self._changing, self._gate:
            self.steps.close()
            self._release(self.snapshot)

    # The project

    @contextlib.contextmanager
    def using(self) -> Iterator[Snapshot]:
        """The snapshot of now, which stays open meanwhile."""
        with self._gate:
            snapshot = self.snapshot
            snapshot.users += 1
        try:
            yield snapshot
        finally:
            self._release(snapshot)

    def _release(self, snapshot: Snapshot) -> None:
        with self._gate:
            snapshot.users -= 1
            last = snapshot.users == 0
        if last:
            with contextlib.suppress(SpritebuildError):  # what it would remember saves time and nothing else
                snapshot.closing.close()

    def refresh(self) -> None:
        """Compare anew; what was decided of other bytes is dropped."""
        with self._changing:
            self._refresh()

    def _refresh(self) -> None:
        new = compared(self.spritefile, self.patterns, partial(self._measure, Impatient()))
        with self._gate:
            old, self.snapshot = self.snapshot, new
            self._settle()
            self._rows = self._all_rows()
            self.revision += 1
        self._release(old)

    def _measure(self, status: Status, project: Project) -> bool:
        """Measure what was not measured yet; says whether that was tried."""
        if self.options is None:
            return False
        try:
            tried, self._note = measured(project, self.spritefile, self.options, status)
        except Refused as busy:
            tried, self._note = False, f"not everything was measured: {busy.message}"
        return tried

    def _settle(self) -> None:
        """Drop the marks that are about other bytes than are there now, and the approvals that are in the lock."""
        cases, gone = self.snapshot.cases, []
        for path, mark in self.decisions.marks.items():
            case = cases.get(path)
            if case is None:
                if self.patterns and path in self.snapshot.project.known.lock:
                    continue  # of those that were not asked for
                gone.append(path)
            elif case.digest != mark.digest or (case.approved and mark.decision == "approve"):
                gone.append(path)
        self._dropped += sum(self.decisions.marks[path].digest != _digest(cases.get(path)) for path in gone)
        if gone and not self.read_only:
            self.decisions.put((), gone)

    def _all_rows(self) -> dict[str, str]:
        return {path: self._row(path) for path in self.snapshot.cases}

    def _row(self, path: str) -> str:
        return json.dumps(self.snapshot.row(self.snapshot.cases[path], self.decisions.marks.get(path)))

    @property
    def stale(self) -> bool:
        """Whether the lock or the spritefile was written to since they were compared."""
        then = self.snapshot.signatures
        return signatures(then) != then

    # Looking

    def project(self) -> dict[str, Any]:
        """What is said of the whole project."""
        from spritebuild import __version__
        from spritebuild.picks import undecided

        with self.using() as snapshot:
            checked, notes = snapshot.comparison.checked, [self._note] if self._note else []
            if self._dropped:
                said = "1 decision was" if self._dropped == 1 else f"{self._dropped:,} decisions were"
                notes.append(f"{said} about other bytes than are there now, and dropped")
            return {
                "project": checked.project,
                "counts": checked.counts(),
                "total": len(checked.cases),
                "failed": len(checked.failed),
                "notes": [*checked.notes, *notes],
                "unsaved": self.unsaved,
                "version": __version__,
                "candidates": undecided(snapshot.project.graph, snapshot.project.known.lock),
                "stale": self.stale,
                "read_only": self.read_only,
                "revision": self.revision,
            }

    def cases(self) -> tuple[int, bytes]:
        """The list of all cases as JSON, and its revision."""
        with self._gate:
            if self._list is None or self._list[0] != self.revision:
                self._list = self.revision, ('{"cases":[' + ",".join(self._rows.values()) + "]}").encode()
            return self._list

    def case(self, path: str) -> dict[str, Any]:
        """Everything about one case. Raises Refused where there is none."""
        with self.using() as snapshot:
            case = snapshot.case(path)
            same = [other for other in snapshot.groups.get(case.group, ()) if other != path] if case.group else []
            return {
                **snapshot.row(case, self.decisions.marks.get(path)),
                **details(snapshot.index, case, snapshot.makers.get(path), same),
                "companions": same,
                "candidates": snapshot.candidates(case.target),
            }

    def steps_of(self, path: str) -> list[dict[str, str]]:
        """The pictures on the way to an asset."""
        with self.using() as snapshot:
            id = snapshot.makers.get(snapshot.case(path).path)
            return self.steps.of(snapshot.index, id) if id is not None else []

    def pixels(self, name: str) -> bytes | None:
        """The bytes of a picture that a case speaks of."""
        with self.using() as snapshot:
            return snapshot.index.read(name)

    def decided(self) -> str:
        """What was decided here and is not saved, as decisions.json."""
        return approve.choices_text(self._choices())

    def _choices(self) -> list[Choice]:
        """The decisions on what this review shows: a narrow one leaves the others alone."""
        with self._gate:
            return [choice for choice in self.decisions.choices() if choice.path in self.snapshot.cases]

    @property
    def unsaved(self) -> int:
        """How many approvals of what is shown the lock does not have."""
        cases = self.snapshot.cases
        wanted = [path for path, mark in self.decisions.marks.items() if mark.decision == "approve" and path in cases]
        return sum(not cases[path].approved for path in wanted)

    # Deciding

    def decide(self, items: Sequence[Any]) -> tuple[bool, list[Row]]:
        """Set decisions, all of them or none: the new rows, or False and the rows of what is not what was looked at.

        Raises Refused for what is no decision, and for an asset that is not here.
        """
        self._may_write()
        marks = [_mark(item) for item in items]
        with self.using() as snapshot:
            for mark in marks:
                snapshot.case(mark.path)
            entries = snapshot.project.known.lock if not self.stale else lock.read(snapshot.project.root)
            other = [mark.path for mark in marks if mark.decision and not snapshot.is_there(entries, mark)]
        if other:
            self.refresh()
            with self._gate:
                return False, [json.loads(self._rows[path]) for path in other if path in self._rows]
        with self._gate:
            changed = [mark.path for mark in marks if mark.path in self._rows]
            self.decisions.put([mark for mark in marks if mark.path in self._rows])
            self._rows |= {path: self._row(path) for path in changed}
            self.revision += 1
            return True, [json.loads(self._rows[path]) for path in changed]

    def save(self) -> dict[str, Any]:
        """Write the approvals into the lock."""
        self._may_write()
        with self._changing:
            try:
                done = approve.approve(self.spritefile, self._choices(), Impatient())
            except SpritebuildError:
                with contextlib.suppress(SpritebuildError):
                    self._refresh()  # so that the page shows why
                raise
            with self._gate:
                self.decisions.put((), (*done.approved, *done.already))
            with contextlib.suppress(SpritebuildError):  # then what is shown is stale, and said to be
                self._refresh()
            rejected = [{"path": choice.path, "comment": choice.comment} for choice in done.rejected]
            return {"approved": len(done.approved), "rejected": rejected, "lock": lock.PATH}

    def pick(self, target: str, seed: int, name: str) -> list[Row]:
        """Choose one of a sprite's candidates; returns all of them."""
        from spritebuild import candidates

        self._may_write()
        with self._changing:
            candidates.pick(self.spritefile, target, seed, Impatient(), name)
            self._refresh()
        with self.using() as snapshot:
            return snapshot.candidates(target)

    def _may_write(self) -> None:
        if self.read_only:
            raise Refused(403, "this review is read-only", "start it without --read-only")


def _digest(case: Case | None) -> str:
    return case.digest if case is not None else ""


def _mark(item: Any) -> Mark:
    """A decision as it is asked for. Raises Refused for anything else."""
    if not isinstance(item, dict) or not {"path", "digest", "decision"} <= item.keys():
        raise Refused(400, "an item has a path, a digest and a decision")
    path, name, decision, comment = (item.get(key, "") for key in ("path", "digest", "decision", "comment"))
    if not all(isinstance(text, str) for text in (path, name, decision, comment)) or decision not in DECISIONS:
        raise Refused(400, "a decision is approve, reject or empty, and everything is text")
    if len(comment) > LONGEST_COMMENT:
        raise Refused(400, f"a comment has at most {LONGEST_COMMENT:,} characters, this one {len(comment):,}")
    try:
        comment.encode()
    except UnicodeEncodeError:
        raise Refused(400, "a comment is Unicode text") from None
    return Mark(path, name, decision, comment)
