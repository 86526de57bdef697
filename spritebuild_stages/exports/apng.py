"""Animated PNGs in one canonical encoding, the same bytes on every machine; knows nothing of sprites."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

import numpy as np

from spritebuild_stages.images import png, scanlines
from spritebuild_stages.images.chunks import SIGNATURE, chunk
from spritebuild_stages.images.png import Rgba

MAX_DELAY = (1 << 16) - 1
REPLACE = struct.pack(">BB", 0, 0)  # leave the frame when it is over; the next one's pixels take the place of its


def encode(frames: Sequence[Rgba], durations: Sequence[int], plays: int = 0) -> bytes:
    """An APNG of frames (H, W, 4) of one size, shown for that many milliseconds each; `plays` 0 is forever.

    Palette, bit depth and filters are chosen as for a PNG, once for all frames. A frame after the first holds the
    rectangle that differs from the one before. What is longer than 65.535 s is written as several frames. Raises
    PngError for a picture of more than 16 Mpx.

    Source: Portable Network Graphics, third edition (W3C, 2025), section 11.3.6, "Animation information".
    """
    stack = np.stack(frames)
    height, width = stack.shape[1:3]
    png.check_size(width, height)
    palette = scanlines.palette_of(stack)
    colors, indices = palette or (None, None)
    color_type = png.TRUECOLOR_ALPHA if colors is None else png.PALETTE
    depth = 8 if colors is None else scanlines.depth_of(colors)
    shown = list(_split(durations))
    body, sequence = [], 0
    for place, (number, duration) in enumerate(shown):
        before = shown[place - 1][0]
        left, top, right, bottom = _changed(stack[before], stack[number]) if place else (0, 0, width, height)
        rectangle = struct.pack(">IIII", right - left, bottom - top, left, top)
        control = rectangle + struct.pack(">HH", duration, 1000) + REPLACE
        body.append(chunk(b"fcTL", struct.pack(">I", sequence) + control))
        area = (number, slice(top, bottom), slice(left, right))
        lines = scanlines.filtered(stack[area]) if indices is None else scanlines.unfiltered(indices[area], depth)
        data = png.compressed(lines)
        # The first frame is also the picture that readers show who know no animations.
        body.append(chunk(b"fdAT", struct.pack(">I", sequence + 1) + data) if place else chunk(b"IDAT", data))
        sequence += 2 if place else 1
    header = struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, 0)
    start = (SIGNATURE, chunk(b"IHDR", header), chunk(b"acTL", struct.pack(">II", len(shown), plays)))
    head = b"" if colors is None else png.palette_chunks(colors)
    return b"".join((*start, head, *body, chunk(b"IEND", b"")))


def _split(durations: Sequence[int]) -> Iterator[tuple[int, int]]:
    """The frames' numbers and milliseconds, in pieces that the format can hold."""
    for number, duration in enumerate(durations):
        left = duration
        while left > MAX_DELAY:
            yield number, MAX_DELAY
            left -= MAX_DELAY
        yield number, left


def _changed(before: Rgba, after: Rgba) -> tuple[int, int, int, int]:
    """The rectangle in which they differ: left, top, right, bottom; a pixel of it if they do not."""
    differs = (before != after).any(axis=2)
    rows, columns = np.flatnonzero(differs.any(axis=1)), np.flatnonzero(differs.any(axis=0))
    if not len(rows):
        return 0, 0, 1, 1
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
