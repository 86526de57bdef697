"""How much of known pixel art comes back out of soft pictures of it, beside the dedicated converters.

    RECOVERY_PEERS_PYTHON=peers/bin/python python benchmarks/recovery [--sprites 80] [--half report] [--modes]

Every converter finds the grid by itself. RECOVERY_PEERS_PYTHON names an interpreter that has unfake, proper-pixel-art
and perfect-pixel. Each has one thread; the time is the CPU time of a conversion, the median of all.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from converters import CONVERTERS
from degrade import LEVELS, degrade
from numpy.typing import NDArray
from score import exact
from sprites import FOLDER, load

WANTED = {"L0": 98, "L1": 97, "L2": 95, "L3": 95, "L4": 88}
WANTED_MS = 10
OURS = "spritebuild"
SINGLE = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"), "1")


def main() -> int:
    """Print the table; returns 1 if a figure of ours is below what is wanted, or not above every peer's."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sprites", type=int, default=80)
    parser.add_argument("--half", choices=("report", "tune"), default="report")
    parser.add_argument("--modes", action="store_true", help="the modes of spritebuild instead of the peers")
    options = parser.parse_args()
    peers = os.environ.get("RECOVERY_PEERS_PYTHON")
    if not peers and not options.modes:
        print("RECOVERY_PEERS_PYTHON is not set: the peers are absent.\n")
    modes = [name for name in CONVERTERS if name.startswith(OURS)]
    names = modes if options.modes else [OURS, *(name for name in CONVERTERS if name not in modes and peers)]
    sprites = load(options.half, options.sprites)
    if not sprites:
        sys.exit(f"no sprites of 32x32 in {FOLDER}: name a folder that has some in SPRITES")
    scores: dict[str, list[float]] = {name: [] for name in names}
    times: dict[str, list[float]] = {name: [] for name in names}
    for level in LEVELS:
        pictures = np.stack([degrade(sprite, level).rgba for sprite in sprites])
        for name in names:
            found, seconds = converted(sys.executable if name in modes else str(peers), name, pictures)
            scores[name].append(statistics.mean(exact(*pair) for pair in zip(found, sprites, strict=True)))
            times[name].append(1000 * statistics.median(seconds))
    print(f"{len(sprites)} sprites of the half to {options.half}: percent of exact pixels, and (milliseconds of CPU)\n")
    print("|  | " + " | ".join(level.name for level in LEVELS) + " |")
    print("| --- |" + " --- |" * len(LEVELS))
    for name in names:
        row = [f"{score:.1f} ({spent:.1f})" for score, spent in zip(scores[name], times[name], strict=True)]
        print(f"| {name} | " + " | ".join(row) + " |")
    print("| wanted | " + " | ".join(f"{WANTED[level.name]} ({WANTED_MS})" for level in LEVELS) + " |")
    return int(not all(held(place, scores, times) for place in range(len(LEVELS))))


def held(place: int, scores: dict[str, list[float]], times: dict[str, list[float]]) -> bool:
    """Whether a level is as good and as fast as wanted, better than every peer unless perfect, and faster."""
    score, spent = scores[OURS][place], times[OURS][place]
    others = [name for name in scores if not name.startswith(OURS)]
    return (
        score >= WANTED[LEVELS[place].name]
        and spent <= WANTED_MS
        and all(score > scores[name][place] or score == 100 for name in others)
        and all(spent < times[name][place] for name in others)
    )


def converted(
    python: str, name: str, pictures: NDArray[np.uint8]
) -> tuple[Sequence[NDArray[np.uint8]], Sequence[float]]:
    """What a converter, in a process of an interpreter that has it, makes of the pictures, and the seconds of each."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "pictures.npy", Path(folder) / "results.npz"
        np.save(source, pictures)
        command = [python, str(Path(__file__).with_name("converters.py")), name, str(source), str(target)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=os.environ | SINGLE)
        with np.load(target) as results:
            return [results[str(number)] for number in range(len(pictures))], results["seconds"].tolist()


if __name__ == "__main__":
    raise SystemExit(main())
