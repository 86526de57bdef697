"""Runs actions again in a child process where all is different that must not matter; both ends of the pipe.

The idea is reprotest's: what an output must not depend on is varied on purpose. The child gets a task on one line of
JSON and answers in lines. It stands apart from the terminal's Ctrl-C, and dies with its parent, however that dies.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import locale
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from spritebuild.errors import MachineError
from spritebuild.graph import Action, Graph, Source
from spritebuild.plan import Decision, Plan
from spritebuild.run import Options, run
from spritebuild.stage import Stages
from spritebuild.status import Status
from spritebuild.store import Store
from spritebuild.worker import as_child, failure, import_path, raised

ASPECTS = ("hash seed", "time zone", "locale", "home", "umask", "environment", "places", "threads", "order")
# What Python, the loader and the devices' libraries need; and what `SPRITEBUILD_DEVICE` and the like declare.
KEPT = {"PATH", "VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "PYTHONWARNINGS", "PYTHONDONTWRITEBYTECODE"} | {
    "ATEN_CPU_CAPABILITY",
    "ONEDNN_MAX_CPU_ISA",
}
KEPT_FAMILIES = ("LD_", "DYLD_", "CUDA_", "NVIDIA_", "ROCM_", "ROCR_", "HIP_", "HSA_", "SPRITEBUILD_")
THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
VARIED_BY_NAME = frozenset({"PYTHONHASHSEED", "TZ", "LANG", "LANGUAGE", "HOME", "TMPDIR", "PWD", "OLDPWD", *THREADS})
LOCALES = ("tr_TR.UTF-8", "de_DE.UTF-8", "fr_FR.UTF-8", "en_US.UTF-8", "C", "C.UTF-8")  # what tells most comes first


@dataclass(frozen=True)
class Task:
    """Actions to run again: each reads known bytes, so none waits for another. `inputs` give a place and a digest."""

    folder: Path  # a store of its own, and the places that are varied
    own: Path | None
    actions: Sequence[tuple[Action, str]]  # with their keys; every input is a Source called by its place
    jobs: int
    workers: int | None
    threads: int
    free: bool  # whether the number of threads must not matter, so that another one is used


@dataclass(frozen=True)
class Variation:
    """What a child finds otherwise than the process that starts it, and that in words, by aspect."""

    environment: Mapping[str, str]
    threads: int
    umask: int
    folder: Path | None  # to work in
    reverse: bool
    said: Mapping[str, str]


def vary(task: Task, seed: int, aspects: Sequence[str] = ASPECTS) -> Variation:
    """The variation for a task; another seed gives another hash seed. Only the aspects that are named are varied."""
    here = dict(os.environ)
    said: dict[str, str] = {}
    environment, threads, umask = dict(here), task.threads, _umask()
    if "environment" in aspects:
        environment = {name: value for name, value in here.items() if _is_kept(name)}
        gone = len(here) - len(environment)
        said["environment"] = f"{gone} variable{'s' * (gone != 1)} gone"
    environment["PYTHONHASHSEED"] = fixed = here.get("PYTHONHASHSEED", "random").replace("random", "0")
    if "hash seed" in aspects:
        other = next(number for n in itertools.count(seed + 1) if (number := str(n % 2**32)) != fixed)
        environment["PYTHONHASHSEED"] = said["hash seed"] = other
    if "time zone" in aspects:
        environment["TZ"] = said["time zone"] = "<+14>-14" if time.localtime().tm_gmtoff != 14 * 3600 else "<-11>11"
    if "locale" in aspects:
        encoding, rest = other_locale(here)
        environment = {name: value for name, value in environment.items() if not name.startswith("LC_")}
        environment |= {"LANG": rest, "LC_CTYPE": encoding, "PYTHONCOERCECLOCALE": "0"}  # which would undo that
        said["locale"] = f"{encoding} for text, {rest} for all else"
    if "home" in aspects:
        environment |= {"HOME": str(task.folder / "home"), "TMPDIR": str(task.folder / "tmp")}
        said["home"] = "HOME and TMPDIR, both empty"
    if "umask" in aspects:
        umask = 0o077 if umask != 0o077 else 0o022
        said["umask"] = f"{umask:03o}"
    if "threads" in aspects and task.free:
        threads = _other_threads(here, task.threads)
        environment |= dict.fromkeys(THREADS, str(threads))
        said["threads"] = f"{threads}, not {task.threads}"
    if "places" in aspects:
        said["places"] = "the working folder, and the paths of inputs and outputs"
    if "order" in aspects:
        said["order"] = "the order of actions, and the neighbors in a batch"
    environment |= {"SPRITEBUILD_THREADS": str(threads), "PYTHONPATH": import_path()}
    folder = task.folder / "elsewhere" if "places" in aspects else None
    return Variation(environment, threads, umask, folder, "order" in aspects, said)


def _is_kept(name: str) -> bool:
    return name in KEPT or name.startswith(KEPT_FAMILIES) or name in VARIED_BY_NAME or name.startswith("LC_")


def other_locale(environment: Mapping[str, str]) -> tuple[str, str]:
    """For the encoding of text, and for all else: locales of this machine that are not those in use."""
    encoding = locale.setlocale(locale.LC_CTYPE)  # as Python found it, which makes UTF-8 of an empty one
    rest = next((environment[name] for name in ("LC_ALL", "LANG") if environment.get(name)), "C")
    before = locale.setlocale(locale.LC_ALL)
    try:
        return _available(("C", "C.UTF-8"), encoding), _available(LOCALES, rest)
    finally:
        locale.setlocale(locale.LC_ALL, before)


def _available(names: Sequence[str], other_than: str) -> str:
    for name in names:
        with contextlib.suppress(locale.Error):
            locale.setlocale(locale.LC_ALL, name)
            if _plain(name) != _plain(other_than):
                return name
    return "C"


def _plain(name: str) -> str:
    return name.lower().replace("-", "").replace("posix", "c")


def _other_threads(environment: Mapping[str, str], threads: int) -> int:
    used = {threads, os.cpu_count(), *(int(n) for name in THREADS if (n := environment.get(name, "")).isdecimal())}
    return next(number for number in itertools.count(2) if number not in used)


def _umask() -> int:
    now = os.umask(0o077)
    os.umask(now)
    return now


def run_again(task: Task, variation: Variation, status: Status) -> dict[str, Any]:
    """What became of the actions: `ran`, output digests and provenance by id, and `failed`, messages by id.

    Raises MachineError if the child could not go on. Whatever ends this, no process is left.
    """
    for name in ("home", "tmp", "elsewhere", "logs"):
        (task.folder / name).mkdir(parents=True, exist_ok=True)
    log = task.folder / "logs" / "verify.log"
    with log.open("ab") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "spritebuild.verification.varied"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            cwd=variation.folder,
            env=dict(variation.environment),
            umask=variation.umask,
            process_group=0,
        )
    try:
        assert process.stdin is not None and process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(json.dumps(_as_message(task, variation)).encode() + b"\n")
            process.stdin.flush()
        for line in process.stdout:
            message = json.loads(line)
            if "result" in message:
                found: dict[str, Any] = message["result"]
                return found
            if "failed" in message:
                raise raised(message, "verify")
            if "say" in message:
                status.message(message["say"])
            else:
                status.finished(message["finished"], message["stage"], message["seconds"])
        raise MachineError(
            f"the process that runs actions again died (status {process.wait()})",
            facts=[("log", text) for text in log.read_text("utf-8", "replace").strip().splitlines()[-3:]],
            hint="out of memory is the usual cause: verify fewer at once, with -j 1 or a smaller --sample",
        )
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)  # its workers too
        process.wait()
        for stream in (process.stdin, process.stdout):
            with contextlib.suppress(BrokenPipeError):
                assert stream is not None
                stream.close()


def _as_message(task: Task, variation: Variation) -> dict[str, Any]:
    return {
        "store": str(task.folder),
        "own": str(task.own) if task.own else None,
        "jobs": task.jobs,
        "workers": task.workers,
        "threads": variation.threads,
        "regroup": variation.reverse,
        "actions": [
            {
                "id": action.id,
                "stage": action.stage,
                "version": action.version,
                "params": dict(action.params),
                "inputs": [(name, ref.name, ref.digest) for name, ref in action.sources()],
                "outputs": action.outputs,
                "key": key,
            }
            for action, key in (reversed(task.actions) if variation.reverse else task.actions)
        ],
    }


# The child


class _Telling(Status):
    def __init__(self, answers: IO[bytes]) -> None:
        self.answers = answers

    def say(self, **message: Any) -> None:
        self.answers.write(json.dumps(message).encode() + b"\n")
        self.answers.flush()

    def message(self, text: str) -> None:
        self.say(say=text)

    def finished(self, action: str, stage: str, seconds: float) -> None:
        self.say(finished=action, stage=stage, seconds=seconds)


def main() -> None:
    """Read a task, run it, tell what came of it."""
    answers = as_child()
    task = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_until_the_parent_is_gone, daemon=True).start()
    telling = _Telling(answers)
    try:
        telling.say(result=_run(task, telling))
    except Exception as error:
        telling.say(**failure(error))


def _until_the_parent_is_gone() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


def _run(task: Mapping[str, Any], status: Status) -> dict[str, Any]:
    graph = Graph.of(_actions(task))
    decisions = {row["id"]: Decision(row["id"], "run", "verified", None, row["key"]) for row in task["actions"]}
    everything = frozenset(decisions)
    plan = Plan(decisions, everything, {}, {}, {}, everything)
    sources = {ref.name: Path(ref.name) for action in graph.actions.values() for _, ref in action.sources()}
    options = Options(
        jobs=task["jobs"], keep_going=True, threads=task["threads"], workers=task["workers"], regroup=task["regroup"]
    )
    store = Store(Path(task["store"]))
    store.fresh_scratch()
    stages = Stages(Path(task["own"]) if task["own"] else None)
    result = run(graph, plan, store, stages, sources, options, status, lambda *_: None, fresh=everything)
    store.settle()
    store.close()
    return {
        "ran": {
            id: {"outputs": dict(trace.outputs), "provenance": dict(trace.provenance)}
            for id, trace in result.ran.items()
        },
        "failed": {id: failure(error) for id, error in result.failed.items()},
    }


def _actions(task: Mapping[str, Any]) -> Iterator[Action]:
    for row in task["actions"]:
        inputs = tuple((name, Source(place, digest)) for name, place, digest in row["inputs"])
        outputs = tuple((name, file) for name, file in row["outputs"])
        yield Action(row["id"], row["stage"], row["version"], row["params"], inputs, outputs, recipe="")


if __name__ == "__main__":
    main()
