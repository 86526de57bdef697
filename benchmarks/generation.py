"""Measures sprites per second: ours, against one image a call, and against a batch script that was tuned by hand.

All make the same images of the same model: same prompts, steps, sampler and size, PNG files. `stage` is the stage
`generate` behind the worker protocol, as a build runs it; `build` is `spritebuild build` of that many sprites, from the
start of the process to its end. The batch script is first tuned: of every batch size, memory format, and division of
the cores into processes and threads, what is fastest is kept. Ours has the same dtype, and the declared batch that is
fastest. Rounds alternate. Steady rates count from each process's second call on; whole ones from its start.

    python benchmarks/generation.py                              # the built-in model on this CPU
    python benchmarks/generation.py --models sdxl,sd15,tiny-sd   # full size, random weights: where there is a GPU
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import queue
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from architectures import MINI, NATIVE, folder_of, weights_of
from generation_scripts import GUIDANCE, KINDS
from measure import table

from spritebuild.run import GROUP
from spritebuild.worker import Worker

HERE = Path(__file__).parent
BATCHES = (1, 2, 4, 8, 16, 32)
TUNING = 4  # sampling steps of a try


@dataclass(frozen=True)
class Work:
    """What all make: `count` images of a model."""

    model: Path
    count: int
    steps: int
    size: int
    dtype: str


@dataclass(frozen=True)
class Way:
    """How the work is divided: images a call, processes, threads of each."""

    batch: int
    processes: int
    threads: int
    channels_last: bool = False

    def __str__(self) -> str:
        last = ", channels-last" if self.channels_last else ""
        return f"batch {self.batch}, {self.processes} x {self.threads} threads{last}"


@dataclass(frozen=True)
class Rates:
    """Sprites per second once all is warm, per CPU second likewise, and per second from the start of the process."""

    steady: float
    cpu: float
    whole: float


def main() -> None:
    """Tune, measure, print a table a model and dtype."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", default="mini", help=f"of {', '.join(NATIVE)} (default: %(default)s)")
    parser.add_argument("--dtypes", default="fp32,bf16", help="default: %(default)s")
    parser.add_argument("--sizes", default="", help="sides in pixels; the models' own unless said")
    parser.add_argument("--sprites", type=int, default=64, help="default: %(default)s")
    parser.add_argument("--steps", type=int, default=20, help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=3, help="default: %(default)s")
    parser.add_argument("--batches", default=",".join(map(str, BATCHES)), help="tried (default: %(default)s)")
    parser.add_argument("--way", default="", help="batch,processes,threads[,cl] of the script: no tuning")
    parser.add_argument(
        "--loop-threads",
        type=int,
        default=0,
        help="of one image a call; as many as torch likes unless said",
    )
    parser.add_argument("--folder", type=Path, help="where models of random weights are kept")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="generation-") as temporary:
        for name in options.models.split(","):
            folder = folder_of(name, options.folder or Path(temporary))
            for size in map(int, (options.sizes or str(NATIVE[name])).split(",")):
                for dtype in options.dtypes.split(","):
                    work = Work(folder, options.sprites, options.steps, size, dtype)
                    _measure(name, work, options, Path(temporary))


