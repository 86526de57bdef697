"""Palette files."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spritebuild_stages.images import png
from spritebuild_stages.ops.palette import SUFFIXES, PaletteError, gpl, parse

THREE = ((0, 0, 0), (255, 128, 1), (16, 32, 48))
colors = st.lists(st.tuples(*[st.integers(0, 255)] * 3), min_size=1, max_size=256, unique=True).map(tuple)


Entries = list[tuple[int, int, int, int]]
TABLE = bytes(channel for color in THREE for channel in color)


def chunk(kind: int, body: bytes) -> bytes:
    return struct.pack("<IH", 6 + len(body), kind) + body


def palette_chunk(entries: Entries, first: int = 0, name: str = "") -> bytes:
    """Chunk 0x2019: every entry is named, if there is a name."""
    named = struct.pack("<H", len(name)) + name.encode() if name else b""
    body = b"".join(struct.pack("<H4B", bool(name), *entry) + named for entry in entries)
    return chunk(0x2019, struct.pack("<III8x", len(entries), first, first + len(entries) - 1) + body)


def sprite(*chunks: bytes, old_count: bool = False) -> bytes:
    """A file of Aseprite's with one frame of those chunks, and a second frame with a palette that is not asked for."""
    frames = []
    for held in (chunks, (palette_chunk([(1, 1, 1, 255)]),)):
        body = b"".join(held)
        counts = (len(held), 100, 0) if old_count else (0xFFFF, 100, len(held))
        frames.append(struct.pack("<IHHH2xI", 16 + len(body), 0xF1FA, *counts) + body)
    data = b"".join(frames)
    return struct.pack("<IHHHHH", 128 + len(data), 0xA5E0, 2, 1, 1, 32).ljust(128, b"\0") + data


OPAQUE: Entries = [(*color, 255) for color in THREE]
LAYER = chunk(0x2004, bytes(20))


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
        ("a.act", TABLE.ljust(768, b"\0")),
        ("a.ACT", TABLE.ljust(768, b"\7") + b"\0\3\xff\xff"),
        ("a.act", (TABLE + b"\7\7\7").ljust(768, b"\0") + b"\0\4\0\3"),
        ("a.aseprite", sprite(palette_chunk(OPAQUE))),
        ("a.ase", sprite(LAYER, palette_chunk(OPAQUE), old_count=True)),
        (
            "a.aseprite",
            sprite(palette_chunk(OPAQUE[:1], name="caf\u00e9")[:-1] + b"\xa9", palette_chunk(OPAQUE[1:], 1)),
        ),
        ("a.aseprite", sprite(palette_chunk([OPAQUE[0], (9, 9, 9, 0), *OPAQUE[1:]], name="x"), LAYER)),
        ("a.aseprite", sprite(chunk(4, b"\1\0\0\1\7\7\7"), palette_chunk(OPAQUE))),
        ("a.ase", sprite(chunk(4, b"\2\0" + b"\0\2" + TABLE[:6] + b"\3\1" + TABLE[6:]))),
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
    assert parse(file(folder, "b.gpl", gpl(palette))) == palette
    table = bytes(channel for color in palette for channel in color).ljust(768, b"\0")
    assert parse(file(folder, "a.act", table + struct.pack(">HH", len(palette), 0xFFFF))) == palette
    entries = [(*color, 255) for color in palette]
    assert parse(file(folder, "a.aseprite", sprite(palette_chunk(entries)))) == palette


@given(st.binary(max_size=40), st.integers(0, 200), st.sampled_from(["a.aseprite", "a.ase"]))
def test_a_sprite_with_foreign_bytes_gives_a_palette_or_an_error_that_names_it(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes, at: int, name: str
) -> None:
    whole = sprite(LAYER, palette_chunk(OPAQUE, name="x"), chunk(0x11, b"\1\0\0\1\7\7\7"))
    path = file(tmp_path_factory.getbasetemp(), name, whole[: 120 + at] + noise + whole[120 + at + len(noise) :])
    try:
        assert 1 <= len(parse(path)) <= 256
    except PaletteError as error:
        assert str(error).startswith(f"{path}: ")


def test_a_sprite_cut_short_anywhere_in_its_first_frame_is_an_error(tmp_path: Path) -> None:
    whole = sprite(LAYER, palette_chunk(OPAQUE, name="x"))
    end = 128 + int.from_bytes(whole[128:132], "little")
    for size in range(end):
        with pytest.raises(PaletteError, match=r"a\.ase: "):
            parse(file(tmp_path, "a.ase", whole[:size]))
    assert parse(file(tmp_path, "a.ase", whole[:end])) == THREE


def test_old_palettes_of_six_bits_are_widened(tmp_path: Path) -> None:
    data = sprite(chunk(0x11, b"\1\0\0\3\0\0\0\x3f\x3f\x3f\x20\1\2"))
    assert parse(file(tmp_path, "a.ase", data)) == ((0, 0, 0), (255, 255, 255), (130, 4, 8))


