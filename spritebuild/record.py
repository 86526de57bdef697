"""What is recorded of a whole project, so that the next build need look only at what changed (`front.py`).

Of a sprite: its actions' names and places, what feeds them, and whether it shares any with other sprites. Of what is
made of sprites: the whole action, with the recipes of its inputs. Of the files of declarations: a copy, and what they
declare beside sprites. And who uses what: files, actions, asset paths, pictures that could be shared.
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spritebuild import digest, idle, lock
from spritebuild.graph import Action, Output, Source, recipe
from spritebuild.lock import Entry
from spritebuild.part import Part
from spritebuild.project import Project
from spritebuild.spritefile import sections

FOLDER = "front"  # of the state: the files of declarations as they were
HEAD = "front"  # the row that says what the rows are of
FORMAT = 1  # of the rows
SPRITES = "sprites."
ASSEMBLIES = ("sheets.", "exports.")
Uses = set[tuple[str, str]]  # what is used, and who uses it


# Rows


def row_of_sprite(file: str, actions: Iterable[Action], declared: Mapping[str, str], *, apart: bool) -> dict[str, Any]:
    """What the rest depends on of a sprite's actions; `apart` says that it shares none of them with other sprites.

    `declared` are the declarations that actions are for, by id.
    """
    return {"file": file, "apart": apart, "actions": [_row_of_action(action, declared) for action in actions]}


def _row_of_action(action: Action, declared: Mapping[str, str]) -> dict[str, Any]:
    return {
        "id": action.id,
        "stage": action.stage,
        "recipe": action.recipe,
        "outputs": [list(pair) for pair in action.outputs],
        "installs": [list(pair) for pair in action.installs],
        "model": any(name == "model" for name, _ in action.inputs),
        "reads": sorted({ref.name for _, ref in action.sources()}),
        "needs": [[need, declared[need]] for need in sorted({ref.action for ref in action.producers()})],
    }


def shape(row: Mapping[str, Any]) -> list[Any]:
    """What has to stay the same, so that what is made of a sprite, and where it goes, does."""
    return [[action[key] for key in ("id", "outputs", "installs", "model")] for action in row["actions"]]


def outside(row: Mapping[str, Any]) -> set[str]:
    """What a sprite is made of: pins, files, and what is trained here."""
    own = {action["id"] for action in row["actions"]}
    needs = {need for action in row["actions"] for need, _ in action["needs"]}
    return needs.union(*(action["reads"] for action in row["actions"])) - own


def _uses_of_sprite(name: str, row: Mapping[str, Any]) -> Uses:
    uses = set()
    for action in row["actions"]:
        uses |= {(f"asset:{path.lower()}", name) for _, path in action["installs"]}
        uses |= {(f"file:{read}", name) for read in action["reads"]}
        if not action["installs"]:
            uses.add((recipe_name(action["recipe"]), name))
    return uses


def row_of_assembly(
    number: int, action: Action, recipes: Mapping[str, str], declared: Mapping[str, str]
) -> dict[str, Any]:
    """The whole of an action that is made of sprites, the `number`th of them.

    With every input stand its maker's recipe, and the declaration that that is for.
    """
    inputs = [
        [
            name,
            [ref.action, ref.name, recipes[ref.action], declared[ref.action]]
            if isinstance(ref, Output)
            else [ref.name, ref.digest],
        ]
        for name, ref in action.inputs
    ]
    return {
        "number": number,
        "stage": action.stage,
        "version": action.version,
        "params": dict(action.params),
        "inputs": inputs,
        "outputs": [list(pair) for pair in action.outputs],
        "recipe": action.recipe,
        "installs": [list(pair) for pair in action.installs],
        "origins": dict(action.origins),
        "declared": action.declared,
    }


def needs_of(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What the action of a row needs of other actions: their ids, and the declarations that they are for."""
    if "needs" in row:
        return [(id, declared) for id, declared in row["needs"]]
    return [(ref[0], ref[3]) for _, ref in row["inputs"] if len(ref) > 2]


def assembly(id: str, row: Mapping[str, Any], recipes: Mapping[str, str]) -> Action:
    """The action of a row, whose inputs have these recipes by now."""
    inputs = tuple((name, Output(*ref[:2]) if len(ref) > 2 else Source(*ref)) for name, ref in row["inputs"])
    now = {ref[0]: ref[2] for _, ref in row["inputs"] if len(ref) > 2} | {**recipes}
    return Action(
        id,
        row["stage"],
        row["version"],
        row["params"],
        inputs,
        tuple((name, file) for name, file in row["outputs"]),
        recipe(row["stage"], row["version"], row["params"], inputs, now),
        tuple((name, path) for name, path in row["installs"]),
        row["origins"],
        row["declared"],
    )


def _uses_of_assembly(id: str, row: Mapping[str, Any], places: Iterable[str]) -> Uses:
    """`places` are the files that are installed of it."""
    uses = {(f"action:{ref[0]}" if len(ref) > 2 else f"file:{ref[0]}", id) for _, ref in row["inputs"]}
    return uses | {(f"asset:{path.lower()}", id) for path in places}


# After a build


def record(project: Project, entries: Mapping[str, Entry], token: str) -> None:
    """Record a whole project, once it is built; nothing of one whose parts cannot be told apart."""
    rows, uses = _recorded(project, entries, token) or ({}, set())
    project.store.renew_front({name: _text(row) for name, row in rows.items()}, uses)
    project.store.commit()


