"""Bevy's layouts, indices and assets as files; tests/consumers reads them with serde."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import drawn_sheets
import numpy as np
import pytest
from engine_sheets import assert_same_bytes, changed, with_companions
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from ron_text import parse

from spritebuild.errors import StageError
from spritebuild_stages.exports import bevy, ron
from spritebuild_stages.exports.sheet import Sheet
from spritebuild_stages.sheets.layout import Grid, Tag


def export(folder: Path, *sheets: Sheet, **options: Any) -> Path:
    folder.mkdir()
    bevy.write(sheets, folder, bevy.Options(kind="bevy", **options))
    return folder


def read(path: Path) -> Any:
    return parse(path.read_text(encoding="utf-8"))


def from_grid(asset: dict[str, Any]) -> list[tuple[int, int]]:
    """Where the tiles of bevy_image's `TextureAtlasLayout::from_grid` begin."""
    far = (asset["tile_size_x"] + asset.get("padding_x", 0), asset["tile_size_y"] + asset.get("padding_y", 0))
    return [
        (asset.get("offset_x", 0) + x * far[0], asset.get("offset_y", 0) + y * far[1])
        for y in range(asset["rows"])
        for x in range(asset["columns"])
    ]


@pytest.fixture
def trimmed(tmp_path: Path) -> Sheet:
    return changed(drawn_sheets.trimmed(tmp_path / "sheet"), "characters")


def test_a_layout_has_the_pixels_of_every_frame(tmp_path: Path, trimmed: Sheet) -> None:
    folder = export(tmp_path / "out", trimmed) / "characters"
    index = read(folder / "hero.sprites.ron")
    pictures = trimmed.pictures()
    for number, frame in enumerate(trimmed.layout.frames):
        place = index["frames"][frame.name]
        image = index["pages"][place["page"]]
        found = read(folder / f"{image.removesuffix('.png')}.layout.ron")
        page = trimmed.page(place["page"])
        assert found["size"] == page.shape[1::-1]
        (left, top), (right, bottom) = (found["textures"][place["index"]][corner] for corner in ("min", "max"))
        x, y = place["offset"]
        whole = np.zeros((place["source_size"][1], place["source_size"][0], 4), np.uint8)
        whole[y : y + bottom - top, x : x + right - left] = page[top:bottom, left:right]
        assert np.array_equal(whole, pictures[number])
        assert place["milliseconds"] == frame.duration


def test_the_anchor_puts_the_pivot_in_its_place(tmp_path: Path, trimmed: Sheet) -> None:
    index = read(export(tmp_path / "out", trimmed) / "characters" / "hero.sprites.ron")
    for frame in trimmed.layout.frames:
        across, up = index["frames"][frame.name]["anchor"]
        left, top, width, height = frame.box
        pivot = frame.pivot or (frame.source[0] / 2, frame.source[1] / 2)
        assert (left + (across + 0.5) * width, top + (0.5 - up) * height) == pytest.approx(pivot, abs=1e-5)


def test_tags_say_what_is_shown_and_for_how_long(tmp_path: Path) -> None:
    sheet = changed(
        drawn_sheets.packed(tmp_path / "sheet", drawn_sheets.hero(), per_page=4, tags=drawn_sheets.HERO_TAGS)
    )
    index = read(export(tmp_path / "out", sheet) / "hero.sprites.ron")
    places = {(place["page"], place["index"]): name for name, place in index["frames"].items()}
    assert list(index["tags"]) == [tag.name for tag in sheet.layout.tags]
    for tag in sheet.layout.tags:
        found = index["tags"][tag.name]
        assert found["repeat"] == tag.repeat
        shown = [(places[one["page"], one["index"]], one["milliseconds"]) for one in found["frames"]]
        assert shown == [(frame.name, frame.duration) for frame in sheet.layout.of_tag(tag)]


