"""What Godot makes of exported resources: Godot 3 as Debian's server, Godot 4 as npm has it for the web.

Godot 3 gives the pixels of a page and its own numbers, from which the frame is put together; Godot 4 draws it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import drawn_sheets
import godot_pack
import numpy as np
import packed_sheets
import pytest
from engine_sheets import changed, timed, with_companions

from spritebuild_stages.exports import animations, godot
from spritebuild_stages.exports.sheet import Sheet
from spritebuild_stages.sheets.layout import Frame, Tag

HERE = Path(__file__).parent
SERVER = shutil.which("godot3-server")
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
WEB = CHROMIUM is not None and shutil.which("node") is not None and (HERE / "godot4" / "node_modules").is_dir()

VERSIONS = [
    pytest.param(3, marks=pytest.mark.skipif(SERVER is None, reason="needs godot3-server, a package of Debian's")),
    pytest.param(4, marks=pytest.mark.skipif(not WEB, reason="needs Chromium, and `npm ci` in tests/consumers/godot4")),
]

versions = pytest.mark.parametrize("version", VERSIONS)


def loaded(folder: Path, version: int, *sheets: Sheet, **options: Any) -> dict[str, Any]:
    """What Godot reports of an export, by resource. Godot 3 imports the pictures first, as its editor does."""
    project = folder / "project"
    shutil.copytree(HERE / f"godot{version}", project, ignore=shutil.ignore_patterns("node_modules", "*.json", "*.mjs"))
    place = project / "sprites"
    place.mkdir()
    godot.write(sheets, place, godot.Options(kind="godot", version=version, **options))
    if version == 4:
        godot_pack.write(folder / "game.pck", project)
        said = run(folder, "node", HERE / "godot4" / "run.mjs", folder / "game.pck")
    else:
        run(folder, SERVER, "--path", project, "--editor", "--quit")
        said = run(folder, SERVER, "--path", project, "-s", "load.gd")
    (line,) = [text for text in said.splitlines() if text.startswith("LOADED ")]
    return json.loads(line.removeprefix("LOADED "))


def run(folder: Path, *words: Any) -> str:
    """What a program says, without an error or a warning."""
    places = {name: str(folder / name) for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME")}
    done = subprocess.run(
        [str(word) for word in words],
        env={**os.environ, **places, "LANG": "en_US.UTF-8", "LC_ALL": "en_US.UTF-8", "CHROMIUM": f"{CHROMIUM}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout
    assert not [word for word in ("ERROR", "WARNING", "FAILED") if word in done.stdout], done.stdout
    return done.stdout


def assert_shows(texture: dict[str, Any], sheet: Sheet, frame: Frame) -> None:
    """Place, size and pixels of a texture that Godot loaded; colors under alpha 0 mean nothing."""
    category = f"{sheet.category}/" if sheet.category else ""
    assert texture["page"] == f"res://sprites/{category}{sheet.layout.pages[frame.page].image}"
    assert tuple(texture["region"]) == frame.rectangle
    assert tuple(texture["size"]) == frame.source
    shown = np.frombuffer(bytes.fromhex(texture["pixels"]), np.uint8).reshape(frame.source[1], frame.source[0], 4)
    number = [one.name for one in sheet.layout.frames].index(frame.name)
    expected = sheet.pictures()[number]
    visible = expected[..., 3] > 0
    assert np.array_equal(shown[..., 3], expected[..., 3])
    assert np.array_equal(shown[visible], expected[visible])


@versions
@pytest.mark.parametrize("root", ["", "res://sprites"])
def test_trimmed_frames_of_two_pages_are_whole_again(tmp_path: Path, version: int, root: str) -> None:
    sheet = changed(drawn_sheets.trimmed(tmp_path / "sheet"), "characters/good")
    found = loaded(tmp_path, version, sheet, textures=True, root=root)
    for frame in sheet.layout.frames:
        assert_shows(found[f"res://sprites/characters/good/hero.textures/{frame.name}.tres"], sheet, frame)
    shown = found["res://sprites/characters/good/hero.frames.tres"]
    assert shown.keys() == {"flip", "all", "end"}
    assert_shows(shown["end"]["frames"][0], sheet, sheet.layout.frames[3])


@versions
def test_every_frame_is_shown_for_its_time(tmp_path: Path, version: int) -> None:
    sheet = changed(drawn_sheets.grid(tmp_path / "sheet", drawn_sheets.hero(), tags=drawn_sheets.HERO_TAGS))
    found = loaded(tmp_path, version, sheet)["res://sprites/hero.frames.tres"]
    assert found.keys() == {tag.name for tag in drawn_sheets.HERO_TAGS}
    for animation in animations.of_tags(sheet.layout):
        shown = found[animation.name]
        assert shown["loop"] is animation.loop
        milliseconds = 1000 / shown["speed"]
        at = 0
        for frame in animation.frames:
            times = 1 if version == 4 else round(frame.duration / milliseconds)
            shares = shown["frames"][at : at + times]
            for texture in shares:
                assert_shows(texture, sheet, frame)
            total = sum(texture.get("duration", 1) for texture in shares)
            assert total * milliseconds == pytest.approx(frame.duration, rel=1e-6)
            at += times
        assert at == len(shown["frames"])


@versions
def test_frames_without_a_tag_are_the_default_animation(tmp_path: Path, version: int) -> None:
    tags = (Tag(name="walk", first=1, last=2),)
    sheet = timed(changed(drawn_sheets.packed(tmp_path / "sheet", drawn_sheets.hero(4), tags=tags)), 80, 80, 80, 80)
    found = loaded(tmp_path, version, sheet)["res://sprites/hero.frames.tres"]
    assert found["default"]["loop"]
    assert found["default"]["speed"] == 12.5
    for texture, number in zip(found["default"]["frames"], (0, 3), strict=True):
        assert_shows(texture, sheet, sheet.layout.frames[number])


@versions
def test_a_tile_set_has_a_tile_for_every_cell(tmp_path: Path, version: int) -> None:
    sheet = changed(drawn_sheets.grid(tmp_path / "sheet", drawn_sheets.hero(7), margin=1, spacing=2, extrude=1))
    found = loaded(tmp_path, version, sheet)["res://sprites/hero.tiles.tres"]
    regions = [list(frame.rectangle) for frame in sheet.layout.frames]
    if version == 4:
        assert (found["page"], found["size"], found["outside"]) == ("res://sprites/hero.png", [8, 8], False)
        tiles = {(x, y): region for x, y, region in found["tiles"]}
        assert len(tiles) == 7
        assert [tiles[number % 3, number // 3] for number in range(7)] == regions
        return
    assert sorted(found, key=int) == [str(number) for number in range(7)]
    for number, frame in enumerate(sheet.layout.frames):
        tile = found[str(number)]
        assert (tile["name"], tile["region"]) == (frame.name, regions[number])
        assert (tile["offset"], tile["page"], tile["mode"]) == ([0, 0], "res://sprites/hero.png", 0)


@versions
def test_a_sprite_of_one_pixel_loads(tmp_path: Path, version: int) -> None:
    sheet = changed(drawn_sheets.packed(tmp_path / "sheet", [drawn_sheets.drawing(0, 1, 1)]))
    (texture,) = loaded(tmp_path, version, sheet)["res://sprites/hero.frames.tres"]["default"]["frames"]
    assert_shows(texture, sheet, sheet.layout.frames[0])


@pytest.mark.parametrize("version", VERSIONS[1:])
def test_a_page_has_its_normal_map(tmp_path: Path, version: int) -> None:
    sheet = with_companions(changed(drawn_sheets.grid(tmp_path / "sheet", drawn_sheets.hero(2))), "normal", "emissive")
    found = loaded(tmp_path, version, sheet, textures=True)
    textures = [
        found["res://sprites/hero.textures/hero_1.tres"],
        found["res://sprites/hero.frames.tres"]["default"]["frames"][1],
    ]
    for texture in textures:
        assert_shows(texture, sheet, sheet.layout.frames[1])
    for texture in [*textures, found["res://sprites/hero.tiles.tres"]]:
        assert texture["normal"] == "res://sprites/hero.normal.png"


@versions
def test_a_packed_sheet_shows_its_sprites(tmp_path: Path, version: int) -> None:
    sheet = packed_sheets.packed(tmp_path / "sheet", "hero", packed_sheets.sprites())
    found = loaded(tmp_path, version, sheet, textures=True)
    for frame in sheet.layout.frames:
        assert_shows(found[f"res://sprites/hero.textures/{frame.name}.tres"], sheet, frame)
    assert found["res://sprites/hero.frames.tres"].keys() == {tag.name for tag in sheet.layout.tags} | {"default"}
