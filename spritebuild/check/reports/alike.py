"""Cases in the order in which people want to read them, equal changes together; knows no form of report."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from spritebuild.check.cases import Case
from spritebuild.check.reports.text import KINDS, VERDICTS


@dataclass(frozen=True, slots=True)
class Alike:
    """Cases of one verdict that changed in the same way; the first one stands for the `others`."""

    case: Case
    others: Sequence[Case] = ()


def worth_telling(case: Case) -> bool:
    """Whether a reader has to know of it: all but what is the same, or looks the same, and passes."""
    return case.verdict != "pass" or bool(case.violations) or case.kind not in ("same", "imperceptible")


def ordered(cases: Iterable[Case]) -> list[Case]:
    """What fails first, then by kind and by path."""
    return sorted(cases, key=lambda case: (VERDICTS.index(case.verdict), KINDS.index(case.kind), case.path))


def alike(cases: Iterable[Case]) -> list[Alike]:
    """Those worth telling, ordered; equal changes under the first of them unless other limits are broken."""
    groups: dict[object, list[Case]] = {}
    for place, case in enumerate(ordered(case for case in cases if worth_telling(case))):
        broken = tuple((each.limit, each.words) for each in case.violations)
        groups.setdefault((case.verdict, case.kind, case.group, broken) if case.group else place, []).append(case)
    return [Alike(members[0], members[1:]) for members in groups.values()]
