"""Plain JSON, read back by a loader written by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawn_sheets import HERO_TAGS, grid, hero, packed, trimmed
from jsonschema import Draft202012Validator

from spritebuild.errors import StageError
from spritebuild_stages.exports import plain
from spritebuild_stages.exports.sheet import Sheet
from spritebuild_stages.images import png
from spritebuild_stages.images.png import Rgba
from spritebuild_stages.sheets.layout import Slice

FRAME = {
    "name": "hero 1 <&\"'>",
    "page": 0,
    "kept": {"x": 3, "y": 2, "width": 6, "height": 5},
    "left": 2,
    "top": 1,
    "width": 10,
    "height": 9,
    "mirrored": True,
    "duration": 70,
    "pivot": {"x": 5.0, "y": 9.0},
}


def export(sheet: Sheet, folder: Path, **told: Any) -> Path:
    folder.mkdir(exist_ok=True)
    plain.write([sheet], folder, plain.Options.model_validate({"kind": "plain", **told}))
    return folder


def load(index: Path, name: str) -> tuple[Any, list[Rgba]]:
    """A sheet and its frames' pictures, as a game would load them."""
    path = index.parent / json.loads(index.read_bytes())["sheets"][name]
    content = json.loads(path.read_bytes())
    pages = [png.read(path.parent / page["image"]) for page in content["pages"]]
    pictures = []
    for frame in content["frames"]:
        kept = frame["kept"]
        pixels = pages[frame["page"]][kept["y"] : kept["y"] + kept["height"], kept["x"] : kept["x"] + kept["width"]]
        picture = np.zeros((frame["height"], frame["width"], 4), np.uint8)
        top, left = frame["top"], frame["left"]
        picture[top : top + kept["height"], left : left + kept["width"]] = (
            pixels[:, ::-1] if frame["mirrored"] else pixels
        )
        pictures.append(picture)
    return content, pictures


@pytest.mark.parametrize("compact", (False, True))
def test_a_loader_gets_every_picture(tmp_path: Path, compact: bool) -> None:
    sheet = Sheet(trimmed(tmp_path / "sheet").layout, tmp_path / "sheet", "characters/small")
    folder = export(sheet, tmp_path / "out", compact=compact)
    content, pictures = load(folder / "sheets.json", "hero")
    assert all(map(np.array_equal, pictures, sheet.pictures()))
    assert len(pictures) == 4
    assert content["category"] == "characters/small"
    assert content["frames"][1] == FRAME
    text = (folder / "characters/small/hero.json").read_text("utf-8")
    assert text.endswith("}\n") and (text.count("\n") == 1) == compact


def test_animations_are_numbers_of_frames_in_the_order_in_which_they_are_shown(tmp_path: Path) -> None:
    sheet = packed(tmp_path / "sheet", hero(), tags=HERO_TAGS)
    content, _ = load(export(sheet, tmp_path / "out") / "sheets.json", "hero")
    found = {one["name"]: (one["frames"], one["repeat"]) for one in content["animations"]}
    assert found == {
        "walk": ([0, 1, 2, 3], 0),
        "turn": ([1, 2, 3, 4, 3, 2], 0),
        "back": ([4, 3, 2], 2),
        "sway": ([5, 4, 3, 4], 1),
        "rest": ([5], 0),
    }
    sway = content["animations"][3]
    assert (sway["first"], sway["last"], sway["direction"]) == (3, 5, "pingpong_reverse")


def test_every_field_is_there(tmp_path: Path) -> None:
    slices = (
        Slice(name="hit", frame=0, bounds=(1, 2, 3, 4)),
        Slice(name="panel", frame=1, bounds=(0, 0, 8, 8), center=(2, 3, 4, 1)),
    )
    sheet = grid(tmp_path / "sheet", hero(2), spacing=2, margin=1, slices=slices)
    content, _ = load(export(sheet, tmp_path / "out") / "sheets.json", "hero")
    assert content["format"] == 1
    assert content["pages"] == [{"image": "hero.png", "width": 30, "height": 10, "companions": {}}]
    assert content["frames"][0]["pivot"] is None
    assert content["slices"] == [
        {"name": "hit", "frame": 0, "bounds": {"x": 1, "y": 2, "width": 3, "height": 4}, "center": None},
        {
            "name": "panel",
            "frame": 1,
            "bounds": {"x": 0, "y": 0, "width": 8, "height": 8},
            "center": {"x": 2, "y": 3, "width": 4, "height": 1},
        },
    ]
    assert content["grid"] == {"columns": 3, "width": 8, "height": 8, "spacing": 2, "margin": 1}


def test_the_files_follow_their_schemas(tmp_path: Path) -> None:
    folder = export(trimmed(tmp_path / "sheet"), tmp_path / "out")
    for model, name in ((plain.Index, "sheets.json"), (plain.Document, "hero.json")):
        schema = model.model_json_schema(mode="serialization")
        Draft202012Validator.check_schema(schema)
        Draft202012Validator(schema).validate(json.loads((folder / name).read_bytes()))


def test_bytes_depend_on_the_sheet_alone(tmp_path: Path) -> None:
    sheet = trimmed(tmp_path / "sheet")
    first, second = (export(sheet, tmp_path / name) for name in ("a", "b"))
    files = sorted(path.name for path in first.iterdir())
    assert files == ["hero-0.png", "hero-1.png", "hero.json", "sheets.json"]
    assert all((first / name).read_bytes() == (second / name).read_bytes() for name in files)


def test_a_sheet_cannot_be_called_like_the_list(tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"two files of an export would be called sheets\.json"):
        export(packed(tmp_path / "sheet", hero(1), name="sheets"), tmp_path / "out")
