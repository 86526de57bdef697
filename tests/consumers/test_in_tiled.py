"""Exported tilesets in Tiled itself, in pytmx and in pytiled-parser."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawn_sheets import HERO_SLICES, HERO_TAGS, drawing, grid, packed, staged
from sets import SPRITES, needs_sprites

from spritebuild_stages.exports import tiled
from spritebuild_stages.exports.sheet import Sheet
from spritebuild_stages.images import png
from spritebuild_stages.images.png import Rgba
from spritebuild_stages.sheets.layout import Frame

ENVIRONMENT = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
needs_rasterizer = pytest.mark.skipif(
    not shutil.which("tmxrasterizer"), reason="needs tmxrasterizer (Debian: apt-get install tiled)"
)
needs_tiled = pytest.mark.skipif(not shutil.which("tiled"), reason="needs tiled (Debian: apt-get install tiled)")


def version() -> tuple[int, ...]:
    """Of the Tiled that is here; (0,) if none is."""
    if not shutil.which("tiled"):
        return (0,)
    said = subprocess.run(
        ["tiled", "--version"], env=ENVIRONMENT, check=True, timeout=120, capture_output=True, text=True
    )
    return tuple(int(part) for part in said.stdout.split()[-1].split("."))


GRIDS: dict[str, dict[str, Any]] = {
    "tight": {},
    "spaced": {"spacing": 3, "margin": 2},
    "extruded": {"extrude": 1},
    "extruded twice, spaced, in a margin": {"extrude": 2, "spacing": 1, "margin": 4},
    "power of two": {"extrude": 1, "size": (64, 32)},
}


def export(folder: Path, sheet: Sheet) -> Path:
    out = folder / "out"
    out.mkdir()
    tiled.write([sheet], out, tiled.Options(kind="tiled"))
    return out


def opaque(count: int = 6, size: tuple[int, int] = (8, 8)) -> list[Rgba]:
    """Pictures without translucent pixels: Qt multiplies those by their alpha, and rounds."""
    return [drawing(number, *size, alphas=(0, 255)) for number in range(count)]


def tile_of(sheet: Sheet, frame: Frame) -> int:
    """The number of a frame's tile, by the columns of the page."""
    cells = sheet.layout.grid
    assert cells
    columns = (sheet.layout.pages[0].width - cells.margin + cells.spacing) // (cells.cell[0] + cells.spacing)
    column = (frame.x - cells.margin) // (cells.cell[0] + cells.spacing)
    row = (frame.y - cells.margin) // (cells.cell[1] + cells.spacing)
    return row * columns + column


def draw_map(out: Path, numbers: Sequence[int], size: tuple[int, int], tileset: str) -> Path:
    """A map that shows these tiles in a row."""
    path = out / "map.tmx"
    tiles = ",".join(str(number + 1) for number in numbers)
    path.write_text(
        f"""<?xml version="1.0" encoding="UTF-8"?>
<map version="1.8" tiledversion="1.8.2" orientation="orthogonal" renderorder="right-down" width="{len(numbers)}"
 height="1" tilewidth="{size[0]}" tileheight="{size[1]}" infinite="0" nextlayerid="2" nextobjectid="1">
 <tileset firstgid="1" source="{tileset}"/>
 <layer id="1" name="tiles" width="{len(numbers)}" height="1"><data encoding="csv">{tiles}</data></layer>
</map>
""",
        "utf-8",
    )
    return path


def rasterize(path: Path, *told: str) -> Rgba:
    picture = path.with_name("map.png")
    command = ["tmxrasterizer", "--no-smoothing", *told, str(path), str(picture)]
    subprocess.run(command, env=ENVIRONMENT, check=True, timeout=120, capture_output=True)
    return png.read(picture)


def wrong(seen: Rgba, meant: Sequence[Rgba]) -> int:
    """Pixels that differ; colors of what is transparent count for nothing."""
    whole = np.concatenate(meant, axis=1)
    assert seen.shape == whole.shape
    return int(((seen != whole).any(2) & ((seen[..., 3] > 0) | (whole[..., 3] > 0))).sum())


@needs_rasterizer
@pytest.mark.parametrize("suffix", ["tsx", "tsj"])
@pytest.mark.parametrize("shape", GRIDS)
def test_tiled_renders_every_tile_as_it_was_drawn(shape: str, suffix: str, tmp_path: Path) -> None:
    pictures = opaque()
    sheet = grid(tmp_path / "s", pictures, **GRIDS[shape])
    numbers = [tile_of(sheet, frame) for frame in sheet.layout.frames]
    seen = rasterize(draw_map(export(tmp_path, sheet), numbers, (8, 8), f"hero.{suffix}"))
    assert wrong(seen, pictures) == 0


