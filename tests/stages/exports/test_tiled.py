"""Tilesets for Tiled, as files; tests/consumers loads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from drawn_sheets import HERO_SLICES, HERO_TAGS, drawing, grid, hero, packed, trimmed
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from spritebuild.errors import StageError
from spritebuild_stages.exports import tiled
from spritebuild_stages.exports.sheet import Sheet
from spritebuild_stages.images import png
from spritebuild_stages.sheets.layout import Grid, Tag

GOLDEN = """<?xml version="1.0" encoding="UTF-8"?>
<tileset version="1.10" tiledversion="1.10.2" name="hero" tilewidth="8" tileheight="8" spacing="2" margin="1" \
tilecount="3" columns="3">
 <image source="hero.png" width="30" height="10"/>
 <tile id="0">
  <properties>
   <property name="animation" value="walk"/>
   <property name="name" value="hero 0 &lt;&amp;&quot;'&gt;"/>
   <property name="repeat" type="int" value="2"/>
  </properties>
  <animation>
   <frame tileid="0" duration="100"/>
   <frame tileid="1" duration="70"/>
  </animation>
 </tile>
 <tile id="1">
  <properties>
   <property name="name" value="hero 1 &lt;&amp;&quot;'&gt;"/>
   <property name="pivot_x" type="float" value="4"/>
   <property name="pivot_y" type="float" value="8"/>
  </properties>
 </tile>
 <tile id="2">
  <properties>
   <property name="name" value="hero 2 &lt;&amp;&quot;'&gt;"/>
  </properties>
 </tile>
