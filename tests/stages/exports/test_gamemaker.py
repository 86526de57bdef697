"""GameMaker's strips and sprites as files; no GameMaker loads them here."""

from __future__ import annotations

import json
import re
import uuid
from pathlib import Path
from typing import Any

import drawn_sheets
import numpy as np
import pytest
from engine_sheets import assert_same_bytes, changed, timed
from pydantic import ValidationError

from spritebuild.errors import StageError
from spritebuild_stages.exports import gamemaker
from spritebuild_stages.exports.sheet import Sheet
from spritebuild_stages.images import png
from spritebuild_stages.images.png import Rgba
from spritebuild_stages.sheets.layout import Slice, Tag

# The keys of projects/xUnit/sprites/sprCircle/sprCircle.yy in YoYoGames/GM-TestFramework at 2dde983, in their order.
SPRITE = """$GMSprite %Name bboxMode bbox_bottom bbox_left bbox_right bbox_top collisionKind collisionTolerance
DynamicTexturePage edgeFiltering For3D frames gridX gridY height HTile layers name nineSlice origin parent
preMultiplyAlpha resourceType resourceVersion sequence swatchColours swfPrecision textureGroupId type VTile width"""
SEQUENCE = """$GMSequence %Name autoRecord backdropHeight backdropImageOpacity backdropImagePath backdropWidth
backdropXOffset backdropYOffset events eventStubScript eventToFunction length lockOrigin moments name playback
playbackSpeed playbackSpeedType resourceType resourceVersion showBackdrop showBackdropImage timeUnits tracks
visibleRange volume xorigin yorigin"""
TRACK = """$GMSpriteFramesTrack builtinName events inheritsTrackColour interpolation isCreationTrack keyframes modifiers
name resourceType resourceVersion spriteId trackColour tracks traits"""
KEY = """$Keyframe<SpriteFrameKeyframe> Channels Disabled id IsCreationKey Key Length resourceType resourceVersion
Stretch"""


def export(folder: Path, *sheets: Sheet, **options: Any) -> Path:
    folder.mkdir()
    gamemaker.write(sheets, folder, gamemaker.Options(kind="gamemaker", **options))
    return folder


def read(folder: Path, name: str) -> Any:
    """A sprite's JSON: a comma after the last entry of everything, and nowhere else."""
    text = (folder / "sprites" / name / f"{name}.yy").read_text(encoding="utf-8")
    assert "\r" not in text
    assert not re.search(r"[^,\s\[{]\s*[\]}]", re.sub(r'"[^"]*"', '""', text).rstrip().removesuffix("}"))
    return json.loads(re.sub(r",(\s*[\]}])", r"\1", text))


def cut(path: Path) -> list[Rgba]:
    """A strip as GameMaker cuts it: into as many parts as its name says."""
    match = re.fullmatch(r"(.*?)(?:_strip(\d+))?\.png", path.name)
    assert match
    count, strip = int(match[2] or 1), png.read(path)
    assert strip.shape[1] % count == 0
    return np.split(strip, count, axis=1)


@pytest.fixture
def hero(tmp_path: Path) -> Sheet:
    tags = (
        Tag(name="walk-left", first=0, last=2),
        Tag(name="turn", first=1, last=3, direction="pingpong"),
    )
    sheet = changed(drawn_sheets.packed(tmp_path / "sheet", drawn_sheets.hero(5), tags=tags), "characters")
    return timed(sheet, 100, 100, 200, 100, 80, pivot=(4.5, 8))


@pytest.fixture
def trimmed(tmp_path: Path) -> Sheet:
    return changed(drawn_sheets.trimmed(tmp_path / "trimmed"), "characters")


def test_a_strip_has_the_frames_of_a_tag_at_equal_times(tmp_path: Path, hero: Sheet) -> None:
    folder = export(tmp_path / "out", hero)
    assert sorted(path.name for path in (folder / "characters").iterdir()) == [
        "spr_hero_4.png",
        "spr_hero_turn_strip6.png",
        "spr_hero_walk_left_strip4.png",
    ]
    pictures = hero.pictures()
    for name, numbers in {"walk_left_strip4": (0, 1, 2, 2), "turn_strip6": (1, 2, 2, 3, 2, 2), "4": (4,)}.items():
        shown = cut(folder / "characters" / f"spr_hero_{name}.png")
        for picture, number in zip(shown, numbers, strict=True):
            assert np.array_equal(picture, pictures[number])


