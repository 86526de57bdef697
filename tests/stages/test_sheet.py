"""The sheet stage."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError
from sets import SPRITES, needs_sprites

from spritebuild.errors import StageError
from spritebuild.stage import BoundAction, Context, Stages
from spritebuild_stages.exports.sheet import Sheet as Exported
from spritebuild_stages.images import png
from spritebuild_stages.images.png import Rgba
from spritebuild_stages.ops.alpha import clear_hidden
from spritebuild_stages.sheet import Sheet
from spritebuild_stages.sheets import layout
from spritebuild_stages.sheets.layout import Layout

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


def put(folder: Path, frames: Iterable[Rgba], prefix: str = "") -> tuple[Path, ...]:
    paths = []
    for place, rgba in enumerate(frames):
        paths.append(folder / f"{prefix}{place}.png")
        png.write(paths[-1], rgba)
    return tuple(paths)


def run(
    folder: Path, frames: Sequence[Rgba], companions: Mapping[str, Sequence[Rgba]] | None = None, **told: Any
) -> Any:
    """Make a sheet called hero in a folder without one; returns the stage's notes."""
    shutil.rmtree(folder / "files", ignore_errors=True)
    paths = put(folder, frames)
    others = {
        f"{role}-{number}": path
        for role, pictures in (companions or {}).items()
        for number, path in enumerate(put(folder, pictures, f"{role}-"))
    }
    params = Sheet.Params(**{"names": tuple(f"f{n}" for n in range(len(frames))), "name": "hero"} | told)
    outputs = Sheet.Outputs(files=folder / "files", layout=folder / "layout.json")
    return Sheet().run(
        BoundAction(params, Sheet.Inputs(frames=paths, companions=others), outputs), Context(memory=folder)
    )


def make(folder: Path, frames: Sequence[Rgba], **told: Any) -> tuple[Rgba, dict[str, Any]]:
    """Make a sheet of one page; returns its pixels and its JSON."""
    run(folder, frames, **told)
    return png.read(folder / "files/hero.png"), json.loads((folder / "files/hero.json").read_bytes())


def described(folder: Path) -> Layout:
    return layout.read(folder / "layout.json")


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "files").iterdir())}


def corners(atlas: dict[str, Any]) -> list[tuple[int, int]]:
    return [(entry["frame"]["x"], entry["frame"]["y"]) for entry in atlas["frames"].values()]


def test_the_stage_is_found_by_its_kind() -> None:
    stage = Stages()["sheet"]
    assert (stage.kind, stage.version, stage.device) == ("sheet", 3, "cpu")


def test_importing_the_stage_imports_no_numpy() -> None:
    code = "import spritebuild_stages.sheet, sys; print({'numpy', 'PIL', 'deflate', 'rectpack'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "set()\n"


def test_the_atlas_text_is_canonical(tmp_path: Path) -> None:
    make(tmp_path, [frame(2, 3)], names=("b",), margin=1, spacing=5)
    assert (tmp_path / "files/hero.json").read_bytes() == GOLDEN.encode()


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
        made.append((files(tmp_path / name), (tmp_path / name / "layout.json").read_bytes()))
    assert made[0] == made[1]


def test_names_of_any_script_are_written_as_they_are(tmp_path: Path) -> None:
    make(tmp_path, [frame(1, 1)], names=("héros/走る",))
    assert "héros/走る".encode() in (tmp_path / "files/hero.json").read_bytes()


