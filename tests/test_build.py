"""What a build runs, installs, locks and removes; each fact on a real project with cheap stages."""

from __future__ import annotations

import copy
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from projects import ISLAND, PAINT, Project

from spritebuild import digest, lock
from spritebuild.errors import LockError, PolicyError, RegressionError, SpritefileError, StageError, UsageError
from spritebuild.project import opened

SPRITES = ["sprites.potion", "sprites.sword"]
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # where fsync costs nothing
ALL = [*(f"{sprite}:{stage}" for sprite in SPRITES for stage in ("paint", "finish")), "sheets.items:sheet"]


@pytest.fixture
def built(island: Project) -> Project:
    """The island, built once."""
    island.build()
    return island


@pytest.fixture
def dreaming(project: Project) -> Project:
    """Two sprites of an accelerator's stage, finished and put on a sheet; nothing is built."""
    return project.write({**ISLAND, "styles": {"base": {"stage": "dream", "finish": [{"op": "alpha"}]}}})


def stage_of(recorded: list[str]) -> set[str]:
    return {action.partition(":")[2] for action in recorded}


# What runs


def test_first_build_runs_and_installs_everything(island: Project) -> None:
    status = island.build()
    assert sorted(status.ran) == sorted(ALL)
    assert sorted(island.assets()) == ["assets/items.json", "assets/items.png", "assets/potion.png", "assets/sword.png"]
    assert status.summary["ran"] == 5
    assert status.summary["installed"] == 4


def test_second_build_runs_nothing(built: Project) -> None:
    before = built.assets(), built.lock_text()
    status = built.build()
    assert (status.ran, status.installs, status.removals, status.said) == ([], [], [], [])
    assert (built.assets(), built.lock_text()) == before


def test_second_build_starts_no_worker(dreaming: Project) -> None:
    dreaming.build()
    shutil.rmtree(dreaming.root / ".spritebuild/logs")
    assert dreaming.build().ran == []
    assert not (dreaming.root / ".spritebuild/logs").exists()


@pytest.mark.parametrize(
    ("key", "value", "runs"),
    [
        ("palettes.gray.colors", ["#000", "#f0f"], {"finish", "sheet"}),
        ("styles.base.finish.0.threshold", 30, {"finish", "sheet"}),
        ("sheets.items.columns", 1, {"sheet"}),
    ],
)
def test_changed_finishing_keeps_the_generated_image(built: Project, key: str, value: Any, runs: set[str]) -> None:
    assert stage_of(built.edit(key, value).build().ran) == runs


def test_changed_prompt_runs_one_chain(built: Project) -> None:
    status = built.edit("sprites.potion.prompt", "blue potion").build()
    assert status.ran == ["sprites.potion:paint", "sprites.potion:finish", "sheets.items:sheet"]
    assert set(status.installs) == {"assets/potion.png", "assets/items.png"}  # the atlas has the same bytes


def test_comment_runs_nothing(built: Project) -> None:
    built.path.write_text("# a comment\n" + built.path.read_text("utf-8"), "utf-8")
    assert built.build().summary["ran"] == 0


def test_touched_files_run_nothing(built: Project) -> None:
    for path in built.root.rglob("*"):
        os.utime(path)
    assert built.build().summary["ran"] == 0


def test_reverted_edit_runs_nothing(built: Project) -> None:
    before = built.assets()
    built.edit("styles.base.steps", 28).build()
    assert built.assets() != before
    assert built.edit("styles.base.steps", 20).build().ran == []
    assert built.assets() == before


def test_identical_bytes_stop_the_build_early(built: Project) -> None:
    status = built.edit("styles.base.params", {"note": "of no effect"}).build()
    assert stage_of(status.ran) == {"paint"}
    assert sorted(status.reused_late) == ["sheets.items:sheet", "sprites.potion:finish", "sprites.sword:finish"]
    assert status.installs == []
    assert built.build().ran == []


def test_new_stage_version_runs_its_actions_again(built: Project) -> None:
    built.bump("paint", 2)
    assert stage_of(built.build().ran) == {"paint"}


