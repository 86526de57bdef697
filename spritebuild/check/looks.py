"""The looks of a picture in a few numbers, and whether two pictures look the same; knows no lock.

Bytes made on another class of machine differ in a pixel here and there. They are judged by these numbers, because the
locked bytes themselves may be nowhere at hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

HASH_BITS = 8  # of 64 bits of a perceptual hash that may differ; another sprite differs in 30 (median)
SILHOUETTE_SHARE = 0.03  # of the cells of the silhouette that may differ
GRID = 16  # cells of the silhouette a side
GROUND = 128  # gray on which a sprite is hashed: the hashes ignore alpha


def looks(path: str | Path) -> dict[str, Any]:
    """Size, number of colors, pHash and dHash on gray, and a 16x16 silhouette; empty for what is not a picture."""
    import imagehash
    import numpy as np
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as opened:
            image = opened.convert("RGBA")
    except UnidentifiedImageError:
        return {}
    ground = Image.new("RGBA", image.size, (GROUND, GROUND, GROUND, 255))
    flat = Image.alpha_composite(ground, image).convert("RGB")
    alpha = image.getchannel("A").resize((GRID, GRID), Image.Resampling.BOX)
    pixels = np.asarray(image).reshape(-1, 4)
    opaque = pixels[pixels[:, 3] > 0]
    return {
        "size": list(image.size),
        "colors": len(np.unique(opaque.view("<u4"))) if len(opaque) else 0,
        "phash": str(imagehash.phash(flat)),
        "dhash": str(imagehash.dhash(flat)),
        "silhouette": np.packbits(np.asarray(alpha) >= GROUND).tobytes().hex(),
    }


def same_looks(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether two pictures look the same to somebody who compares them; pictures without looks never do."""
    if not old or not new or list(old["size"]) != list(new["size"]):
        return False
    return (
        _distance(old["phash"], new["phash"]) <= HASH_BITS
        and _distance(old["dhash"], new["dhash"]) <= HASH_BITS
        and _distance(old["silhouette"], new["silhouette"]) <= SILHOUETTE_SHARE * GRID * GRID
    )


def _distance(left: str, right: str) -> int:
    return (int(left, 16) ^ int(right, 16)).bit_count()
