"""Cases are told in the order in which they matter, equal changes together."""

from spritebuild.check.cases import Case, Violation
from spritebuild.check.reports.alike import alike


def test_what_fails_comes_first_then_kind_then_path() -> None:
    cases = [
        Case("d", "new", "notice", ""),
        Case("c", "edit", "fail", ""),
        Case("b", "missing", "fail", ""),
        Case("a", "edit", "fail", ""),
        Case("e", "recolor", "pass", ""),
    ]
    assert [row.case.path for row in alike(cases)] == ["b", "a", "c", "d", "e"]


def test_what_is_the_same_or_looks_so_is_not_told_unless_it_fails_or_breaks_a_limit() -> None:
    cases = [
        Case("a", "same", "pass", ""),
        Case("b", "imperceptible", "pass", ""),
        Case("c", "same", "fail", ""),
        Case("d", "same", "pass", "", violations=(Violation("size", "32x32"),)),
    ]
    assert [row.case.path for row in alike(cases)] == ["c", "d"]


def test_equal_changes_are_one_row() -> None:
    cases = [Case(path, "edit", "fail", "", group="g") for path in "cab"] + [Case("d", "edit", "fail", "")]
    rows = alike(cases)
    assert [(row.case.path, [other.path for other in row.others]) for row in rows] == [("a", ["b", "c"]), ("d", [])]


def test_equal_changes_of_other_verdicts_or_with_other_broken_limits_stand_alone() -> None:
    broken = (Violation("orphan_pixels", "9 orphan pixels"),)
    cases = [
        Case("a", "edit", "fail", "", group="g"),
        Case("b", "edit", "notice", "", group="g"),
        Case("c", "edit", "fail", "", group="g", violations=broken),
        Case("d", "flip", "fail", "", group="g"),
        Case("e", "edit", "fail", "", group="h"),
    ]
    assert [row.others for row in alike(cases)] == [[], [], [], [], []]
