"""Every form is written by its name, whole, the same each time, and without what only pictures need."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from reported import HOSTILE, Kept, checked_of, compared

from spritebuild.check.cases import Checked
from spritebuild.check.reports import FORMS, text_of, write

STARTS = {
    "html": "<!doctype html>",
    "junit": "<?xml version",
    "json": "{",
    "sarif": "{",
    "annotations": "::error ",
    "summary": "## ",
    "comment": "<!-- spritebuild check -->",
    "text": "FAIL\n",
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_written_whole_and_the_same_again(tmp_path: Path, form: str) -> None:
    kept = Kept(tmp_path / "kept")
    checked = Checked("p", [compared(kept, "a.png"), compared(kept, "b.png", "new", "notice")])
    written = []
    for name in ("one", "two"):
        target = tmp_path / "new" / name / ("x.html" if form == "html" else "x")
        assert write(checked, kept, form, target) == [target]
        assert [path.name for path in target.parent.iterdir()] == [target.name]
        written.append(target.read_text("utf-8"))
    assert written[0] == written[1]
    assert written[0].startswith(STARTS[form])
    assert written[0].endswith("\n")


def test_html_is_a_folder_unless_the_target_is_a_page(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "kept")
    checked = Checked("p", [compared(kept, "a.png")])
    files = write(checked, kept, "html", tmp_path / "report")
    assert files[0] == tmp_path / "report" / "index.html"
    assert {path.parent for path in files[1:]} == {tmp_path / "report" / "pictures"}
    assert write(checked, kept, "html", tmp_path / "a.HTML") == [tmp_path / "a.HTML"]


def test_a_summary_finds_the_pictures_of_the_page(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "kept")
    checked = Checked("p", [compared(kept, "a.png")])
    write(checked, kept, "html", tmp_path / "report")
    pictures = str(tmp_path / "report" / "pictures")
    (target,) = write(checked, kept, "summary", tmp_path / "summary.md", pictures_folder=pictures)
    for digest in (checked.cases[0].digest, checked.cases[0].baseline):
        assert f"{digest}&#46;png" in target.read_text("utf-8")


def test_json_is_what_the_check_says(tmp_path: Path) -> None:
    checked = checked_of("a")
    assert json.loads(text_of(checked, "json")) == json.loads(json.dumps(checked.as_json()))


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_json_of_hostile_names_is_ascii_and_theirs(text: str) -> None:
    said = text_of(checked_of(text), "json")
    assert said.isascii()
    assert json.loads(said)["project"] == text


def test_a_report_goes_into_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE, text=True) as reader:
        write(Checked("p", []), Kept(tmp_path), "text", pipe)
        assert reader.communicate(timeout=60)[0] == "no assets\n"


def test_a_report_goes_to_stdout_but_a_page_does_not(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    checked = Checked("p", [compared(None, "ü.png")])
    for target in (Path("-"), Path("/dev/stdout")):
        assert write(checked, Kept(tmp_path), "annotations", target) == []
        assert capfd.readouterr().out == "::error file=spritefile.toml,line=3,title=ü.png::edit: it is edit\n"
    with pytest.raises(ValueError, match="not to stdout"):
        write(checked, Kept(tmp_path), "html", Path("-"))


def test_a_link_is_followed_and_stays(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "there")
    write(Checked("p", []), Kept(tmp_path), "text", tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "there").read_text() == "no assets\n"


def test_a_form_of_another_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no form of report is called 'pdf'; there are html, junit, json"):
        write(Checked("p", []), Kept(tmp_path), "pdf", tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_reports_without_pictures_load_no_library_of_pictures_or_pages() -> None:
    program = """
import sys
from spritebuild.check.cases import Case, Checked
from spritebuild.check.reports import FORMS, text_of
for form in FORMS[1:]:
    text_of(Checked("p", [Case("a", "edit", "fail", "x")]), form)
print(sorted({"numpy", "PIL", "jinja2", "imagehash"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[]\n"
