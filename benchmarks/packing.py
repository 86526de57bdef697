"""Measures packing: how much of its pages is filled and how long it takes, beside other packers; and whole sheets.

    MAXRECTS_PACKER=node_modules/maxrects-packer RPACK_PYTHON=python python benchmarks/packing.py [--rounds 3]

Rectangles are the visible boxes of the PNGs in `SPRITES` or ../shared/data/dcss, drawn with repetition, and random ones
of 4 to 64 pixels a side. The time is the CPU time of packing alone; starting is not counted. maxrects-packer is a
package of npm; it is asked for the smallest page, as ours. rpack is the package rectangle-packer of PyPI, whose time
grows with the cube of their number: it is left out beyond 500. rectpack is what ours packs with, without the search for
a width: maximal rectangles at the width of a square. Nobody turns a rectangle, and none has space around it.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from measure import ratio, shown, table
from rectpack.maxrects import MaxRectsBl

from spritebuild.stage import BoundAction, Context
from spritebuild_stages.images import png
from spritebuild_stages.ops.trim import visible_box
from spritebuild_stages.sheet import Sheet
from spritebuild_stages.sheets.packing import Room, Size, pack

SPRITES = Path(os.environ.get("SPRITES", Path(__file__).parent / "../../shared/data/dcss"))
MAXRECTS_PACKER = os.environ.get("MAXRECTS_PACKER")
RPACK_PYTHON = os.environ.get("RPACK_PYTHON")
RPACK_MOST = 500
COUNTS = (20, 100, 500, 2000, 5000)

MAXRECTS = """
import { readFileSync } from "fs";
const { MaxRectsPacker } = await import(process.argv[1] + "/dist/maxrects-packer.mjs");
const sizes = JSON.parse(readFileSync(process.argv[2])).map(([width, height]) => ({ width, height }));
const before = process.cpuUsage();
const packer = new MaxRectsPacker(4096, 4096, 0, { smart: true, pot: false, square: false, allowRotation: false });
packer.addArray(sizes);
const { user, system } = process.cpuUsage(before);
console.log(JSON.stringify([packer.bins.map(({ width, height }) => [width, height]), (user + system) / 1e6]));
"""
RPACK = """
import json, sys, time, rpack
sizes = [tuple(size) for size in json.load(open(sys.argv[1]))]
before = time.process_time()
places = rpack.pack(sizes)
cpu = time.process_time() - before
print(json.dumps([[rpack.bbox_size(sizes, places)], cpu]))
"""


def main() -> None:
    """Measure and print the tables; a worker when asked to by itself."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--worker", nargs=2, metavar=("PACKER", "FILE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        packer, file = options.worker
        print(json.dumps(WORKERS[packer]([tuple(size) for size in json.loads(Path(file).read_text())])))
        return
    paths = sorted(SPRITES.rglob("*.png"))
    if not paths:
        sys.exit(f"no PNGs in {SPRITES}: name a folder that has some in SPRITES")
    boxes = [box(path) for path in paths]
    draw = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for what in ("sprites, trimmed", "4 to 64 pixels a side"):
            rows = []
            for count in COUNTS:
                some = [boxes[n] for n in draw.integers(0, len(boxes), count)]
                uniform = [(int(w), int(h)) for w, h in draw.integers(4, 65, (count, 2))]
                rows += compared(folder, some if what.startswith("sprites") else uniform, options.rounds)
            print(table([what, "packer", "pages", "filled", "CPU s", "to spritebuild"], rows), end="\n\n")
        print(sheets(folder, paths))


def box(path: Path) -> Size:
    """The size of what is visible of a PNG."""
    left, top, right, bottom = visible_box(png.read(path)) or (0, 0, 1, 1)
    return right - left, bottom - top


def ours(sizes: list[Size]) -> tuple[list[Size], float]:
    before = time.process_time()
    packed = pack(sizes, Room())
    return list(packed.pages), time.process_time() - before


def rectpack(sizes: list[Size]) -> tuple[list[Size], float]:
    before = time.process_time()
    width = max(math.isqrt(sum(w * h for w, h in sizes)), max(w for w, _ in sizes))
    area = MaxRectsBl(width, 1 << 20, rot=False)
    places = [area.add_rect(*size) for size in sorted(sizes, key=lambda size: (-size[1], -size[0]))]
    page = max(place.right for place in places), max(place.top for place in places)
    return [page], time.process_time() - before


WORKERS = {"spritebuild": ours, "rectpack": rectpack}


def compared(folder: Path, sizes: list[Size], rounds: int) -> list[list[str]]:
    """A row for every packer, which were run in turn."""
    file = folder / "sizes.json"
    file.write_text(json.dumps(sizes))
    commands = {packer: [sys.executable, __file__, "--worker", packer, str(file)] for packer in WORKERS}
    if MAXRECTS_PACKER:
        module = str(Path(MAXRECTS_PACKER).resolve())
        commands["maxrects-packer"] = ["node", "--input-type=module", "-e", MAXRECTS, module, str(file)]
    if RPACK_PYTHON and len(sizes) <= RPACK_MOST:
        commands["rpack"] = [RPACK_PYTHON, "-c", RPACK, str(file)]
    costs: dict[str, list[float]] = {packer: [] for packer in commands}
    pages = {}
    for _ in range(rounds):
        for packer, command in commands.items():
            said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            pages[packer], cpu = json.loads(said)
            costs[packer].append(cpu)
            print(f"{len(sizes)} by {packer}: {shown(cpu)} s of CPU", file=sys.stderr)
    filled = {p: sum(w * h for w, h in sizes) / sum(w * h for w, h in found) for p, found in pages.items()}
    cpu = {packer: statistics.median(found) for packer, found in costs.items()}
    return [
        [
            f"{len(sizes):,}",
            packer,
            ", ".join(f"{width}x{height}" for width, height in pages[packer]),
            f"{100 * filled[packer]:.1f} %",
            shown(cpu[packer]),
            ratio(cpu[packer], cpu["spritebuild"]),
        ]
        for packer in commands
    ]


def sheets(folder: Path, paths: list[Path]) -> str:
    """What the whole stage takes for 5,000 frames: reading, trimming, comparing, packing, painting and writing."""
    rows = []
    small = [path for path in paths if png.read(path).shape[:2] == (32, 32)]
    some = tuple(small[n % len(small)] for n in range(5000))
    told = {
        "packed": {},
        "packed, equal ones apart": {"duplicates": False},
        "packed, extruded, a power of two": {"extrude": 1, "power_of_two": True},
        "grid": {"layout": "grid"},
    }
    for number, (what, more) in enumerate(told.items()):
        params = Sheet.Params(**{"names": [f"f{n}" for n in range(5000)], "name": "all", "layout": "packed"} | more)
        made = folder / str(number)
        outputs = Sheet.Outputs(files=made / "files", layout=made / "layout.json")
        wall, cpu = time.perf_counter(), time.process_time()
        notes = Sheet().run(BoundAction(params, Sheet.Inputs(frames=some), outputs), Context(memory=folder))
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        height, width = png.read(made / "files/all.png").shape[:2]
        rows.append([what, f"{notes['stored']:,}" if notes else "", f"{width}x{height}", shown(cpu), shown(wall)])
    return table(["a sheet of 5,000 frames of 32x32", "stored", "page", "CPU s", "wall s"], rows)


if __name__ == "__main__":
    main()
