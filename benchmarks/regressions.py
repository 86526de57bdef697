"""Measures which known changes of real sprites are found and called right, beside imagehash, pixelmatch and odiff.

    PIXELMATCH_PYTHON=... ODIFF=node_modules/@odiff/linux-x64/odiff python benchmarks/regressions.py [--half report]

The peers say only whether something changed; their defaults are kept. imagehash sees the sprite on gray, since it
ignores alpha. pixelmatch gets lists of numbers, as it takes them; odiff's server reads files, and writes one for every
difference.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import imagehash
import numpy as np
from known_changes import CHANGES, NOTHING, QUIET, SPRITES, WANTED, Pair, Rgba, draw, fits, load
from measure import table
from PIL import Image

from spritebuild.check.classify import classify

ODIFF = os.environ.get("ODIFF")
PIXELMATCH_PYTHON = os.environ.get("PIXELMATCH_PYTHON")

PIXELMATCH = """
import json, sys, time
import numpy as np
from pixelmatch import pixelmatch
pairs = np.load(sys.argv[1])
flat = [(one.reshape(-1).tolist(), other.reshape(-1).tolist()) for one, other in pairs]
height, width = pairs.shape[2:4]
before = time.process_time()
found = [pixelmatch(one, other, width, height) > 0 for one, other in flat]
print(json.dumps([found, time.process_time() - before]))
"""


def main() -> int:
    """Print the tables; returns 1 if a figure of ours is not as wanted."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sprites", type=int, default=200)
    parser.add_argument("--half", choices=("report", "tune"), default="report")
    parser.add_argument("--wrong", action="store_true", help="name every sprite that was called wrong")
    parser.add_argument("--sheet", choices=SHEETS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.sheet:
        measure_sheet(options.sheet)
        return 0
    sprites = load(options.half, options.sprites)
    if not sprites:
        sys.exit(f"no sprites of 32x32 in {SPRITES}: name a folder that has some in SPRITES")
    rows, costs, right, missed, alarms = [], [], [], 0, 0
    for name, change in CHANGES.items():
        pairs = [(rgba, change(rgba, draw(key, name), sprites)) for key, rgba in sprites]
        called, spent = timed(lambda one, other: classify(one, other).kind, pairs)
        good = [fits(name, kind, pair) for kind, pair in zip(called, pairs, strict=True)]
        if options.wrong:
            for (key, _), kind, fit in zip(sprites, called, good, strict=True):
                if not fit:
                    print(f"{name}: {key} is called {kind}")
        nothing = [kind in NOTHING for kind in called]
        right += good
        missed += sum(nothing) * (name in ("3 pixels", "10 pixels", "hole"))
        alarms += sum(not quiet for quiet in nothing) * (name in QUIET)
        hashes, hashing = timed(hash_distance, pairs)
        peers = [pixelmatch(pairs), odiff(pairs)]
        found = [
            [distance > 0 for distance in hashes],
            [distance > 8 for distance in hashes],
            *(some for some, _ in peers),
        ]
        shares = [percent(some) for some in (good, nothing, *found)]
        rows.append([name, WANTED[name], *shares])
        costs.append([name, *(milliseconds(s, len(pairs)) for s in (spent, hashing, *(s for _, s in peers)))])
    heads = ["right kind", "called same or imperceptible", "pHash > 0", "pHash > 8", "pixelmatch", "odiff"]
    print(f"{len(sprites)} sprites of the half to {options.half}; percent, for the peers of those found changed\n")
    print(table(["change", "wanted", *heads], rows), end="\n\n")
    print(f"{100 * statistics.mean(right):.2f} % of {len(right):,} right; {missed} edits of 3 pixels or more missed;")
    print(f"{alarms} false alarms on {', '.join(QUIET)}.\n")
    print(table(["CPU ms a comparison", "spritebuild", "imagehash", "pixelmatch", "odiff"], costs), end="\n\n")
    print(table(["4096x4096 pixels", "called", "CPU s", "peak MB"], [sheet(name) for name in SHEETS]))
    return int(statistics.mean(right) < 0.98 or missed > 0 or alarms > 0)


def hash_distance(one: Rgba, other: Rgba) -> int:
    """How far the perceptual hashes are apart, of 64."""
    grounds = []
    for rgba in (one, other):
        ground = Image.new("RGBA", (rgba.shape[1], rgba.shape[0]), (128, 128, 128, 255))
        grounds.append(imagehash.phash(Image.alpha_composite(ground, Image.fromarray(rgba)).convert("RGB")))
    return int(grounds[0] - grounds[1])


def timed(compare: Callable[[Rgba, Rgba], Any], pairs: Sequence[Pair]) -> tuple[list[Any], float]:
    """What is said of the pairs, and the seconds of CPU, after a first call that is not counted."""
    compare(*pairs[0])
    before = time.process_time()
    return [compare(*pair) for pair in pairs], time.process_time() - before


def pixelmatch(pairs: Sequence[Pair]) -> tuple[list[bool] | None, float]:
    """In which pairs pixelmatch finds pixels that differ, from lists of numbers as it takes them."""
    if not PIXELMATCH_PYTHON:
        return None, 0.0
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "pairs.npy"
        np.save(file, np.array(pairs))
        said = subprocess.run([PIXELMATCH_PYTHON, "-c", PIXELMATCH, str(file)], check=True, capture_output=True)
    found, spent = json.loads(said.stdout)
    return found, spent


def odiff(pairs: Sequence[Pair]) -> tuple[list[bool] | None, float]:
    """In which pairs odiff's server finds pixels that differ, from files; with its start, and reading them."""
    if not ODIFF:
        return None, 0.0
    with tempfile.TemporaryDirectory() as folder:
        asked = []
        for place, pair in enumerate(pairs):
            files = [f"{folder}/{place}-{part}.png" for part in ("old", "new", "difference")]
            for rgba, file in zip(pair, files[:2], strict=True):
                Image.fromarray(rgba).save(file)
            asked.append(json.dumps({"requestId": place, "base": files[0], "compare": files[1], "output": files[2]}))
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        said = subprocess.run(
            [ODIFF, "--server"], input="\n".join(asked) + "\n", check=True, capture_output=True, text=True
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    answers = [json.loads(line) for line in said.stdout.splitlines()]
    matches = {answer["requestId"]: answer["match"] for answer in answers if "requestId" in answer}
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return [not matches[place] for place in range(len(pairs))], spent


def percent(found: Sequence[bool] | None) -> str:
    return "absent" if found is None else f"{100 * statistics.mean(found):.1f}"


def milliseconds(seconds: float, count: int) -> str:
    return f"{1000 * seconds / count:.2f}" if seconds else "absent"


def sheet(name: str) -> list[str]:
    """A row for a change of a sheet, measured in a process of its own."""
    said = subprocess.run([sys.executable, __file__, "--sheet", name], check=True, capture_output=True, text=True)
    kind, seconds, peak = json.loads(said.stdout)
    return [name, kind, f"{seconds:.2f}", f"{peak:.0f}"]


def measure_sheet(name: str) -> None:
    """Print what a change of a sheet of 4,096 random sprites is called, the seconds of CPU and the peak memory."""
    rng = np.random.default_rng(0)
    old = rng.integers(0, 256, (64, 4), np.uint8)[rng.integers(0, 64, (4096, 4096))]
    old[:, ::8] = 0
    old[..., 3] = np.where(old.any(axis=2), 255, 0)
    new = SHEETS[name](old)
    before = time.process_time()
    kind = classify(old, new).kind
    spent = time.process_time() - before
    print(json.dumps([kind, spent, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))


def dotted(rgba: Rgba) -> Rgba:
    result = rgba.copy()
    result.reshape(-1, 4)[8::16777, 1] ^= 90
    return result


SHEETS: dict[str, Callable[[Rgba], Rgba]] = {
    "nothing": lambda rgba: rgba.copy(),
    "1,000 pixels": dotted,
    "a shift": lambda rgba: np.roll(rgba, (1, 2), (1, 0)),
    "every color": lambda rgba: rgba ^ np.array([0, 64, 0, 0], np.uint8),
    "every pixel, no two alike": lambda rgba: np.random.default_rng(1).integers(0, 256, rgba.shape, np.uint8),
}

if __name__ == "__main__":
    raise SystemExit(main())
