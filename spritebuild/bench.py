"""Sprites per second of a project's own models on this machine, by the stage and the worker that builds use.

What is made is thrown away. The inputs are the project's own: prompts, sizes, samplers, steps, LoRAs.
"""

from __future__ import annotations

import queue
import secrets
import shutil
import time
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spritebuild.errors import MachineError, UsageError
from spritebuild.files import machine_errors
from spritebuild.graph import Action, Source
from spritebuild.project import Project
from spritebuild.stage import Stage
from spritebuild.status import Status
from spritebuild.worker import Worker, raised

BATCHES = 3  # of every look: the first tells of loading, the others of the rate


@dataclass
class Measured:
    """What making some actions took: when each was done, what was spent on what, and what the stage said."""

    started: float
    done: list[float] = field(default_factory=list)
    spent: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    notes: Mapping[str, Any] = field(default_factory=dict)
    platform: Mapping[str, str] = field(default_factory=dict)


def measure(project: Project, status: Status, *, models: Sequence[str], count: int | None, threads: int) -> list[Any]:
    """Measure every kind of work that this project gives to a device, or that of some models; slowest first.

    Raises UsageError where there is none, or where what it needs has to be built first.
    """
    looks = _looks(project, models)
    if not looks:
        what = f"no sprite uses {', '.join(models)}" if models else "no sprite is made by a model"
        raise UsageError(f"there is nothing to measure: {what}")
    rows = []
    for name, actions in looks:
        stage = project.stages[actions[0].stage]
        batch = stage.together(stage.Params.model_validate(actions[0].params))
        wanted = count or BATCHES * batch
        status.message(f"measuring {name}: {wanted} sprites like {actions[0].target}")
        repeated = [actions[number % len(actions)] for number in range(wanted)]
        rows.append(_row(name, actions[0], batch, _measured(project, stage, repeated, threads)))
    return sorted(rows, key=lambda row: float(row["sprites_per_second"] or 0))


def _looks(project: Project, models: Sequence[str]) -> list[tuple[str, list[Action]]]:
    """The actions that a model makes, by what they have in common; called by the model, and numbered if that is more.

    What is trained here, and not built yet, cannot be measured.
    """
    groups: dict[tuple[str, Hashable], list[Action]] = defaultdict(list)
    for action in project.graph.actions.values():
        refs = dict(action.inputs)
        model = refs.get("model")
        if "image" in refs or model is None or project.stages[action.stage].device == "cpu":
            continue
        if not all(isinstance(ref, Source) for ref in refs.values()):
            continue
        assert isinstance(model, Source)
        name = model.name.removeprefix("models.")
        if models and name not in models:
            continue
        stage = project.stages[action.stage]
        digests = {key: ref.digest for key, ref in refs.items() if isinstance(ref, Source)}
        groups[name, stage.affinity(stage.Params.model_validate(action.params), digests)].append(action)
    return [(name, actions) for (name, _), actions in groups.items()]


def _measured(project: Project, stage: Stage, actions: Sequence[Action], threads: int) -> Measured:
    declarations = project.declarations()
    paths = {
        source.name: str(
            project.remote.fetch(project.pins[source.name], declarations[source.name])
            if source.name in declarations
            else project.root / source.name
        )
        for _, source in actions[0].sources()
    }
    scratch = project.store.root / f"bench-{secrets.token_hex(4)}"
    with machine_errors():
        scratch.mkdir(parents=True)
    messages: queue.SimpleQueue[Mapping[str, Any]] = queue.SimpleQueue()
    try:
        started = time.monotonic()
        worker = Worker(scratch / "worker.log", lambda _, message: messages.put(message))
        try:
            worker.send(
                {
                    "stage": stage.kind,
                    "own": str(project.stages.own) if project.stages.own else None,
                    "memory": str(project.store.root / "probes"),
                    "threads": threads,
                    "profile": True,
                    "actions": [_bound(action, paths, scratch / str(number)) for number, action in enumerate(actions)],
                }
            )
            return _heard(messages, Measured(started), worker)
        finally:
            worker.stop()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _bound(action: Action, paths: Mapping[str, str], folder: Path) -> dict[str, Any]:
    folder.mkdir()
    return {
        "params": dict(action.params),
        "inputs": {key: paths[ref.name] for key, ref in action.sources()},
        "outputs": {key: str(folder / file) for key, file in action.outputs},
    }


def _heard(messages: queue.SimpleQueue[Mapping[str, Any]], found: Measured, worker: Worker) -> Measured:
    while True:
        message = messages.get()
        if "done" in message:
            found.done.append(time.monotonic())
            found.notes = message["notes"]
        elif "spent" in message:
            what, began, ended = message["spent"]
            found.spent[what].append(ended - began)
        elif "platform" in message:
            found.platform = message["platform"]
        elif "end" in message:
            return found
        elif "failed" in message:
            raise raised(message, "bench")
        elif "died" in message:
            raise MachineError(
                f"the worker process died (status {message['died']})",
                facts=[("log", line) for line in worker.last_words().splitlines()[-3:]],
            )


def _row(name: str, action: Action, batch: int, found: Measured) -> dict[str, Any]:
    """Figures of one look. The rate is that of all batches but the first, which waits for kernels to be chosen."""
    made = int(found.notes.get("batch", batch))
    rest = found.done[made:]
    seconds = found.done[-1] - found.done[made - 1] if rest else 0.0
    rate = len(rest) / seconds if seconds > 0 else None
    images = len(found.done)
    return {
        "model": name,
        "like": action.target,
        "stage": action.stage,
        "device": found.platform.get("gpu") or found.platform.get("device", ""),
        "params": {key: value for key, value in action.params.items() if key not in ("prompt", "negative", "seed")},
        "batch": made,
        "sprites": images,
        "load_seconds": round(sum(found.spent.get("load", ())), 3),
        "first_seconds": round(found.done[0] - found.started, 3),
        "sprites_per_second": round(rate, 3) if rate else None,
        "seconds_per_sprite": {
            what: round(sum(times) / images, 4) for what, times in found.spent.items() if what != "load"
        },
        "warnings": list(found.notes.get("warnings", ())),
    }