@pytest.mark.parametrize(
    "told",
    [
        {"names": ()},
        {"names": ("a", "b", "a")},
        {"name": ""},
        {"name": "a/b"},
        {"name": ".."},
        {"layout": "packed", "columns": 2},
        {"extrude": 17},
        {"max_size": 0},
        {"pivot": "middle"},
        {"pivots": {"b": "top"}},
        {"durations": {"b*": 50}},
        {"duration": 0},
        {"tags": {"walk": {"frames": "b"}}},
        {"tags": {"walk": {"frames": []}}},
        {"tags": {"walk": {"frames": "a", "direction": "back"}}},
        {"slices": {"body": {"frames": "b"}}},
        {"slices": {"body": {"frames": "a", "center": [1, 1, 1, 1], "margins": 1}}},
        {"columns": 0},
        {"spacing": -1},
        {"margin": -1},
        {"format": "xml"},
        {"padding": 1},
    ],
)
def test_what_no_sheet_means_is_refused(told: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Sheet.Params(**{"names": ("a",), "name": "a"} | told)


def test_names_and_frames_must_be_as_many(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="1 names for 2 frames"):
        make(tmp_path, [frame(1, 1)] * 2, names=("a",))


# What does not fit


def refusal(folder: Path, frames: Sequence[Rgba], **told: Any) -> StageError:
    with pytest.raises(StageError) as caught:
        run(folder, frames, **told)
    return caught.value


@pytest.mark.parametrize("form", ["grid", "packed"])
def test_frames_that_do_not_fit_a_page_say_how_large_it_would_be(form: str, tmp_path: Path) -> None:
    frames = [frame(40, 40, value) for value in range(9)]
    error = refusal(tmp_path, frames, layout=form, max_size=64)
    assert error.message == "the frames do not fit one page"
    assert error.facts == (("frames", "9"), ("page", "120x120"), ("limit", "max_size 64, 16.8 Mpx"))
    assert error.hint == "say multipack = true or a larger max_size"


def test_more_than_a_picture_can_hold_needs_several_pages(tmp_path: Path) -> None:
    error = refusal(tmp_path, [frame(1, 9000), frame(9000, 1)], max_size=16384)
    assert (error.message, error.facts[2][1]) == ("frame 'f0' does not fit a page", "max_size 16384, 16.8 Mpx")
    error = refusal(tmp_path, [frame(4096, 4096), frame(1, 1)], max_size=16384)
    assert error.hint == "say multipack = true"


@pytest.mark.parametrize("form", ["grid", "packed"])
def test_a_frame_larger_than_a_page_is_named(form: str, tmp_path: Path) -> None:
    error = refusal(
        tmp_path, [frame(1, 1), frame(60, 70)], layout=form, extrude=1, margin=2, max_size=64, multipack=True
    )
    assert error.message == "frame 'f1' does not fit a page"
    assert error.facts == (("frame", "60x70"), ("page", "66x76"), ("limit", "max_size 64, 16.8 Mpx"))


def test_too_many_columns_for_several_pages_are_an_error_too(tmp_path: Path) -> None:
    error = refusal(tmp_path, [frame(40, 40, 1), frame(40, 40, 2)], columns=2, max_size=64, multipack=True)
    assert error.hint == "say fewer columns or a larger max_size"


def test_a_frame_that_is_no_png_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("")
    params = Sheet.Params(names=("a",), name="a")
    outputs = Sheet.Outputs(files=tmp_path / "files", layout=tmp_path / "layout.json")
    action = BoundAction(params, Sheet.Inputs(frames=(tmp_path / "a.png",)), outputs)
    with pytest.raises(StageError, match=r"a\.png: not a PNG\n\nhint: "):
        Sheet().run(action, Context(memory=tmp_path))


# Packed sheets

small = st.integers(1, 7)
sprites = st.lists(
    st.builds(lambda size, seed: sprite(seed, *size), st.tuples(small, small), st.integers(0, 5)),
    min_size=1,
    max_size=9,
)
anyhow = st.fixed_dictionaries(
    {
        "layout": st.sampled_from(["grid", "packed"]),
        "spacing": st.integers(0, 2),
        "margin": st.integers(0, 2),
        "extrude": st.integers(0, 2),
        "trim": st.sampled_from([None, True, False]),
        "duplicates": st.sampled_from([None, True, False]),
        "mirrors": st.booleans(),
        "power_of_two": st.booleans(),
        "max_size": st.sampled_from([32, 4096]),
        "multipack": st.just(True),
    }
)


def sprite(seed: int, width: int, height: int) -> Rgba:
    """Noise, a third of it transparent and cleared."""
    rgba = np.random.default_rng(seed).integers(0, 256, (height, width, 4), np.uint8)
    rgba[..., 3] = np.where(rgba[..., 3] < 85, 0, 255)
    return clear_hidden(rgba)


@settings(deadline=None)
@given(sprites, anyhow)
def test_every_frame_comes_back_pixel_by_pixel_with_its_companions(
    tmp_path_factory: pytest.TempPathFactory, frames: list[Rgba], told: dict[str, Any]
) -> None:
    folder = tmp_path_factory.getbasetemp()
    normals = [np.where(rgba[..., 3:] > 0, 255 - rgba, 0).astype(np.uint8) for rgba in frames]
    for rgba, normal in zip(frames, normals, strict=True):
        normal[..., 3] = rgba[..., 3]
    run(folder, frames, {"normal": normals}, **told)
    made = described(folder)
    shown = Exported(made, folder / "files").pictures()
    assert all(np.array_equal(back, rgba) for back, rgba in zip(shown, frames, strict=True))
    pages = tuple(page.model_copy(update={"image": page.companions["normal"]}) for page in made.pages)
    shown = Exported(made.model_copy(update={"pages": pages}), folder / "files").pictures()
    assert all(np.array_equal(back, rgba) for back, rgba in zip(shown, normals, strict=True))


@settings(deadline=None)
@given(sprites, anyhow, st.randoms(use_true_random=False))
def test_a_packed_picture_does_not_depend_on_the_order_of_frames(
    tmp_path_factory: pytest.TempPathFactory, frames: list[Rgba], told: dict[str, Any], random: Any
) -> None:
    folder = tmp_path_factory.getbasetemp()
    order = list(range(len(frames)))
    random.shuffle(order)
    seen = []
    for places in (range(len(frames)), order):
        run(folder, [frames[n] for n in places], **told | {"layout": "packed", "names": [f"f{n}" for n in places]})
        pictures = {name: data for name, data in files(folder).items() if name.endswith(".png")}
        seen.append((pictures, {one.name: one for one in described(folder).frames}))
        assert [one.name for one in described(folder).frames] == [f"f{n}" for n in places]
    assert seen[0] == seen[1]


def test_a_packed_sheet_is_trimmed_and_holds_equal_frames_once(tmp_path: Path) -> None:
    rgba = np.zeros((8, 8, 4), np.uint8)
    rgba[2:5, 3:7] = 255
    moved = np.roll(rgba, 1, axis=0)
    sheet, atlas = make(tmp_path, [rgba, moved, np.zeros((4, 4, 4), np.uint8)], layout="packed")
    first, second, nothing = atlas["frames"].values()
    assert first["frame"] == second["frame"] == {"x": 0, "y": 0, "w": 4, "h": 3}
    assert first["spriteSourceSize"] == {"x": 3, "y": 2, "w": 4, "h": 3}
    assert second["spriteSourceSize"] == {"x": 3, "y": 3, "w": 4, "h": 3}
    assert first["trimmed"]
    assert (nothing["spriteSourceSize"], nothing["sourceSize"]) == ({"x": 0, "y": 0, "w": 1, "h": 1}, {"w": 4, "h": 4})
    assert sheet.shape in {(4, 4, 4), (3, 5, 4)}


def test_several_pages_have_numbers_and_name_each_other(tmp_path: Path) -> None:
    frames = [frame(40, 40, value) for value in range(5)]
    told = {"layout": "packed", "max_size": 80, "multipack": True, "tags": {"all": {"frames": "*"}}}
    notes = run(tmp_path, frames, {"normal": frames}, **told)
    kinds = ("-normal.png", ".json", ".png")
    assert list(files(tmp_path)) == [f"hero-{n}{kind}" for n in range(2) for kind in kinds]
    second = json.loads(files(tmp_path)["hero-1.json"])
    assert second["meta"]["related_multi_packs"] == ["hero-0.json"]
    assert second["meta"]["companions"] == {"normal": "hero-1-normal.png"}
    assert list(second["frames"]) == ["f4"]
    assert notes == {
        "frames": 5,
        "stored": 5,
        "pages": 2,
        "warnings": ["tag 'all' is on several pages, which Aseprite's JSON cannot say"],
    }


def test_an_animation_stays_on_one_page(tmp_path: Path) -> None:
    frames = [frame(40, 40 - value % 3, value) for value in range(12)]
    tags = {"all": {"frames": "*"}, "a": {"frames": ["f0", "f1", "f2", "f3"]}, "b": {"frames": ["f7", "f8", "f9"]}}
    run(tmp_path, frames, layout="packed", max_size=80, multipack=True, tags=tags)
    made = described(tmp_path)
    pages = {tag.name: {one.page for one in made.of_tag(tag)} for tag in made.tags}
    assert len(made.pages) == 3
    assert len(pages["a"]) == len(pages["b"]) == 1


def test_a_grid_is_described_where_every_frame_has_a_cell_of_its_own(tmp_path: Path) -> None:
    frames = [frame(3, 3, 1), frame(3, 3, 2), frame(3, 3, 1)]
    run(tmp_path, frames, margin=1, spacing=2, extrude=1, columns=2)
    grid = described(tmp_path).grid
    assert grid is not None
    assert (grid.columns, grid.cell, grid.spacing, grid.margin) == (2, (3, 3), 4, 2)
    for told in ({"duplicates": True}, {"max_size": 5, "multipack": True}, {"layout": "packed"}):
        run(tmp_path, frames, **told)
        assert described(tmp_path).grid is None


# What is said of frames


def test_pivots_and_durations_are_of_the_frames_that_they_name(tmp_path: Path) -> None:
    run(
        tmp_path,
        [frame(4, 6)] * 4,
        pivot="bottom",
        pivots={"f1": [1, 2.5], "f[23]": "center"},
        duration=80,
        durations={"f3": 200},
        tags={"go": {"frames": ["f2", "f3"], "duration": 40}},
    )
    frames = described(tmp_path).frames
    assert [one.pivot for one in frames] == [(2, 6), (1, 2.5), (2, 3), (2, 3)]
    assert [one.duration for one in frames] == [80, 80, 40, 200]


def test_tags_hold_their_frames_and_come_in_the_order_of_these(tmp_path: Path) -> None:
    names = ["walk-0", "walk-1", "idle"]
    tags = {"idle": {"frames": "idle"}, "walk": {"frames": ["walk-*"], "direction": "pingpong", "repeat": 3}}
    run(tmp_path, [frame(1, 1)] * 3, names=names, tags=tags)
    assert described(tmp_path).tags == (
        layout.Tag(name="walk", first=0, last=1, direction="pingpong", repeat=3),
        layout.Tag(name="idle", first=2, last=2),
    )


def test_frames_of_a_tag_that_are_not_side_by_side_are_refused_with_the_remedy() -> None:
    message = "tag 'ab': the sheet has 'b' between 'a' and 'c': list the sprites of an animation side by side"
    with pytest.raises(ValidationError, match=message):
        Sheet.Params(names=("a", "b", "c"), name="x", tags={"ab": {"frames": ["a", "c"]}})


def test_tags_of_different_durations_for_a_frame_are_refused_unless_it_has_its_own() -> None:
    tags = {"one": {"frames": "*", "duration": 50}, "two": {"frames": "b", "duration": 60}}
    with pytest.raises(ValidationError, match="'b' is in tags of different durations: say it in durations"):
        Sheet.Params(names=("a", "b"), name="x", tags=tags)
    assert Sheet.Params(names=("a", "b"), name="x", tags=tags, durations={"b": 10})


def test_slices_are_the_whole_frame_or_a_part_of_it_with_a_center(tmp_path: Path) -> None:
    slices = {
        "panel": {"frames": "f*", "margins": [1, 2, 3, 1]},
        "eye": {"frames": "f1", "bounds": [1, 1, 3, 3], "center": [1, 1, 1, 1]},
        "all": {"frames": "f0"},
    }
    run(tmp_path, [frame(8, 6), frame(6, 6)], slices=slices)
    assert described(tmp_path).slices == (
        layout.Slice(name="all", frame=0, bounds=(0, 0, 8, 6)),
        layout.Slice(name="eye", frame=1, bounds=(1, 1, 3, 3), center=(1, 1, 1, 1)),
        layout.Slice(name="panel", frame=0, bounds=(0, 0, 8, 6), center=(1, 2, 4, 3)),
        layout.Slice(name="panel", frame=1, bounds=(0, 0, 6, 6), center=(1, 2, 2, 3)),
    )


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"bounds": [1, 0, 4, 4]}, "slice 'part' leaves frame 'f0', which is 4x4"),
        ({"bounds": [0, 0, 0, 1]}, "slice 'part' leaves frame 'f0'"),
        ({"margins": 2}, "the center of slice 'part' is not within its 4x4 pixels"),
        ({"bounds": [0, 0, 2, 2], "center": [1, 1, 2, 1]}, "the center of slice 'part' is not within its 2x2 pixels"),
    ],
)
def test_slices_beyond_the_frame_are_an_error(part: dict[str, Any], message: str, tmp_path: Path) -> None:
    error = refusal(tmp_path, [frame(4, 4)], slices={"part": {"frames": "*"} | part})
    assert message in error.message


