"""A check as SARIF 2.1.0, a result for every change and every broken limit, at the line that declares the asset."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from spritebuild import __version__
from spritebuild.check.cases import Case, Checked
from spritebuild.check.reports.alike import ordered, worth_telling
from spritebuild.check.reports.text import KINDS, NAME, plain, sentence

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
MOST = 5000  # results that code scanning keeps of a run
LEVELS = {"fail": "error", "notice": "warning", "pass": "note"}
RULES = {
    "missing": "An asset is not installed as the lock says.",
    "deleted": "An approved asset is no longer declared.",
    "different": "An asset is another picture than the approved one.",
    "other": "An asset has other bytes than the approved ones, and no pixels to compare.",
    "edit": "Some pixels of an asset differ from the approved ones.",
    "recolor": "Colors of an asset became others.",
    "shift": "An asset was moved by some pixels.",
    "flip": "An asset was flipped.",
    "imperceptible": "An asset has other pixels that look the same.",
    "new": "An asset was never approved.",
    "same": "An asset is the approved one.",
}


def sarif(checked: Checked) -> dict[str, Any]:
    """JSON values of the log. Of more than 5,000 results the last ones are left out, and their number is said."""
    results = [result for case in ordered(filter(worth_telling, checked.cases)) for result in _results(case)]
    kept = sorted(results, key=lambda result: tuple(LEVELS.values()).index(result["level"]))[:MOST]
    used = {result["ruleId"] for result in kept}
    limits = sorted(used - {_kind_rule(kind) for kind in KINDS})
    rules = [
        {"id": _kind_rule(kind), "name": kind.capitalize(), "shortDescription": {"text": RULES[kind]}}
        for kind in KINDS
        if _kind_rule(kind) in used
    ] + [{"id": rule, "shortDescription": {"text": f"A declared limit: {rule.partition('/')[2]}."}} for rule in limits]
    places = {rule["id"]: place for place, rule in enumerate(rules)}
    for result in kept:
        result["ruleIndex"] = places[result["ruleId"]]
    run: dict[str, Any] = {
        "tool": {"driver": {"name": "spritebuild", "version": __version__, "rules": rules}},
        "automationDetails": {"id": "spritebuild/check/"},
        "columnKind": "unicodeCodePoints",
        "results": kept,
    }
    if len(results) > len(kept):
        run["properties"] = {"resultsLeftOut": len(results) - len(kept)}
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _results(case: Case) -> Iterator[dict[str, Any]]:
    level = LEVELS[case.verdict]
    if case.kind != "same" or not case.violations:
        because = "".join(f" Because {plain(reason)}." for reason in case.why)
        yield _result(case, _kind_rule(case.kind), level, f"{case.kind}: {sentence(case)}.{because}")
    for violation in case.violations:
        yield _result(case, f"limit/{plain(violation.limit, NAME)}", level, f"{plain(violation.words)}.")


def _kind_rule(kind: str) -> str:
    return f"change/{kind}"


def _result(case: Case, rule: str, level: str, words: str) -> dict[str, Any]:
    name = plain(case.path, NAME)
    known = "\0".join((rule, case.path, case.baseline)).encode("utf-8", "surrogatepass")
    fingerprint = hashlib.sha256(known).hexdigest()
    asset, declared = _uri(case.path), _uri(case.file)
    result: dict[str, Any] = {
        "ruleId": rule,
        "level": level,
        "message": {"text": _message(f"{name}: {words}")},
        "partialFingerprints": {"asset/v1": fingerprint, "primaryLocationLineHash": f"{fingerprint[:16]}:1"},
    }
    logical = [{"name": plain(case.target or case.path, NAME), "kind": "object"}]
    place: dict[str, Any] = {"logicalLocations": logical}
    if declared:
        place["physicalLocation"] = {"artifactLocation": {"uri": declared}, "region": {"startLine": max(1, case.line)}}
    elif asset:
        place["physicalLocation"] = {"artifactLocation": {"uri": asset}, "region": {"startLine": 1}}
    result["locations"] = [place]
    if asset and declared:
        physical = {"artifactLocation": {"uri": asset}}
        result["relatedLocations"] = [{"id": 0, "message": {"text": _message(name)}, "physicalLocation": physical}]
    return result


def _message(text: str) -> str:
    """Text in which nothing is a placeholder or a link (SARIF 2.1.0, 3.11.5 and 3.11.6)."""
    return text.replace("{", "{{").replace("}", "}}").replace("[", "\\[").replace("]", "\\]")


def _uri(path: str) -> str:
    """A path below the project as a relative reference; nothing for one that leaves it."""
    parts = path.split("/")
    if path.startswith("/") or not path or len(path) > NAME * 20 or any(part in ("", ".", "..") for part in parts):
        return ""
    return quote(path, safe="/", errors="replace")
