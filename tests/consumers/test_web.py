"""Exports for the web, loaded by PixiJS, Phaser and Chromium themselves: pixels read back, times taken from animations.

`make consumers` installs what they need: Chromium on the path, and `npm ci` in tests/consumers/web.
"""

from __future__ import annotations

import base64
import itertools
import json
import math
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawn_sheets import drawing
from numpy.typing import NDArray
from packed_sheets import PANEL, TAGS, packed, sprites
from sets import SPRITES, needs_sprites

from spritebuild_stages.exports import gif, phaser, pixi, previews
from spritebuild_stages.exports.sheet import Sheet
from spritebuild_stages.images import png
from spritebuild_stages.images.png import Rgba
from spritebuild_stages.ops.alpha import binarize, clear_hidden
from spritebuild_stages.sheets.layout import Tag

WEB = Path(__file__).with_name("web")
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on the path, nor in $CHROMIUM"),
    pytest.mark.skipif(shutil.which("node") is None, reason="no Node on the path"),
    pytest.mark.skipif(not (WEB / "node_modules").is_dir(), reason="run `npm ci` in tests/consumers/web"),
]

CANVAS, ORIGIN = (96, 80), (40, 32)
MILLISECONDS = 1500
TOLD = {"canvas": CANVAS, "origin": ORIGIN, "scale": 1, "milliseconds": 0}


