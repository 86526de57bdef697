"""What grows how: spritebuild with 1,000, 10,000 and 100,000 sprites, with ninja beside it where it has the same to do.

For N sprites the graph has 2N+1 actions: `draw` and `polish` for each (`tools.py`), and one sheet of the first ten. The
sheet holds the sprite that is changed, so the one-change build runs three actions. A full build comes first; it costs
minutes of CPU at 100,000. ninja's outputs and log are written as its build would leave them.

"Standing by" are builds of which a process that has the engine loaded runs its part: its CPU time counts in full, in
ticks of 10 ms, while what it took to start does not.
"""

from __future__ import annotations

import argparse
import itertools
import re
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from measure import Case, Cost, alternately, run, shown, table
from tools import ASSETS, DRAWN, SHEET, Ninja, Spritebuild, standing_by, write_spritefile

SHEET_OF = 10
MASK = (1 << 64) - 1


@dataclass
class Measured:
    """What one size costs."""

    sprites: int
    costs: dict[str, Cost]
    files: dict[str, tuple[int, int]]  # count and bytes by what they are


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="1000,10000,100000", help="numbers of sprites (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="counted runs of each (default: %(default)s)")
    parser.add_argument("--slow-rounds", type=int, default=1, help="those of what reads all (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="leave out what reads all")
    parser.add_argument("--keep", type=Path, help="a folder where the projects are kept, and found again")
    said = parser.parse_args()
    found = []
    with tempfile.TemporaryDirectory(prefix="spritebuild-") as temporary:
        for size in map(int, said.sizes.split(",")):
            folder = (said.keep or Path(temporary)).resolve() / str(size)
            found.append(_measure(folder, size, said.rounds, 0 if said.quick else said.slow_rounds))
            _print(found)


def _measure(folder: Path, sprites: int, rounds: int, slow_rounds: int) -> Measured:
    ours, ninja = _Ours(folder / "spritebuild", sprites), _Ninja(folder / "ninja", sprites)
    costs: dict[str, Cost] = {}
    if not (ours.folder / "lockfiles").exists():
        write_spritefile(ours.folder, sprites, sheet=False)
        with (ours.folder / "spritefile.toml").open("a") as file:
            file.write(f'\n[sheets.few]\nsprites = ["{_first(sprites)}"]\n')
        costs["full build"] = run(ours.case("build", "-j1", "--quiet"))
    if ninja.found() and not ninja.folder.exists():
        ninja.start()
        ninja.complete()
    build = ["build", "--quiet"]
    quick = {
        "idle": ours.case("build", says="nothing to do"),
        "one sprite changed": ours.edited(),
        "one asset deleted": Case(ours.case(*build).command, ours.folder, before=ours.delete),
        "spritefile touched": Case(ours.case(*build).command, ours.folder, before=ours.touch),
    }
    if ninja.found():
        quick |= {"ninja, idle": ninja.idle(), "ninja, one sprite changed": ninja.change()}
    slow = {
        "plan": ours.case("plan", says="nothing to do"),
        "build that looks at all": Case(ours.case(*build).command, ours.folder, before=ours.forget),
        "check": ours.case("check"),
        "lock": ours.case("lock"),
    }
    with standing_by(quick["spritefile touched"]) as served:
        quick |= {f"{name}, standing by": served(quick[name]) for name in ("idle", "one sprite changed")}
        costs |= alternately(quick, rounds)
    if slow_rounds:
        costs |= alternately(slow, slow_rounds, warm_up=False)
    return Measured(sprites, costs, dict(ours.files()))


def _first(sprites: int) -> str:
    """A glob of the first ten sprites' names."""
    return "s0000?" if sprites >= SHEET_OF else "*"


class _Ours(Spritebuild):
    def edited(self) -> Case:
        """A build after the first sprite got another seed, in place: the rest of the file stays as it is."""
        changes = itertools.count(self.sprites + 1 + len(list(self.folder.glob(".spritebuild/blobs/*/*"))))

        def edit() -> None:
            path = self.folder / "spritefile.toml"
            text = path.read_text()
            path.write_text(re.sub(r"(seed = )\d+", rf"\g<1>{next(changes)}", text, count=1))

        return Case(self.case("build").command, self.folder, "ran 1 draw, 1 polish, 1 sheet", before=edit)

    def delete(self) -> None:
        (self.folder / ASSETS / "s00003.png").unlink(missing_ok=True)

    def touch(self) -> None:
        (self.folder / "spritefile.toml").touch()

    def forget(self) -> None:
        (self.folder / ".spritebuild" / "idle").unlink(missing_ok=True)

    def files(self) -> Iterator[tuple[str, tuple[int, int]]]:
        """How many files there are, and how many bytes they hold."""
        state = self.folder / ".spritebuild"
        kinds: dict[str, Callable[[], Iterator[Path]]] = {
            "spritefile": lambda: iter([self.folder / "spritefile.toml"]),
            "lock": lambda: (self.folder / "lockfiles").glob("*.lock"),
            "assets": lambda: (self.folder / ASSETS).rglob("*.*"),
            "blobs": lambda: state.glob("blobs/*/*"),
            "traces.db": lambda: state.glob("traces.db*"),
            "idle": lambda: state.glob("idle"),
            "front": lambda: state.glob("front/*"),
        }
        for kind, find in kinds.items():
            sizes = [path.stat().st_size for path in find()]
            yield kind, (len(sizes), sum(sizes))


class _Ninja(Ninja):
    """ninja, whose outputs and log are written as its build would leave them: 200,000 processes are not started."""

    def declare(self, changes: int = 0) -> None:
        super().declare(changes)
        path = self.folder / "build.ninja"
        *lines, _ = path.read_text().splitlines()
        lines.append(f"build {SHEET}: make {' '.join(self._assets()[:SHEET_OF])}\n")
        path.write_text("\n".join(lines))

    def complete(self) -> None:
        self._write_outputs()
        with (self.folder / ".ninja_log").open("w") as log:
            log.write("# ninja log v5\n")
            for path, command in self._commands():
                written = (self.folder / path).stat().st_mtime_ns
                log.write(f"0\t1\t{written}\t{path}\t{murmur(command.encode()):x}\n")
        run(self.idle())

    def _commands(self) -> Iterator[tuple[str, str]]:
        for name, seed in self._seeds():
            yield f"{DRAWN}/{name}.png", f": {seed} > {DRAWN}/{name}.png"
            yield f"{ASSETS}/{name}.png", f": > {ASSETS}/{name}.png"
        yield SHEET, f": > {SHEET}"


def murmur(data: bytes) -> int:
    """MurmurHash64A (Austin Appleby, public domain), by which ninja's log names commands."""
    multiplier, seed = 0xC6A4A7935BD1E995, 0xDECAFBADDECAFBAD
    value = seed ^ (len(data) * multiplier & MASK)
    whole = len(data) & ~7
    for start in range(0, whole, 8):
        word = int.from_bytes(data[start : start + 8], "little") * multiplier & MASK
        word = (word ^ word >> 47) * multiplier & MASK
        value = (value ^ word) * multiplier & MASK
    if rest := data[whole:]:
        value = (value ^ int.from_bytes(rest, "little")) * multiplier & MASK
    value = (value ^ value >> 47) * multiplier & MASK
    return value ^ value >> 47


def _print(found: list[Measured]) -> None:
    sizes = [f"{each.sprites:,}" for each in found]
    names = list(dict.fromkeys(name for each in found for name in each.costs))
    print("\n### CPU seconds (peak MB)\n")
    rows = []
    for name in names:
        costs = [each.costs.get(name) for each in found]
        rows.append([name, *(f"{shown(cost.cpu)} ({cost.memory:.0f})" if cost else "" for cost in costs)])
    print(table(["", *sizes], rows))
    print("\n### what holds\n")
    rows = []
    for each in found:
        ninja = each.costs.get("ninja, idle")
        for how in ("", ", standing by"):
            idle, change = each.costs[f"idle{how}"].cpu, each.costs[f"one sprite changed{how}"].cpu
            beside = f"{idle / ninja.cpu:.2f}x" if ninja else "absent"
            rows.append([f"{each.sprites:,}{how}", beside, shown(change - idle)])
    print(table(["sprites", "idle build beside ninja's", "one-change build beyond idle, CPU s"], rows))
    print("\n### files, and their MB\n")
    kinds = list(found[0].files)
    rows = [[kind, *(f"{each.files[kind][0]:,}, {each.files[kind][1] / 1e6:.1f}" for each in found)] for kind in kinds]
    print(table(["", *sizes], rows), flush=True)


if __name__ == "__main__":
    main()
