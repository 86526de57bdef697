"""Builds again and again: once at first, then whenever something was saved; knows neither terminals nor HTTP."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from spritebuild.build import Request, build_held
from spritebuild.crew import Crew
from spritebuild.errors import SpritebuildError, Superseded
from spritebuild.plan import plan, targets
from spritebuild.project import Project, held, of_quality
from spritebuild.spritefile.tiers import Quality
from spritebuild.status import Status
from spritebuild.watch.saves import Saves, shown
from spritebuild.watch.sheet import Sheet
from spritebuild.watch.watched import Watched

DRAFT: Quality = "draft"
GRACE = 0.5  # seconds that a spritefile may be away
MOST_READINGS = 5  # until what was read is what was watched before


class Teller(Protocol):
    """Receives what a watch has to say to whoever started it."""

    def building(self) -> AbstractContextManager[Status]:
        """What hears the events of one build."""

    def saved(self, paths: Sequence[str]) -> None:
        """A build begins, for what was saved."""

    def failed(self, error: SpritebuildError) -> None:
        """The build failed; the next save may mend it."""

    def waiting(self) -> None:
        """Everything that could be built is, and the next save is waited for."""

    def note(self, text: str) -> None:
        """Something worth saying once."""


class Both(Status):
    """Tells two others; the first of them is the one that may be slow."""

    def __init__(self, first: Status, second: Status) -> None:
        for name in [name for name in vars(Status) if not name.startswith("_")]:
            setattr(self, name, _both(getattr(first, name), getattr(second, name)))


def _both(first: Callable[..., None], second: Callable[..., None]) -> Callable[..., None]:
    def tell(*arguments: object) -> None:
        second(*arguments)
        first(*arguments)

    return tell


@dataclass
class Watch:
    """A watch of one spritefile. `run` goes on until it is interrupted."""

    spritefile: Path
    request: Request
    teller: Teller
    sheet: Sheet = field(default_factory=Sheet)
    saves: Saves = field(default_factory=Saves)
    crew: Crew = field(default_factory=Crew)
    watched: Watched | None = None
    told: str = ""  # the failure that was told last, if nothing was built since

    def run(self) -> None:
        """Build now, and after every save."""
        polled = self.saves.polling
        try:
            while True:
                self._round(self.saves.taken())
                if self.saves.polling and not polled:
                    polled = True
                    self.teller.note("the system gives no notices of saves here: files are looked at, a bit later")
                if not self.saves.pending.is_set():
                    self.teller.waiting()
                self.saves.pending.wait()
        finally:
            self.saves.close()
            self.crew.dismiss()
            self.sheet.end()

    def _round(self, saved: Sequence[str]) -> None:
        """Build, for what was saved; nothing but what ends the watch is raised."""
        root = str(self.spritefile.absolute().parent.resolve())
        named = shown(root, [path for path in saved if Path(path).exists()] or saved)
        if saved:
            self.told = ""
            self.teller.saved(named)
        if not self.spritefile.exists():
            self.saves.pending.wait(GRACE)  # some editors take a file away before they write it anew
        if self.watched is not None and self.watched.stages and any(map(self._is_of_a_stage, saved)):
            self.crew.dismiss()  # they have loaded the stage as it was
        self.sheet.begin(named)
        started = time.monotonic()
        try:
            with self.teller.building() as status:
                summary = self._built(Both(status, self.sheet), started)
                if saved or self.told or any(summary[name] for name in ("ran", "installed", "removed")):
                    self.sheet.ended(summary)
                    status.ended(summary)
                else:
                    self.sheet.rest()
                self.told = ""
        except Superseded:
            return
        except SpritebuildError as error:
            self.sheet.broken(error)
            if str(error) != self.told:
                self.told = str(error)
                self.teller.failed(error)

    def _built(self, status: Status, started: float) -> dict[str, Any]:
        options = replace(self.request.options, crew=self.crew, stop=self.saves.pending)
        request = replace(self.request, options=options)
        for _ in range(MOST_READINGS):
            read = False
            try:
                with held(self.spritefile, status, offline=request.offline) as project:
                    read, self.watched = True, Watched.of(project)
                    if self.saves.watch(self.watched):
                        continue  # what was read before it was watched may have been written to meanwhile
                    try:
                        return self._built_held(project, request, status, started)
                    finally:
                        self.saves.built()
            except SpritebuildError:
                if read or not self.saves.watch(Watched.of_broken(self.spritefile, self.watched)):
                    raise
        self.saves.pending.set()
        raise Superseded("what is to be built changes all the time")

    def _built_held(self, project: Project, request: Request, status: Status, started: float) -> dict[str, Any]:
        chosen = targets(project.graph, request.targets)
        self.sheet.lay(project, {project.graph.actions[id].target for id in chosen})
        drafts(project, request, status, self.sheet)
        return build_held(project, request, status, started)

    def _is_of_a_stage(self, path: str) -> bool:
        return self.watched is not None and str(Path(path).parent) == self.watched.stages


def drafts(project: Project, request: Request, status: Status, sheet: Sheet) -> None:
    """Make drafts of sprites that are stale and declared in another quality; the lock and the assets stay as they are.

    A sheet waits for its final sprites: a draft of it would need drafts of them all.
    What fails here fails in its own quality, too, and is told then.
    """
    draft = of_quality(project, DRAFT)
    todo = plan(project.graph, project.known, targets(project.graph, request.targets))
    wanted = {
        action.target
        for action in (project.graph.actions[decision.action] for decision in todo.to_run())
        if action.installs
        and action.target.startswith("sprites.")
        and sheet.shows(action.target)
        and (other := draft.graph.actions.get(action.id)) is not None
        and other.recipe != action.recipe
    }
    if not wanted:
        return
    started = time.monotonic()
    sheet.drafting(True)
    try:
        build_held(draft, replace(request, targets=tuple(sorted(wanted)), quality=DRAFT), sheet, started)
    except Superseded:
        raise
    except SpritebuildError:
        pass
    else:
        many = f"{len(wanted)} drafts" if len(wanted) > 1 else "1 draft"
        status.message(f"{many} in {time.monotonic() - started:.1f} s")
    finally:
        sheet.drafting(False)
