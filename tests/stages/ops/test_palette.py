"""Palette files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spritebuild_stages.images import png
from spritebuild_stages.ops.palette import PaletteError, parse

THREE = ((0, 0, 0), (255, 128, 1), (16, 32, 48))
colors = st.lists(st.tuples(*[st.integers(0, 255)] * 3), min_size=1, max_size=256, unique=True).map(tuple)


def file(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.hex", "000000\nff8001\n102030\n"),
        ("a.HEX", "#000000\r\n\r\n#FF8001\r\n#102030"),
        ("a.hex", "\ufeff000000\n000000\nff8001\nff8001\n102030\n"),
        ("a.gpl", "GIMP Palette\nName: Three\nColumns: 2\n# by hand\n\n0 0 0\n255 128   1\tOrange 7\n 16 32 48 x\n"),
        ("a.gpl", "GIMP Palette\n0 0 0\n255 128 1\n16 32 48\n"),
        ("a.gpl", "GIMP Palette\nChannels: RGBA\n0 0 0 255 a\n255 128 1 255 b\n16 32 48 255 c\n"),
        ("a.gpl", b"GIMP Palette\nName: caf\xe9\n0 0 0 caf\xe9\n255 128 1\n16 32 48\n"),
        ("a.pal", "JASC-PAL\r\n0100\r\n3\r\n0 0 0\r\n255 128 1\r\n16 32 48\r\n"),
    ],
)
def test_every_format_gives_the_same_colors(name: str, content: str | bytes, tmp_path: Path) -> None:
    assert parse(file(tmp_path, name, content)) == THREE


@settings(deadline=None)  # writes files
@given(colors)
def test_any_palette_survives_every_format(
    tmp_path_factory: pytest.TempPathFactory, palette: tuple[tuple[int, int, int], ...]
) -> None:
    folder = tmp_path_factory.getbasetemp()
    decimal = "".join(f"{r} {g} {b}\n" for r, g, b in palette)
    assert parse(file(folder, "a.hex", "".join(f"{r:02x}{g:02X}{b:02x}\n" for r, g, b in palette))) == palette
    assert parse(file(folder, "a.gpl", f"GIMP Palette\n{decimal}")) == palette
    assert parse(file(folder, "a.pal", f"JASC-PAL\n0100\n{len(palette)}\n{decimal}")) == palette
    png.write(folder / "a.png", np.array([[(*color, 255) for color in palette]], np.uint8))
    assert parse(folder / "a.png") == palette


def test_a_picture_gives_its_opaque_colors_in_reading_order(tmp_path: Path) -> None:
    rgba = np.array(
        [
            [[9, 9, 9, 255], [1, 1, 1, 255], [9, 9, 9, 255]],
            [[7, 7, 7, 254], [5, 5, 5, 0], [3, 3, 3, 255]],
        ],
        np.uint8,
    )
    png.write(tmp_path / "a.png", rgba)
    assert parse(tmp_path / "a.png") == ((9, 9, 9), (1, 1, 1), (3, 3, 3))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.hex", "000000\nred\n", "a.hex:2: 'red' is not RRGGBB"),
        ("a.hex", "ff0000 00ff00\n", "a.hex:1: 'ff0000 00ff00' is not RRGGBB"),
        ("a.hex", "\n\n", "a.hex: no color in it"),
        ("a.hex", "", "a.hex: no color in it"),
        ("a.hex", "".join(f"{n:06x}\n" for n in range(257)), "a.hex: 257 colors, more than 256"),
        ("a.hex", b"\0" * ((1 << 20) + 1), "a.hex: more than 1 MiB is no palette"),
        ("a.gpl", "0 0 0\n", "a.gpl:1: '0 0 0' is not 'GIMP Palette'"),
        ("a.gpl", "GIMP Palette\n#\n1 2\n", "a.gpl:3: '1 2' is not three numbers of 0..255"),
        ("a.gpl", "GIMP Palette\n1 2 256 x\n", "a.gpl:2: '1 2 256 x' is not three numbers of 0..255"),
        ("a.gpl", "GIMP Palette\n1 2 -3\n", "a.gpl:2: '1 2 -3' is not three numbers of 0..255"),
        ("a.gpl", "GIMP Palette\n1 2 \u0663\n", "a.gpl:2: '1 2 \u0663' is not three numbers of 0..255"),
        ("a.pal", "RIFF\x18\0\0\0PAL data", "(a Microsoft palette: save it as JASC)"),
        ("a.pal", "JASC-PAL\n", "a.pal:2: the version is not '0100'"),
        ("a.pal", "JASC-PAL\n0100\n", "a.pal:3: '' is not the number of colors that follow, 0"),
        ("a.pal", "JASC-PAL\n0100\n2\n0 0 0\n", "a.pal:3: '2' is not the number of colors that follow, 1"),
        ("a.pal", "JASC-PAL\n0100\n1\n0 0 0 0\n", "a.pal:4: '0 0 0 0' is not three numbers of 0..255"),
        ("a.png", "no picture", "a.png: not a PNG"),
        ("a.act", "", "a.act: a palette is a .hex, .gpl, .pal or .png file"),
    ],
)
def test_errors_name_the_file_and_the_line(name: str, content: str | bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(PaletteError) as caught:
        parse(file(tmp_path, name, content))
    assert message in str(caught.value)
    assert str(tmp_path / name) in str(caught.value)


def test_a_picture_without_an_opaque_pixel_is_no_palette(tmp_path: Path) -> None:
    png.write(tmp_path / "a.png", np.zeros((2, 2, 4), np.uint8))
    with pytest.raises(PaletteError, match="no opaque color in it"):
        parse(tmp_path / "a.png")


def test_a_picture_of_257_colors_is_no_palette(tmp_path: Path) -> None:
    rgba = np.full((1, 257, 4), 255, np.uint8)
    rgba[0, :, 0], rgba[0, :, 1] = np.arange(257) % 256, np.arange(257) // 256
    png.write(tmp_path / "a.png", rgba)
    with pytest.raises(PaletteError, match="257 colors, more than 256"):
        parse(tmp_path / "a.png")
