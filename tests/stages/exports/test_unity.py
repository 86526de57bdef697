"""Unity's metas and clips compared with what Unity itself writes; no Unity loads them here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import drawn_sheets
import pytest
import yaml
from engine_sheets import assert_same_bytes, changed, with_companions
from hypothesis import given
from hypothesis import strategies as st

from spritebuild.errors import StageError
from spritebuild_stages.exports import animations, unity
from spritebuild_stages.exports.sheet import Sheet
from spritebuild_stages.sheets.layout import Page, Slice, Tag

# Of Samples~/WaterfallAnimatedTile/Sprites/Waterfall.png.meta in Unity-Technologies/2d-extras, 8de698a.
SPRITE_KEYS = [
    "serializedVersion",
    "name",
    "rect",
    "alignment",
    "pivot",
    "border",
    "outline",
    "physicsShape",
    "tessellationDetail",
    "bones",
    "spriteID",
    "internalID",
    "vertices",
    "indices",
    "edges",
    "weights",
]
SHEET_KEYS = [
    "serializedVersion",
    "sprites",
    "outline",
    "physicsShape",
    "bones",
    "spriteID",
    "internalID",
    "vertices",
    "indices",
    "edges",
    "weights",
    "secondaryTextures",
    "nameFileIdTable",
]


class Loader(yaml.SafeLoader):
    """Reads Unity's class tags as plain mappings."""


Loader.add_multi_constructor(
    "tag:unity3d.com,2011:", lambda loader, suffix, node: loader.construct_mapping(node, deep=True)
)


def read(path: Path) -> Any:
    text = path.read_text(encoding="utf-8")
    assert text.endswith("\n")
    assert "\r" not in text
    return yaml.load(text, Loader)


def export(folder: Path, *sheets: Sheet, **options: Any) -> Path:
    folder.mkdir()
    unity.write(sheets, folder, unity.Options(kind="unity", **options))
    return folder


def sprites(meta: Any) -> dict[str, Any]:
    return {sprite["name"]: sprite for sprite in meta["TextureImporter"]["spriteSheet"]["sprites"]}


@pytest.fixture
def trimmed(tmp_path: Path) -> Sheet:
    return changed(drawn_sheets.trimmed(tmp_path / "sheet"), "characters/good")


def test_a_page_is_imported_as_pixel_art(tmp_path: Path, trimmed: Sheet) -> None:
    folder = export(tmp_path / "out", trimmed, pixels_per_unit=16) / "characters" / "good"
    for page in trimmed.layout.pages:
        meta = read(folder / f"{page.image}.meta")
        importer = meta["TextureImporter"]
        assert meta["fileFormatVersion"] == 2
        assert (importer["spriteMode"], importer["textureType"], importer["alphaIsTransparency"]) == (2, 8, 1)
        assert (importer["textureSettings"]["filterMode"], importer["mipmaps"]["enableMipMap"]) == (0, 0)
        assert (importer["nPOTScale"], importer["spritePixelsToUnits"]) == (0, 16)
        assert [platform["textureCompression"] for platform in importer["platformSettings"]] == [0]
        assert list(importer["spriteSheet"]) == SHEET_KEYS
        assert all(list(sprite) == SPRITE_KEYS for sprite in importer["spriteSheet"]["sprites"])
        assert (folder / page.image).read_bytes() == (trimmed.pages / page.image).read_bytes()


def test_sprites_are_cut_from_the_bottom_and_stand_on_their_pivot(tmp_path: Path, trimmed: Sheet) -> None:
    folder = export(tmp_path / "out", trimmed) / "characters" / "good"
    seen = []
    for number, page in enumerate(trimmed.layout.pages):
        found = sprites(read(folder / f"{page.image}.meta"))
        for frame in trimmed.layout.frames:
            if frame.page != number:
                assert frame.name not in found
                continue
            seen.append(frame.name)
            sprite = found[frame.name]
            rect = sprite["rect"]
            assert (rect["x"], page.height - rect["y"] - rect["height"]) == (frame.x, frame.y)
            assert (rect["width"], rect["height"]) == frame.box[2:]
            assert sprite["alignment"] == 9
            across = frame.box[0] + sprite["pivot"]["x"] * rect["width"]
            down = frame.box[1] + (1 - sprite["pivot"]["y"]) * rect["height"]
            pivot = frame.pivot or (frame.source[0] / 2, frame.source[1] / 2)
            assert (across, down) == pytest.approx(pivot, abs=1e-5)
    assert sorted(seen) == sorted(frame.name for frame in trimmed.layout.frames)


