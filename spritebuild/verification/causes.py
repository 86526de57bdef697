"""What the bytes of actions depend on though they must not, found by varying one thing at a time; judges nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

from spritebuild.graph import Action
from spritebuild.run import GROUP
from spritebuild.status import Status
from spritebuild.verification.varied import ASPECTS, Task, run_again, vary

ALWAYS = "nothing"  # two runs alike give other bytes: the clock, noise without a seed, a race


def causes(ids: Collection[str], task: Task, folder: Path, seed: int) -> dict[str, tuple[str, ...]]:
    """By action of a task, the aspects whose variation changes what it gives, or ALWAYS; empty if none does.

    No two of the actions are of one stage, so that each runs as if alone; then they run beside others of their stages.
    All of them need the same device: what runs at the same time on another one might get in the way.
    """

    def outputs(task: Task, *aspects: str) -> dict[str, Mapping[str, str]]:
        ran = run_again(task, vary(task, seed, aspects), Status())["ran"]
        return {id: ran[id]["outputs"] if id in ran else {} for id in ids}

    alone = replace(task, folder=folder, jobs=1, workers=1)  # two runs alike, down to the names of scratch folders
    alone = replace(alone, actions=[each for each in task.actions if each[0].id in ids])
    far = replace(alone, folder=folder / "elsewhere" / "far")
    plain, again = outputs(alone), outputs(alone)
    found: dict[str, list[str]] = {id: [] if plain[id] == again[id] else [ALWAYS] for id in ids}

    def note(aspect: str, changed: Mapping[str, Mapping[str, str]]) -> None:
        for id in ids:
            if changed[id] != plain[id] and not {ALWAYS, aspect} & {*found[id]}:
                found[id].append(aspect)

    varied = outputs(far, *ASPECTS)
    if any(varied[id] != plain[id] and not found[id] for id in ids):
        for aspect in ASPECTS:
            if aspect != "order":
                note(aspect, outputs(far if aspect == "places" else alone, aspect))
    beside = replace(alone, actions=_with_neighbors(ids, task))
    if len(beside.actions) > len(alone.actions):
        note("order", outputs(beside))
        note("order", outputs(beside, "order"))
    return {id: tuple(aspects) for id, aspects in found.items()}


def _with_neighbors(ids: Collection[str], task: Task) -> list[tuple[Action, str]]:
    """The actions and some others of their stages, as a worker might get them together."""
    found: list[tuple[Action, str]] = []
    for stage in {action.stage: None for action, _ in task.actions if action.id in ids}:
        members = [each for each in task.actions if each[0].stage == stage]
        place = next(place for place, (action, _) in enumerate(members) if action.id in ids)
        found += members[max(0, place - GROUP // 2) :][:GROUP]
    return found
