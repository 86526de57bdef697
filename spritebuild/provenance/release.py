"""What is installed of chosen targets, checked against the lock, and where it comes from; knows no format."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

from spritebuild import lock
from spritebuild.errors import LockError, UsageError
from spritebuild.graph import Action
from spritebuild.licences import Component, Origins, origins
from spritebuild.plan import targets
from spritebuild.project import Project

SHOWN = 20  # assets that an error names


@dataclass(frozen=True)
class Release:
    """Assets as they lie in the project, and as the lock says. `assets` are files' sha256 by path, by asset path."""

    project: Project
    patterns: tuple[str, ...]
    chosen: frozenset[str]
    assets: Mapping[str, Mapping[str, str]]
    flow: Origins

    @cached_property
    def actions(self) -> tuple[Action, ...]:
        """The actions that the assets come from, producers first."""
        graph = self.project.graph
        wanted = graph.upstream(self.chosen)
        return tuple(action for id, action in graph.actions.items() if id in wanted)

    @cached_property
    def components(self) -> tuple[Component, ...]:
        """The models, LoRAs and data that the assets come from, what they need before them."""
        behind = self.flow.behind({name for asset in self.assets for name in self.flow.assets[asset]})
        return tuple(component for name, component in self.flow.components.items() if name in behind)

    def files(self) -> dict[str, str]:
        """The sha256 of every file, by path, sorted."""
        return dict(sorted((path, sha256) for files in self.assets.values() for path, sha256 in files.items()))


def release(project: Project, patterns: tuple[str, ...]) -> Release:
    """What is installed of the targets that patterns name. Raises LockError unless it is what the lock says."""
    actions = project.graph.actions
    named = {actions[id].target for id in targets(project.graph, patterns)}
    chosen = frozenset(id for id, action in actions.items() if action.installs and action.target in named)
    assets: dict[str, Mapping[str, str]] = {}
    wrong: list[tuple[str, str]] = []
    for path, action in _installs(project, chosen):
        entry = project.known.lock.get(path)
        if entry is None or entry.recipe != action.recipe or not entry.digest:
            wrong.append((path, "not built as it is declared now"))
            continue
        present = project.known.asset(path)
        if present is None:
            wrong.append((path, "not installed"))
        elif present not in (entry.digest, project.known.stand_ins.get(entry.digest)):
            wrong.append((path, "not what the lock says"))
        elif lock.is_folder(path):
            assets[path] = {place: project.known.asset(place) or "" for place in entry.installed()}
        else:
            assets[path] = {path: present}
    if wrong:
        raise LockError(
            f"{len(wrong)} asset{'s are' if len(wrong) > 1 else ' is'} not installed as declared and locked",
            where=lock.PATH,
            facts=wrong[:SHOWN],
            hint="spritebuild build",
        )
    if not assets:
        raise UsageError("nothing of these targets is installed", hint="`spritebuild plan -v` lists targets")
    flow = origins(project.spritefile, project.graph, project.pins)
    return Release(project, patterns, chosen, assets, flow)


def source_date() -> str | None:
    """The time that SOURCE_DATE_EPOCH says, in RFC 3339; None where it says none: nothing here reads a clock."""
    said = os.environ.get("SOURCE_DATE_EPOCH")
    if not said:
        return None
    try:
        return datetime.fromtimestamp(int(said), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        raise UsageError("SOURCE_DATE_EPOCH is no number of seconds", facts=[("it says", repr(said)[:80])]) from None


def _installs(project: Project, chosen: Collection[str]) -> Iterator[tuple[str, Action]]:
    for id, action in project.graph.actions.items():
        if id in chosen:
            yield from ((path, action) for _, path in action.installs)
