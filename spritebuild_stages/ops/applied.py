"""Declared operations applied to pixels; knows no files but those of palettes."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from spritebuild_stages.images import png
from spritebuild_stages.images.png import Rgba
from spritebuild_stages.ops import (
    alpha,
    cleanup,
    cutout,
    declared,
    nine_slice,
    outline,
    palette,
    pixelate,
    quantize,
    recolor,
    scale,
    sharpen,
    symmetry,
    trim,
)
from spritebuild_stages.ops.declared import AnyOp
from spritebuild_stages.ops.oklab import Palette


def apply(op: AnyOp, rgba: Rgba, palettes: dict[str, Path]) -> Rgba:
    """The picture after one operation. Raises ValueError if it cannot be."""
    height, width = rgba.shape[:2]
    match op:
        case declared.Pixelate():
            return pixelate.pixelate(rgba, op.size, op.mode)
        case declared.Cutout(mode="flood"):
            return cutout.flood(rgba, op.tolerance, op.holes, op.grow)
        case declared.Cutout():
            return cutout.key(rgba, _rgb(op.color) if op.color else None, op.tolerance, op.grow)
        case declared.Alpha():
            return alpha.binarize(rgba, op.threshold)
        case declared.Sharpen():
            return sharpen.sharpen(rgba, op.radius, op.percent, op.threshold)
        case declared.Quantize():
            return quantize.quantize(rgba, _colors(op.palette, op.colors, palettes), op.dither)
        case declared.Swap():
            source, target = _colors(op.palette, op.colors, palettes), _colors(op.to, op.to_colors, palettes)
            return recolor.swap(rgba, source, target)
        case declared.Despeckle():
            return cleanup.despeckle(rgba, op.size, op.contrast)
        case declared.Jaggies():
            return cleanup.jaggies(rgba, _rgb(op.color) if op.color else None)
        case declared.Outline(selective=True):
            return outline.selective(rgba, op.shade, op.thickness, op.corners, op.side)
        case declared.Outline():
            return outline.outline(rgba, _rgb(op.color), op.thickness, op.corners, op.side)
        case declared.Symmetry():
            return symmetry.symmetry(rgba, op.axis, op.keep, op.about)
        case declared.Trim():
            left, top, right, bottom = trim.visible_box(rgba) or (0, 0, 1, 1)
            png.check_size(right - left + 2 * op.margin, bottom - top + 2 * op.margin)
            return trim.trim(rgba, op.margin)
        case declared.Pad():
            return trim.pad(rgba, *op.size, op.anchor)
        case declared.Align():
            return trim.align(rgba, op.pivot, op.point or op.at or op.pivot, op.size)
        case declared.NineSlice():
            return nine_slice.nine_slice(rgba, op.margins, op.size, op.fill)
        case declared.Scale():
            png.check_size(width * op.factor, height * op.factor)
            return scale.epx(rgba, op.factor) if op.mode == "epx" else scale.nearest(rgba, op.factor)
        case _:
            raise AssertionError(f"no such operation: {op!r}")


def _colors(name: str, colors: tuple[str, ...], palettes: dict[str, Path]) -> Palette:
    if colors:
        return _inline(colors)
    if name not in palettes:
        raise palette.PaletteError(f"palette {name!r} has neither colors nor a file")
    return palette.parse(palettes[name])


@lru_cache(maxsize=64)
def _inline(colors: tuple[str, ...]) -> Palette:
    return tuple(map(_rgb, colors))


def _rgb(color: str) -> tuple[int, int, int]:
    red, green, blue = bytes.fromhex(color[1:])
    return red, green, blue
