"""Finds the few actions that a few changes touch, without reading, resolving or planning the rest of a large project.

A whole build records, beside the signatures of all files (`idle.py`), what of every sprite the others depend on, and
who uses what. The next build asks which files changed since. If those are sprites' tables, files that sprites read,
or assets, then only these sprites are resolved, and what is made of them follows from what was recorded. The outcome
is a part of the project, for the same straight line. It is the same outcome as that of the whole: wherever that is not
certain, there is no part, and the whole is built.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from spritebuild import digest, idle, lock
from spritebuild.alone import alone
from spritebuild.deliver import Delivery
from spritebuild.errors import SpritebuildError
from spritebuild.files import machine_errors, write_atomic
from spritebuild.graph import Action, Graph, Output
from spritebuild.lines import Lines
from spritebuild.part import Part
from spritebuild.pinned.remote import Remote
from spritebuild.plan import Known
from spritebuild.project import Project, declarations
from spritebuild.record import (
    ASSEMBLIES,
    FORMAT,
    HEAD,
    SPRITES,
    assembly,
    copy_of,
    needs_of,
    outside,
    recipe_name,
    row_of_assembly,
    row_of_sprite,
    shape,
)
from spritebuild.resolution.resolve import resolve
from spritebuild.shared.supply import declared, writes_after_builds
from spritebuild.spritefile import SourceFile, Spritefile, part, sections
from spritebuild.stage import Stages
from spritebuild.status import Status
from spritebuild.store import Store

MOST = 500  # sprites beyond which the whole is looked at
EXPANDING = ("matrix", "name", "seeds", "category", "candidates")  # what decides which sprites a table stands for


class _Unsure(Exception):  # noqa: N818 - the whole is built then
    """Whether the part would come out as the whole is not certain."""


class PartDelivery(Delivery):
    """Delivers a part of a project: into the lock of the whole, and in the way of nothing of the rest."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.owners = _Owners(self.project.store, self.owners)

    def write_lock(self) -> None:
        part = self.project.part
        assert part is not None
        root, locked, scratch = self.project.root, self.project.known.lock, self.project.store.scratch
        differs = part.lines.replace(locked, self.entries)
        unnamed = {entry.platform for entry in locked.values()} - {entry.platform for entry in self.entries.values()}
        if self.platforms or unnamed:
            lock.write_platforms(root, self.platforms, (), scratch, elsewhere=part.lines.names_platform)
        if differs:
            write_atomic(root / lock.PATH, *part.lines.pieces, scratch=scratch)

    def _key(self, id: str) -> str | None:
        return super()._key(id) or self.project.store.described_key(id)

    def _makers(self, action: Action) -> Mapping[str, str]:
        """As of the whole: what an assembly's other sprites were made on counts too."""
        part = self.project.part
        assert part is not None
        if not part.head["accelerated"] or action.id not in part.rows:
            return super()._makers(action)
        actions = self.project.graph.actions
        rows: dict[str, Any] = dict(part.head["others"])
        found: dict[str, str] = {}
        todo = [(action.id, action.declared)]
        while todo:
            id, declared = todo.pop()
            if id in found:
                continue
            if id in actions and id not in part.rows:
                found[id] = actions[id].stage
                todo += [(ref.action, "") for ref in actions[id].producers()]
                continue
            if id not in rows and id not in part.rows:
                row = self.project.store.front(declared if declared.startswith(SPRITES) else id)
                rows |= {one["id"]: one for one in row["actions"]} if "actions" in row else {id: row}
            row = part.rows.get(id) or rows[id]
            found[id] = row["stage"]
            todo += needs_of(row)
        return found


class _Owners(dict[str, str]):
    """Who makes a file, by its path in lower case; of the rest of the project, it is looked up."""

    def __init__(self, store: Store, own: Mapping[str, str]) -> None:
        super().__init__(own)
        self.store = store

    def setdefault(self, path: str, owner: str = "") -> str:
        if path not in self and (makers := self.store.front_users(f"asset:{path}")):
            self[path] = makers[0].partition(":")[0]
        return super().setdefault(path, owner)