</tileset>
"""


def export(folder: Path, *sheets: Sheet, **told: Any) -> Path:
    out = folder / "out"
    out.mkdir()
    tiled.write(sheets, out, tiled.Options(kind="tiled", **told))
    return out


def read(path: Path) -> ElementTree.Element:
    return ElementTree.parse(path).getroot()


def animations(root: ElementTree.Element) -> dict[str, list[tuple[int, int, int]]]:
    """(tile, frame's tile, duration) by the name of the animation."""
    return {
        str(tile.find("properties/property[@name='animation']").get("value")): [  # type: ignore[union-attr]
            (int(tile.get("id", -1)), int(frame.get("tileid", -1)), int(frame.get("duration", -1)))
            for frame in tile.iterfind("animation/frame")
        ]
        for tile in root.iterfind("tile[animation]")
    }


def test_a_grid_is_written_as_tiled_writes_it(tmp_path: Path) -> None:
    sheet = grid(tmp_path / "s", hero(3), extrude=1, tags=(Tag(name="walk", first=0, last=1, repeat=2),))
    out = export(tmp_path, sheet)
    assert (out / "hero.tsx").read_bytes() == GOLDEN.encode()
    assert (out / "hero.png").read_bytes() == (tmp_path / "s/hero.png").read_bytes()
    assert sorted(path.name for path in out.iterdir()) == ["hero.png", "hero.tsj", "hero.tsx"]


def test_both_formats_say_the_same(tmp_path: Path) -> None:
    sheet = grid(tmp_path / "s", hero(), extrude=2, margin=3, spacing=1, tags=HERO_TAGS)
    out = export(tmp_path, sheet, object_alignment="bottom")
    root, data = read(out / "hero.tsx"), json.loads((out / "hero.tsj").read_bytes())
    assert data["type"] == "tileset"
    assert data["objectalignment"] == "bottom"
    assert {name: str(data[name]) for name in root.attrib} == root.attrib
    assert (data["image"], data["imagewidth"]) == ("hero.png", 44)
    for tile, entry in zip(root.iterfind("tile"), data["tiles"], strict=True):
        assert tile.get("id") == str(entry["id"])
        assert [
            {"name": one.get("name"), "type": one.get("type", "string")} for one in tile.iterfind(".//property")
        ] == [{"name": one["name"], "type": one["type"]} for one in entry["properties"]]
        assert [frame.attrib for frame in tile.iterfind(".//frame")] == [
            {name: str(value) for name, value in frame.items()} for frame in entry.get("animation", ())
        ]


def test_every_direction_is_unrolled_on_a_tile_of_its_own(tmp_path: Path) -> None:
    found = animations(read(export(tmp_path, grid(tmp_path / "s", hero(), tags=HERO_TAGS)) / "hero.tsx"))
    assert found == {
        "walk": [(0, 0, 100), (0, 1, 70), (0, 2, 130), (0, 3, 40)],
        "turn": [(1, 1, 70), (1, 2, 130), (1, 3, 40), (1, 4, 250), (1, 3, 40), (1, 2, 130)],
        "back": [(2, 4, 250), (2, 3, 40), (2, 2, 130)],
        "sway": [(3, 5, 90), (3, 4, 250), (3, 3, 40), (3, 4, 250)],
    }


def test_slices_are_collision_rectangles_but_for_nine_slices(tmp_path: Path) -> None:
    out = export(tmp_path, grid(tmp_path / "s", hero(), slices=HERO_SLICES))
    entries = json.loads((out / "hero.tsj").read_bytes())["tiles"]
    found = {
        (entry["id"], one["name"]): (one["x"], one["y"], one["width"], one["height"])
        for entry in entries
        for one in entry.get("objectgroup", {"objects": ()})["objects"]
    }
    assert found == {(1, "hit <1>"): (2, 1, 4, 5), (1, "foot"): (0, 7, 8, 1)}
    assert [one.get("name") for one in read(out / "hero.tsx").iterfind("tile/objectgroup/object")] == [
        "hit <1>",
        "foot",
    ]


def test_tags_of_the_same_frames_take_the_next_free_tile(tmp_path: Path) -> None:
    tags = [Tag(name="there", first=0, last=1), Tag(name="back", first=0, last=1, direction="reverse")]
    found = animations(read(export(tmp_path, grid(tmp_path / "s", hero(2), tags=tuple(tags))) / "hero.tsx"))
    assert found == {"there": [(0, 0, 100), (0, 1, 70)], "back": [(1, 1, 70), (1, 0, 100)]}


def test_a_tag_without_a_free_tile_is_refused(tmp_path: Path) -> None:
    tags = tuple(Tag(name=name, first=0, last=1) for name in ("a", "b", "c"))
    with pytest.raises(StageError, match="all tiles of 'c' have one") as raised:
        export(tmp_path, grid(tmp_path / "s", hero(2), tags=tags))
    assert raised.value.hint


@given(
    st.integers(1, 9),
    st.integers(1, 4),
    st.tuples(st.integers(1, 5), st.integers(1, 5)),
    st.tuples(st.integers(0, 9), st.integers(0, 3), st.integers(0, 2)),
    st.tuples(st.integers(0, 40), st.integers(0, 40)),
)
def test_tiles_lie_where_tiled_cuts_them_whatever_surrounds_them(
    tmp_path_factory: pytest.TempPathFactory,
    count: int,
    columns: int,
    size: tuple[int, int],
    around: tuple[int, int, int],
    padding: tuple[int, int],
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    margin, spacing, extrude = around
    least = grid(folder / "l", hero(count, size), columns=columns, margin=margin, spacing=spacing, extrude=extrude)
    page = least.layout.pages[0]
    sheet = grid(
        folder / "s",
        hero(count, size),
        columns=columns,
        margin=margin,
        spacing=spacing,
        extrude=extrude,
        size=(page.width + padding[0], page.height + padding[1]),
    )
    root = read(export(folder, sheet, formats=("tsx",)) / "hero.tsx")
    said = {name: int(root.get(name, "0")) for name in ("tilewidth", "tileheight", "spacing", "margin", "tilecount")}
    # Tileset::initializeTilesetTiles of Tiled.
    pixels = sheet.page(0)
    corners = [
        (x, y)
        for y in range(said["margin"], len(pixels) - said["tileheight"] + 1, said["tileheight"] + said["spacing"])
        for x in range(said["margin"], pixels.shape[1] - said["tilewidth"] + 1, said["tilewidth"] + said["spacing"])
    ]
    assert len(corners) == said["tilecount"]
    assert len({y for _, y in corners}) * int(root.get("columns", "0")) == said["tilecount"]
    for frame, tile in zip(sheet.layout.frames, root.iterfind("tile"), strict=True):
        assert corners[int(tile.get("id", "-1"))] == (frame.x, frame.y)


def test_a_smaller_frame_is_a_tile_unless_its_edges_are_repeated_in_the_cell(tmp_path: Path) -> None:
    pictures = [drawing(0, 8, 8), drawing(1, 5, 8), drawing(2, 8, 3), drawing(3, 1, 1)]
    out = export(tmp_path, grid(tmp_path / "s", pictures, spacing=1))
    out.rename(tmp_path / "first")
    with pytest.raises(StageError, match="repeated edges beside 'hero 1") as raised:
        export(tmp_path, grid(tmp_path / "t", pictures, extrude=1))
    assert raised.value.hint == "pad the sprites to one size, or say extrude = 0 in the sheet"


def test_a_packed_sheet_is_a_collection_of_rectangles(tmp_path: Path) -> None:
    pictures = [drawing(0, 5, 9), drawing(1, 12, 3), drawing(2, 1, 1)]
    sheet = packed(tmp_path / "s", pictures, per_page=2, tags=(Tag(name="all", first=0, last=2),))
    out = export(tmp_path, sheet)
    root, data = read(out / "hero.tsx"), json.loads((out / "hero.tsj").read_bytes())
    assert (root.get("tilewidth"), root.get("tileheight"), root.get("tilecount")) == ("12", "9", "3")
    assert (root.get("columns"), root.find("image")) == ("0", None)
    keys = ("x", "y", "width", "height")
    for tile, entry, picture in zip(root.iterfind("tile"), data["tiles"], pictures, strict=True):
        x, y, width, height = (int(tile.attrib[key]) for key in keys)
        assert (x, y, width, height) == tuple(entry[key] for key in keys)
        image = tile.find("image")
        assert image is not None
        assert image.attrib == {
            "source": entry["image"],
            "width": str(entry["imagewidth"]),
            "height": str(entry["imageheight"]),
        }
        pixels = png.read(out / entry["image"])
        assert pixels.shape[1::-1] == (entry["imagewidth"], entry["imageheight"])
        assert (pixels[y : y + height, x : x + width] == picture).all()
    assert len(animations(root)["all"]) == 3


def test_a_grid_of_several_pages_is_a_collection_too(tmp_path: Path) -> None:
    sheet = packed(tmp_path / "s", hero(3), per_page=2)
    layout = sheet.layout.model_copy(update={"grid": Grid(columns=2, cell=(8, 8), spacing=1)})
    told = read(export(tmp_path, Sheet(layout, sheet.pages)) / "hero.tsx")
    assert [image.get("source") for image in told.iterfind("tile/image")] == ["hero-0.png", "hero-0.png", "hero-1.png"]
    assert told.get("columns") == "0"


def test_what_tiled_cannot_undo_is_refused(tmp_path: Path) -> None:
    sheet = trimmed(tmp_path / "s")
    with pytest.raises(StageError, match="mirror") as raised:
        export(tmp_path, sheet)
    assert raised.value.hint == "say mirrors = false in the sheet"
    frames = tuple(frame.model_copy(update={"mirrored": False}) for frame in sheet.layout.frames)
    (tmp_path / "out").rmdir()
    with pytest.raises(StageError, match="3 frames are trimmed") as raised:
        export(tmp_path, Sheet(sheet.layout.model_copy(update={"frames": frames}), sheet.pages))
    assert raised.value.hint == "say trim = false in the sheet"


def test_sheets_lie_in_the_folders_of_their_categories(tmp_path: Path) -> None:
    one, two = grid(tmp_path / "s", hero(1), columns=1), packed(tmp_path / "t", hero(1), name="Zoë")
    out = export(tmp_path, Sheet(one.layout, one.pages, "people/small"), two, formats=("tsj",))
    files = sorted(path.relative_to(out).as_posix() for path in out.rglob("*.*"))
    assert files == ["Zoë.png", "Zoë.tsj", "people/small/hero.png", "people/small/hero.tsj"]
    assert json.loads((out / "Zoë.tsj").read_text("utf-8"))["tiles"][0]["image"] == "Zoë.png"


@pytest.mark.parametrize("told", [{"formats": ()}, {"formats": ("tmx",)}, {"object_alignment": "middle"}, {"more": 1}])
def test_unknown_options_are_refused(told: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        tiled.Options(kind="tiled", **told)
