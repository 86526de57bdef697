"""A line around a sprite; changes no visible pixel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def outline(rgba: NDArray[np.uint8], color: tuple[int, int, int], thickness: int, corners: bool) -> NDArray[np.uint8]:
    """Draw an opaque outline of `color` into the transparent pixels around the silhouette (alpha > 0).

    `rgba` is uint8 (H, W, 4), `color` (r, g, b) of 0..255, `thickness` >= 1 pixels. The outline is the silhouette
    dilated `thickness` times, less itself: by the four neighbors, or by all eight with `corners` (Serra, "Image
    Analysis and Mathematical Morphology", 1982). Holes get their outline too. The picture keeps its size, and what
    would fall outside is lost: pad it first. Returns a new array. Raises ValueError for a thickness below 1.
    """
    if thickness < 1:
        raise ValueError(f"thickness is at least 1, not {thickness}")
    silhouette = rgba[..., 3] > 0
    grown = silhouette
    for _ in range(thickness):
        grown = _dilated(grown, corners)
    result = rgba.copy()
    result[grown & ~silhouette] = (*color, 255)
    return result


def _dilated(mask: NDArray[np.bool_], corners: bool) -> NDArray[np.bool_]:
    across = mask.copy()
    across[:, 1:] |= mask[:, :-1]
    across[:, :-1] |= mask[:, 1:]
    # Moved up and down, the widened mask brings the corners with it, the mask itself does not.
    moved = across if corners else mask
    result = across.copy()
    result[1:] |= moved[:-1]
    result[:-1] |= moved[1:]
    return result