# Before a build


@contextlib.contextmanager
def narrowed(path: Path, seen: idle.Seen, status: Status, *, offline: bool) -> Iterator[Project | None]:
    """The part of a project that changes touch, held as by `project.held`; None where the whole has to be looked at.

    Nothing is written before it is known that there is a part.
    """
    with contextlib.ExitStack() as stack:
        project = None
        store = Store(idle.state_folder(seen.root))
        stack.callback(store.abandon)
        with contextlib.suppress(_Unsure, SpritebuildError, ValueError, KeyError, TypeError), machine_errors():
            waited = stack.enter_context(alone(seen.root, status))
            if not waited and idle.token(seen.root) == seen.token:
                project = _Narrowing(path, seen, store, offline).project(seen.changed)
        if project is None:
            stack.close()
            yield None
            return
        with machine_errors():
            yield project
            store.record_files(project.known.files.fresh)
            store.close()


class _Narrowing:
    def __init__(self, path: Path, seen: idle.Seen, store: Store, offline: bool) -> None:
        self.path = path
        self.root = seen.root
        self.seen = seen
        self.store = store
        self.offline = offline
        self.head = store.front(HEAD)
        if not self.head or self.head.get("format") != FORMAT or self.head["token"] != seen.token:
            raise _Unsure
        self.texts: dict[str, bytes] = {}
        self.read: dict[str, digest.Signature] = {}
        self.tables: dict[str, Any] = {}  # of touched sprites
        self.assemblies: set[str] = set()  # whose assets are not as they were
        self.recipes: dict[str, str] = {}
        self.made: dict[str, dict[str, str]] = {}
        self.rows: dict[str, Any] = {}
        self.before: dict[str, Any] = {}

    def project(self, changed: list[str]) -> Project:
        for path in changed:
            self._touch(path)
        if not self.tables and not self.assemblies and not self.texts:
            raise _Unsure
        spritefile = self._spritefile()
        stages = Stages(self.root / spritefile.project.stages if spritefile.project.stages else None)
        files = digest.Files({}, self.store.file)
        remote = Remote(self.root, self.store.root / "models", files, offline=self.offline)
        wanted = declarations(spritefile)
        pins = remote.read(wanted)
        if len(pins) < len(wanted):
            raise _Unsure
        resolved = resolve(spritefile, stages, pins, files)
        moved = self._compared(spritefile, resolved)
        following = self._following(moved)
        chosen = [id for id in resolved.finals if resolved.actions[id].declared in self.rows]
        wanted_ids = resolved.upstream(chosen)
        actions = {id: action for id, action in resolved.actions.items() if id in wanted_ids}
        actions |= {action.id: action for action in following}
        made = {id: given for id, given in self.made.items() if id not in actions}
        if not all(self.store.has(name) for given in made.values() for name in given.values()):
            raise _Unsure  # the whole finds out how to have it again
        graph = Graph(actions, made=made)
        lines = Lines(self.root)
        locked = lines.find(path for action in actions.values() for _, path in action.installs)
        known = Known(str(self.root), locked, self.store, files, stages, self.store.stand_ins())
        of_rest = Part(self.seen, self.head, lines, self.texts, self.read, self.rows, self.before)
        project = Project(spritefile, stages, graph, pins, known, remote, {}, part=of_rest)
        said = declared(project)
        if said is not None and writes_after_builds(said):
            raise _Unsure  # what an earlier build could not push goes with the next whole one
        return project

    # What is touched

    def _touch(self, path: str) -> None:
        """Note the sprites and assemblies that a changed file touches."""
        if path in self.head["files"]:
            self._touch_declarations(path)
            return
        readers = self.store.front_users(f"file:{path}")
        makers = self.store.front_users(f"asset:{path.lower()}")
        if not readers and not makers:
            raise _Unsure
        if readers:
            name = os.path.join(self.root, path)
            self.read[name] = digest.signature(Path(name).stat())
        for user in (*readers, *makers):
            if user.startswith(SPRITES):
                self.tables.setdefault(user.removeprefix(SPRITES), None)
            elif user.startswith(ASSEMBLIES) and user not in readers:
                self.assemblies.add(user)
            else:
                raise _Unsure

    def _touch_declarations(self, path: str) -> None:
        before = copy_of(self.root, path).read_bytes()
        if digest.of_bytes(before) != self.head["files"][path]:
            raise _Unsure
        name = os.path.join(self.root, path)
        signature = digest.signature(Path(name).stat())
        after = Path(name).read_bytes()
        found = sections.changed(before, after)
        if found is None:
            raise _Unsure
        for old, new in found.values():
            if any(old.get(key) != new.get(key) for key in EXPANDING) or "candidates" in new:
                raise _Unsure
        self.texts[path] = after
        self.read[name] = signature
        self.tables |= {sprite: new for sprite, (_, new) in found.items()}

    def _spritefile(self) -> Spritefile:
        """The spritefile with the touched sprites alone."""
        if len(self.tables) > MOST:
            raise _Unsure
        places: dict[str, dict[str, Any]] = {path: {} for path in self.head["files"]}
        texts = dict(self.texts)
        for name, table in self.tables.items():
            row = self.before[SPRITES + name] = self.store.front(SPRITES + name)
            if row is None or not row["apart"]:
                raise _Unsure
            path = row["file"]
            if table is None:
                if path not in texts:
                    texts[path] = (self.root / path).read_bytes()
                table = sections.one(texts[path], name)
                if table is None:
                    raise _Unsure
            places[path][name] = table
        files = []
        for path, sprites in places.items():
            tree = self.head["rest"][path]
            files.append((SourceFile(path, "", ""), {**tree, "sprites": sprites} if sprites else tree))
        return part(self.path, files)

    # What follows

    def _compared(self, spritefile: Spritefile, resolved: Graph) -> list[str]:
        """The actions of the touched sprites that are other ones now. Raises _Unsure if more of these changed."""
        of_sprites: dict[str, list[Action]] = {SPRITES + name: [] for name in self.tables}
        declared = {action.id: action.declared for action in resolved.actions.values()}
        for action in resolved.actions.values():
            if action.declared in of_sprites:
                of_sprites[action.declared].append(action)
            elif self.head["others"].get(action.id, {}).get("recipe") != action.recipe:
                raise _Unsure
        moved = []
        strict = bool(spritefile.policy.deny) or spritefile.policy.allow is not None
        for name, actions in of_sprites.items():
            old = self.before[name]
            new = self.rows[name] = row_of_sprite(old["file"], actions, declared, apart=True)
            if shape(new) != shape(old) or (strict and not outside(new) <= outside(old)):
                raise _Unsure
            for was, action in zip(old["actions"], actions, strict=True):
                self.recipes[action.id] = action.recipe
                if was["recipe"] != action.recipe:
                    moved.append(action.id)
                    if not action.installs and self.store.front_users(recipe_name(action.recipe)):
                        raise _Unsure  # the whole would have it once for both
        return moved

    def _following(self, moved: list[str]) -> list[Action]:
        """The assemblies that are made of what moved, however far, and those whose assets are touched."""
        found: dict[str, Any] = {}
        todo = [*self.assemblies, *(user for id in moved for user in self.store.front_users(f"action:{id}"))]
        while todo:
            if (id := todo.pop()) not in found:
                found[id] = self.store.front(id)
                todo += self.store.front_users(f"action:{id}")
        actions = []
        for id, row in sorted(found.items(), key=lambda item: item[1]["number"]):
            action = assembly(id, row, self.recipes)
            self.recipes[id] = action.recipe
            self.before[id] = row
            refs = [ref for _, ref in row["inputs"] if len(ref) > 2]
            recipes = {ref[0]: ref[2] for ref in refs} | self.recipes
            self.rows[id] = row_of_assembly(row["number"], action, recipes, {ref[0]: ref[3] for ref in refs})
            described = self.store.description(id)
            for name, ref in action.inputs:
                if isinstance(ref, Output):
                    if described is None:
                        raise _Unsure
                    self.made.setdefault(ref.action, {})[ref.name] = described.inputs[name]
            actions.append(action)
        return actions
