"""Runs actions on the machines of a Ray cluster: hands groups to workers, and gives them to others when one dies.

This file alone knows Ray. What is made lies in the shared store before anything is heard of it, so a driver that is
killed has lost nothing, and needs none of the bytes but those it installs.
"""

from __future__ import annotations

import os
import queue
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spritebuild.elsewhere.afar import Afar, Worker
from spritebuild.elsewhere.outpost import code
from spritebuild.elsewhere.shipping import Bringing, Message, Shipping
from spritebuild.errors import MachineError, PolicyError, UsageError
from spritebuild.executor import Alike, Outcome, Tell, Waiting, Work
from spritebuild.project import Project
from spritebuild.shared import signed
from spritebuild.shared.supply import KEY, declared, require_writing
from spritebuild.shared.transport import Unreachable
from spritebuild.spritefile import SharedStore
from spritebuild.store import Damaged, Trace
from spritebuild.worker import raised

ADDRESS = "RAY_ADDRESS"
ANSWER = 10.0  # seconds for a cluster to answer
DEATHS = 4  # of workers that an action was given to, until it is held to be the cause
SUSPECTS = 2  # deaths after which an action is run alone
STARTS = 5  # workers in a row that may fail to start
MOST = 10_000  # workers
IDLE = 30.0  # seconds without work after which a worker's place is given back
LOOK = 1.0  # seconds between looks at what room the cluster has
TOLD = 15.0  # seconds without any worker after which that is said


