"""Text of others is harmless in every report, short, and otherwise as it was."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reported import HOSTILE

from spritebuild.check.cases import Case, Checked, Part, Violation
from spritebuild.check.reports.text import file_name, headline, measured, more, plain, tally, untold

ANYTHING = st.text(st.characters(codec=None) | st.sampled_from(":#\n\r\x1b\u202e\ud800…"), max_size=80)


@given(ANYTHING, st.integers(3, 90))
def test_text_of_others_is_printable_short_and_no_command(text: str, most: int) -> None:
    said = plain(text, most)
    assert said.isprintable()
    assert len(said) <= most
    assert "::" not in said
    assert "##" not in said
    assert plain(said, most) == said


@given(st.text(st.characters(categories=["L", "N"]), max_size=80))
def test_harmless_text_stays_as_it_is(text: str) -> None:
    assert plain(text, 80) == text


def test_what_is_not_printable_is_told() -> None:
    assert plain("a\nb\x1b[2J\u202ec\ud800") == r"a\nb\x1b[2J\u202ec\ud800"
    assert plain("::error::x") == r"\x3a:error\x3a:x"
    assert plain("###[x]") == r"\x23\x23#[x]"


def test_long_text_keeps_its_start_and_its_end() -> None:
    assert plain("assets/" + "x" * 10_000 + "/potion.png", 30) == "assets/xxxxxxxxxxxx…potion.png"
    assert plain("\x1b" * 10_000, 12) == r"\x1b…\x1b"


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_count_names_kinds_and_failures(text: str) -> None:
    cases = [Case("a", "edit", "fail", text), Case("b", "edit", "pass", ""), Case("c", "new", "notice", "")]
    assert tally(Checked(text, cases)) == "2 edits, 1 new; 1 fails"


def test_a_count_of_nothing_says_so() -> None:
    assert tally(Checked("p", [])) == "no assets"
    assert tally(Checked("p", [Case(str(n), "same", "pass", "") for n in range(10_000)])) == "10,000 same"


def test_measures_are_told_for_people() -> None:
    found = {"pixels": 3, "share": 0.02, "delta_e": 41.26, "box": [1, 2, 4, 6], "worst": (1, 2), "worst_share": 0.5}
    assert measured({**found, "axis": "", "by": None, "colors": [["#000000", "#ffffff", 3]], "mapped": 0}) == [
        ("differ", "3 pixels (2.00% of the visible)"),
        ("worst color", "delta E 41.3"),
        ("region", "3x4 at (1, 2)"),
        ("densest at", "(1, 2), 50% around it"),
    ]
    assert measured({"by": [-1, 2]}) == [("moved by", "-1, +2 (right, down)")]
    assert measured({}) == []


def test_one_and_many_are_told_apart() -> None:
    assert (more(1, "file", "files"), more(2, "file", "files")) == ("and 1 more file", "and 2 more files")


@pytest.mark.parametrize("digest", ["", "../x", "A" * 64, "a" * 63, "a" * 64 + "\n", "a" * 65])
def test_only_a_digest_names_a_file(digest: str) -> None:
    assert file_name(digest) == ""
    assert file_name("a" * 64) == "a" * 64 + ".png"


def test_a_headline_is_the_change_or_the_limit_that_is_broken_without_one() -> None:
    limits = [Violation("colors", "41 colors, more than 32"), Violation("size", "32x32")]
    assert headline(Case("a", "edit", "fail", "3 pixels differ", violations=limits)) == "edit: 3 pixels differ"
    assert headline(Case("a", "same", "fail", "", violations=limits)) == "limit colors: 41 colors, more than 32"
    assert headline(Case("a", "same", "pass", "")) == "same: the same"
    assert headline(Case("a", "other", "fail", "")) == "other: other"


def test_a_file_that_the_sentence_is_about_is_not_told_again() -> None:
    parts = [Part("a.png", "edit", "is new"), Part("b.png", "edit", "is new"), Part("c.png", "same", "")]
    assert untold(Case("g/*", "edit", "fail", "a.png: is new, and another file", parts=parts)) == parts[1:2]
