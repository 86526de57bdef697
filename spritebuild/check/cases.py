"""What a check found, asset by asset, as values that reports and the review page read; finds and prints nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Kind = Literal[
    "same", "imperceptible", "flip", "shift", "recolor", "edit", "different", "other", "new", "deleted", "missing"
]
Verdict = Literal["pass", "notice", "fail"]
CHANGED = ("flip", "shift", "recolor", "edit", "different", "other", "missing")
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Violation:
    """A declared limit that a picture breaks. `limit` is its key, such as `palette_violations`; `words` a sentence."""

    limit: str
    words: str


@dataclass(frozen=True, slots=True)
class Part:
    """A file of an asset that is a folder, compared: `file` as it is called in the folder."""

    file: str
    kind: Kind
    words: str
    digest: str = ""
    baseline: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """An asset beside its approved baseline.

    `path` is the asset's, below the project; for a folder, its glob. `target` is what makes it, such as
    `sprites.potion`, and `declared` the declaration, at line `line` of `file` where there is anything to say. `digest`
    is of the bytes as they are now and `baseline` of the approved ones, both sha256 or empty. `kind` says how the two
    differ ("other": no picture, or nothing but its fingerprints are here; "missing": not installed as the lock says);
    `words` the same as a sentence. `measures` are the numbers behind it (see `classify.Change`). `verdict` is what
    comes of it by the rules of the project. `why` says what changed in the declaration, in the user's words. `group`
    is equal for equal changes. `former` is the baseline before the present one, where `digest` is approved.
    """

    path: str
    kind: Kind
    verdict: Verdict
    words: str
    target: str = ""
    declared: str = ""
    file: str = ""
    line: int = 0
    digest: str = ""
    baseline: str = ""
    former: str = ""
    size: tuple[int, int] | None = None
    measures: Mapping[str, Any] = field(default_factory=dict)
    violations: Sequence[Violation] = ()
    parts: Sequence[Part] = ()
    why: Sequence[str] = ()
    group: str = ""
    platform: str = ""

    @property
    def approved(self) -> bool:
        """Whether somebody approved exactly these bytes."""
        return bool(self.digest) and self.digest == self.baseline


@dataclass(frozen=True)
class Checked:
    """All cases of a project, in the order of their paths, and notes that concern none of them alone."""

    project: str
    cases: Sequence[Case]
    notes: Sequence[str] = ()

    def counts(self) -> dict[str, int]:
        """How many cases there are of each kind, and how many fail, in a fixed order."""
        kinds = Counter[str](case.kind for case in self.cases)
        order = ("same", "imperceptible", *CHANGED, "new", "deleted")
        return {kind: kinds[kind] for kind in order if kinds[kind]}

    @property
    def failed(self) -> list[Case]:
        """The cases that fail."""
        return [case for case in self.cases if case.verdict == "fail"]

    def as_json(self) -> dict[str, Any]:
        """JSON values; what `check --json` prints."""
        return {
            "format": FORMAT,
            "project": self.project,
            "counts": self.counts(),
            "failed": len(self.failed),
            "notes": list(self.notes),
            "cases": [asdict(case) for case in self.cases],
        }