def test_same_size_edit_of_a_stage_is_seen_at_once(built: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)  # a cached module is told by size and second
    for version in (2, 3, 4):
        built.bump("paint", version)
        assert stage_of(built.build().ran) == {"paint"}


def test_targets_are_built_by_glob(island: Project) -> None:
    status = island.build("sprites.po*")
    assert status.ran == ["sprites.potion:paint", "sprites.potion:finish"]
    assert sorted(island.assets()) == ["assets/potion.png"]
    assert island.build("sword").ran == ["sprites.sword:paint", "sprites.sword:finish"]
    assert island.build().ran == ["sheets.items:sheet"]


def test_unknown_target_is_refused_with_a_suggestion(island: Project) -> None:
    with pytest.raises(UsageError) as caught:
        island.build("sprites.poton")
    assert str(caught.value) == (
        "no target is called 'sprites.poton'\n\n"
        'hint: did you mean "sprites.potion"? targets: sprites.potion, sprites.sword, sheets.items'
    )


def test_rebuild_runs_the_target_and_what_it_needs_again(built: Project) -> None:
    before = built.assets(), built.lock_text()
    status = built.build("potion", rebuild=True)
    assert status.ran == ["sprites.potion:paint", "sprites.potion:finish"]
    assert set(status.reasons.values()) == {"asked for by --rebuild"}
    assert (built.assets(), built.lock_text()) == before
    assert built.build().ran == []


def test_jobs_change_no_byte(island: Project, tmp_path: Path) -> None:
    other = island.clone(tmp_path / "other")
    island.build(jobs=1)
    other.build(jobs=2)
    assert other.assets() == island.assets()
    assert other.lock_text() == island.lock_text()


def test_two_workers_change_no_byte(dreaming: Project, tmp_path: Path) -> None:
    dreaming.edit("sprites.potion.seeds", list(range(50)))
    other = dreaming.clone(tmp_path / "other")
    dreaming.build(jobs=1)
    other.build(jobs=2)
    assert len(list(other.root.glob(".spritebuild/logs/worker-*.log"))) == 2
    assert other.assets() == dreaming.assets()
    assert other.lock_text() == dreaming.lock_text()


# What fails


def test_failing_stage_leaves_nothing_stored(project: Project) -> None:
    project.write({**ISLAND, "sprites": {"potion": {"style": "base", "prompt": "fail"}}})
    with pytest.raises(StageError) as caught:
        project.build()
    assert caught.value.message == "the paint is dry"
    assert ("action", "sprites.potion:paint") in caught.value.facts
    assert (project.blobs(), project.assets(), project.lock()) == ({}, {}, {})
    assert project.reasons() == {
        "sprites.potion:paint": "new",
        "sprites.potion:finish": "new",
        "sheets.items:sheet": "new",
    }


def test_broken_picture_is_called_by_the_sprite_that_it_is_of(project: Project) -> None:
    project.write(ISLAND)
    source = (project.root / "stages/paint.py").read_text()
    project.stage(
        "paint",
        source.replace(
            "        png.write(",
            "        action.outputs.image.write_bytes(b'GIF89a')\n        return\n        png.write(",
        ),
    )
    with pytest.raises(StageError, match=r"^sprites\.(potion|sword): not a PNG but a GIF"):
        project.build()


def test_stage_that_crashes_keeps_its_traceback(dreaming: Project) -> None:
    dreaming.edit("sprites.sword.prompt", "fail")
    with pytest.raises(StageError) as caught:
        dreaming.build()
    assert caught.value.message == "ValueError: a nightmare"
    assert 'raise ValueError("a nightmare")' in "".join(caught.value.__notes__)


def test_keep_going_builds_the_rest_and_reports(island: Project) -> None:
    island.edit("sprites.sword.prompt", "fail")
    with pytest.raises(StageError) as caught:
        island.build(keep_going=True)
    assert caught.value.message == "1 action failed, 2 could not run"
    assert caught.value.facts == (("sprites.sword:paint", "the paint is dry"),)
    assert island.last.ran == ["sprites.potion:paint", "sprites.potion:finish"]
    assert list(island.assets()) == ["assets/potion.png"]
    assert list(island.lock()) == ["assets/potion.png"]
    island.edit("sprites.sword.prompt", "blunt sword")
    assert island.build().ran == ["sprites.sword:paint", "sprites.sword:finish", "sheets.items:sheet"]


