"""The answer `nothing to do` without loading anything: given only where the slow path would give it too."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from projects import ISLAND, Project, Recorder, toml

from spritebuild import idle
from spritebuild.build import Request, build

STATE = ".spritebuild/idle"


@pytest.fixture
def built(island: Project) -> Project:
    island.build()
    assert island.idle()
    return island


def test_project_never_built_is_not_known_to_be_idle(island: Project) -> None:
    assert not island.idle()


def test_build_that_finds_nothing_to_do_says_so_the_next_time_at_once(built: Project) -> None:
    (built.root / STATE).unlink()
    built.build()
    assert built.idle()


def hand_edit(project: Project) -> None:
    path = project.root / "assets/potion.png"
    stat = path.stat()
    path.write_bytes(path.read_bytes()[::-1])  # the same size
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def replace(project: Project) -> None:
    path = project.root / "assets/potion.png"
    shutil.copy2(path, project.root / "copy")
    (project.root / "copy").replace(path)


CHANGES: dict[str, Callable[[Project], object]] = {
    "spritefile": lambda project: project.edit("styles.base.steps", 28),
    "touched spritefile": lambda project: os.utime(project.path),
    "stage": lambda project: project.bump("paint", 2),
    "stage that nothing uses": lambda project: project.stage("dream", ""),
    "lock": lambda project: (project.root / "lockfiles/sprites.lock").write_text(""),
    "lock deleted": lambda project: (project.root / "lockfiles/sprites.lock").unlink(),
    "asset deleted": lambda project: (project.root / "assets/potion.png").unlink(),
    "asset edited, with the time put back": hand_edit,
    "asset replaced by a copy": replace,
    "state deleted": lambda project: (project.root / STATE).unlink(),
    "state damaged": lambda project: (project.root / STATE).write_text("{"),
    "state of another shape": lambda project: (project.root / STATE).write_text("[]"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_change_withdraws_the_answer(built: Project, change: str) -> None:
    CHANGES[change](built)
    assert not built.idle()


def test_state_of_another_version_is_not_believed(built: Project) -> None:
    head, _, rest = (built.root / STATE).read_bytes().partition(b"\n")
    (built.root / STATE).write_bytes(json.dumps({**json.loads(head), "tool": "0"}).encode() + b"\n" + rest)
    assert not built.idle()


def test_state_that_is_cut_short_is_not_believed(built: Project) -> None:
    data = (built.root / STATE).read_bytes()
    for end in (len(data) - 1, len(data) - 8, len(data) // 2, data.index(b"\n") + 1, 5, 0):
        (built.root / STATE).write_bytes(data[:end])
        assert not built.idle()


def test_copied_project_is_not_known_to_be_idle(built: Project, tmp_path: Path) -> None:
    assert not built.clone(tmp_path / "copy", assets=True, store=True).idle()


def test_changed_palette_file_withdraws_the_answer(project: Project) -> None:
    project.file("gray.hex", "000000\nffffff\n")
    project.write(ISLAND).edit("palettes.gray", {"file": "gray.hex"}).build()
    assert project.idle()
    project.file("gray.hex", "000000\nfffff0\n")
    assert not project.idle()


def test_included_files_count_also_those_that_are_new(project: Project) -> None:
    rest = {table: rows for table, rows in ISLAND.items() if table != "project"}
    project.write({"include": ["parts/*.toml"], "project": ISLAND["project"], **rest})
    project.file("parts/a.toml", '[sprites.bow]\nstyle = "base"\nprompt = "bow"\n')
    project.build()
    assert project.idle()
    project.file("parts/b.toml", '[sprites.axe]\nstyle = "base"\nprompt = "axe"\n')
    assert not project.idle()
    assert "sprites.axe:paint" in project.build().ran
    assert project.idle()
    project.file("parts/a.toml", '[sprites.bow]\nstyle = "base"\nprompt = "long bow"\n')
    assert not project.idle()


def test_pins_count(pressed: Project) -> None:
    pressed.build()
    assert pressed.idle()
    pin = pressed.root / "lockfiles/models/mine.dvc"
    pin.write_text(pin.read_text() + "\n")
    assert not pressed.idle()


def test_build_of_some_targets_does_not_answer_for_all(island: Project) -> None:
    island.build("potion")
    assert not island.idle()


def test_failed_build_withdraws_the_answer(built: Project) -> None:
    spritefile = built.path.read_bytes()
    built.edit("sprites.sword.prompt", "fail")
    assert built.cli("build").returncode == 5
    built.path.write_bytes(spritefile)
    assert not built.idle()


def test_answer_is_given_without_loading_the_engine(built: Project) -> None:
    code = (
        "import sys\n"
        "from spritebuild.cli import main\n"
        "try: main(['build'])\n"
        "except SystemExit as end: print(end.code)\n"
        "print({'pydantic', 'tomllib', 'sqlite3', 'rich', 'spritebuild.build'} & set(sys.modules))\n"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=built.root, capture_output=True, encoding="utf-8")
    assert (result.stdout, result.stderr) == ("0\nset()\n", "nothing to do\n")


def test_file_changed_since_it_was_seen_withholds_the_answer(tmp_path: Path) -> None:
    (tmp_path / idle.STATE).mkdir()
    file = tmp_path / "asset.png"
    file.write_bytes(b"seen")
    seen = file.stat()
    signature = (seen.st_dev, seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns)
    idle.remember(tmp_path, [], ["asset.png"], {str(file): signature}, "asset.png")
    assert idle.unchanged(tmp_path, "asset.png")
    idle.forget(tmp_path)
    file.write_bytes(b"changed")
    idle.remember(tmp_path, [], ["asset.png"], {str(file): signature}, "asset.png")
    assert not idle.unchanged(tmp_path, "asset.png")


def test_build_of_another_spritefile_does_not_answer_for_this_one(built: Project) -> None:
    other = built.root / "other.toml"
    other.write_text(toml({**ISLAND, "sprites": {"axe": {"style": "base", "prompt": "axe"}}}), "utf-8")
    build(other, Request(), Recorder())
    assert not built.idle()
    assert idle.unchanged(built.root, "other.toml")
    assert "not built as declared" in " ".join(built.cli("check").stdout.split())
    other.unlink()
    assert not idle.unchanged(built.root, "other.toml")


def test_spritefile_that_another_includes_is_not_answered_for(built: Project) -> None:
    text = built.path.read_text("utf-8").partition("[palettes")
    (built.root / "rest.toml").write_text("[palettes" + text[2], "utf-8")
    built.path.write_text('include = ["rest.toml"]\n' + text[0], "utf-8")
    built.build()
    assert built.idle()
    assert not idle.unchanged(built.root, "rest.toml")


def test_what_is_new_is_remembered_beside_the_rest(tmp_path: Path) -> None:
    (tmp_path / idle.STATE).mkdir()
    for name in "abd":
        (tmp_path / name).write_text(name)
    idle.remember(tmp_path, [], ["a", "b", "d"], {}, "a", "first")
    (tmp_path / "b").unlink()
    (tmp_path / "c").write_text("c")
    (tmp_path / "d").write_text("other")
    seen = idle.read(tmp_path, "a")
    assert seen is not None
    assert seen.changed == ["b", "d"]
    idle.renew(seen, ["b"], ["c", "d"], {}, "a", "second")
    now = idle.read(tmp_path, "a")
    assert now is not None
    assert (now.paths, now.token, now.changed) == (["a", "c", "d"], "second", [])
    (tmp_path / "d").write_text("again")
    idle.renew(now, [], ["d"], {}, "a", "third")
    assert idle.unchanged(tmp_path, "a")
