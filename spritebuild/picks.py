"""Which of a sprite's candidates was picked, as the lock says, and whether that still holds; writes nothing."""

from __future__ import annotations

from collections.abc import Sequence

from spritebuild.graph import Action, Graph
from spritebuild.lock import Lock


def undecided(graph: Graph, lock: Lock) -> list[str]:
    """The targets that have candidates and no pick, or one that no longer holds."""
    return [
        target
        for target, ends in graph.candidates.items()
        if not any(is_picked(graph.actions[id], lock) for id in ends.values())
    ]


def is_picked(action: Action, lock: Lock) -> bool:
    """Whether what an action installs was picked among the candidates, and has the bytes that it was picked with.

    Where its declaration changed since, that is not known before it is built.
    """
    for _, path in action.installs:
        entry = lock.get(path)
        if entry is not None and entry.pick:
            same = entry.recipe == action.recipe and entry.digest == entry.pick["digest"]
            return same and entry.pick["seed"] == action.candidate
    return False


def words(targets: Sequence[str]) -> str:
    """What is told of undecided targets; empty for none."""
    if not targets:
        return ""
    said = "1 sprite is" if len(targets) == 1 else f"{len(targets):,} sprites are"
    return f"{said} undecided: spritebuild review, or spritebuild pick NAME SEED"