def test_keep_going_gives_every_action_of_a_failed_group_its_chance(dreaming: Project) -> None:
    dreaming.edit("sprites.potion.seeds", [1, 2, 3]).edit("sprites.sword.prompt", "fail")
    with pytest.raises(StageError):
        dreaming.build(keep_going=True)
    assert list(dreaming.last.failures) == ["sprites.sword:dream"]
    assert sorted(dreaming.assets()) == ["assets/potion-1.png", "assets/potion-2.png", "assets/potion-3.png"]


def test_failure_keeps_what_was_finished(island: Project) -> None:
    island.edit("sprites.sword", None).edit("styles.base.finish.0", {"op": "pad", "size": [4, 4]})
    with pytest.raises(StageError, match="8x8"):
        island.build()
    island.edit("styles.base.finish.0.size", [16, 16])
    assert island.build().ran == ["sprites.potion:finish", "sheets.items:sheet"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("pass", "did not write its output, image.png"),
        (
            'action.outputs.image.write_bytes(b"x"); action.outputs.image.with_name("more").touch()',
            "wrote an undeclared file, more",
        ),
    ],
)
def test_outputs_are_exactly_those_declared(project: Project, line: str, message: str) -> None:
    project.write({"project": {"name": "x", "stages": "stages"}, "sprites": {"potion": {"stage": "odd"}}})
    head = PAINT.partition("        import hashlib")[0].partition("    def run")[0]
    project.stage("odd", f"{head}    def run(self, action, context):\n        {line}\n")
    with pytest.raises(StageError) as caught:
        project.build()
    assert caught.value.message == message
    assert project.blobs() == {}


def test_two_sprites_of_one_path_are_refused(island: Project) -> None:
    island.edit("sprites.sword.name", "Potion")
    with pytest.raises(SpritefileError, match=r"assets/Potion\.png is also made by sprites\.potion"):
        island.build()


# What is installed


def test_removed_sprite_loses_its_asset_and_its_lock_entry(built: Project) -> None:
    status = built.edit("sprites.sword", None).build()
    assert status.removals == ["assets/sword.png"]
    assert "assets/sword.png" not in built.assets()
    assert "assets/sword.png" not in built.lock()


def test_removed_category_takes_its_empty_folder_along(island: Project) -> None:
    island.edit("sprites.sword.category", "arms/long").build()
    assert "assets/arms/long/sword.png" in island.assets()
    island.edit("sprites.sword.category", None).build()
    assert not (island.root / "assets/arms").exists()


def test_removed_sprite_keeps_an_asset_edited_by_hand(built: Project) -> None:
    (built.root / "assets/sword.png").write_bytes(b"by hand")
    status = built.edit("sprites.sword", None).build()
    assert built.assets()["assets/sword.png"] == b"by hand"
    assert status.removals == []
    assert status.said == ["assets/sword.png is no longer declared, but was edited by hand: it is left in place"]


def test_files_of_others_are_left_alone(built: Project) -> None:
    built.file("assets/readme.txt", "mine")
    built.edit("sprites.sword", None).build()
    assert built.assets()["assets/readme.txt"] == b"mine"


def test_file_of_another_is_not_overwritten(island: Project) -> None:
    island.file("assets/sword.png", "mine")
    with pytest.raises(PolicyError) as caught:
        island.build()
    assert caught.value.where == "assets/sword.png"
    assert island.assets() == {"assets/sword.png": b"mine"}


def test_asset_edited_by_hand_is_kept_aside_and_replaced(built: Project) -> None:
    before = built.assets()
    (built.root / "assets/sword.png").write_bytes(b"by hand")
    status = built.build()
    kept = ".spritebuild/replaced/assets/sword.png"
    assert status.said == [f"assets/sword.png was edited by hand: the edited file is kept as {kept}"]
    assert (built.root / kept).read_bytes() == b"by hand"
    assert built.assets() == before
    assert status.ran == []


