"""Workers that outlive a build, so that the models they loaded stay loaded; decides nothing about what they run."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spritebuild.worker import Worker


@dataclass
class Crew:
    """The idle workers of one project, whose build takes them and gives them back. Used by one thread."""

    idle: list[Worker] = field(default_factory=list)

    def hire(self, logs: Path, busy: Collection[Worker], answer: Callable[[Worker, Mapping[str, Any]], None]) -> Worker:
        """A worker that answers so from now on: one that was given back and lives, or a new one."""
        while self.idle:
            worker = self.idle.pop(0)
            if worker.hear(answer):
                return worker
            worker.stop()
        taken = {worker.log for worker in busy}
        log = next(log for n in range(len(taken) + 1) if (log := logs / f"worker-{n}.log") not in taken)
        return Worker(log, answer)

    def release(self, worker: Worker) -> None:
        """Take back a worker that has nothing to do."""
        self.idle.append(worker)

    def dismiss(self) -> None:
        """End them all, at once."""
        while self.idle:
            self.idle.pop().stop()
