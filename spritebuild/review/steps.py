"""Pictures on the way to an asset: what its actions gave, and a finishing list op by op; knows no pixels."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spritebuild import digest
from spritebuild.errors import SpritebuildError
from spritebuild.files import machine_errors
from spritebuild.graph import Action, Output, Source
from spritebuild.plan import Plan, input_digests, plan
from spritebuild.project import Project
from spritebuild.resolution.styles import FINISH
from spritebuild.review.pixels import Index, files_of, is_png, pages
from spritebuild.stage import Context
from spritebuild.store import Damaged
from spritebuild.worker import bind

MOST_PAGES = 16  # of a folder that are shown


@dataclass
class Steps:
    """Makes the pictures between two operations, in a folder of its own, each of them once."""

    folder: Path
    making: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def under(cls, parent: Path) -> Steps:
        """Steps with a folder of their own below one that other reviews use; what killed ones left there is removed."""
        for left in parent.glob("*-*"):
            if not _is_running(left.name.partition("-")[0]):
                shutil.rmtree(left, ignore_errors=True)
        return cls(parent / f"{os.getpid()}-{secrets.token_hex(4)}")

    def of(self, index: Index, id: str) -> list[dict[str, str]]:
        """The pictures on the way to what `id` installs, first to last; those that are not here are left out."""
        project = index.project
        decided = plan(project.graph, project.known, frozenset([id]))
        found: list[dict[str, str]] = []
        for action in _line(project, id):
            for label, made_here in self._within(project, action, decided):
                found.append({"name": label, "url": index.add(digest.of_file(made_here), made_here)})
            outputs = decided.outputs.get(action.id, {})
            last = _last_op(action)
            for name, made in outputs.items():
                several = len(action.outputs) > 1 and not action.installs
                label = last or (f"{action.stage}: {name}" if several else action.stage)
                for file, member in self._pictures(project, action, name, made):
                    place = self._output(project, action, name, member)
                    if place is not None and is_png(place):
                        called = f"{label}: {file}" if file else label
                        found.append({"name": called, "url": index.add(member, place)})
        return found

    def close(self) -> None:
        """Remove what was made."""
        with self.making:
            shutil.rmtree(self.folder, ignore_errors=True)
            with contextlib.suppress(OSError):  # another review is open
                self.folder.parent.rmdir()

    @staticmethod
    def _pictures(project: Project, action: Action, name: str, made: str) -> list[tuple[str, str]]:
        """The digests of what is a picture of an output, by file; the output itself, where it is no folder."""
        if not made.endswith("/"):
            return [("", made)]
        entry = project.known.lock.get(dict(action.installs).get(name, ""))
        files = files_of(project, entry, made)
        return [(file, files[file]) for file in pages(files)[:MOST_PAGES]]

    def _output(self, project: Project, action: Action, name: str, made: str) -> Path | None:
        """Where the bytes of an output are: in the store, or installed."""
        try:
            if project.store.has(made):
                return Path(project.store.checked(made))
        except Damaged:
            return None
        path = dict(action.installs).get(name)
        return project.root / path if path is not None and project.known.asset(path) == made else None

    def _within(self, project: Project, action: Action, decided: Plan) -> list[tuple[str, Path]]:
        """The pictures after each op but the last of a finishing list whose inputs are all here."""
        ops = action.params.get("ops", ()) if action.stage == FINISH else ()
        inputs = input_digests(action, decided.outputs)
        if len(ops) < 2 or inputs is None:
            return []
        places = self._inputs(project, action, inputs)
        if places is None:
            return []
        found = []
        with self.making, machine_errors():
            for count in range(1, len(ops)):
                params = {**action.params, "ops": [*ops[:count]]}
                place = self.folder / f"{digest.of_value([action.stage, action.version, params, inputs])}.png"
                if not place.exists() and not self._made(project, action, params, places, place):
                    break
                found.append((_called(action, count), place))
        return found

    def _inputs(self, project: Project, action: Action, inputs: Mapping[str, str]) -> dict[str, str] | None:
        """Where an action's inputs are; None where one is not here."""
        places = {}
        for name, ref in action.inputs:
            try:
                if isinstance(ref, Source):
                    place = project.root / ref.name
                    if project.known.files.of(place) != ref.digest:  # it was changed meanwhile
                        return None
                    places[name] = str(place)
                elif project.store.has(inputs[name]):
                    places[name] = project.store.checked(inputs[name])
                else:
                    return None
            except (Damaged, OSError):
                return None
        return places

    def _made(
        self, project: Project, action: Action, params: Mapping[str, Any], inputs: Mapping[str, str], place: Path
    ) -> bool:
        """Run the stage up to an operation; says whether that can be done."""
        self.folder.mkdir(parents=True, exist_ok=True)
        made = place.with_suffix(".part")
        ((name, _),) = action.outputs
        stage = project.stages[action.stage]
        try:
            bound = bind(stage, params, inputs, {name: str(made)})
            for _ in stage.run_batch([bound], Context(project.store.root / "probes")):
                pass
        except (SpritebuildError, ValueError):  # an op that needs what comes after it
            return False
        made.replace(place)
        return True


def _line(project: Project, id: str) -> list[Action]:
    """The main line to an action: back from it along the picture that it works on, as long as that is one."""
    found = [project.graph.actions[id]]
    while True:
        makers = {name: ref.action for name, ref in found[0].inputs if isinstance(ref, Output)}
        before = makers.get("image") or (next(iter(makers.values())) if len(makers) == 1 else None)
        if before is None:
            return found
        found.insert(0, project.graph.actions[before])


def _last_op(action: Action) -> str:
    ops = action.params.get("ops", ()) if action.stage == FINISH else ()
    return _called(action, len(ops)) if ops else ""


def _called(action: Action, count: int) -> str:
    """An operation by its number in the finishing list as it was declared, which may be cut into several actions."""
    op = action.params["ops"][count - 1]
    place = re.search(r"(\d+)\]?$", action.origins.get(f"ops.{count - 1}", ""))
    return f"{int(place[1]) + 1 if place else count}. {op.get('op', '')}"


def _is_running(process: str) -> bool:
    try:
        os.kill(int(process), 0)
    except (ValueError, OverflowError, ProcessLookupError):
        return False
    except OSError:
        pass  # somebody else's
    return True
