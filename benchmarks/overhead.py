"""What a full build costs beside the work itself: CPU time an action, for stages that do next to nothing.

spritebuild hashes every output, syncs it to the disk, stores it, records its trace, and installs and locks the assets;
doit runs Python functions in its own process and records them; ninja starts a shell for every action. Each writes one
file an action, from the same number of actions (the peers always have two a sprite). The same stages in a bare loop say
how much of it is not the engine's. Every run starts from nothing, and nothing is deleted before all have run: ext4
searches long for a free inode where many were freed moments ago.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from measure import Case, alternately, aside, ratio, shown, table
from tools import TOOLS, Spritebuild, Tool, write_spritefile

LOOP = "the stages in a loop"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sprites", type=int, default=10_000, help="default: %(default)s")
    parser.add_argument("--peers", default="doit,ninja", help="default: %(default)s")
    parser.add_argument("--actions", default="1,2", help="actions a sprite (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each (default: %(default)s)")
    said = parser.parse_args()
    peers = [TOOLS[name] for name in said.peers.split(",") if name]
    with tempfile.TemporaryDirectory(prefix="spritebuild-") as folder:
        for stages in map(int, said.actions.split(",")):
            _measure(said.sprites, stages, peers, said.rounds, Path(folder).resolve() / str(stages))


def _measure(sprites: int, stages: int, peers: list[type[Tool]], rounds: int, root: Path) -> None:
    actions = sprites * stages
    cases = {f"spritebuild -j{jobs}": _own(root / f"j{jobs}", sprites, stages, jobs) for jobs in (1, 2)}
    cases[LOOP] = _loop(root / "loop", sprites, stages)
    cases |= {peer.name: _peer(peer(root / peer.name, actions // 2)) for peer in peers if peer.found()}
    costs = alternately(cases, rounds, warm_up=False)
    print(f"\n### full build, {sprites:,} sprites, {stages} action{'s' * (stages > 1)} each\n")
    own, loop = costs["spritebuild -j1"].cpu, costs[LOOP].cpu
    rows = []
    for name in [*(f"spritebuild -j{jobs}" for jobs in (1, 2)), LOOP, *(peer.name for peer in peers)]:
        if cost := costs.get(name):
            added = f"{(cost.cpu - loop) / actions * 1e3:.2f}" if name.startswith("spritebuild") else ""
            each = [f"{(cost.cpu - cost.system) / actions * 1e3:.2f}", f"{cost.system / actions * 1e3:.2f}"]
            total = f"{cost.cpu / actions * 1e3:.2f}"
            rows.append([name, added, total, *each, ratio(cost.cpu, own), shown(cost.wall), f"{cost.memory:.0f}"])
        else:
            rows.append([name, "", "absent", "", "", "", "", ""])
    headings = [
        "",
        "the engine adds, CPU ms an action",
        "in all",
        "user",
        "system",
        "to spritebuild -j1",
        "wall s",
        "peak MB",
    ]
    print(table(headings, rows), flush=True)


def _own(folder: Path, sprites: int, stages: int, jobs: int) -> Case:
    def anew() -> None:
        aside(folder, folder.parent / "aside")
        write_spritefile(folder, sprites, polish=stages == 2, sheet=False)

    command = [Spritebuild.found() or "spritebuild", "build", f"-j{jobs}"]
    return Case(command, folder, f"installed {sprites} assets", before=anew)


def _loop(folder: Path, sprites: int, stages: int) -> Case:
    def anew() -> None:
        aside(folder, folder.parent / "aside")
        folder.mkdir(parents=True)

    script = Path(__file__).with_name("alone.py")
    return Case([sys.executable, str(script), str(folder), str(sprites), str(stages)], folder, before=anew)


def _peer(tool: Tool) -> Case:
    def anew() -> None:
        aside(tool.folder, tool.folder.parent / "aside")
        tool.start()

    return Case([tool.program], tool.folder, before=anew)


if __name__ == "__main__":
    main()
