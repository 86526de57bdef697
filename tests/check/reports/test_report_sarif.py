"""SARIF 2.1.0 that code scanning takes, with a fingerprint that stays."""

from typing import Any

import jsonschema
import pytest
from reported import HOSTILE, checked_of

from spritebuild.check.cases import Case, Checked, Violation
from spritebuild.check.reports.sarif import MOST, sarif


def exactly(needed: str, **properties: Any) -> dict[str, Any]:
    """An object with those properties and no others."""
    required = needed.split()
    return {"type": "object", "required": required, "properties": properties, "additionalProperties": False}


TEXT = {"type": "string", "minLength": 1}
NUMBER = {"type": "integer", "minimum": 0}
LINE = exactly("startLine", startLine={"type": "integer", "minimum": 1})
FILE = exactly("uri", uri={"type": "string", "pattern": r"^[A-Za-z0-9_.~%/-]+$"})
PHYSICAL = exactly("artifactLocation", artifactLocation=FILE, region=LINE)
LOGICAL = {"type": "array", "items": exactly("name kind", name={"type": "string"}, kind={"const": "object"})}
MESSAGE = exactly("text", text=TEXT)
PLACE = exactly("", id=NUMBER, message=MESSAGE, physicalLocation=PHYSICAL, logicalLocations=LOGICAL)
RULE = exactly("id", id=TEXT, name=TEXT, shortDescription=MESSAGE)
RESULT = exactly(
    "ruleId ruleIndex level message locations partialFingerprints",
    ruleId=TEXT,
    ruleIndex=NUMBER,
    level={"enum": ["error", "warning", "note"]},
    message=MESSAGE,
    locations={"type": "array", "items": PLACE, "minItems": 1, "maxItems": 1},
    relatedLocations={"type": "array", "items": PLACE},
    partialFingerprints={"type": "object", "additionalProperties": TEXT},
)
DRIVER = exactly("name", name={"const": "spritebuild"}, version=TEXT, rules={"type": "array", "items": RULE})
RUN = exactly(
    "tool results",
    tool=exactly("driver", driver=DRIVER),
    automationDetails=exactly("id", id=TEXT),
    columnKind={"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
    results={"type": "array", "items": RESULT},
    properties={"type": "object"},
)
# What the specification demands of the properties that are used, and that no others are.
SCHEMA = exactly(
    "$schema version runs",
    **{"$schema": TEXT, "version": {"const": "2.1.0"}, "runs": {"type": "array", "items": RUN, "minItems": 1}},
)


def run_of(checked: Checked) -> dict[str, Any]:
    """The only run of a log that is as it should be."""
    log = sarif(checked)
    jsonschema.validate(log, SCHEMA)
    (run,) = log["runs"]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert len(set(rules)) == len(rules)
    assert all(rules[result["ruleIndex"]] == result["ruleId"] for result in run["results"])
    found: dict[str, Any] = run
    return found


POTION = Case(
    "assets/potion.png",
    "edit",
    "fail",
    "3 pixels differ",
    target="sprites.potion",
    file="spritefile.toml",
    line=7,
    baseline="b" * 64,
    violations=[Violation("palette_violations", "1 pixel is of no color of ruins")],
    why=["styles.ruins.steps 20 -> 28"],
)


def test_a_change_and_a_broken_limit_are_results_at_the_declaration() -> None:
    run = run_of(Checked("dungeon", [POTION]))
    change, limit = run["results"]
    assert (change["ruleId"], limit["ruleId"]) == ("change/edit", "limit/palette_violations")
    assert change["message"]["text"] == "assets/potion.png: edit: 3 pixels differ. Because styles.ruins.steps 20 -> 28."
    for result in (change, limit):
        assert result["level"] == "error"
        physical = result["locations"][0]["physicalLocation"]
        assert physical == {"artifactLocation": {"uri": "spritefile.toml"}, "region": {"startLine": 7}}
        (asset,) = result["relatedLocations"]
        assert asset["physicalLocation"]["artifactLocation"]["uri"] == "assets/potion.png"


def test_a_fingerprint_is_of_the_asset_the_rule_and_the_baseline_alone() -> None:
    from dataclasses import replace

    def prints(case: Case) -> list[str]:
        return [result["partialFingerprints"]["asset/v1"] for result in run_of(Checked("p", [case]))["results"]]

    first = prints(POTION)
    assert len(set(first)) == 2
    assert prints(replace(POTION, words="4 pixels differ", digest="c" * 64, line=9, why=[])) == first
    assert not set(prints(replace(POTION, baseline="a" * 64))) & set(first)
    assert not set(prints(replace(POTION, path="assets/scroll.png"))) & set(first)


def test_what_is_declared_nowhere_is_at_the_asset() -> None:
    (result,) = run_of(Checked("p", [Case("assets/a b#.png", "deleted", "notice", "gone")]))["results"]
    assert result["level"] == "warning"
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "assets/a%20b%23.png"


@pytest.mark.parametrize("path", ["../x.png", "a/../../x.png", "/etc/passwd", "a//b", "./a", "", "x" * 10_000])
def test_a_path_that_leaves_the_project_is_no_location(path: str) -> None:
    (result,) = run_of(Checked("p", [Case(path, "edit", "fail", "x", file=path)]))["results"]
    assert "physicalLocation" not in result["locations"][0]


def test_brackets_and_braces_are_no_links_and_no_placeholders() -> None:
    (result,) = run_of(Checked("p", [Case("[a](b){0}", "edit", "fail", "x")]))["results"]
    assert result["message"]["text"] == r"\[a\](b){{0}}: edit: x."


def test_a_log_ends_where_code_scanning_stops_reading_and_keeps_what_fails() -> None:
    cases = [Case(f"{n:05}", "edit", "fail" if n % 2 else "notice", "x") for n in range(MOST + 8)]
    run = run_of(Checked("p", cases))
    assert len(run["results"]) == MOST
    assert run["properties"] == {"resultsLeftOut": 8}
    assert sum(result["level"] == "error" for result in run["results"]) == MOST // 2 + 4


def test_what_is_the_same_is_no_result() -> None:
    assert run_of(Checked("p", [Case("a", "same", "pass", "the same")]))["results"] == []


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_names_do_nothing(text: str) -> None:
    for result in run_of(checked_of(text))["results"]:
        assert result["message"]["text"].isprintable()
        assert len(result["message"]["text"]) <= 5000
