"""PNG files in one canonical encoding, same pixels same bytes on every machine; knows nothing of sprites.

Pillow reads. We write, because the bytes of Pillow's PNGs depend on the zlib that it happens to be linked with: the
chunks are laid out here, the filter choice is integer arithmetic, and `deflate` (libdeflate) is pinned exactly.
"""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from os import SEEK_END
from pathlib import Path

import deflate
import numpy as np
from numpy.typing import NDArray
from PIL.PngImagePlugin import PngImageFile

from spritebuild_stages.images.integers import distinct, pack, unpack

Rgba = NDArray[np.uint8]

MAX_PIXELS = 1 << 24  # 16 Mpx, 64 MiB of RGBA
MAX_BYTES = 1 << 28  # twice the size of 16 Mpx at 16 bits a channel, uncompressed

SIGNATURE = b"\x89PNG\r\n\x1a\n"
HEADER, DEPTH = 25, 24  # bytes of the chunk IHDR, and where in the file the bits of a channel are
OTHERS = {"JPEG": b"\xff\xd8", "GIF": b"GIF8", "WebP or WAV": b"RIFF", "BMP": b"BM", "TIFF": b"II*", "PSD": b"8BPS"}
PALETTE, TRUECOLOR_ALPHA = 3, 6
LEVEL = 10  # libdeflate: 5 % smaller sprites than 9, the size of 12 in three quarters of its time
BAND = 64  # rows filtered at a time, so that a large picture needs little more memory than its pixels


class PngError(ValueError):
    """The file is no PNG, a damaged one, or one too large."""


def encode(rgba: Rgba) -> bytes:
    """The canonical PNG of a picture.

    `rgba` is uint8 of shape (H, W, 4), at least 1x1 and at most 16 Mpx; colors under alpha 0 are kept. Up to 256
    distinct RGBA values give a palette image of the smallest bit depth, the palette sorted by alpha, red, green, blue;
    more give RGBA8. There are no ancillary chunks but tRNS. Raises PngError for another shape, dtype or size.

    Source: Portable Network Graphics, third edition (W3C, 2025), sections 7, 9, 11, and "Filter selection" of 12.
    """
    if rgba.ndim != 3 or rgba.shape[2] != 4 or rgba.dtype != np.uint8:
        raise PngError(f"a picture is uint8 (H, W, 4), not {rgba.dtype} {rgba.shape}")
    check_size(rgba.shape[1], rgba.shape[0])
    palette = palette_of(rgba)
    if palette is None:
        return _file(rgba, TRUECOLOR_ALPHA, 8, filtered(rgba))
    colors, indices = palette
    depth = next(bits for bits in (1, 2, 4, 8) if len(colors) <= 1 << bits)
    rows = packed(indices, depth)
    # Filter 0 throughout: differences of palette indices mean nothing.
    data = np.zeros((len(rows), rows.shape[1] + 1), np.uint8)
    data[:, 1:] = rows
    translucent = int(np.count_nonzero(colors[:, 3] != 255))  # sorted by alpha: the opaque ones are last, and implied
    chunks = [chunk(b"PLTE", colors[:, :3].tobytes())]
    if translucent:
        chunks.append(chunk(b"tRNS", colors[:translucent, 3].tobytes()))
    return _file(rgba, PALETTE, depth, data.tobytes(), *chunks)


def write(path: Path, rgba: Rgba) -> None:
    """Write the canonical PNG of a picture, as `encode` gives it."""
    path.write_bytes(encode(rgba))


