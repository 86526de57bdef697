"""Several processes that train one model, each on a device of its own; they share the batches of every step.

A step has `accumulation` batches. Process r of n computes every n-th of them, and the sum of all gradients is what the
optimizer sees: the effective batch and every draw are those of one process. The first process saves, shows and writes.
Run as a module, this is one of these processes.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import pickle
import queue
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import IO, TYPE_CHECKING, Any

from spritebuild.errors import MachineError, SpritebuildError, StageError, UsageError
from spritebuild.stage import BoundAction, Context, Notes

if TYPE_CHECKING:
    import torch

    from spritebuild_stages.training.loop import TrainingStage

NUMBER = "SPRITEBUILD_PROCESSES"  # how many processes train; without it, as many as there are CUDA devices
WORDS = 2000  # characters of what a process wrote before it died


class Done(Exception):  # noqa: N818 - nothing went wrong
    """Raised at the end of a training in every process but the first: what is left to do is the first one's."""


@dataclass(frozen=True)
class Team:
    """The processes of a training, as one of them sees them."""

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this process saves, shows and writes."""
        return self.rank == 0

    def share(self, batches: int) -> range:
        """Which of the batches of a step this process computes."""
        return range(self.rank, batches, self.size)

    def sum(self, tensors: Iterable[torch.Tensor]) -> None:
        """Put the sum over all processes into each tensor, in place; all of them travel as one."""
        if self.size == 1:
            return
        import torch
        from accelerate.utils import reduce

        parts = list(tensors)
        total = reduce(torch.cat([part.detach().flatten().float() for part in parts]), reduction="sum")
        at = 0
        for part in parts:
            part.data.copy_(total[at : at + part.numel()].view_as(part))
            at += part.numel()


_team = Team()


def team() -> Team:
    """The processes that this one trains with: itself alone, unless it was started by `run`."""
    return _team


def wanted() -> int:
    """How many processes there may be. Raises UsageError for a number that is none."""
    told = os.environ.get(NUMBER, "")
    if told:
        if not told.isdecimal() or int(told) < 1:
            raise UsageError(f"{NUMBER}={told}: a number of processes is 1 or more", hint=f"unset {NUMBER}")
        return int(told)
    if os.environ.get("SPRITEBUILD_DEVICE"):
        return 1
    from spritebuild_stages import _torch

    torch = _torch.start(1)
    return max(1, int(torch.cuda.device_count()))


def number(accumulation: int) -> int:
    """How many processes train: at most as many as may be, and so that each computes equally many batches of a step."""
    if accumulation == 1 and not os.environ.get(NUMBER):
        return 1  # there is nothing to share: what is declared wrongly is found before torch is imported
    return next(size for size in range(min(wanted(), accumulation), 0, -1) if accumulation % size == 0)


def run(stage: TrainingStage, action: BoundAction, context: Context, size: int) -> Notes:
    """Train in that many processes; none of them outlives this call, nor the process that calls.

    Raises what one of them raised, and StageError if one died.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    told = pickle.dumps((type(stage).__module__, type(stage).__name__, action, replace(context, say=print)))
    context.say(f"training in {size} processes")
    answers: queue.SimpleQueue[tuple[int, str, Any]] = queue.SimpleQueue()
    members = [_Member(rank, size, port, told, answers) for rank in range(size)]
    try:
        left = set(range(size))
        notes: Notes = {}
        while left:
            rank, kind, what = answers.get()
            if kind == "say":
                context.say(what)
            elif kind == "end":
                left.discard(rank)
                notes = what if rank == 0 else notes
            else:
                raise _worst([(kind, what), *_others(answers, members)])
        return notes
    finally:
        for member in members:
            member.stop()


