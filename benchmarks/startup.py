"""What it costs to start: the smallest commands of spritebuild beside Python, its import of click, and its peers."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from measure import Case, alternately, floor, ratio, table
from tools import TOOLS, Spritebuild


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="counted runs of each (default: %(default)s)")
    said = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="spritebuild-") as folder:
        project = Spritebuild(Path(folder).resolve(), 5)
        project.start()
        project.complete()
        cases = {
            "python -c pass": Case([sys.executable, "-c", "pass"], project.folder),
            "python -c 'import click'": Case([sys.executable, "-c", "import click"], project.folder),
            "spritebuild --help": project.case("--help", says="build"),
            "spritebuild build, 5 sprites, nothing to do": project.idle(),
            "spritebuild plan, 5 sprites, nothing to do": project.plan(),
        }
        helps = {"ninja": "--version", "doit": "help", "snakemake": "--help", "dvc": "--help"}
        for name, argument in helps.items():
            if program := TOOLS[name].found():
                cases[f"{name} {argument}"] = Case([program, argument], project.folder)
        costs = alternately(cases, said.rounds)
    bare = costs["python -c pass"].cpu
    rows = [[name, f"{c.cpu * 1e3:.0f}", ratio(c.cpu, bare), f"{c.memory:.0f}"] for name, c in costs.items()]
    print("\n### start\n")
    print(table(["", "CPU ms", "to python", "peak MB"], rows))
    print(f"\nMemory below {floor():.0f} MB cannot be told from the measuring process's own.")


if __name__ == "__main__":
    main()
