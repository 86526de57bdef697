"""Measures a shared store beside `dvc push` and `dvc pull`: the same bytes, the same server, in turn.

    python benchmarks/shared_store.py [--servers local,ssh,webdav,s3] [--rounds 3] [--small 1000] [--big 6] [--no-push]

There are two projects: one of small sprites, one of a few of 32 MB each. DVC tracks a folder of the very files that
spritebuild installs. `push` begins with an empty folder of the remote; spritebuild pushes the assets, what they are
made of, and traces, DVC the assets. `fetch` begins with an empty cache or store and ends when all of it is there,
verified: `spritebuild pull` beside `dvc fetch`. `again` is the same once more, when nothing is missing: what is left of
a command without what it moves. `build` ends when all assets lie in the project, too: `spritebuild build` in a clone
that has the lock alone, beside `dvc pull`. `pull` is `spritebuild pull` beside `dvc pull`. Every command is a process
of its own, and all of it counts. Both wait for a server, so it is the time on the wall clock that counts; CPU time
stands beside it, since that can be compared on a busy machine. A ratio is the median of those of each round.

The servers are those of tests/shared_servers.py, on this machine. They need the `dev` extra; ssh needs sshd.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from measure import Case, Cost, aside, median, ratio, run, shown, table

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from projects import ISLAND, Project
from shared_servers import SERVERS, Server

from spritebuild.shared import signed, supply

DVC = (sys.executable, "-m", "dvc")
OURS = (sys.executable, "-m", "spritebuild")
SECRET, PUBLIC = signed.new_key()
BULK = '''
"""A small picture in a file of 32 MB: what a large sheet costs to move, and nothing to make."""

from pathlib import Path

from spritebuild.stage import Outputs, Params, Stage


class BulkParams(Params):
    prompt: str = ""
    seed: int = 0
    steps: int = 20
    size: tuple[int, int] = (8, 8)


class BulkOutputs(Outputs):
    image: Path = Path("image.png")


class Bulk(Stage):
    version = 1
    Params = BulkParams
    Outputs = BulkOutputs

    def run(self, action, context):
        import random
        import struct
        import zlib

        import numpy as np

        from spritebuild_stages.images import png

        png.write(action.outputs.image, np.full((8, 8, 4), action.params.seed % 256, np.uint8))
        data = action.outputs.image.read_bytes()
        chunk = b"buLk" + random.Random(action.params.seed).randbytes(32 << 20)
        chunk = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
        action.outputs.image.write_bytes(data[:-12] + chunk + data[-12:])
'''


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--servers", default=",".join(SERVERS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--small", type=int, default=1000)
    parser.add_argument("--big", type=int, default=6)
    parser.add_argument("--no-warm-up", dest="warm", action="store_false", help="count the first round, too")
    parser.add_argument("--no-push", dest="push", action="store_false", help="push once, and do not measure that")
    options = parser.parse_args()
    os.environ |= {supply.KEY: SECRET, supply.WRITE: "1", "DVC_NO_ANALYTICS": "1"}
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        coins = {"style": "base", "prompt": "coin", "seeds": list(range(options.small))}
        skies = {"stage": "bulk", "seeds": list(range(options.big))}
        sets = {
            f"{options.small:,} small": project(folder / "small", {"coin": coins}),
            f"{options.big} big": project(folder / "big", {"sky": skies}),
        }
        for server in options.servers.split(","):
            for number, (what, built) in enumerate(sets.items()):
                here = folder / f"{server}-{number}"
                (here / "server").mkdir(parents=True)
                with SERVERS[server](here / "server") as running:
                    rows += measured(here, server, what, built, running, options)
    headings = (
        "server",
        "what",
        "",
        "spritebuild s",
        "dvc s",
        "rate to dvc's",
        "CPU s",
        "dvc CPU s",
        "dvc's CPU to ours",
    )
    print(table(headings, rows))


def project(root: Path, sprites: dict[str, object]) -> Project:
    """A project, built."""
    made = Project(root)
    made.stage("bulk", BULK)
    made.write({**ISLAND, "sprites": sprites, "sheets": {}}).build(jobs=2)
    return made.edit("store.trusted", [PUBLIC])


def measured(
    folder: Path, server: str, what: str, built: Project, running: Server, options: argparse.Namespace
) -> list[tuple[str, ...]]:
    """Rows of the table: push and pull of one set by one server."""
    found: dict[str, list[Cost]] = {}
    tracked = folder / "tracked"
    shutil.copytree(built.root / "assets", tracked / "assets")
    call(tracked, *DVC, "init", "-q", "--no-scm")
    call(tracked, *DVC, "add", "-q", "assets")
    size = sum(path.stat().st_size for path in (built.root / "assets").rglob("*.png"))
    for number in range(options.rounds + options.warm):
        names = {who: f"{who}-{number if options.push else 0}" for who in ("dvc", "ours")}
        separate = {who: Server(below(running.remote, name), None) for who, name in names.items()}
        if running.folder is not None:
            for name in names.values():
                (running.folder / name).mkdir(exist_ok=True)
        separate["dvc"].configure(tracked)
        config = tracked / ".dvc/config"
        config.write_text(config.read_text().replace("[core]\n", "[core]\n    no_scm = true\n    remote = team\n"))
        separate["ours"].configure(built.root)
        built.edit("store.url", separate["ours"].remote["url"] if server == "local" else "remote://team")
        clone = built.clone(folder / "clone")

        def emptied(clone: Project = clone) -> None:
            theirs = [tracked / "assets", tracked / ".dvc/cache", tracked / ".dvc/tmp"]
            for gone in (*theirs, clone.root / ".spritebuild", clone.root / "assets"):
                aside(gone, folder / "aside")

        pulled = Case((*OURS, "pull"), clone.root, "pulled", emptied)
        cases = {
            "push ours": Case((*OURS, "push"), built.root, "pushed"),
            "push dvc": Case((*DVC, "push"), tracked, "pushed"),
            "fetch ours": pulled,
            "fetch dvc": Case((*DVC, "fetch"), tracked, "", emptied),
            "again dvc": Case((*DVC, "fetch"), tracked, ""),
            "build ours": Case((*OURS, "build"), clone.root, "installed", emptied),
            "build dvc": Case((*DVC, "pull"), tracked, "", emptied),
            "pull ours": pulled,
            "again ours": Case((*OURS, "pull"), clone.root, "pulled"),
        }
        verbs = [verb for verb in cases if options.push or not verb.startswith("push") or not number]
        for verb in verbs:
            cost = run(cases[verb])
            print(f"{server} {what} {verb}: {shown(cost.wall)} s, {shown(cost.cpu)} s of CPU", file=sys.stderr)
            if (number or not options.warm) and (
                options.push or not verb.startswith("push")
            ):  # the first is to warm up
                found.setdefault(verb, []).append(cost)
            if verb == "build ours":
                assert digests(clone.root / "assets") == digests(built.root / "assets")
            if verb == "build dvc":
                found.setdefault("pull dvc", []).extend([cost] if number or not options.warm else [])
                assert digests(tracked / "assets") == digests(built.root / "assets")
        aside(clone.root, folder / "aside")
    rows = []
    for verb in ("push", "fetch", "again", "pull", "build"):
        both = [*zip(found[f"{verb} ours"], found[f"{verb} dvc"], strict=True)] if f"{verb} ours" in found else []
        if not both:
            continue
        ours, dvc = median([pair[0] for pair in both]), median([pair[1] for pair in both])
        rates = [statistics.median(getattr(b, name) / getattr(a, name) for a, b in both) for name in ("wall", "cpu")]
        times = [shown(ours.wall), shown(dvc.wall), ratio(rates[0], 1), shown(ours.cpu), shown(dvc.cpu)]
        rows.append((server, f"{what}, {size / 1e6:.1f} MB", verb, *times, ratio(rates[1], 1)))
    return rows


def below(remote: dict[str, str], name: str) -> dict[str, str]:
    """A remote in a folder of its own."""
    return {**remote, "url": f"{remote['url'].rstrip('/')}/{name}"}


def digests(folder: Path) -> dict[str, str]:
    """The sha256 of every picture in a folder."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*.png")
    }


def call(folder: Path, *command: str) -> None:
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
