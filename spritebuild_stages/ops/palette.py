"""Palette files as tuples of colors, and back as one; knows nothing of what they are for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from spritebuild_stages.images import png
from spritebuild_stages.ops import palette_binary

Color = tuple[int, int, int]

SUFFIXES = (".hex", ".gpl", ".pal", ".act", ".png", ".aseprite", ".ase")

MAX_COLORS = 256
MAX_BYTES = 1 << 20
HEX = re.compile(r"#?([0-9A-Fa-f]{2})([0-9A-Fa-f]{2})([0-9A-Fa-f]{2})")
BINARY = {  # what reads them, and the most bytes that they may have: sprites hold pictures, too
    ".act": (palette_binary.act, MAX_BYTES),
    ".aseprite": (palette_binary.aseprite, 64 * MAX_BYTES),
    ".ase": (palette_binary.aseprite, 64 * MAX_BYTES),
}
GPL_ASIDE = re.compile(r"#|\w+:")  # comments, and headers such as Name, Columns and Aseprite's Channels


class PaletteError(ValueError):
    """The palette file cannot be understood; the message names the file and, in a text, the line."""


def parse(path: Path) -> tuple[Color, ...]:
    """The distinct colors of a palette file as (r, g, b) of 0..255, in the file's order.

    By suffix, one of SUFFIXES: `.hex` one RRGGBB a line; `.gpl` GIMP; `.pal` JASC, the text format of Paint Shop Pro;
    `.act` an Adobe color table, less its transparent entry; `.png` the opaque colors of a picture in reading order;
    `.aseprite` and `.ase` the first frame's palette of a sprite, less entries of alpha 0. Without a suffix it is a GIMP
    palette, which is what the palette stage writes, since blobs have no names. Raises PaletteError for anything else,
    for a file that breaks its format, and for no color or more than 256; OSError if the file cannot be opened.

    Sources: https://developer.gimp.org/core/standards/gpl and, as written by Aseprite and Lospec, the other two texts;
    for the binary files see `palette_binary.py`.
    """
    suffix = path.suffix.lower()
    if suffix == ".png":
        return _distinct(path, _pixels(path))
    if suffix in BINARY:
        return _distinct(path, _binary(path, *BINARY[suffix]))
    readers = {".hex": _hex, ".gpl": _gpl, ".pal": _pal, "": _gpl}
    if suffix not in readers:
        raise PaletteError(f"{path}: a palette is a {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]} file")
    return _distinct(path, readers[suffix](path, _lines(path)))


def gpl(colors: Iterable[Color]) -> str:
    """The colors as a GIMP palette, each named by its RRGGBB, which `parse` reads back."""
    rows = [f"{red:3} {green:3} {blue:3}\t{red:02x}{green:02x}{blue:02x}\n" for red, green, blue in colors]
    return f"GIMP Palette\nName: {len(rows)} colors\nColumns: 16\n#\n{''.join(rows)}"


def _hex(path: Path, lines: list[str]) -> Iterator[Color]:
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        match = HEX.fullmatch(line)
        if not match:
            raise PaletteError(f"{path}:{number}: {line!r} is not RRGGBB")
        red, green, blue = (int(digits, 16) for digits in match.groups())
        yield red, green, blue


def _gpl(path: Path, lines: list[str]) -> Iterator[Color]:
    if lines[0] != "GIMP Palette":
        raise PaletteError(f"{path}:1: {lines[0]!r} is not 'GIMP Palette'")
    for number, line in enumerate(lines[1:], 2):
        if line and not GPL_ASIDE.match(line):
            yield _decimal(path, number, line, line.split()[:3])  # a name follows, and Aseprite's alpha before it


def _pal(path: Path, lines: list[str]) -> Iterator[Color]:
    if lines[0] != "JASC-PAL":
        hint = " (a Microsoft palette: save it as JASC)" if lines[0].startswith("RIFF") else ""
        raise PaletteError(f"{path}:1: {lines[0][:20]!r} is not 'JASC-PAL'{hint}")
    if lines[1:2] != ["0100"]:
        raise PaletteError(f"{path}:2: the version is not '0100'")
    colors = [(number, line) for number, line in enumerate(lines[3:], 4) if line]
    if lines[2:3] != [str(len(colors))]:
        count = lines[2] if len(lines) > 2 else ""
        raise PaletteError(f"{path}:3: {count!r} is not the number of colors that follow, {len(colors)}")
    for number, line in colors:
        yield _decimal(path, number, line, line.split())


def _decimal(path: Path, number: int, line: str, words: list[str]) -> Color:
    # isdecimal alone would take the digits of every script.
    values = [int(word) for word in words if word.isascii() and word.isdecimal() and len(word) <= 3]
    if len(words) != 3 or len(values) != 3 or max(values) > 255:
        raise PaletteError(f"{path}:{number}: {line!r} is not three numbers of 0..255")
    return values[0], values[1], values[2]


def _pixels(path: Path) -> Iterator[Color]:
    try:
        rgba = png.read(path)
    except png.PngError as error:
        raise PaletteError(str(error)) from error
    alpha = rgba[..., 3]
    if translucent := int(np.count_nonzero((alpha > 0) & (alpha < 255))):
        raise PaletteError(f"{path}: {translucent:,} translucent pixels: a palette's colors are opaque")
    opaque = rgba[alpha == 255][:, :3].astype(np.uint32)
    packed, first = np.unique(opaque @ np.array([1 << 16, 1 << 8, 1], np.uint32), return_index=True)
    for value in packed[np.argsort(first)].tolist():
        yield value >> 16, value >> 8 & 255, value & 255


def _binary(path: Path, reader: Callable[[bytes], list[Color]], most: int) -> list[Color]:
    try:
        return reader(_bytes(path, most))
    except palette_binary.FormatError as error:
        raise PaletteError(f"{path}: {error}") from error


def _bytes(path: Path, most: int) -> bytes:
    with path.open("rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise PaletteError(f"{path}: more than {most >> 20} MiB is no palette")
    return data


def _lines(path: Path) -> list[str]:
    """Stripped lines, at least one; names may be in any encoding, for only the numbers matter."""
    data = _bytes(path, MAX_BYTES)
    return [line.strip() for line in data.decode("utf-8-sig", errors="replace").split("\n")]


def _distinct(path: Path, colors: Iterable[Color]) -> tuple[Color, ...]:
    distinct = tuple(dict.fromkeys(colors))
    if not distinct:
        raise PaletteError(f"{path}: no {'opaque ' * (path.suffix.lower() == '.png')}color in it: give it 1 or more")
    if len(distinct) > MAX_COLORS:
        raise PaletteError(f"{path}: {len(distinct):,} colors, more than {MAX_COLORS}: leave the others out")
    return distinct