@pytest.mark.parametrize("spacing", [0, 3])
@pytest.mark.parametrize("margin", [0, 2])
def test_a_grid_is_four_numbers_for_the_asset_loader(tmp_path: Path, spacing: int, margin: int) -> None:
    sheet = changed(
        drawn_sheets.grid(tmp_path / "sheet", drawn_sheets.hero(5), spacing=spacing, margin=margin), "characters/good"
    )
    assets = read(export(tmp_path / "out", sheet, root="art/") / "sprites.assets.ron")[0]
    assert assets["characters/good/hero"] == {
        "": "Image",
        "path": "art/characters/good/hero.png",
        "sampler": {"": "Nearest"},
    }
    asset = assets["characters/good/hero.layout"]
    assert asset.pop("") == "TextureAtlasLayout"
    assert ("padding_x" in asset, "offset_x" in asset) == (spacing > 0, margin > 0)
    assert from_grid(asset)[:5] == [(frame.x, frame.y) for frame in sheet.layout.frames]
    assert all(frame.box[2:] == (asset["tile_size_x"], asset["tile_size_y"]) for frame in sheet.layout.frames)


def test_packed_pages_and_trimmed_grids_have_their_layout_in_a_file(tmp_path: Path, trimmed: Sheet) -> None:
    grid = Grid(columns=2, cell=(10, 12))
    for number, sheet in enumerate([trimmed, changed(trimmed, "characters", grid=grid)]):
        folder = export(tmp_path / f"{number}", sheet, root="art", formats=("json",))
        assets = read(folder / "sprites.assets.ron")[0]
        for stem in ("hero-0", "hero-1"):
            path = f"art/characters/{stem}.layout.json"
            assert assets[f"characters/{stem}.layout"] == {"": "File", "path": path}
            assert (folder / path.removeprefix("art/")).is_file()
        assert not list(folder.rglob("*.layout.ron"))


def test_json_says_the_same(tmp_path: Path, trimmed: Sheet) -> None:
    folder = export(tmp_path / "out", trimmed) / "characters"
    paths = sorted(folder.glob("*.json"))
    assert len(paths) == 3
    for path in paths:
        as_json = json.dumps(read(path.with_suffix(".ron")))
        assert json.loads(as_json) == json.loads(path.read_text())


def test_companions_are_assets_of_their_own(tmp_path: Path) -> None:
    sheet = changed(drawn_sheets.packed(tmp_path / "sheet", drawn_sheets.hero(2)))
    folder = export(tmp_path / "out", with_companions(sheet, "normal"))
    assets = read(folder / "sprites.assets.ron")[0]
    assert assets["hero.normal"]["path"] == "hero.normal.png"
    assert (folder / "hero.normal.png").is_file()


def test_no_sheets_give_an_empty_map(tmp_path: Path) -> None:
    assert read(export(tmp_path / "out") / "sprites.assets.ron") == ({},)


def test_what_bevy_cannot_show_is_refused(tmp_path: Path, trimmed: Sheet) -> None:
    with pytest.raises(StageError, match="Bevy cannot mirror a frame"):
        export(tmp_path / "mirrored", drawn_sheets.trimmed(tmp_path / "other"))
    twice = (Tag(name="walk", first=0, last=0), Tag(name="walk", first=1, last=1))
    with pytest.raises(StageError, match="has two tags 'walk'"):
        export(tmp_path / "twice", changed(trimmed, tags=twice))
    for root in ("/art", "../art", "art/../.."):
        with pytest.raises(ValidationError, match="not a folder below assets"):
            bevy.Options(kind="bevy", root=root)


def test_the_same_sheets_give_the_same_bytes(tmp_path: Path, trimmed: Sheet) -> None:
    one, two = (export(tmp_path / name, trimmed) for name in "ab")
    assert_same_bytes(one, two)


VALUES = st.recursive(
    st.integers(-(2**32), 2**32)
    | st.booleans()
    | st.text(st.characters(blacklist_categories=("C", "Z")))
    | st.floats(-1e6, 1e6).map(lambda value: round(value, 3)),
    lambda child: (
        st.lists(child, max_size=3)
        | st.dictionaries(st.text('ab "\\', max_size=3), child, max_size=3)
        | st.lists(child, min_size=1, max_size=3).map(tuple)
    ),
    max_leaves=8,
)


@given(st.lists(VALUES, max_size=3))
def test_what_is_written_as_ron_is_read_again(values: list[Any]) -> None:
    assert parse(ron.document(values)) == values
    assert parse(ron.document(ron.Struct("Name", {"field": values}))) == {"": "Name", "field": values}