def _measure(name: str, work: Work, options: argparse.Namespace, folder: Path) -> None:
    batches = [int(batch) for batch in options.batches.split(",")]
    tuned = _given(options.way) if options.way else _tuned(work, batches, folder)
    # As many processes as a build has workers, a thread each: threads that wait for each other lose more than they win.
    ours = Way(tuned.batch, 1 if _has_gpu() else os.cpu_count() or 1, 1)
    loop = Way(1, 1, options.loop_threads)
    found: dict[str, list[Rates]] = {}
    verdict = ""
    for number in range(options.rounds):
        there = folder / f"{name}-{work.dtype}-{work.size}-{number}"
        few = Work(work.model, max(4, work.count // 4), work.steps, work.size, work.dtype)
        found.setdefault("one image a call", []).append(_script("loop", few, loop, there / "loop"))
        found.setdefault(f"batch script: {tuned}", []).append(_script("batch", work, tuned, there / "batch"))
        rates, verdict = _stage(work, ours, there / "stage")
        found.setdefault(f"stage: {ours}", []).append(rates)
        found.setdefault("spritebuild build", []).append(_build(work, ours, there / "build"))
        for way, rounds in found.items():
            print(f"{way}: {rounds[-1]}", file=sys.stderr, flush=True)
    medians = {
        way: Rates(*(statistics.median(getattr(rates, key) for rates in rounds) for key in ("steady", "cpu", "whole")))
        for way, rounds in found.items()
    }
    single, script = list(medians.values())[:2]
    rows = []
    for way, rates in medians.items():
        steady = [f"{rates.steady:.2f}", f"{rates.steady / single.steady:.2f}x", f"{rates.steady / script.steady:.2f}"]
        if not rates.steady:
            steady = ["", "", ""]
        cpu = [f"{rates.cpu:.2f}", f"{rates.cpu / script.cpu:.2f}"] if rates.cpu else ["", ""]
        whole = [f"{rates.whole:.2f}", f"{rates.whole / script.whole:.2f}"]
        rows.append([way, *steady, *cpu, *whole])
    title = f"{name}, {weights_of(work.model)} weights of the denoiser, {work.dtype}, {work.size}x{work.size}"
    print(f"\n### {title}, {work.steps} steps, {work.count} sprites\n")
    headings = [
        "",
        "sprites/s",
        "to one a call",
        "to the script",
        "/CPU s",
        "to the script",
        "/s, whole",
        "to the script",
    ]
    print(table(headings, rows))
    print(f"\nSlots of a batch: {verdict}.\n", flush=True)


def _has_gpu() -> bool:
    import torch

    return bool(torch.cuda.is_available())


def _given(text: str) -> Way:
    batch, processes, threads, *rest = text.split(",")
    return Way(int(batch), int(processes), int(threads), bool(rest))


def _tuned(work: Work, batches: Sequence[int], folder: Path) -> Way:
    """The fastest way of the batch script: every batch by every division of the cores, then the memory format."""
    cores = os.cpu_count() or 1
    divisions = [(1, 0)] if _has_gpu() else [(cores, 1), (1, cores)]
    tried: dict[Way, float] = {}
    for batch, (processes, threads) in itertools.product(batches, divisions):
        short = Work(work.model, 3 * batch * processes, TUNING, work.size, work.dtype)
        for last in (False, True):
            way = Way(batch, processes, threads, last)
            try:
                tried[way] = _script("batch", short, way, folder / "tuning").steady
            except subprocess.CalledProcessError:
                continue  # no memory for such a batch
            print(f"tuning: {way}: {tried[way]:.2f} sprites/s of {TUNING} steps", file=sys.stderr, flush=True)
    return max(tried, key=tried.__getitem__)


def _script(name: str, work: Work, way: Way, out: Path) -> Rates:
    """Run a script in the processes of a way, each with its part of the images."""
    share = -(-work.count // way.processes)
    started = time.monotonic()
    processes = [
        subprocess.Popen(
            _command(name, work, way, out, range(first, min(first + share, work.count))),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        for first in range(0, work.count, share)
    ]
    said = [process.communicate()[0] for process in processes]
    whole = time.monotonic() - started
    for process in processes:
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, "generation_scripts.py")
    return _rates([json.loads(line) for line in said], work, whole)


def _command(name: str, work: Work, way: Way, out: Path, numbers: range) -> list[str]:
    told = {
        "--numbers": f"{numbers.start}:{numbers.stop}",
        "--steps": work.steps,
        "--size": work.size,
        "--dtype": work.dtype,
        "--batch": way.batch,
        "--threads": way.threads,
    }
    options = [str(part) for option in told.items() for part in option]
    last = ["--channels-last"] * way.channels_last
    return [sys.executable, str(HERE / "generation_scripts.py"), name, str(work.model), str(out), *options, *last]


def _rates(said: Sequence[Mapping[str, float]], work: Work, whole: float) -> Rates:
    warm = [one for one in said if one["images"]]
    steady = sum(one["images"] / one["seconds"] for one in warm)
    cpu = sum(one["images"] for one in warm) / max(sum(one["cpu"] for one in warm), 1e-9)
    return Rates(steady, cpu, work.count / whole)


def _stage(work: Work, way: Way, out: Path) -> tuple[Rates, str]:
    """Make the images by workers, as a build does: groups of whole batches, the next when one is done.

    Says also whether batches may be trusted here.
    """
    out.mkdir(parents=True)
    answers: queue.SimpleQueue[tuple[Worker, Mapping[str, Any]]] = queue.SimpleQueue()
    size = -(-GROUP // way.batch) * way.batch
    groups = [range(first, min(first + size, work.count)) for first in range(0, work.count, size)]
    started = time.monotonic()
    count = min(way.processes, len(groups))
    workers = [Worker(out / f"{n}.log", lambda worker, m: answers.put((worker, m))) for n in range(count)]
    marks: dict[Worker, list[tuple[float, float]]] = {worker: [] for worker in workers}
    waiting = iter(groups)
    busy = sum(_send(worker, next(waiting, None), work, way, out) for worker in workers)
    notes: Mapping[str, Any] = {}
    while busy:
        worker, message = answers.get()
        if "done" in message:
            marks[worker].append((time.monotonic(), _cpu_of(worker)))
            notes = message["notes"]
        elif "end" in message:
            busy -= 1 - _send(worker, next(waiting, None), work, way, out)
        elif "failed" in message or "died" in message:
            raise SystemExit(str(message))
    whole = time.monotonic() - started
    for worker in workers:
        worker.stop()
    said = []
    for times in marks.values():
        # the first batch's images are told of one after the other, once all of them are there
        warm, rest = times[min(way.batch, len(times)) - 1], len(times) - way.batch
        said.append({"images": max(rest, 0), "seconds": times[-1][0] - warm[0], "cpu": times[-1][1] - warm[1]})
    agree = notes["batch"] == way.batch
    return _rates(said, work, whole), "same bytes in every one" if agree else "; ".join(notes["warnings"])


def _send(worker: Worker, numbers: range | None, work: Work, way: Way, out: Path) -> bool:
    if numbers is None:
        return False
    params = {"steps": work.steps, "guidance": GUIDANCE, "size": [work.size] * 2, "dtype": work.dtype}
    actions = [
        {
            "params": {**params, "prompt": KINDS[n % len(KINDS)], "seed": n, "batch": way.batch},
            "inputs": {"model": str(work.model)},
            "outputs": {"image": str(out / f"{n}.png")},
        }
        for n in numbers
    ]
    memory = str(out.parent.parent / "memory")  # a build's probe is remembered: its cost is in the first round's whole
    worker.send({"stage": "generate", "own": None, "memory": memory, "threads": way.threads, "actions": actions})
    return True


def _cpu_of(worker: Worker) -> float:
    """CPU seconds of a worker so far, where the system tells (Linux)."""
    try:
        fields = Path(f"/proc/{worker._process.pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _build(work: Work, way: Way, out: Path) -> Rates:
    """Build a project of those sprites, without finishing, and look at the clock."""
    out.mkdir(parents=True)
    model = 'builtin = "sprite-mini"' if work.model == MINI else f'folder = "{work.model}"\nlicence = "CC0-1.0"'
    (out / "spritefile.toml").write_text(
        f'[project]\nname = "speed"\n[models.m]\n{model}\nbatch = {way.batch}\ndtype = "{work.dtype}"\n'
        + "".join(_sprites(work))
    )
    if out.parent.name[-1] != "0":  # as in a project that was built before, the models and the probe's verdict are here
        first = out.parent.with_name(out.parent.name[:-1] + "0") / "build" / ".spritebuild"
        for kept in ("probes", "models"):
            if (first / kept).exists():
                (out / ".spritebuild").mkdir(exist_ok=True)
                (out / ".spritebuild" / kept).symlink_to(first / kept)
    started = time.monotonic()
    subprocess.run([sys.executable, "-m", "spritebuild", "build", "-q", f"-j{way.processes}"], cwd=out, check=True)
    return Rates(0, 0, work.count / (time.monotonic() - started))


def _sprites(work: Work) -> Iterator[str]:
    for n in range(work.count):
        yield (
            f'[sprites.s{n}]\nmodel = "m"\nprompt = "{KINDS[n % len(KINDS)]}"\nseed = {n}\nsteps = {work.steps}\n'
            f"guidance = {GUIDANCE}\nsize = [{work.size}, {work.size}]\n"
        )


if __name__ == "__main__":
    main()
