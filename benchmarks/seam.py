"""Measures whether the seam measure tells tiles that are seamless from crops that are not.

Every tile of a folder is laid out four by four. A crop of the tile's own size, anywhere, meets itself as the tile does
inside: seamless by construction. A crop of another size does not. The figure is the AUC: how often a seamless crop of
one tile gets the lower value than a broken one of another. Texture without any pattern has no seam to be seen, however
it is cut, so that 1 is out of reach. The patch was chosen on the tiles in even places; the odd ones are measured.

    python benchmarks/seam.py ../shared/data/dcss/dngn/wall ../shared/data/dcss/dngn/floor
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spritebuild_stages.images import png
from spritebuild_stages.ops.seam import seam

Rgba = NDArray[np.uint8]

COPIES = 4
SMALLEST = 16  # pixels of a side
COLORS = 4  # a tile of fewer has nothing that a seam could break
OTHER = (*range(-10, -1), *range(2, 11))  # how much longer the side of a broken crop is: a line's period may be near


def tiles(folder: Path) -> Iterator[Rgba]:
    """The opaque square pictures of a folder that show something."""
    for path in sorted(folder.rglob("*.png")):
        rgba = png.read(path)
        height, width = rgba.shape[:2]
        shows = len(np.unique(rgba.reshape(-1, 4), axis=0)) >= COLORS
        if height == width >= SMALLEST and (rgba[..., 3] == 255).all() and shows:
            yield rgba


def crops(tile: Rgba, rng: np.random.Generator) -> tuple[Rgba, Rgba]:
    """A seamless crop of a tiling and a broken one."""
    plane = np.tile(tile, (COPIES, COPIES, 1))
    side = len(tile)
    height, width = (side + int(rng.choice(OTHER)) for _ in range(2))
    (y, x), (v, u) = rng.integers(0, side, (2, 2))
    return plane[y : y + side, x : x + side], plane[v : v + height, u : u + width]


def wrap_ratio(rgba: Rgba) -> float:
    """The usual measure: the difference of the columns and rows at the wrap by that of neighbors inside."""
    total = 0.0
    for view in (rgba, rgba.swapaxes(0, 1)):
        steps = np.abs(np.roll(view, -1, 1).astype(int) - view).mean(axis=(0, 2))
        total += steps[-1] / max(steps[:-1].mean(), 1e-9)
    return total / 2


def auc(low: Sequence[float], high: Sequence[float]) -> float:
    """How often a value of `low` is below one of `high`, equals counted half."""
    first, second = np.array(low)[:, None], np.array(high)
    return float(((first < second).mean() + (first <= second).mean()) / 2)


def report(name: str, pairs: Sequence[tuple[Rgba, Rgba]], measure: Callable[[Rgba], float]) -> None:
    """Print a measure's AUC, its middle values and its time."""
    started = time.process_time()
    whole, broken = ([measure(pair[part]) for pair in pairs] for part in (0, 1))
    spent = (time.process_time() - started) / (2 * len(pairs)) * 1000
    limit = float(np.quantile(whole, 0.95))
    found = 100 * float((np.array(broken) > limit).mean())
    print(
        f"  {name:<12} AUC {auc(whole, broken):.3f}   median {np.median(whole):.2f} seamless, {np.median(broken):.2f} "
        f"broken   above {limit:.2f}: 5 % of the seamless, {found:.0f} % of the broken   {spent:.1f} ms"
    )


def main() -> None:
    """Measure every folder given, and all of them together."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path)
    rng = np.random.default_rng(0)
    everything: list[tuple[Rgba, Rgba]] = []
    folders = parser.parse_args().folders
    for folder in folders:
        pairs = [crops(tile, rng) for tile in list(tiles(folder))[1::2]]
        everything += pairs
        print(f"{folder.name}: {len(pairs)} tiles")
        report("seam", pairs, seam)
        report("wrap ratio", pairs, wrap_ratio)
    if len(folders) > 1:
        print(f"all: {len(everything)} tiles")
        report("seam", everything, seam)
        report("wrap ratio", everything, wrap_ratio)


if __name__ == "__main__":
    main()
