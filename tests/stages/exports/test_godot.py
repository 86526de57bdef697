"""Godot's resources compared with its documented format; tests/consumers loads those of version 3."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import drawn_sheets
import pytest
from engine_sheets import assert_same_bytes, changed, timed, with_companions
from godot_text import Call, Name, Resource, parse
from pydantic import ValidationError

from spritebuild.errors import StageError
from spritebuild_stages.exports import animations, godot
from spritebuild_stages.exports.sheet import Sheet
from spritebuild_stages.sheets.layout import Tag


def export(folder: Path, *sheets: Sheet, **options: Any) -> Path:
    folder.mkdir()
    godot.write(sheets, folder, godot.Options(kind="godot", **options))
    return folder


def read(path: Path) -> Resource:
    return parse(path.read_text(encoding="utf-8"))


@pytest.fixture
def trimmed(tmp_path: Path) -> Sheet:
    return changed(drawn_sheets.trimmed(tmp_path / "sheet"), "characters")


@pytest.mark.parametrize("version", [3, 4])
def test_an_atlas_texture_gives_a_trimmed_frame_its_size_back(tmp_path: Path, trimmed: Sheet, version: int) -> None:
    folder = export(tmp_path / "out", trimmed, version=version, textures=True) / "characters" / "hero.textures"
    for frame in trimmed.layout.frames:
        found = read(folder / f"{frame.name}.tres")
        assert found.header == {"type": "AtlasTexture", "load_steps": 2, "format": version - 1}
        assert list(found.pages.values()) == [f"../{trimmed.layout.pages[frame.page].image}"]
        region, margin = found.values["region"], found.values.get("margin", Call("Rect2", (0, 0, 0, 0)))
        assert region == Call("Rect2", frame.rectangle)
        assert margin.values[:2] == frame.box[:2]
        assert (region.values[2] + margin.values[2], region.values[3] + margin.values[3]) == frame.source
        assert found.values["filter_clip"] is True


def test_godot_4_shows_every_frame_for_its_time(tmp_path: Path) -> None:
    sheet = changed(drawn_sheets.packed(tmp_path / "sheet", drawn_sheets.hero(), tags=drawn_sheets.HERO_TAGS))
    found = read(export(tmp_path / "out", sheet) / "hero.frames.tres")
    assert found.header == {"type": "SpriteFrames", "load_steps": 8, "format": 3}
    by_name = {animation.name: animation for animation in animations.of_tags(sheet.layout)}
    listed = found.values["animations"]
    assert [one["name"] for one in listed] == [Name(name) for name in sorted(by_name)]
    for one in listed:
        animation = by_name[one["name"].text]
        assert one.keys() == {"frames", "loop", "name", "speed"}
        assert one["loop"] is animation.loop
        for shown, frame in zip(one["frames"], animation.frames, strict=True):
            assert shown["duration"] / one["speed"] * 1000 == pytest.approx(frame.duration, rel=1e-12)
            part = found.parts[shown["texture"].values[0]]
            assert part.header["type"] == "AtlasTexture"
            assert part.values["region"] == Call("Rect2", frame.rectangle)


def test_the_usual_frame_has_the_duration_1(tmp_path: Path) -> None:
    sheet = timed(changed(drawn_sheets.packed(tmp_path / "sheet", drawn_sheets.hero(4))), 80, 80, 160, 80)
    (one,) = read(export(tmp_path / "out", sheet) / "hero.frames.tres").values["animations"]
    assert [frame["duration"] for frame in one["frames"]] == [1.0, 1.0, 2.0, 1.0]
    assert one["speed"] == 12.5


def test_godot_3_repeats_frames_that_are_shown_longer(tmp_path: Path) -> None:
    sheet = timed(changed(drawn_sheets.packed(tmp_path / "sheet", drawn_sheets.hero(3))), 50, 150, 100)
    found = read(export(tmp_path / "out", sheet, version=3) / "hero.frames.tres")
    assert found.header["format"] == 2
    (one,) = found.values["animations"]
    assert [frame.values[0] for frame in one["frames"]] == [1, 2, 2, 2, 3, 3]
    assert one["speed"] == 20.0


def test_times_that_godot_3_cannot_show_are_refused(tmp_path: Path) -> None:
    sheet = timed(changed(drawn_sheets.packed(tmp_path / "sheet", drawn_sheets.hero(2))), 3001, 3000)
    with pytest.raises(StageError, match="would need 6,001 of them, more than 4,096"):
        export(tmp_path / "out", sheet, version=3)


def test_a_tile_set_has_the_grid_and_its_tiles(tmp_path: Path) -> None:
    sheet = changed(drawn_sheets.grid(tmp_path / "sheet", drawn_sheets.hero(5), margin=2, spacing=3, extrude=1))
    found = read(export(tmp_path / "out", sheet) / "hero.tiles.tres")
    assert found.header == {"type": "TileSet", "load_steps": 3, "format": 3}
    (source,) = found.parts.values()
    assert source.header["type"] == "TileSetAtlasSource"
    grid = sheet.layout.grid
    assert grid is not None
    margins, separation = source.values["margins"].values, source.values["separation"].values
    size = source.values["texture_region_size"].values
    tiles = [key for key in source.values if ":" in key]
    assert tiles == ["0:0/0", "1:0/0", "2:0/0", "0:1/0", "1:1/0"]
    for key, frame in zip(tiles, sheet.layout.frames, strict=True):
        assert source.values[key] == 0
        x, y = map(int, key.removesuffix("/0").split(":"))
        assert frame.x == margins[0] + x * (size[0] + separation[0])
        assert frame.y == margins[1] + y * (size[1] + separation[1])
    assert found.values["tile_size"] == Call("Vector2i", grid.cell)
    assert not list(export(tmp_path / "without", sheet, tilesets=False).rglob("*.tiles.tres"))


def test_paths_are_relative_or_below_the_root(tmp_path: Path, trimmed: Sheet) -> None:
    for number, (root, base) in enumerate(
        {"": "", "res://": "res://characters/", "res://art/": "res://art/characters/"}.items()
    ):
        folder = export(tmp_path / f"out{number}", trimmed, root=root)
        found = read(folder / "characters" / "hero.frames.tres")
        assert list(found.pages.values()) == [base + page.image for page in trimmed.layout.pages]
        for page in trimmed.layout.pages:
            assert (folder / "characters" / page.image).read_bytes() == (trimmed.pages / page.image).read_bytes()


def test_a_normal_map_is_of_godot_4_alone(tmp_path: Path) -> None:
    sheet = with_companions(changed(drawn_sheets.packed(tmp_path / "sheet", drawn_sheets.hero(2))), "normal")
    found = read(export(tmp_path / "4", sheet) / "hero.frames.tres")
    assert list(found.pages.values()) == ["hero.png", "hero.normal.png"]
    canvas = found.parts["CanvasTexture_1"].values
    assert canvas == {"diffuse_texture": Call("ExtResource", ("1",)), "normal_texture": Call("ExtResource", ("2",))}
    assert found.parts["AtlasTexture_1"].values["atlas"] == Call("SubResource", ("CanvasTexture_1",))
    folder = export(tmp_path / "3", sheet, version=3)
    assert list(read(folder / "hero.frames.tres").pages.values()) == ["hero.png"]
    assert (folder / "hero.normal.png").is_file()


def test_equal_frames_share_a_texture(tmp_path: Path) -> None:
    sheet = drawn_sheets.packed(tmp_path / "sheet", drawn_sheets.hero(3))
    first, second, third = changed(sheet).layout.frames
    twin = second.model_copy(update={name: getattr(first, name) for name in ("page", "x", "y", "box", "source")})
    found = read(export(tmp_path / "out", changed(sheet, frames=(first, twin, third))) / "hero.frames.tres")
    assert len(found.parts) == 2


def test_the_same_sheets_give_the_same_bytes(tmp_path: Path, trimmed: Sheet) -> None:
    one, two = (export(tmp_path / name, trimmed, textures=True) for name in "ab")
    assert_same_bytes(one, two)


def test_names_are_escaped(tmp_path: Path) -> None:
    tags = (Tag(name='a "quoted" \\ name', first=0, last=0),)
    sheet = changed(drawn_sheets.packed(tmp_path / "sheet", drawn_sheets.hero(1), tags=tags))
    for version in (3, 4):
        (one,) = read(export(tmp_path / f"{version}", sheet, version=version) / "hero.frames.tres").values["animations"]
        assert one["name"] in {'a "quoted" \\ name', Name('a "quoted" \\ name')}


def test_what_godot_cannot_say_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="Godot cannot mirror a frame"):
        export(tmp_path / "mirrored", drawn_sheets.trimmed(tmp_path / "sheet"))
    pictures = drawn_sheets.hero(2)
    named = drawn_sheets.packed(tmp_path / "other", pictures, tags=(Tag(name="default", first=0, last=0),))
    with pytest.raises(StageError, match="a tag 'default' and frames without a tag"):
        export(tmp_path / "default", changed(named))
    twice = (Tag(name="walk", first=0, last=0), Tag(name="walk", first=1, last=1))
    with pytest.raises(StageError, match="has two tags 'walk'"):
        export(tmp_path / "twice", changed(named, tags=twice))
    endless = (Tag(name="walk", first=0, last=1, repeat=65535),)
    with pytest.raises(StageError, match="131,070 frames in all its repeats"):
        export(tmp_path / "endless", changed(named, tags=endless))
    with pytest.raises(ValidationError, match="starts with res://"):
        godot.Options(kind="godot", root="sprites")
    with pytest.raises(StageError, match=r"two sheets have a page hero\.png"):
        export(tmp_path / "same", changed(named, tags=()), changed(named, tags=()))
