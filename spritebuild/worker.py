"""A child process that holds one device and the models loaded on it; both ends of the pipe.

The parent sends groups of actions as JSON lines; the child answers with a line for every finished action. The child
dies with its parent, however that dies, and leaves Ctrl-C to it. The engine does not import torch: the child does.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from spritebuild import errors
from spritebuild.errors import SpritebuildError, StageError
from spritebuild.files import DISK, of_os_error
from spritebuild.libraries import Libraries
from spritebuild.stage import BoundAction, Context, Stage, Stages

if TYPE_CHECKING:
    from spritebuild.store import Store

PR_SET_PDEATHSIG = 1


class Worker:
    """The parent's end. `send` gives the child a group; every answer goes to `answer(worker, message)`, from a thread.

    A group is answered by `{"stage", "platform"}`, then `{"done": index, "notes", "versions", "seconds"}` for every
    finished action, then `{"end"}` or `{"failed": text, ...}`. `{"died": exit status}` is the last message ever.
    """

    def __init__(self, log: Path, answer: Callable[[Worker, Mapping[str, Any]], None]) -> None:
        self.log = log
        self._answer = answer
        self._sent = 0  # groups
        self._hearing = threading.Lock()
        self._dead = False
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as stderr:
            self._process = subprocess.Popen(
                # -P: a folder of the project must not shadow an installed package
                [sys.executable, "-P", "-m", "spritebuild.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env={**os.environ, "PYTHONPATH": import_path()},
            )
        self._reader = threading.Thread(target=self._read, name="worker-reader", daemon=True)
        self._reader.start()

    def send(self, group: Mapping[str, Any]) -> None:
        """Give the child a group of actions; a dead child is reported through `answer`."""
        self._sent += 1
        self._tell({**group, "number": self._sent})

    def _tell(self, message: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()

    def hear(self, answer: Callable[[Worker, Mapping[str, Any]], None]) -> bool:
        """Give the answers of later groups to somebody else; says whether the child lives."""
        with self._hearing:
            self._answer = answer
            return not self._dead

    def drop(self) -> None:
        """Ask the child to end the group that it was given last once the action at hand is finished."""
        self._tell({"drop": self._sent})

    def stop(self) -> None:
        """End the child at once, if it has not ended; nothing of a running group is kept."""
        self._process.kill()
        self._process.wait()
        self._reader.join()
        for stream in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(BrokenPipeError):
                assert stream is not None
                stream.close()

    def last_words(self) -> str:
        """The end of what the child wrote to its log."""
        with contextlib.suppress(OSError):
            return "\n".join(self.log.read_text("utf-8", "replace").strip().splitlines()[-8:])
        return ""

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.endswith(b"\n"):  # else the child was killed while it wrote
                self._answer(self, json.loads(line))
        with self._hearing:  # whoever hears from now on is told by `hear`
            self._dead, answer = True, self._answer
        answer(self, {"died": self._process.wait()})


def import_path() -> str:
    """Where this process finds packages, less its own script folder: a child must see the same ones."""
    found = sys.path if sys.flags.safe_path else sys.path[1:]
    return os.pathsep.join(path for path in [*found, str(Path(__file__).parents[1])] if path)


# How a stage is bound and run: used by the child, and in the engine's own process for CPU stages


def bind(
    stage: Stage,
    params: Mapping[str, Any],
    inputs: Mapping[str, str],
    outputs: Mapping[str, str],
    kept: str | None = None,
    watched: str | None = None,
) -> BoundAction:
    """The stage's own models, filled: `frames.0` becomes a member of the tuple `frames`, `palettes.cave` of a dict."""
    grouped: dict[str, Any] = {}
    for name, path in inputs.items():
        field, _, member = name.partition(".")
        if not member:
            grouped[field] = path
        elif member.isdigit():
            grouped.setdefault(field, []).append(path)
        else:
            grouped.setdefault(field, {})[member] = path
    return BoundAction(
        stage.Params.model_validate(params),
        stage.Inputs.model_validate(grouped),
        stage.Outputs.model_validate(outputs),
        Path(kept) if kept else None,
        Path(watched) if watched else None,
    )


