"""The static, acyclic set of actions and their keys; knows neither files nor how anything is run.

An action has two names. Its *recipe* covers the whole declared derivation: stage, version, params, and the recipes of
the actions that feed it. It is known from the repository alone, so the lock holds it. Its *key* covers the digests of
its inputs instead of their recipes: it is known once the inputs are, and the store's traces are found by it. Two
recipes that happen to give the same bytes meet again in one key: that is early cutoff.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from spritebuild import digest

KEY_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Source:
    """A file of the project, or a pinned artifact: bytes whose digest is known before anything runs."""

    name: str
    digest: str


@dataclass(frozen=True, slots=True)
class Output:
    """A file that an action of the graph will produce."""

    action: str
    name: str


Ref = Source | Output


@dataclass(frozen=True, slots=True)
class Action:
    """One stage applied to params and inputs.

    `inputs` are named as the stage's `Inputs` fields: `image`, or `frames.0`, `palettes.cave` for a member of one.
    `params` hold only what differs from the stage's defaults. `origins` say where each param was declared, for
    reasons in the user's words, and `declared` which declaration of the spritefile it is for. `installs` map
    output names to paths below the project; for a folder, to a glob that
    its files match, such as `assets/hero*`: they are put side by side into that glob's folder. `candidate` is the seed
    of what ends here, where it is one of several pictures to choose from.
    """

    id: str
    stage: str
    version: int
    params: Mapping[str, Any]
    inputs: tuple[tuple[str, Ref], ...]
    outputs: tuple[tuple[str, str], ...]
    recipe: str
    installs: tuple[tuple[str, str], ...] = ()
    origins: Mapping[str, str] = field(default_factory=dict)
    declared: str = ""
    candidate: int | None = None

    @property
    def target(self) -> str:
        """What the user calls it: `sprites.potion` for `sprites.potion:generate`."""
        return self.id.partition(":")[0]

    def sources(self) -> Iterator[tuple[str, Source]]:
        """The inputs that exist before the build, by name."""
        return ((name, ref) for name, ref in self.inputs if isinstance(ref, Source))

    def producers(self) -> Iterator[Output]:
        """The inputs that other actions make."""
        return (ref for _, ref in self.inputs if isinstance(ref, Output))

    def key(self, input_digests: Mapping[str, str]) -> str:
        """The name of this action applied to inputs of these digests (by input name)."""
        return _name(self.stage, self.version, self.params, input_digests)


def _name(stage: str, version: int, params: Mapping[str, Any], inputs: Mapping[str, str]) -> str:
    return digest.of_value(
        {"format": KEY_FORMAT, "stage": stage, "version": version, "params": params, "inputs": inputs}
    )


def recipe(
    stage: str,
    version: int,
    params: Mapping[str, Any],
    inputs: Iterable[tuple[str, Ref]],
    recipes: Mapping[str, str],
) -> str:
    """The name of a whole derivation; `recipes` by action id cover every producer among `inputs`."""
    names = {
        name: ref.digest if isinstance(ref, Source) else f"{recipes[ref.action]}/{ref.name}" for name, ref in inputs
    }
    return _name(stage, version, params, names)


@dataclass(frozen=True)
class Graph:
    """Actions by id, every producer before its consumers. For those targets in `undecided`, somebody is to pick.

    Of a part of a graph, `made` are the outputs, digest by name, of the actions left out that those in it need.
    """

    actions: Mapping[str, Action]
    undecided: frozenset[str] = frozenset()
    made: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @classmethod
    def of(cls, actions: Iterable[Action]) -> Graph:
        """Raises ValueError when an id is taken twice or an input comes from no earlier action (so: no cycles)."""
        known: dict[str, Action] = {}
        for action in actions:
            if action.id in known:
                raise ValueError(f"two actions are called {action.id}")
            for ref in action.producers():
                if ref.action not in known:
                    raise ValueError(f"{action.id} needs {ref.action}, which does not come before it")
            known[action.id] = action
        return cls(known)

    @cached_property
    def consumers(self) -> Mapping[str, tuple[str, ...]]:
        """Who reads an action's outputs, by the action's id."""
        found: dict[str, list[str]] = {}
        for action in self.actions.values():
            for ref in action.producers():
                readers = found.setdefault(ref.action, [])
                if not readers or readers[-1] != action.id:
                    readers.append(action.id)
        return {id: tuple(readers) for id, readers in found.items()}

    @cached_property
    def candidates(self) -> Mapping[str, Mapping[int, str]]:
        """The actions that end what is to be chosen from, by seed, of every target that has candidates."""
        found: dict[str, dict[int, str]] = {}
        for action in self.actions.values():
            if action.candidate is not None:
                found.setdefault(action.target, {})[action.candidate] = action.id
        return found

    @cached_property
    def finals(self) -> tuple[str, ...]:
        """The actions whose outputs are installed, or to be chosen from: what a build is for."""
        return tuple(
            action.id
            for action in self.actions.values()
            if action.installs or (action.candidate is not None and action.target in self.undecided)
        )

    def upstream(self, ids: Iterable[str]) -> set[str]:
        """These actions and everything that they need, however far."""
        found: set[str] = set()
        todo = list(ids)
        while todo:
            id = todo.pop()
            if id not in found and id not in self.made:
                found.add(id)
                todo += [ref.action for ref in self.actions[id].producers()]
        return found