def _recorded(project: Project, entries: Mapping[str, Entry], token: str) -> tuple[dict[str, Any], Uses] | None:
    spritefile, graph = project.spritefile, project.graph
    if graph.candidates or spritefile.evaluations or any(each.sprites for each in spritefile.palettes.values()):
        return None  # these depend on each other through more than their actions
    files = _cut(project)
    if files is None:
        return None
    declared = {action.id: action.declared for action in graph.actions.values()}
    of_sprites: dict[str, list[Action]] = {SPRITES + name: [] for name in files.sprites}
    entangled: set[str] = set()
    others: dict[str, Any] = {}
    recipes: dict[str, str] = {}
    assemblies: list[Action] = []
    for action in graph.actions.values():
        recipes[action.id] = action.recipe
        makers = {graph.actions[ref.action].declared for ref in action.producers()}
        if action.declared in of_sprites:
            of_sprites[action.declared].append(action)
            if shared := {name for name in makers if name in of_sprites and name != action.declared}:
                entangled |= {action.declared, *shared}
        elif action.id.startswith(ASSEMBLIES):
            assemblies.append(action)
        elif any(name in of_sprites or name.startswith(ASSEMBLIES) for name in makers):
            return None
        else:
            others[action.id] = _row_of_action(action, declared)
    stages = {action.stage for action in graph.actions.values()}
    accelerated = any(project.stages[stage].device != "cpu" for stage in stages)
    head = {
        "format": FORMAT,
        "token": token,
        "files": files.digests,
        "rest": files.rest,
        "others": others,
        "accelerated": accelerated,
    }
    rows: dict[str, Any] = {HEAD: head}
    uses: Uses = set()
    for name, actions in of_sprites.items():
        rows[name] = row_of_sprite(
            files.sprites[name.removeprefix(SPRITES)], actions, declared, apart=name not in entangled
        )
        uses |= _uses_of_sprite(name, rows[name])
    for number, action in enumerate(assemblies):
        rows[action.id] = row_of_assembly(number, action, recipes, declared)
        uses |= _uses_of_assembly(action.id, rows[action.id], _places(action, entries))
    for path, data in files.data.items():
        _keep(project.root, path, data)
    return rows, uses


def _places(action: Action, entries: Mapping[str, Entry]) -> list[str]:
    return [place for _, path in action.installs if path in entries for place in entries[path].installed()]


@dataclass(frozen=True)
class _Cut:
    """Files of declarations, by path: bytes, digests, what they declare beside sprites; and the file of each sprite."""

    data: Mapping[str, bytes]
    digests: Mapping[str, str]
    rest: Mapping[str, Any]
    sprites: Mapping[str, str]


def _cut(project: Project) -> _Cut | None:
    """The files of a project, cut into sprites and the rest; None where they cannot be cut."""
    data: dict[str, bytes] = {}
    rest: dict[str, Any] = {}
    sprites: dict[str, str] = {}
    for file in project.spritefile.files:
        data[file.path] = file.text.encode()
        names = sections.cuttable(data[file.path])
        tree = tomllib.loads(sections.without_sprites(data[file.path]).decode())
        if names is None or "sprites" in tree:
            return None
        sprites |= dict.fromkeys(names, file.path)
        rest[file.path] = {key: value for key, value in tree.items() if f"{key}." not in ASSEMBLIES}
    if list(sprites) != list(project.spritefile.sprites):
        return None
    try:
        digest.canonical(rest)
    except (TypeError, ValueError):
        return None  # dates
    return _Cut(data, {file.path: file.digest for file in project.spritefile.files}, rest, sprites)


def renew(project: Project, part: Part, entries: Mapping[str, Entry], seen: Mapping[str, idle.Row], path: str) -> None:
    """Record a part of a project, once it is built, beside what was recorded of the rest."""
    token = os.urandom(8).hex()
    digests = part.head["files"] | {path: digest.of_bytes(data) for path, data in part.texts.items()}
    rows: dict[str, Any] = {**part.rows, HEAD: {**part.head, "token": token, "files": digests}}
    uses: Uses = set()
    before: Uses = set()
    for name, row in part.rows.items():
        if name.startswith(SPRITES):
            uses |= _uses_of_sprite(name, row)
            before |= _uses_of_sprite(name, part.before[name])
        else:
            action = project.graph.actions[name]
            uses |= _uses_of_assembly(name, row, _places(action, entries))
            before |= _uses_of_assembly(name, part.before[name], _places(action, project.known.lock))
    for file, data in part.texts.items():
        _keep(project.root, file, data)
    texts = {name: _text(row) for name, row in rows.items()}
    project.store.change_front(texts, (), uses - before, before - uses)
    project.store.commit()
    gone = {place for entry in project.known.lock.values() for place in entry.installed()}
    there = {place for entry in entries.values() for place in entry.installed()}
    touched = (os.path.relpath(name, project.root) for name in part.read)
    idle.renew(part.seen, gone, {*there, *touched, *lock.files(project.root)}, {**seen, **part.read}, path, token)


def _text(row: Any) -> str:
    """A row as it is stored: what is read of it has its keys in the same order."""
    return json.dumps(row, ensure_ascii=False, separators=(",", ":"))


def recipe_name(name: str) -> str:
    return f"recipe:{name[:20]}"


def copy_of(root: Path, path: str) -> Path:
    return idle.state_folder(root) / FOLDER / digest.of_bytes(path.encode())[:16]


def _keep(root: Path, path: str, data: bytes) -> None:
    """Keep a file of declarations as it is now. It need not outlive a crash: its digest is known."""
    copy = copy_of(root, path)
    copy.parent.mkdir(exist_ok=True)
    temporary = copy.with_suffix(".tmp")
    temporary.write_bytes(data)
    temporary.replace(copy)