def test_the_order_in_which_params_are_written_changes_no_byte(tmp_path: Path) -> None:
    told: dict[str, Any] = {
        "pivots": {"f0": "top", "f*": "left", "*0": "center"},
        "durations": {"f*": 20, "f1": 30},
        "tags": {"b": {"frames": "*"}, "a": {"frames": "*"}},
        "slices": {"b": {"frames": "f1"}, "a": {"frames": "*"}},
    }
    run(tmp_path, [frame(4, 4)] * 2, **told)
    first = files(tmp_path), described(tmp_path)
    run(tmp_path, [frame(4, 4)] * 2, **{key: dict(reversed(value.items())) for key, value in told.items()})
    assert (files(tmp_path), described(tmp_path)) == first


@needs_sprites
def test_a_set_of_real_sprites_comes_back_pixel_by_pixel(tmp_path: Path) -> None:
    paths = sorted(SPRITES.rglob("*.png"))[::11]
    frames = [clear_hidden(png.read(path)) for path in paths]
    run(tmp_path, frames, layout="packed", extrude=1, spacing=1, mirrors=True, max_size=512, multipack=True)
    made = described(tmp_path)
    shown = Exported(made, tmp_path / "files").pictures()
    assert all(np.array_equal(back, rgba) for back, rgba in zip(shown, frames, strict=True))


@pytest.mark.parametrize("name", ["x/../../y", "a/b", "*", "a\0b", "a\n", " a", "", "a" * 101, "a:b"])
@pytest.mark.parametrize("key", ["tags", "slices"])
def test_name_that_is_no_part_of_a_files_name_is_refused(key: str, name: str) -> None:
    with pytest.raises(ValidationError, match="a name has up to 100 printable characters"):
        Sheet.Params.model_validate({"names": ["a"], "name": "s", key: {name: {"frames": "*"}}})


def test_tags_that_differ_in_case_alone_are_refused() -> None:
    tags = {"Walk": {"frames": "a"}, "walk": {"frames": "a"}}
    with pytest.raises(ValidationError, match="'Walk' and 'walk' differ in case alone"):
        Sheet.Params.model_validate({"names": ["a"], "name": "s", "tags": tags})
