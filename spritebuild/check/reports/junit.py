"""A check as JUnit XML, a test case a sprite, as GitHub, GitLab and Jenkins read it."""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from spritebuild.check.cases import Case, Checked
from spritebuild.check.reports.text import NAME, broken, headline, measured, plain, untold

PATH = 4096  # characters of a name that are kept: two sprites of one name would be one test


def junit(checked: Checked) -> str:
    """The XML. What fails is a failure, what is new and does not is skipped; notices are a case's output."""
    failures = [case for case in checked.cases if case.verdict == "fail"]
    skipped = [case for case in checked.cases if _is_skipped(case)]
    counts = {"tests": str(len(checked.cases)), "failures": str(len(failures)), "errors": "0"}
    root = Element("testsuites", {"name": "spritebuild check", **counts})
    suite = SubElement(root, "testsuite", {"name": plain(checked.project, NAME) or "sprites", **counts})
    suite.set("skipped", str(len(skipped)))
    for case in checked.cases:
        _add(suite, case)
    if checked.notes:
        SubElement(suite, "system-out").text = "\n".join(plain(note) for note in checked.notes)
    indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def _add(suite: Element, case: Case) -> None:
    table = plain(case.target.partition(".")[0], NAME) or "assets"
    test = SubElement(suite, "testcase", {"classname": table, "name": plain(case.path, PATH), "time": "0"})
    message = headline(case)
    if case.verdict == "fail":
        failure = SubElement(test, "failure", {"type": case.kind, "message": message})
        failure.text = "\n".join((message, *_told(case)))
    elif _is_skipped(case):
        SubElement(test, "skipped", {"message": message})
    elif case.verdict == "notice":
        SubElement(test, "system-out").text = "\n".join((message, *_told(case)))


def _is_skipped(case: Case) -> bool:
    return case.kind == "new" and case.verdict != "fail"


def _told(case: Case) -> Iterator[str]:
    yield from (each for each in broken(case) if each != headline(case))
    for part in untold(case):
        yield f"{plain(part.file, NAME)}: {part.kind}: {plain(part.words)}"
    yield from (f"because {plain(reason)}" for reason in case.why)
    yield from (f"{name}: {value}" for name, value in measured(case.measures))
    if case.file and case.line:
        yield f"declared in {plain(case.file, NAME)}:{case.line}"
    for name, digest in (("approved", case.baseline), ("now", case.digest)):
        if digest:
            yield f"{name}: {plain(digest, NAME)}"
