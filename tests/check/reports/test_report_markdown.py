"""Markdown within GitHub's limits, in which names are nothing but names."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from reported import HOSTILE, checked_of

from spritebuild.check.cases import Case, Checked, Part, Violation
from spritebuild.check.reports.markdown import MARKER, comment, summary


class Shape(HTMLParser):
    """The elements of a page, in order, its text, and what of that is in no `code`, where GitHub looks for mentions."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text: list[str] = []
        self.loose: list[str] = []
        self.code = 0
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.code += tag == "code"
        self.tags.append(" ".join((tag, *(f"{name}={value}" for name, value in attrs))))

    def handle_endtag(self, tag: str) -> None:
        self.code -= tag == "code"

    def handle_data(self, data: str) -> None:
        self.text.append(data)
        if not self.code:
            self.loose.append(data)


def rendered(text: str) -> Shape:
    """Markdown as CommonMark with GitHub's tables and struck text, HTML let through."""
    return Shape(MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(text))


CASES = [
    Case(
        "assets/a|b.png",
        "edit",
        "fail",
        "3 pixels differ",
        digest="d" * 64,
        baseline="b" * 64,
        violations=[Violation("palette_violations", "1 pixel is of no color of ruins: #ffffff")],
        why=["styles.ruins.steps 20 -> 28"],
        parts=[Part(f"{n}.png", "edit", f"page {n}") for n in range(5)],
        group="g",
    ),
    Case("assets/b.png", "same", "pass", "the same"),
    Case("assets/c.png", "new", "notice", "never approved", digest="c" * 64),
]


def test_a_summary_is_a_table_of_what_differs() -> None:
    said = summary(Checked("dungeon", CASES, ["compared with the lock"]))
    assert said.startswith("## ❌ Sprites: 1 of 3 assets fail\n")
    shape = rendered(said)
    assert shape.tags.count("tr") == 3
    text = "".join(shape.text)
    assert "assets/a|b.png" in text
    assert "because styles.ruins.steps 20 -> 28" in text
    assert "and 2 more files" in text
    assert "assets/b.png" not in text


def test_a_check_of_nothing_but_the_same_has_no_table() -> None:
    assert "|" not in summary(Checked("p", CASES[1:2]))
    assert "nothing fails" in summary(Checked("p", CASES[1:2]))


def test_pictures_are_named_where_they_are(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / f"{'d' * 64}.png").write_bytes(b"")
    text = "".join(rendered(summary(Checked("p", CASES), str(folder))).text)
    assert f"{folder}/{'d' * 64}.png" in text
    assert "b" * 64 not in text


def test_pictures_on_the_web_are_shown() -> None:
    tags = rendered(summary(Checked("p", CASES), "https://example.org/report/pictures/")).tags
    shown = [tag for tag in tags if tag.startswith("img ")]
    assert shown[0] == f"img src=https://example.org/report/pictures/{'b' * 64}.png width=64 alt=before"
    assert len(shown) == 3


def test_equal_changes_are_one_row() -> None:
    cases = [Case(f"{n}.png", "edit", "fail", "x", group="g") for n in range(42)]
    shape = rendered(comment(Checked("p", cases)))
    assert shape.tags.count("tr") == 2
    assert "and 41 more alike" in shape.text


@pytest.mark.parametrize(("form", "most"), [(summary, 1 << 20), (comment, 1 << 16)])
def test_only_whole_rows_are_told_as_far_as_github_reads(form: type, most: int) -> None:
    cases = [Case(f"assets/{n:05}-ü.png", "edit", "fail", "x" * 200) for n in range(20_000)]
    said = str(form(Checked("p", cases, ["y" * 10_000] * 500)))
    assert most * 0.9 < len(said.encode()) < most
    *table, end = [line for line in said.splitlines() if line]
    rows = [line for line in table if line.startswith("| ")]
    assert all(line.endswith(" |") and line.count("|") == 5 for line in rows[1:])
    assert end.startswith(f"and {20_000 - len(rows) + 1:,} more rows")
    assert rendered(said).tags.count("tr") == len(rows)


def test_a_comment_is_found_again() -> None:
    assert comment(Checked("p", CASES)).startswith(f"{MARKER}\n")


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("form", [summary, comment, lambda checked: summary(checked, "https://example.org/p")])
def test_hostile_names_do_nothing(text: str, form: type) -> None:
    said = str(form(checked_of(text)))
    assert all(line.isprintable() for line in said.split("\n"))
    shape, plain = rendered(said), rendered(str(form(checked_of("word"))))
    assert {tag.partition(" ")[0] for tag in shape.tags} <= {
        *("h2", "p", "strong", "ul", "li", "table", "thead", "tbody", "tr", "th", "td", "br", "code", "img")
    }
    without = [tag for tag in shape.tags if tag not in ("code", "strong", "br")]
    assert without == [tag for tag in plain.tags if tag not in ("code", "strong", "br")]
    assert not [line for line in shape.loose if "@" in line or "#" in line]
