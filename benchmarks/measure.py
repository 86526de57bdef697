"""Measures commands: CPU time of the whole process tree, wall time and peak memory; knows no tool.

CPU time (user and system) is what is compared: unlike wall time it stands a machine that does other things as well.
What is compared is run alternately, round after round, and given as the median with its ratio to a reference.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Cost:
    """What a command used: seconds of CPU, of which system, seconds on the wall clock, and peak memory in MB."""

    cpu: float
    system: float
    wall: float
    memory: float


@dataclass(frozen=True)
class Case:
    """A command, and a text that its output must hold to prove that it did what is being measured."""

    command: Sequence[str]
    folder: Path
    says: str = ""
    before: Callable[[], None] | None = None  # run before every round, not measured
    environment: Mapping[str, str] = field(default_factory=dict)  # beside this process's own
    helper: Callable[[], float] | None = None  # seconds of CPU, so far, of a process that works for the command


class WrongAnswerError(Exception):
    """A command failed, or did something else than what was to be measured."""


def run(case: Case) -> Cost:
    """Run a case once. Memory is that of its largest process, and never below this process's own (see `floor`).

    Python may keep the bytecode of what it loads, whatever this environment says: what is installed has its own.
    """
    if case.before:
        case.before()
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment |= {"SPRITEBUILD_STANDBY": "0", **case.environment}  # unless it is asked for, nothing stands by
    helped = case.helper() if case.helper else 0.0
    with tempfile.TemporaryFile() as output:
        started = time.monotonic()
        process = subprocess.Popen(
            case.command,
            cwd=case.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        _, status, used = os.wait4(process.pid, 0)
        wall = time.monotonic() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        said = output.read().decode("utf-8", "replace")
    if process.returncode or case.says not in said:
        command = " ".join(case.command)
        raise WrongAnswerError(f"{command}: exit code {process.returncode}, no {case.says!r} in:\n{said[-2000:]}")
    helped = case.helper() - helped if case.helper else 0.0
    return Cost(used.ru_utime + used.ru_stime + helped, used.ru_stime, wall, _megabytes(used.ru_maxrss))


def alternately(cases: Mapping[str, Case], rounds: int, *, warm_up: bool = True) -> dict[str, Cost]:
    """Run all cases in turn, `rounds` times, after one round that is not counted; the median of each."""
    costs: dict[str, list[Cost]] = {name: [] for name in cases}
    for number in range(-warm_up, rounds):
        for name, case in cases.items():
            cost = run(case)
            print(f"{name}: {shown(cost.cpu)} s of CPU, {shown(cost.wall)} s in all", file=sys.stderr)
            if number >= 0:
                costs[name].append(cost)
    return {name: median(found) for name, found in costs.items()}


def median(costs: Sequence[Cost]) -> Cost:
    """The median of each figure by itself."""
    return Cost(*(statistics.median(getattr(cost, name) for cost in costs) for name in Cost.__dataclass_fields__))


def aside(path: Path, folder: Path) -> None:
    """Put a folder out of the way; not deleted: ext4 searches long for a free inode where many were just freed."""
    folder.mkdir(parents=True, exist_ok=True)
    if path.exists():
        path.rename(folder / str(len(list(folder.iterdir()))))


def floor() -> float:
    """MB below which `Cost.memory` says nothing: a child's peak counts from its fork, which shares our pages."""
    return _megabytes(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def _megabytes(maxrss: int) -> float:
    return maxrss / (1 << 20) if sys.platform == "darwin" else maxrss / 1024


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def shown(seconds: float) -> str:
    """Seconds with three digits that count."""
    return f"{seconds:.3f}" if seconds < 10 else f"{seconds:.1f}"


def ratio(cost: float, reference: float) -> str:
    """How many times the reference, such as `4.2x`."""
    times = cost / reference
    return f"{times:.2f}x" if times < 10 else f"{times:.0f}x"