def test_second_hand_edit_does_not_overwrite_the_first_that_was_kept(built: Project) -> None:
    for content in (b"one", b"two", b"three"):
        (built.root / "assets/sword.png").write_bytes(content)
        built.build()
    kept = built.root / ".spritebuild/replaced/assets"
    assert {path.read_bytes() for path in kept.iterdir()} == {b"one", b"two", b"three"}


def test_deleted_asset_is_installed_again_without_a_run(built: Project) -> None:
    before = built.assets()
    (built.root / "assets/sword.png").unlink()
    status = built.build()
    assert (status.ran, status.installs) == ([], ["assets/sword.png"])
    assert built.assets() == before


def test_assets_folder_that_leaves_the_project_is_refused(island: Project, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (island.root / "assets").symlink_to(tmp_path / "elsewhere")
    with pytest.raises((PolicyError, SpritefileError)):
        island.build()
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_clean_removes_the_assets_and_the_store_makes_them_again(built: Project) -> None:
    before = built.assets()
    built.file("assets/readme.txt", "mine")
    result = built.cli("clean")
    assert (result.returncode, result.stderr) == (0, "removed 4 assets\n")
    assert list(built.assets()) == ["assets/readme.txt"]
    assert built.build().ran == []
    (built.root / "assets/readme.txt").unlink()
    assert built.assets() == before


def test_clean_with_the_store_makes_the_next_build_run_everything(built: Project) -> None:
    built.cli("clean", "--store")
    assert (built.assets(), built.blobs()) == ({}, {})
    assert sorted(built.build().ran) == sorted(ALL)


# The lock


def test_lock_is_sorted_one_line_an_asset(built: Project) -> None:
    rows = [json.loads(line) for line in built.lock_text().splitlines()]
    assert [row["path"] for row in rows] == ["assets/items*", "assets/potion.png", "assets/sword.png"]
    assert rows[0]["files"].keys() == {"items.json", "items.png"}


def test_approval_survives_new_bytes(built: Project) -> None:
    entries = built.lock()
    approved = entries["assets/potion.png"].digest
    rows = [{**json.loads(line), "approved": approved} for line in built.lock_text().splitlines()]
    built.file(lock.PATH, "".join(json.dumps(row) + "\n" for row in rows))
    built.edit("sprites.potion.prompt", "blue potion").build()
    entry = built.lock()["assets/potion.png"]
    assert entry.approved == approved
    assert entry.digest != approved


def test_locked_build_of_a_true_lock_changes_nothing(built: Project) -> None:
    before = built.lock_text()
    assert built.build(locked=True).ran == []
    assert built.lock_text() == before


def test_locked_build_of_a_stale_lock_is_refused(built: Project) -> None:
    built.edit("sprites.potion.prompt", "blue potion").edit("sprites.sword", None)
    built.edit("sprites.bow", {"style": "base", "prompt": "bow"})
    before = built.assets(), built.lock_text()
    with pytest.raises(LockError) as caught:
        built.build(locked=True)
    assert caught.value.exit_code == 3
    assert [line for _, line in caught.value.facts] == [
        "assets/potion.png: its declaration changed",
        "assets/bow.png: not in the lock",
        "assets/items*: its declaration changed",
        "assets/sword.png: no longer declared",
    ]
    assert (built.assets(), built.lock_text()) == before


def test_same_platform_and_other_bytes_are_a_regression(dreaming: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    dreaming.build()
    before = dreaming.assets(), dreaming.lock_text()
    monkeypatch.setenv("DREAM_NOISE", "255")
    with pytest.raises(RegressionError) as caught:
        dreaming.build(rebuild=True)
    assert caught.value.exit_code == 1
    assert "assets/potion.png" in {path for _, path in caught.value.facts}
    assert (dreaming.assets(), dreaming.lock_text()) == before


def test_other_platform_and_same_looks_leave_the_lock(
    dreaming: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dreaming.build()
    before = dreaming.lock_text()
    clone = dreaming.clone(tmp_path / "clone")
    monkeypatch.setenv("DREAM_PLATFORM", "two")
    monkeypatch.setenv("DREAM_NOISE", "1")
    status = clone.build()
    assert "assets/potion.png: same in looks, other platform" in status.said
    assert clone.lock_text() == before
    assert clone.assets()["assets/potion.png"] != dreaming.assets()["assets/potion.png"]
    again = clone.build()
    assert (again.ran, again.installs, again.said) == ([], [], [])
    assert clone.idle()


def test_other_platform_and_other_looks_are_a_regression(
    dreaming: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dreaming.build()
    clone = dreaming.clone(tmp_path / "clone")
    monkeypatch.setenv("DREAM_PLATFORM", "two")
    monkeypatch.setenv("DREAM_SHAPE", "another")
    with pytest.raises(RegressionError):
        clone.build()
    assert clone.lock_text() == dreaming.lock_text()
    assert "assets/potion.png" not in clone.assets()


def test_platforms_of_the_locked_bytes_are_recorded(dreaming: Project) -> None:
    dreaming.build()
    (platform,) = {entry.platform for entry in dreaming.lock().values()}
    assert lock.read_platforms(dreaming.root) == {platform: {"device": "cpu", "driver": "one"}}


def test_assets_of_pure_stages_name_no_platform(built: Project) -> None:
    assert {entry.platform for entry in built.lock().values()} == {""}
    assert not (built.root / lock.PLATFORMS).exists()


# The store


def corrupt(blob: Path) -> None:
    blob.chmod(0o644)
    blob.write_bytes(blob.read_bytes() + b"!")


def test_damaged_blobs_are_made_again(built: Project) -> None:
    before = built.assets()
    shutil.rmtree(built.root / "assets")
    for blob in built.blobs().values():
        corrupt(blob)
    status = built.build()
    assert built.assets() == before
    assert any(line.startswith("a damaged blob was set aside") for line in status.said)
    shutil.rmtree(built.root / "assets")
    assert built.build().ran == []


def test_damaged_input_of_an_action_is_made_again(built: Project, tmp_path: Path) -> None:
    for blob in built.blobs().values():
        corrupt(blob)
    built.edit("styles.base.finish.0.threshold", 30).build()
    clean = built.clone(tmp_path / "clean", locked=False)
    clean.build()
    assert built.assets() == clean.assets()


def test_deleted_store_is_no_loss_while_the_assets_are_there(built: Project) -> None:
    shutil.rmtree(built.root / ".spritebuild")
    assert built.build().ran == []


# Work that is resumed, and folders

FORGE = '''
"""A folder of two files, made in two goes: the first one is interrupted."""

import shutil
from pathlib import Path

from spritebuild.stage import Folder, Outputs, Params, Stage


class ForgeOutputs(Outputs):
    image: Path = Path("image.png")
    model: Folder = Path("model")


class Forge(Stage):
    version = 1
    resumable = True
    Outputs = ForgeOutputs

    def run(self, action, context):
        half = action.kept / "half"
        if not half.exists():
            action.kept.mkdir(parents=True)
            half.write_text("hot")
            raise ValueError("the fire is out")
        (action.outputs.model / "deep").mkdir(parents=True)
        (action.outputs.model / "config.json").write_text("{}")
        shutil.copy(half, action.outputs.model / "deep" / "half")
        action.outputs.image.write_bytes(b"iron")
'''


@pytest.fixture
def forge(project: Project) -> Project:
    project.stage("forge", FORGE)
    sprites = {"sword": {"stage": "forge"}}
    return project.write({"project": {"name": "forge", "stages": "stages"}, "sprites": sprites})


def test_resumable_work_survives_a_failure_and_is_gone_when_it_is_stored(forge: Project) -> None:
    with pytest.raises(StageError, match="the fire is out"):
        forge.build()
    assert [path.name for path in (forge.root / ".spritebuild").glob("kept/*/*")] == ["half"]
    forge.build()
    assert not list((forge.root / ".spritebuild").glob("kept/*"))
    assert forge.idle()


def test_folder_is_kept_file_by_file_and_needed_whole(forge: Project) -> None:
    with pytest.raises(StageError):
        forge.build()
    forge.build()
    with opened(forge.path) as project:
        (outputs,) = (outputs for _, outputs in project.store.all_outputs())
        assert outputs["model"].endswith("/")
        folder = Path(project.store.checked(outputs["model"]))
        assert sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*")) == [
            "config.json",
            "deep",
            "deep/half",
        ]
    forge.cli("gc", "--keep-days", "0")
    assert forge.build().ran == []
    with opened(forge.path) as project:
        assert project.store.has(outputs["model"])
    forge.edit("sprites.sword", None).edit("sprites.axe", {"stage": "paint", "prompt": "an axe"})
    forge.stage("paint", PAINT)
    forge.build()
    forge.cli("gc", "--keep-days", "0")
    assert len(forge.blobs()) == 1
    assert not list((forge.root / ".spritebuild").glob("folders/*"))


def test_gc_keeps_what_is_needed_and_removes_the_rest(built: Project) -> None:
    first = set(built.blobs())
    built.edit("styles.base.steps", 28).build()
    same = {built.lock()["assets/items*"].files["items.json"], built.planned().outputs["sheets.items:sheet"]["layout"]}
    current = set(built.blobs()) - first | same  # which are the same before and after
    dry = built.cli("gc", "--keep-days", "0", "--dry-run")
    assert dry.stderr.startswith(f"would remove {len(first) - 2} blobs")
    assert set(built.blobs()) == first | current
    result = built.cli("gc", "--keep-days", "0")
    assert result.stderr.startswith(f"removed {len(first) - 2} blobs")
    assert set(built.blobs()) == current
    assert built.build().ran == []
    shutil.rmtree(built.root / "assets")
    assert built.build().ran == []
    assert "sprites.potion:paint" in built.edit("styles.base.steps", 20).build().ran


def test_gc_keeps_what_is_young(built: Project) -> None:
    before = set(built.blobs())
    built.edit("styles.base.steps", 28).build()
    assert built.cli("gc").stderr.startswith("removed 0 blobs")
    assert before <= set(built.blobs())


def test_gc_keeps_approved_bytes(built: Project) -> None:
    approved = built.lock()["assets/potion.png"].digest
    text = built.lock_text().replace('{"digest"', f'{{"approved":"{approved}","digest"', 3)
    built.file(lock.PATH, text)
    built.edit("styles.base.steps", 28).build()
    built.cli("gc", "--keep-days", "0")
    assert approved in built.blobs()


# Any edits


class Edits:
    """Applies edits to a project, remembering what it needs to undo them. Each name below `edit_` is an edit."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.history: list[dict[str, Any]] = []

    def apply(self, name: str, number: int) -> None:
        if name not in ("revert", "touch", "delete", "damage", "hand"):
            self.history.append(copy.deepcopy(self.project.declared))
        getattr(self, f"edit_{name}")(number)

    @property
    def sprites(self) -> list[str]:
        return list(self.project.declared["sprites"])

    def chosen(self, number: int) -> str:
        return self.sprites[number % len(self.sprites)]

    def edit_add(self, number: int) -> None:
        self.project.edit(f"sprites.s{number}", {"style": "base", "prompt": f"sprite {number}"})

    def edit_remove(self, number: int) -> None:
        if len(self.sprites) > 1:
            self.project.edit(f"sprites.{self.chosen(number)}", None)

    def edit_rename(self, number: int) -> None:
        name = self.chosen(number)
        sprite = self.project.declared["sprites"][name]
        self.project.edit(f"sprites.{name}", None).edit(f"sprites.r{number}", sprite)

    def edit_category(self, number: int) -> None:
        self.project.edit(f"sprites.{self.chosen(number)}.category", ["a", "a/b", "c"][number % 3])

    def edit_prompt(self, number: int) -> None:
        self.project.edit(f"sprites.{self.chosen(number)}.prompt", f"prompt {number}")

    def edit_note(self, number: int) -> None:
        self.project.edit("styles.base.params", {"note": f"of no effect {number}"})

    def edit_steps(self, number: int) -> None:
        self.project.edit("styles.base.steps", 20 + number)

    def edit_palette(self, number: int) -> None:
        self.project.edit("palettes.gray.colors", ["#000000", f"#{number:02x}ff00", "#ffffff"])

    def edit_op(self, number: int) -> None:
        self.project.edit("styles.base.finish.0.threshold", 100 + number)

    def edit_columns(self, number: int) -> None:
        self.project.edit("sheets.items.columns", 1 + number)

    def edit_stage(self, number: int) -> None:
        self.project.bump("paint", 1 + number)

    def edit_revert(self, number: int) -> None:
        if self.history:
            self.project.write(self.history.pop())

    def edit_touch(self, number: int) -> None:
        os.utime(self.project.path)
        for asset in self.assets():
            os.utime(asset)

    def edit_delete(self, number: int) -> None:
        for asset in self.assets()[number % 3 :: 2]:
            asset.unlink()

    def edit_hand(self, number: int) -> None:
        for asset in self.assets()[number % 3 :: 4]:
            asset.write_bytes(asset.read_bytes()[::-1])
        self.project.build()  # at once: an edited asset of a sprite that is gone by then would rightly stay

    def edit_damage(self, number: int) -> None:
        blobs = sorted(self.project.blobs().values())
        for blob in blobs[number % 3 :: 5]:
            corrupt(blob)

    def assets(self) -> list[Path]:
        return sorted(path for path in (self.project.root / "assets").rglob("*") if path.is_file())


NAMES = sorted(name.removeprefix("edit_") for name in vars(Edits) if name.startswith("edit_"))
edits = st.lists(st.tuples(st.sampled_from(NAMES), st.integers(0, 7), st.booleans()), min_size=1, max_size=6)


def check_idle(project: Project) -> None:
    """The fast path never says that there is nothing to do where the slow one finds something."""
    if project.idle():
        assert project.reasons() == {}
        locked = {path: name for entry in project.lock().values() for path, name in entry.installed().items()}
        assert {path: digest.of_bytes(data) for path, data in project.assets().items()} == locked


@settings(max_examples=20)
@given(edits)
@example([("columns", 5, False), ("damage", 2, False)])  # of a folder's listing
def test_incremental_build_equals_a_clean_one_after_any_edits(changes: list[tuple[str, int, bool]]) -> None:
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        project = Project(Path(folder, "incremental")).write(ISLAND)
        project.build()
        tried = Edits(project)
        for name, number, build in changes:
            tried.apply(name, number)
            check_idle(project)
            if build:
                project.build()
        project.build()
        check_idle(project)
        assert project.build().ran == []
        clean = project.clone(Path(folder, "clean"), locked=False)
        clean.build()
        assert project.assets() == clean.assets()
        assert project.lock_text() == clean.lock_text()


# Threads

MEET = '''
"""Nothing happens, unless it is to meet another action that is at work at the same time."""

import threading
from pathlib import Path

from spritebuild.stage import Outputs, Params, Stage

together = threading.Barrier(2)


class MeetParams(Params):
    prompt: str = ""
    seed: int = 0


class MeetOutputs(Outputs):
    image: Path = Path("image.png")


class Meet(Stage):
    version = 1
    Params = MeetParams
    Outputs = MeetOutputs

    def run(self, action, context):
        if action.params.prompt == "meet":
            together.wait(timeout=30)
        action.outputs.image.write_text(str(action.params.seed))
'''


def test_actions_overlap_among_short_ones_that_take_turns(project: Project) -> None:
    project.stage("meet", MEET)
    prompts = ["", "", "", "meet", "", "meet", "", ""] * 20
    sprites = {f"s{n:03}": {"stage": "meet", "prompt": prompt, "seed": n} for n, prompt in enumerate(prompts)}
    project.write({**ISLAND, "sprites": sprites, "sheets": {}})
    assert len(project.build(jobs=2).ran) == len(prompts)
    assert {path: (project.root / path).read_text() for path in project.lock()} == {
        f"assets/s{n:03}.png": str(n) for n in range(len(prompts))
    }
