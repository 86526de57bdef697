"""Shows that an image has one digest however it was built: the promise of deterministic batching, tried in full.

24 sprites for every combination of batch size, dtype and scheduler, without finishing. Built by the command line in
the whole with -j1 and with -j2, in reverse order, and killed at ten random moments and resumed; and each image alone,
in one process that makes them one after another. Every way is compared with the first, byte for byte.

    python benchmarks/sameness.py [--sprites 24] [--steps 4] [--quick]
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import spritebuild_stages
from spritebuild.stage import BoundAction, Context, Stages

BATCHES, DTYPES, SCHEDULERS = (1, 2, 4, 8), ("fp32", "bf16"), ("ddim", "euler_a", "dpmpp_2m_sde")
KINDS = ["red potion", "long sword", "green tree", "stone wall", "wizard in a blue robe", "brown shield"]
MODEL = Path(spritebuild_stages.__path__[0]) / "models" / "sprite-mini"
KILLS = 10


def main() -> int:
    """Build in every way; returns 1 if any image has two digests."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sprites", type=int, default=24)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--quick", action="store_true", help="one combination instead of 24")
    options = parser.parse_args()
    combinations = list(itertools.product(BATCHES, DTYPES, SCHEDULERS))
    if options.quick:
        combinations = [(4, "fp32", "ddim")]
    images = [(*combination, number) for combination in combinations for number in range(options.sprites)]
    with tempfile.TemporaryDirectory() as folder:
        first = built(Path(folder) / "j1", images, options.steps, "-j1")
        ways = {
            "whole, -j2": built(Path(folder) / "j2", images, options.steps, "-j2"),
            "whole, in reverse order": built(Path(folder) / "reverse", images[::-1], options.steps, "-j1"),
            f"killed {KILLS} times": killed(Path(folder) / "killed", images, options.steps),
            "each alone": alone(Path(folder) / "alone", images, options.steps),
        }
    print(f"| against whole, -j1 ({len(first)} images, {len(combinations)} combinations) | same | other |")
    print("|---|---|---|")
    for way, digests in ways.items():
        other = [name for name, digest in first.items() if digests.get(name) != digest]
        print(f"| {way} | {len(first) - len(other)} | {len(other)} |")
    return int(any(digests != first for digests in ways.values()))


def name_of(batch: int, dtype: str, scheduler: str, number: int) -> str:
    """A sprite's name."""
    return f"s{number}-b{batch}-{dtype}-{scheduler.replace('_', '-')}"


def project(folder: Path, images: list[tuple[int, str, str, int]], steps: int) -> Path:
    """A project of these images, in this order, without finishing: the assets are what the model made."""
    folder.mkdir()
    lines = ['[project]\nname = "sameness"\n']
    for batch, dtype in sorted({image[:2] for image in images}):
        lines.append(f'[models.b{batch}-{dtype}]\nbuiltin = "sprite-mini"\nbatch = {batch}\ndtype = "{dtype}"\n')
    for batch, dtype, scheduler, number in images:
        lines.append(
            f'[sprites.{name_of(batch, dtype, scheduler, number)}]\nmodel = "b{batch}-{dtype}"\n'
            f'scheduler = "{scheduler}"\nsteps = {steps}\nseed = {number}\nprompt = "{KINDS[number % len(KINDS)]}"\n'
        )
    path = folder / "spritefile.toml"
    path.write_text("".join(lines))
    return path


def command(path: Path, *arguments: str) -> list[str]:
    """The build of a project as a process."""
    return [sys.executable, "-m", "spritebuild", "build", "-q", "-f", str(path), *arguments]


def digests(path: Path) -> dict[str, str]:
    """The sha256 of every asset."""
    assets = path.parent / "assets"
    return {file.stem: hashlib.sha256(file.read_bytes()).hexdigest() for file in assets.glob("*.png")}


def built(folder: Path, images: list[tuple[int, str, str, int]], steps: int, jobs: str) -> dict[str, str]:
    """Build in the whole."""
    path = project(folder, images, steps)
    subprocess.run(command(path, jobs), check=True)
    return digests(path)


def killed(folder: Path, images: list[tuple[int, str, str, int]], steps: int) -> dict[str, str]:
    """Build, killed with SIGKILL at random moments and started again, until it ends."""
    path = project(folder, images, steps)
    moments = random.Random(0)
    for _ in range(KILLS):
        process = subprocess.Popen(command(path, "-j2"))
        try:
            process.wait(timeout=moments.uniform(3, 20))
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            time.sleep(0.2)
    subprocess.run(command(path, "-j2"), check=True)
    return digests(path)


def alone(folder: Path, images: list[tuple[int, str, str, int]], steps: int) -> dict[str, str]:
    """Make every image by itself."""
    folder.mkdir()
    stage = Stages()["generate"]
    context = Context(folder / "memory")
    found = {}
    for batch, dtype, scheduler, number in images:
        params = {"prompt": KINDS[number % len(KINDS)], "seed": number, "steps": steps, "scheduler": scheduler}
        params["mark"] = True  # as every sprite is declared that does not say otherwise
        image = folder / "image.png"
        action = BoundAction(
            stage.Params.model_validate({**params, "batch": batch, "dtype": dtype}),
            stage.Inputs.model_validate({"model": MODEL}),
            stage.Outputs.model_validate({"image": image}),
        )
        list(stage.run_batch([action], context))
        found[name_of(batch, dtype, scheduler, number)] = hashlib.sha256(image.read_bytes()).hexdigest()
    return found


if __name__ == "__main__":
    sys.exit(main())
