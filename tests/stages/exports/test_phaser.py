"""Multi-atlases and animations for Phaser, as files; tests/consumers loads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from drawn_sheets import HERO_TAGS, drawing, hero, packed, trimmed
from pydantic import ValidationError

from spritebuild.errors import StageError
from spritebuild_stages.exports import phaser
from spritebuild_stages.exports.sheet import Sheet
from spritebuild_stages.sheets.layout import Slice, Tag

GOLDEN = """\
{
 "textures": [
  {
   "image": "hero.png",
   "format": "RGBA8888",
   "size": {
    "w": 3,
    "h": 3
   },
   "scale": 1,
   "frames": [
    {
     "filename": "hero 0 <&\\"'>",
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
   ]
  }
 ],
 "meta": {
  "app": "spritebuild",
  "version": "1"
 }
}
"""

ANIMATIONS = """\
{
 "anims": [
  {
   "key": "hero-stand",
   "type": "frame",
   "frames": [
    {
     "key": "hero",
     "frame": "hero 0 <&\\"'>",
     "duration": 100
    }
   ],
   "duration": 100,
   "repeat": -1,
   "yoyo": false
  }
 ],
 "globalTimeScale": 1
}
"""

PACK = """\
{
 ".": {
  "files": [
   {
    "type": "multiatlas",
    "key": "hero",
    "url": "hero.json"
   },
   {
    "type": "animation",
    "key": "hero-anims",
    "url": "hero.anims.json"
   }
  ]
 }
}
"""


def export(sheet: Sheet, folder: Path, **told: Any) -> Path:
    folder.mkdir(exist_ok=True)
    phaser.write([sheet], folder, phaser.Options.model_validate({"kind": "phaser", **told}))
    return folder


def read(path: Path) -> Any:
    return json.loads(path.read_bytes())


def test_the_files_have_these_bytes(tmp_path: Path) -> None:
    sheet = packed(tmp_path / "sheet", [drawing(0, 2, 3)], tags=(Tag(name="stand", first=0, last=0),))
    folder = export(sheet, tmp_path / "out", aseprite=False)
    found = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert found == {
        "hero.png": (sheet.pages / "hero.png").read_bytes(),
        "hero.json": GOLDEN.encode(),
        "hero.anims.json": ANIMATIONS.encode(),
        "pack.json": PACK.encode(),
    }


def test_animations_say_their_times_repeats_and_directions(tmp_path: Path) -> None:
    sheet = packed(tmp_path / "sheet", hero(), tags=HERO_TAGS)
    anims = read(export(sheet, tmp_path / "out") / "hero.anims.json")["anims"]
    number = {frame.name: place for place, frame in enumerate(sheet.layout.frames)}
    found = {
        one["key"]: ([number[frame["frame"]] for frame in one["frames"]], one["repeat"], one["yoyo"]) for one in anims
    }
    assert found == {
        "hero-walk": ([0, 1, 2, 3], -1, False),
        "hero-turn": ([1, 2, 3, 4], -1, True),
        "hero-back": ([4, 3, 2], 1, False),
        "hero-sway": ([5, 4, 3, 4], 0, False),
        "hero-rest": ([5], -1, False),
    }
    for one in anims:
        times = [sheet.layout.frames[number[frame["frame"]]].duration for frame in one["frames"]]
        assert [frame["duration"] for frame in one["frames"]] == times
        assert one["duration"] == sum(times)


def test_a_pingpong_from_its_end_is_a_yoyo_from_there(tmp_path: Path) -> None:
    tags = (Tag(name="sway", first=0, last=2, direction="pingpong_reverse"),)
    sheet = packed(tmp_path / "sheet", hero(3), tags=tags)
    (one,) = read(export(sheet, tmp_path / "out") / "hero.anims.json")["anims"]
    assert one["yoyo"]
    assert [frame["frame"] for frame in one["frames"]] == [frame.name for frame in reversed(sheet.layout.frames)]


def test_keys_of_animations_follow_the_template(tmp_path: Path) -> None:
    sheet = packed(tmp_path / "sheet", hero(1), tags=(Tag(name="a", first=0, last=0),))
    (one,) = read(export(sheet, tmp_path / "out", animation="{tag} of {sheet}") / "hero.anims.json")["anims"]
    assert one["key"] == "a of hero"
    with pytest.raises(ValidationError, match=r"has to hold \{tag\}"):
        phaser.Options(kind="phaser", animation="{sheet}")


def test_animations_of_one_key_are_refused(tmp_path: Path) -> None:
    tags = (Tag(name="walk", first=0, last=0),)
    sheets = [packed(tmp_path / name, hero(1), name=name, tags=tags) for name in ("hero", "orc")]
    (tmp_path / "out").mkdir()
    with pytest.raises(StageError, match="two animations would have the key 'walk'") as caught:
        phaser.write(sheets, tmp_path / "out", phaser.Options(kind="phaser", animation="{tag}"))
    assert caught.value.facts == (("of the sheets", "hero, orc"),)
    phaser.write(sheets, tmp_path / "out", phaser.Options(kind="phaser"))


def test_every_page_is_a_texture_of_one_atlas(tmp_path: Path) -> None:
    sheet = packed(tmp_path / "sheet", hero(5), per_page=2)
    folder = export(sheet, tmp_path / "out")
    textures = read(folder / "hero.json")["textures"]
    assert [texture["image"] for texture in textures] == ["hero-0.png", "hero-1.png", "hero-2.png"]
    names = [frame["filename"] for texture in textures for frame in texture["frames"]]
    assert names == [frame.name for frame in sheet.layout.frames]
    # No tags, no animations; load.aseprite takes a single page.
    assert sorted(path.name for path in folder.glob("*.json")) == ["hero.json", "pack.json"]


def test_aseprite_frames_are_called_by_their_numbers(tmp_path: Path) -> None:
    sheet = packed(tmp_path / "sheet", hero(3), tags=(Tag(name="a", first=1, last=2, direction="pingpong"),))
    content = read(export(sheet, tmp_path / "out") / "hero.aseprite.json")
    assert [frame["filename"] for frame in content["frames"]] == ["0", "1", "2"]
    assert [frame["duration"] for frame in content["frames"]] == [100, 70, 130]
    (tag,) = content["meta"]["frameTags"]
    assert (tag["name"], tag["from"], tag["to"], tag["direction"]) == ("a", 1, 2, "pingpong")


def test_nine_slices_and_normal_maps_are_phasers(tmp_path: Path) -> None:
    sheet = trimmed(tmp_path / "sheet")
    frames = (sheet.layout.frames[0], *sheet.layout.frames[2:])  # the second one is mirrored
    slices = (Slice(name="panel", frame=0, bounds=(1, 1, 9, 8), center=(3, 2, 2, 1)),)
    first, second = sheet.layout.pages
    (sheet.pages / "n.png").write_bytes(b"a normal map")
    layout = sheet.layout.model_copy(
        update={
            "frames": frames, "slices": slices, "tags": (),
            "pages": (first.model_copy(update={"companions": {"normal": "n.png"}}), second),
        }
    )  # fmt: skip
    folder = export(Sheet(layout, sheet.pages), tmp_path / "out")
    textures = read(folder / "hero.json")["textures"]
    assert textures[0]["normalMap"] == "n.png" and "normalMap" not in textures[1]
    assert (folder / "n.png").is_file()
    borders = [frame.get("scale9Borders") for texture in textures for frame in texture["frames"]]
    assert borders == [{"x": 2, "y": 2, "w": 2, "h": 1}, None, None]


@pytest.mark.parametrize(
    ("url", "paths"),
    (
        ("", {".": None, "a/b": "a/b/"}),
        ("assets", {".": "assets/", "a/b": "assets/a/b/"}),
        ("/", {".": "/", "a/b": "/a/b/"}),
        ("https://example.com/x/", {".": "https://example.com/x/", "a/b": "https://example.com/x/a/b/"}),
    ),
)
def test_the_pack_has_a_path_for_every_category(tmp_path: Path, url: str, paths: dict[str, str | None]) -> None:
    other = packed(tmp_path / "b", hero(1), name="orc")
    sheets = [packed(tmp_path / "a", hero(1)), Sheet(other.layout, other.pages, "a/b")]
    (tmp_path / "out").mkdir()
    phaser.write(sheets, tmp_path / "out", phaser.Options(kind="phaser", url=url))
    pack = read(tmp_path / "out/pack.json")
    assert {name: section.get("path") for name, section in pack.items()} == paths
    assert [file["url"] for section in pack.values() for file in section["files"]] == ["hero.json", "orc.json"]
    assert (tmp_path / "out/a/b/orc.json").is_file()


def test_mirrored_frames_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="Phaser cannot mirror a frame of an atlas, and 1 frames are"):
        export(trimmed(tmp_path / "sheet"), tmp_path / "out")


def test_a_sheet_cannot_be_called_like_the_pack(tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"two files of an export would be called pack\.json"):
        export(packed(tmp_path / "sheet", hero(1), name="pack"), tmp_path / "out")
