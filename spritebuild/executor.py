"""Who runs actions elsewhere than in this process and its children: what is given to them and what comes back.

Knows no cluster and no store; says which actions go together, and how many at once.
"""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

from spritebuild.graph import Action
from spritebuild.stage import Stage
from spritebuild.store import Trace

FIRST = 16  # actions of a first group, before it is known how long one takes
MOST = 256  # actions of any group: what is lost with a worker is made again
SECONDS = 10.0  # that a group is meant to take, so that to hand it over costs little of it
BATCH = 8  # groups for accelerators are multiples of it where there is enough, so that no batch is padded


@dataclass(frozen=True)
class Work:
    """An action whose inputs are known. A `fresh` one runs whatever is known; what is `wanted` is to come here."""

    action: Action
    stage: Stage
    key: str
    inputs: Mapping[str, str]
    fresh: bool = False
    wanted: bool = False


@dataclass(frozen=True)
class Outcome:
    """What became of the action of that id: a trace, which it `ran` for or which was known, or an error."""

    id: str
    trace: Trace | None = None
    ran: bool = True
    error: BaseException | None = None


Tell = Callable[..., None]  # ("begun", id), ("outcome", Outcome) or ("said", text), from any thread


class Executor(Protocol):
    """Takes actions and gives outcomes, one for each action, in any order. Which machine it was changes no byte."""

    def begin(self, sources: Mapping[str, Path], tell: Tell) -> None:
        """A run begins; `sources` are the verified paths of pinned and project files by name."""

    def submit(self, work: Work) -> None:
        """Take an action."""

    def stop(self) -> None:
        """The run is over, however it ended; every process that was started for it ends."""


class Alike(NamedTuple):
    """What the actions of a group have in common: where they run, their stage, and its affinity."""

    place: str  # "gpu" or "cpu"
    kind: str
    affinity: Hashable


@dataclass
class Waiting:
    """Actions that wait for a worker, the first ones first; how long they take is learned from those that ran."""

    groups: dict[Alike, deque[Work]] = field(default_factory=dict)
    alone: set[str] = field(default_factory=set)  # ids of what must not take others along when it fails
    seconds: dict[tuple[Alike, str], float] = field(default_factory=dict)  # of an action, on a model of device

    def add(self, alike: Alike, work: Work) -> None:
        self.groups.setdefault(alike, deque()).append(work)

    def count(self, place: str) -> int:
        """How many wait for that kind of place."""
        return sum(len(works) for alike, works in self.groups.items() if alike.place == place)

    def take(self, place: str, last: Alike | None, device: str, workers: int) -> tuple[Alike, list[Work]] | None:
        """A group for a worker of that place: of what it has loaded by the `last` one, if any is left of that.

        As many as take SECONDS on such a `device`, and no more than are left for each of so many `workers`.
        """
        fitting = [alike for alike in self.groups if alike.place == place]
        if not fitting:
            return None
        # The first one of those that are equally near.
        alike = fitting[0] if last is None else max(fitting, key=lambda each: in_common(each[1:], last[1:]))
        works = self.groups[alike]
        size = self._size(alike, works, device, workers)
        group = [works.popleft()]
        while works and len(group) < size and not {group[0].action.id, works[0].action.id} & self.alone:
            group.append(works.popleft())
        if not works:
            del self.groups[alike]
        return alike, group

    def _size(self, alike: Alike, works: deque[Work], device: str, workers: int) -> int:
        stage = works[0].stage
        if stage.resumable:
            return 1
        each = self.seconds.get((alike, device))
        size = FIRST if each is None else int(SECONDS / max(each, 1e-6))
        share = -(-len(works) // max(workers, 1))
        unit = 1 if stage.device == "cpu" else BATCH
        return min(MOST, max(unit, min(size, share) // unit * unit))

    def learn(self, alike: Alike, device: str, count: int, seconds: float) -> None:
        """A group of so many took so long; the quickest of them counts, since others load a model first."""
        known = self.seconds.get((alike, device))
        found = seconds / count
        self.seconds[alike, device] = found if known is None else min(found, (known + found) / 2)


def in_common(one: tuple[str, Hashable], other: tuple[str, Hashable]) -> float:
    """How much of what one action needs another needs too, by stage and affinity, whose dearest part is the first.

    0 for another stage, infinite for what is all the same.
    """
    (kind, first), (other_kind, second) = one, other
    if kind != other_kind:
        return 0
    if first == second:
        return math.inf
    if not (isinstance(first, tuple) and isinstance(second, tuple)):
        return 1
    pairs = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(first, second, strict=False))
    return 1 + sum(1 for _ in pairs)
