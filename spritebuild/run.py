"""Runs what a plan says: CPU stages in threads of this process, accelerator stages in worker processes.

The order in which actions run, and who runs them, changes no byte. An action whose inputs turn out to have a known
trace is not run: that is decided here, when its inputs are known. Every finished action is stored at once.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import queue
import shutil
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spritebuild.errors import MachineError, SpritebuildError, StageError
from spritebuild.files import machine_errors
from spritebuild.graph import Action, Graph, Source
from spritebuild.plan import Plan, describe, input_digests
from spritebuild.stage import Context, Stage, Stages
from spritebuild.status import Status
from spritebuild.store import COMMIT_EVERY, Damaged, Description, Store, Trace
from spritebuild.worker import Worker, bind, failure, raised

GROUP = 16  # actions sent to a worker at once: a few batches, so that finishing overlaps with generation
WORTH_A_WORKER = 24  # waiting actions for which a second worker's start pays


@dataclass(frozen=True)
class Options:
    """How to run, none of which changes what comes out. `threads` of CPU kernels do, so they are the platform's."""

    jobs: int = 1
    keep_going: bool = False
    threads: int = 1
    workers: int | None = None  # at most; as many as jobs unless said


@dataclass
class Result:
    """What became of a plan: output digests, errors by action, and how the actions that ran are now described."""

    outputs: dict[str, Mapping[str, str]]
    failed: dict[str, SpritebuildError] = field(default_factory=dict)
    skipped: set[str] = field(default_factory=set)
    ran: dict[str, Trace] = field(default_factory=dict)
    described: dict[str, Description] = field(default_factory=dict)


def run(
    graph: Graph,
    plan: Plan,
    store: Store,
    stages: Stages,
    sources: Mapping[str, Path],
    options: Options,
    status: Status,
    finished: Callable[[Action, str, Mapping[str, str]], None],
    *,
    fresh: frozenset[str] = frozenset(),
) -> Result:
    """Run a plan. `sources` are the verified paths of pinned and project files by name.

    `finished` is called, in this thread, for every action whose outputs are complete. The actions in `fresh` run even
    if a trace is known. Raises the first failure unless `keep_going`; Damaged if a blob turned out to be.
    """
    runner = _Runner(graph, plan, store, stages, sources, options, status, finished, fresh)
    try:
        return runner.loop()
    finally:
        runner.stop()