@needs_rasterizer
@needs_sprites
@pytest.mark.parametrize(
    "told", [{}, {"extrude": 2, "spacing": 1, "margin": 3}, {"extrude": 1, "power_of_two": True, "columns": 9}]
)
def test_tiled_renders_a_sheet_of_the_stage(told: dict[str, Any], tmp_path: Path) -> None:
    drawn = [png.read(path) for path in sorted(SPRITES.rglob("*.png"))]
    pictures = [one for one in drawn if one.shape == (32, 32, 4) and set(np.unique(one[..., 3])) == {0, 255}][:400:4]
    sheet = staged(tmp_path / "s", pictures, **told)
    numbers = [tile_of(sheet, frame) for frame in sheet.layout.frames]
    seen = rasterize(draw_map(export(tmp_path, sheet), numbers, (32, 32), "hero.tsx"))
    assert len(pictures) == 100
    assert wrong(seen, pictures) == 0


@needs_rasterizer
def test_tiled_renders_smaller_frames_at_the_top_left_of_their_tiles(tmp_path: Path) -> None:
    sizes = ((8, 8), (5, 8), (8, 3), (1, 1))
    pictures = [drawing(number, *size, alphas=(0, 255)) for number, size in enumerate(sizes)]
    sheet = grid(tmp_path / "s", pictures, spacing=1)
    numbers = [tile_of(sheet, frame) for frame in sheet.layout.frames]
    seen = rasterize(draw_map(export(tmp_path, sheet), numbers, (8, 8), "hero.tsx"))
    padded = [np.pad(one, ((0, 8 - one.shape[0]), (0, 8 - one.shape[1]), (0, 0))) for one in pictures]
    assert wrong(seen, padded) == 0


@needs_rasterizer
@pytest.mark.parametrize("suffix", ["tsx", "tsj"])
def test_tiled_renders_rectangles_of_packed_pages(suffix: str, tmp_path: Path) -> None:
    if version() < (1, 9):
        pytest.skip("Tiled reads rectangles of images since 1.9")
    pictures = opaque()
    sheet = packed(tmp_path / "s", pictures, per_page=4)
    seen = rasterize(draw_map(export(tmp_path, sheet), range(6), (8, 8), f"hero.{suffix}"))
    assert wrong(seen, pictures) == 0


@needs_rasterizer
def test_tiled_shows_every_frame_of_an_animation_at_its_time(tmp_path: Path) -> None:
    pictures = opaque()
    sheet = grid(tmp_path / "s", pictures, extrude=1, tags=HERO_TAGS)
    path = draw_map(export(tmp_path, sheet), [0, 1, 2, 3, 4, 5], (8, 8), "hero.tsx")
    tags = [tag for tag in sheet.layout.tags if tag.first != tag.last]
    steps = [[(sheet.layout.frames.index(one), one.duration) for one in sheet.layout.of_tag(tag)] for tag in tags]
    steps += [[(4, 1)], [(5, 1)]]
    # Not at the very end of a frame, which Tiled still counts as that frame.
    for now in (0, 69, 71, 99, 101, 169, 171, 239, 241, 299, 301, 339, 341, 659, 661, 777, 5000):
        meant = []
        for turn in steps:
            rest = now % sum(duration for _, duration in turn)
            ends = np.cumsum([duration for _, duration in turn])
            meant.append(pictures[turn[int(np.searchsorted(ends, rest, "right"))][0]])
        seen = rasterize(path, "--advance-animations", str(now))
        assert wrong(seen, meant) == 0, now


@needs_tiled
@pytest.mark.parametrize("shape", GRIDS)
def test_tiled_saves_the_tileset_as_we_wrote_it(shape: str, tmp_path: Path) -> None:
    out = export(tmp_path, grid(tmp_path / "s", opaque(), tags=HERO_TAGS, slices=HERO_SLICES, **GRIDS[shape]))
    ours = (out / "hero.tsx").read_text("utf-8").replace('version="1.10" tiledversion="1.10.2"', "")
    for suffix in ("tsx", "tsj"):
        command = ["tiled", "--export-tileset", "tsx", str(out / f"hero.{suffix}"), str(out / "saved.tsx")]
        subprocess.run(command, env=ENVIRONMENT, check=True, timeout=120, capture_output=True)
        saved = (out / "saved.tsx").read_text("utf-8").splitlines(keepends=True)
        saved[1] = "<tileset " + saved[1][saved[1].index(" name=") :]
        assert "".join(saved) == ours


