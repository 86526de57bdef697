"""A worker's process on a machine of the cluster, and the driver's end of it; asks for none and decides nothing."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from spritebuild.elsewhere.outpost import Outpost
from spritebuild.elsewhere.shipping import Message, Order, Setup
from spritebuild.executor import Alike, Work
from spritebuild.worker import failure


class Afar:
    """What runs in a worker's process on some machine of the cluster."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.outpost: Outpost | None = None

    def hello(self) -> Message:
        """Who this is; errors are told like any."""
        try:
            self.outpost = Outpost(self.setup)
            return self.outpost.facts()
        except Exception as error:
            return failure(error)

    def run(self, kind: str, orders: Sequence[Order]) -> Iterator[Message]:
        """Run a group, and answer as an outpost does."""
        assert self.outpost is not None
        yield from self.outpost.run(kind, orders)


class Worker:
    """The driver's end of a worker. Every answer goes to `answer(worker, message)`, from a thread, as for `worker.py`.

    `{"hello": facts}` comes first, then those of a group; `{"died": why}` is the last one ever.
    """

    def __init__(self, place: str, actor: Any, ray: Any, answer: Callable[[Worker, Message], None]) -> None:
        self.place = place
        self.device = ""
        self.last: Alike | None = None
        self.group: dict[int, Work] = {}
        self.size = 0
        self.since = time.monotonic()  # when it became idle, or was given its group
        self.ready = False
        self.busy = False  # until the group's end is told, which is after its last action's
        self.actor = actor
        self._ray = ray
        self._answer = answer
        self._orders: queue.SimpleQueue[tuple[str, Sequence[Order]] | None] = queue.SimpleQueue()
        threading.Thread(target=self._talk, name="ray-worker", daemon=True).start()

    def send(self, kind: str, orders: Sequence[Order]) -> None:
        """Give it a group."""
        self._orders.put((kind, orders))

    def stop(self) -> None:
        """End it at once; what it has not told is lost, unless it is in the shared store already."""
        self._orders.put(None)
        self._ray.kill(self.actor)

    def _talk(self) -> None:
        try:
            self._answer(self, {"hello": self._ray.get(self.actor.hello.remote())})
            while (orders := self._orders.get()) is not None:
                for answer in self.actor.run.remote(*orders):
                    self._answer(self, self._ray.get(answer))
        except BaseException as error:  # Ray's own, of which there are many kinds
            self._answer(self, {"died": f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"})
