"""Pixels as the scanlines of a PNG: palettes, bit depths, filters; knows neither chunks nor compression."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spritebuild_stages.images.integers import distinct, pack, unpack

Rgba = NDArray[np.uint8]

BAND = 64  # rows filtered at a time, so that a large picture needs little more memory than its pixels


def palette_of(rgba: Rgba) -> tuple[Rgba, NDArray[np.uint8]] | None:
    """The distinct colors (N, 4) in the palette's order, and their indices (H, W); None if they are more than 256."""
    pixels = pack(rgba)
    argb = pixels >> 8 | pixels << 24  # the order of these numbers is the palette's
    values = distinct(argb)
    if len(values) > 256:
        return None
    return unpack(values << 8 | values >> 24), values.searchsorted(argb).astype(np.uint8)


def depth_of(colors: Rgba) -> int:
    """The least bits that count that many colors, at most 256."""
    return next(bits for bits in (1, 2, 4, 8) if len(colors) <= 1 << bits)


def unfiltered(indices: NDArray[np.uint8], depth: int) -> bytes:
    """Scanlines of indices (H, W), all of filter 0: differences of indices mean nothing.

    The leftmost pixel is in the high bits of a byte; a row's last byte is filled up with zeros.
    """
    per_byte = 8 // depth
    height, width = indices.shape
    full = -(-width // per_byte)
    if width % per_byte:
        indices = np.pad(indices, ((0, 0), (0, full * per_byte - width)))
    packed: NDArray[np.integer[Any]] = indices[:, ::per_byte]
    for place in range(1, per_byte):
        packed = packed << depth | indices[:, place::per_byte]
    lines = np.zeros((height, 1 + full), np.uint8)
    lines[:, 1:] = packed
    return lines.tobytes()


def size(width: int, height: int, depth: int) -> int:
    """The bytes of the scanlines of a picture of `depth` bits a pixel."""
    return height * (1 + -(-width * depth // 8))


def indices(lines: bytes | bytearray, width: int, height: int, depth: int) -> NDArray[np.uint8] | None:
    """The inverse of `unfiltered`, of whole scanlines; None if one is filtered all the same."""
    if lines[:: len(lines) // height].strip(b"\0"):
        return None
    rows = np.frombuffer(lines, np.uint8).reshape(height, -1)
    if depth == 8:
        return rows[:, 1:]
    places = np.arange(8 - depth, -1, -depth, dtype=np.uint8)
    pixels = rows[:, 1:, None] >> places & np.uint8((1 << depth) - 1)
    return pixels.reshape(height, -1)[:, :width]


def filtered(rgba: Rgba) -> bytes:
    """Scanlines with the filter of the least sum of absolute differences each, the first of equals."""
    height, width = rgba.shape[:2]
    lines = np.zeros((height + 1, 4 * (width + 1)), np.uint8)  # a row above and a pixel to the left, both zero
    lines[1:, 4:] = rgba.reshape(height, -1)
    result = np.empty((height, 1 + 4 * width), np.uint8)
    for top in range(0, height, BAND):
        bottom = min(top + BAND, height)
        result[top:bottom] = _filtered_band(lines[top : bottom + 1].astype(np.int16))
    return result.tobytes()


def _filtered_band(lines: NDArray[np.int16]) -> NDArray[np.uint8]:
    here, left, up, corner = lines[1:, 4:], lines[1:, :-4], lines[:-1, 4:], lines[:-1, :-4]
    predictions = (np.zeros_like(here), left, up, (left + up) >> 1, _paeth(left, up, corner))
    candidates = [(here - prediction).astype(np.uint8) for prediction in predictions]
    costs = np.stack([np.abs(c.view(np.int8).astype(np.int16)).sum(axis=1, dtype=np.int64) for c in candidates])
    choice = costs.argmin(axis=0)
    rows = np.stack(candidates)[choice, np.arange(len(here))]
    return np.concatenate([choice.astype(np.uint8)[:, None], rows], axis=1)


def _paeth(left: NDArray[np.int16], up: NDArray[np.int16], corner: NDArray[np.int16]) -> NDArray[np.int16]:
    """The neighbor nearest to left + up - corner; left before up before corner among equals (section 9.4)."""
    to_left = np.abs(up - corner)
    to_up = np.abs(left - corner)
    to_corner = np.abs(left + up - 2 * corner)
    other = np.where(to_up <= to_corner, up, corner)
    return np.where((to_left <= to_up) & (to_left <= to_corner), left, other)
