"""Asks the shared store for keys that become known while a build runs; runs nothing.

An action whose input is made in this run has no key before. Once it has one, somebody else may have run it already: on
the same bytes, out of other declarations. Which traces there are is read once, while the first actions run.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping

from spritebuild.files import machine_errors
from spritebuild.graph import Action
from spritebuild.plan import Plan
from spritebuild.project import Project
from spritebuild.shared.store import Shared
from spritebuild.shared.supply import declared, opened
from spritebuild.shared.transport import Unreachable
from spritebuild.status import Status


class Lookup:
    """What the shared store knows, for one run. A store that cannot be reached is a warning, once."""

    def __init__(self, shared: Shared, status: Status) -> None:
        self.shared, self.status = shared, status
        self._there: set[str] = set()
        self._fault: BaseException | None = None
        self._over = False
        self._thread = threading.Thread(target=self._survey, name="lookup", daemon=True)
        self._thread.start()

    def _survey(self) -> None:
        try:
            self._there = self.shared.keys()
        except BaseException as error:
            self._fault = error

    def __call__(self, unknown: Mapping[str, Action]) -> None:
        """Record the traces of keys that are there, and bring what they name."""
        if self._over:
            return
        self._thread.join()
        try:
            with machine_errors():
                if self._fault is not None:
                    raise self._fault
                self._bring({key: action for key, action in unknown.items() if key in self._there})
        except Unreachable as why:
            self._over = True
            self.status.warning(f"the shared store cannot be reached, so this build goes on without it: {why}")

    def _bring(self, found: Mapping[str, Action]) -> None:
        if not found:
            return
        store = self.shared.store
        traces = {
            key: trace
            for key, trace in self.shared.traces(list(found)).items()
            if trace.outputs.keys() == {name for name, _ in found[key].outputs}
        }
        self.shared.fetch({name for trace in traces.values() for name in trace.outputs.values()})
        for key, trace in traces.items():
            if all(map(store.has, trace.outputs.values())):
                store.record(key, found[key].id, trace)


def lookup(project: Project, todo: Plan, status: Status) -> Lookup | None:
    """What to ask while a plan runs; None where there is nobody to ask, or nothing that is not known beforehand."""
    said = declared(project)
    if said is None or all(decision.verdict != "wait" for decision in todo.decisions.values()):
        return None
    if said.traces == "none" or (said.traces == "signed" and not said.trusted):
        return None
    return Lookup(opened(project, said), status)
