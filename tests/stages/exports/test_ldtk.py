"""LDtk projects: against LDtk's schema where it is at hand, and by LDtk's own arithmetic."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from drawn_sheets import HERO_SLICES, HERO_TAGS, drawing, grid, hero, packed, trimmed
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from spritebuild.errors import StageError
from spritebuild_stages.exports import ldtk
from spritebuild_stages.exports.sheet import Sheet
from spritebuild_stages.images import png
from spritebuild_stages.images.png import Rgba

# docs/JSON_SCHEMA.json of LDtk's repository, version 1.5.3
SCHEMA = Path(__file__).parents[3] / "../shared/data/ldtk/JSON_SCHEMA.json"
needs_schema = pytest.mark.skipif(not SCHEMA.is_file(), reason="needs LDtk's JSON schema")


def export(folder: Path, *sheets: Sheet, **told: Any) -> Path:
    out = folder / "out"
    out.mkdir()
    ldtk.write(sheets, out, ldtk.Options(kind="ldtk", **told))
    return out


def read(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "sprites.ldtk").read_bytes())
    return found


def tilesets(out: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = read(out)["defs"]["tilesets"]
    return found


def custom(tileset: dict[str, Any]) -> dict[int, dict[str, Any]]:
    """What LDtk holds for each tile once it has loaded the file, understood as JSON."""
    found = {entry["tileId"]: entry["data"] for entry in tileset["customData"]}
    # JsonTools.unescapeString of LDtk.
    return {tile: json.loads(text.replace("\\\\", "\\").replace("\\n", "\n")) for tile, text in found.items()}


def pixels(out: Path, tileset: dict[str, Any], tile: int) -> Rgba:
    """The pixels of a tile, as TilesetDef.getTileSourceX and getTileSourceY of LDtk find them."""
    # TilesetDef.get_cWid: dn.M.ceil((pxWid - padding * 2) / (tileGridSize + spacing))
    step = tileset["tileGridSize"] + tileset["spacing"]
    columns = -(-(tileset["pxWid"] - 2 * tileset["padding"]) // step)
    assert columns == tileset["__cWid"]
    x, y = (tileset["padding"] + part * step for part in (tile % columns, tile // columns))
    side = tileset["tileGridSize"]
    return png.read(out / tileset["relPath"])[y : y + side, x : x + side]


SHEETS: dict[str, dict[str, Any]] = {
    "tight": {},
    "extruded": {"extrude": 2, "spacing": 1, "margin": 3},
    "power of two": {"extrude": 1, "size": (64, 32)},
}


@pytest.fixture(params=SHEETS)
def exported(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    one = grid(tmp_path / "s", hero(), tags=HERO_TAGS, **SHEETS[request.param])
    two = grid(tmp_path / "t", hero(5, (8, 12)), name="2 tall")
    return export(tmp_path, one, Sheet(two.layout, two.pages, "people/tall"))


@needs_schema
def test_the_project_is_what_ldtks_schema_asks_for(exported: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads(SCHEMA.read_bytes())
    assert schema["version"] == ldtk.VERSION
    validator = jsonschema.Draft7Validator({**schema["LdtkJsonRoot"], "otherTypes": schema["otherTypes"]})
    project = read(exported)
    assert list(validator.iter_errors(project)) == []
    # And nothing is said that the schema does not know, and nothing known is left out.
    left_out = {"__FORCED_REFS", "exportPng", "__header__"}
    types = schema["otherTypes"]
    assert set(project) ^ set(schema["LdtkJsonRoot"]["properties"]) == left_out
    for entries, name in (
        ([project["defs"]], "Definitions"),
        (project["defs"]["tilesets"], "TilesetDef"),
        (project["levels"], "Level"),
    ):
        assert {frozenset(entry) for entry in entries} == {frozenset(types[name]["properties"])}
    del project["defs"]["tilesets"][0]["uid"]
    assert len(list(validator.iter_errors(project))) == 1


def test_ldtkpy_loads_the_project(exported: Path) -> None:
    ldtkpy = pytest.importorskip("ldtkpy.api")
    project = read(exported)
    loaded = ldtkpy.ldtk_json_from_dict(project)
    assert [(one.identifier, one.uid, one.rel_path) for one in loaded.defs.tilesets] == [
        ("hero", 1, "hero.png"),
        ("_2_tall", 2, "people/tall/2 tall.png"),
    ]
    again = ldtkpy.ldtk_json_to_dict(loaded)
    assert again["defs"]["tilesets"] == [
        {key: value for key, value in one.items() if value is not None} for one in project["defs"]["tilesets"]
    ]


def test_every_frame_is_found_by_its_name(exported: Path, tmp_path: Path) -> None:
    first, second = tilesets(exported)
    for number, (data, picture) in enumerate(zip(custom(first).items(), hero(), strict=True)):
        assert data[1]["name"] == f"hero {number} <&\"'>"
        assert (pixels(exported, first, data[0]) == picture).all()
    assert [data["duration"] for data in custom(first).values()] == [100, 70, 130, 40, 250, 90]
    assert second["relPath"] == "people/tall/2 tall.png"
    assert second["tileGridSize"] == 4
    # 8x12 of 4x4: two columns and three rows of tiles.
    for selection, picture in zip(second["savedSelections"], hero(5, (8, 12)), strict=True):
        parts = [pixels(exported, second, tile) for tile in selection["ids"]]
        assert [part.tolist() for part in parts] == [
            picture[y : y + 4, x : x + 4].tolist() for y in (0, 4, 8) for x in (0, 4)
        ]


def test_animations_are_in_the_custom_data_of_their_first_tile(tmp_path: Path) -> None:
    (tileset,) = tilesets(export(tmp_path, grid(tmp_path / "s", hero(), tags=HERO_TAGS)))
    found = {
        (tile, animation["name"], animation["repeat"]): [(one["tile"], one["duration"]) for one in animation["frames"]]
        for tile, data in custom(tileset).items()
        for animation in data.get("animations", ())
    }
    assert found == {
        (0, "walk", 0): [(0, 100), (1, 70), (2, 130), (3, 40)],
        (1, "turn", 0): [(1, 70), (2, 130), (3, 40), (4, 250), (3, 40), (2, 130)],
        (4, "back", 2): [(4, 250), (3, 40), (2, 130)],
        (5, "sway", 1): [(5, 90), (4, 250), (3, 40), (4, 250)],
        (5, "rest", 0): [(5, 90)],
    }


def test_pivots_and_slices_are_in_the_custom_data(tmp_path: Path) -> None:
    (tileset,) = tilesets(export(tmp_path, grid(tmp_path / "s", hero(), slices=HERO_SLICES)))
    assert [data.get("pivot") for data in custom(tileset).values()] == [None, [4, 8]] * 3
    assert {tile: data["slices"] for tile, data in custom(tileset).items() if "slices" in data} == {
        1: [
            {"name": "hit <1>", "bounds": [2, 1, 4, 5], "center": None},
            {"name": "foot", "bounds": [0, 7, 8, 1], "center": None},
        ],
        2: [{"name": "frame", "bounds": [0, 0, 8, 8], "center": [2, 2, 4, 4]}],
    }


@given(
    st.integers(1, 9),
    st.integers(1, 4),
    st.integers(1, 5),
    st.tuples(st.integers(0, 9), st.integers(0, 3), st.integers(0, 2)),
    st.tuples(st.integers(0, 40), st.integers(0, 40)),
)
def test_tiles_lie_where_ldtk_cuts_them_whatever_surrounds_them(
    tmp_path_factory: pytest.TempPathFactory,
    count: int,
    columns: int,
    side: int,
    around: tuple[int, int, int],
    padding: tuple[int, int],
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    pictures = hero(count, (side, side))
    told: dict[str, Any] = dict(zip(("margin", "spacing", "extrude"), around, strict=True), columns=columns)
    least = grid(folder / "l", pictures, **told).layout.pages[0]
    size = least.width + padding[0], least.height + padding[1]
    out = export(folder, grid(folder / "s", pictures, size=size, **told))
    (tileset,) = tilesets(out)
    assert max(custom(tileset)) < tileset["__cWid"] * tileset["__cHei"]
    for tile, picture in zip(custom(tileset), pictures, strict=True):
        assert (pixels(out, tileset, tile) == picture).all()


def test_a_smaller_frame_is_a_tile_unless_its_edges_are_repeated_in_the_cell(tmp_path: Path) -> None:
    pictures = [drawing(0, 8, 8), drawing(1, 5, 8), drawing(2, 8, 3), drawing(3, 1, 1)]
    out = export(tmp_path, grid(tmp_path / "s", pictures, spacing=1))
    out.rename(tmp_path / "first")
    with pytest.raises(StageError, match="repeated edges beside 'hero 1") as raised:
        export(tmp_path, grid(tmp_path / "t", pictures, extrude=1))
    assert raised.value.hint == "pad the sprites to one size, or say extrude = 0 in the sheet"


def test_the_same_sheets_give_the_same_bytes(tmp_path: Path) -> None:
    sheet = grid(tmp_path / "s", hero(), tags=HERO_TAGS)
    first = (export(tmp_path, sheet, name="art") / "art.ldtk").read_bytes()
    (tmp_path / "out").rename(tmp_path / "first")
    assert (export(tmp_path, sheet, name="art") / "art.ldtk").read_bytes() == first
    assert first.endswith(b"\n}\n")
    assert b"\r" not in first


def test_names_become_identifiers_that_differ(tmp_path: Path) -> None:
    names = ("hero", "Zoë-x", "Zoë_x", "9 lives", "日本", "--", "Sheet")
    sheets = [grid(tmp_path / str(n), hero(1), columns=1, name=name) for n, name in enumerate(names)]
    found = [one["identifier"] for one in tilesets(export(tmp_path, *sheets))]
    assert found == ["hero", "Zo_x", "Zo_x_2", "_9_lives", "Sheet", "Sheet_2", "Sheet_3"]


def test_what_ldtk_cannot_show_is_refused(tmp_path: Path) -> None:
    refused = {
        "no such": packed(tmp_path / "a", hero(2)),
        "mirror": trimmed(tmp_path / "b"),
        "8x12": grid(tmp_path / "c", hero(2, (8, 12)), extrude=1),
        "8x9": grid(tmp_path / "d", hero(2, (8, 9))),
    }
    flipped = trimmed(tmp_path / "e")
    frames = tuple(frame.model_copy(update={"mirrored": False}) for frame in flipped.layout.frames)
    refused["trimmed"] = Sheet(flipped.layout.model_copy(update={"frames": frames}), flipped.pages)
    for number, (message, sheet) in enumerate(refused.items()):
        (tmp_path / str(number)).mkdir()
        with pytest.raises(StageError, match=message) as raised:
            export(tmp_path / str(number), sheet)
        assert raised.value.hint


@pytest.mark.parametrize("name", ["", "a/b", "a\\b", "..", "."])
def test_a_project_is_a_file_of_the_folder(name: str) -> None:
    with pytest.raises(ValidationError):
        ldtk.Options(kind="ldtk", name=name)