def consume(consumer: str, folder: Path, **told: Any) -> Any:
    """What a consumer saw in an export; it has nothing to complain about."""
    done = subprocess.run(
        ["node", "run.mjs", consumer, str(folder)],
        cwd=WEB, env=os.environ | {"CHROMIUM": CHROMIUM or ""}, input=json.dumps(told), capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert [line for line in answer["said"] if not ignorable(line)] == []
    return answer["saw"]


def ignorable(line: str) -> bool:
    """Chromium's word on reading pixels back, which is what these tests do."""
    return "GPU stall due to ReadPixels" in line


def drawn(picture: Rgba, corner: tuple[int, int], scale: int) -> Rgba:
    """The canvas with a picture, enlarged, at a corner."""
    canvas = np.zeros((CANVAS[1], CANVAS[0], 4), np.uint8)
    large = picture.repeat(scale, axis=0).repeat(scale, axis=1)
    canvas[corner[1] : corner[1] + large.shape[0], corner[0] : corner[0] + large.shape[1]] = large
    return canvas


def pixels(text: str, shape: tuple[int, ...] = (CANVAS[1], CANVAS[0], 4)) -> NDArray[np.uint8]:
    return np.frombuffer(base64.b64decode(text), np.uint8).reshape(shape)


def wrong(text: str, expected: Rgba) -> int:
    """How many pixels differ; with hard alpha, colors multiplied by alpha are the colors."""
    return int(np.count_nonzero((pixels(text, expected.shape) != expected).any(axis=2)))


def wrong_frames(sheet: Sheet, frames: dict[str, Any], scale: int, named: Sequence[str] = ()) -> dict[str, int]:
    """How many pixels are wrong, by frame, as it was drawn with its anchor at the origin of the canvas."""
    names = named or [frame.name for frame in sheet.layout.frames]
    found = {}
    for name, frame, picture in zip(names, sheet.layout.frames, sheet.pictures(), strict=True):
        assert set(np.unique(picture[..., 3])) <= {0, 255}
        x, y = (int(place) * scale for place in frame.pivot or (0, 0))
        found[name] = wrong(frames[name]["pixels"], drawn(picture, (ORIGIN[0] - x, ORIGIN[1] - y), scale))
    return {name: count for name, count in found.items() if count}


def runs(sheet: Sheet, tag: Tag) -> list[list[Any]]:
    """What an animation shows in those milliseconds: [frame, milliseconds] in order."""
    frames = sheet.layout.of_tag(tag)
    passes = tag.repeat or math.ceil(MILLISECONDS / sum(frame.duration for frame in frames))
    shown: list[list[Any]] = []
    left = MILLISECONDS
    for frame in frames * passes:
        time = min(left, frame.duration)
        left -= time
        if shown and shown[-1][0] == frame.name:
            shown[-1][1] += time
        elif time:
            shown.append([frame.name, time])
    return shown


def in_pixi(folder: Path, sheets: Sequence[Sheet], options: dict[str, Any] | None = None, **told: Any) -> Any:
    """What PixiJS saw of an export in a folder, which is made."""
    folder.mkdir()
    pixi.write(sheets, folder, pixi.Options(kind="pixi", **options or {}))
    saw = consume("pixi.mjs", folder, **{"bundle": "default"} | TOLD | told)
    assert saw["renderer"] == "webgl"
    return saw["sheets"]


def in_phaser(version: int, folder: Path, sheets: Sequence[Sheet], **told: Any) -> Any:
    """What Phaser saw of an export in a folder, which is made."""
    folder.mkdir()
    phaser.write(sheets, folder, phaser.Options(kind="phaser", url="/export"))
    saw = consume("phaser.mjs", folder, **{"version": version} | TOLD | told)
    assert saw["version"].startswith(f"{version}.")
    assert saw["renderer"] == 2  # WebGL
    return saw


def stretched(kept: Rgba, center: tuple[int, int, int, int], width: int, height: int) -> Rgba:
    """A nine-slice at another size: every pixel is that of the source in which its middle lies."""

    def sources(start: int, length: int, whole: int, wanted: int) -> list[int]:
        after = whole - start - length
        middle = wanted - start - after
        inner = [start + (2 * place + 1) * length // (2 * middle) for place in range(middle)]
        return [*range(start), *inner, *range(whole - after, whole)]

    rows = sources(center[1], center[3], kept.shape[0], height)
    return kept[rows][:, sources(center[0], center[2], kept.shape[1], width)]


def stretched_panel(sheet: Sheet, width: int, height: int) -> Rgba:
    """What engines make of the panel: they cut it at its kept pixels."""
    left, top, wide, high = sheet.layout.frames[PANEL].box
    kept = sheet.pictures()[PANEL][top : top + high, left : left + wide]
    return stretched(kept, (4 - left, 3 - top, 5, 4), width, height)


@pytest.mark.parametrize("scale", (1, 2))
@pytest.mark.parametrize("max_size", (4096, 32))
def test_pixi_shows_every_pixel_and_time(tmp_path: Path, scale: int, max_size: int) -> None:
    sheet = packed(tmp_path / "pages", "hero", sprites(), max_size=max_size)
    assert (len(sheet.layout.pages) > 1) == (max_size == 32)
    saw = in_pixi(tmp_path / "export", [sheet], scale=scale, milliseconds=MILLISECONDS)["hero"]
    assert wrong_frames(sheet, saw["frames"], scale) == {}
    assert saw["timelines"] == {tag.name: runs(sheet, tag) for tag in TAGS}
    passes = {tag.name: [frame.name for frame in sheet.layout.of_tag(tag)] for tag in TAGS}
    assert saw["animations"].items() <= passes.items()
    assert max_size == 32 or saw["animations"] == passes


def test_pixi_keeps_sheets_apart_whose_frames_have_the_same_names(tmp_path: Path) -> None:
    sheets = []
    for number, name in enumerate(("hero", "goblin")):
        one = packed(tmp_path / name, name, sprites()[number:])
        frames = tuple(frame.model_copy(update={"name": str(place)}) for place, frame in enumerate(one.layout.frames))
        sheets.append(Sheet(one.layout.model_copy(update={"frames": frames}), one.pages, "characters"))
    saw = in_pixi(tmp_path / "export", sheets, {"prefix": True}, bundle="characters")
    for sheet in sheets:
        names = [f"{sheet.layout.name}/{frame.name}" for frame in sheet.layout.frames]
        assert wrong_frames(sheet, saw[sheet.layout.name]["frames"], 1, names) == {}


def test_pixi_stretches_the_middle_of_a_nine_slice(tmp_path: Path) -> None:
    sheet = packed(tmp_path / "pages", "hero", sprites())
    name = sheet.layout.frames[PANEL].name
    saw = in_pixi(tmp_path / "export", [sheet], nine=[{"frame": name, "width": 35, "height": 23}])["hero"]
    assert wrong(saw["slices"][name], drawn(stretched_panel(sheet, 35, 23), (0, 0), 1)) == 0


@pytest.mark.parametrize("version", (3, 4))
@pytest.mark.parametrize("max_size", (4096, 32))
@pytest.mark.parametrize("scale", (1, 2))
def test_phaser_shows_every_pixel_and_time(tmp_path: Path, version: int, max_size: int, scale: int) -> None:
    sheet = packed(tmp_path / "pages", "hero", sprites(), max_size=max_size)
    assert (len(sheet.layout.pages) > 1) == (max_size == 32)
    sheet = Sheet(sheet.layout, sheet.pages, "characters")
    saw = in_phaser(version, tmp_path / "export", [sheet], scale=scale, milliseconds=MILLISECONDS)
    assert wrong_frames(sheet, saw["sheets"]["hero"]["frames"], scale) == {}
    assert saw["animations"] == {f"hero-{tag.name}": runs(sheet, tag) for tag in TAGS}


@pytest.mark.parametrize("version", (3, 4))
def test_phaser_loads_a_page_as_an_atlas(tmp_path: Path, version: int) -> None:
    sheet = packed(tmp_path / "pages", "hero", sprites())
    name = sheet.layout.frames[PANEL].name
    nine = [{"frame": name, "width": 35, "height": 23}]
    saw = in_phaser(version, tmp_path / "export", [sheet], atlas="hero", nine=nine)["sheets"]["hero"]
    assert wrong_frames(sheet, saw["frames"], 1) == {}
    assert wrong(saw["slices"][name], drawn(stretched_panel(sheet, 35, 23), (0, 0), 1)) == 0


@pytest.mark.parametrize("version", (3, 4))
def test_phaser_creates_animations_from_aseprite(tmp_path: Path, version: int) -> None:
    sheet = packed(tmp_path / "pages", "hero", sprites())
    saw = in_phaser(version, tmp_path / "export", [sheet], aseprite="hero", milliseconds=MILLISECONDS)
    numbers = [str(number) for number in range(len(sheet.layout.frames))]
    assert wrong_frames(sheet, saw["sheets"]["hero"]["frames"], 1, numbers) == {}
    # It plays everything once, and a ping-pong to its first frame again.
    shown = {"walk": (0, 1, 2, 3), "turn": (1, 2, 3, 4, 3, 2, 1), "back": (4, 3, 2), "rest": (5,)}
    for tag, frames in shown.items():
        assert saw["animations"][tag] == [[str(frame), sheet.layout.frames[frame].duration] for frame in frames]


def test_phaser_takes_a_companion_as_its_normal_map(tmp_path: Path) -> None:
    sheet = packed(tmp_path / "pages", "hero", sprites(), max_size=32)
    pages = []
    for number, page in enumerate(sheet.layout.pages):
        shutil.copyfile(sheet.pages / page.image, sheet.pages / f"normal-{number}.png")
        pages.append(page.model_copy(update={"companions": {"normal": f"normal-{number}.png"}}))
    sheet = Sheet(sheet.layout.model_copy(update={"pages": tuple(pages)}), sheet.pages)
    saw = in_phaser(4, tmp_path / "export", [sheet])["sheets"]["hero"]
    assert saw["normals"] == len(pages) > 1
    assert wrong_frames(sheet, saw["frames"], 1) == {}


@pytest.mark.parametrize("engine", ("pixi", "phaser"))
def test_partial_alpha_is_multiplied_into_the_colors(tmp_path: Path, engine: str) -> None:
    pictures = [drawing(number, 17, 13, (0, 1, 60, 200, 255)) for number in range(6)]
    sheet = packed(tmp_path / "pages", "hero", pictures, pivots={})
    frames = either(engine, tmp_path / "export", sheet)
    for frame, picture in zip(sheet.layout.frames, pictures, strict=True):
        canvas = drawn(picture, ORIGIN, 1).astype(float)
        canvas[..., :3] *= canvas[..., 3:] / 255
        assert np.abs(pixels(frames[frame.name]["pixels"]) - canvas).max() <= 1


@needs_sprites
@pytest.mark.parametrize("engine", ("pixi", "phaser"))
def test_sprites_of_a_game_are_shown_exactly(tmp_path: Path, engine: str) -> None:
    found = [png.read(path) for path in sorted(SPRITES.glob("mon/**/*.png"))[:200]]
    pictures = [clear_hidden(binarize(picture, 128)) for picture in found if picture.shape == (32, 32, 4)]
    assert len(pictures) > 150
    sheet = packed(tmp_path / "pages", "hero", pictures, pivots={})
    assert wrong_frames(sheet, either(engine, tmp_path / "export", sheet), 1) == {}


def either(engine: str, folder: Path, sheet: Sheet) -> Any:
    """The frames of a sheet as one of the engines saw them."""
    if engine == "pixi":
        return in_pixi(folder, [sheet])["hero"]["frames"]
    return in_phaser(4, folder, [sheet])["sheets"]["hero"]["frames"]


def test_chromium_decodes_the_previews_with_their_times(tmp_path: Path) -> None:
    sheet = packed(tmp_path / "pages", "hero", sprites(), pivots={})
    folder = tmp_path / "export"
    folder.mkdir()
    previews.write([sheet], folder, previews.Options(kind="previews", formats=("gif", "apng", "webp"), scale=2))
    types = {".gif": "image/gif", ".png": "image/png", ".webp": "image/webp"}
    files = {path.name: types[path.suffix] for path in sorted(folder.iterdir())}
    assert len(files) == 3 * len(TAGS)
    saw = consume("decode.mjs", folder, files=files)
    pictures = dict(zip((frame.name for frame in sheet.layout.frames), sheet.pictures(), strict=True))
    for tag, suffix in itertools.product(TAGS, types):
        shown, frames = saw[f"hero-{tag.name}{suffix}"], sheet.layout.of_tag(tag)
        wanted = [pictures[frame.name].repeat(2, axis=0).repeat(2, axis=1) for frame in frames]
        assert not any(wrong(one["pixels"], rgba) for one, rgba in zip(shown["frames"], wanted, strict=True))
        if len(frames) > 1:  # Chromium takes a single frame for a picture
            durations = [frame.duration for frame in frames]
            times = [10 * delay for delay in gif.delays(durations)] if suffix == ".gif" else durations
            assert [one["duration"] for one in shown["frames"]] == [1000 * time for time in times]
            assert shown["again"] == tag.repeat - 1