def collected(store: Store, kind: str, outputs: Iterable[tuple[str, str]], folder: str) -> dict[str, str]:
    """Take the declared outputs into the store. Raises StageError for missing and for undeclared ones."""
    outputs = tuple(outputs)
    found = set(os.listdir(folder))  # noqa: PTH208 - names, for every action
    for file in sorted(found.symmetric_difference(file.rstrip("/") for _, file in outputs)):
        fault = "wrote an undeclared file" if file in found else "did not write its output"
        raise StageError(
            f"{fault}, {file}",
            facts=[("stage", kind)],
            hint="declare it in the stage's Outputs" if file in found else None,
        )
    return {name: store.take(f"{folder}/{file}") for name, file in outputs}


def failure(error: BaseException) -> dict[str, Any]:
    """An error as a message; one that is ours keeps its kind, others keep their traceback."""
    if isinstance(error, OSError) and error.errno in DISK:
        error = of_os_error(error)
    if isinstance(error, SpritebuildError):
        return {
            "failed": error.message,
            "kind": type(error).__name__,
            "where": error.where,
            "facts": error.facts,
            "hint": error.hint,
        }
    return {"failed": f"{type(error).__name__}: {error}", "traceback": "".join(traceback.format_exception(error))}


def raised(message: Mapping[str, Any], action: str) -> SpritebuildError:
    """The error of a `failed` message."""
    kind = getattr(errors, message.get("kind") or "StageError", StageError)
    facts = [("action", action), *message.get("facts", ())]
    error: SpritebuildError = kind(message["failed"], where=message.get("where"), facts=facts, hint=message.get("hint"))
    if message.get("traceback"):
        error.add_note(message["traceback"])
    return error


def as_child() -> IO[bytes]:
    """Have this process die with its parent, and leave Ctrl-C to it; returns where answers go, prints go elsewhere."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print is not an answer
    return answers


def main() -> None:
    """The child: read groups, run them, answer."""
    answers = as_child()
    groups: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    dropped: set[int] = set()
    threading.Thread(target=_listen, args=(sys.stdin.buffer, groups, dropped), daemon=True).start()
    stages: dict[str | None, Stages] = {}
    libraries = Libraries()
    while True:
        group = groups.get()
        own = group["own"]
        known = stages.setdefault(own, Stages(Path(own) if own else None))
        _run_group(known[group["stage"]], group, answers, libraries, dropped)


def _listen(stream: IO[bytes], groups: queue.SimpleQueue[dict[str, Any]], dropped: set[int]) -> None:
    for line in stream:
        message = json.loads(line)
        if "drop" in message:
            dropped.add(message["drop"])
        else:
            groups.put(message)
    os._exit(0)  # the parent is gone


def _run_group(
    stage: Stage, group: Mapping[str, Any], answers: IO[bytes], libraries: Libraries, dropped: Collection[int]
) -> None:
    def say(message: Mapping[str, Any]) -> None:
        answers.write(json.dumps(message).encode() + b"\n")
        answers.flush()

    def spent(what: str, began: float, ended: float) -> None:
        say({"spent": [what, began, ended]})

    context = Context(
        memory=Path(group["memory"]),
        threads=group["threads"],
        say=lambda text: say({"say": text}),
        spent=spent if group.get("profile") else None,
    )
    bound = [bind(stage, **action) for action in group["actions"]]
    started = time.monotonic()
    try:
        say({"stage": stage.kind, "platform": dict(stage.platform(context))})
        for index, notes in stage.run_batch(bound, context):
            seconds, versions = time.monotonic() - started, libraries.of(type(stage).__module__)
            say({"done": index, "notes": dict(notes or {}), "versions": versions, "seconds": seconds})
            if group["number"] in dropped:
                break
            started = time.monotonic()
        say({"end": True})
    except Exception as error:
        with contextlib.suppress(OSError):  # the log may be on the full disk that this is about
            traceback.print_exc()
        say(failure(error))


if __name__ == "__main__":
    main()