def test_names_and_ids_agree_everywhere(tmp_path: Path, trimmed: Sheet) -> None:
    folder = export(tmp_path / "out", trimmed) / "characters" / "good"
    ids = []
    for page in trimmed.layout.pages:
        importer = read(folder / f"{page.image}.meta")["TextureImporter"]
        found = {sprite["name"]: sprite["internalID"] for sprite in importer["spriteSheet"]["sprites"]}
        assert importer["spriteSheet"]["nameFileIdTable"] == found
        assert {row["second"]: row["first"][213] for row in importer["internalIDToNameTable"]} == found
        assert all(-(2**63) <= identity < 2**63 and identity for identity in found.values())
        ids += found.values()
    assert len(set(ids)) == len(ids) == len(trimmed.layout.frames)


def test_references_stay_when_other_sprites_come(tmp_path: Path) -> None:
    few = changed(drawn_sheets.packed(tmp_path / "few", drawn_sheets.hero(2)))
    many = changed(drawn_sheets.packed(tmp_path / "many", drawn_sheets.hero(5)))
    before, after = (
        read(export(tmp_path / name, sheet) / "hero.png.meta") for name, sheet in (("a", few), ("b", many))
    )
    assert before["guid"] == after["guid"]
    for name, sprite in sprites(before).items():
        assert sprites(after)[name]["internalID"] == sprite["internalID"]
        assert sprites(after)[name]["spriteID"] == sprite["spriteID"]
    elsewhere = read(export(tmp_path / "c", few, root="Assets/Other") / "hero.png.meta")
    assert elsewhere["guid"] != before["guid"]


def test_every_asset_has_a_meta_with_a_guid_of_its_own(tmp_path: Path, trimmed: Sheet) -> None:
    other = changed(drawn_sheets.packed(tmp_path / "other", drawn_sheets.hero(), tags=drawn_sheets.HERO_TAGS))
    folder = export(tmp_path / "out", trimmed, other)
    paths = {path for path in folder.rglob("*") if path.suffix != ".meta"}
    metas = list(folder.rglob("*.meta"))
    assert {path.with_suffix("") for path in metas} == paths
    guids = [read(path)["guid"] for path in metas]
    assert len(set(guids)) == len(guids)
    assert all(len(guid) == 32 and int(guid, 16) for guid in guids)


def test_clips_show_every_sprite_at_its_time(tmp_path: Path) -> None:
    sheet = changed(drawn_sheets.packed(tmp_path / "sheet", drawn_sheets.hero(), tags=drawn_sheets.HERO_TAGS))
    folder = export(tmp_path / "out", sheet)
    meta = read(folder / "hero.png.meta")
    names = {sprite["internalID"]: name for name, sprite in sprites(meta).items()}
    for animation in animations.of_tags(sheet.layout):
        path = folder / "hero.clips" / f"hero_{animation.name}.anim"
        assert path.read_text().startswith("%YAML 1.1\n%TAG !u! tag:unity3d.com,2011:\n--- !u!74 &7400000\n")
        clip = read(path)["AnimationClip"]
        assert read(path.with_name(f"{path.name}.meta"))["NativeFormatImporter"]["mainObjectFileID"] == 7400000
        assert clip["m_Name"] == path.stem
        (curve,) = clip["m_PPtrCurves"]
        assert (curve["attribute"], curve["classID"], curve["path"]) == ("m_Sprite", 212, None)
        assert [key["value"] for key in curve["curve"]] == clip["m_ClipBindingConstant"]["pptrCurveMapping"]
        assert all(key["value"]["guid"] == meta["guid"] for key in curve["curve"])
        keys = [(key["time"] * 1000, names[key["value"]["fileID"]]) for key in curve["curve"]]
        at = 0.0
        for frame in animation.frames:
            for time in (at, at + frame.duration - 0.01):
                assert [name for start, name in keys if start <= time + 1e-3][-1] == frame.name
            at += frame.duration
        settings = clip["m_AnimationClipSettings"]
        assert keys[-1][0] + 1000 / clip["m_SampleRate"] == pytest.approx(at)
        assert settings["m_StopTime"] * 1000 == pytest.approx(at)
        assert bool(settings["m_LoopTime"]) is animation.loop
        assert all(
            (start * clip["m_SampleRate"] / 1000) == pytest.approx(round(start * clip["m_SampleRate"] / 1000))
            for start, _ in keys
        )
    assert not list(export(tmp_path / "without", sheet, clips=False).rglob("*.anim"))


