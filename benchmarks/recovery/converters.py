"""spritebuild and the dedicated converters: pictures in, pictures and seconds of CPU out; knows no sprites.

    PYTHON benchmarks/recovery/converters.py NAME PICTURES RESULTS

turns every picture of PICTURES, a .npy of uint8 (N, H, W, 4), into a smaller one, and writes them to RESULTS, an .npz,
with the seconds that each took. PYTHON is an interpreter that has the converter. Every one is called as its own
documentation does, with nothing told of the picture, after a first call that is not counted.
"""

from __future__ import annotations

import contextlib
import io
import logging
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

Convert = Callable[[Any], Any]


def main(name: str, source: str, target: str) -> None:
    """Convert every picture, one after another."""
    logging.disable(logging.CRITICAL)
    convert = CONVERTERS[name]()
    pictures = np.load(source)
    results: dict[str, Any] = {}
    seconds = []
    with contextlib.redirect_stdout(io.StringIO()):
        convert(pictures[0].copy())
        for number, picture in enumerate(pictures):
            started = time.process_time()
            result = convert(picture)
            seconds.append(time.process_time() - started)
            results[str(number)] = np.asarray(result)[..., :3]
    np.savez(target, seconds=seconds, **results)


def spritebuild(mode: Any) -> Convert:
    """As finishing calls it."""
    from spritebuild_stages.ops.pixelate import pixelate

    return lambda rgba: pixelate(rgba, mode=mode)


def unfake() -> Convert:
    """To 32 colors."""
    import asyncio

    from unfake import process_image

    return lambda rgba: asyncio.run(process_image(rgba, max_colors=32))["image_array"]


def proper_pixel_art() -> Convert:
    """With its default configuration."""
    from PIL import Image
    from proper_pixel_art import pixelate

    return lambda rgba: pixelate(Image.fromarray(rgba)).image


def perfect_pixel(method: str) -> Convert:
    """With OpenCV; cells sampled in the middle, as it does by default, or by their medians."""
    import cv2
    from perfect_pixel import get_perfect_pixel

    cv2.setNumThreads(1)
    return lambda rgba: get_perfect_pixel(np.ascontiguousarray(rgba[..., :3]), sample_method=method)[2]


CONVERTERS: dict[str, Callable[[], Convert]] = {
    "spritebuild": lambda: spritebuild("auto"),
    "spritebuild, median": lambda: spritebuild("median"),
    "spritebuild, nearest": lambda: spritebuild("nearest"),
    "spritebuild, mode": lambda: spritebuild("mode"),
    "spritebuild, kcentroid": lambda: spritebuild("kcentroid"),
    "unfake": unfake,
    "proper-pixel-art": proper_pixel_art,
    "perfect-pixel": lambda: perfect_pixel("center"),
    "perfect-pixel, medians": lambda: perfect_pixel("median"),
}

if __name__ == "__main__":
    main(*sys.argv[1:])
