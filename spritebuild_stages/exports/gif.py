"""Animated GIFs with exact colors, the same bytes for the same frames on every machine; knows nothing of sprites.

Pillow could write them too, but its bytes depend on its version, it merges equal frames and may quantize.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from spritebuild_stages.images.integers import Whole, distinct, pack, unpack
from spritebuild_stages.images.png import Rgba

MAX_COLORS = 255  # and a transparent one, which comes first
MAX_SIDE = (1 << 16) - 1
LEAST_DELAY = 2  # hundredths of a second: browsers show less as ten
MAX_DELAY = MAX_PLAYS = (1 << 16) - 1
CLEARED = 2 << 2  # the disposal: a frame is cleared before the next is drawn, as transparent pixels draw nothing
TRANSPARENT = 1
LOCAL_PALETTE = 1 << 7
TABLE = 1 << 12


def encode(frames: Sequence[Rgba], durations: Sequence[int], plays: int = 0) -> bytes:
    """A GIF of frames (H, W, 4) of one size, with hard alpha, shown for that many milliseconds each.

    `plays` 0 is forever. Up to 255 colors in all frames together give one palette, more one for each frame. GIF counts
    hundredths of a second: what is rounded off a frame is carried to the next, so that every prefix is right within
    5 ms, as long as no frame is shorter than 20 ms, which is the least that browsers show. Raises ValueError for
    partial alpha, more than 255 colors in a frame, a side of more than 65535 pixels, and a frame of more than 655 s.

    Source: Graphics Interchange Format, version 89a (CompuServe, 1990), with appendix F for LZW.
    """
    height, width = frames[0].shape[:2]
    if max(width, height) > MAX_SIDE:
        raise ValueError(f"a GIF has at most {MAX_SIDE} pixels a side, not {width}x{height}")
    partial = int(sum(np.count_nonzero((frame[..., 3] > 0) & (frame[..., 3] < 255)) for frame in frames))
    if partial:
        raise ValueError(f"a GIF has no partial alpha, and {partial} pixels have some")
    palettes = [_colors(frame) for frame in frames]
    shared = distinct(np.concatenate(palettes)) if any(map(len, palettes)) else palettes[0]
    is_shared = len(shared) <= MAX_COLORS
    bits = _bits(shared) if is_shared else 1
    screen = struct.pack("<HHBBB", width, height, is_shared << 7 | 7 << 4 | bits - 1, 0, 0)
    parts = [b"GIF89a", screen, _table(shared) if is_shared else b"", _loop(plays)]
    for frame, palette, delay in zip(frames, palettes, delays(durations), strict=True):
        if len(palette) > MAX_COLORS:
            raise ValueError(f"a GIF has at most {MAX_COLORS} colors a frame, not {len(palette)}")
        parts.append(struct.pack("<BBBBHBB", 0x21, 0xF9, 4, CLEARED | TRANSPARENT, delay, 0, 0))
        parts.append(_image(frame, shared if is_shared else palette, not is_shared))
    return b"".join((*parts, b"\x3b"))


def delays(durations: Sequence[int]) -> list[int]:
    """Milliseconds as hundredths of a second, at least two each; the error of rounding is carried on.

    Raises ValueError for more than 655.35 s.
    """
    result: list[int] = []
    shown = told = 0
    for duration in durations:
        told += duration
        result.append(max(LEAST_DELAY, (told + 5) // 10 - shown))
        if result[-1] > MAX_DELAY:
            raise ValueError(f"a frame of a GIF lasts at most {MAX_DELAY / 100} s, not {duration / 1000}")
        shown += result[-1]
    return result


def lzw(indices: bytes, bits: int) -> bytes:
    """GIF's LZW: at least one index of up to `bits` (2 to 8) bits each, as packed codes without their sub-blocks."""
    clear = 1 << bits
    table: dict[int, int] = {}
    following, length = clear + 2, bits + 1
    packed = bytearray()
    held, count = clear, length
    prefix = indices[0]
    for index in indices[1:]:
        key = prefix << 8 | index
        code = table.get(key)
        if code is not None:
            prefix = code
            continue
        held |= prefix << count
        count += length
        if following < TABLE:
            table[key] = following
            if following == 1 << length:
                length += 1
            following += 1
        else:
            held |= clear << count
            count += length
            table = {}
            following, length = clear + 2, bits + 1
        while count >= 8:
            packed.append(held & 255)
            held >>= 8
            count -= 8
        prefix = index
    held |= prefix << count
    count += length
    if following == 1 << length and following < TABLE:
        length += 1
    held |= (clear + 1) << count
    count += length
    return bytes(packed) + held.to_bytes(-(-count // 8), "little")


def _colors(frame: Rgba) -> Whole:
    """The distinct visible colors, packed and sorted, perhaps none."""
    visible = pack(frame)[frame[..., 3] > 0]
    return distinct(visible) if len(visible) else visible


def _bits(palette: Whole) -> int:
    """How many an index needs; 0 is the transparent one."""
    return max(1, len(palette).bit_length())


def _table(palette: Whole) -> bytes:
    colors = np.zeros((1 << _bits(palette), 3), np.uint8)
    colors[1 : len(palette) + 1] = unpack(palette)[:, :3]
    return colors.tobytes()


def _loop(plays: int) -> bytes:
    """How often to play it again: a GIF without this is played once."""
    if plays == 1:
        return b""
    return b"\x21\xff\x0bNETSCAPE2.0" + struct.pack("<BBHB", 3, 1, min(max(0, plays - 1), MAX_PLAYS), 0)


def _image(frame: Rgba, palette: Whole, local: bool) -> bytes:
    """A frame, cropped to what is visible of it."""
    left, top, right, bottom = _box(frame[..., 3] > 0)
    crop = frame[top:bottom, left:right]
    indices = np.zeros(crop.shape[:2], np.uint8)
    visible = crop[..., 3] > 0
    indices[visible] = np.searchsorted(palette, pack(crop)[visible]) + 1
    bits = _bits(palette)
    flags = LOCAL_PALETTE | bits - 1 if local else 0
    descriptor = struct.pack("<BHHHHB", 0x2C, left, top, right - left, bottom - top, flags)
    least = max(2, bits)
    blocks = b"".join(_blocks(lzw(indices.tobytes(), least)))
    return b"".join((descriptor, _table(palette) if local else b"", bytes([least]), blocks))


def _box(visible: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(visible.any(axis=1)), np.flatnonzero(visible.any(axis=0))
    if not len(rows):
        return 0, 0, 1, 1
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _blocks(data: bytes) -> Iterator[bytes]:
    for start in range(0, len(data), 255):
        block = data[start : start + 255]
        yield bytes([len(block)]) + block
    yield b"\0"
