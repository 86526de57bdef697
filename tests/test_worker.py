"""The child that holds a device: what it answers, and what becomes of a build when it fails or dies."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from projects import DREAM, ISLAND, Project

from spritebuild import worker
from spritebuild.errors import IntegrityError, MachineError, StageError
from spritebuild.stage import Stages
from spritebuild.store import Store
from spritebuild.worker import Worker


@pytest.fixture
def dreaming(project: Project) -> Project:
    """Two sprites of an accelerator's stage; nothing is built."""
    return project.write({**ISLAND, "styles": {"base": {"stage": "dream"}}, "sheets": {}})


def group(project: Project, *prompts: str) -> dict[str, Any]:
    """A message that asks for pictures, which go to the project's folder."""
    return {
        "stage": "dream",
        "own": str(project.root / "stages"),
        "memory": str(project.root / "probes"),
        "threads": 1,
        "actions": [
            {"params": {"prompt": prompt}, "inputs": {}, "outputs": {"image": str(project.root / f"{prompt}.png")}}
            for prompt in prompts
        ],
    }


class Answers:
    """A worker, and what it answers up to the end of a group."""

    def __init__(self, log: Path) -> None:
        self.queue: queue.SimpleQueue[Mapping[str, Any]] = queue.SimpleQueue()
        self.worker = Worker(log, lambda _, message: self.queue.put(message))

    def to(self, message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        self.worker.send(message)
        found = [self.queue.get(timeout=60)]
        while not {"end", "failed", "died"} & found[-1].keys():
            found.append(self.queue.get(timeout=60))
        return found


def test_worker_answers_group_after_group(dreaming: Project, tmp_path: Path) -> None:
    answers = Answers(tmp_path / "worker.log")
    try:
        first = answers.to(group(dreaming, "a", "b"))
        assert first[0] == {"stage": "dream", "platform": {"device": "cpu", "driver": "one"}}
        assert [(answer["done"], answer["notes"]) for answer in first[1:3]] == [(0, {}), (1, {})]
        assert first[3:] == [{"end": True}]
        assert (dreaming.root / "a.png").exists()
        failed = answers.to(group(dreaming, "c", "fail"))
        assert [next(iter(answer)) for answer in failed] == ["stage", "done", "failed"]
        assert failed[-1]["failed"] == "ValueError: a nightmare"
        assert len(answers.to(group(dreaming, "d"))) == 3
    finally:
        answers.worker.stop()


def test_death_is_the_last_answer(dreaming: Project, tmp_path: Path) -> None:
    answers = Answers(tmp_path / "worker.log")
    try:
        assert answers.to(group(dreaming, "die"))[-1] == {"died": 9}
        answers.worker.send(group(dreaming, "a"))  # to nobody
    finally:
        answers.worker.stop()


def test_killed_worker_fails_its_actions_with_the_log(dreaming: Project) -> None:
    dreaming.edit("sprites.sword.prompt", "die")
    with pytest.raises(MachineError) as caught:
        dreaming.build()
    assert caught.value.exit_code == 5
    assert caught.value.message == "the worker process died (status 9)"
    assert caught.value.where == str(dreaming.root / ".spritebuild/logs/worker-0.log")
    assert "out of memory" in str(caught.value.hint)


def test_pictures_finished_before_a_death_are_kept(dreaming: Project) -> None:
    dreaming.edit("sprites.sword.prompt", "die")
    with pytest.raises(MachineError):
        dreaming.build(keep_going=True)
    assert list(dreaming.assets()) == ["assets/potion.png"]
    assert dreaming.edit("sprites.sword.prompt", "live").build().ran == ["sprites.sword:dream"]


def test_worker_is_alone_with_its_output(dreaming: Project) -> None:
    text = (dreaming.root / "stages/dream.py").read_text("utf-8")
    dreaming.stage("dream", text.replace("import hashlib", "print('noise')\n        import hashlib"))
    assert len(dreaming.build().ran) == 2
    assert "noise" in (dreaming.root / ".spritebuild/logs/worker-0.log").read_text("utf-8")


def test_worker_finds_the_packages_of_its_parent_and_none_of_the_project(dreaming: Project) -> None:
    dreaming.file("numpy.py", "raise SystemExit('shadowed')")
    dreaming.file("json.py", "raise SystemExit('shadowed')")
    command = [str(Path(sys.executable).with_name("spritebuild")), "build", "-q"]
    result = subprocess.run(command, cwd=dreaming.root, capture_output=True, encoding="utf-8")
    assert (result.returncode, result.stderr) == (0, "")


def test_worker_dies_with_its_parent(dreaming: Project, tmp_path: Path) -> None:
    code = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from spritebuild.worker import Worker\n"
        "worker = Worker(Path(sys.argv[1]), lambda worker, message: None)\n"
        "print(worker._process.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "worker.log")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8") as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        os.kill(child, 0)
        parent.send_signal(signal.SIGKILL)
    assert gone(child)