def read(path: Path) -> Rgba:
    """The pixels of any PNG of up to 8 bits a channel as writable uint8 (H, W, 4).

    Transparency by a color key is not seen in gray of 2 or 4 bits: Pillow does not. Raises PngError for what is no PNG,
    for a damaged one, for what would lose something (an animation, 16 bits a channel) and, before anything is decoded,
    for more than 16 Mpx; OSError if the file cannot be opened.
    """
    with path.open("rb", buffering=0) as file:
        start = file.read(len(SIGNATURE) + HEADER)
        if not start.startswith(SIGNATURE):
            other = next((f" but a {name}" for name, sign in OTHERS.items() if start.startswith(sign)), "")
            raise PngError(f"{path}: not a PNG{other}")
        if start[DEPTH : DEPTH + 1] == b"\x10":
            raise PngError(f"{path}: 16 bits a channel, of which 8 would be lost: save it with 8")
        if file.seek(0, SEEK_END) > MAX_BYTES:
            raise PngError(f"{path}: a file of more than {MAX_BYTES >> 20} MiB")
        file.seek(0)
        data = file.read()  # at once: Pillow asks for a few bytes at a time
    try:
        with PngImageFile(BytesIO(data)) as image:  # reads the chunks before the pixels
            check_size(*image.size)
            if getattr(image, "is_animated", False):
                raise PngError("an animation, of which one picture would be seen: save each of its frames as a PNG")
            return _decoded(image, data)
    except PngError as error:
        raise PngError(f"{path}: {error}") from None
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error) as error:
        raise PngError(f"{path}: damaged PNG: {error}") from error


def check_size(width: int, height: int) -> None:
    """Raise PngError unless a picture may have that size."""
    if width < 1 or height < 1:
        raise PngError(f"a picture of {width}x{height} has no pixels")
    if width * height > MAX_PIXELS:
        raise PngError(f"{width}x{height} is {width * height / 1e6:.1f} Mpx, more than {MAX_PIXELS / 1e6:.1f}")


def _decoded(image: PngImageFile, data: bytes) -> Rgba:
    if image.mode == "P" and isinstance(image.info.get("transparency"), int):
        # Pillow takes alphas of 0 and 10 for a single transparent color: its pattern ends before a line feed.
        image.info["transparency"] = _alphas(data)
    pixels = (image if image.mode == "RGBA" else image.convert("RGBA")).tobytes()
    # As np.array(image) gives it, by fewer copies.
    return np.frombuffer(bytearray(pixels), np.uint8).reshape(image.height, image.width, 4)


def _alphas(data: bytes) -> bytes:
    """The contents of the chunk tRNS, which is there."""
    place = len(SIGNATURE)
    while True:
        length, name = struct.unpack_from(">I4s", data, place)
        if name == b"tRNS":
            return data[place + 8 : place + 8 + length]
        place += 12 + length


def palette_of(rgba: Rgba) -> tuple[Rgba, NDArray[np.intp]] | None:
    """The distinct colors (N, 4) in the palette's order, and their indices (H, W); None if they are more than 256."""
    pixels = pack(rgba)
    argb = pixels >> 8 | pixels << 24  # the order of these numbers is the palette's
    values = distinct(argb)
    if len(values) > 256:
        return None
    return unpack(values << 8 | values >> 24), np.searchsorted(values, argb)


def packed(indices: NDArray[np.intp], depth: int) -> NDArray[np.uint8]:
    """Indices (H, W) as rows of bytes, the leftmost pixel in the high bits, the last byte padded with zeros."""
    per_byte = 8 // depth
    height, width = indices.shape
    padded = np.zeros((height, -(-width // per_byte), per_byte), np.uint8)
    padded.reshape(height, -1)[:, :width] = indices
    packed = padded[..., 0]
    for place in range(1, per_byte):
        packed = packed << depth | padded[..., place]
    return packed


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


def _file(rgba: Rgba, color_type: int, depth: int, scanlines: bytes, *chunks: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", rgba.shape[1], rgba.shape[0], depth, color_type, 0, 0, 0)
    data = bytes(deflate.zlib_compress(scanlines, LEVEL))
    return b"".join(
        (SIGNATURE, chunk(b"IHDR", header), *chunks, chunk(b"IDAT", data), chunk(b"IEND", b"")),
    )


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
