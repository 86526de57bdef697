"""The sheet stage."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError

from spritebuild.errors import StageError
from spritebuild.stage import BoundAction, Context, Stages
from spritebuild_stages.images import png
from spritebuild_stages.sheet import Sheet

GOLDEN = """\
{
 "frames": {
  "b": {
   "frame": {
    "x": 1,
    "y": 1,
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
   "w": 4,
   "h": 5
  },
  "scale": "1"
 }
}
"""


def frame(width: int, height: int, value: int = 255) -> NDArray[np.uint8]:
    return np.full((height, width, 4), (value, 255 - value, 7, 255), np.uint8)


def make(folder: Path, frames: list[NDArray[np.uint8]], **told: Any) -> tuple[NDArray[np.uint8], dict[str, Any]]:
    paths = []
    for place, rgba in enumerate(frames):
        paths.append(folder / f"{place}.png")
        png.write(paths[-1], rgba)
    params = Sheet.Params(**{"names": tuple(f"f{n}" for n in range(len(frames))), "image_name": "hero.png"} | told)
    outputs = Sheet.Outputs(image=folder / "sheet.png", atlas=folder / "sheet.json")
    Sheet().run(BoundAction(params, Sheet.Inputs(frames=tuple(paths)), outputs), Context(memory=folder))
    return png.read(outputs.image), json.loads(outputs.atlas.read_bytes())


def corners(atlas: dict[str, Any]) -> list[tuple[int, int]]:
    return [(entry["frame"]["x"], entry["frame"]["y"]) for entry in atlas["frames"].values()]


def test_the_stage_is_found_by_its_kind() -> None:
    stage = Stages()["sheet"]
    assert (stage.kind, stage.version, stage.device) == ("sheet", 1, "cpu")


def test_importing_the_stage_imports_no_numpy() -> None:
    code = "import spritebuild_stages.sheet, sys; print({'numpy', 'PIL', 'deflate'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "set()\n"


def test_the_atlas_text_is_canonical(tmp_path: Path) -> None:
    make(tmp_path, [frame(2, 3)], names=("b",), margin=1, spacing=5)
    assert (tmp_path / "sheet.json").read_bytes() == GOLDEN.encode()


@settings(deadline=None)  # writes files
@given(
    st.lists(st.tuples(st.integers(1, 6), st.integers(1, 6)), min_size=1, max_size=12),
    st.one_of(st.none(), st.integers(1, 13)),
    st.integers(0, 3),
    st.integers(0, 3),
    st.sampled_from(["hash", "array"]),
)
def test_every_frame_is_where_the_atlas_says_and_nothing_else_is_drawn(
    tmp_path_factory: pytest.TempPathFactory,
    sizes: list[tuple[int, int]],
    columns: int | None,
    spacing: int,
    margin: int,
    form: str,
) -> None:
    frames = [frame(w, h, 10 * place) for place, (w, h) in enumerate(sizes)]
    told = {"columns": columns, "spacing": spacing, "margin": margin, "format": form}
    sheet, atlas = make(tmp_path_factory.getbasetemp(), frames, **told)
    assert atlas["meta"]["size"] == {"w": sheet.shape[1], "h": sheet.shape[0]}
    entries = list(atlas["frames"].values()) if form == "hash" else atlas["frames"]
    names = list(atlas["frames"]) if form == "hash" else [entry["filename"] for entry in entries]
    assert names == [f"f{n}" for n in range(len(sizes))]
    rest = sheet.copy()
    for rgba, entry in zip(frames, entries, strict=True):
        box = entry["frame"]
        place = np.s_[box["y"] : box["y"] + box["h"], box["x"] : box["x"] + box["w"]]
        assert np.array_equal(sheet[place], rgba)
        assert entry["sourceSize"] == {"w": box["w"], "h": box["h"]}
        rest[place] = 0
    assert not rest.any()


@pytest.mark.parametrize(
    ("count", "columns", "size"),
    [(1, None, (2, 3)), (2, None, (4, 3)), (4, None, (4, 6)), (5, None, (6, 6)), (9, None, (6, 9)), (10, None, (8, 9))],
)
def test_a_sheet_is_as_square_as_can_be(count: int, columns: int | None, size: tuple[int, int], tmp_path: Path) -> None:
    sheet, _ = make(tmp_path, [frame(2, 3)] * count, columns=columns)
    assert sheet.shape[1::-1] == size


def test_cells_are_as_large_as_the_largest_frame(tmp_path: Path) -> None:
    frames = [frame(4, 1), frame(1, 5), frame(2, 2)]
    sheet, atlas = make(tmp_path, frames, columns=2, spacing=1, margin=2)
    assert corners(atlas) == [(2, 2), (7, 2), (2, 8)]
    assert sheet.shape == (2 + 5 + 1 + 5 + 2, 2 + 4 + 1 + 4 + 2, 4)


def test_fewer_frames_than_columns_make_a_narrower_sheet(tmp_path: Path) -> None:
    sheet, _ = make(tmp_path, [frame(2, 2)] * 3, columns=8)
    assert sheet.shape == (2, 6, 4)


def test_the_same_frames_give_the_same_bytes(tmp_path: Path) -> None:
    frames = [frame(3, 3, value) for value in range(7)]
    made = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        make(tmp_path / name, frames)
        made.append([(tmp_path / name / file).read_bytes() for file in ("sheet.png", "sheet.json")])
    assert made[0] == made[1]


def test_names_of_any_script_are_written_as_they_are(tmp_path: Path) -> None:
    make(tmp_path, [frame(1, 1)], names=("héros/走る",))
    assert "héros/走る".encode() in (tmp_path / "sheet.json").read_bytes()


@pytest.mark.parametrize(
    "told",
    [
        {"names": ()},
        {"names": ("a", "b", "a")},
        {"image_name": ""},
        {"columns": 0},
        {"spacing": -1},
        {"margin": -1},
        {"format": "xml"},
        {"padding": 1},
    ],
)
def test_what_no_sheet_means_is_refused(told: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Sheet.Params(**{"names": ("a",), "image_name": "a.png"} | told)


def test_names_and_frames_must_be_as_many(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="1 names for 2 frames"):
        make(tmp_path, [frame(1, 1)] * 2, names=("a",))


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        ([frame(1, 9000), frame(9000, 1)], "18000x9000 is 162.0 Mpx"),
        ([frame(4096, 4096), frame(1, 1)], "the first 2 frames alone are 16.8 Mpx"),
    ],
)
def test_a_sheet_that_is_too_large_is_an_error(frames: list[NDArray[np.uint8]], message: str, tmp_path: Path) -> None:
    with pytest.raises(StageError, match=message):
        make(tmp_path, frames)


def test_a_frame_that_is_no_png_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("")
    params = Sheet.Params(names=("a",), image_name="a.png")
    outputs = Sheet.Outputs(image=tmp_path / "sheet.png", atlas=tmp_path / "sheet.json")
    action = BoundAction(params, Sheet.Inputs(frames=(tmp_path / "a.png",)), outputs)
    with pytest.raises(StageError, match=r"a\.png: not a PNG\n\nhint: "):
        Sheet().run(action, Context(memory=tmp_path))
