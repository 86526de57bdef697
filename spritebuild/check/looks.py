"""The fingerprints of a picture, and whether two pictures look the same by them; knows no lock.

Bytes made on another class of machine differ in a pixel here and there. They are judged by these numbers, because the
locked bytes themselves may be nowhere at hand.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL.Image import Image

HASH_BITS = 8  # of 64 bits of a perceptual hash that may differ; another sprite differs in 30 (median)
SILHOUETTE_SHARE = 0.03  # of the cells of the silhouette that may differ
GRID = 16  # cells of the silhouette a side
GROUND = 128  # gray on which a sprite is hashed: the hashes ignore alpha
SIGNATURES = (b"\x89PNG", b"GIF8", b"RIFF", b"\xff\xd8\xff", b"BM")  # of PNG, GIF, WebP, JPEG and BMP
MOST_COLORS = 64  # of a palette that is listed; photographs have none worth a line in a lock


def looks(path: str | Path) -> dict[str, Any]:
    """The fingerprints of a picture; empty for what is none.

    `size` in pixels. `pixels`: sha256 of the size and the straight-alpha RGBA bytes, colors under alpha 0 cleared: of
    the picture, however it is encoded. `colors`: how many visible ones. `palette`: those, six hexadecimal digits each,
    sorted, unless they are more than 64. `soft`: how many pixels are neither opaque nor transparent, if any. `phash`
    and `dhash` (imagehash) of the picture on gray. `silhouette`: 16x16 bits of where it is opaque.
    """
    with Path(path).open("rb", buffering=0) as file:
        if not file.read(12).startswith(SIGNATURES):
            return {}  # an atlas, a palette, a model: libraries for pictures are not even loaded
    import numpy as np
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as opened:
            image = opened.convert("RGBA")
    except UnidentifiedImageError:
        return {}
    width, height = image.size
    packed = np.frombuffer(image.tobytes(), "<u4")
    visible = packed[packed >= 1 << 24]  # alpha is the highest byte
    seen = np.where(packed >= 1 << 24, packed, 0)
    colors = np.unique(visible & 0xFFFFFF)
    soft = int(np.count_nonzero(visible < 255 << 24))
    return {
        "size": [width, height],
        "pixels": hashlib.sha256(b"%d %d\n" % (width, height) + seen.tobytes()).hexdigest(),
        "colors": len(colors),
        **({"palette": _palette(colors.tolist())} if 0 < len(colors) <= MOST_COLORS else {}),
        **({"soft": soft} if soft else {}),
        **_hashes(image),
    }


def _palette(colors: list[int]) -> str:
    """Colors of 0xbbggrr as six digits each, sorted."""
    return "".join(sorted((color & 0xFFFFFF).to_bytes(3, "little").hex() for color in colors))


def _hashes(image: Image) -> dict[str, str]:
    """pHash and dHash as imagehash computes and writes them, and the silhouette.

    Source: imagehash 4.3, `phash` and `dhash` with a hash of 8 a side; a call of it costs as much as all the rest.
    """
    import numpy as np
    from PIL import Image
    from scipy.fft import dct

    lanczos, box = Image.Resampling.LANCZOS, Image.Resampling.BOX
    ground = Image.new("RGBA", image.size, (GROUND, GROUND, GROUND, 255))
    flat = Image.alpha_composite(ground, image).convert("RGB").convert("L")
    frequencies = dct(dct(np.asarray(flat.resize((32, 32), lanczos), np.float64), axis=0), axis=1)[:8, :8]
    slopes = np.asarray(flat.resize((9, 8), lanczos))
    shape = np.asarray(image.getchannel("A").resize((GRID, GRID), box)) >= GROUND
    bits = {"phash": frequencies > np.median(frequencies), "dhash": slopes[:, 1:] > slopes[:, :-1], "silhouette": shape}
    return {name: np.packbits(each).tobytes().hex() for name, each in bits.items()}


def same_looks(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether two pictures look the same to somebody who compares them; pictures without looks never do."""
    if not old or not new or list(old["size"]) != list(new["size"]):
        return False
    return (
        distance(old["phash"], new["phash"]) <= HASH_BITS
        and distance(old["dhash"], new["dhash"]) <= HASH_BITS
        and distance(old["silhouette"], new["silhouette"]) <= SILHOUETTE_SHARE * GRID * GRID
    )


def distance(left: str, right: str) -> int:
    """How many bits two hashes, written as hexadecimal digits, differ in."""
    return (int(left, 16) ^ int(right, 16)).bit_count()