@pytest.mark.parametrize("shape", GRIDS)
def test_pytmx_cuts_the_same_pictures(shape: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    pygame = pytest.importorskip("pygame")
    pytest.importorskip("pytmx")
    from pytmx.util_pygame import load_pygame

    pictures = opaque()
    sheet = grid(tmp_path / "s", pictures, tags=HERO_TAGS, slices=HERO_SLICES, **GRIDS[shape])
    numbers = [tile_of(sheet, frame) for frame in sheet.layout.frames]
    path = draw_map(export(tmp_path, sheet), numbers, (8, 8), "hero.tsx")
    pygame.display.init()
    try:
        pygame.display.set_mode((8, 8))
        loaded = load_pygame(str(path))
        seen = []
        for x, frame in enumerate(sheet.layout.frames):
            surface = loaded.get_tile_image(x, 0, 0)
            pixels = np.frombuffer(pygame.image.tobytes(surface, "RGBA"), np.uint8)
            seen.append(pixels.reshape(8, 8, 4))
            properties = loaded.get_tile_properties(x, 0, 0)
            assert properties["name"] == frame.name
            assert (properties.get("pivot_x"), properties.get("pivot_y")) == (frame.pivot or (None, None))
        assert wrong(np.concatenate(seen, axis=1), pictures) == 0
        found = [
            (one.name, one.x, one.y, one.width, one.height) for one in loaded.get_tile_properties(1, 0, 0)["colliders"]
        ]
        assert found == [("hit <1>", 2, 1, 4, 5), ("foot", 0, 7, 8, 1)]
        turn = loaded.get_tile_properties(1, 0, 0)
        assert turn["animation"] == "turn"
        assert [step.duration for step in turn["frames"]] == [70, 130, 40, 250, 40, 130]
        assert [loaded.tiledgidmap[step.gid] - 1 for step in turn["frames"]] == [numbers[n] for n in (1, 2, 3, 4, 3, 2)]
    finally:
        pygame.display.quit()


@pytest.mark.parametrize("suffix", ["tsx", "tsj"])
@pytest.mark.parametrize("shape", [*GRIDS, "packed"])
def test_pytiled_parser_reads_the_same_tileset(shape: str, suffix: str, tmp_path: Path) -> None:
    parser = pytest.importorskip("pytiled_parser")
    if shape == "packed":
        pictures = [drawing(0, 5, 9), drawing(1, 12, 3), drawing(2, 1, 1), *opaque(3)]
        sheet = packed(tmp_path / "s", pictures, per_page=4, tags=HERO_TAGS, slices=HERO_SLICES)
        numbers = list(range(6))
    else:
        sheet = grid(tmp_path / "s", opaque(), tags=HERO_TAGS, slices=HERO_SLICES, **GRIDS[shape])
        numbers = [tile_of(sheet, frame) for frame in sheet.layout.frames]
    out = export(tmp_path, sheet)
    path = draw_map(out, numbers, (8, 8), f"hero.{suffix}")
    tileset = parser.parse_map(path).tilesets[1]
    assert (tileset.name, tileset.version, tileset.tiled_version) == ("hero", "1.10", "1.10.2")
    for number, frame in zip(numbers, sheet.layout.frames, strict=True):
        tile = tileset.tiles[number]
        if shape == "packed":
            rectangle = (tile.x, tile.y, tile.width, tile.height)
            page = sheet.layout.pages[frame.page]
            assert tile.image == (out / page.image).resolve()
            assert (tile.image_width, tile.image_height) == (page.width, page.height)
        else:
            row, column = divmod(number, tileset.columns)
            size = tileset.tile_width, tileset.tile_height
            steps = (column * (size[0] + tileset.spacing), row * (size[1] + tileset.spacing))
            rectangle = (tileset.margin + steps[0], tileset.margin + steps[1], *size)
            assert tileset.image == (out / "hero.png").resolve()
        assert rectangle == frame.rectangle
        assert tile.properties["name"] == frame.name
    assert [(one.name, *one.coordinates, *one.size) for one in tileset.tiles[numbers[1]].objects.tiled_objects] == [
        ("hit <1>", 2, 1, 4, 5),
        ("foot", 0, 7, 8, 1),
    ]
    for tag, first in zip(HERO_TAGS, numbers, strict=False):
        if tag.first != tag.last:
            tile = tileset.tiles[first]
            frames = sheet.layout.of_tag(tag)
            assert tile.properties["animation"] == tag.name
            assert tile.properties.get("repeat", 0) == tag.repeat
            assert [(step.tile_id, step.duration) for step in tile.animation] == [
                (numbers[sheet.layout.frames.index(one)], one.duration) for one in frames
            ]
