"""A line around a sprite, or along the inside of its edge; the outer one changes no visible pixel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spritebuild_stages.images.integers import ALPHA, COLOR, LUMA, channels, words

Mask = NDArray[np.bool_]

NONE = (1 << 63) - 1  # no color, and above every one


def outline(
    rgba: NDArray[np.uint8], color: tuple[int, int, int], thickness: int, corners: bool, side: str = "outer"
) -> NDArray[np.uint8]:
    """Draw an outline of `color` along the silhouette (alpha > 0), outside or inside of it.

    `rgba` is uint8 (H, W, 4), `color` (r, g, b) of 0..255, `thickness` >= 1 pixels. The outer outline is the silhouette
    dilated `thickness` times, less itself: by the four neighbors, or by all eight with `corners` (Serra, "Image
    Analysis and Mathematical Morphology", 1982). It is opaque. The picture keeps its size, and what would fall outside
    is lost: pad it first. The inner one is the silhouette less itself eroded likewise, with nothing beyond the border;
    it keeps alpha, and a second time changes nothing. Holes get their outline too. Returns a new array. Raises
    ValueError for a thickness below 1 and for another side.
    """
    line = _line(rgba, thickness, corners, side)
    red, green, blue = color
    pixels = words(rgba).copy()
    alpha = ALPHA if side == "outer" else pixels[line] & ALPHA
    pixels[line] = alpha | (blue << 16 | green << 8 | red)
    return channels(pixels)


def selective(
    rgba: NDArray[np.uint8], shade: int, thickness: int, corners: bool, side: str = "outer"
) -> NDArray[np.uint8]:
    """Draw an outline whose every pixel is a darker shade of the sprite beside it ("selout").

    Arrays, line and errors are those of `outline`. An outer pixel takes the darkest color (Rec. 601 luma, then least
    red, green, blue) of the visible neighbors by which the silhouette reaches it, an inner one its own; every channel
    is multiplied by `shade` (0..100) percent and rounded, halves up. That makes colors that no palette has.
    """
    if not 0 <= shade <= 100:
        raise ValueError(f"shade is 0..100 percent, not {shade}")
    line = _line(rgba, thickness, corners, side)
    result = rgba.copy()
    if side == "outer":
        result[line, :3] = _darkest(rgba, thickness, corners)[line]
        result[line, 3] = 255
    result[line, :3] = (result[line, :3].astype(np.uint16) * shade + 50) // 100
    return result


def _line(rgba: NDArray[np.uint8], thickness: int, corners: bool, side: str) -> Mask:
    if thickness < 1:
        raise ValueError(f"thickness is at least 1, not {thickness}")
    silhouette = words(rgba) > COLOR
    if side == "outer":
        return _dilated(silhouette, thickness, corners) & ~silhouette
    if side == "inner":
        ground = np.pad(~silhouette, 1, constant_values=True)
        return _dilated(ground, thickness, corners)[1:-1, 1:-1] & silhouette
    raise ValueError(f"side is outer or inner, not {side!r}")


def _dilated(mask: Mask, times: int, corners: bool) -> Mask:
    height, width = mask.shape
    row = width + 1
    # With an unset row above and below, and such a pixel behind each row, all neighbors are steps in a flat array.
    grown = np.zeros((height + 2, row), np.bool_)
    grown[1:-1, :-1] = mask
    flat = grown.ravel()  # a view
    inner = flat[row:-row]
    for _ in range(times):
        if corners:
            across = flat.copy()
            across[1:] |= flat[:-1]
            across[:-1] |= flat[1:]
            inner |= across[: -2 * row] | across[row:-row] | across[2 * row :]
        else:
            inner |= flat[row - 1 : -row - 1] | flat[row + 1 : 1 - row] | flat[: -2 * row] | flat[2 * row :]
        grown[:, -1] = False
    return grown[1:-1, :-1]


def _darkest(rgba: NDArray[np.uint8], times: int, corners: bool) -> NDArray[np.uint8]:
    """The colors (H, W, 3) of a sprite that has grown, each new pixel with the darkest color that reached it first."""
    red, green, blue = (rgba[..., channel].astype(np.int64) for channel in range(3))
    luma = LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue
    colors = np.where(rgba[..., 3] > 0, luma << 24 | red << 16 | green << 8 | blue, NONE)
    for _ in range(times):
        across = colors.copy()
        np.minimum(across[:, 1:], colors[:, :-1], out=across[:, 1:])
        np.minimum(across[:, :-1], colors[:, 1:], out=across[:, :-1])
        moved = across if corners else colors
        grown = across.copy()
        np.minimum(grown[1:], moved[:-1], out=grown[1:])
        np.minimum(grown[:-1], moved[1:], out=grown[:-1])
        colors = np.where(colors == NONE, grown, colors)
    return np.stack([colors >> 16 & 255, colors >> 8 & 255, colors & 255], axis=2).astype(np.uint8)
