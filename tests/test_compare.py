"""Assets beside their baselines: every kind of change is found where it is, and passes or fails as was declared."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from projects import Project

from spritebuild import lock
from spritebuild.approve import Choice, approve, choices_text, read_choices
from spritebuild.check.cases import Case, Checked
from spritebuild.compare import compare
from spritebuild.errors import RegressionError, UsageError
from spritebuild.project import opened
from spritebuild.status import Status

# Draws the text of a file, so that tests choose every pixel: a palette index a character, "." for nothing.
DRAW = '''
"""A picture drawn in a prompt: a row a word, a color a letter."""

from pathlib import Path

from spritebuild.stage import Outputs, Params, Stage

COLORS = {".": (0, 0, 0, 0), "r": (200, 0, 0, 255), "g": (0, 160, 0, 255), "b": (0, 0, 220, 255), "s": (200, 1, 0, 255)}


class DrawParams(Params):
    prompt: str = ""


class DrawOutputs(Outputs):
    image: Path = Path("image.png")


class Draw(Stage):
    version = 1
    Params = DrawParams
    Outputs = DrawOutputs

    def run(self, action, context):
        import numpy as np

        from spritebuild_stages.images import png

        rows = [[COLORS[letter] for letter in word] for word in action.params.prompt.split()]
        png.write(action.outputs.image, np.array(rows, np.uint8))
'''

POTION = ["........", "..rr....", "..rr....", ".rrgg...", ".rggg...", ".rgggb..", "..gbb...", "........"]
SWORD = ["b.......", "bb......", "bb......", "rrrr....", "bb......", "bb......", "gg......", "g......."]


@pytest.fixture
def drawn(project: Project) -> Project:
    """A potion and a sword, built and approved."""
    project.stage("draw", DRAW)
    project.write(
        {
            "project": {"name": "drawn", "stages": "stages"},
            "styles": {"base": {"stage": "draw"}},
            "sprites": {
                "potion": {"style": "base", "prompt": " ".join(POTION)},
                "sword": {"style": "base", "prompt": " ".join(SWORD)},
            },
        }
    )
    project.build()
    approve_all(project)
    return project


def checked(project: Project, *patterns: str) -> Checked:
    with opened(project.path, checks=True) as found:
        return compare(found, patterns).checked


def case(project: Project, path: str = "assets/potion.png") -> Case:
    return next(case for case in checked(project).cases if case.path == path)


def approve_all(project: Project) -> None:
    choices = [Choice(entry.path, entry.digest, "approve") for entry in project.lock().values()]
    approve(project.path, choices, Status())


def draw(project: Project, rows: list[str], name: str = "potion") -> Project:
    project.edit(f"sprites.{name}.prompt", " ".join(rows)).build()
    return project


def test_what_was_approved_is_the_same(drawn: Project) -> None:
    found = checked(drawn)
    assert found.counts() == {"same": 2}
    assert [(each.kind, each.verdict, each.why) for each in found.cases] == [("same", "pass", ())] * 2
    assert not found.failed


def test_what_nobody_approved_is_new_and_does_not_fail_unless_declared(island: Project) -> None:
    island.build()
    assert {(each.kind, each.verdict) for each in checked(island).cases} == {("new", "notice")}
    island.write({**island.declared, "check": {"new": "fail"}})
    assert {(each.kind, each.verdict) for each in checked(island).cases} == {("new", "fail")}


CHANGES: dict[str, tuple[Callable[[list[str]], list[str]], str]] = {
    "flip": (lambda rows: [row[::-1] for row in rows], "flip"),
    "shift": (lambda rows: ["." + row[:-1] for row in rows], "shift"),
    "recolor": (lambda rows: [row.replace("r", "b").replace("g", "r") for row in rows], "recolor"),
    "edit": (lambda rows: [*rows[:3], ".brgg...", *rows[4:]], "edit"),
    "imperceptible": (lambda rows: [row.replace("r", "s") for row in rows], "imperceptible"),
    "different": (lambda rows: SWORD, "different"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_kind_of_change_is_told(drawn: Project, change: str) -> None:
    drawing, kind = CHANGES[change]
    draw(drawn, drawing(POTION))
    found = case(drawn)
    assert found.kind == kind
    assert found.verdict == ("pass" if kind == "imperceptible" else "fail")
    assert found.words
    assert found.baseline != found.digest
    assert case(drawn, "assets/sword.png").kind == "same"


def test_why_is_said_in_the_words_of_the_spritefile_and_gathers_until_somebody_approves(drawn: Project) -> None:
    draw(drawn, CHANGES["edit"][0](POTION))
    (why,) = case(drawn).why
    assert why.startswith("sprites.potion.prompt ")
    draw(drawn, CHANGES["recolor"][0](POTION))
    assert len(case(drawn).why) == 2
    approve_all(drawn)
    assert case(drawn).why == ()


def test_bytes_that_come_back_need_no_approval(drawn: Project) -> None:
    before = drawn.lock_text()
    draw(drawn, SWORD)
    assert case(drawn).kind == "different"
    draw(drawn, POTION)
    assert case(drawn).kind == "same"
    assert drawn.lock_text() == before


def test_former_baseline_stays_visible_after_an_approval(drawn: Project) -> None:
    old = drawn.lock()["assets/potion.png"].digest
    draw(drawn, CHANGES["edit"][0](POTION))
    approve_all(drawn)
    found = case(drawn)
    assert (found.kind, found.former) == ("same", old)
    with opened(drawn.path) as project:
        pictures = compare(project).pictures
        assert pictures.former("assets/potion.png") is not None
        assert pictures.former("assets/sword.png") is None


def test_small_edit_passes_where_that_is_declared_but_not_all_in_one_place(drawn: Project) -> None:
    draw(drawn, [*POTION[:3], ".brgg...", *POTION[4:]])
    drawn.edit("sprites.potion.check", {"pixels": 2, "worst": 0.05})
    assert case(drawn).verdict == "pass"
    drawn.edit("sprites.potion.check", {"pixels": 2, "worst": 0.01})
    assert case(drawn).verdict == "fail"


def test_sprite_overrules_its_style_and_a_style_the_project(drawn: Project) -> None:
    draw(drawn, CHANGES["flip"][0](POTION))
    drawn.write({**drawn.declared, "check": {"allow": ["flip"]}})
    assert case(drawn).verdict == "pass"
    drawn.edit("styles.base.check", {"allow": []})
    assert case(drawn).verdict == "fail"
    drawn.edit("sprites.potion.check", {"allow": ["flip"]})
    assert case(drawn).verdict == "pass"


def test_equal_changes_of_different_sprites_are_one_group(drawn: Project) -> None:
    for name, rows in (("potion", POTION), ("sword", SWORD)):
        draw(drawn, [row.replace("r", "s").replace("b", "g") for row in rows], name)
    draw(drawn, ["." + row[:-1] for row in POTION])
    draw(drawn, ["." + row[:-1] for row in SWORD], "sword")
    groups = {each.group for each in checked(drawn).cases}
    assert len(groups) == 1
    assert groups != {""}


def test_what_is_gone_stays_in_the_lock_until_that_is_approved(drawn: Project) -> None:
    drawn.edit("sprites.sword", None).build()
    assert not (drawn.root / "assets/sword.png").exists()
    found = case(drawn, "assets/sword.png")
    assert (found.kind, found.verdict, found.digest) == ("deleted", "notice", "")
    drawn.build()
    approve_all(drawn)
    assert "assets/sword.png" not in drawn.lock()


def test_what_was_never_approved_goes_without_a_trace(island: Project) -> None:
    island.build()
    island.edit("sprites.sword", None).build()
    assert "assets/sword.png" not in island.lock()


def test_renamed_sprite_is_told_by_its_pixels(drawn: Project) -> None:
    drawn.declared["sprites"]["blade"] = drawn.declared["sprites"].pop("sword")
    drawn.write(drawn.declared).build()
    assert case(drawn, "assets/blade.png").words == "shows what assets/sword.png showed, which is gone"


def test_asset_that_was_edited_by_hand_or_is_gone_fails(drawn: Project) -> None:
    drawn.file("assets/potion.png", b"edited")
    (drawn.root / "assets/sword.png").unlink()
    found = {each.path: each for each in checked(drawn).cases}
    assert {(each.kind, each.verdict) for each in found.values()} == {("missing", "fail")}
    assert found["assets/potion.png"].words == "is not what the lock says: spritebuild build"
    assert found["assets/sword.png"].words == "is not installed: spritebuild build"


def test_bytes_of_another_platform_are_compared_with_the_baseline_and_not_with_what_they_stand_in_for(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sprites = {name: {"style": "base", "prompt": name} for name in ("moon", "star", "sun")}
    table = {"project": {"name": "sky", "stages": "stages"}, "styles": {"base": {"stage": "dream"}}, "sprites": sprites}
    project.write(table).build()
    project.cli("approve", "moon", "star")
    project.edit("sprites.moon.prompt", "half a moon").build()
    elsewhere = project.clone(tmp_path / "elsewhere")
    monkeypatch.setenv("DREAM_PLATFORM", "two")
    monkeypatch.setenv("DREAM_NOISE", "1")
    elsewhere.build()
    kinds = {case.path: (case.kind, case.words) for case in checked(elsewhere).cases}
    assert kinds["assets/moon.png"][0] == "other"  # its baseline is nowhere
    assert kinds["assets/star.png"] == ("same", "same in looks, other platform")
    assert kinds["assets/sun.png"][0] == "new"
    baseline = project.lock()["assets/moon.png"].approved
    elsewhere.file(f".spritebuild/blobs/{baseline[:2]}/{baseline[2:]}", project.blobs()[baseline].read_bytes())
    assert checked(elsewhere).cases[0].kind == "different"


def test_damaged_baseline_is_one_that_is_not_here(drawn: Project) -> None:
    blob = drawn.blobs()[drawn.lock()["assets/potion.png"].approved]
    draw(drawn, CHANGES["edit"][0](POTION))
    blob.chmod(0o644)
    blob.write_bytes(b"damage")
    assert case(drawn).kind == "other"


def test_without_the_baselines_bytes_its_fingerprints_speak(drawn: Project, tmp_path: Path) -> None:
    draw(drawn, SWORD)
    clone = drawn.clone(tmp_path / "clone", assets=True)
    found = case(clone)
    assert (found.kind, found.verdict) == ("other", "fail")
    assert "the baseline's pixels are not here" in found.words


def test_same_pixels_in_other_bytes_are_the_same(drawn: Project) -> None:
    entries = drawn.lock()
    entry = entries["assets/potion.png"]
    picture = drawn.root / "assets/potion.png"
    from PIL import Image

    Image.open(picture).convert("RGBA").save(drawn.root / "again.png", compress_level=1)
    with opened(drawn.path) as project:
        other = project.store.put((drawn.root / "again.png").read_bytes())
    picture.write_bytes((drawn.root / "again.png").read_bytes())
    before = {"digest": entry.digest, "looks": entry.looks}
    entries[entry.path] = lock.Entry(entry.path, entry.recipe, other, entry.digest, "", entry.looks, {}, before)
    lock.write(drawn.root, entries.values())
    assert (case(drawn).kind, case(drawn).words) == ("same", "the same pixels, encoded otherwise")


def test_sheet_is_what_the_worst_of_its_pages_is(drawn: Project) -> None:
    drawn.write({**drawn.declared, "sheets": {"all": {"sprites": ["*"]}}}).build()
    approve_all(drawn)
    draw(drawn, CHANGES["edit"][0](POTION))
    found = case(drawn, "assets/all*")
    assert found.kind == "edit"
    assert [part.file for part in found.parts] == ["all.png"]
    assert found.words.startswith("all.png: ")


def test_patterns_are_paths_targets_or_names(drawn: Project) -> None:
    for pattern in ("potion", "sprites.potion", "assets/potion.png", "pot*", "assets/p*"):
        assert [each.path for each in checked(drawn, pattern).cases] == ["assets/potion.png"]
    with pytest.raises(UsageError, match="no asset is called 'poton'"):
        checked(drawn, "poton")


def test_stale_declarations_are_a_note(drawn: Project) -> None:
    drawn.edit("sprites.potion.prompt", " ".join(SWORD))
    assert checked(drawn).notes == ["1 asset is not built as declared (assets/potion.png): spritebuild build"]
    drawn.edit("sprites.potion", None)
    assert checked(drawn).notes == ["1 asset is not built as declared (assets/potion.png): spritebuild build"]


def test_broken_limit_of_a_style_fails_its_sprite(drawn: Project) -> None:
    drawn.edit("styles.base.art", {"max_colors": 2, "size": [8, 8], "palette": ["#c80000", "#00a000"]})
    found = case(drawn)
    assert [violation.words for violation in found.violations] == [
        "potion has 3 colors, more than 2",
        "potion has a color that its palette lacks: #0000dc",
    ]
    assert (found.kind, found.verdict) == ("same", "fail")
    drawn.edit("styles.base.art", {"size": [16, 8]})
    assert [violation.words for violation in case(drawn).violations] == ["potion is 8x8, not 16x8"]


def test_limit_that_needs_the_pixels_is_measured_first(drawn: Project) -> None:
    drawn.edit("styles.base.art", {"outline": 1.0})
    assert not case(drawn).violations
    done = drawn.cli("check")
    assert done.returncode == 1
    assert [violation.limit for violation in case(drawn).violations] == ["outline"]


def test_limit_that_cannot_be_measured_is_told_every_time_and_in_reports(drawn: Project) -> None:
    drawn.edit("styles.base.art", {"orphans": 0.0}).build()
    (drawn.root / "assets/potion.png").unlink()
    for blob in drawn.blobs().values():
        blob.unlink()
    for _ in range(2):
        assert "limits of the art are not checked" in " ".join(drawn.cli("check").stdout.split())
    assert "limits of the art are not checked" in json.loads(drawn.cli("check", "--json").stdout)["notes"][0]


def test_palette_that_a_sprite_is_quantized_to_is_a_limit(drawn: Project) -> None:
    drawn.write({**drawn.declared, "palettes": {"two": {"colors": ["#c80000", "#00a000"]}}})
    drawn.edit("styles.base.finish", [{"op": "quantize", "palette": "two"}]).build()
    assert not any(each.violations for each in checked(drawn).cases)


def test_palette_that_is_chosen_from_sprites_is_a_limit_and_where_it_is_not_known_that_is_said(
    drawn: Project, tmp_path: Path
) -> None:
    drawn.edit("palettes.two", {"sprites": ["sword"], "most": 2}).build()
    drawn.edit("styles.base.finish", [{"op": "quantize", "palette": "two"}])
    drawn.edit("styles.free", {"stage": "draw", "art": {"palette": "two"}})
    drawn.edit("sprites.potion.style", "free").build()
    approve_all(drawn)
    assert [each.limit for each in case(drawn).violations] == ["palette"]
    clone = drawn.clone(tmp_path / "clone", assets=True)
    assert not case(clone).violations
    assert "palettes.two" in checked(clone).notes[0]
    drawn.edit("palettes.two.save", "palettes/two.gpl").build()
    clone = drawn.clone(tmp_path / "saved", assets=True)
    assert [each.limit for each in case(clone).violations] == ["palette"]
    assert not checked(clone).notes


def test_duplicates_fail_where_they_are_declared_to(drawn: Project) -> None:
    draw(drawn, POTION, "sword")
    approve_all(drawn)
    assert not checked(drawn).failed
    drawn.write({**drawn.declared, "check": {"duplicates": "fail"}})
    (found,) = checked(drawn).failed
    assert found.path == "assets/sword.png"
    assert found.violations[0].words == "shows the same pixels as assets/potion.png"


def test_animation_that_blinks_more_than_declared_fails_its_sheet(drawn: Project) -> None:
    sprites = {f"walk-{n}": {"style": "base", "prompt": " ".join(SWORD if n == 1 else POTION)} for n in range(3)}
    sheet = {"sprites": ["walk-*"], "tags": {"walk": {"frames": "walk-*"}}, "check": {"flicker": 0.1}}
    drawn.write({**drawn.declared, "sprites": sprites, "sheets": {"hero": sheet}}).build()
    found = case(drawn, "assets/hero*")
    assert [violation.limit for violation in found.violations] == ["flicker"]
    assert "blink at walk-1" in found.violations[0].words


def test_frame_that_two_patterns_name_is_shown_once(drawn: Project) -> None:
    sprites = {f"walk-{n}": {"style": "base", "prompt": " ".join(SWORD if n == 2 else POTION)} for n in range(3)}
    tags = {"walk": {"frames": ["walk-*", "walk-2"]}}
    sheet = {"sprites": ["walk-*"], "tags": tags, "check": {"flicker": 0.1}}
    drawn.write({**drawn.declared, "sprites": sprites, "sheets": {"hero": sheet}}).build()
    assert "blink at walk-2" in case(drawn, "assets/hero*").violations[0].words


# Approving


def test_other_bytes_than_were_looked_at_are_not_approved_and_nothing_else_is(drawn: Project) -> None:
    draw(drawn, CHANGES["edit"][0](POTION))
    draw(drawn, POTION, "sword")
    before = drawn.lock_text()
    looked_at = [Choice(each.path, each.digest, "approve") for each in checked(drawn).cases]
    draw(drawn, CHANGES["flip"][0](POTION))
    now = drawn.lock_text()
    assert now != before
    with pytest.raises(RegressionError, match="1 of 2 assets are not what was looked at"):
        approve(drawn.path, looked_at, Status())
    assert drawn.lock_text() == now


def test_decisions_read_back_and_rejected_ones_change_nothing(drawn: Project, tmp_path: Path) -> None:
    draw(drawn, CHANGES["edit"][0](POTION))
    digest = drawn.lock()["assets/potion.png"].digest
    choices = [Choice("assets/potion.png", digest, "reject", "too dark\n<script>")]
    (tmp_path / "decisions.json").write_text(choices_text(choices), "utf-8")
    assert read_choices(tmp_path / "decisions.json") == choices
    before = drawn.lock_text()
    assert approve(drawn.path, choices, Status()).rejected == tuple(choices)
    assert drawn.lock_text() == before


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "[" * 100_000,
        '{"format": 2, "decisions": []}',
        '{"format": 1, "decisions": [{"path": 1}]}',
        '{"format": 1, "decisions": [{"path": "a", "decision": "approve"}]}',
    ],
)
def test_file_that_holds_no_decisions_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "decisions.json").write_text(text)
    with pytest.raises(UsageError):
        read_choices(tmp_path / "decisions.json")


def test_asset_that_is_approved_and_rejected_is_neither(drawn: Project, tmp_path: Path) -> None:
    draw(drawn, CHANGES["edit"][0](POTION))
    digest = drawn.lock()["assets/potion.png"].digest
    choices = [Choice("assets/potion.png", digest, "approve"), Choice("assets/potion.png", digest, "reject", "no")]
    (tmp_path / "decisions.json").write_text(choices_text(choices))
    with pytest.raises(UsageError, match=r"assets/potion\.png was decided otherwise before"):
        read_choices(tmp_path / "decisions.json")
    (tmp_path / "decisions.json").write_text(choices_text([choices[1], replace(choices[1], comment="never")]))
    assert len(read_choices(tmp_path / "decisions.json")) == 2


# The commands


def test_names_in_decisions_begin_no_command_of_a_build_server(drawn: Project) -> None:
    name = "a\n::error::hidden\x1b[31m\u202e"
    for choice in (Choice(name, "", "reject", name), Choice(name, "0" * 64, "approve")):
        drawn.file("decisions.json", choices_text([choice]))
        said = drawn.cli("approve", "--from", "decisions.json")
        assert said.returncode == 1
        assert r"a\n\x3a:error" in said.stderr
        assert all(part not in said.stderr for part in ("\x1b[31m", "\u202e", "\n::"))


def test_check_tells_what_changed_and_fails_until_it_is_approved(drawn: Project) -> None:
    draw(drawn, CHANGES["edit"][0](POTION))
    failed = drawn.cli("check")
    assert failed.returncode == 1
    assert "assets/potion.png" in failed.stdout
    assert "1 asset fails" in failed.stderr
    assert drawn.cli("approve", "potion").returncode == 0
    assert drawn.cli("check").returncode == 0


def test_second_check_of_an_unchanged_project_says_the_same(drawn: Project) -> None:
    drawn.build()
    first, second = drawn.cli("check"), drawn.cli("check")
    assert (first.returncode, first.stdout) == (second.returncode, second.stdout)
    assert (drawn.root / ".spritebuild/checked.json").exists()
    drawn.file("assets/potion.png", b"edited")
    assert drawn.cli("check").returncode == 1


def test_locked_measures_of_a_stale_lock_are_not_taken(drawn: Project) -> None:
    drawn.edit("sprites.potion.prompt", " ".join(SWORD))
    assert drawn.cli("check", "--art", "--locked").returncode == 3


def test_report_on_stdout_is_all_that_is_there(drawn: Project) -> None:
    assert json.loads(drawn.cli("check", "--report", "json=-").stdout)["failed"] == 0
    assert drawn.cli("check", "--report", "html=-").returncode == 2


def test_ci_does_not_approve_unless_it_is_told_to(drawn: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    draw(drawn, CHANGES["edit"][0](POTION))
    monkeypatch.setitem(os.environ, "CI", "true")
    refused = drawn.cli("approve", "--all")
    assert refused.returncode == 4
    assert "--in-ci" in refused.stderr
    assert drawn.cli("check").returncode == 1
    assert drawn.cli("approve", "--all", "--in-ci").returncode == 0


def test_dry_run_approves_nothing(drawn: Project) -> None:
    draw(drawn, CHANGES["edit"][0](POTION))
    before = drawn.lock_text()
    assert drawn.cli("approve", "--all", "-n").stdout == "assets/potion.png\n"
    assert drawn.lock_text() == before


def test_locked_check_of_a_stale_lock_fails(drawn: Project) -> None:
    drawn.edit("sprites.potion.prompt", " ".join(SWORD))
    assert drawn.cli("check", "--locked").returncode == 3


def test_picture_is_not_judged_by_what_is_hidden_under_alpha() -> None:
    from spritebuild.check.flicker import flicker

    clear, hidden = np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8)
    hidden[..., :3] = 200
    clear[0, 0] = hidden[0, 0] = (1, 2, 3, 255)
    assert flicker([clear, hidden, clear]) == (0.0, 0)
