"""What it costs to hand a batch to a worker of a Ray cluster: measured on one node of this machine, with one worker.

    python benchmarks/cluster.py [--sprites 192] [--nap 0.02] [--batch 16]

For every batch: from when it is sent to when its end is heard, less the seconds that its actions took (which the worker
measures): looking up, fetching inputs, signing and pushing results, and Ray. Between two batches: how long the worker
has nothing to do. Beside it, in the same run, an empty call of a Ray actor, and the same project built locally.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from clusters import cluster
from projects import ISLAND, Project

from spritebuild import executor
from spritebuild.build import Request, build
from spritebuild.elsewhere.cluster import OnRay
from spritebuild.elsewhere.cluster import Worker as ClusterWorker
from spritebuild.shared import signed, supply
from spritebuild.status import Status

NAP = '''
"""A picture that takes as long as NAP_SECONDS says."""

import os
import time
from pathlib import Path

from spritebuild.stage import Outputs, Params, Stage


class NapParams(Params):
    seed: int = 0
    prompt: str = ""


class NapOutputs(Outputs):
    image: Path = Path("image.png")


class Nap(Stage):
    version = 1
    device = "accelerator"
    Params = NapParams
    Outputs = NapOutputs

    def platform(self, context):
        return {"device": "cpu"}

    def run(self, action, context):
        import hashlib

        import numpy as np

        from spritebuild_stages.images import png

        time.sleep(float(os.environ["NAP_SECONDS"]))
        noise = hashlib.shake_256(str(action.params.seed).encode()).digest(32 * 32 * 4)
        png.write(action.outputs.image, np.frombuffer(noise, np.uint8).reshape(32, 32, 4))
'''


@dataclass
class Batch:
    """A group as its driver saw it."""

    kind: str
    size: int
    waited: float  # between the end of the one before and this one
    sent: float = field(default_factory=time.monotonic)
    stage: float = 0.0
    ended: float = 0.0

    @property
    def overhead(self) -> float:
        return self.ended - self.sent - self.stage


class Watched(OnRay):
    """The executor, with a look at the clock."""

    batches: list[Batch]
    empty: list[float]

    def _feed(self) -> None:
        busy = {id(worker) for worker in self.workers if worker.busy}
        super()._feed()
        for worker in self.workers:
            if worker.busy and id(worker) not in busy:
                last = self.batches[-1].ended if self.batches else time.monotonic()
                self.batches.append(Batch(worker.last.kind, worker.size, time.monotonic() - last))

    def _on_answer(self, worker: ClusterWorker, message: dict[str, Any]) -> None:
        if "done" in message:
            self.batches[-1].stage += json.loads(json.loads(message["trace"])["trace"])["provenance"]["seconds"]
        elif "end" in message:
            self.batches[-1].ended = time.monotonic()
        super()._on_answer(worker, message)

    def stop(self) -> None:
        if self.thread is not None:
            actor = self._ray.remote(Empty).options(num_cpus=0).remote()
            self._ray.get(actor.call.remote())
            for _ in range(200):
                started = time.monotonic()
                self._ray.get(actor.call.remote())
                self.empty.append(time.monotonic() - started)
        super().stop()


class Empty:
    """An actor that does nothing."""

    def call(self) -> None:
        return None


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sprites", type=int, default=192)
    parser.add_argument("--nap", type=float, default=0.02)
    parser.add_argument("--batch", type=int, default=16, help="the most actions of a batch")
    asked = parser.parse_args()
    executor.MOST = asked.batch
    secret, public = signed.new_key()
    os.environ["NAP_SECONDS"] = str(asked.nap)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "shared").mkdir()
        project = Project(root / "island")
        project.stage("nap", NAP)
        style = {key: value for key, value in ISLAND["styles"]["base"].items() if key != "steps"} | {"stage": "nap"}
        sprites = {"coin": {"style": "base", "prompt": "coin", "seeds": list(range(asked.sprites))}}
        store = {"url": "../shared", "trusted": [public]}
        project.write({**ISLAND, "styles": {"base": style}, "sprites": sprites, "sheets": {}, "store": store})
        local = project.clone(root / "local")
        batches: list[Batch] = []
        empty: list[float] = []
        with cluster(root / "nodes", nodes=1, **{supply.KEY: secret}) as nodes:

            def elsewhere(opened: Any) -> OnRay:
                watched = Watched(opened, nodes.address, limit=1)
                watched.batches, watched.empty = batches, empty
                return watched

            started, cpu = time.monotonic(), time.process_time()
            build(project.path, replace(Request(), elsewhere=elsewhere), Status())
            wall, cpu = time.monotonic() - started, time.process_time() - cpu
        local.edit("store", None)
        started = time.monotonic()
        local.build(jobs=1)
        locally = time.monotonic() - started
        if project.assets() != local.assets() or project.lock_text() != local.lock_text():
            raise SystemExit("the two builds differ")
    print(f"{asked.sprites} sprites, {asked.nap} s each; {wall:.1f} s on Ray with one worker, {locally:.1f} s locally")
    print(f"the driver's CPU: {1e3 * cpu / (2 * asked.sprites):.2f} ms an action")
    print(f"an empty call of an actor: {1e3 * statistics.median(empty):.2f} ms")
    print("| batch | batches | actions in one | overhead a batch, median (ms) | an action (ms) | idle before (ms) |")
    print("|---|---|---|---|---|---|")
    for kind in dict.fromkeys(batch.kind for batch in batches):
        some = [batch for batch in batches if batch.kind == kind]
        later = some[1:] or some  # the first one imports libraries
        overhead = 1e3 * statistics.median(batch.overhead for batch in later)
        each = 1e3 * statistics.median(batch.overhead / batch.size for batch in later)
        waited = 1e3 * statistics.median(batch.waited for batch in later)
        size = statistics.median(batch.size for batch in later)
        print(f"| {kind} | {len(some)} | {size:g} | {overhead:.0f} | {each:.1f} | {waited:.1f} |")


if __name__ == "__main__":
    main()
