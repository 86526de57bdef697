"""The first difference between two PNGs: what is said beside the pixels, then the pixels, then how they are encoded."""

from __future__ import annotations

import contextlib
import itertools
import math
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from spritebuild.check.values import both, shown

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAX_PIXELS = 1 << 24
MAX_NOTE = 1 << 16  # bytes of a compressed text that are read
PICTURE = ("IHDR", "PLTE", "tRNS", "IDAT", "IEND", "fdAT", "fcTL")  # chunks that say what the pixels are


def of_pngs(old: Path, new: Path) -> str:
    """One line, or two where a note and the pixels differ. Raises ValueError and the like for what is damaged."""
    chunks = _chunks(old.read_bytes()), _chunks(new.read_bytes())
    said = [*_notes(_labelled(chunks[0]), _labelled(chunks[1]))][:1]
    headers = [each[0][1] for each in chunks]
    try:
        pixels = _pixels(old, new, *headers)
    except (OSError, SyntaxError, EOFError) as error:  # as Pillow says of what is damaged
        raise ValueError(str(error)) from error
    if pixels:
        return "\n".join([*said, pixels])
    if not said:
        parts = [{kind: [data for name, data in each if name == kind] for kind in PICTURE} for each in chunks]
        other = [kind for kind in PICTURE if parts[0][kind] != parts[1][kind]]
        deep = any(header[8] == 16 for header in headers)
        same = "same pixels in 8 bits a channel" if deep else "same pixels"
        said = [f"{same}, encoded otherwise ({', '.join(other) or 'the order of chunks'})"]
    return said[0]


def _chunks(data: bytes) -> list[tuple[str, bytes]]:
    """Names and contents of a PNG's chunks. Raises ValueError for what is cut short."""
    found = []
    place = len(SIGNATURE)
    while place < len(data):
        length, name = struct.unpack_from(">I4s", data, place)
        if place + 12 + length > len(data):
            raise ValueError("cut short")
        found.append((name.decode("latin-1"), data[place + 8 : place + 8 + length]))
        place += 12 + length
    if not found or found[0][0] != "IHDR" or len(found[0][1]) != 13:
        raise ValueError("no IHDR")
    return found


def _labelled(chunks: list[tuple[str, bytes]]) -> dict[str, str]:
    """What is said beside the pixels, by chunk, keyword and number."""
    found: dict[str, str] = {}
    for name, data in chunks:
        if name not in PICTURE:
            keyword, value = _note(name, data)
            label = f"{shown(name)} {shown(keyword)}".rstrip()
            numbered = itertools.chain([label], (f"{label} ({number})" for number in itertools.count(2)))
            found[next(each for each in numbered if each not in found)] = value
    return found


def _note(name: str, data: bytes) -> tuple[str, str]:
    """Keyword and value of an ancillary chunk. Source: PNG, third edition (W3C, 2025), section 11.3."""
    if name == "tIME" and len(data) == 7:
        return "", "{}-{:02}-{:02} {:02}:{:02}:{:02}".format(*struct.unpack(">HBBBBB", data))
    keyword, _, rest = data.partition(b"\0")
    if name == "tEXt":
        return keyword.decode("latin-1"), rest.decode("latin-1")
    if name == "zTXt":
        return keyword.decode("latin-1"), _inflated(rest[1:]).decode("latin-1")
    if name == "iTXt" and len(rest) >= 2:
        text = rest[2:].partition(b"\0")[2].partition(b"\0")[2]
        return keyword.decode("latin-1"), (_inflated(text) if rest[0] else text).decode("utf-8", "replace")
    return "", data.hex(" ")


def _inflated(data: bytes) -> bytes:
    return zlib.decompressobj().decompress(data, MAX_NOTE)


def _notes(old: dict[str, str], new: dict[str, str]) -> Iterator[str]:
    for label in [*old, *(label for label in new if label not in old)]:
        before, now = old.get(label), new.get(label)
        if before != now:
            yield f"chunk {label}: {both(before, now)}"


def _pixels(old: Path, new: Path, *headers: bytes) -> str:
    import numpy as np
    from PIL import Image

    sizes = [struct.unpack(">II", header[:8]) for header in headers]
    if sizes[0] != sizes[1]:
        return f"size: {sizes[0][0]}x{sizes[0][1]} -> {sizes[1][0]}x{sizes[1][1]}"
    if math.prod(sizes[0]) > MAX_PIXELS:
        raise ValueError("too many pixels")
    with contextlib.ExitStack() as opened:
        one, other = (opened.enter_context(Image.open(path)) for path in (old, new))
        frames = getattr(one, "n_frames", 1), getattr(other, "n_frames", 1)
        for frame in range(min(frames)):
            one.seek(frame)
            other.seek(frame)
            a, b = (np.asarray(image.convert("RGBA")) for image in (one, other))
            differ = (a != b).any(axis=2)
            if differ.any():
                y, x = (int(place) for place in np.unravel_index(differ.argmax(), differ.shape))
                prefix = f"frame {frame + 1}: " if max(frames) > 1 else ""
                count = f"{np.count_nonzero(differ):,} of {differ.size:,} differ"
                colors = " -> ".join(f"#{pixels[y, x].tobytes().hex()}" for pixels in (a, b))
                return f"{prefix}pixels: {count}, first at ({x}, {y}): {colors}"
    return f"frames: {frames[0]} -> {frames[1]}" if frames[0] != frames[1] else ""
