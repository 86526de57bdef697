"""The page: no script, nothing from elsewhere, every name harmless, usable with 10,000 changes."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image
from reported import HOSTILE, Kept, a_check, checked_of, compared, filled

from spritebuild.check.cases import Case, Checked, Violation
from spritebuild.check.reports.html import MOST, html
from spritebuild.check.reports.text import KINDS, VERDICTS

VOID = {"meta", "img", "input"}
POLICY = re.compile(
    r"default-src 'none'; img-src (data:|'self' file:); style-src 'sha256-([A-Za-z0-9+/=]+)'; "
    r"base-uri 'none'; form-action 'none'"
)


class Page(HTMLParser):
    """The elements of a page with the names of their attributes, in order; its text; and the values that act."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.shape: list[str] = []
        self.values: dict[str, list[str]] = {}
        self.text: list[str] = []
        self.style = ""
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.shape.append(" ".join((tag, *(name for name, _ in attrs))))
        for name, value in attrs:
            self.values.setdefault(name, []).append(value or "")
        if tag not in VOID and tag != "rect":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if tag != "rect":
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "style":
            self.style += data
        else:
            self.text.append(data)


def page_of(checked: Checked, kept: Kept, out: Path, *, single: bool = True) -> Page:
    """The page, after a look at what every page has to keep."""
    files = html(checked, kept, out, single=single)
    page = Page(files[0].read_text("utf-8"))
    tags = {one.partition(" ")[0] for one in page.shape}
    assert not tags & {"script", "iframe", "object", "embed", "link", "base", "form", "video", "audio", "foreignobject"}
    assert not [name for name in page.values if name.startswith("on") or name in ("style", "srcset", "action", "ping")]
    found = POLICY.fullmatch(page.values["content"][0])
    assert found
    assert (found[1] == "data:") is single
    assert found[2] == base64.b64encode(hashlib.sha256(page.style.encode()).digest()).decode()
    assert "url(" not in page.style
    assert "@import" not in page.style
    assert all(re.fullmatch("#asset-[0-9a-f]{16}", link) for link in page.values.get("href", ()))
    picture = r"data:image/png;base64,[A-Za-z0-9+/=]+" if single else r"pictures/[0-9a-f]{64}\.png"
    assert all(re.fullmatch(picture, source) for source in page.values.get("src", ()))
    assert all(page.values["alt"]) if "alt" in page.values else True
    if not single:
        assert sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()) == sorted(
            path.relative_to(out).as_posix() for path in files
        )
        assert {f"pictures/{path.name}" for path in files[1:]} == set(page.values.get("src", ()))
    return page


@pytest.mark.parametrize("single", [True, False])
def test_a_page_shows_before_after_and_difference(tmp_path: Path, single: bool) -> None:
    kept = Kept(tmp_path / "kept")
    page = page_of(a_check(kept), kept, tmp_path / "out", single=single)
    said = page.values["alt"]
    for side in ("before", "after", "difference"):
        assert f"{side}: assets/edit.png" in said
    assert "before: assets/new.png" not in said
    assert "after: assets/deleted.png" not in said
    assert "after: game/* page-2.png" in said
    assert {"dungeon", "a note", "it is recolor", "page 1 differs"} <= set(page.text)


