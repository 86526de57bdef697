"""Findings as data for programs and as lines for a terminal, with a summary of the set; judges nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from spritebuild_stages.art.judging import Finding, Range, References
from spritebuild_stages.art.measured import Measured
from spritebuild_stages.art.sentences import MEASURES, many, sentence

VERSION = 1
DIGITS = 4
ALIGNED = 9  # letters of the longest verdict


def report(
    names: Sequence[str], sprites: Sequence[Measured], findings: Sequence[Sequence[Finding]], normal: References | None
) -> dict[str, Any]:
    """Everything as JSON: every sprite with its findings, what was normal, and a summary of the whole."""
    return {
        "version": VERSION,
        "sprites": [
            {
                "name": name,
                "size": list(sprite.size),
                "verdict": _worst([finding.verdict for finding in found]),
                "findings": [_entry(name, finding) for finding in found],
            }
            for name, sprite, found in zip(names, sprites, findings, strict=True)
        ],
        "references": _normal(normal) if normal else None,
        "summary": _summary(findings, normal),
    }


def lines(report: Mapping[str, Any], everything: bool = False) -> Iterator[str]:
    """The sentences for a terminal, one a line, violations before notices, and the summary last.

    What is in order is left out, unless `everything` is asked for.
    """
    verdicts = ["violation", "notice"] + ["ok"] * everything
    for verdict in verdicts:
        for sprite in report["sprites"]:
            for finding in sprite["findings"]:
                if finding["verdict"] == verdict:
                    yield f"{verdict:{ALIGNED}}  {finding['sentence']}"
    yield report["summary"]["sentence"]


def _entry(name: str, finding: Finding) -> dict[str, Any]:
    value = finding.value
    entry = {"measure": finding.measure, "verdict": finding.verdict, "value": _round(value.number)}
    entry |= {"count": value.count, "of": value.of} if value.of else {}
    entry |= dict(value.details)
    return entry | {"judged_by": finding.by or None} | _bounds(finding) | {"sentence": sentence(name, finding)}


def _bounds(finding: Finding) -> dict[str, Any]:
    bounds = finding.bounds
    if bounds is None:
        return {}
    if isinstance(bounds, Range):
        return {"usual": [_round(bound) for bound in bounds.usual], "allowed": [_round(b) for b in bounds.allowed]}
    if isinstance(bounds, Fraction):
        return {"least": _round(bounds)}
    if finding.measure in ("size", "scale"):
        return {"expected": list(bounds)}
    low, high = bounds
    return {"least": _round(low)} if low is not None else {"most": _round(high)}


def _normal(normal: References) -> dict[str, Any]:
    ranges = {
        measure: {"usual": [_round(b) for b in span.usual], "allowed": [_round(b) for b in span.allowed]}
        for measure, span in normal.ranges.items()
    }
    size = list(normal.size) if normal.size else None
    return {"count": normal.count, "size": size, "scales": list(normal.scales), "ranges": ranges}


def _summary(findings: Sequence[Sequence[Finding]], normal: References | None) -> dict[str, Any]:
    counts = Counter((finding.measure, finding.verdict) for found in findings for finding in found)
    measures = {
        measure: {"violations": counts[measure, "violation"], "notices": counts[measure, "notice"]}
        for measure in MEASURES
        if counts[measure, "violation"] + counts[measure, "notice"]
    }
    violations, notices = (sum(one[kind] for one in measures.values()) for kind in ("violations", "notices"))
    clean = sum(all(finding.verdict == "ok" for finding in found) for found in findings)
    beside = f" beside {many(normal.count, 'reference')}" if normal else ""
    found = f"{many(violations, 'violation')} and {many(notices, 'notice')}" if violations + notices else "in order"
    text = f"{many(len(findings), 'sprite')}{beside}: {found}"
    if violations + notices:
        text += f"; {clean:,} in order" if clean else ""
    return {
        "sprites": len(findings),
        "in_order": clean,
        "violations": violations,
        "notices": notices,
        "measures": measures,
        "sentence": text,
    }


def _worst(verdicts: Sequence[str]) -> str:
    return next((verdict for verdict in ("violation", "notice") if verdict in verdicts), "ok")


def _round(number: Fraction) -> int | float:
    return int(number) if number.denominator == 1 else float(round(number, DIGITS))
