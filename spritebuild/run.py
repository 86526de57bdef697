"""Runs what a plan says: CPU stages in threads of this process, accelerator stages in worker processes; or elsewhere.

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
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from spritebuild.crew import Crew
from spritebuild.errors import MachineError, SpritebuildError, Superseded
from spritebuild.executor import Executor, Outcome, Work, in_common
from spritebuild.files import machine_errors
from spritebuild.graph import Action, Graph, Source
from spritebuild.libraries import Libraries
from spritebuild.plan import Plan, describe, input_digests
from spritebuild.spans import Spans, timed
from spritebuild.stage import Context, Stages
from spritebuild.status import Status
from spritebuild.store import COMMIT_EVERY, Damaged, Description, Store, Trace
from spritebuild.worker import Worker, bind, collected, failure, raised

GROUP = 16  # actions sent to a worker at once: a few batches, so that finishing overlaps with generation
WORTH_A_WORKER = 24  # waiting actions for which a second worker's start pays
PATIENCE = 5.0  # seconds that a kept worker gets to finish an action that nobody waits for any more
HEAR_EVERY = 0.05  # seconds: what threads finish meanwhile is heard together, since to wake up costs more than to work
SHORT = 0.001  # seconds of an action that gains nothing from a second thread: the interpreter runs one at a time
DISPATCH = 500  # ready actions handed out before what has finished is heard

Look = Callable[[Mapping[str, Action]], None]  # brings traces of keys, and their bytes, into the store, if it can


@dataclass(frozen=True)
class Options:
    """How to run, none of which changes what comes out. `threads` of CPU kernels do, so they are the platform's."""

    jobs: int = 1
    keep_going: bool = False
    threads: int = 1
    workers: int | None = None  # at most; as many as jobs unless said
    spans: Spans | None = None  # where somebody asked what takes how long
    regroup: bool = False  # whether workers get other groups than a build would give them: other neighbors in a batch
    crew: Crew | None = None  # keeps the workers for the next build; without one they end with this one
    stop: threading.Event | None = None  # set by another thread once the build is not wanted any more
    executor: Executor | None = None  # who runs everything instead, elsewhere


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
    look: Look | None = None,
) -> Result:
    """Run a plan. `sources` are the verified paths of pinned and project files by name.

    `finished` is called, in this thread, for every action whose outputs are complete. The actions in `fresh` run even
    if a trace is known. `look` is asked for the traces of keys that only this run makes known. Raises the first failure
    unless `keep_going`; Superseded once it is told to stop; Damaged if a blob turned out to be.
    """
    runner = _Runner(graph, plan, store, stages, sources, options, status, finished, fresh, look)
    try:
        result = runner.loop()
        runner.rest()
        return result
    except Superseded:
        runner.rest()
        raise
    finally:
        runner.stop()


