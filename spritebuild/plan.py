"""A verdict and a reason for every action; reads the lock, the store and the assets, changes and runs nothing.

What an action would give is known without running it from the lock (by its recipe) or from a trace (by its key). It
runs only if that is unknown, or if its bytes are wanted and are not here. Wanted are the assets that are not installed
as they should be, and the inputs of what runs.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from spritebuild import digest
from spritebuild.errors import UsageError
from spritebuild.graph import Action, Graph, Output, Source
from spritebuild.lock import Lock, is_folder
from spritebuild.spritefile.mistakes import alternatives
from spritebuild.stage import Stage, Stages
from spritebuild.store import Description, Store

Verdict = Literal["reuse", "run", "wait"]
NEW = "new"  # the reason of what was never built here
WAITS = "waits for"  # how the reason begins of what is not known to have changed itself


@dataclass(frozen=True, slots=True)
class Decision:
    """What happens to an action and why. `outputs` are the digests it gives, where they are known beforehand."""

    action: str
    verdict: Verdict
    reason: str
    outputs: Mapping[str, str] | None = None
    key: str | None = None


@dataclass(frozen=True)
class Plan:
    """Decisions by action id, producers first. Actions that nothing wants are not in it."""

    decisions: Mapping[str, Decision]
    targets: frozenset[str]
    present: Mapping[str, str]  # digest of the file at each asset path that is wanted, where there is one
    keys: Mapping[str, str]  # of every action, wanted or not, whose inputs are known
    outputs: Mapping[str, Mapping[str, str]]  # likewise
    again: frozenset[str] = frozenset()  # what runs whatever is known of it

    def to_run(self) -> list[Decision]:
        """The decisions that are not `reuse`."""
        return [decision for decision in self.decisions.values() if decision.verdict != "reuse"]


@dataclass(frozen=True)
class Known:
    """What is known before anything runs: the lock, the store, and the assets as they lie in the project."""

    root: str
    lock: Lock
    store: Store
    files: digest.Files
    stages: Stages
    stand_ins: Mapping[str, str]

    def locked(self, action: Action) -> dict[str, str] | None:
        """What the lock says of an action: output digests, if every asset it installs is locked under its recipe."""
        found = {}
        for name, path in action.installs:
            entry = self.lock.get(path)
            if entry is None or entry.recipe != action.recipe:
                return None
            found[name] = self.stand_ins.get(entry.digest, entry.digest)
        return found or None

    def asset(self, path: str) -> str | None:
        """The digest of the file at an asset path, or None where there is no file.

        That of a folder's files, where all that the lock lists are there, is the folder's.
        """
        if is_folder(path):
            entry = self.lock.get(path)
            places = zip(entry.files, entry.installed(), strict=True) if entry else ()
            here = {file: self.asset(place) or "" for file, place in places}
            return digest.of_listing(here) if here and all(here.values()) else None
        try:
            return self.files.of(f"{self.root}/{path}")
        except (FileNotFoundError, NotADirectoryError):
            return None
        except IsADirectoryError:
            return ""  # something, and no digest of ours


def targets(graph: Graph, patterns: Collection[str]) -> frozenset[str]:
    """The last actions of what patterns such as `sprites.potion-*` or `potion-*` name; all finals for no pattern.

    Of a sprite with candidates that is named, all of these; by the id of an action, that one.
    """
    if not patterns:
        return frozenset(graph.finals)
    by_name = {action.target: id for id, action in graph.actions.items()}
    found = set()
    for pattern in patterns:
        if pattern in graph.actions:
            found.add(pattern)
            continue
        plain = pattern if "." in pattern else f"*.{pattern}"
        matching = fnmatch.filter(by_name, plain)
        if not matching:
            raise UsageError(
                f"no target is called {pattern!r}",
                hint=alternatives(pattern, by_name if "." in pattern else _short(by_name), "targets"),
            )
        found |= {by_name[name] for name in matching if name not in graph.candidates}
        several = {name for name in matching if name in graph.candidates}
        found |= {id for name in several for id in graph.candidates[name].values()}
        found |= {id for id in graph.finals if several and graph.actions[id].target in several}
    return frozenset(found)


def _short(names: Iterable[str]) -> list[str]:
    return [name.partition(".")[2] for name in names]


def plan(graph: Graph, known: Known, chosen: frozenset[str], *, rebuild: bool = False) -> Plan:
    """Decide for every action that the chosen targets want.

    With `rebuild`, these run whatever is known; a training does so only if it is chosen itself.
    """
    wanted = graph.upstream(chosen)
    order = [id for id in graph.actions if id in wanted]
    again = {id for id in order if rebuild and (id in chosen or not known.stages[graph.actions[id].stage].resumable)}
    keys: dict[str, str] = {}
    outputs: dict[str, Mapping[str, str]] = dict(graph.made)
    for id in order:
        action = graph.actions[id]
        inputs = input_digests(action, outputs)
        if inputs is not None:
            keys[id] = action.key(inputs)
        if id not in again:
            given: Mapping[str, str] | None = known.locked(action)
            if id in keys and (given is None or len(given) < len(action.outputs)):  # not all of it is installed
                traced = known.store.outputs(keys[id])
                given = traced if traced and (not given or given.items() <= traced.items()) else given
            if given is not None:
                outputs[id] = given

    present = {
        path: found
        for id in order
        for _, path in graph.actions[id].installs
        if (found := known.asset(path)) is not None
    }
    at_hand = set(present.values())
    demanded: dict[str, set[str]] = {id: set() for id in chosen}
    running: set[str] = set()
    for id in reversed(order):
        if id not in demanded:
            continue
        action = graph.actions[id]
        names = demanded[id]
        if id in chosen:
            expected = outputs.get(id, {})
            names |= {name for name, path in action.installs if present.get(path) != expected.get(name)}
            if not action.installs:
                names |= {name for name, _ in action.outputs}
        if id not in outputs or any(
            name not in outputs[id] or not (known.store.has(outputs[id][name]) or outputs[id][name] in at_hand)
            for name in names
        ):
            running.add(id)
            for ref in action.producers():
                demanded.setdefault(ref.action, set()).add(ref.name)

    decisions = {id: Decision(id, "reuse", "", given) for id, given in graph.made.items()}
    for id in order:
        if id not in demanded:
            continue
        if id not in running:
            decisions[id] = Decision(id, "reuse", "", outputs[id], keys.get(id))
            continue
        action = graph.actions[id]
        waiting = [ref.action for ref in action.producers() if ref.action in running]
        reason = "asked for by --rebuild" if id in again else explain(action, known, outputs, keys.get(id))
        if waiting and (not reason or id not in keys):
            reason = reason or f"{WAITS} {waiting[0]}" + (f" and {len(waiting) - 1} more" if waiting[1:] else "")
        decisions[id] = Decision(id, "wait" if waiting else "run", reason, outputs.get(id), keys.get(id))
    return Plan(decisions, chosen, present, keys, outputs, frozenset(again & running))


def input_digests(action: Action, outputs: Mapping[str, Mapping[str, str]]) -> dict[str, str] | None:
    """The digests of an action's inputs by name, or None while one of them is not known."""
    found = {}
    for name, ref in action.inputs:
        if isinstance(ref, Source):
            found[name] = ref.digest
        else:
            known = outputs.get(ref.action, {}).get(ref.name)
            if known is None:
                return None
            found[name] = known
    return found