def test_the_script_sets_what_a_strip_cannot_say(tmp_path: Path, hero: Sheet) -> None:
    slices = (Slice(name="panel", frame=4, bounds=(0, 0, 8, 8), center=(1, 2, 4, 3)),)
    script = (export(tmp_path / "out", changed(hero, "characters", slices=slices)) / "sprites.gml").read_text()
    assert "sprite_set_speed(spr_hero_walk_left, 10, spritespeed_framespersecond);" in script
    assert "sprite_set_speed(spr_hero_4" not in script
    assert "sprite_set_offset(spr_hero_walk_left, 4, 8);" in script
    for side, size in {"left": 1, "top": 2, "right": 3, "bottom": 3}.items():
        assert f"_slice.{side} = {size};" in script
    assert script.count("{") == script.count("}") == 1


def test_frames_of_other_sizes_lie_on_each_other_by_their_pivots(tmp_path: Path, trimmed: Sheet) -> None:
    for number, style in enumerate(("strip", "sprites")):
        folder = export(tmp_path / f"{number}", trimmed, format=style, project="Island")
        if style == "strip":
            (path,) = (folder / "characters").glob("spr_hero_end_strip*.png")
            shown = cut(path)
            script = (folder / "sprites.gml").read_text()
            found = re.search(r"sprite_set_offset\(spr_hero_end, (\d+), (\d+)\)", script)
            assert found
            origin = int(found[1]), int(found[2])
            shown = [shown[0], shown[-1]]
        else:
            sprite = read(folder, "spr_hero_end")
            origin = sprite["sequence"]["xorigin"], sprite["sequence"]["yorigin"]
            shown = [png.read(folder / "sprites" / "spr_hero_end" / f"{one['name']}.png") for one in sprite["frames"]]
        for picture, frame_number in zip(shown, (3, 2), strict=True):
            frame, own = trimmed.layout.frames[frame_number], trimmed.pictures()[frame_number]
            pivot = frame.pivot or (frame.source[0] / 2, frame.source[1] / 2)
            left, top = origin[0] - int(pivot[0]), origin[1] - int(pivot[1])
            place = picture[top : top + frame.source[1], left : left + frame.source[0]]
            assert np.array_equal(place, own)
            assert np.count_nonzero(picture[..., 3]) == np.count_nonzero(own[..., 3])


def test_a_sprite_has_the_keys_that_gamemaker_writes(tmp_path: Path, hero: Sheet) -> None:
    sprite = read(export(tmp_path / "out", hero, format="sprites", project="Island"), "spr_hero_turn")
    (track,) = sprite["sequence"]["tracks"]
    assert list(sprite) == SPRITE.split()
    assert list(sprite["sequence"]) == SEQUENCE.split()
    assert list(track) == TRACK.split()
    assert all(list(key) == KEY.split() for key in track["keyframes"]["Keyframes"])
    assert sprite["parent"] == {"name": "Island", "path": "Island.yyp"}


def test_a_sprite_shows_every_frame_for_its_time(tmp_path: Path, hero: Sheet) -> None:
    folder = export(tmp_path / "out", hero, format="sprites", project="Island")
    pictures = hero.pictures()
    for tag in hero.layout.tags:
        name = f"spr_hero_{tag.name.replace('-', '_')}"
        sprite = read(folder, name)
        sequence = sprite["sequence"]
        keys = sequence["tracks"][0]["keyframes"]["Keyframes"]
        at = 0.0
        for key, frame, listed in zip(keys, hero.layout.of_tag(tag), sprite["frames"], strict=True):
            assert key["Key"] == at
            assert key["Length"] / sequence["playbackSpeed"] * 1000 == pytest.approx(frame.duration)
            at += key["Length"]
            assert key["Channels"]["0"]["Id"] == {"name": listed["name"], "path": f"sprites/{name}/{name}.yy"}
            (layer,) = sprite["layers"]
            place = folder / "sprites" / name
            for path in (
                place / f"{listed['name']}.png",
                place / "layers" / listed["name"] / f"{layer['name']}.png",
            ):
                assert np.array_equal(png.read(path), pictures[hero.layout.frames.index(frame)])
        assert sequence["length"] == at
        assert len(list(place.rglob("*.png"))) == 2 * len(keys)
        assert (sequence["playbackSpeedType"], sequence["playback"]) == (0, 1)


