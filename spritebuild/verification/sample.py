"""Which actions of a graph to run again: some assets and what they need, drawn by a seed; runs nothing."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable

from spritebuild import digest
from spritebuild.graph import Graph, Output
from spritebuild.stage import Stages


def trainings(graph: Graph, stages: Stages, ids: Iterable[str]) -> set[str]:
    """Those of the actions that may take hours."""
    return {id for id in ids if stages[graph.actions[id].stage].resumable}


def sample(graph: Graph, finals: Collection[str], size: float, seed: int, without: Collection[str] = ()) -> set[str]:
    """Some of the final actions, a share (`size` below 1) or a number of them, and what each of them needs.

    Of what a sheet or a palette gathers, as large a share is drawn again: one sheet would be the whole project. Every
    kind of stage is there. What is drawn depends on nothing but the seed and the targets' names.
    """
    share = size if size < 1 else min(1.0, size / max(1, len(finals)))
    found: set[str] = set()
    todo = _drawn(graph, finals, share, seed)
    while todo:
        id = todo.pop()
        if id not in found:
            found.add(id)
            fields: dict[str, set[str]] = {}
            for name, ref in graph.actions[id].inputs:
                if isinstance(ref, Output):
                    fields.setdefault(name.partition(".")[0], set()).add(ref.action)
            for gathered in fields.values():
                todo += _drawn(graph, gathered, share, seed)
    found.difference_update(without)
    kinds = {graph.actions[id].stage for id in found}
    for id in _drawn(graph, graph.upstream(finals).difference(without), 1.0, seed):
        if graph.actions[id].stage not in kinds:
            kinds.add(graph.actions[id].stage)
            found.add(id)
    return found


def _drawn(graph: Graph, ids: Collection[str], share: float, seed: int) -> list[str]:
    """The first of the actions in the order in which a seed draws them."""
    order = sorted(ids, key=lambda id: (digest.of_value([seed, graph.actions[id].target]), id))
    return order[: max(1, math.ceil(share * len(order)))]
