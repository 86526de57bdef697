"""The fingerprints of a picture, and whether two pictures look the same by them; knows no lock.

Bytes made on another class of machine differ in a pixel here and there. They are judged by these numbers, because the
locked bytes themselves may be nowhere at hand.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HASH_BITS = 8  # of 64 bits of a perceptual hash that may differ; another sprite differs in 30 (median)
SILHOUETTE_SHARE = 0.03  # of the cells of the silhouette that may differ
GRID = 16  # cells of the silhouette a side
GROUND = 128  # gray on which a sprite is hashed: the hashes ignore alpha
MOST_COLORS = 64  # of a palette that is listed; photographs have none worth a line in a lock


def looks(path: str | Path) -> dict[str, Any]:
    """The fingerprints of a picture; empty for what is none.

    `size` in pixels. `pixels`: sha256 of the size and the straight-alpha RGBA bytes, colors under alpha 0 cleared: of
    the picture, however it is encoded. `colors`: how many visible ones. `palette`: those, six hexadecimal digits each,
    sorted, unless they are more than 64. `soft`: how many pixels are neither opaque nor transparent, if any. `phash`
    and `dhash` (imagehash) of the picture on gray. `silhouette`: 16x16 bits of where it is opaque.
    """
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
    pixels = np.array(image).reshape(-1, 4)
    pixels[pixels[:, 3] == 0] = 0
    visible = pixels[pixels[:, 3] > 0]
    rgb = visible.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1, 0], np.uint32)
    colors = np.unique(rgb)
    soft = int(np.count_nonzero(visible[:, 3] < 255))
    width, height = image.size
    return {
        "size": [width, height],
        "pixels": hashlib.sha256(b"%d %d\n" % (width, height) + pixels.tobytes()).hexdigest(),
        "colors": len(colors),
        **({"palette": "".join(f"{color:06x}" for color in colors)} if 0 < len(colors) <= MOST_COLORS else {}),
        **({"soft": soft} if soft else {}),
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
