"""Verdicts and their reasons, in the words of the spritefile; and that a plan loads nothing heavy."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from projects import INVERT, ISLAND, Project

from spritebuild import lock


@pytest.fixture
def built(island: Project) -> Project:
    island.build()
    return island


def test_nothing_is_to_do_after_a_build(built: Project) -> None:
    assert built.reasons() == {}
    assert {decision.verdict for decision in built.planned().decisions.values()} == {"reuse"}


def test_everything_is_new_at_first(island: Project) -> None:
    decisions = island.planned().decisions
    assert {(d.verdict, d.reason) for d in decisions.values()} == {("run", "new"), ("wait", "new")}
    assert [d.action for d in decisions.values() if d.verdict == "run"] == [
        "sprites.potion:paint",
        "sprites.sword:paint",
    ]


@pytest.mark.parametrize(
    ("key", "value", "action", "reason"),
    [
        ("styles.base.steps", 28, "sprites.sword:paint", "styles.base.steps 20 -> 28"),
        ("styles.base.size", [16, 8], "sprites.sword:paint", "styles.base.size[0] 8 -> 16"),
        (
            "styles.base.params",
            {"note": "x"},
            "sprites.sword:paint",
            'styles.base.params.note "" -> "x"',
        ),
        (
            "sprites.potion.prompt",
            "blue potion",
            "sprites.potion:paint",
            'sprites.potion.prompt "red potion" -> "blue potion"',
        ),
        ("sprites.potion.seed", 7, "sprites.potion:paint", "sprites.potion.seed 0 -> 7"),
        ("project.seed", 7, "sprites.potion:paint", "project.seed 0 -> 7"),
        (
            "palettes.gray.colors",
            ["#000000", "#888888", "#fffff0"],
            "sprites.sword:finish",
            'palettes.gray.colors[2] "#ffffff" -> "#fffff0"',
        ),
        (
            "palettes.gray.colors",
            ["#000000"],
            "sprites.sword:finish",
            'palettes.gray.colors ["#000000","#888888","#ffffff"] -> ["#000000"]',
        ),
        ("sheets.items.columns", 3, "sheets.items:sheet", "sheets.items.columns 2 -> 3"),
    ],
)
def test_reason_names_the_change_where_it_was_made(
    built: Project, key: str, value: Any, action: str, reason: str
) -> None:
    assert built.edit(key, value).reasons()[action] == reason


def test_reason_names_old_and_new_value(project: Project) -> None:
    declared = {**ISLAND, "styles": {"base": {**ISLAND["styles"]["base"], "steps": 24}}}
    project.write(declared).edit("styles.base.finish.0.threshold", 120).build()
    project.edit("styles.base.steps", 28).edit("styles.base.finish.0.threshold", 100)
    assert project.reasons() == {
        "sprites.potion:paint": "styles.base.steps 24 -> 28",
        "sprites.potion:finish": "styles.base.finish[0].threshold 120 -> 100",
        "sprites.sword:paint": "styles.base.steps 24 -> 28",
        "sprites.sword:finish": "styles.base.finish[0].threshold 120 -> 100",
        "sheets.items:sheet": "waits for sprites.potion:finish and 1 more",
    }


def test_reason_names_the_style_that_says_it(project: Project) -> None:
    declared = {**ISLAND, "styles": {**ISLAND["styles"], "dark": {"extends": "base"}}}
    project.write(declared).edit("sprites.sword.style", "dark").build()
    project.edit("styles.base.steps", 28).edit("styles.dark.steps", 30)
    reasons = project.reasons()
    assert reasons["sprites.potion:paint"] == "styles.base.steps 20 -> 28"
    assert reasons["sprites.sword:paint"] == "styles.dark.steps 20 -> 30"


def test_what_waits_without_a_change_of_its_own_says_for_what(built: Project) -> None:
    built.edit("sprites.potion.prompt", "blue potion")
    assert built.reasons()["sprites.potion:finish"] == "waits for sprites.potion:paint"
    assert built.reasons()["sheets.items:sheet"] == "waits for sprites.potion:finish"
    assert built.planned().decisions["sprites.potion:finish"].verdict == "wait"


def test_bumped_stage_is_a_reason(built: Project) -> None:
    built.bump("paint", 2)
    assert built.reasons()["sprites.sword:paint"] == "stage paint is version 2, was paint 1"


def test_changed_palette_file_is_a_reason(project: Project) -> None:
    project.write(ISLAND).edit("palettes.gray", {"file": "gray.hex"})
    project.file("gray.hex", "000000\nffffff\n")
    project.build()
    project.file("gray.hex", "000000\nfffff0\n")
    assert project.reasons()["sprites.sword:finish"] == "gray.hex changed"


def test_added_and_removed_sprites_are_reasons_of_their_sheet(built: Project) -> None:
    built.edit("sprites.sword", None)
    (reason,) = built.reasons().values()
    assert reason.startswith('sheets.items.sprites ["potion","sword"] -> ["potion"]')


def test_stage_of_ours_in_between_is_a_reason(built: Project) -> None:
    finish = ISLAND["styles"]["base"]["finish"]
    built.edit("styles.base.finish", [*finish, {"stage": "invert"}]).build()
    built.edit("styles.base.finish.2.amount", 200)
    assert built.reasons()["sprites.sword:invert"] == "styles.base.finish[2].amount 255 -> 200"
    built.edit("styles.base.finish", [*finish, {"stage": "invert"}]).stage("invert", INVERT.replace("= 1", "= 2"))
    assert built.reasons()["sprites.sword:invert"] == "stage invert is version 2, was invert 1"


def test_lock_without_bytes_says_so(built: Project, tmp_path: Path) -> None:
    clone = built.clone(tmp_path / "clone")
    reasons = clone.reasons()
    assert reasons["sprites.sword:finish"] == "its bytes are not here"
    assert clone.planned().decisions["sprites.sword:paint"].verdict == "run"


def test_declaration_that_differs_from_the_lock_says_so(built: Project, tmp_path: Path) -> None:
    clone = built.clone(tmp_path / "clone").edit("styles.base.steps", 28)
    assert clone.reasons()["sprites.sword:finish"] == "its declaration differs from the lock"


def test_lost_output_says_so(built: Project) -> None:
    shutil.rmtree(built.root / ".spritebuild/blobs")
    shutil.rmtree(built.root / "assets")
    reasons = built.reasons()
    assert reasons["sprites.sword:finish"] == "its output is no longer in the store"


# Where a result is looked up


def test_lock_is_believed_before_anything_is_run(built: Project, tmp_path: Path) -> None:
    clone = built.clone(tmp_path / "clone", assets=True)
    assert clone.reasons() == {}
    status = clone.build()
    assert (status.ran, status.installs) == ([], [])
    assert clone.lock_text() == built.lock_text()
    assert clone.blobs() == {}


def test_lock_goes_before_the_store(built: Project) -> None:
    entries = built.lock()
    potion, sword = entries["assets/potion.png"], entries["assets/sword.png"]
    assert built.planned().outputs["sprites.potion:finish"] == {"image": potion.digest}
    text = built.lock_text().replace(potion.digest, sword.digest)  # as if another machine had made it so
    built.file(lock.PATH, text)
    assert built.planned().outputs["sprites.potion:finish"] == {"image": sword.digest}
    built.build()
    assert built.assets()["assets/potion.png"] == built.assets()["assets/sword.png"]


def test_store_goes_before_a_run(built: Project) -> None:
    (built.root / lock.PATH).unlink()
    assert built.reasons() == {}
    status = built.build()
    assert status.ran == []
    assert len(built.lock()) == 3


def test_clone_without_assets_runs_and_finds_the_locked_bytes(built: Project, tmp_path: Path) -> None:
    clone = built.clone(tmp_path / "clone")
    clone.build()
    assert clone.assets() == built.assets()
    assert clone.lock_text() == built.lock_text()


def test_clone_runs_only_what_it_lacks(built: Project, tmp_path: Path) -> None:
    clone = built.clone(tmp_path / "clone", assets=True)
    (clone.root / "assets/sword.png").unlink()
    assert clone.build().ran == ["sprites.sword:paint", "sprites.sword:finish"]


def test_clone_reads_the_installed_frames_for_a_new_sheet(built: Project, tmp_path: Path) -> None:
    clone = built.clone(tmp_path / "clone", assets=True).edit("sheets.items.columns", 1)
    assert clone.build().ran == ["sheets.items:sheet"]


def test_intermediate_results_that_nothing_wants_are_not_missed(built: Project) -> None:
    wanted = {entry.digest for entry in built.lock().values()}
    for name, blob in built.blobs().items():
        if name not in wanted:
            blob.unlink()
    assert built.reasons() == {}
    assert built.build().ran == []


def test_plan_changes_nothing(built: Project) -> None:
    built.edit("styles.base.steps", 28)
    before = built.assets(), built.lock_text(), sorted(built.blobs()), built.idle()
    assert built.cli("plan").returncode == 0
    assert (built.assets(), built.lock_text(), sorted(built.blobs()), built.idle()) == before


def test_plan_imports_neither_torch_nor_numpy(project: Project) -> None:
    project.write(
        {
            "project": {"name": "island"},
            "models": {"mini": {"builtin": "sprite-mini"}},
            "palettes": {"gray": {"colors": ["#000", "#fff"]}},
            "styles": {"base": {"model": "mini", "finish": [{"op": "quantize", "palette": "gray"}]}},
            "sprites": {"potion": {"style": "base", "prompt": "potion"}},
            "sheets": {"items": {"sprites": ["*"]}},
        }
    )
    code = (
        "import sys\n"
        "from spritebuild.cli import main\n"
        "try: main(['plan'])\n"
        "except SystemExit as end: print(end.code)\n"
        "print({'torch', 'diffusers', 'transformers', 'numpy', 'PIL', 'rich', 'imagehash'} & set(sys.modules))\n"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=project.root, capture_output=True, encoding="utf-8")
    *lines, end, modules = result.stdout.splitlines()
    assert (end, modules, result.stderr) == ("0", "set()", "1 run, 2 wait\n")
    assert lines == [
        "run    sprites.potion:generate  new",
        "wait   sprites.potion:finish    new",
        "wait   sheets.items:sheet       new",
    ]


def test_newly_pinned_model_is_a_reason(pressed: Project) -> None:
    pressed.build()
    pressed.file("weights/unet/config.json", "[]")
    assert pressed.reasons() == {}  # the pin says which bytes, until it is renewed
    assert pressed.cli("lock", "--update", "models.mine").returncode == 0
    assert pressed.reasons() == {"sprites.potion:press": "models.mine changed"}
    assert pressed.build().ran == ["sprites.potion:press"]
