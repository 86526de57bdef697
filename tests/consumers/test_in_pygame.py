"""The export for pygame, loaded by its loader in pygame-ce."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from drawn_sheets import HERO_TAGS, drawing, grid, hero, packed, staged, trimmed
from sets import SPRITES, flat, needs_sprites

from spritebuild_stages.exports import pygame_loader
from spritebuild_stages.exports.sheet import Sheet
from spritebuild_stages.images import png
from spritebuild_stages.images.png import Rgba

pygame = pytest.importorskip("pygame")


@pytest.fixture(params=["no display", "a display"])
def display(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    if request.param == "a display":
        pygame.display.init()
        pygame.display.set_mode((32, 32))
    yield
    pygame.display.quit()


def export(folder: Path, sheet: Sheet) -> tuple[ModuleType, Path]:
    """The exported loader, imported, and the sheet's JSON."""
    out = folder / "out"
    out.mkdir()
    pygame_loader.write([sheet], out, pygame_loader.Options(kind="pygame"))
    spec = importlib.util.spec_from_file_location("sprites", out / "sprites.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(__import__("sys").modules, "sprites", module)  # dataclasses look there
        spec.loader.exec_module(module)
    return module, out / sheet.category / f"{sheet.layout.name}.json"


def pixels(surface: Any) -> Rgba:
    found = np.frombuffer(pygame.image.tobytes(surface, "RGBA"), np.uint8)
    return found.reshape(surface.get_height(), surface.get_width(), 4)


def wrong(seen: Rgba, meant: Rgba) -> int:
    """Pixels that differ; colors of what is transparent count for nothing."""
    assert seen.shape == meant.shape
    return int(((seen != meant).any(2) & ((seen[..., 3] > 0) | (meant[..., 3] > 0))).sum())


def all_right(loaded: Any, sheet: Sheet) -> bool:
    return [frame.name for frame in sheet.layout.frames] == list(loaded.frames) and not sum(
        wrong(pixels(loaded.frames[frame.name].image), picture)
        for frame, picture in zip(sheet.layout.frames, sheet.pictures(), strict=True)
    )


@pytest.mark.usefixtures("display")
def test_trimmed_mirrored_translucent_frames_of_two_pages_are_exact(tmp_path: Path) -> None:
    sheet = trimmed(tmp_path / "s")
    sprites, path = export(tmp_path, sheet)
    loaded = sprites.load(path)
    assert all_right(loaded, sheet)
    first, mirrored, *_ = loaded.frames.values()
    assert wrong(pixels(first.image)[1:6, 2:8], pixels(mirrored.image)[1:6, 7:1:-1]) == 0
    assert [(frame.duration, frame.pivot) for frame in loaded.frames.values()] == [
        (frame.duration, pytest.approx(frame.pivot) if frame.pivot else None) for frame in sheet.layout.frames
    ]
    assert {frame.name: frame.slices for frame in loaded.frames.values() if frame.slices} == {
        sheet.layout.frames[0].name: {"hit": sprites.Slice(pygame.Rect(2, 1, 4, 4), None)},
        sheet.layout.frames[2].name: {"hit": sprites.Slice(pygame.Rect(0, 0, 5, 5), pygame.Rect(1, 1, 3, 3))},
    }


@pytest.mark.usefixtures("display")
@pytest.mark.parametrize(
    "pictures",
    [
        [np.full((1, 1, 4), 255, np.uint8)],
        [np.zeros((3, 2, 4), np.uint8)],
        [drawing(0, 5, 9, alphas=(0, 255)), drawing(1, 5, 9, alphas=(0, 255))],
        [flat((9, 9, 9)), flat((255, 0, 0))],
        [drawing(0, 5, 9, alphas=(255,))],
        [drawing(0, 5, 9, alphas=(1, 2, 127, 128, 254))],
        [np.random.default_rng(0).integers(0, 256, (40, 30, 4), np.uint8)],
    ],
    ids=["one pixel", "nothing", "hard alpha", "black outline", "opaque", "translucent", "more than 256 colors"],
)
def test_every_kind_of_png_is_exact(pictures: list[Rgba], tmp_path: Path) -> None:
    sheet = packed(tmp_path / "s", pictures)
    sprites, path = export(tmp_path, sheet)
    assert all_right(sprites.load(str(path)), sheet)


@needs_sprites
@pytest.mark.usefixtures("display")
@pytest.mark.parametrize("told", [{}, {"layout": "packed", "extrude": 1, "mirrors": True, "power_of_two": True}])
def test_a_sheet_of_the_stage_is_exact(told: dict[str, Any], tmp_path: Path) -> None:
    drawn = [png.read(path) for path in sorted(SPRITES.rglob("*.png"))[:300:3]]
    pictures = [*drawn, *(one[:, ::-1] for one in drawn[::5])]
    tags = {"walk": {"frames": ["f0", "f1", "f2"], "direction": "pingpong", "duration": 70}}
    sheet = staged(tmp_path / "s", pictures, tags=tags, pivot="bottom", **told)
    sprites, path = export(tmp_path, sheet)
    loaded = sprites.load(path)
    assert any(frame.mirrored for frame in sheet.layout.frames) == bool(told)
    found = [wrong(pixels(one.image), two) for one, two in zip(loaded.frames.values(), pictures, strict=True)]
    assert (len(found), sum(found)) == (120, 0)
    walk = loaded.animations["walk"]
    assert [walk.frame_at(now).name for now in (0, 69, 70, 140, 210, 279, 280)] == [
        "f0",
        "f0",
        "f1",
        "f2",
        "f1",
        "f1",
        "f0",
    ]
    assert loaded.frames["f0"].pivot == (16, 32)


def test_companions_are_loaded_in_the_same_places(tmp_path: Path) -> None:
    sheet = trimmed(tmp_path / "s")
    normals = []
    for page in sheet.layout.pages:
        name = f"normal-{page.image}"
        png.write(sheet.pages / name, 255 - sheet.page(len(normals)))
        normals.append(page.model_copy(update={"companions": {"normal": name}}))
    sheet = Sheet(sheet.layout.model_copy(update={"pages": tuple(normals)}), sheet.pages, "people")
    sprites, path = export(tmp_path, sheet)
    assert all_right(sprites.load(path), sheet)
    swapped = tuple(page.model_copy(update={"image": page.companions["normal"]}) for page in normals)
    assert all_right(
        sprites.load(path, companion="normal"),
        Sheet(sheet.layout.model_copy(update={"pages": swapped}), sheet.pages),
    )


def test_every_frame_is_shown_at_its_time_in_every_direction(tmp_path: Path) -> None:
    sheet = grid(tmp_path / "s", hero(), tags=HERO_TAGS)
    sprites, path = export(tmp_path, sheet)
    loaded = sprites.load(path)
    assert list(loaded.animations) == [tag.name for tag in HERO_TAGS]
    for tag in HERO_TAGS:
        animation = loaded.animations[tag.name]
        shown = sheet.layout.of_tag(tag)
        assert [frame.name for frame in animation.frames] == [frame.name for frame in shown]
        times = [frame.name for frame in shown for _ in range(frame.duration)]
        assert animation.duration == len(times)
        passes = tag.repeat or 3
        assert [animation.frame_at(now).name for now in range(passes * len(times))] == times * passes
        assert not animation.ended(passes * len(times) - 1)


@pytest.mark.parametrize(
    ("direction", "repeat", "order"),
    [
        ("forward", "2", "012012"),
        ("reverse", "1", "210"),
        ("pingpong", "1", "012"),
        ("pingpong", "2", "01210"),
        ("pingpong_reverse", "3", "2101210"),
    ],
)
def test_an_animation_stops_where_aseprite_stops_it(direction: str, repeat: str, order: str, tmp_path: Path) -> None:
    sprites, path = export(tmp_path, grid(tmp_path / "s", hero(3)))
    data = json.loads(path.read_bytes())
    data["meta"]["frameTags"] = [{"name": "a", "from": 0, "to": 2, "direction": direction, "repeat": repeat}]
    path.write_text(json.dumps(data), "utf-8")
    loaded = sprites.load(path)
    animation = loaded.animations["a"]
    frames = list(loaded.frames.values())
    times = [frames[int(digit)] for digit in order for _ in range(frames[int(digit)].duration)]
    assert [animation.frame_at(now) for now in range(len(times))] == times
    assert not animation.ended(len(times) - 1)
    assert animation.ended(len(times))
    assert animation.frame_at(len(times) + 12345) == frames[int(order[-1])]


def test_one_frame_is_an_animation_too(tmp_path: Path) -> None:
    sprites, _ = export(tmp_path, grid(tmp_path / "s", hero(1), columns=1))
    frame = sprites.Frame("a", pygame.Surface((1, 1)), 0, None, {})
    assert sprites.Animation("a", (frame,)).frame_at(77.7) is frame
    assert sprites.Animation("a", (frame,), 1).frame_at(0) is frame
