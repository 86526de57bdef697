"""Measures quantizing: a finishing list on 10,000 sprites beside k-means for each, dithering, and extracted palettes.

The finish stage's own `run` reads a PNG, makes alpha hard, quantizes to a palette of 32 colors, draws an outline and
writes a PNG, in two processes. `quantize_recipe.py` reads, clusters and writes likewise, on a sample of the same
sprites: as it is, in one process with as many threads as scikit-learn takes, and at its best, in two processes with one
thread each. Starting and a first picture are not counted.

    KMEANS_PYTHON=python python benchmarks/quantize.py [--sprites 10000] [--sample 400] [--rounds 3]

Sprites are the 32x32 ones of a folder of PNGs, `SPRITES` or ../shared/data/dcss; if they are too few, mirrored ones and
such with other hues are added. KMEANS_PYTHON is an interpreter that has scikit-learn and Pillow.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from measure import ratio, table
from PIL import Image

from spritebuild.stage import BoundAction, Context
from spritebuild_stages.finish import Finish
from spritebuild_stages.images import png
from spritebuild_stages.ops.extract import extract
from spritebuild_stages.ops.oklab import Palette, nearest, oklab, steps
from spritebuild_stages.ops.quantize import DITHERS, quantize

HERE = Path(__file__).parent
SPRITES = Path(os.environ.get("SPRITES", HERE / "../../shared/data/dcss"))
PYTHON = os.environ.get("KMEANS_PYTHON")
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
PROCESSES = 2


def main() -> None:
    """Measure and print the tables; a worker when asked to by itself."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sprites", type=int, default=10_000)
    parser.add_argument("--sample", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--worker", nargs=2, metavar=("LIST", "OUT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        finished(*map(Path, options.worker))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = sprites(folder, options.sprites)
        sample = random.Random(1).sample(paths, min(options.sample, len(paths)))
        palette = extract((png.read(path) for path in sample), 32)
        (folder / "palette.json").write_text(json.dumps([f"#{bytes(color).hex()}" for color in palette]))
        print(speed(folder, paths, sample, options.rounds))
        print()
        print(palettes([path for path in paths if path.parent == folder / "real"]))
        print()
        print(dithered(palette, options.rounds))
        print()
        print(extraction())


def sprites(folder: Path, count: int) -> list[Path]:
    """The files of that many different sprites of 32x32 with something to see."""
    (folder / "real").mkdir()
    (folder / "varied").mkdir()
    found: list[Path] = []
    for path in sorted(SPRITES.rglob("*.png")):
        rgba = png.read(path)
        if rgba.shape[:2] == (32, 32) and (rgba[..., 3] >= 128).sum() >= 64 and len(found) < count:
            found.append(folder / "real" / f"{len(found)}.png")
            found[-1].write_bytes(path.read_bytes())
    if not found:
        sys.exit(f"no sprites of 32x32 in {SPRITES}: name a folder that has some in SPRITES")
    draw = np.random.default_rng(1)
    real = len(found)
    for number in range(count - real):
        rgba = png.read(found[number % real])
        rgba[..., :3] = rgba[..., draw.permutation(3)]
        png.write(folder / "varied" / f"{number}.png", rgba[:, :: draw.choice((1, -1))])
        found.append(folder / "varied" / f"{number}.png")
    return found


def finished(listed: Path, out: Path) -> None:
    """The worker: finish every picture of a list, and print what it cost as JSON."""
    palette = json.loads((listed.parent / "palette.json").read_text())
    ops = [{"op": "alpha"}, {"op": "quantize", "palette": "shared", "colors": palette}, {"op": "outline"}]
    params = Finish.Params.model_validate({"ops": ops})
    stage, context = Finish(), Context(memory=out)
    actions = [
        BoundAction(params, Finish.Inputs(image=Path(line)), Finish.Outputs(image=out / f"{number}.png"))
        for number, line in enumerate(listed.read_text().splitlines())
    ]
    stage.run(actions[0], context)
    wall, cpu = time.perf_counter(), time.process_time()
    for action in actions:
        stage.run(action, context)
    print(json.dumps({"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}))


def speed(folder: Path, paths: list[Path], sample: list[Path], rounds: int) -> str:
    """A table of sprites a second, ours and the recipe's, taken in turn; ratios are those of one round."""
    ways = {"finish: alpha, quantize, outline": (paths, True, True)}
    if PYTHON:
        ways["k-means for each, as it is"] = (sample[: len(sample) // 4], False, False)
        ways["k-means for each, two processes of one thread"] = (sample, False, True)
    costs: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
    for number in range(rounds):
        for way, (some, ours, apart) in ways.items():
            costs[way].append(cost(folder / f"out-{number}-{len(costs[way])}-{len(some)}", some, ours, apart))
            wall, cpu = costs[way][-1]
            print(f"{way}: {wall:,.0f} sprites/s, {cpu:,.0f} a CPU second", file=sys.stderr)
    own = next(iter(costs.values()))
    rows = []
    for way, found in costs.items():
        cells = [f"{way}; {len(ways[way][0]):,} sprites"]
        for kind in (0, 1):
            times = [ours[kind] / one[kind] for ours, one in zip(own, found, strict=True)]  # round by round
            cells += [spread([one[kind] for one in found], lambda rate: f"{rate:,.0f}")]
            cells += [spread(times, lambda time: ratio(time, 1)) if found is not own else ratio(1, 1)]
        rows.append(cells)
    if not PYTHON:
        rows.append(["k-means for each: absent, set KMEANS_PYTHON", "", "", "", ""])
    return table(["", "sprites/s on the wall clock", "finish to it", "sprites per CPU second", "finish to it"], rows)


def spread(values: list[float], shown: Callable[[float], str]) -> str:
    """The median, and in brackets the least and the most."""
    return f"{shown(statistics.median(values))} ({shown(min(values))} to {shown(max(values))})"


def cost(out: Path, paths: list[Path], ours: bool, apart: bool) -> tuple[float, float]:
    """Sprites per second on the wall clock of all processes together, and per second of CPU."""
    workers = []
    parts = PROCESSES if apart else 1
    for part in range(parts):
        share = paths[part::parts]
        target = out / str(part)
        target.mkdir(parents=True)
        if ours:
            listed = out.parent / f"{out.name}-{part}.txt"
            listed.write_text("".join(f"{path}\n" for path in share))
            command = [sys.executable, __file__, "--worker", str(listed), str(target)]
        else:
            command = [str(PYTHON), str(HERE / "quantize_recipe.py"), "speed", str(target), *map(str, share)]
        environment = {**os.environ, **ONE_THREAD} if apart else None
        workers.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment))
    costs = [json.loads(worker.communicate()[0]) for worker in workers]
    return len(paths) / max(one["wall"] for one in costs), len(paths) / sum(one["cpu"] for one in costs)


def palettes(paths: list[Path]) -> str:
    """A table of how far palettes of 16 for one sprite, and of 32 for a hundred, are off."""
    chosen = random.Random(2).sample(paths, min(100, len(paths)))
    many = [[path] for path in chosen if len(np.unique(opaque([path]), axis=0)) > 16][:12]
    rows = []
    for name, make in (("extract", extracted), ("k-means", clustered), ("Pillow median cut", median_cut)):
        if name == "k-means" and not PYTHON:
            continue
        single = [off(opaque(group), make(group, 16)) for group in many]
        shared = off(opaque(chosen), make(chosen, 32))
        figures = [*(statistics.mean(figures) for figures in zip(*single, strict=True)), *shared]
        rows.append([name, *(f"{figure:.2f}" for figure in figures)])
    titles = [f"{len(many)} sprites, 16 colors each", f"{len(chosen)} sprites, 32 colors in all"]
    return table(["", *(text for title in titles for text in (f"{title}: RMSE, sRGB", "OKLab x100"))], rows)


def dithered(palette: Palette, rounds: int) -> str:
    """A table of milliseconds of CPU that a gradient takes, the palette's colors seen for the first time."""
    rows = []
    for number, dither in enumerate(DITHERS):
        figures = []
        for side in (32, 512):
            # Another order of the palette's colors each time: nothing is known of it.
            orders = [palette[turn:] + palette[:turn] for turn in range(rounds * number, rounds * number + rounds)]
            figures.append(statistics.median(timed(quantize, gradient(1, side), order, dither) for order in orders))
        rows.append([dither, *(f"{1000 * figure:.1f}" for figure in figures)])
    return table(["dither", "32x32, ms of CPU", "512x512"], rows)


def extraction() -> str:
    """A table of seconds of CPU that a palette of a hundred large pictures takes."""
    rows = []
    for name, make in (("gradients", gradient), ("noise", noise)):
        pictures = [make(seed, 512) for seed in range(100)]
        rows.append(
            [f"100 pictures of 512x512, {name}", *(f"{timed(extract, pictures, n):.1f}" for n in (16, 64, 256))]
        )
    return table(["", "16 colors, s of CPU", "64 colors", "256 colors"], rows)


def timed(what: Callable[..., object], *arguments: object) -> float:
    started = time.process_time()
    what(*arguments)
    return time.process_time() - started


def gradient(seed: int, side: int) -> np.ndarray:
    """An opaque picture of up to 50,000 colors."""
    y, x = np.mgrid[:side, :side] * (512 // side)
    slopes = np.random.default_rng(seed).random((3, 2)) / 2
    channels = [x * across + y * down for across, down in slopes]
    return np.stack([*channels, np.full_like(x, 255)], axis=2).astype(np.uint8)


def noise(seed: int, side: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (side, side, 4), np.uint8)


def opaque(paths: Sequence[Path]) -> np.ndarray:
    """The visible colors of all pictures, (N, 3)."""
    pictures = [png.read(path) for path in paths]
    return np.concatenate([rgba[rgba[..., 3] >= 128][:, :3] for rgba in pictures])


def extracted(paths: Sequence[Path], colors: int) -> Palette:
    pixels = (opaque([path]) for path in paths)
    return extract((np.column_stack([rgb, np.full(len(rgb), 255, np.uint8)])[None] for rgb in pixels), colors)


def clustered(paths: Sequence[Path], colors: int) -> Palette:
    command = [str(PYTHON), str(HERE / "quantize_recipe.py"), "palettes", str(colors), *map(str, paths)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return tuple(tuple(color) for color in json.loads(said))


def median_cut(paths: Sequence[Path], colors: int) -> Palette:
    image = Image.fromarray(opaque(paths)[None]).quantize(colors, Image.Quantize.MEDIANCUT)
    found = image.getpalette()[: 3 * colors]
    return tuple(tuple(found[at : at + 3]) for at in range(0, len(found), 3))


def off(rgb: np.ndarray, palette: Palette) -> tuple[float, float]:
    """The root mean square distance to the nearest color: in sRGB, of 0..255 a channel, and in OKLab times 100."""
    found = np.array(palette, np.uint8)[nearest(steps(oklab(rgb)), palette)]
    return (
        float(np.sqrt(((rgb.astype(float) - found) ** 2).mean())),
        100 * float(np.sqrt(((oklab(rgb) - oklab(found)) ** 2).sum(axis=1).mean())),
    )


if __name__ == "__main__":
    main()
