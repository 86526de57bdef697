"""Examines a project's store and its models on this machine."""

from __future__ import annotations

import json
import queue
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spritebuild import idle
from spritebuild.alone import alone
from spritebuild.errors import SpritebuildError
from spritebuild.files import machine_errors
from spritebuild.graph import Action
from spritebuild.project import opened
from spritebuild.resolution.resolve import GENERATE
from spritebuild.status import Status
from spritebuild.store import Damaged, Store
from spritebuild.worker import Worker


def examine_store(path: Path) -> tuple[dict[str, Any], list[str]]:
    """Hash every blob; damaged ones are set aside. Returns facts and the digests of the damaged."""
    root = path.absolute().parent.resolve()
    state = idle.state_folder(root)
    if not state.exists():
        return {"blobs": 0}, []
    damaged: list[str] = []
    size = count = 0
    with alone(root, Status()), machine_errors():
        store = Store(state)
        for name, entry in list(store.blobs()):
            count += 1
            size += entry.stat().st_size
            try:
                store.checked(name)
            except Damaged:
                damaged.append(name)
        if damaged:
            idle.forget(root)
        traces = sum(1 for _ in store.all_outputs())
        store.close()
    return {"folder": str(state), "blobs": count, "megabytes": round(size / 1e6, 1), "traces": traces}, damaged


def repair_traces(path: Path) -> None:
    """Set the trace database aside; the next build makes a new one and finds the lock and the blobs as they were."""
    root = path.absolute().parent.resolve()
    with alone(root, Status()), machine_errors():
        idle.forget(root)
        for file in idle.state_folder(root).glob("traces.db*"):
            file.rename(file.with_name(f"damaged-{secrets.token_hex(4)}-{file.name}"))


def probe_models(path: Path) -> dict[str, str]:
    """Run one sprite of every model in a worker; says the device and whether batches may be trusted there."""
    found: dict[str, str] = {}
    with opened(path) as project:
        chosen: dict[str, Action] = {}
        for action in project.graph.actions.values():
            for _, source in action.sources():
                if action.stage == GENERATE and source.name.startswith("models."):
                    chosen.setdefault(source.name, action)
        declarations = project.declarations()
        messages: queue.SimpleQueue[Mapping[str, Any]] = queue.SimpleQueue()
        for name, action in chosen.items():
            scratch = project.store.root / f"doctor-{secrets.token_hex(4)}"
            scratch.mkdir(parents=True)
            try:
                inputs = {
                    key: str(project.remote.fetch(project.pins[source.name], declarations[source.name]))
                    for key, source in action.sources()
                }
                group = {
                    "stage": action.stage,
                    "own": None,
                    "memory": str(scratch),  # not the remembered verdict: the doctor looks anew
                    "threads": 1,
                    "actions": [
                        {
                            "params": dict(action.params),
                            "inputs": inputs,
                            "outputs": {key: str(scratch / file) for key, file in action.outputs},
                        }
                    ],
                }
                worker = Worker(scratch / "worker.log", lambda _, message: messages.put(message))
                try:
                    worker.send(group)
                    found[name] = _verdict(messages)
                finally:
                    worker.stop()
                    while "died" not in messages.get():
                        pass
            except SpritebuildError as error:
                found[name] = error.message
            finally:
                shutil.rmtree(scratch, ignore_errors=True)
    return found


def _verdict(messages: queue.SimpleQueue[Mapping[str, Any]]) -> str:
    platform: Mapping[str, str] = {}
    while True:
        message = messages.get()
        if "platform" in message:
            platform = message["platform"]
        elif "done" in message:
            notes = message["notes"]
            warnings = "; ".join(notes.get("warnings", ()))
            batch = f"batch {notes.get('batch', '?')}: {warnings or 'the same bytes in every slot'}"
            return f"{platform.get('device', '?')}, {batch}"
        elif "failed" in message:
            return str(message["failed"])
        elif "died" in message:
            messages.put(message)
            return f"the worker died: {json.dumps(message)}"