def test_small_pictures_are_enlarged_by_a_whole_number(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    case = compared(kept, "a", "new")
    kept.keep("now", "a", filled((1, 2, 3), 24, 10))
    page = page_of(Checked("p", [case]), kept, tmp_path / "out.html")
    assert "240" in page.values["width"]
    assert "100" in page.values["height"]
    assert "10x" in page.text
    assert "image-rendering:pixelated" in page.style


def test_colors_that_came_and_went_are_named(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    page = page_of(Checked("p", [compared(kept, "a")]), kept, tmp_path / "out.html")
    assert "added: #e60a14" in page.values["aria-label"]
    assert "kept colors" in page.values["aria-label"]


def test_what_is_known_of_a_case_is_told(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    told = {"violations": (Violation("size", "32x32, not 16x16"),), "why": ("styles.ruins.steps 20 -> 28",)}
    case = compared(kept, "a", measures={"pixels": 1, "share": 0.05}, platform="cpu x86-64", **told)
    text = page_of(Checked("p", [case]), kept, tmp_path / "out.html").text
    assert {"32x32, not 16x16", "styles.ruins.steps 20 -> 28", "cpu x86-64", case.digest, case.baseline} <= set(text)
    assert "1 pixel (5.00% of the visible)" in text


def test_pixels_that_are_not_here_are_told_and_nothing_fails(tmp_path: Path) -> None:
    case = Case("a", "other", "fail", "its fingerprints differ", digest="d" * 64, baseline="b" * 64)
    page = page_of(Checked("p", [case]), Kept(tmp_path), tmp_path / "out.html")
    assert {"no pixels here", "no picture"} <= set(page.text)


def test_equal_changes_are_one_card_with_small_pictures(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    cases = [compared(kept, f"{n:02}.png", group="g") for n in range(30)]
    page = page_of(Checked("p", cases), kept, tmp_path / "out.html")
    assert page.shape.count("article id") == 1
    assert page.values["alt"].count("before") == 24
    assert {"and 29 more alike", "and 5 more alike"} <= set(page.text)


def test_unchanged_assets_are_a_list_without_pictures(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    cases = [Case(f"{n:05}.png", "same", "pass", "the same") for n in range(10_000)]
    page = page_of(Checked("p", cases), kept, tmp_path / "out.html")
    assert "10,000 unchanged" in page.text
    assert "09999.png" in page.text
    assert "src" not in page.values
    assert (tmp_path / "out.html").stat().st_size < 500_000


def test_beyond_a_thousand_pictures_changes_are_lines_and_the_page_says_so(tmp_path: Path) -> None:
    class Two:
        def now(self, path: str, file: str = "") -> Path:
            return tmp_path / "now.png"

        def baseline(self, path: str, file: str = "") -> Path:
            return tmp_path / "old.png"

    Image.fromarray(filled((1, 2, 3), 1, 1)).save(tmp_path / "old.png")
    Image.fromarray(filled((1, 2, 4), 2, 1)).save(tmp_path / "now.png")
    broken = (Violation("size", "2x1, not 1x1"),)
    cases = [
        Case(f"{n:05}.png", "edit", "fail", "differs", digest="d", baseline="b", violations=broken)
        for n in range(10_000)
    ]
    (written,) = html(Checked("p", cases), Two(), tmp_path / "out.html", single=True)
    text = written.read_text()
    assert len(text) < 8_000_000
    page = Page(text)
    assert page.shape.count("article id data-limit") == MOST
    assert page.shape.count("li data-limit") == 10_000 - MOST
    assert "09999.png" in page.text
    assert any(f"first {MOST:,} changes are shown in pictures; 9,000 more are told" in one for one in page.text)


def test_every_kind_and_verdict_has_its_filter(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    page = page_of(a_check(kept), kept, tmp_path / "out.html")
    for name in KINDS:
        assert f"#show-{name}:checked) section:not([data-kind={name}])" in page.style
    for name in VERDICTS:
        assert f"#show-{name}:checked) section:not([data-verdict={name}])" in page.style
    assert {f"show-{name}" for name in (*VERDICTS, "edit", "same", "all")} <= set(page.values["id"])
    assert len(set(page.values["id"])) == len(page.values["id"])


@pytest.mark.parametrize("single", [True, False])
def test_the_same_check_gives_the_same_bytes(tmp_path: Path, single: bool) -> None:
    kept = Kept(tmp_path / "kept")
    first, second = (html(a_check(kept), kept, tmp_path / name, single=single) for name in ("a", "b"))
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_a_new_report_removes_the_old_pictures_and_nothing_else(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "kept")
    out = tmp_path / "out"
    html(a_check(kept), kept, out, single=False)
    (out / "pictures" / "mine.png").write_bytes(b"mine")
    files = html(Checked("p", [compared(kept, "a")]), kept, out, single=False)
    assert {path for path in out.rglob("*") if path.is_file()} == {*files, out / "pictures" / "mine.png"}


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_names_change_nothing_of_the_page_but_its_text(tmp_path: Path, text: str) -> None:
    kept = Kept(tmp_path / "kept")
    page = page_of(checked_of(text, kept), kept, tmp_path / "a.html")
    benign = page_of(checked_of("word", kept), kept, tmp_path / "b.html")
    if text:
        assert page.shape == benign.shape
    for one in (*page.text, *(value for values in page.values.values() for value in values)):
        assert all(line.isprintable() for line in one.split("\n"))
    assert not any(len(one) > 1200 for one in page.text)


def test_hostile_names_write_nowhere_else(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "kept")
    cases = [case for text in HOSTILE for case in checked_of(text, kept).cases]
    page_of(Checked("../x", cases), kept, tmp_path / "out", single=False)
    assert {path.name for path in tmp_path.iterdir()} == {"kept", "out"}
