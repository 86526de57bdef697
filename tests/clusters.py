"""A Ray cluster of several nodes on this machine, for tests. `python tests/clusters.py` starts one, until Ctrl-C."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

MEMORY = 80 << 20  # bytes of a node's object store: results go through the shared store, so it stays empty


class Nodes:
    """A cluster; each node has a folder of its own, as if it were another machine."""

    def __init__(self, folder: Path, nodes: int = 2, cpus: int = 1, **environment: str) -> None:
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        from ray.cluster_utils import Cluster

        self.folder = folder
        self._cpus = cpus
        self._environment = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **environment}
        os.environ |= self._environment  # a node takes it from here
        self._cluster = Cluster(initialize_head=True, head_node_args=self._node(0))
        self.nodes: list[Any] = [self._cluster.head_node]
        for _ in range(1, nodes):
            self.add()
        self.address: str = self._cluster.address

    def _node(self, number: int, gpus: int = 0) -> dict[str, Any]:
        own = {"SPRITEBUILD_WORKER_FOLDER": str(self.folder / f"node-{number}")}
        settings: dict[str, Any] = {
            "num_cpus": self._cpus,
            "num_gpus": gpus,
            "object_store_memory": MEMORY,
            "env_vars": own,
        }
        settings["include_log_monitor"] = False
        return {**settings, "include_dashboard": False, "no_monitor": True} if number == 0 else settings

    def add(self, gpus: int = 0) -> int:
        """Another machine joins; it may say that it has GPUs. Returns its number."""
        self.nodes.append(self._cluster.add_node(**self._node(len(self.nodes), gpus)))
        return len(self.nodes) - 1

    def kill(self, number: int) -> None:
        """A machine is gone, without a word."""
        self._cluster.remove_node(self.nodes[number], allow_graceful=False)

    def stop(self) -> None:
        self._cluster.shutdown()


@contextlib.contextmanager
def cluster(folder: Path, nodes: int = 2, cpus: int = 1, **environment: str) -> Iterator[Nodes]:
    """A cluster, for as long as the body runs; the environment is as before then."""
    before = dict(os.environ)
    started = _started(folder, nodes, cpus, environment)
    try:
        yield started
    finally:
        started.stop()
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ |= before


def _started(folder: Path, nodes: int, cpus: int, environment: Mapping[str, str], tries: int = 3) -> Nodes:
    """Ray gives up a start that takes it half a minute, which it does where others keep the machine busy."""
    while True:
        try:
            return Nodes(folder, nodes, cpus, **environment)
        except Exception as error:
            tries -= 1
            if not tries or "timed out" not in str(error):
                raise


def main() -> None:
    """Start a cluster, say its address, and end with Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=2)
    parser.add_argument("--cpus", type=int, default=1, help="of each node")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, cluster(Path(folder), asked.nodes, asked.cpus) as started:
        print(f"export RAY_ADDRESS={started.address}", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()


if __name__ == "__main__":
    main()
