"""Workflow commands within GitHub's limits, from which nothing of others breaks out."""

import re

import pytest
from reported import HOSTILE, checked_of

from spritebuild.check.cases import Case, Checked, Violation
from spritebuild.check.reports.github import annotations
from spritebuild.check.reports.text import KINDS

COMMAND = re.compile(r"::(error|warning) ((?:file=[^:,]*,)?(?:line=\d+,)?title=[^:,]*)::(.*)")


def commands(checked: Checked) -> list[tuple[str, dict[str, str], str]]:
    """Each line as the runner reads it: level, properties, text."""
    found = []
    said = annotations(checked)
    for line in said.split("\n")[:-1]:
        assert line.isprintable()
        matched = COMMAND.fullmatch(line)
        assert matched
        level, facts, text = matched.groups()
        properties = dict(fact.split("=", 1) for fact in facts.split(","))
        assert "%" not in re.sub("%(25|0A|3A|2C)", "", facts + text)
        for code, sign in (("%3A", ":"), ("%2C", ","), ("%0A", "\n"), ("%25", "%")):
            properties = {name: value.replace(code, sign) for name, value in properties.items()}
            text = text.replace(code, sign) if sign in "\n%" else text
        found.append((level, properties, text))
    assert len(found) <= 10
    return found


def test_a_failure_is_an_error_beside_its_declaration() -> None:
    case = Case(
        "assets/a,b:c.png",
        "edit",
        "fail",
        "100 % differ",
        file="spritefile.toml",
        line=7,
        violations=[Violation("size", "32x32, not 16x16")],
        why=["styles.ruins.steps 20 -> 28"],
    )
    facts = {"file": "spritefile.toml", "line": "7", "title": "assets/a,b:c.png"}
    text = "edit: 100 % differ\nlimit size: 32x32, not 16x16\nbecause styles.ruins.steps 20 -> 28"
    assert commands(Checked("p", [case])) == [("error", facts, text)]
    assert annotations(Checked("p", [case])).startswith(
        "::error file=spritefile.toml,line=7,title=assets/a%2Cb%3Ac.png"
    )


def test_errors_come_first_and_what_passes_is_left_out() -> None:
    cases = [Case("a", "new", "notice", ""), Case("b", "edit", "fail", ""), Case("c", "edit", "pass", "")]
    assert [(level, facts["title"]) for level, facts, _ in commands(Checked("p", cases))] == [
        ("error", "b"),
        ("warning", "a"),
    ]


def test_the_tenth_says_how_many_more_there_are() -> None:
    cases = [Case(f"{n:04}", "edit", "fail", "") for n in range(11)]
    assert len(commands(Checked("p", cases[:10]))) == 10
    assert commands(Checked("p", cases[:10]))[-1][1]["title"] == "0009"
    level, facts, text = commands(Checked("p", cases))[-1]
    assert (level, facts["title"], text) == ("error", "and 2 more assets", "in all: 11 edits; 11 fail")


def test_what_is_the_same_and_breaks_a_limit_says_which() -> None:
    case = Case("a", "same", "fail", "", violations=[Violation("size", "x"), Violation("alpha", "y")])
    assert [text for _, _, text in commands(Checked("p", [case]))] == ["limit size: x\nlimit alpha: y"]


def test_equal_changes_are_one_annotation() -> None:
    cases = [Case(f"{n:04}", "edit", "fail", "x", group="g") for n in range(42)]
    ((_, _, text),) = commands(Checked("p", cases))
    assert text == "edit: x\nand 41 more alike"


def test_a_check_of_nothing_but_the_same_says_nothing() -> None:
    assert annotations(Checked("p", [Case("a", "same", "pass", "")])) == ""


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_names_do_nothing(text: str) -> None:
    checked = checked_of(text)
    found = commands(checked)
    assert len(found) == 10
    assert all(re.match("|".join((*KINDS, "limit", "in all")), said) for _, _, said in found)