def test_a_count_of_zero_means_256_in_old_palettes(tmp_path: Path) -> None:
    grays = bytes(value for value in range(256) for _ in range(3))
    assert len(parse(file(tmp_path, "a.ase", sprite(chunk(4, b"\1\0\0\0" + grays))))) == 256


def test_what_is_written_for_gimp_is_this() -> None:
    assert gpl(THREE) == (
        "GIMP Palette\nName: 3 colors\nColumns: 16\n#\n  0   0   0\t000000\n255 128   1\tff8001\n 16  32  48\t102030\n"
    )


def test_a_picture_gives_its_opaque_colors_in_reading_order(tmp_path: Path) -> None:
    rgba = np.array(
        [
            [[9, 9, 9, 255], [1, 1, 1, 255], [9, 9, 9, 255]],
            [[7, 7, 7, 0], [5, 5, 5, 0], [3, 3, 3, 255]],
        ],
        np.uint8,
    )
    png.write(tmp_path / "a.png", rgba)
    assert parse(tmp_path / "a.png") == ((9, 9, 9), (1, 1, 1), (3, 3, 3))


def test_a_picture_with_translucent_colors_is_no_palette(tmp_path: Path) -> None:
    png.write(tmp_path / "a.png", np.array([[[9, 9, 9, 255], [1, 1, 1, 128]]], np.uint8))
    with pytest.raises(PaletteError, match=r"a\.png: 1 translucent pixels: a palette's colors are opaque"):
        parse(tmp_path / "a.png")


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
        ("a.txt", "", "a.txt: a palette is a .hex, .gpl, .pal, .act, .png, .aseprite or .ase file"),
        (
            "a.hex",
            "".join(f"{n:06x}\n" for n in range(10_000)),
            "a.hex: 10,000 colors, more than 256: leave the others out",
        ),
        (
            "a.gpl",
            "GIMP Palette\n" + "".join(f"{n % 256} {n // 256} 0\n" for n in range(10_000)),
            "10,000 colors, more",
        ),
        ("a.gpl", "GIMP Palette\nName: none\n", "a.gpl: no color in it: give it 1 or more"),
        ("a.pal", "JASC-PAL\n0100\n0\n", "a.pal: no color in it"),
        ("a.act", b"", "a.act: 0 bytes, not 768 or 772: save it anew as an Adobe color table"),
        ("a.act", bytes(771), "a.act: 771 bytes, not 768 or 772"),
        ("a.act", bytes(772), "a.act: byte 768: a table of 0 colors, not 1 to 256"),
        ("a.act", bytes(768) + b"\x27\x10\0\0", "a.act: byte 768: a table of 10,000 colors, not 1 to 256"),
        ("a.act", bytes(768) + b"\0\1\0\0", "a.act: no color in it"),
        ("a.aseprite", b"", "a.aseprite: not an Aseprite sprite: save it anew with Aseprite"),
        ("a.aseprite", bytes(200), "a.aseprite: not an Aseprite sprite"),
        ("a.ase", sprite()[:132] + bytes(40), "a.ase: byte 128: no frame begins here"),
        ("a.ase", sprite(LAYER), "a.ase: no palette in the first frame: save the palette by itself"),
        ("a.ase", sprite(palette_chunk([(1, 2, 3, 0)])), "a.ase: no color in it"),
        ("a.ase", sprite(b"\0" * 6), "a.ase: byte 144: a chunk of 0 bytes does not fit its frame"),
        ("a.ase", sprite(struct.pack("<IH", 1 << 31, 0x2019)), "byte 144: a chunk of 2,147,483,648 bytes does not fit"),
        ("a.ase", sprite(chunk(0x2019, bytes(20))), "a.ase: byte 170: cut short"),
        ("a.ase", sprite(chunk(0x2019, struct.pack("<III8x", 1, 9, 8))), "byte 150: a palette of entries 9 to 8"),
        ("a.ase", sprite(chunk(0x2019, struct.pack("<III8x", 1, 0, 0xFFFFFFFF))), "entries 0 to 4,294,967,295"),
        (
            "a.ase",
            sprite(palette_chunk([(n % 256, n // 256, 0, 255) for n in range(10_000)])),
            "10,000 colors, more than",
        ),
        ("a.ase", sprite(chunk(0x11, b"\1\0\0\1\0\x40\0")), "a.ase: byte 154: a channel of more than 63"),
    ],
)
def test_errors_name_the_file_and_the_line(name: str, content: str | bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(PaletteError) as caught:
        parse(file(tmp_path, name, content))
    assert message in str(caught.value)
    assert str(tmp_path / name) in str(caught.value)


def test_every_suffix_has_a_reader(tmp_path: Path) -> None:
    for suffix in SUFFIXES:
        with pytest.raises(PaletteError) as caught:
            parse(file(tmp_path, f"a{suffix}", b"\0"))
        assert "a palette is a" not in str(caught.value)


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


def test_the_suffixes_that_a_spritefile_takes_are_those_that_are_read() -> None:
    from spritebuild.spritefile.fields import PALETTE_FILES

    assert sorted(PALETTE_FILES) == sorted(SUFFIXES)
