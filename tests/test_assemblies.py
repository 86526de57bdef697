"""What is made of finished sprites: sheets and exports as folders of assets, chosen palettes, recolors, checks."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from projects import ISLAND, Project

from spritebuild.errors import LockError, PolicyError, RegressionError, SpritefileError
from spritebuild_stages.images import png
from spritebuild_stages.ops.palette import parse

PAINT = {"stage": "paint"}
HARD = {"op": "alpha"}


@pytest.fixture
def game(project: Project) -> Project:
    """An island with a packed sheet and two exports, built."""
    declared = {
        **ISLAND,
        "sheets": {"items": {"sprites": ["*"], "layout": "packed", "extrude": 1}},
        "exports": {
            "web": {"kind": "plain", "path": "game/web"},
            "engine": {"kind": "godot", "sheets": ["items"], "path": "game/engine"},
        },
    }
    project.write(declared).build()
    return project


def under(project: Project, folder: str) -> dict[str, bytes]:
    root = project.root / folder
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def refusal(project: Project, **tables: Any) -> str:
    project.write({**ISLAND, **tables})
    with pytest.raises(SpritefileError) as caught:
        project.graph()
    return str(caught.value)


# Assets that are folders


def test_export_is_one_line_of_the_lock_and_its_files_are_installed(game: Project) -> None:
    entry = game.lock()["game/web/*"]
    assert entry.installed().keys() == {f"game/web/{path}" for path in under(game, "game/web")}
    assert under(game, "game/engine")
    assert game.build().summary["installed"] == 0
    assert game.idle()


def test_only_files_that_changed_are_installed_again(game: Project) -> None:
    before = (game.root / "game/web/items.png").stat().st_mtime_ns
    status = game.edit("sheets.items.pivot", "bottom").build()  # in the description alone
    assert "game/web/items.png" not in status.installs
    assert any(path.startswith("game/web/") for path in status.installs)
    assert (game.root / "game/web/items.png").stat().st_mtime_ns == before


def test_lost_and_edited_files_of_a_folder_are_put_right_and_kept_aside(game: Project) -> None:
    before = under(game, "game/web")
    (game.root / "game/web/items.png").unlink()
    next((game.root / "game/web").glob("*.json")).write_text("mine")
    assert not game.idle()
    assert game.cli("plan").stderr == "1 to install: game/web/*\n"
    status = game.build()
    assert (status.ran, len(status.installs)) == ([], 2)
    assert under(game, "game/web") == before
    assert [text for text in status.said if "edited by hand" in text]
    assert "mine" in [path.read_text() for path in (game.root / ".spritebuild/replaced/game/web").glob("*.json")]


def test_files_that_an_export_makes_no_more_are_removed_and_those_of_others_stay(game: Project) -> None:
    game.file("game/web/own.txt", "of somebody else")
    game.edit("exports.engine", None).edit("exports.web.sheets", ["items"]).build()
    assert not (game.root / "game/engine").exists()
    game.edit("exports", {}).build()
    assert under(game, "game") == {"web/own.txt": b"of somebody else"}


def test_file_of_somebody_else_in_an_exports_place_is_not_overwritten(project: Project) -> None:
    project.write({**ISLAND, "exports": {"web": {"kind": "plain", "path": "game/web"}}})
    project.file("game/web/items.png", "a drawing")
    with pytest.raises(PolicyError, match="in the way"):
        project.build()
    assert (project.root / "game/web/items.png").read_text() == "a drawing"


def test_clone_without_a_store_has_nothing_to_do_if_it_has_the_files(game: Project, tmp_path: Path) -> None:
    clone = game.clone(tmp_path / "clone", assets=True)
    assert clone.build().ran == []
    assert clone.lock_text() == game.lock_text()
    shutil.rmtree(clone.root / "game")
    shutil.rmtree(clone.root / ".spritebuild")
    clone.build()
    assert under(clone, "game") == under(game, "game")
    assert clone.lock_text() == game.lock_text()


def test_exported_text_that_somebody_saved_again_is_put_right_in_a_clone_too(game: Project, tmp_path: Path) -> None:
    text = next((game.root / "game/engine").glob("*.tres"))
    before = text.read_bytes()
    text.write_bytes(before + b"\n")
    clone = game.clone(tmp_path / "clone", assets=True)
    status = clone.build()
    assert [line for line in status.said if "edited by hand" in line]
    assert (clone.root / text.relative_to(game.root)).read_bytes() == before
    assert (clone.root / ".spritebuild/replaced" / text.relative_to(game.root)).read_bytes() == before + b"\n"


def test_what_a_link_leads_to_outside_the_project_is_never_removed(game: Project, tmp_path: Path) -> None:
    shutil.move(game.root / "game/web", tmp_path / "outside")
    (game.root / "game/web").symlink_to(tmp_path / "outside")
    before = sorted(path.name for path in (tmp_path / "outside").iterdir())
    game.edit("exports.web", None).build()
    assert sorted(path.name for path in (tmp_path / "outside").iterdir()) == before


def test_one_file_in_the_way_keeps_nothing_else_from_being_installed(project: Project) -> None:
    exports = {"web": {"kind": "plain", "path": "web"}, "engine": {"kind": "godot", "path": "engine"}}
    project.write({**ISLAND, "exports": exports})
    project.file("web/items.png", "a drawing")
    with pytest.raises(PolicyError, match="in the way"):
        project.build()
    assert {"assets/potion.png", "assets/items*", "engine/*"} <= project.lock().keys()
    assert "web/*" not in project.lock()
    (project.root / "web/items.png").unlink()
    assert project.build().ran == []
    assert under(project, "web")


def test_many_exports_of_one_sheet_read_it_side_by_side(project: Project) -> None:
    exports = {f"e{n}": {"kind": "plain", "path": f"out/{n}"} for n in range(12)}
    project.write({**ISLAND, "exports": exports}).build(jobs=8)
    assert len({json.dumps(list(under(project, f"out/{n}"))) for n in range(12)}) == 1


def test_file_that_would_be_a_folder_too_is_refused(project: Project) -> None:
    sheets = {"all": {"sprites": ["*"], "category": "potion.png"}}
    assert "assets/potion.png would be a file and a folder" in refusal(project, sheets=sheets)


def test_stale_export_is_refused_by_a_locked_build(game: Project) -> None:
    game.edit("sheets.items.extrude", 2)
    with pytest.raises(LockError) as caught:
        game.build(locked=True)
    assert "game/web/*: its declaration changed" in [text for _, text in caught.value.facts]


def test_two_assets_of_one_file_are_refused(project: Project) -> None:
    declared = {**ISLAND, "sprites": {**ISLAND["sprites"], "items-0": {**ISLAND["sprites"]["potion"]}}}
    sheet = {"sprites": ["*"], "multipack": True, "max_size": 8}
    with pytest.raises(PolicyError, match="also made by"):
        project.write({**declared, "sheets": {"items": sheet}}).build()


def test_folder_of_another_platform_is_judged_by_the_looks_of_its_pictures(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    styles = {"base": {"stage": "dream"}}
    project.write({**ISLAND, "styles": styles, "exports": {"web": {"kind": "plain", "path": "web"}}}).build()
    clone = project.clone(tmp_path / "clone")
    shutil.rmtree(clone.root / "web")
    monkeypatch.setenv("DREAM_PLATFORM", "two")
    monkeypatch.setenv("DREAM_NOISE", "1")
    status = clone.build()
    assert "web/*: same in looks, other platform" in status.said
    assert clone.lock_text() == project.lock_text()
    assert clone.build().ran == []
    assert clone.idle()
    other = project.clone(tmp_path / "other")
    shutil.rmtree(other.root / "web")
    monkeypatch.setenv("DREAM_SHAPE", "another")
    with pytest.raises(RegressionError):
        other.build()
    assert not (other.root / "web").exists()


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("assets", "overlaps with the assets"),
        ("assets/web", "overlaps with the assets"),
        ("game", "overlaps with exports.web"),
        ("game/web/more", "overlaps with exports.web"),
        ("../web", 'contains ".."'),
        (".git/web", "cannot be an export's folder"),
        ("lockfiles/models", "cannot be an export's folder"),
        ("stages", "cannot be an export's folder"),
    ],
)
def test_export_needs_a_folder_of_its_own(project: Project, path: str, message: str) -> None:
    exports = {"web": {"kind": "plain", "path": "game/web"}, "more": {"kind": "plain", "path": path}}
    assert message in refusal(project, exports=exports)


def test_mistakes_in_an_export_are_told_at_their_place(project: Project) -> None:
    assert "kind" in refusal(project, exports={"web": {"kind": "plan", "path": "web"}})
    assert 'no sheet is called "itms"' in refusal(
        project, exports={"web": {"kind": "plain", "path": "web", "sheets": ["itms"]}}
    )
    error = refusal(project, exports={"web": {"kind": "godot", "path": "web", "versoin": 3}})
    assert "versoin" in error
    assert error.endswith("\n1 error")


def test_two_exports_of_one_unity_folder_are_refused(project: Project) -> None:
    exports: dict[str, Any] = {name: {"kind": "unity", "path": name} for name in ("a", "b")}
    assert 'exports.b and exports.a agree in root, "Assets/Sprites"' in refusal(project, exports=exports)
    exports["b"]["root"] = "Assets/Other"
    project.write({**ISLAND, "exports": exports}).graph()


def test_swap_of_palettes_of_two_lengths_is_refused_before_anything_runs(project: Project) -> None:
    palettes = {"gray": ISLAND["palettes"]["gray"], "two": {"colors": ["#000000", "#ffffff"]}}
    styles = {"base": {**PAINT, "finish": [{"op": "swap", "palette": "gray", "to": "two"}]}}
    assert "gray has 3 colors and two has 2" in refusal(project, palettes=palettes, styles=styles)


# Companions


def test_companions_are_packed_like_their_frames(project: Project) -> None:
    sprites = {name: {"stage": "paint", "prompt": name, "size": [5, 4 + n]} for n, name in enumerate(("a", "b"))} | {
        f"{name}-normal": {"stage": "paint", "prompt": f"{name}n", "size": [5, 4 + n]} for n, name in enumerate("ab")
    }
    sheet = {"sprites": ["a", "b"], "companions": {"normal": "{name}-normal"}}
    project.write({**ISLAND, "sprites": sprites, "sheets": {"all": sheet}}).build()
    place = json.loads((project.root / "assets/all.json").read_text())["frames"]["b"]["frame"]
    at = np.s_[place["y"] : place["y"] + place["h"], place["x"] : place["x"] + place["w"]]
    whole = png.read(project.root / "assets/all-normal.png")
    assert np.array_equal(whole[at], png.read(project.root / "assets/b-normal.png"))
    sheet["companions"] = {"normal": "{name}-nrmal"}
    assert 'no sprite is called "a-nrmal"' in refusal(project, sprites=sprites, sheets={"all": sheet})


# Palettes that are chosen from sprites, and words of the matrix in finishing lists


def chosen(**palette: Any) -> dict[str, Any]:
    finish = [HARD, {"op": "quantize", "palette": "own"}, {"op": "outline", "color": "#123456"}]
    return {
        "palettes": {"own": {"sprites": ["sprite-*"], **palette}},
        "styles": {"base": {**PAINT, "size": [8, 8], "finish": finish}},
        "sprites": {"sprite": {"style": "base", "prompt": "x", "seeds": [1, 2, 3]}},
        "sheets": {},
    }


def test_chosen_palette_is_one_for_all_its_sprites(project: Project) -> None:
    project.write({**ISLAND, **chosen(most=6, save="palettes/own.gpl")}).build()
    colors = set(parse(project.root / "palettes/own.gpl")) | {(0x12, 0x34, 0x56)}
    assert 2 <= len(colors) <= 7
    for path in (project.root / "assets").glob("*.png"):
        rgba = png.read(path)
        assert {tuple(map(int, color)) for color in rgba[rgba[..., 3] > 0][:, :3]} <= colors
    assert project.build().ran == []


def test_chosen_palette_is_chosen_again_only_if_what_it_is_chosen_from_changed(project: Project) -> None:
    project.write({**ISLAND, **chosen(most=6)}).build()
    status = project.edit("styles.base.finish.2.color", "#654321").build()
    assert {id.rpartition(":")[2] for id in status.ran} == {"finish-2"}
    status = project.edit("styles.base.steps", 21).build()
    assert "palettes.own:palette" in status.ran


def test_palettes_that_wait_for_each_other_are_refused(project: Project) -> None:
    ops = {name: {**PAINT, "finish": [{"op": "quantize", "palette": name}]} for name in ("one", "two")}
    palettes = {"one": {"sprites": ["b"]}, "two": {"sprites": ["a"]}}
    sprites = {"a": {"style": "one"}, "b": {"style": "two"}}
    error = refusal(project, palettes=palettes, styles=ops, sprites=sprites, sheets={})
    assert "palettes.one and palettes.two wait for each other" in error


def test_palette_of_no_sprite_is_refused(project: Project) -> None:
    assert 'no sprite is called "spirit-*"' in refusal(project, **chosen(sprites=["spirit-*"]))


def test_recolors_of_a_sprite_are_generated_once(project: Project) -> None:
    palettes = {"gray": {"colors": ["#000000", "#ffffff"]}, "red": {"colors": ["#110000", "#ff0000"]}}
    palettes["blue"] = {"colors": ["#000011", "#0000ff"]}
    finish = [HARD, {"op": "quantize", "palette": "gray"}, {"op": "swap", "palette": "gray", "to": "{ramp}"}]
    sprites = {"gem": {"style": "base", "prompt": "gem", "matrix": {"ramp": ["red", "blue"]}}}
    tables = {"palettes": palettes, "styles": {"base": {**PAINT, "finish": finish}}, "sprites": sprites, "sheets": {}}
    status = project.write({**ISLAND, **tables}).build()
    assert sorted(id.rpartition(":")[2] for id in status.ran) == ["finish", "finish", "paint"]
    red, blue = (png.read(project.root / f"assets/gem-{ramp}.png") for ramp in ("red", "blue"))
    assert np.array_equal(red[..., 3], blue[..., 3])
    assert {tuple(map(int, c)) for c in red[red[..., 3] > 0][:, :3]} == {(0x11, 0, 0), (255, 0, 0)}
    assert {tuple(map(int, c)) for c in blue[blue[..., 3] > 0][:, :3]} == {(0, 0, 0x11), (0, 0, 255)}
    sprites["gem"]["matrix"] = {"ramp": ["red", "bleu"]}
    error = refusal(project, **tables)
    assert 'unknown palette "bleu"' in error
    assert 'did you mean "blue"?' in error
    finish[2]["to"] = "{rmp}"
    assert "nothing is called {rmp}" in refusal(project, **tables)


def test_canvas_is_a_whole_multiple_of_the_pixels_that_it_becomes(project: Project) -> None:
    finish = [{"op": "pixelate", "size": [24, 32]}]
    sprites = {"hero": {**PAINT, "prompt": "hero", "size": [512, 512], "finish": finish}}
    error = refusal(project, sprites=sprites, sheets={}, palettes={}, styles={})
    assert "512x512 is no whole multiple of the 24x32 pixels that it becomes" in error
    assert "size = [768, 768]" in error
    models = {"big": {"path": "big"}}
    (project.root / "big").mkdir()
    project.file("big/model_index.json", "{}")
    sprites["hero"] = {"model": "big", "prompt": "hero", "finish": finish}
    project.write({**ISLAND, "models": models, "sprites": sprites, "sheets": {}})
    assert list(project.graph().actions["sprites.hero:generate"].params["size"]) == [768, 768]
    sprites["hero"]["finish"] = [{"op": "pixelate"}]
    project.write({**ISLAND, "models": models, "sprites": sprites, "sheets": {}})
    assert "size" not in project.graph().actions["sprites.hero:generate"].params


# Checks


def test_check_says_what_breaks_a_limit_and_exits_with_1(project: Project) -> None:
    project.write({**ISLAND, "styles": {"base": {**ISLAND["styles"]["base"], "art": {"max_colors": 2}}}})
    done = project.cli("check", "--art", "-q")
    assert done.returncode == 1
    assert "potion: 3 colors; at most 2 is allowed" in done.stdout
    assert "limits are broken" in done.stderr
    assert not (project.root / "assets").exists()
    project.edit("styles.base.art", {"max_colors": 3})
    done = project.cli("check", "--art", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["styles.base"]["summary"]["violations"] == 0


def test_check_knows_the_palette_that_a_style_quantizes_to(project: Project) -> None:
    styles = {"base": {**PAINT, "art": {"palette": "gray"}}, "fine": {**ISLAND["styles"]["base"]}}
    sprites = {"rough": {"style": "base", "prompt": "r"}, "potion": {"style": "fine", "prompt": "p"}}
    project.write({**ISLAND, "styles": styles, "sprites": sprites})
    done = project.cli("check", "--art", "-q")
    assert done.returncode == 1
    assert "rough: " in done.stdout
    assert "have colors outside the palette" in done.stdout
    assert "potion: 6" not in done.stdout
    assert project.cli("check", "--art", "-q", "styles.fine").returncode == 0


def test_check_refuses_references_that_are_nowhere(project: Project) -> None:
    project.write({**ISLAND, "styles": {"base": {**ISLAND["styles"]["base"], "art": {"references": ["refs/*.png"]}}}})
    done = project.cli("check", "--art")
    assert done.returncode == 2
    assert 'no file matches "refs/*.png"' in done.stderr