@dataclass
class OnRay:
    """The executor. Its thread alone decides; everything else leaves notes in its inbox."""

    project: Project
    address: str
    limit: int | None = None  # of workers, with a GPU and without
    keep_going: bool = False
    threads: int = 1

    def __post_init__(self) -> None:
        said = declared(self.project)
        if said is None:
            hint = 'say [store] and url = "..." in the spritefile, or set SPRITEBUILD_STORE'
            raise UsageError("workers on other machines need a shared store, and this project has none", hint=hint)
        if said.traces == "none":
            hint = 'say traces = "signed" and trusted = [...], as docs/shared-store.md describes'
            raise UsageError('with traces = "none" nobody could find what a worker made', where="[store]", hint=hint)
        require_writing(said)
        self.said: SharedStore = said
        self.trusted = None if said.traces == "any" else said.trusted
        self._ray: Any = None

    # From the engine's thread

    def begin(self, sources: Mapping[str, Path], tell: Tell) -> None:
        self.sources = sources
        self.tell = tell
        self.inbox: queue.SimpleQueue[tuple[str, tuple[Any, ...]]] = queue.SimpleQueue()
        self.waiting = Waiting()
        self.workers: list[Worker] = []
        self.same: dict[str, list[Work]] = {}  # those of one key are run once
        self.deaths: Counter[str] = Counter()
        self.failed_starts = 0
        self.looked = self.began = time.monotonic()
        self.room = {"cpu": 1, "gpu": 1}
        self.gpus = 0.0
        self.thread: threading.Thread | None = None
        self.bringing = Bringing(self.project, self.said, self.trusted, tell)

    def submit(self, work: Work) -> None:
        if self.thread is None:
            self._connect()
            self.thread = threading.Thread(target=self._loop, name="ray-driver", daemon=True)
            self.thread.start()
        self.inbox.put(("submitted", (work,)))

    def stop(self) -> None:
        if self.thread is None:
            return
        self.inbox.put(("over", ()))
        self.thread.join()
        for worker in self.workers:
            worker.stop()
        self.bringing.stop()
        self._ray.shutdown()
        self.thread = None

    def _connect(self) -> None:
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        try:
            import ray
        except ImportError:
            raise MachineError("--executor ray needs Ray", hint='pip install "spritebuild[ray]"') from None
        self._require_answer()
        handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            ray.init(address=self.address, log_to_driver=False, configure_logging=False, namespace="spritebuild")
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise self._silence(str(error).strip().splitlines()[0]) from None
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)  # Ray takes them
        self._ray = ray
        self.gpus = float(ray.cluster_resources().get("GPU", 0))
        self.shipping = Shipping(self.project, self.said, self.trusted, self.sources, self.threads)
        self._actor = ray.remote(Afar)

    def _require_answer(self) -> None:
        """Raise MachineError if nobody listens at the address: Ray itself would try for minutes."""
        if "://" in self.address:
            hint = "run this on a machine of the cluster, or one that reaches all of its ports: say HOST:PORT"
            raise UsageError("is an address of Ray's client, which cannot hear workers", where=self.address, hint=hint)
        host, _, port = self.address.rpartition(":")
        if host and port.isdecimal():
            try:
                socket.create_connection((host, int(port)), ANSWER).close()
            except OSError as error:
                raise self._silence(error.strerror or str(error)) from None

    def _silence(self, why: str) -> MachineError:
        return MachineError(
            f"no Ray cluster answers: {why}",
            where=self.address,
            hint="start one with `ray start --head`, or name it: --ray-address, or RAY_ADDRESS",
        )

    # The driver's thread

    def _loop(self) -> None:
        try:
            while True:
                notes = [self._note()]
                while not self.inbox.empty():
                    notes.append(self._note())
                for kind, payload in notes:
                    if kind == "over":
                        return
                    getattr(self, f"_on_{kind}")(*payload)
                self._feed()
        except Unreachable as why:
            hint = "check the address, the network and the credentials; what was made is there, so build again"
            self._break(MachineError(f"the shared store cannot be reached: {why}", where=self.said.url, hint=hint))
        except Exception as error:
            if type(error).__module__.startswith("ray"):
                said = str(error).strip().splitlines()[0]
                error = MachineError(f"the Ray cluster is gone: {said}", where=self.address, hint="build again")
            self._break(error)

    def _note(self) -> tuple[str, tuple[Any, ...]]:
        try:
            return self.inbox.get(timeout=LOOK)
        except queue.Empty:
            return "nothing", ()

    def _break(self, error: BaseException) -> None:
        self.tell("broke", error)

    def _on_nothing(self) -> None:
        pass

    def _on_submitted(self, work: Work) -> None:
        if work.key in self.same:
            self.same[work.key].append(work)
            return
        self.same[work.key] = [work]
        self._queue(work)

    def _queue(self, work: Work) -> None:
        stage = work.stage
        place = "gpu" if stage.device != "cpu" and self.gpus else "cpu"
        affinity = stage.affinity(stage.Params.model_validate(work.action.params), work.inputs)
        self.waiting.add(Alike(place, work.action.stage, affinity), work)

    # Workers

    def _feed(self) -> None:
        """Give every idle worker a group; start workers where there is room, and give back what nobody needs."""
        for worker in [worker for worker in self.workers if worker.ready and not worker.busy]:
            count = sum(other.place == worker.place for other in self.workers)
            taken = self.waiting.take(worker.place, worker.last, worker.device, count)
            if taken is None:
                if time.monotonic() - worker.since > IDLE:
                    self._release(worker)
                continue
            alike, works = taken
            orders = [self.shipping.order(work) for work in works]
            self.shipping.ship(orders)
            worker.last, worker.group, worker.size = alike, dict(enumerate(works)), len(works)
            worker.busy, worker.since = True, time.monotonic()
            worker.send(alike.kind, orders)
            for work in works:
                for each in self.same[work.key]:
                    self.tell("begun", each.action.id)
        self._hire()

    def _hire(self) -> None:
        """Ask for workers: as many as there is work and room for, and one more, for which the cluster may grow."""
        now = time.monotonic()
        for place in ("gpu", "cpu"):
            coming = [worker for worker in self.workers if worker.place == place and not worker.ready]
            waiting = self.waiting.count(place)
            if not waiting:
                for worker in coming:
                    if now - worker.since > IDLE:
                        self._release(worker)  # else the cluster would grow for nothing
                continue
            if now - self.looked > LOOK or not self.workers:
                self.looked = now
                free = self._ray.available_resources()
                self.room["gpu"] = int(free.get("GPU", 0))
                self.room["cpu"] = int(free.get("CPU", 0) / self.threads)
            most = (self.limit or MOST) - sum(worker.place == place for worker in self.workers)
            wanted = min(max(1, self.room[place]), waiting) - len(coming)
            for _ in range(max(0, min(wanted, most))):
                self.workers.append(self._start(place))
                self.room[place] -= 1
        if not any(worker.ready for worker in self.workers) and self.workers and now - self.began > TOLD:
            self.tell("said", f"waiting for workers of the Ray cluster at {self.address}")
            self.began = now + 3600

    def _start(self, place: str) -> Worker:
        actor = self._actor.options(
            num_cpus=0 if place == "gpu" else self.threads,  # a GPU must not wait for CPUs that others hold
            num_gpus=1 if place == "gpu" else 0,
            max_restarts=0,  # a new one is ours to ask for, where there is room then
            scheduling_strategy="SPREAD",
        ).remote(self.shipping.setup)
        return Worker(place, actor, self._ray, lambda worker, message: self.inbox.put(("answer", (worker, message))))

    def _release(self, worker: Worker) -> None:
        self.workers.remove(worker)
        worker.stop()

    # What comes back

    def _on_answer(self, worker: Worker, message: Message) -> None:
        if worker not in self.workers:
            return  # it was given up
        if "hello" in message:
            self._greet(worker, message["hello"])
        elif "done" in message:
            self._settle(worker, message["done"], message["trace"], ran=True)
        elif "known" in message:
            self._settle(worker, message["known"], message["trace"], ran=False)
        elif "missing" in message:
            self._lacking(worker.group.pop(message["missing"]), message["artifact"])
        elif "device" in message:
            worker.device = message["device"]
        elif "say" in message:
            self.tell("said", message["say"])
        elif "end" in message or "failed" in message:
            left, worker.group = list(worker.group.values()), {}
            if "failed" in message:
                self._group_failed(left, message)
            elif worker.last is not None and worker.size:
                self.waiting.learn(worker.last, worker.device, worker.size, time.monotonic() - worker.since)
            worker.busy, worker.since = False, time.monotonic()
        elif "died" in message:
            self.workers.remove(worker)
            worker.stop()
            self._bury(worker, message["died"])

    def _greet(self, worker: Worker, facts: Message) -> None:
        if "failed" in facts:
            raise raised(facts, "a worker's start")
        host = facts["host"]
        if facts["code"] != code():
            raise MachineError(
                "a machine of the cluster has another spritebuild",
                where=host,
                facts=[("there", facts["version"])],
                hint="install the same version, from the same source, on every machine",
            )
        if self.trusted is not None and facts["public"] not in self.trusted:
            said = "has no key to sign traces with" if facts["public"] is None else "signs with a key nobody trusts"
            hint = f"set {KEY} in the environment that `ray start` has there, and its public key in [store] trusted"
            raise PolicyError(f"a machine of the cluster {said}", where=host, hint=hint)
        worker.ready, worker.since = True, time.monotonic()
        self.failed_starts = 0

    def _settle(self, worker: Worker, index: int, document: str, *, ran: bool) -> None:
        work = worker.group.pop(index)
        try:
            outputs, provenance = signed.read(document.encode(), work.key, self.trusted)
        except signed.Refused as refused:
            raise PolicyError(f"a worker's answer {refused}", where=work.action.id) from None
        if outputs.keys() != {name for name, _ in work.action.outputs}:
            raise PolicyError("a worker's answer speaks of other outputs", where=work.action.id)
        self.shipping.there |= {*outputs.values()}
        trace = Trace(outputs, provenance)
        for number, each in enumerate(self.same.pop(work.key)):
            outcome = Outcome(each.action.id, trace, ran=ran and number == 0)
            if each.wanted:
                self.bringing.put(outcome)
            else:
                self.tell("outcome", outcome)

    def _lacking(self, work: Work, artifact: str) -> None:
        """An input is neither here nor there, though somebody made it once: plan again, and it is made again."""
        self._fail([work], Damaged(artifact))

    def _group_failed(self, works: Sequence[Work], message: Message) -> None:
        """A failure takes its whole group along: with keep_going, each of them gets its own chance."""
        if self.keep_going and len(works) > 1:
            self.waiting.alone |= {work.action.id for work in works}
            for work in works:
                self._queue(work)
            return
        for work in works:
            self._fail([work], raised(message, work.action.id))

    def _bury(self, worker: Worker, why: str) -> None:
        """A worker is gone, with its machine perhaps: what it had not told goes to others."""
        if not worker.ready:
            self.failed_starts += 1
            if self.failed_starts >= STARTS:
                raise MachineError(
                    f"{STARTS} workers in a row did not start",
                    where=self.address,
                    facts=[("the last one", why)],
                    hint="is spritebuild installed on every machine, for the same Python?",
                )
            return
        left = list(worker.group.values())
        if left:
            self.tell("said", f"a worker is gone ({why}): {len(left)} actions go to another one")
        for work in left:
            id = work.action.id
            self.deaths[id] += 1
            if self.deaths[id] >= DEATHS:
                error = MachineError(
                    f"{DEATHS} workers died while they had it",
                    facts=[("the last one", why)],
                    hint="out of memory is the usual cause: a smaller batch or size",
                )
                self._fail([work], error)
                continue
            if self.deaths[id] >= SUSPECTS:
                self.waiting.alone.add(id)
            self._queue(work)

    def _fail(self, works: Iterable[Work], error: BaseException) -> None:
        for work in works:
            for each in self.same.pop(work.key):
                self.tell("outcome", Outcome(each.action.id, error=error))
