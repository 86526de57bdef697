"""The colors in the bytes of Adobe color tables and of Aseprite's sprites; knows no paths and decodes no picture."""

from __future__ import annotations

import struct

Color = tuple[int, int, int]

ENTRIES = 256
ACT_BYTES, ACT_BYTES_COUNTED = 3 * ENTRIES, 3 * ENTRIES + 4
ACT_REMEDY = "save it anew as an Adobe color table"

SPRITE_HEADER, FRAME_HEADER, CHUNK_HEADER = 128, 16, 6
SPRITE_MAGIC, FRAME_MAGIC = 0xA5E0, 0xF1FA
OLD_PALETTE, OLD_PALETTE_OF_6_BITS, PALETTE = 0x0004, 0x0011, 0x2019
MOST_ENTRIES = 1 << 16
NAMED = 1  # the flag of an entry that a name follows
SPRITE_REMEDY = "save it anew with Aseprite"


class FormatError(ValueError):
    """The bytes break their format; the message says where."""


def act(data: bytes) -> list[Color]:
    """The colors of an Adobe color table, in order, without the entry that it declares transparent.

    256 entries of three bytes, and in many files two big-endian numbers more: how many entries count, and which is
    transparent (65535 for none). Raises FormatError for other sizes and numbers out of range.

    Source: Adobe Photoshop File Formats Specification (2013), "Color Table".
    """
    if len(data) not in (ACT_BYTES, ACT_BYTES_COUNTED):
        raise FormatError(f"{len(data):,} bytes, not {ACT_BYTES} or {ACT_BYTES_COUNTED}: {ACT_REMEDY}")
    count, transparent = struct.unpack(">HH", data[ACT_BYTES:]) if len(data) > ACT_BYTES else (ENTRIES, 0xFFFF)
    if not 1 <= count <= ENTRIES:
        raise FormatError(f"byte {ACT_BYTES}: a table of {count:,} colors, not 1 to {ENTRIES}: {ACT_REMEDY}")
    colors = [(data[at], data[at + 1], data[at + 2]) for at in range(0, 3 * count, 3)]
    return [color for index, color in enumerate(colors) if index != transparent]


def aseprite(data: bytes) -> list[Color]:
    """The palette of a sprite's first frame, by index, without entries of alpha 0.

    Chunks 0x2019; where there is none 0x0004 and 0x0011, as older versions wrote them. The entry that an indexed sprite
    uses for transparent pixels counts if it has alpha, as in Aseprite's own "Load Palette". Raises FormatError for what
    is no sprite, for one that is cut short, and for one without a palette.

    Source: https://github.com/aseprite/aseprite/blob/main/docs/ase-file-specs.md
    """
    if len(data) < SPRITE_HEADER or _number(data, 4, 2) != SPRITE_MAGIC:
        raise FormatError(f"not an Aseprite sprite: {SPRITE_REMEDY}")
    if _number(data, SPRITE_HEADER + 4, 2) != FRAME_MAGIC:
        raise FormatError(f"byte {SPRITE_HEADER}: no frame begins here: {SPRITE_REMEDY}")
    end = SPRITE_HEADER + _number(data, SPRITE_HEADER, 4)
    if end > len(data):
        raise FormatError(f"byte {len(data):,}: the first frame is cut short, it ends at {end:,}: {SPRITE_REMEDY}")
    entries: dict[int, tuple[int, int, int, int]] = {}
    old: dict[int, tuple[int, int, int, int]] = {}
    # The second count is of 2017 and later; 0 says that the first is right.
    count = _number(data, SPRITE_HEADER + 12, 4) or _number(data, SPRITE_HEADER + 6, 2)
    at = SPRITE_HEADER + FRAME_HEADER
    for _ in range(count):
        size, kind = _number(data, at, 4), _number(data, at + 4, 2)
        if size < CHUNK_HEADER or at + size > end:
            raise FormatError(f"byte {at:,}: a chunk of {size:,} bytes does not fit its frame: {SPRITE_REMEDY}")
        body = data[at + CHUNK_HEADER : at + size]
        if kind == PALETTE:
            entries |= _palette(body, at + CHUNK_HEADER)
        elif kind in (OLD_PALETTE, OLD_PALETTE_OF_6_BITS):
            old |= _old_palette(body, at + CHUNK_HEADER, 6 if kind == OLD_PALETTE_OF_6_BITS else 8)
        at += size
    found = entries or old
    if not found:
        raise FormatError("no palette in the first frame: save the palette by itself, as .gpl or .aseprite")
    return [found[index][:3] for index in sorted(found) if found[index][3]]


def _palette(body: bytes, start: int) -> dict[int, tuple[int, int, int, int]]:
    """The entries of a chunk 0x2019 as (r, g, b, alpha) by index; it begins at byte `start` of the file."""
    first, last = _number(body, 4, 4, start), _number(body, 8, 4, start)
    if not 0 <= last - first < MOST_ENTRIES:
        raise FormatError(f"byte {start:,}: a palette of entries {first:,} to {last:,}: {SPRITE_REMEDY}")
    entries = {}
    at = 20
    for index in range(first, last + 1):
        flags = _number(body, at, 2, start)
        rgba = _number(body, at + 2, 4, start)  # little-endian: red is the low byte
        entries[index] = (rgba & 255, rgba >> 8 & 255, rgba >> 16 & 255, rgba >> 24)
        at += 6 + (2 + _number(body, at + 6, 2, start) if flags & NAMED else 0)
    return entries


def _old_palette(body: bytes, start: int, bits: int) -> dict[int, tuple[int, int, int, int]]:
    """The entries of a chunk 0x0004 or 0x0011 likewise, of `bits` a channel."""
    entries = {}
    index, at = 0, 2
    for _ in range(_number(body, 0, 2, start)):
        index += _number(body, at, 1, start)
        count = _number(body, at + 1, 1, start) or ENTRIES
        at += 2
        for _ in range(count):
            red, green, blue = (_number(body, at + channel, 1, start) for channel in range(3))
            if max(red, green, blue) >> bits:
                raise FormatError(f"byte {start + at:,}: a channel of more than {(1 << bits) - 1}: {SPRITE_REMEDY}")
            red, green, blue = (value if bits == 8 else value << 2 | value >> 4 for value in (red, green, blue))
            entries[index] = (red, green, blue, 255)
            index += 1
            at += 3
    return entries


def _number(data: bytes, at: int, size: int, start: int = 0) -> int:
    """A little-endian number of `size` bytes; `start` is where the data begins in the file."""
    if at + size > len(data):
        raise FormatError(f"byte {start + len(data):,}: cut short: {SPRITE_REMEDY}")
    return int.from_bytes(data[at : at + size], "little")