def gone(process: int) -> bool:
    """Whether a process ends before long; a zombie that nobody waits for has ended."""
    for _ in range(200):
        try:
            state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state in "ZX":
            return True
        time.sleep(0.05)
    return False


# What both ends share


def test_members_of_inputs_are_bound_to_tuples_and_dicts() -> None:
    params = {"names": ["a", "b"], "name": "x"}
    outputs = {"files": "/o/files", "layout": "/o/layout.json"}
    bound = worker.bind(Stages()["sheet"], params, {"frames.0": "/a.png", "frames.1": "/b.png"}, outputs)
    assert bound.inputs.frames == (Path("/a.png"), Path("/b.png"))
    finish = worker.bind(
        Stages()["finish"], {"ops": []}, {"image": "/a.png", "palettes.gray": "/g.hex"}, {"image": "/o/image.png"}
    )
    assert finish.inputs.palettes == {"gray": Path("/g.hex")}
    assert bound.params.names == ("a", "b")


def test_errors_of_ours_keep_their_kind_across_the_pipe() -> None:
    error = IntegrityError("wrong bytes", where="model", facts=[("found", "x")], hint="fetch")
    again = worker.raised(json.loads(json.dumps(worker.failure(error))), "sprites.potion:dream")
    assert type(again) is IntegrityError
    assert (again.message, again.where, again.hint) == ("wrong bytes", "model", "fetch")
    assert set(again.facts) == {("found", "x"), ("action", "sprites.potion:dream")}


def test_other_errors_are_the_stages_and_keep_their_traceback() -> None:
    try:
        raise ZeroDivisionError("by zero")
    except ZeroDivisionError as error:
        again = worker.raised(json.loads(json.dumps(worker.failure(error))), "sprites.potion:dream")
    assert type(again) is StageError
    assert again.message == "ZeroDivisionError: by zero"
    assert "raise ZeroDivisionError" in "".join(again.__notes__)


LOADING = DREAM.replace(
    """    def affinity(self, params, inputs):
        return params.steps
""",
    """    loads = 0
    model = None

    def affinity(self, params, inputs):
        return (params.seed % 2, params.steps)

    def run_batch(self, actions, context):
        model = actions[0].params.seed % 2
        if model != self.model:
            self.model, self.loads = model, self.loads + 1
        for index, action in enumerate(actions):
            self.run(action, context)
            yield index, {"loads": self.loads}
""",
)


def test_a_worker_goes_on_with_the_model_that_it_has(project: Project) -> None:
    assert LOADING != DREAM
    sprites = {f"s{n}": {"stage": "load", "prompt": f"{n}", "seed": n, "steps": 5 + n // 4} for n in range(16)}
    project.write({"project": {"name": "island", "stages": "stages"}, "sprites": sprites})
    project.file("stages/load.py", LOADING)
    project.build()
    store = Store(project.root / ".spritebuild")
    found = [trace.provenance["loads"] for key, _ in list(store.all_outputs()) if (trace := store.trace(key))]
    store.close()
    assert (len(found), max(found)) == (16, 2)