def foreseen(graph: Graph, known: Known, decided: Plan) -> dict[str, str]:
    """What the actions that do not run yet will be, in their stages' words, where those have any."""
    found = {}
    for decision in decided.to_run():
        action = graph.actions[decision.action]
        stage = known.stages[action.stage]
        if stage.resumable:
            here = {}
            for name, ref in action.inputs:
                made = None if isinstance(ref, Source) else decided.outputs.get(ref.action, {}).get(ref.name)
                if made is not None and known.store.has(made):
                    here[name] = Path(known.store.checked(made))
            found[action.id] = stage.foreseen(stage.Params.model_validate(action.params), here)
    return {id: words for id, words in found.items() if words}


def to_install(graph: Graph, decided: Plan) -> list[str]:
    """The assets that are not in place as they should be, though nothing has to run for them."""
    return [
        path
        for id, decision in decided.decisions.items()
        if decision.verdict == "reuse" and id in decided.targets and decision.outputs
        for name, path in graph.actions[id].installs
        if decided.present.get(path) != decision.outputs.get(name)
    ]


def describe(action: Action, key: str, inputs: Mapping[str, str]) -> Description:
    """What a later build will compare this action with."""
    return Description(key, action.stage, action.version, action.params, inputs)


# Reasons


def explain(action: Action, known: Known, outputs: Mapping[str, Mapping[str, str]], key: str | None) -> str:
    """Why an action has to run, in the words of the spritefile; empty where only its inputs changed."""
    before = known.store.description(action.id)
    locked = known.locked(action)
    if before is None:
        if locked is not None:
            return "its bytes are not here"
        if any(path in known.lock for _, path in action.installs):
            return "its declaration differs from the lock"
        return NEW
    changes = [*_changes(action, before, known, outputs)]
    if changes:
        shown = ", ".join(changes[:3])
        return shown + (f", and {len(changes) - 3} more" if changes[3:] else "")
    if key is None:
        return ""
    return "its output is no longer in the store"


