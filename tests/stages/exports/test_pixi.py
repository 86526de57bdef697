"""Spritesheets for PixiJS, as files; tests/consumers loads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawn_sheets import HERO_TAGS, drawing, hero, packed, trimmed
from pydantic import ValidationError

from spritebuild.errors import StageError
from spritebuild_stages.exports import pixi
from spritebuild_stages.exports.sheet import Sheet
from spritebuild_stages.sheets.layout import Slice, Tag

GOLDEN = """\
{
 "frames": {
  "hero 0 <&\\"'>": {
   "frame": {
    "x": 0,
    "y": 0,
    "w": 2,
    "h": 3
   },
   "rotated": false,
   "trimmed": false,
   "spriteSourceSize": {
    "x": 0,
    "y": 0,
    "w": 2,
    "h": 3
   },
   "sourceSize": {
    "w": 2,
    "h": 3
   },
   "duration": 100
  }
 },
 "meta": {
  "app": "spritebuild",
  "version": "1",
  "image": "hero.png",
  "format": "RGBA8888",
  "size": {
   "w": 3,
   "h": 3
  },
  "scale": "1",
  "frameTags": [
   {
    "name": "stand",
    "from": 0,
    "to": 0,
    "direction": "forward",
    "color": "#000000ff"
   }
  ]
 },
 "animations": {
  "stand": [
   "hero 0 <&\\"'>"
  ]
 },
 "timelines": {
  "stand": {
   "loop": true,
   "frames": [
    {
     "texture": "hero 0 <&\\"'>",
     "time": 100
    }
   ]
  }
 }
}
"""


def export(sheet: Sheet, folder: Path, **told: Any) -> Path:
    folder.mkdir(exist_ok=True)
    pixi.write([sheet], folder, pixi.Options.model_validate({"kind": "pixi", **told}))
    return folder


def read(path: Path) -> Any:
    return json.loads(path.read_bytes())


def names(sheet: Sheet, *numbers: int) -> list[str]:
    return [sheet.layout.frames[number].name for number in numbers]


def test_a_spritesheet_has_these_bytes(tmp_path: Path) -> None:
    sheet = packed(tmp_path / "sheet", [drawing(0, 2, 3)], tags=(Tag(name="stand", first=0, last=0),))
    folder = export(sheet, tmp_path / "out")
    assert sorted(path.name for path in folder.iterdir()) == ["hero.json", "hero.png", "manifest.json"]
    assert (folder / "hero.json").read_bytes() == GOLDEN.encode()
    assert (folder / "hero.png").read_bytes() == (sheet.pages / "hero.png").read_bytes()


def test_animations_are_one_pass_and_timelines_all_of_them(tmp_path: Path) -> None:
    sheet = packed(tmp_path / "sheet", hero(), tags=HERO_TAGS)
    content = read(export(sheet, tmp_path / "out") / "hero.json")
    passes = {"walk": (0, 1, 2, 3), "turn": (1, 2, 3, 4, 3, 2), "back": (4, 3, 2), "sway": (5, 4, 3, 4), "rest": (5,)}
    assert content["animations"] == {tag: names(sheet, *numbers) for tag, numbers in passes.items()}
    assert {tag: line["loop"] for tag, line in content["timelines"].items()} == {
        "walk": True, "turn": True, "back": False, "sway": False, "rest": True,
    }  # fmt: skip
    times = {frame.name: frame.duration for frame in sheet.layout.frames}
    for tag, numbers in passes.items():
        shown = names(sheet, *numbers) * (2 if tag == "back" else 1)
        assert content["timelines"][tag]["frames"] == [{"texture": name, "time": times[name]} for name in shown]


def test_an_animation_over_two_pages_is_a_timeline_alone(tmp_path: Path) -> None:
    tags = (Tag(name="both", first=1, last=2), Tag(name="first", first=0, last=1), Tag(name="last", first=2, last=3))
    sheet = packed(tmp_path / "sheet", hero(4), per_page=2, tags=tags)
    folder = export(sheet, tmp_path / "out")
    first, second = read(folder / "hero-0.json"), read(folder / "hero-1.json")
    assert first["animations"] == {"first": names(sheet, 0, 1)}
    assert second["animations"] == {"last": names(sheet, 2, 3)}
    assert list(first["timelines"]) == ["both", "first", "last"]
    assert "timelines" not in second
    assert first["meta"]["related_multi_packs"] == ["hero-1.json"]
    assert second["meta"]["related_multi_packs"] == ["hero-0.json"]
    (asset,) = read(folder / "manifest.json")["bundles"][0]["assets"]
    assert asset == {"alias": "hero", "src": "hero-0.json", "data": {"textureOptions": {"scaleMode": "nearest"}}}


def test_a_pivot_is_an_anchor_in_parts_of_the_source(tmp_path: Path) -> None:
    sheet = packed(tmp_path / "sheet", hero(2))
    frames = read(export(sheet, tmp_path / "out") / "hero.json")["frames"]
    without, given = (frames[name] for name in names(sheet, 0, 1))
    assert "anchor" not in without
    assert given["anchor"] == {"x": 0.5, "y": 1.0}


def test_borders_are_those_of_the_kept_pixels(tmp_path: Path) -> None:
    sheet = trimmed(tmp_path / "sheet")
    frames = (sheet.layout.frames[0], *sheet.layout.frames[2:])  # the second one is mirrored
    slices = (
        Slice(name="hit", frame=0, bounds=(0, 0, 10, 9)),
        Slice(name="panel", frame=0, bounds=(1, 1, 9, 8), center=(3, 2, 4, 1)),
        Slice(name="later", frame=0, bounds=(0, 0, 10, 9), center=(4, 4, 1, 1)),
        Slice(name="outside", frame=1, bounds=(0, 0, 5, 12), center=(5, 0, 1, 1)),
        Slice(name="more", frame=2, bounds=(0, 0, 1, 4), center=(0, 0, 1, 4)),
    )
    layout = sheet.layout.model_copy(update={"frames": frames, "tags": (), "slices": slices})
    folder = export(Sheet(layout, sheet.pages), tmp_path / "out")
    first, second = read(folder / "hero-0.json")["frames"], read(folder / "hero-1.json")["frames"]
    # Kept are 6x5 pixels at (2, 1); the center is at (4, 3).
    assert first[frames[0].name]["borders"] == {"left": 2, "top": 2, "right": 0, "bottom": 2}
    assert "borders" not in first[frames[1].name]
    assert second[frames[2].name]["borders"] == {"left": 0, "top": 0, "right": 0, "bottom": 0}


def test_a_prefix_goes_through_everything(tmp_path: Path) -> None:
    sheet = packed(tmp_path / "sheet", hero(2), tags=(Tag(name="all", first=0, last=1),))
    content = read(export(sheet, tmp_path / "out", prefix=True) / "hero.json")
    wanted = [f"hero/{name}" for name in names(sheet, 0, 1)]
    assert list(content["frames"]) == wanted == content["animations"]["all"]
    assert [one["texture"] for one in content["timelines"]["all"]["frames"]] == wanted


def test_the_manifest_has_a_bundle_for_every_category(tmp_path: Path) -> None:
    sheets = [
        packed(tmp_path / "a", hero(1), name="hero"),
        Sheet(packed(tmp_path / "b", hero(1), name="goblin").layout, tmp_path / "b", "characters/small"),
        Sheet(packed(tmp_path / "c", hero(1), name="orc").layout, tmp_path / "c", "characters/small"),
    ]
    folder = tmp_path / "out"
    folder.mkdir()
    pixi.write(sheets, folder, pixi.Options(kind="pixi", scale_mode="linear"))
    bundles = read(folder / "manifest.json")["bundles"]
    found = {bundle["name"]: {asset["alias"]: asset["src"] for asset in bundle["assets"]} for bundle in bundles}
    assert found == {
        "default": {"hero": "hero.json"},
        "characters/small": {"goblin": "characters/small/goblin.json", "orc": "characters/small/orc.json"},
    }
    assert all(asset["data"]["textureOptions"]["scaleMode"] == "linear" for asset in bundles[1]["assets"])
    assert all((folder / src).is_file() for files in found.values() for src in files.values())


def test_companions_come_along(tmp_path: Path) -> None:
    sheet = packed(tmp_path / "sheet", hero(1))
    (page,) = sheet.layout.pages
    (sheet.pages / "hero_n.png").write_bytes(b"a normal map")
    layout = sheet.layout.model_copy(
        update={"pages": (page.model_copy(update={"companions": {"normal": "hero_n.png"}}),)}
    )
    folder = export(Sheet(layout, sheet.pages), tmp_path / "out", manifest=False)
    assert (folder / "hero_n.png").read_bytes() == b"a normal map"
    assert read(folder / "hero.json")["meta"]["companions"] == {"normal": "hero_n.png"}
    assert not (folder / "manifest.json").exists()


def test_mirrored_frames_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="PixiJS cannot mirror a frame of an atlas, and 1 frames are"):
        export(trimmed(tmp_path / "sheet"), tmp_path / "out")


def test_two_animations_of_a_name_are_refused(tmp_path: Path) -> None:
    sheet = packed(tmp_path / "sheet", hero(2), tags=(Tag(name="a", first=0, last=0), Tag(name="a", first=1, last=1)))
    with pytest.raises(StageError, match="two tags 'a'"):
        export(sheet, tmp_path / "out")


def test_a_sheet_cannot_be_called_like_the_manifest(tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"two files of an export would be called manifest\.json"):
        export(packed(tmp_path / "sheet", [np.full((1, 1, 4), 255, np.uint8)], name="manifest"), tmp_path / "out")


@pytest.mark.parametrize("told", ({"scale_mode": "cubic"}, {"prefix": "a"}, {"folder": "a"}, {"kind": "phaser"}))
def test_options_have_limits(told: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        pixi.Options.model_validate({"kind": "pixi", **told})


def test_a_kind_has_to_be_named() -> None:
    with pytest.raises(ValidationError):
        pixi.Options.model_validate({})
