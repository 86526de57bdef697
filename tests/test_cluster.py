"""`build --executor ray` on a real cluster of two nodes: what dies is replaced, the bytes are those of a local build.

SPRITEBUILD_CLUSTER=all has 200 sprites and all that may go wrong; an ordinary run 24, and one node that is killed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from clusters import Nodes, cluster
from projects import ISLAND, Project, safetensors

from spritebuild.shared import signed, supply

pytest.importorskip("ray")
SECRET, PUBLIC = signed.new_key()
ALL = os.environ.get("SPRITEBUILD_CLUSTER") == "all"
MANY = 200 if ALL else 24
whole = pytest.mark.skipif(not ALL, reason="SPRITEBUILD_CLUSTER=all, which is `make cluster`, runs it")

# As `dream`, but slowly; every run is noted, with the process that it was in.
NAP = '''
"""A picture that takes its time."""

import os
import time
from pathlib import Path

from spritebuild.stage import Outputs, Params, Stage


class NapParams(Params):
    prompt: str = ""
    seed: int = 0


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

        name = f"{action.params.prompt}/{action.params.seed}"
        if "NAP_RUNS" in os.environ:
            with open(os.environ["NAP_RUNS"], "a") as runs:
                runs.write(f"{name} {os.getpid()} {os.environ.get('SPRITEBUILD_WORKER_FOLDER', '')}\\n")
            time.sleep(float(os.environ["NAP_SECONDS"]))
        if "die" in name:
            os._exit(9)
        if "fail" in name:
            raise ValueError("a nightmare")
        noise = hashlib.shake_256(name.encode()).digest(32 * 32 * 4)
        png.write(action.outputs.image, np.frombuffer(noise, np.uint8).reshape(32, 32, 4))
'''


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    """Two nodes with a CPU each, which may sign."""
    folder = tmp_path_factory.mktemp("nodes")
    told = {supply.KEY: SECRET, "NAP_RUNS": str(folder / "runs"), "NAP_SECONDS": "0.15"}
    with contextlib.ExitStack() as stack:
        try:
            started = stack.enter_context(cluster(folder, **told))
        except Exception as error:
            if ALL or "timed out" not in str(error):
                raise
            pytest.skip("this machine is too busy for Ray, which gives up its start after half a minute")
        yield started


@pytest.fixture
def runs(nodes: Nodes) -> Callable[[], list[tuple[str, int, str]]]:
    """What ran since, in which process, on which node."""
    file = nodes.folder / "runs"
    file.write_text("")

    def read() -> list[tuple[str, int, str]]:
        rows = [line.split(" ") for line in file.read_text().splitlines()]
        return [(name, int(process), node) for name, process, node in rows]

    return read


@pytest.fixture
def naps(project: Project, tmp_path: Path) -> Project:
    """Many sprites that take 0.15 s each, and a shared store; nothing is built."""
    (tmp_path / "shared").mkdir()
    project.stage("nap", NAP)
    style = {**ISLAND["styles"]["base"], "stage": "nap"}
    del style["steps"]
    sprites = {"coin": {"style": "base", "prompt": "coin", "seeds": list(range(MANY))}}
    store = {"url": "../shared", "trusted": [PUBLIC]}
    return project.write({**ISLAND, "styles": {"base": style}, "sprites": sprites, "sheets": {}, "store": store})


def start(project: Project, nodes: Nodes, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "spritebuild", "build", "--executor", "ray", "--ray-address", nodes.address]
    env = {name: value for name, value in os.environ.items() if name != supply.KEY} | environment
    pipe = subprocess.PIPE
    return subprocess.Popen([*command, *arguments], cwd=project.root, stdout=pipe, stderr=pipe, text=True, env=env)


def build(project: Project, nodes: Nodes, *arguments: str, **environment: str) -> tuple[int, str]:
    process = start(project, nodes, *arguments, **environment)
    _, said = process.communicate(timeout=300)
    return process.returncode, said


def locally(project: Project, folder: Path) -> Project:
    """The same project, built by this machine alone."""
    clone = project.clone(folder, locked=False)
    clone.edit("store", None).build(jobs=2)
    return clone


def until(true: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while not true():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)


def same(one: Project, other: Project) -> bool:
    return one.assets() == other.assets() and one.lock_text() == other.lock_text()


@pytest.mark.slow
def test_a_node_killed_half_way_costs_nothing_but_what_it_had_in_hand(
    naps: Project, nodes: Nodes, runs: Any, tmp_path: Path
) -> None:
    process = start(naps, nodes)
    until(lambda: len(runs()) >= MANY // 2 and len({node for _, _, node in runs()}) == 2, process)
    nodes.kill(1)
    _, said = process.communicate(timeout=300)
    nodes.add()
    assert process.returncode == 0, said
    assert "a worker is gone" in said
    times = Counter(name for name, _, _ in runs())
    assert len(times) == MANY and max(times.values()) <= 2 and times.total() <= MANY + 8
    assert len(naps.assets()) == MANY and same(naps, locally(naps, tmp_path / "local"))


@whole
def test_a_driver_killed_half_way_goes_on_where_it_was(naps: Project, nodes: Nodes, runs: Any, tmp_path: Path) -> None:
    process = start(naps, nodes)
    until(lambda: len(runs()) >= MANY // 2, process)
    process.kill()
    process.communicate()
    half = len(runs())
    code, said = build(naps, nodes)
    assert code == 0, said
    assert "from the shared store" in said
    times = Counter(name for name, _, _ in runs())
    assert len(times) == MANY and max(times.values()) <= 2
    assert times.total() <= MANY + 8 and times.total() - half < MANY
    assert same(naps, locally(naps, tmp_path / "local"))


@whole
def test_a_driver_on_another_machine_takes_it_all_from_the_store(
    naps: Project, nodes: Nodes, runs: Any, tmp_path: Path
) -> None:
    assert build(naps, nodes)[0] == 0
    other = naps.clone(tmp_path / "other", locked=False)
    before = len(runs())
    code, said = build(other, nodes)
    assert code == 0, said
    assert len(runs()) == before == MANY and same(naps, other)


@whole
def test_a_killed_worker_is_replaced(naps: Project, nodes: Nodes, runs: Any, tmp_path: Path) -> None:
    process = start(naps, nodes)
    until(lambda: len(runs()) >= MANY // 4, process)
    os.kill(runs()[-1][1], signal.SIGKILL)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    times = Counter(name for name, _, _ in runs())
    assert len(times) == MANY and max(times.values()) <= 2
    assert same(naps, locally(naps, tmp_path / "local"))


@whole
def test_weights_files_and_stages_come_by_content(pressed: Project, nodes: Nodes, tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    pressed.file("weights/vae/model.safetensors", safetensors(bytes(300_000)))
    pressed.edit("store", {"url": "../shared", "trusted": [PUBLIC]})
    pressed.edit("palettes", {"drawn": {"file": "gray.hex"}}).file("gray.hex", "000000\n888888\nffffff\n")
    pressed.edit("styles", {"base": {"stage": "press", "finish": [{"op": "quantize", "palette": "drawn"}]}})
    pressed.edit("sprites.sword", {"style": "base", "model": "mine", "prompt": "long sword"})
    code, said = build(pressed, nodes)
    assert code == 0, said
    assert same(pressed, locally(pressed, tmp_path / "local"))


@whole
def test_a_failure_is_told_as_at_home(naps: Project, nodes: Nodes) -> None:
    naps.edit("sprites.bad", {"style": "base", "prompt": "fail"})
    code, said = build(naps, nodes, "sprites.bad")
    assert code == 5 and "a nightmare" in said and "sprites.bad:nap" in said
    code, said = build(naps, nodes, "-k")
    assert code == 5 and len(naps.assets()) == MANY


@whole
def test_what_kills_its_workers_fails_in_the_end_and_takes_nobody_along(naps: Project, nodes: Nodes) -> None:
    naps.edit("sprites.bad", {"style": "base", "prompt": "die"})
    code, said = build(naps, nodes, "-k")
    assert code == 5 and "4 workers died while they had it" in said
    assert len(naps.assets()) == MANY


@whole
def test_a_worker_that_may_not_sign_is_refused(naps: Project, nodes: Nodes, runs: Any) -> None:
    _, other = signed.new_key()
    naps.edit("store.trusted", [other])
    code, said = build(naps, nodes)
    assert code == 4 and supply.KEY in said and "nobody trusts" in said
    assert not runs()


@whole
def test_a_swapped_blob_is_refused_and_named(naps: Project, nodes: Nodes, tmp_path: Path) -> None:
    assert build(naps, nodes)[0] == 0
    for path in [*(tmp_path / "shared").glob("packs/*"), *(tmp_path / "shared").glob("blobs/*/*")]:
        if not path.suffix:
            path.chmod(0o644)
            path.write_bytes(path.read_bytes()[::-1])
    other = naps.clone(tmp_path / "other", locked=False)
    other.edit("styles.base.finish", [{"op": "alpha", "threshold": 7}])
    code, said = build(other, nodes)
    assert code == 4 and "set aside" in said


@whole
def test_where_the_shared_store_lost_a_blob_it_is_made_again(
    naps: Project, nodes: Nodes, runs: Any, tmp_path: Path
) -> None:
    assert build(naps, nodes)[0] == 0
    other = naps.clone(tmp_path / "other", locked=False)
    for path in [*(tmp_path / "shared").glob("packs/*"), *(tmp_path / "shared").glob("blobs/*/*")]:
        path.unlink()
    code, said = build(other, nodes)
    assert code == 0, said
    assert same(naps, other)


@whole
def test_where_there_is_a_gpu_what_wants_one_goes_there_and_nowhere_else(
    naps: Project, nodes: Nodes, runs: Any, tmp_path: Path
) -> None:
    number = nodes.add(gpus=1)
    code, said = build(naps, nodes)
    nodes.kill(number)
    assert code == 0, said
    assert {Path(node).name for _, _, node in runs()} == {f"node-{number}"} and len(runs()) == MANY
    assert same(naps, locally(naps, tmp_path / "local"))


def test_without_a_shared_store_there_is_no_way(island: Project) -> None:
    finished = island.cli("build", "--executor", "ray")
    assert finished.returncode == 2 and "need a shared store" in finished.stderr


def test_a_cluster_that_is_not_there_is_named(naps: Project) -> None:
    finished = naps.cli("build", "--executor", "ray", "--ray-address", "127.0.0.1:9")
    assert finished.returncode == 5 and "127.0.0.1:9: no Ray cluster answers" in finished.stderr


def test_an_ordinary_build_knows_no_ray(island: Project) -> None:
    script = "import sys; from spritebuild.cli import cli; cli(['build', '-q'], standalone_mode=False)"
    script += "; assert not {'ray', 'spritebuild.elsewhere.cluster', 'spritebuild.elsewhere.outpost'} & {*sys.modules}"
    subprocess.run([sys.executable, "-c", script], cwd=island.root, check=True)
