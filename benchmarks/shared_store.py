"""Measures a shared store beside `dvc push` and `dvc pull`: the same bytes, the same server, in turn.

    python benchmarks/shared_store.py [--servers local,ssh,webdav,s3] [--rounds 3] [--small 1000] [--big 6]

There are two projects: one of small sprites, one of a few of 32 MB each. DVC tracks a folder of the very files that
spritebuild installs. `push` begins with an empty folder of the remote; spritebuild pushes the assets, what they are
made of, and traces, DVC the assets. `fetch` begins with an empty cache or store and ends when all of it is there:
`dvc fetch` beside `spritebuild pull`. `pull` ends when all assets lie in the project, too: `dvc pull` beside
`spritebuild build` in a clone that has the lock alone. It is the time on the wall clock that counts here, since both
wait for a server; starting is in it.

The servers are those of tests/shared_servers.py, on this machine. They need the `dev` extra; ssh needs sshd.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from measure import Case, Cost, median, ratio, run, shown, table

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from projects import ISLAND, Project
from shared_servers import SERVERS, Server

from spritebuild import signed, supply

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
                    rows += measured(here, server, what, built, running, options.rounds)
    print(table(("server", "what", "", "spritebuild s", "dvc s", "spritebuild's rate to dvc's"), rows))


def project(root: Path, sprites: dict[str, object]) -> Project:
    """A project, built."""
    made = Project(root)
    made.stage("bulk", BULK)
    made.write({**ISLAND, "sprites": sprites, "sheets": {}}).build(jobs=2)
    return made.edit("store.trusted", [PUBLIC])


def measured(
    folder: Path, server: str, what: str, built: Project, running: Server, rounds: int
) -> list[tuple[str, ...]]:
    """Rows of the table: push and pull of one set by one server."""
    found: dict[str, list[Cost]] = {}
    tracked = folder / "tracked"
    shutil.copytree(built.root / "assets", tracked / "assets")
    call(tracked, *DVC, "init", "-q", "--no-scm")
    call(tracked, *DVC, "add", "-q", "assets")
    size = sum(path.stat().st_size for path in (built.root / "assets").rglob("*.png"))
    for number in range(rounds + 1):
        separate = {who: Server(below(running.remote, f"{who}-{number}"), None) for who in ("dvc", "ours")}
        if running.folder is not None:
            for who in separate:
                (running.folder / f"{who}-{number}").mkdir()
        separate["dvc"].configure(tracked)
        config = tracked / ".dvc/config"
        config.write_text(config.read_text().replace("[core]\n", "[core]\n    no_scm = true\n    remote = team\n"))
        separate["ours"].configure(built.root)
        built.edit("store.url", separate["ours"].remote["url"] if server == "local" else "remote://team")
        clone = built.clone(folder / "clone")

        def emptied(clone: Project = clone) -> None:
            cache = [tracked / "assets", tracked / ".dvc/cache", tracked / ".dvc/tmp"]
            for gone in (*cache, clone.root / ".spritebuild"):
                shutil.rmtree(gone, ignore_errors=True)

        cases = {
            "push": (Case((*OURS, "push"), built.root, "pushed"), Case((*DVC, "push"), tracked, "pushed")),
            "fetch": (Case((*OURS, "pull"), clone.root, "pulled"), Case((*DVC, "fetch"), tracked, "", emptied)),
            "pull": (
                Case((*OURS, "build"), clone.root, "installed", emptied),
                Case((*DVC, "pull"), tracked, "", emptied),
            ),
        }
        for verb, (ours, dvc) in cases.items():
            for who, case in (("ours", ours), ("dvc", dvc)):
                cost = run(case)
                print(f"{server} {what} {verb} {who}: {shown(cost.wall)} s", file=sys.stderr)
                if number:  # the first round is not counted
                    found.setdefault(f"{verb} {who}", []).append(cost)
        assert digests(clone.root / "assets") == digests(tracked / "assets") == digests(built.root / "assets")
        shutil.rmtree(clone.root)
    walls = {name: median(costs).wall for name, costs in found.items()}
    return [
        (
            server,
            f"{what}, {size / 1e6:.1f} MB",
            verb,
            shown(walls[f"{verb} ours"]),
            shown(walls[f"{verb} dvc"]),
            ratio(walls[f"{verb} dvc"], walls[f"{verb} ours"]),
        )
        for verb in ("push", "fetch", "pull")
    ]


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