def _changes(
    action: Action, before: Description, known: Known, outputs: Mapping[str, Mapping[str, str]]
) -> Iterator[str]:
    if (before.stage, before.version) != (action.stage, action.version):
        yield f"stage {action.stage} is version {action.version}, was {before.stage} {before.version}"
    if before.stage == action.stage:
        stage = known.stages[action.stage]
        differences = _differences(_with_defaults(before.params, stage), _with_defaults(action.params, stage))
        yield from (f"{_origin(action, path)} {_shown(old)} -> {_shown(new)}" for path, old, new in differences)
    for name, ref in action.inputs:
        old_digest = before.inputs.get(name)
        if isinstance(ref, Source):
            if old_digest != ref.digest:
                yield f"{ref.name} {'changed' if old_digest else 'added'}"
        elif isinstance(ref, Output):
            now = outputs.get(ref.action, {}).get(ref.name)
            if now is not None and now != old_digest:
                yield f"{ref.action} {'gave other bytes' if old_digest else 'added'}"
    for name in before.inputs.keys() - {name for name, _ in action.inputs}:
        yield f"input {name} removed"


def _with_defaults(params: Mapping[str, Any], stage: Stage) -> Mapping[str, Any]:
    """Params as the stage hears them; as they are where they are of an older stage that this one refuses."""
    try:
        return stage.Params.model_validate(params).model_dump(mode="json")
    except ValidationError:
        return params


def _differences(old: Any, new: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    """Leaves at which two JSON values differ; `None` stands for an absent one."""
    if isinstance(old, dict | Mapping) and isinstance(new, dict | Mapping):
        for key in sorted(old.keys() | new.keys()):
            yield from _differences(old.get(key), new.get(key), (*path, key))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for number, (left, right) in enumerate(zip(old, new, strict=True)):
            yield from _differences(left, right, (*path, str(number)))
    elif old != new:
        yield path, old, new


def _origin(action: Action, path: tuple[str, ...]) -> str:
    """Where the param at `path` was declared: the origin of its longest known prefix, and the rest of the path."""
    for length in range(len(path), 0, -1):
        origin = action.origins.get(".".join(path[:length]))
        if origin is not None:
            rest = "".join(f"[{part}]" if part.isdigit() else f".{part}" for part in path[length:])
            return origin + rest
    return ".".join(path)


def _shown(value: Any) -> str:
    if value is None:
        return "(nothing)"
    text = digest.canonical(value).decode()
    return text if len(text) <= 60 else f"{text[:57]}..."