class _Outcome(NamedTuple):
    """What became of an action; `folder` holds its outputs until they are taken into the store."""

    id: str
    notes: Mapping[str, Any]
    seconds: float
    folder: str = ""
    digests: Mapping[str, str] = {}
    error: BaseException | None = None
    trace: Trace | None = None  # of what ran elsewhere


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
    look: Look | None

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
        self.context = Context(self.store.root / "probes", self.options.threads)
        self.threads = 0  # of the pool, at work
        self.lasted: dict[str, float] = {}  # seconds of the last action of each stage in a thread
        self.heard = threading.Event()  # not while what threads finished is heard: they begin no short action then
        self.short = threading.Lock()  # of the one thread that runs short actions
        self.to_run: deque[str] = deque()
        self.to_take: deque[_Outcome] = deque()
        self.done: deque[_Outcome] = deque()
        self.made: dict[str, Mapping[str, str]] = {}
        self.waiting: dict[tuple[str, Hashable], deque[str]] = defaultdict(deque)
        self.workers: dict[Worker, list[str]] = {}
        self.loaded: dict[Worker, tuple[str, Hashable]] = {}  # what each did last: a stage, and an affinity
        self.platforms: dict[str, Mapping[str, str]] = {}
        self.libraries = Libraries()
        self.alone: set[str] = set()
        self.numbers = itertools.count()
        self.folders: dict[str, str] = {}
        self.elsewhere: set[str] = set()
        if self.options.executor is not None:
            self.options.executor.begin(self.sources, lambda kind, *payload: self.events.put((kind, payload)))

    def loop(self) -> Result:
        while True:
            if self.options.stop is not None and self.options.stop.is_set():
                raise Superseded("superseded; everything finished so far is stored")
            batch = [self.ready.popleft() for _ in range(min(len(self.ready), DISPATCH))]
            self._look_elsewhere(batch)
            for id in batch:
                self._dispatch(id)
            self._feed_threads()
            self._feed_workers()
            if not self.unfinished:
                break
            if not (self.ready or self.done or self.threads or self.elsewhere or any(self.workers.values())):
                break  # what is left waits for something that failed
            wait = HEAR_EVERY if self.threads or self.options.stop is not None else COMMIT_EVERY
            event = None
            self.heard.set()
            with contextlib.suppress(queue.Empty):
                event = self.events.get(block=not (self.ready or self.done), timeout=wait)
            self.heard.clear()
            if event is None:
                self.store.commit(when_due=True)
            else:
                kind, payload = event
                getattr(self, f"_on_{kind}")(*payload)
            while self.done:
                self._finish(self.done.popleft())
        self.result.skipped = self.unfinished - self.result.failed.keys()
        return self.result

    def rest(self) -> None:
        """Let the workers that will be kept finish the action at hand, if they do so before long."""
        if self.options.crew is None:
            return
        for worker, group in self.workers.items():
            if any(group):
                worker.drop()
        until = time.monotonic() + PATIENCE
        with contextlib.suppress(queue.Empty):
            while any(self._finishes_soon(group) for group in self.workers.values()):
                kind, payload = self.events.get(timeout=max(0.0, until - time.monotonic()))
                if kind == "answer" and "failed" in payload[1]:
                    self.workers[payload[0]] = []  # of what nobody waits for any more
                else:
                    getattr(self, f"_on_{kind}")(*payload)

    def _finishes_soon(self, group: list[str]) -> bool:
        """Whether a worker is at something that is worth waiting for; a training goes on from its checkpoint."""
        return bool(group) and not any(id and self.stages[self.graph.actions[id].stage].resumable for id in group)

    def stop(self) -> None:
        """End the workers and the threads. What was finished meanwhile is kept, whatever ended the build."""
        self.heard.set()
        for worker, group in self.workers.items():
            if self.options.crew is not None and not group:
                self.options.crew.release(worker)
            else:
                worker.stop()
        if self.options.executor is not None:
            self.options.executor.stop()
        self.to_run.clear()
        with contextlib.suppress(MachineError), machine_errors():
            with contextlib.suppress(queue.Empty):
                while True:
                    kind, payload = self.events.get_nowait()
                    if kind == "answer" and "done" in payload[1]:
                        self._on_answer(*payload)
                    elif kind == "outcome":
                        self._on_outcome(*payload)
            self.pool.shutdown(wait=True)
            self._in_thread()  # what is left to take
            for outcome in self.done:
                if outcome.error is None:
                    self._record(outcome)
            self.store.commit()
        self.pool.shutdown(wait=True)

    # Out

    def _look_elsewhere(self, ids: list[str]) -> None:
        """Look for what only this run's outputs make it possible to ask for: the plan could not know those keys."""
        if self.look is None:
            return
        unknown: dict[str, Action] = {}
        for id in ids:
            if id not in self.fresh and not self._planned(id):
                key, _ = self._keyed(id)
                if key not in self.made and self.store.outputs(key) is None:
                    unknown[key] = self.graph.actions[id]
        if unknown:
            self.look(unknown)

    def _planned(self, id: str) -> str | None:
        """The key of an action, where the plan knew it: then it has looked for a trace."""
        decision = self.plan.decisions[id]
        return decision.key if decision.verdict == "run" else None

    def _keyed(self, id: str) -> tuple[str, Mapping[str, str]]:
        """The key of an action whose inputs are known, and their digests."""
        if id not in self.keys:
            action = self.graph.actions[id]
            inputs = input_digests(action, self.result.outputs)
            assert inputs is not None, id
            self.keys[id] = self._planned(id) or action.key(inputs), inputs
        return self.keys[id]

    def _dispatch(self, id: str) -> None:
        action = self.graph.actions[id]
        key, inputs = self._keyed(id)
        if id not in self.fresh:
            known = self.made.get(key) or (None if self._planned(id) else self.store.outputs(key))
            if known is not None and all(map(self.store.has, known.values())):
                self.status.reused(id, action.stage)
                self._complete(id, known)
                return
        stage = self.stages[action.stage]
        if self.options.executor is not None:
            wanted = bool(action.installs) or id in self.plan.targets
            self.elsewhere.add(id)
            self.options.executor.submit(Work(action, stage, key, inputs, id in self.fresh, wanted))
        elif stage.device == "cpu":
            self.status.started(id, action.stage, self.plan.decisions[id].reason)
            self.to_run.append(id)
        else:
            affinity = stage.affinity(stage.Params.model_validate(action.params), inputs)
            self.waiting[action.stage, affinity].append(id)

    def _feed_threads(self) -> None:
        for _ in range(min(len(self.to_run) + len(self.to_take), self.options.jobs - self.threads)):
            self.threads += 1
            self.pool.submit(self._in_thread)

    def _feed_workers(self) -> None:
        """Give every idle worker a group; start workers as long as that pays."""
        while self.waiting:
            idle = next((worker for worker, group in self.workers.items() if not group), None)
            if idle is None:
                if len(self.workers) >= self._worker_limit():
                    return
                idle = (self.options.crew or Crew()).hire(self.store.root / "logs", self.workers, self._hear)
                self.workers[idle] = []
            kind, affinity = self.loaded[idle] = self._most_alike(self.loaded.get(idle))
            ids = self.waiting[kind, affinity]
            most = 1 if ids[0] in self.alone else min(len(ids), self._group(kind, ids[0]))
            group = [ids.popleft() for _ in range(max(1, most - 1) if self.options.regroup else most)]
            if not ids:
                del self.waiting[kind, affinity]
            self.workers[idle] = group
            idle.send(
                {
                    "stage": kind,
                    "own": str(self.stages.own) if self.stages.own else None,
                    "memory": str(self.store.root / "probes"),
                    "threads": self.options.threads,
                    "profile": self.options.spans is not None,
                    "actions": [self._message(id) for id in group],
                }
            )

    def _hear(self, worker: Worker, message: Mapping[str, Any]) -> None:
        self.events.put(("answer", (worker, message)))

    def _most_alike(self, last: tuple[str, Hashable] | None) -> tuple[str, Hashable]:
        """What waits and has most in common with what a worker did last; of equals, what has waited longest."""
        if last is None:
            return next(iter(self.waiting))
        return max(self.waiting, key=lambda other: in_common(last, other))

    def _group(self, kind: str, first: str) -> int:
        """How many actions go to a worker at once: about GROUP, in whole batches, since short ones are padded."""
        stage = self.stages[kind]
        batch = stage.together(stage.Params.model_validate(self.graph.actions[first].params))
        return -(-GROUP // batch) * batch

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
        return self._prepare(action, self.folders[id])

    def _prepare(self, action: Action, folder: str) -> dict[str, Any]:
        """What `bind` takes: checked paths of the inputs, paths of the outputs in a scratch folder."""
        key, inputs = self.keys[action.id]
        paths = {
            name: str(self.sources[ref.name]) if isinstance(ref, Source) else self.store.checked(inputs[name])
            for name, ref in action.inputs
        }
        outputs = {name: f"{folder}/{file}" for name, file in action.outputs}
        prepared: dict[str, Any] = {"params": dict(action.params), "inputs": paths, "outputs": outputs}
        if self.stages[action.stage].resumable:
            prepared["kept"] = str(self.store.kept(key))
            prepared["watched"] = f"{self.store.root}/watched/{action.target}/{key[:12]}"
        return prepared

    def _new_folder(self) -> str:
        folder = f"{self.store.scratch}/{next(self.numbers)}"
        os.mkdir(folder)
        return folder

    def _in_thread(self) -> None:
        """Take what a worker made, then run what waits for a thread, until there is neither.

        Threads that take turns at the interpreter spend more on that than a short action costs: so one thread runs
        these, and none while this build's own thread hears what is finished. What lasts longer than it did the last
        time keeps the others waiting for a moment only.
        """
        folder = ""
        alone = False
        with contextlib.suppress(IndexError):
            while True:
                if self.to_take:
                    self.done.append(self._taken(self.to_take.popleft()))
                    continue
                id = self.to_run.popleft()
                kind = self.graph.actions[id].stage
                short = self.lasted.get(kind, SHORT) < SHORT
                if short and not alone:
                    alone = self.short.acquire(timeout=HEAR_EVERY)
                elif alone and not short:
                    self.short.release()
                    alone = False
                outcome = self._ran(id, folder)
                if outcome.error is None:
                    self.lasted[kind] = outcome.seconds
                folder = outcome.folder
                self.done.append(outcome)
                if short and not self.heard.is_set():
                    self.heard.wait()
        if alone:
            self.short.release()
        self.events.put(("rest", ()))

    def _ran(self, id: str, folder: str) -> _Outcome:
        """Run a CPU stage, in the folder that the action before left empty."""
        started = time.monotonic()
        action = self.graph.actions[id]
        inputs: Mapping[str, str] = {}
        try:
            stage = self.stages[action.stage]
            folder = folder or self._new_folder()
            prepared = self._prepare(action, folder)
            inputs = prepared["inputs"]
            with timed(self.options.spans, action.stage, id):
                ((_, notes),) = stage.run_batch([bind(stage, **prepared)], self.context)
            notes = {**(notes or {}), "versions": self.libraries.of(type(stage).__module__)}
            with timed(self.options.spans, "store", id):
                digests = self._collect(action, folder)
            return _Outcome(id, notes, time.monotonic() - started, folder, digests)
        except SpritebuildError as error:
            error.message = _in_the_users_words(error.message, action, inputs)
            return _Outcome(id, {}, 0, error=error)
        except BaseException as error:
            return _Outcome(id, {}, 0, error=error)

    def _taken(self, made: _Outcome) -> _Outcome:
        """Store what a worker made."""
        try:
            with timed(self.options.spans, "store", made.id):
                digests = self._collect(self.graph.actions[made.id], made.folder)
            os.rmdir(made.folder)
            return made._replace(digests=digests)
        except BaseException as error:
            return made._replace(error=error)

    def _collect(self, action: Action, folder: str) -> dict[str, str]:
        return collected(self.store, action.stage, action.outputs, folder)

    # In

    def _on_answer(self, worker: Worker, message: Mapping[str, Any]) -> None:
        group = self.workers.get(worker, [])
        if "done" in message:
            id = group[message["done"]]
            group[message["done"]] = ""
            notes = {**message["notes"], "versions": message["versions"]}
            self.to_take.append(_Outcome(id, notes, message["seconds"], self.folders.pop(id)))
        elif "platform" in message:
            self.platforms[message["stage"]] = message["platform"]
        elif "end" in message:
            self.workers[worker] = []
        elif "failed" in message:
            self.workers[worker] = []
            self._group_failed([id for id in group if id], message)
        elif "spent" in message:
            if self.options.spans is not None:
                what, began, ended = message["spent"]
                self.options.spans.add(what, worker.log.stem, began, ended)
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
            self._fail(id, raised(message, id))

    def _on_begun(self, id: str) -> None:
        self.status.started(id, self.graph.actions[id].stage, self.plan.decisions[id].reason)

    def _on_said(self, text: str) -> None:
        self.status.message(text)

    def _on_broke(self, error: BaseException) -> None:
        raise error

    def _on_outcome(self, outcome: Outcome) -> None:
        """What an executor says of an action: its trace is in the shared store, and in ours before anything else."""
        id = outcome.id
        self.elsewhere.discard(id)
        if outcome.trace is None:
            self.done.append(_Outcome(id, {}, 0, error=outcome.error))
            return
        digests, provenance = outcome.trace.outputs, outcome.trace.provenance
        if not outcome.ran:
            self.store.record(self.keys[id][0], id, outcome.trace)
            self.status.reused(id, self.graph.actions[id].stage)
            self._complete(id, digests)
            return
        self.done.append(
            _Outcome(id, provenance, float(provenance.get("seconds", 0)), digests=digests, trace=outcome.trace)
        )

    def _on_rest(self) -> None:
        self.threads -= 1

    def _finish(self, outcome: _Outcome) -> None:
        error = outcome.error
        if error is None:
            self._record(outcome)
            self._complete(outcome.id, outcome.digests)
        elif isinstance(error, Damaged) or not isinstance(error, Exception):
            raise error
        elif isinstance(error, OSError):
            with machine_errors():
                raise error
        else:
            self._fail(outcome.id, raised(failure(error), outcome.id))

    def _record(self, outcome: _Outcome) -> None:
        id = outcome.id
        kind = self.graph.actions[id].stage
        stage = self.stages[kind]
        if kind not in self.platforms and outcome.trace is None:  # a worker says so itself, before its first action
            self.platforms[kind] = stage.platform(self.context)
        trace = outcome.trace
        if trace is None:
            said = {"platform": dict(self.platforms[kind]), "seconds": round(outcome.seconds, 4), **outcome.notes}
            trace = Trace(outcome.digests, said)
        for warning in outcome.notes.get("warnings", ()):
            self.status.warning(f"{id}: {warning}")
        key, _ = self.keys[id]
        with timed(self.options.spans, "store", id):
            self.store.record(key, id, trace, now=stage.device != "cpu" and outcome.trace is None)
        self.made[key] = outcome.digests
        if stage.resumable and outcome.trace is None:
            self.store.commit()
            shutil.rmtree(self.store.kept(key), ignore_errors=True)
        self.result.ran[id] = trace
        self.status.finished(id, kind, outcome.seconds)

    def _fail(self, id: str, error: SpritebuildError) -> None:
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


def _in_the_users_words(message: str, action: Action, paths: Mapping[str, str]) -> str:
    """A stage's message with the names of its inputs where it gives their places in the store."""
    refs = dict(action.inputs)
    for name, path in paths.items():
        ref = refs[name]
        if not isinstance(ref, Source):
            message = message.replace(path, ref.action.partition(":")[0])
    return message
