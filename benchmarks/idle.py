"""What it costs to find that there is nothing to do: spritebuild beside its peers, for growing numbers of sprites.

For N sprites the graph has 2N+1 actions (`tools.py`). Measured are the build that has nothing to do, the question what
a build would do, and, if asked for, the build after one sprite has changed.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
from pathlib import Path

from measure import Case, Cost, alternately, floor, ratio, shown, table
from tools import TOOLS, Tool

QUESTIONS = {"idle": "nothing to do", "plan": "what would be done", "change": "one sprite changed"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="100,1000,10000", help="numbers of sprites (default: %(default)s)")
    parser.add_argument("--peers", default="ninja,make,doit,snakemake,dvc", help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=5, help="counted runs of each (default: %(default)s)")
    parser.add_argument("--questions", default="idle,plan", help=f"of {', '.join(QUESTIONS)} (default: %(default)s)")
    parser.add_argument("--slow-once", action="store_true", help="run snakemake and dvc only once, not warmed up")
    said = parser.parse_args()
    sizes = [int(size) for size in said.sizes.split(",")]
    names = ["spritebuild", *filter(None, said.peers.split(","))]
    present = [name for name in names if TOOLS[name].found()]
    questions = said.questions.split(",")

    costs: dict[tuple[str, int, str], Cost] = {}
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="spritebuild-") as folder:
            tools = [TOOLS[name](Path(folder).resolve() / name, size) for name in present]
            for tool in tools:
                tool.start()
                tool.complete()
            for question in questions:
                for name, cost in _measured(tools, question, said.rounds, said.slow_once).items():
                    costs[name, size, question] = cost
                _print(f"{QUESTIONS[question]}, {size:,} sprites", names, size, question, costs)
    _print_growth(present, questions, sizes, costs)
    print(f"\nMemory below {floor():.0f} MB cannot be told from the measuring process's own.")


def _measured(tools: list[Tool], question: str, rounds: int, slow_once: bool) -> dict[str, Cost]:
    cases: dict[str, Case] = {tool.name: getattr(tool, question)() for tool in tools}
    slow = {name: cases.pop(name) for name in ("snakemake", "dvc") if slow_once and name in cases}
    return alternately(cases, rounds) | alternately(slow, 1, warm_up=False)


def _print(title: str, names: list[str], size: int, question: str, costs: dict[tuple[str, int, str], Cost]) -> None:
    print(f"\n### {title}\n")
    own = costs["spritebuild", size, question].cpu
    rows = []
    for name in names:
        cost = costs.get((name, size, question))
        row = [shown(cost.cpu), ratio(cost.cpu, own), f"{cost.memory:.0f}"] if cost else ["absent", "", ""]
        rows.append([name, *row])
    print(table(["", "CPU s", "to spritebuild", "peak MB"], rows), flush=True)


def _print_growth(
    names: list[str], questions: list[str], sizes: list[int], costs: dict[tuple[str, int, str], Cost]
) -> None:
    """What one sprite more costs between neighboring sizes: equal figures mean linear growth."""
    if len(sizes) < 2:
        return
    print("\n### growth: microseconds of CPU, and KB of memory, for each further sprite\n")
    steps = list(itertools.pairwise(sizes))
    rows = []
    for question in questions:
        for name in names:
            pairs = [(costs[name, small, question], costs[name, large, question]) for small, large in steps]
            cells = [
                f"{(b.cpu - a.cpu) / (large - small) * 1e6:.1f}, {(b.memory - a.memory) / (large - small) * 1024:.1f}"
                for (a, b), (small, large) in zip(pairs, steps, strict=True)
            ]
            rows.append([f"{name}, {QUESTIONS[question]}", *cells])
    print(table(["", *(f"{small:,} to {large:,}" for small, large in steps)], rows), flush=True)


if __name__ == "__main__":
    main()