def test_a_nine_slice_has_its_borders(tmp_path: Path) -> None:
    slices = (Slice(name="panel", frame=0, bounds=(0, 0, 8, 8), center=(1, 2, 4, 3)),)
    sheet = changed(drawn_sheets.packed(tmp_path / "sheet", drawn_sheets.hero(2)), slices=slices)
    found = sprites(read(export(tmp_path / "out", sheet) / "hero.png.meta"))
    assert found["hero_0"]["border"] == {"x": 1, "y": 3, "z": 3, "w": 2}  # left, bottom, right, top
    assert found["hero_1"]["border"] == {"x": 0, "y": 0, "z": 0, "w": 0}


def test_companions_are_secondary_textures(tmp_path: Path) -> None:
    sheet = changed(drawn_sheets.packed(tmp_path / "sheet", drawn_sheets.hero(2)))
    sheet = with_companions(sheet, "normal", "emissive")
    companions = sheet.layout.pages[0].companions
    folder = export(tmp_path / "out", sheet)
    listed = read(folder / "hero.png.meta")["TextureImporter"]["spriteSheet"]["secondaryTextures"]
    metas = {role: read(folder / f"{name}.meta") for role, name in companions.items()}
    assert {one["name"]: one["texture"]["guid"] for one in listed} == {
        "_NormalMap": metas["normal"]["guid"],
        "_EmissiveMap": metas["emissive"]["guid"],
    }
    normal, emissive = metas["normal"]["TextureImporter"], metas["emissive"]["TextureImporter"]
    assert (normal["textureType"], normal["mipmaps"]["sRGBTexture"], normal["spriteMode"]) == (1, 0, 0)
    assert (emissive["textureType"], emissive["mipmaps"]["sRGBTexture"]) == (0, 1)


@given(st.text(st.characters(categories=("L", "N", "P", "S"), max_codepoint=0x2FF), min_size=1))
def test_a_name_is_a_string_to_every_reader_of_yaml(name: str) -> None:
    assert yaml.safe_load(f"{{name: {unity._yaml(name)}}}") == {"name": name}


def test_names_that_look_like_numbers_stay_names(tmp_path: Path) -> None:
    sheet = changed(drawn_sheets.packed(tmp_path / "sheet", drawn_sheets.hero(4)))
    words = ("1", "true", "0x10", "-")
    frames = tuple(
        frame.model_copy(update={"name": name}) for frame, name in zip(sheet.layout.frames, words, strict=True)
    )
    meta = read(export(tmp_path / "out", changed(sheet, frames=frames)) / "hero.png.meta")
    assert tuple(sprites(meta)) == words
    assert tuple(meta["TextureImporter"]["spriteSheet"]["nameFileIdTable"]) == words


@pytest.mark.parametrize(("size", "largest"), [(1, 2048), (2048, 2048), (2049, 4096), (16384, 16384)])
def test_the_maximum_size_holds_the_page(size: int, largest: int) -> None:
    assert unity._max_size(Page(image="hero.png", width=1, height=size)) == largest


def test_what_unity_cannot_show_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="Unity cannot mirror a frame"):
        export(tmp_path / "mirrored", drawn_sheets.trimmed(tmp_path / "sheet"))
    with pytest.raises(StageError, match="16,385 pixels long, and Unity's textures at most 16,384"):
        unity._max_size(Page(image="hero.png", width=16385, height=1))
    twice = (Tag(name="walk", first=0, last=0), Tag(name="walk", first=1, last=1))
    sheet = drawn_sheets.packed(tmp_path / "other", drawn_sheets.hero(2), tags=twice)
    with pytest.raises(StageError, match="has two tags 'walk'"):
        export(tmp_path / "twice", sheet)


def test_the_same_sheets_give_the_same_bytes(tmp_path: Path, trimmed: Sheet) -> None:
    one, two = (export(tmp_path / name, trimmed) for name in "ab")
    assert_same_bytes(one, two)