@dataclass
class _Runner:
    graph: Graph
    plan: Plan
    store: Store
    stages: Stages
    sources: Mapping[str, Path]
    options: Options
    status: Status
    finished: Callable[[Action, str, Mapping[str, str]], None]
    fresh: frozenset[str]

    def __post_init__(self) -> None:
        reused = {d.action: d.outputs for d in self.plan.decisions.values() if d.verdict == "reuse" and d.outputs}
        self.result = Result(reused)
        self.unfinished = {d.action for d in self.plan.to_run()}
        self.missing = {
            id: len({ref.action for ref in self.graph.actions[id].producers()} & self.unfinished)
            for id in self.unfinished
        }
        self.ready = deque(id for id in self.plan.decisions if self.missing.get(id) == 0)
        self.keys: dict[str, tuple[str, Mapping[str, str]]] = {}
        self.events: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self.pool = ThreadPoolExecutor(self.options.jobs, thread_name_prefix="spritebuild")
        self.local = threading.local()
        self.context = Context(self.store.root / "probes", self.options.threads)
        self.in_pool = 0
        self.begun: list[Future[None]] = []
        self.waiting: dict[tuple[str, Hashable], deque[str]] = defaultdict(deque)
        self.workers: dict[Worker, list[str]] = {}
        self.platforms: dict[str, Mapping[str, str]] = {}
        self.alone: set[str] = set()
        self.numbers = itertools.count()
        self.folders: dict[str, str] = {}

    def loop(self) -> Result:
        while self.unfinished:
            while self.ready:
                self._dispatch(self.ready.popleft())
            self._feed_workers()
            if not self.unfinished:
                break
            if not self.in_pool and not any(self.workers.values()):
                break  # what is left waits for something that failed
            try:
                kind, payload = self.events.get(timeout=COMMIT_EVERY)
            except queue.Empty:
                self.store.commit()
            else:
                getattr(self, f"_on_{kind}")(*payload)
        self.result.skipped = self.unfinished - self.result.failed.keys()
        return self.result

    def stop(self) -> None:
        """End the workers and the threads. What was finished meanwhile is kept, whatever ended the build."""
        for worker in self.workers:
            worker.stop()
        for future in self.begun:
            future.cancel()
        with contextlib.suppress(MachineError), machine_errors():
            unheard = [*self._unheard()]
            for kind, payload in unheard:
                if kind == "answer" and "done" in payload[1]:
                    self._on_answer(*payload)
            self.pool.shutdown(wait=True)
            for kind, payload in [*unheard, *self._unheard()]:
                if kind == "stored":
                    self._record(*payload[:4])
            self.store.commit()
        self.pool.shutdown(wait=True)

    def _unheard(self) -> Iterator[tuple[str, Any]]:
        with contextlib.suppress(queue.Empty):
            while True:
                yield self.events.get_nowait()

    # Out

    def _dispatch(self, id: str) -> None:
        action = self.graph.actions[id]
        inputs = input_digests(action, self.result.outputs)
        assert inputs is not None, id
        key = action.key(inputs)
        self.keys[id] = key, inputs
        known = None if id in self.fresh else self.store.outputs(key)
        if known is not None and all(map(self.store.has, known.values())):
            self.status.reused(id, action.stage)
            self._complete(id, known)
            return
        stage = self.stages[action.stage]
        if stage.device == "cpu":
            self.in_pool += 1
            self.status.started(id, action.stage, self.plan.decisions[id].reason)
            self.begun.append(self.pool.submit(self._in_thread, stage, action, inputs))
        else:
            affinity = stage.affinity(stage.Params.model_validate(action.params), inputs)
            self.waiting[action.stage, affinity].append(id)

    def _feed_workers(self) -> None:
        """Give every idle worker a group; start workers as long as that pays."""
        while self.waiting:
            idle = next((worker for worker, group in self.workers.items() if not group), None)
            if idle is None:
                if len(self.workers) >= self._worker_limit():
                    return
                log = self.store.root / "logs" / f"worker-{len(self.workers)}.log"
                idle = Worker(log, lambda worker, message: self.events.put(("answer", (worker, message))))
                self.workers[idle] = []
            (kind, affinity), ids = next(iter(self.waiting.items()))
            group = [ids.popleft() for _ in range(min(len(ids), 1 if ids[0] in self.alone else GROUP))]
            if not ids:
                del self.waiting[kind, affinity]
            self.workers[idle] = group
            idle.send(
                {
                    "stage": kind,
                    "own": str(self.stages.own) if self.stages.own else None,
                    "memory": str(self.store.root / "probes"),
                    "threads": self.options.threads,
                    "actions": [self._message(id) for id in group],
                }
            )

    def _worker_limit(self) -> int:
        """One worker; more only where the device is the CPU and a second one's start is worth its seconds."""
        on_cpu = any(platform.get("device") == "cpu" for platform in self.platforms.values())
        if not self.workers or not on_cpu:
            return 1
        most = self.options.workers or self.options.jobs
        return most if sum(map(len, self.waiting.values())) >= WORTH_A_WORKER else 1

    def _message(self, id: str) -> dict[str, Any]:
        action = self.graph.actions[id]
        self.status.started(id, action.stage, self.plan.decisions[id].reason)
        self.folders[id] = self._new_folder()
        inputs, outputs = self._prepare(action, self.keys[id][1], self.folders[id])
        return {"params": dict(action.params), "inputs": inputs, "outputs": outputs}

    def _prepare(self, action: Action, inputs: Mapping[str, str], folder: str) -> tuple[dict[str, str], dict[str, str]]:
        """Checked paths of the inputs, and paths of the outputs in a scratch folder."""
        paths = {
            name: str(self.sources[ref.name]) if isinstance(ref, Source) else self.store.checked(inputs[name])
            for name, ref in action.inputs
        }
        return paths, {name: f"{folder}/{file}" for name, file in action.outputs}

    def _new_folder(self) -> str:
        folder = f"{self.store.scratch}/{next(self.numbers)}"
        os.mkdir(folder)
        return folder

    def _in_thread(self, stage: Stage, action: Action, inputs: Mapping[str, str]) -> None:
        started = time.monotonic()
        try:
            folder: str | None = getattr(self.local, "folder", None)
            if folder is None:  # one for each thread: a successful action leaves it empty
                folder = self.local.folder = self._new_folder()
            paths, outputs = self._prepare(action, inputs, folder)
            ((_, notes),) = stage.run_batch([bind(stage, action.params, paths, outputs)], self.context)
            digests = self._collect(action, folder)
            self.events.put(("stored", (action.id, digests, notes or {}, time.monotonic() - started, True)))
        except BaseException as error:
            self.local.folder = None
            self.events.put(("failed", (action.id, error, True)))

    def _collect(self, action: Action, folder: str) -> dict[str, str]:
        """Take the declared outputs into the store. Raises StageError for missing and for undeclared ones."""
        found = set(os.listdir(folder))
        for file in sorted(found.symmetric_difference(file for _, file in action.outputs)):
            fault = "wrote an undeclared file" if file in found else "did not write its output"
            raise StageError(
                f"{fault}, {file}",
                facts=[("stage", action.stage)],
                hint="declare it in the stage's Outputs" if file in found else None,
            )
        return {name: self.store.take(f"{folder}/{file}") for name, file in action.outputs}

    # In

    def _on_answer(self, worker: Worker, message: Mapping[str, Any]) -> None:
        group = self.workers.get(worker, [])
        if "done" in message:
            id = group[message["done"]]
            self.in_pool += 1
            self.pool.submit(self._store, id, message["notes"], message["seconds"])
            group[message["done"]] = ""
        elif "platform" in message:
            self.platforms[message["stage"]] = message["platform"]
        elif "end" in message:
            self.workers[worker] = []
        elif "failed" in message:
            self.workers[worker] = []
            self._group_failed([id for id in group if id], message)
        elif "say" in message:
            self.status.message(message["say"])
        elif "died" in message:
            left = [id for id in self.workers.pop(worker, []) if id]
            worker.stop()
            words = worker.last_words()
            error = MachineError(
                f"the worker process died (status {message['died']})",
                where=str(worker.log),
                facts=[("log", line) for line in words.splitlines()[-3:]],
                hint="out of memory is the usual cause: a smaller batch or size",
            )
            self._group_failed(left, failure(error))

    def _group_failed(self, ids: list[str], message: Mapping[str, Any]) -> None:
        """A failure takes its whole group along: with keep_going, each of them gets its own chance."""
        if self.options.keep_going and len(ids) > 1:
            for id in ids:
                shutil.rmtree(self.folders[id], ignore_errors=True)
                self.alone.add(id)
                self._dispatch(id)
            return
        for id in ids:
            self._on_failed(id, raised(message, id), False)

    def _store(self, id: str, notes: Mapping[str, Any], seconds: float) -> None:
        action = self.graph.actions[id]
        folder = self.folders.pop(id)
        try:
            digests = self._collect(action, folder)
            os.rmdir(folder)
            self.events.put(("stored", (id, digests, notes, seconds, True)))
        except BaseException as error:
            self.events.put(("failed", (id, error, True)))

    def _on_stored(
        self, id: str, digests: Mapping[str, str], notes: Mapping[str, Any], seconds: float, pooled: bool
    ) -> None:
        self.in_pool -= pooled
        self._record(id, digests, notes, seconds)
        self._complete(id, digests)

    def _record(self, id: str, digests: Mapping[str, str], notes: Mapping[str, Any], seconds: float) -> None:
        action = self.graph.actions[id]
        stage = self.stages[action.stage]
        if action.stage not in self.platforms:  # a worker says so itself, before its first action
            self.platforms[action.stage] = stage.platform(self.context)
        trace = Trace(digests, {"platform": dict(self.platforms[action.stage]), "seconds": round(seconds, 4), **notes})
        for warning in notes.get("warnings", ()):
            self.status.warning(f"{id}: {warning}")
        key, _ = self.keys[id]
        self.store.record(key, id, trace, now=stage.device != "cpu")
        self.result.ran[id] = trace
        self.status.finished(id, action.stage, seconds)

    def _on_failed(self, id: str, error: BaseException, pooled: bool) -> None:
        self.in_pool -= pooled
        if isinstance(error, Damaged) or not isinstance(error, Exception):
            raise error
        if isinstance(error, OSError):
            with machine_errors():
                raise error
        if pooled or not isinstance(error, SpritebuildError):
            error = raised(failure(error), id)  # names the action
        if not self.options.keep_going:
            raise error
        self.result.failed[id] = error
        self.status.failed(id, self.graph.actions[id].stage, str(error))

    def _complete(self, id: str, digests: Mapping[str, str]) -> None:
        action = self.graph.actions[id]
        key, inputs = self.keys.pop(id)
        self.result.described[id] = describe(action, key, inputs)
        self.result.outputs[id] = digests
        self.unfinished.discard(id)
        self.finished(action, key, digests)
        for consumer in self.graph.consumers.get(id, ()):
            if consumer in self.missing:
                self.missing[consumer] -= 1
                if self.missing[consumer] == 0 and consumer in self.unfinished:
                    self.ready.append(consumer)
