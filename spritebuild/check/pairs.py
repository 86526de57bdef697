"""Files compared with what was approved, many at a time; knows no asset and no lock."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from spritebuild.check.cases import Kind
from spritebuild.check.classify import Change, Rules, classify, describe
from spritebuild.check.difference import difference

MANY = 256  # pairs for which a second process is worth its start
CHUNK = 32
MOST_PIXELS = 1 << 24


@dataclass(frozen=True, slots=True)
class Pair:
    """Two files, and the difference of color (CIEDE2000) that nobody sees."""

    old: str
    new: str
    delta_e: float


@dataclass(frozen=True, slots=True)
class Compared:
    """What became of a file; `group` is equal for equal changes, and empty where a change is like no other."""

    kind: Kind
    words: str
    measures: dict[str, Any]
    group: str = ""


def compared(pairs: Sequence[Pair]) -> list[Compared]:
    """Compare every pair, in their order; many in as many processes as there are cores."""
    processes = os.cpu_count() or 1
    if len(pairs) < MANY or processes == 1:
        return [compare(pair) for pair in pairs]
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        return list(pool.map(compare, pairs, chunksize=CHUNK))


def compare(pair: Pair) -> Compared:
    """Compare two pictures pixel by pixel, other files by their text or bytes."""
    old, new = read(pair.old), read(pair.new)
    if old is None or new is None:
        return Compared("other", difference(Path(pair.old), Path(pair.new)), {})
    change = classify(old, new, Rules(delta_e=pair.delta_e))
    measures = {name: value for name, value in asdict(change).items() if name != "kind" and value not in (None, "", ())}
    return Compared(change.kind, describe(change), measures, _group(change, old, new))


def read(path: str | Path, formats: tuple[str, ...] | None = None) -> NDArray[np.uint8] | None:
    """A picture as uint8 (H, W, 4); None for what is no picture, of those formats, or one of more than 16 Mpx."""
    try:
        with Image.open(path, formats=formats) as image:
            if image.width * image.height > MOST_PIXELS:
                return None
            return np.array(image.convert("RGBA"))
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError):
        return None


def _group(change: Change, old: NDArray[np.uint8], new: NDArray[np.uint8]) -> str:
    """A name that two pictures share if the same became of both."""
    match change.kind:
        case "flip":
            told: object = change.axis
        case "shift":
            told = change.by
        case "recolor":
            told = sorted((before, now) for before, now, _ in change.colors)
        case "edit":
            places = np.argwhere((old != new).any(axis=2))
            there = places[:, 0], places[:, 1]
            told = [places.tolist(), new[there].tolist()]
        case _:
            return ""
    return hashlib.sha256(f"{change.kind} {told}".encode()).hexdigest()[:12]
