"""The colors of pictures in words and figures; the same on every machine, for distances are whole numbers."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from spritebuild_stages.images.integers import pack
from spritebuild_stages.ops.quantize import oklab

OPAQUE = 128  # the least alpha that counts

# Shades of each, light and dark: the darkest third of a red sprite is nearer to any brown than to a bright red.
NAMED = {
    "red": ((200, 30, 30), (120, 20, 20)),
    "orange": ((230, 130, 30),),
    "yellow": ((235, 215, 60), (190, 160, 40)),
    "green": ((50, 160, 50), (30, 90, 30), (130, 200, 80)),
    "cyan": ((60, 200, 200), (30, 120, 120)),
    "blue": ((50, 80, 200), (30, 40, 110), (110, 150, 235)),
    "purple": ((140, 50, 180), (80, 30, 100)),
    "pink": ((235, 130, 190),),
    "brown": ((130, 85, 45), (80, 50, 25)),
    "gray": ((128, 128, 128), (90, 90, 90)),
    "white": ((240, 240, 240), (205, 205, 205)),
    "black": ((20, 20, 20), (40, 40, 45)),
}
# Lightness counts half, since shading is lightness. Steps as in `quantize`: rounded, distances are exact.
STEPS = np.array([0.5, 1.0, 1.0]) * (1 << 20)
GRAY_WEIGHT = 77  # of a pixel without saturation, which has 0..255: metal is gray, but so are highlights
DARK = 10  # black pixels count a tenth: nearly every sprite has a dark outline


def color_word(rgba: NDArray[np.uint8]) -> str:
    """The name of the color that most of a picture has, "" if it has no opaque pixel; uint8 (H, W, 4).

    Every opaque pixel votes for the name whose shade is nearest in OKLab with lightness halved. Its vote weighs its
    saturation (the greatest channel less the least) plus 77; black ones weigh a tenth.
    """
    rgb = rgba[rgba[..., 3] >= OPAQUE][:, :3]
    if not len(rgb):
        return ""
    shades = [shade for shades in NAMED.values() for shade in shades]
    word_of = np.repeat(np.arange(len(NAMED)), [len(shades) for shades in NAMED.values()])
    distances = ((_steps(rgb)[:, None] - _steps(np.array(shades, np.uint8))[None]) ** 2).sum(axis=2)
    words = word_of[distances.argmin(axis=1)]
    weights = (GRAY_WEIGHT + rgb.max(axis=1).astype(np.int64) - rgb.min(axis=1)) * DARK
    weights[words == list(NAMED).index("black")] //= DARK
    votes = np.zeros(len(NAMED), np.int64)
    np.add.at(votes, words, weights)
    return list(NAMED)[int(votes.argmax())]


def most_common(pictures: Iterable[NDArray[np.uint8]], number: int) -> tuple[int, list[tuple[str, float]]]:
    """How many colors there are in the opaque pixels, and the most common ones as `#rrggbb` and share."""
    counts: dict[int, int] = {}
    for rgba in pictures:
        opaque = pack(rgba[rgba[..., 3] >= OPAQUE]) >> 8
        for color, count in zip(*(part.tolist() for part in np.unique(opaque, return_counts=True)), strict=True):
            counts[color] = counts.get(color, 0) + count
    total = sum(counts.values())
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return len(counts), [(f"#{color:06x}", round(count / total, 4)) for color, count in ordered[:number]]


def _steps(rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    steps: NDArray[np.float64] = np.rint(oklab(rgb) * STEPS)
    return steps
