"""Picture files to pictures on their canvas, and which of them have no place in a training set; knows no captions."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from spritebuild.errors import UsageError
from spritebuild_stages.datasets.artifact import Origin
from spritebuild_stages.datasets.files import counted, shown
from spritebuild_stages.datasets.params import DatasetParams
from spritebuild_stages.images import png
from spritebuild_stages.images.integers import LUMA
from spritebuild_stages.ops.alpha import clear_hidden
from spritebuild_stages.ops.scale import nearest
from spritebuild_stages.ops.trim import pad, trim

OPAQUE = 128  # the least alpha that counts as opaque
GROUND = 128  # gray, on which pictures are hashed: the hash ignores alpha
CELLS = 4  # a side of the grid of mean colors
OWN = 0.25  # of its color a picture keeps when it is dyed
SAME_COLOR = 24  # of 255: how far the mean colors of a cell may be apart in pictures of the same colors


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture on its canvas: uint8 (H, W, 4), no color under alpha 0."""

    name: str
    pixels: NDArray[np.uint8]
    origin: Origin


def decoded(files: Mapping[str, Path]) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Names and pixels. Raises UsageError that names every file that cannot be read, after the last one."""
    unreadable = []
    for name, path in files.items():
        try:
            yield name, clear_hidden(png.read(path) if name.lower().endswith(".png") else _read_other(path))
        except png.PngError as error:
            unreadable.append(f"{name}: {str(error).removeprefix(f'{path}: ')}")
    if unreadable:
        raise UsageError(
            f"{counted(len(unreadable), 'picture')} cannot be read",
            facts=shown(unreadable, "picture"),
            hint="save them as PNG, or exclude them",
        )


def unfit(rgba: NDArray[np.uint8], params: DatasetParams) -> tuple[str, str] | None:
    """Why a picture is left out, in a phrase and in figures; None if it is not."""
    height, width = rgba.shape[:2]
    size = f"{width}x{height}"
    opaque = np.count_nonzero(rgba[..., 3] >= OPAQUE) / (width * height)
    if min(width, height) < params.min_side:
        return "shorter than min_side", size
    if max(width, height) > params.max_side:
        return "longer than max_side", size
    if params.size and (width > params.size[0] or height > params.size[1]):
        return "larger than the canvas", size
    if not rgba[..., 3].any():
        return "nothing visible", size
    if opaque < params.min_opaque:
        return "less opaque than min_opaque", f"{opaque:.3f}"
    return None


def placed(name: str, rgba: NDArray[np.uint8], canvas: tuple[int, int] | None) -> Picture:
    """The picture enlarged by the greatest whole factor that fits the canvas, and centered there."""
    height, width = rgba.shape[:2]
    if canvas is None:
        return Picture(name, rgba, Origin((width, height)))
    factor = min(canvas[0] // width, canvas[1] // height)
    return Picture(name, pad(nearest(rgba, factor), *canvas, "center"), Origin((width, height), factor))


def turned(rgba: NDArray[np.uint8], hue: float) -> NDArray[np.uint8]:
    """The picture with every hue turned by a share of a circle, at the saturation and value of HSV; uint8 (H, W, 4)."""
    rgb = rgba[..., :3].astype(np.float64)
    red, green, blue = np.moveaxis(rgb, 2, 0)
    value = rgb.max(axis=2)
    chroma = value - rgb.min(axis=2)
    divisor = np.maximum(chroma, 1)
    sixths = np.select(
        [value == red, value == green],
        [(green - blue) / divisor, 2 + (blue - red) / divisor],
        4 + (red - green) / divisor,
    )
    ramp = (np.array([5, 3, 1]) + (sixths + 6 * hue)[..., None]) % 6  # Smith 1978, in the closed form of each channel
    channels = value[..., None] - chroma[..., None] * np.clip(np.minimum(ramp, 4 - ramp), 0, 1)
    return np.concatenate([np.rint(channels).astype(np.uint8), rgba[..., 3:]], axis=2)


def dyed(rgba: NDArray[np.uint8], dye: tuple[int, int, int]) -> NDArray[np.uint8]:
    """The picture in shades of a color, uint8 (H, W, 4): of its own color there is left a quarter.

    A gradient map: black stays black, white stays white, and what is as light as the dye (Rec. 601 luma) becomes the
    dye.
    """
    luma = rgba[..., :3].astype(np.int64) @ np.array(LUMA)
    full = int(np.array(dye) @ np.array(LUMA))
    below = luma[..., None] * np.array(dye) / full
    above = 255 - (255_000 - luma[..., None]) * (255 - np.array(dye)) / (255_000 - full)
    shades = np.where(luma[..., None] <= full, below, above)
    mixed = np.rint(shades * (1 - OWN) + rgba[..., :3] * OWN)
    return np.concatenate([mixed.astype(np.uint8), rgba[..., 3:]], axis=2)


def alike(pictures: Iterable[tuple[str, NDArray[np.uint8]]], distance: int) -> Iterator[tuple[str, str]]:
    """Pictures that look like an earlier one that was kept: both names, its own first.

    They do if their difference hashes are at most `distance` of 64 bits apart (Krawetz, "Kind of like that", 2013)
    and no cell of a 4x4 grid differs in color: the hash alone is blind to it, and a recolored potion is another potion.
    All of it is integer arithmetic.
    """
    names: list[str] = []
    hashes = np.empty((0, 64), np.bool_)
    colors = np.empty((0, CELLS * CELLS * 3), np.int16)
    for name, rgba in pictures:
        bits, cells = _fingerprint(rgba)
        near = (hashes[: len(names)] != bits).sum(axis=1) <= distance
        near &= np.abs(colors[: len(names)] - cells).max(axis=1, initial=0) <= SAME_COLOR
        if near.any():
            yield name, names[int(near.argmax())]
            continue
        if len(names) == len(hashes):  # doubled: as many copies as pictures would be quadratic
            hashes = np.concatenate([hashes, np.zeros((max(64, len(names)), 64), np.bool_)])
            colors = np.concatenate([colors, np.zeros((max(64, len(names)), cells.size), np.int16)])
        hashes[len(names)], colors[len(names)] = bits, cells
        names.append(name)


def _read_other(path: Path) -> NDArray[np.uint8]:
    """The pixels of a WebP or JPEG, as Pillow's libraries decode them. Raises PngError, as for a PNG."""
    try:
        with Image.open(path, formats=("WEBP", "JPEG")) as image:
            png.check_size(*image.size)
            return np.array(ImageOps.exif_transpose(image).convert("RGBA"))
    except UnidentifiedImageError as error:
        raise png.PngError("neither WebP nor JPEG") from error
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError) as error:
        raise png.PngError(f"damaged: {error}") from error


def _fingerprint(rgba: NDArray[np.uint8]) -> tuple[NDArray[np.bool_], NDArray[np.int16]]:
    """The difference hash on gray of what is visible (64,), and the mean colors of the grid's cells (48,)."""
    import imagehash

    image = Image.fromarray(trim(rgba, 0))
    ground = Image.new("RGBA", image.size, (GROUND, GROUND, GROUND, 255))
    flat = Image.alpha_composite(ground, image).convert("RGB")
    cells = flat.resize((CELLS, CELLS), Image.Resampling.BOX)
    return imagehash.dhash(flat).hash.ravel(), np.asarray(cells, np.int16).ravel()
