"""How licences flow: the models, LoRAs and data that every asset comes from, and under which licences those are.

One pass over the graph, producers first. An action that makes a model, a LoRA or data stands for a component; what is
made with it comes from that component, and so, further up, from whatever the component was trained with. Assets that
come from the same components share one set. Files of the project that are no data to train on are its own.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from spritebuild import digest
from spritebuild.graph import Action, Graph, Source
from spritebuild.licences.expressions import LICENCE_FILE, carries_restrictions, expression
from spritebuild.pinned import pins
from spritebuild.pinned.pins import Pin
from spritebuild.pinned.remote import shipped, source_of
from spritebuild.spritefile import Spritefile

TABLES = ("datasets", "vaes", "classifiers", "models", "loras")
HERE = "trained here"
Names = frozenset[str]


@dataclass(frozen=True)
class Component:
    """A model, LoRA or set of data.

    `licence` is its own: UNKNOWN where it should have one and none is declared, empty for what is trained here and
    says none. `licences` are all that have a say in it: its own, and those of what it `needs`. `digest` is that of a
    pin; what is trained here has the `recipe` of its training.
    """

    name: str
    licence: str
    licences: Names
    source: str
    digest: str
    needs: Names
    training: Action | None = None

    @property
    def kind(self) -> str:
        """The table that declares it, as `models`."""
        return self.name.partition(".")[0]

    @property
    def title(self) -> str:
        """Its name in that table."""
        return self.name.partition(".")[2]

    @property
    def restricted(self) -> bool:
        """Whether limits on what it may be used for come with it."""
        return any(map(carries_restrictions, self.licences))


@dataclass(frozen=True)
class Origins:
    """What a project's assets come from. `components` are those in use by name, what they need before them."""

    components: Mapping[str, Component]
    actions: Mapping[str, Names]  # the components that an action's outputs come from at first hand, by its id
    assets: Mapping[str, Names]  # the same by asset path

    def behind(self, names: Collection[str]) -> Names:
        """These components and everything that they come from, however far."""
        found: set[str] = set()
        todo = list(names)
        while todo:
            name = todo.pop()
            if name not in found:
                found.add(name)
                todo += self.components[name].needs
        return frozenset(found)

    def licences(self, names: Names) -> Names:
        """The licences that have a say in what comes from these components; empty for what is the project's own."""
        return frozenset[str]().union(*(self.components[name].licences for name in names))

    def by_licences(self) -> dict[Names, list[str]]:
        """The asset paths under each set of licences, in the order of the graph."""
        known: dict[Names, Names] = {}
        groups: dict[Names, list[str]] = {}
        for path, names in self.assets.items():
            if names not in known:
                known[names] = self.licences(names)
            groups.setdefault(known[names], []).append(path)
        return groups


def origins(spritefile: Spritefile, graph: Graph, pinned: Mapping[str, Pin]) -> Origins:
    """Follow licences through a graph."""
    made: dict[str, Names] = {}
    assets: dict[str, Names] = {}
    components: dict[str, Component] = {}
    shared: dict[Names, Names] = {}
    for action in graph.actions.values():
        parts: set[Names] = set()
        for _, ref in action.inputs:
            if not isinstance(ref, Source):
                parts.add(made[ref.action])
            elif ref.name in pinned:
                if ref.name not in components and ref.name != action.target:
                    components[ref.name] = _declared(spritefile, ref.name, pinned[ref.name])
                parts.add(frozenset((ref.name,)))
        found = frozenset[str]().union(*parts) if len(parts) != 1 else next(iter(parts))
        if action.target.partition(".")[0] in TABLES:
            if action.target not in components:
                components[action.target] = _made(spritefile, action, found - {action.target}, components, pinned)
            found = frozenset((action.target,))
        made[action.id] = found = shared.setdefault(found, found)
        assets |= {path: found for _, path in action.installs}
    return Origins(components, made, assets)


def place_of(spritefile: Spritefile, component: str) -> tuple[str, ...]:
    """The path of the key that declares a component's licence, as it is spelled; of its table where there is none."""
    where = tuple(component.split(".", 1))
    for key in ("licence", "license"):
        if any(file.places.depth((*where, key)) == len(where) + 1 for file in spritefile.files):
            return (*where, key)
    return where


def without_credentials(source: str) -> str:
    """A source without what a URL in it says of a user: that is for nobody's eyes."""
    return re.sub(r"://[^/\s]*@", "://", source)


def _declared(spritefile: Spritefile, name: str, pin: Pin) -> Component:
    """A component whose bytes are pinned."""
    table, _, key = name.partition(".")
    declared = getattr(spritefile, table)[key]
    said = declared.licence or pin.licence
    builtin = getattr(declared, "builtin", None)
    if said is None and builtin is not None:  # not pinned yet
        said = pins.read(shipped(builtin).with_suffix(".dvc")).licence
    text = next((sha256 for path, _, sha256 in pin.files if LICENCE_FILE.fullmatch(path)), None)
    if not pin.files and declared.path is not None:
        text = _text(spritefile.root / declared.path)
    licence = expression(said, text)
    found = pin.digest if pin.files else ""
    source = without_credentials(source_of(declared))
    return Component(name, licence, frozenset((licence,)), source, found, frozenset())


def _made(
    spritefile: Spritefile,
    action: Action,
    needs: Names,
    components: Mapping[str, Component],
    pinned: Mapping[str, Pin],
) -> Component:
    """A component that an action of the graph makes, of what it needs."""
    name = action.target
    if name in pinned:  # data of another repository: its action only reads them
        return _declared(spritefile, name, pinned[name])
    table, _, key = name.partition(".")
    declared = getattr(spritefile, table)[key]
    said = getattr(declared, "licence", None)
    if table == "datasets":
        licence = expression(said, _text(spritefile.root / declared.path))
        return Component(name, licence, frozenset((licence,)), f"path:{declared.path}", "", needs, action)
    licence = expression(said) if said else ""
    own = frozenset((licence,)) if licence else frozenset[str]()
    return Component(name, licence, own.union(*(components[each].licences for each in needs)), HERE, "", needs, action)


def _text(folder: Path) -> str | None:
    """The sha256 of the licence in a folder of the project, if there is one."""
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if LICENCE_FILE.fullmatch(path.name) and path.is_file():
            return digest.of_file(path)
    return None
