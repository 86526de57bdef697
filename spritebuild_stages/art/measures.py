"""Palette, orphan pixels, detail, soft alpha and outline of one picture, each as counts of pixels; judges nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spritebuild_stages.art.picture import HIDDEN, Mask, Picture, neighbors
from spritebuild_stages.images.integers import unpack
from spritebuild_stages.ops.quantize import Palette, quantize

DARKER = 30  # thousandths of OKLab's lightness that an outline is below what it encloses
NEARLY_BLACK = 250  # thousandths: what is as dark is outline beside anything, such as a black cat
WORST = 3


@dataclass(frozen=True)
class Foreign:
    """A color outside the palette, how many pixels have it, and the palette's nearest."""

    color: str
    pixels: int
    nearest: str


def colors(picture: Picture) -> int:
    """The palette size: distinct colors of visible pixels, alpha left aside."""
    return len(np.unique(picture.colors[picture.visible]))


def foreign(picture: Picture, palette: Palette) -> tuple[int, tuple[Foreign, ...]]:
    """How many visible pixels have a color outside the palette, and the three such colors that most have.

    `palette` holds 1 or more (r, g, b); the nearest of them is that in OKLab, as quantizing would choose it.
    """
    allowed = [red << 16 | green << 8 | blue for red, green, blue in palette]
    found, counts = np.unique(picture.colors[picture.visible], return_counts=True)
    outside = ~np.isin(found, allowed)
    found, counts = found[outside], counts[outside]
    order = np.argsort(-counts, kind="stable")[:WORST]
    worst = unpack((found[order].astype(np.uint32) << 8 | 255)[None])
    nearest = quantize(worst, palette)[0, :, :3] if len(order) else worst[0]
    return int(counts.sum()), tuple(
        Foreign(f"#{color:06x}", count, "#{:02x}{:02x}{:02x}".format(*near))
        for color, count, near in zip(found[order].tolist(), counts[order].tolist(), nearest.tolist(), strict=True)
    )


def orphans(picture: Picture) -> int:
    """Orphan pixels: visible ones of which none of the eight neighbors is visible and has the same color.

    Hand-made sprites have them, as highlights, eyes and textures: 8 % of their pixels by the median. So their number
    says something beside sprites of the same style alone.
    """
    alone = picture.visible
    for other in neighbors(picture.colors, HIDDEN):
        alone &= other != picture.colors
    return int(np.count_nonzero(alone))


def detail(picture: Picture) -> int:
    """Pixels of detail: visible ones that are part of no 2x2 block of one color.

    Hand-made sprites draw with single pixels: 90 % by the median, 59 % at the 5th percentile. What was enlarged and
    then turned, or drawn with a larger brush, has no regular cells and still nothing that is finer: a sprite at three
    times its size, turned by 20 degrees, has 14 % at the 99th percentile.
    """
    colors = picture.colors
    here = colors[:-1, :-1]
    block = (here == colors[1:, :-1]) & (here == colors[:-1, 1:]) & (here == colors[1:, 1:])
    coarse = np.zeros_like(picture.visible)
    for corner in (np.s_[:-1, :-1], np.s_[1:, :-1], np.s_[:-1, 1:], np.s_[1:, 1:]):
        coarse[corner] |= block
    return int(np.count_nonzero(picture.visible & ~coarse))


def soft(picture: Picture) -> int:
    """Visible pixels that are not opaque: alpha 1..254."""
    return int(np.count_nonzero(picture.visible & (picture.alpha < 255)))


def outline(picture: Picture) -> tuple[int, int, str]:
    """How many pixels of the silhouette's border carry an outline, how many it has, and the outline's main color.

    A pixel carries it if it is darker, by 0.03 of OKLab's lightness, than the mean of the visible pixels among its
    eight neighbors that are not border themselves; or has the color that most of these darker ones have; or is nearly
    black, a lightness below 0.25. So outlines count that are selective, in darker shades of what they enclose. A line
    lighter than the sprite is not seen as one. The color is empty if none is darker.
    """
    border = picture.border()
    darker = _darker(picture, border)
    carrying = border & (darker | (picture.lightness < NEARLY_BLACK))
    values, counts = np.unique(picture.colors[darker], return_counts=True)
    main = int(values[counts.argmax()]) if len(values) else HIDDEN
    carrying |= border & (picture.colors == main)
    return int(np.count_nonzero(carrying)), int(np.count_nonzero(border)), f"#{main:06x}" if len(values) else ""


def _darker(picture: Picture, border: Mask) -> Mask:
    """Pixels of the border that are darker than the mean of the inner ones around them."""
    inner = picture.visible & ~border
    count, total = np.zeros_like(picture.lightness), np.zeros_like(picture.lightness)
    around = zip(neighbors(inner, False), neighbors(picture.lightness, 0), strict=True)
    for there, light in around:
        count += there
        total += light * there
    darker: Mask = border & (count > 0) & ((picture.lightness + DARKER) * count <= total)
    return darker
