"""JUnit XML that GitHub, GitLab and Jenkins read, whatever the sprites are called."""

from xml.etree import ElementTree

import pytest
from reported import HOSTILE, checked_of

from spritebuild.check.cases import Case, Checked, Part, Violation
from spritebuild.check.reports.junit import junit

# What Jenkins's schema junit-10.xsd allows: the attributes of an element, those that it must have, and its children.
ALLOWED: dict[str, tuple[set[str], set[str], set[str]]] = {
    "testsuites": ({"name", "time", "tests", "failures", "errors"}, set(), {"testsuite"}),
    "testsuite": (
        {"name", "tests", "failures", "errors", "group", "time", "skipped", "timestamp", "hostname", "id", "package"},
        {"name", "tests", "failures", "errors"},
        {"testsuite", "properties", "testcase", "system-out", "system-err"},
    ),
    "testcase": (
        {"name", "time", "classname", "group"},
        {"name"},
        {"skipped", "error", "failure", "system-out", "system-err"},
    ),
    "failure": ({"type", "message"}, set(), set()),
    "skipped": ({"type", "message"}, set(), set()),
    "system-out": (set(), set(), set()),
}


def read(checked: Checked) -> ElementTree.Element:
    """The suite, after a look at the whole document's form and counts."""
    root = ElementTree.fromstring(junit(checked).encode())
    assert root.tag == "testsuites"
    for element in root.iter():
        allowed, needed, children = ALLOWED[element.tag]
        assert needed <= set(element.attrib) <= allowed
        assert {child.tag for child in element} <= children
    (suite,) = root
    for name, tag in (("tests", "testcase"), ("failures", "failure"), ("skipped", "skipped")):
        assert int(suite.attrib[name]) == len(list(root.iter(tag)))
        assert root.attrib.get(name, suite.attrib[name]) == suite.attrib[name]
    return suite


def test_a_sprite_is_a_test_case_that_fails_with_its_words() -> None:
    case = Case(
        "assets/potion.png",
        "edit",
        "fail",
        "3 pixels differ",
        target="sprites.potion",
        file="spritefile.toml",
        line=7,
        violations=[Violation("palette_violations", "1 pixel is of no color of ruins")],
        parts=[Part("a.json", "other", "frames: 3 -> 4")],
        why=["styles.ruins.steps 20 -> 28"],
    )
    (test,) = read(Checked("dungeon", [case]))
    assert (test.attrib["classname"], test.attrib["name"]) == ("sprites", "assets/potion.png")
    (failure,) = test
    assert failure.attrib == {"type": "edit", "message": "edit: 3 pixels differ"}
    assert str(failure.text).splitlines() == [
        "edit: 3 pixels differ",
        "limit palette_violations: 1 pixel is of no color of ruins",
        "a.json: other: frames: 3 -> 4",
        "because styles.ruins.steps 20 -> 28",
        "declared in spritefile.toml:7",
    ]


def test_new_is_skipped_unless_it_fails_a_notice_is_output_and_the_rest_passes() -> None:
    cases = [
        Case("a", "new", "notice", "never approved"),
        Case("b", "new", "fail", "never approved"),
        Case("c", "recolor", "notice", "2 colors changed"),
        Case("d", "same", "pass", "the same"),
    ]
    suite = read(Checked("", cases, ["compared with the lock"]))
    assert suite.attrib["name"] == "sprites"
    assert [[child.tag for child in test] for test in suite] == [["skipped"], ["failure"], ["system-out"], [], []]
    assert suite[-1].text == "compared with the lock"


def test_a_check_of_nothing_is_an_empty_suite() -> None:
    assert len(read(Checked("p", []))) == 0


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_names_do_nothing(text: str) -> None:
    suite = read(checked_of(text))
    assert len(list(suite.iter("testcase"))) == len(checked_of(text).cases)
    for element in suite.iter():
        for value in (*element.attrib.values(), *(element.text or "").splitlines()):
            assert value.isprintable()
            assert len(value) <= 4300