class _Member:
    """One of the processes, as the one that started them sees it."""

    def __init__(self, rank: int, size: int, port: int, told: bytes, answers: queue.SimpleQueue[Any]) -> None:
        place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size, "LOCAL_WORLD_SIZE": size, "MASTER_PORT": port}
        self._rank, self._answers = rank, answers
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={
                **os.environ,
                **{name: str(value) for name, value in place.items()},
                "MASTER_ADDR": "127.0.0.1",
                "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            },
        )
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it died at once, and is heard of below
            self._process.stdin.write(told)
            self._process.stdin.flush()
        self._last_words = b""
        self._errors = threading.Thread(target=self._listen, daemon=True)
        self._errors.start()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def stop(self) -> None:
        """End it, if it has not ended."""
        self._process.kill()
        self._process.wait()
        self._reader.join()
        self._errors.join()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            with contextlib.suppress(BrokenPipeError):
                assert stream is not None
                stream.close()

    def _listen(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._last_words = (self._last_words + line)[-WORDS:]

    def _read(self) -> None:
        assert self._process.stdout is not None
        kind = ""
        with contextlib.suppress(EOFError, pickle.UnpicklingError):  # it was killed, at worst while it wrote
            while kind not in ("end", "failed"):
                kind, what = pickle.load(self._process.stdout)
                self._answers.put((self._rank, kind, what))
        status = self._process.wait()
        if kind not in ("end", "failed"):
            self._errors.join()
            self._answers.put((self._rank, "died", (status, self._last_words.decode(errors="replace").strip())))


def _others(answers: queue.SimpleQueue[Any], members: Sequence[_Member]) -> list[tuple[str, Any]]:
    """What else was said: where one process fails, the others fail to reach it, and may be heard first."""
    found = []
    with contextlib.suppress(queue.Empty):
        for _ in members[1:]:
            _, kind, what = answers.get(timeout=2.0)
            if kind in ("failed", "died"):
                found.append((kind, what))
    return found


def _worst(said: Sequence[tuple[str, Any]]) -> Exception:
    """The error that tells most: one of ours, then a death, then whatever came first."""
    failures = [what for kind, what in said if kind == "failed"]
    for error in failures:
        if isinstance(error, SpritebuildError):
            return error
    for kind, what in said:
        if kind == "died":
            return StageError(
                f"a process of the training ended with status {what[0]}",
                facts=[("its last words", what[1].splitlines()[-1] if what[1] else "none")],
                hint=f"build again: the training goes on where it was saved; or set {NUMBER}=1",
            )
    error = failures[0]
    return error if isinstance(error, Exception) else StageError(str(error))


# The other end


def main() -> None:
    """One of the processes: read what to train, train, answer; leave with the process that started it."""
    global _team
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print is not an answer
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    module, name, action, context = pickle.load(sys.stdin.buffer)
    threading.Thread(target=_leave_with, args=(sys.stdin.buffer,), daemon=True).start()

    def answer(kind: str, what: Any) -> None:
        answers.write(pickle.dumps((kind, what)))
        answers.flush()

    _team = Team(rank, size)
    try:
        stage = getattr(importlib.import_module(module), name)()
        _join(rank, context.threads)
        if rank:
            answer("end", _follow(stage, action, replace(context, say=lambda _: None)))
        else:
            answer("end", stage.train(action, replace(context, say=lambda text: answer("say", text))))
    except Exception as error:
        answer("failed", _portable(error))
    answers.close()
    os._exit(0)  # nobody waits for the others to take their leave


def _follow(stage: TrainingStage, action: BoundAction, context: Context) -> Mapping[str, Any]:
    with contextlib.suppress(Done):
        stage.train(replace(action, watched=None), context)
    return {}


def _join(rank: int, threads: int) -> None:
    """Take a device, and meet the others there."""
    from spritebuild_stages import _torch

    torch = _torch.start(threads)
    if not os.environ.get("SPRITEBUILD_DEVICE") and torch.cuda.is_available():
        if torch.cuda.device_count() <= rank:
            raise MachineError(
                f"{torch.cuda.device_count()} CUDA devices for {os.environ['WORLD_SIZE']} processes",
                hint=f"set a smaller {NUMBER}",
            )
        os.environ["SPRITEBUILD_DEVICE"] = f"cuda:{rank}"
    on_cpu = not _torch.device(torch).startswith("cuda")
    from accelerate import PartialState

    PartialState(cpu=on_cpu, **({"backend": "gloo"} if on_cpu else {}))


def _portable(error: Exception) -> Exception:
    """An error that survives the way to another process."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return StageError(f"{type(error).__name__}: {error}")
    return error


def _leave_with(stream: IO[bytes]) -> None:
    stream.read()
    os._exit(1)  # who started this is gone


if __name__ == "__main__":
    from spritebuild_stages.training import parallel

    parallel.main()  # of the module that the loop imports, which this one is not
