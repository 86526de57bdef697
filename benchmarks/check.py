"""Measures `spritebuild check` on many 32x32 sprites: unchanged, seen for the first time, and all of them changed.

    python benchmarks/check.py [--sprites 10000] [--rounds 3]

Every sprite is drawn by a stage of the project, built and approved; then each is drawn otherwise: with one pixel, with
ten, moved, flipped, in other colors, barely, and so on. Starting the interpreter is part of every figure.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from measure import table

STAGE = '''
"""A sprite of 32x32, and what may become of it."""

from pathlib import Path

from spritebuild.stage import Outputs, Params, Stage


class BlobParams(Params):
    seed: int = 0
    change: int = 0


class BlobOutputs(Outputs):
    image: Path = Path("image.png")


class Blob(Stage):
    version = 1
    Params = BlobParams
    Outputs = BlobOutputs

    def run(self, action, context):
        import numpy as np

        from spritebuild_stages.images import png

        draw = np.random.default_rng(action.params.seed)
        palette = draw.integers(16, 240, (12, 4), np.uint8)
        palette[:, 3] = 255
        cells = np.kron(draw.integers(0, 12, (8, 8)), np.ones((4, 4), int))
        y, x = np.mgrid[:32, :32] - 15.5
        inside = x * x / 150 + y * y / 200 < 0.6 + 0.6 * draw.random() + 0.2 * np.sin(np.arctan2(y, x) * 3)
        rgba = np.where(inside[..., None], palette[cells], 0).astype(np.uint8)
        kind = action.params.change and 1 + action.params.seed % 8
        if kind in (1, 2, 3):
            for at, to in draw.integers(8, 24, ((1, 3, 10)[kind - 1], 2)):
                rgba[at, to] = (255, 0, 255, 255)
        elif kind == 4:
            rgba = np.roll(rgba, 1, axis=1)
        elif kind == 5:
            rgba = rgba[:, ::-1].copy()
        elif kind == 6:
            rgba[..., :3] = rgba[..., [1, 2, 0]]
        elif kind == 7:
            rgba[..., 0] += ((rgba[..., 3] > 0) & (rgba[..., 0] < 255)).astype(np.uint8)
        elif kind == 8:
            rgba = np.rot90(rgba).copy()
        png.write(action.outputs.image, rgba)
'''


def main() -> None:
    """Build, measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sprites", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    said = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        write(root, said.sprites, changed=False)
        run(root, "build", "-q")
        run(root, "approve", "--all")
        run(root, "build", "-q")

        def anew() -> None:
            (root / ".spritebuild/checked.json").unlink(missing_ok=True)

        rows.append(row("unchanged, compared", root, said.rounds, anew))
        rows.append(row("unchanged since the last check", root, said.rounds, lambda: None))
        write(root, said.sprites, changed=True)
        run(root, "build", "-q")
        rows.append(row("every sprite changed", root, said.rounds, anew))
        checked = json.loads(run(root, "check", "--json")[3])
        size = (root / "lockfiles/sprites.lock").stat().st_size
        loading = statistics.median(loads(root) for _ in range(said.rounds))
    titles = [f"check of {said.sprites:,} sprites", "wall s", "CPU s", "looking s", "peak MB"]
    print(table(titles, rows))
    print(f"\nThe changed ones: {checked['counts']}. The lock, {size / 1e6:.1f} MB, is read in {loading * 1e3:.0f} ms.")


def write(root: Path, count: int, *, changed: bool) -> None:
    """The project, in one of its two states."""
    (root / "stages").mkdir(exist_ok=True)
    (root / "stages/blob.py").write_text(STAGE)
    seeds = json.dumps(list(range(count)))
    (root / "spritefile.toml").write_text(
        f"""[project]
name = "blobs"
stages = "stages"
[styles.base]
stage = "blob"
params = {{ change = {int(changed)} }}
[sprites.blob]
style = "base"
seeds = {seeds}
"""
    )


def row(title: str, root: Path, rounds: int, before: Callable[[], None]) -> list[str]:
    costs = []
    for _ in range(rounds):
        before()
        costs.append(run(root, "check")[:3])
    wall, cpu, memory = (statistics.median(each) for each in zip(*costs, strict=True))
    looking = "" if "since" in title else f"{statistics.median(looks(root) for _ in range(rounds)):.2f}"
    return [title, f"{wall:.2f}", f"{cpu:.2f}", looking, f"{memory:.0f}"]


def run(root: Path, *arguments: str) -> tuple[float, float, float, str]:
    """Seconds on the clock and of CPU, children included, MB of its greatest process, and what was said."""
    command = [sys.executable, "-m", "spritebuild", *arguments]
    started = time.perf_counter()
    read, write = os.pipe()
    child = os.posix_spawn(
        command[0],
        [*command, "-f", str(root / "spritefile.toml")],
        os.environ,
        file_actions=[(os.POSIX_SPAWN_DUP2, write, 1)],
    )
    os.close(write)
    with os.fdopen(read, encoding="utf-8") as pipe:
        said = pipe.read()
    _, _, usage = os.wait4(child, 0)
    return time.perf_counter() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, said


def looks(root: Path) -> float:
    """Seconds of the comparison itself."""
    from spritebuild.compare import compare
    from spritebuild.project import opened

    with opened(root / "spritefile.toml", checks=True) as project:
        started = time.perf_counter()
        compare(project)
        return time.perf_counter() - started


def loads(root: Path) -> float:
    """Seconds that the lock takes to be read."""
    from spritebuild import lock

    started = time.perf_counter()
    lock.read(root)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
