"""PNG files in one canonical encoding, same pixels same bytes on every machine; knows nothing of sprites.

We write, because the bytes of Pillow's PNGs depend on the zlib that it happens to be linked with: the chunks are laid
out here, the filter choice is integer arithmetic, and `deflate` (libdeflate) is pinned exactly. What we write we read
as well, which is faster for small pictures; all that is not quite of that form is for Pillow to read, and to refuse.
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
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from spritebuild_stages.images import chunks, scanlines
from spritebuild_stages.images.chunks import HEADER, MARK, SIGNATURE, chunk, marked, with_mark

__all__ = ["PngError", "Rgba", "check_size", "encode", "marked", "read", "with_mark", "write"]

Rgba = NDArray[np.uint8]

MAX_PIXELS = 1 << 24  # 16 Mpx, 64 MiB of RGBA
AT_ONCE = 1 << 16  # bytes: all of a sprite
MAX_BYTES = 1 << 28  # twice the size of 16 Mpx at 16 bits a channel, uncompressed

DEPTH = 24  # where in a file the bits of a channel are
OTHERS = {"JPEG": b"\xff\xd8", "GIF": b"GIF8", "WebP or WAV": b"RIFF", "BMP": b"BM", "TIFF": b"II*", "PSD": b"8BPS"}
TRUECOLOR, PALETTE, TRUECOLOR_ALPHA = 2, 3, 6
# Bits of a pixel, by the type of color and the bits of a channel, of what is read without Pillow's reader.
BITS = {(TRUECOLOR, 8): 24, (TRUECOLOR_ALPHA, 8): 32} | {(PALETTE, depth): depth for depth in (1, 2, 4, 8)}
SMALL, SMALL_LEVEL = 1 << 11, 7  # bytes of scanlines for which libdeflate's level 10 saves 2 %, and takes 30 us more
LEVEL = 10  # beyond, 4 to 9 % smaller than 9, and 2 % larger than 12 in a third of its time

END = chunk(b"IEND", b"")


class PngError(ValueError):
    """The file is no PNG, a damaged one, or one too large."""


def encode(rgba: Rgba, *, mark: bool = False) -> bytes:
    """The canonical PNG of a picture.

    `rgba` is uint8 of shape (H, W, 4), at least 1x1 and at most 16 Mpx; colors under alpha 0 are kept. Up to 256
    distinct RGBA values give a palette image of the smallest bit depth, the palette sorted by alpha, red, green, blue;
    more give RGBA8. There are no ancillary chunks but tRNS and, with `mark`, what says that a trained model made it.
    Raises PngError for another shape, dtype or size.

    Source: Portable Network Graphics, third edition (W3C, 2025), sections 7, 9, 11, and "Filter selection" of 12.
    """
    if rgba.ndim != 3 or rgba.shape[2] != 4 or rgba.dtype != np.uint8:
        raise PngError(f"a picture is uint8 (H, W, 4), not {rgba.dtype} {rgba.shape}")
    height, width = rgba.shape[:2]
    check_size(width, height)
    palette = scanlines.palette_of(rgba)
    if palette is None:
        color_type, depth, before, lines = TRUECOLOR_ALPHA, 8, b"", scanlines.filtered(rgba)
    else:
        colors, indices = palette
        color_type, depth, before = PALETTE, scanlines.depth_of(colors), palette_chunks(colors)
        lines = scanlines.unfiltered(indices, depth)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, 0))
    data = chunk(b"IDAT", compressed(lines))
    return b"".join((SIGNATURE, header, MARK if mark else b"", before, data, END))


def write(path: Path, rgba: Rgba, *, mark: bool = False) -> None:
    """Write the canonical PNG of a picture, as `encode` gives it."""
    path.write_bytes(encode(rgba, mark=mark))


def read(path: Path) -> Rgba:
    """The pixels of any PNG of up to 8 bits a channel as writable uint8 (H, W, 4).

    Transparency by a color key is not seen in gray of 2 or 4 bits: Pillow does not. Raises PngError for what is no PNG,
    for a damaged one, for what would lose something (an animation, 16 bits a channel) and, before anything is decoded,
    for more than 16 Mpx; OSError if the file cannot be opened.
    """
    with path.open("rb", buffering=0) as file:
        data = file.read(AT_ONCE)
        if not data.startswith(SIGNATURE):
            other = next((f" but a {name}" for name, sign in OTHERS.items() if data.startswith(sign)), "")
            raise PngError(f"{path}: not a PNG{other}")
        if data[DEPTH : DEPTH + 1] == b"\x10":
            raise PngError(f"{path}: 16 bits a channel, of which 8 would be lost: save it with 8")
        size = file.seek(0, SEEK_END)
        if size > MAX_BYTES:
            raise PngError(f"{path}: a file of more than {MAX_BYTES >> 20} MiB")
        if size > len(data):
            file.seek(0)
            data = file.read()
    try:
        rgba = _plain(data)
        return _any(data) if rgba is None else rgba
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


def compressed(lines: bytes) -> bytes:
    """The zlib stream of scanlines. The same bytes everywhere, as long as `deflate` has the same version."""
    return bytes(deflate.zlib_compress(lines, SMALL_LEVEL if len(lines) < SMALL else LEVEL))


def palette_chunks(colors: Rgba) -> bytes:
    """PLTE, and tRNS where it is needed, of colors (N, 4) sorted by alpha: the opaque ones are last, and implied."""
    alphas = colors[:, 3].tobytes().rstrip(b"\xff")
    return chunk(b"PLTE", colors[:, :3].tobytes()) + (chunk(b"tRNS", alphas) if alphas else b"")


def _plain(data: bytes) -> Rgba | None:
    """The pixels of a PNG of plain chunks with an unfiltered palette, or of 8 bits a channel; None for any other."""
    parts = chunks.plain(data)
    if parts is None or len(parts[b"IHDR"]) != HEADER - 12:
        return None
    width, height, depth, color_type, *methods = struct.unpack(">IIBBBBB", parts[b"IHDR"])
    check_size(width, height)
    if any(methods) or (color_type, depth) not in BITS or (color_type != PALETTE and b"tRNS" in parts):
        return None
    size = scanlines.size(width, height, BITS[color_type, depth])
    try:
        lines = deflate.zlib_decompress(parts[b"IDAT"], size)
    except deflate.DeflateError:
        return None
    if len(lines) < size:
        raise PngError("damaged PNG: rows are missing")  # Pillow leaves them blank
    try:
        if color_type == PALETTE:
            indices = scanlines.indices(lines, width, height, depth)
            return None if indices is None else _colored(indices, parts[b"PLTE"], parts.get(b"tRNS", bytearray()))
        del lines  # up to 64 MiB
        mode = "RGB" if color_type == TRUECOLOR else "RGBA"
        return _rgba(Image.frombytes(mode, (width, height), parts[b"IDAT"], "zip", mode))
    except (IndexError, KeyError, ValueError):
        return None


def _colored(indices: NDArray[np.uint8], colors: bytearray, alphas: bytearray) -> Rgba:
    """The colors of indices (H, W). Raises IndexError for one that the palette lacks, ValueError for a wrong one."""
    count = len(colors) // 3
    palette = bytearray(4 * count)
    for channel in range(3):
        palette[channel::4] = colors[channel::3]
    palette[3::4] = alphas.ljust(count, b"\xff")
    return np.frombuffer(palette, np.uint32).take(indices)[..., None].view(np.uint8)


def _any(data: bytes) -> Rgba:
    """The pixels of any PNG, as Pillow reads it."""
    with PngImageFile(BytesIO(data)) as image:  # reads the chunks before the pixels
        check_size(*image.size)
        if getattr(image, "is_animated", False):
            raise PngError("an animation, of which one picture would be seen: save each of its frames as a PNG")
        if image.mode == "P" and isinstance(image.info.get("transparency"), int):
            # Pillow takes alphas of 0 and 10 for a single transparent color: its pattern ends before a line feed.
            image.info["transparency"] = _alphas(data)
        return _rgba(image)


def _rgba(image: Image.Image) -> Rgba:
    """As np.array(image.convert("RGBA")) gives it, by fewer copies."""
    pixels = (image if image.mode == "RGBA" else image.convert("RGBA")).tobytes()
    return np.frombuffer(bytearray(pixels), np.uint8).reshape(image.height, image.width, 4)


def _alphas(data: bytes) -> bytes:
    """The contents of the chunk tRNS, which is there."""
    place = len(SIGNATURE)
    while True:
        length, name = struct.unpack_from(">I4s", data, place)
        if name == b"tRNS":
            return data[place + 8 : place + 8 + length]
        place += 12 + length