def test_a_sprite_has_its_bounds_origin_and_nine_slice(tmp_path: Path, trimmed: Sheet) -> None:
    sheet = changed(trimmed, "characters", tags=())
    folder = export(tmp_path / "out", sheet, format="sprites", project="Island")
    sprite = read(folder, "spr_hero_0")
    assert [sprite[f"bbox_{side}"] for side in ("left", "top", "right", "bottom")] == [2, 1, 7, 5]
    assert (sprite["width"], sprite["height"], sprite["origin"]) == (10, 9, 9)
    assert (sprite["sequence"]["xorigin"], sprite["sequence"]["yorigin"]) == (5, 4)
    nine = read(folder, "spr_hero_2")["nineSlice"]
    assert [nine[side] for side in ("left", "top", "right", "bottom")] == [1, 1, 1, 8]
    assert nine["enabled"]
    assert sprite["nineSlice"] is None


def test_a_sprite_without_a_visible_pixel_has_all_of_it_as_bounds(tmp_path: Path) -> None:
    sheet = changed(drawn_sheets.packed(tmp_path / "sheet", [np.zeros((3, 5, 4), np.uint8)]))
    sprite = read(export(tmp_path / "out", sheet, format="sprites", project="Island"), "spr_hero_0")
    assert [sprite[f"bbox_{side}"] for side in ("left", "top", "right", "bottom")] == [0, 0, 4, 2]


def test_identities_are_of_names_alone_and_all_different(tmp_path: Path, hero: Sheet) -> None:
    one = export(tmp_path / "one", hero, format="sprites", project="Island")
    two = export(tmp_path / "two", changed(hero, "other", frames=hero.layout.frames[:4]), format="sprites", project="B")
    stems = [path.stem for path in one.rglob("*.png") if "layers" not in path.parts]
    assert len(set(stems)) == len(stems)
    assert all(str(uuid.UUID(stem)) == stem and uuid.UUID(stem).version == 4 for stem in stems)
    walk = "sprites/spr_hero_walk_left"
    assert {path.name for path in (one / walk).iterdir()} == {path.name for path in (two / walk).iterdir()}


def test_the_project_gets_a_line_for_every_sprite(tmp_path: Path, hero: Sheet) -> None:
    folder = export(tmp_path / "out", hero, format="sprites", project="Island.yyp")
    lines = (folder / "resources.txt").read_text().splitlines()
    names = [json.loads(line.strip().rstrip(",").replace(",}", "}"))["id"]["name"] for line in lines]
    assert names == ["spr_hero_walk_left", "spr_hero_turn", "spr_hero_4"]
    assert all((folder / "sprites" / name / f"{name}.yy").is_file() for name in names)


def test_what_gamemaker_cannot_show_is_refused(tmp_path: Path, hero: Sheet) -> None:
    with pytest.raises(StageError, match="GameMaker cannot mirror a frame"):
        export(tmp_path / "mirrored", drawn_sheets.trimmed(tmp_path / "other"))
    with pytest.raises(StageError, match="two sprites would be called 'spr_hero_turn'"):
        export(tmp_path / "twice", hero, changed(hero, tags=hero.layout.tags[1:]))
    alike = (Tag(name="a-b", first=0, last=0), Tag(name="a_b", first=1, last=1))
    with pytest.raises(StageError, match="two sprites would be called 'spr_hero_a_b'"):
        export(tmp_path / "alike", changed(hero, tags=alike))
    with pytest.raises(StageError, match="the same time, and 'walk-left' would need 257 of them, more than 256"):
        export(tmp_path / "times", timed(hero, 83, 84, 90, 1, 1, pivot=(4.5, 8)))
    far = tuple(frame.model_copy(update={"pivot": (1e4 * n, 1e4 * n)}) for n, frame in enumerate(hero.layout.frames))
    with pytest.raises(StageError, match="laid on each other by their pivots are too large"):
        export(tmp_path / "far", Sheet(hero.layout.model_copy(update={"frames": far}), hero.pages))
    with pytest.raises(ValidationError, match="needs the name of the project"):
        gamemaker.Options(kind="gamemaker", format="sprites")
    with pytest.raises(ValidationError, match="letters, digits and underscores"):
        gamemaker.Options(kind="gamemaker", prefix="1-")
    with pytest.raises(ValidationError, match="is not the name of a"):
        gamemaker.Options(kind="gamemaker", project='Isl"and')


@pytest.mark.parametrize(("name", "plain"), [("a-b", "a_b"), ("1up", "_1up"), ("ü", "_"), ("ok_2", "ok_2")])
def test_names_become_those_of_gamemaker(name: str, plain: str) -> None:
    assert gamemaker._name(name) == plain


@pytest.mark.parametrize("style", ["strip", "sprites"])
def test_the_same_sheets_give_the_same_bytes(tmp_path: Path, trimmed: Sheet, style: str) -> None:
    one, two = (export(tmp_path / name, trimmed, format=style, project="Island") for name in "ab")
    assert_same_bytes(one, two)
