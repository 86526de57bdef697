"""A picture as lines of text, so that git shows which of its pixels changed; compares nothing."""

from __future__ import annotations

import string
from pathlib import Path

import numpy as np

from spritebuild.check.pairs import read

LETTERS = string.ascii_letters + string.digits + "!#$%&*+/<=>?@^_~"  # of the palette, the most frequent colors first
MOST = 256  # pixels a side of what is drawn


def drawing(path: Path) -> str:
    """The size, the palette with a letter for each color, and a row of letters for every row of pixels.

    `.` is transparent. Larger pictures, and those of more colors than letters, are told by their size and palette;
    what is no picture by its bytes' number.
    """
    rgba = read(path)
    if rgba is None:
        return f"no picture, {path.stat().st_size} bytes\n"
    height, width = rgba.shape[:2]
    pixels = rgba.reshape(-1, 4).copy()
    pixels[pixels[:, 3] == 0] = 0
    colors, places, counts = np.unique(pixels, axis=0, return_inverse=True, return_counts=True)
    order = sorted(np.flatnonzero(colors[:, 3]).tolist(), key=lambda place: (-counts[place], *colors[place]))
    lines = [f"{width}x{height}, {len(order)} colors"]
    names = [
        bytes(colors[place]).hex() if colors[place, 3] < 255 else bytes(colors[place, :3]).hex() for place in order
    ]
    if len(order) > len(LETTERS) or max(width, height) > MOST:
        lines += [f"#{name} {counts[place]}" for name, place in zip(names, order, strict=True)]
        return "\n".join(lines) + "\n"
    letters = dict(zip(order, LETTERS, strict=False))
    lines += [f"{letters[place]} #{name}" for name, place in zip(names, order, strict=True)]
    drawn = np.array([letters.get(place, ".") for place in range(len(colors))])[places.reshape(height, width)]
    return "\n".join([*lines, *("".join(row) for row in drawn)]) + "\n"
