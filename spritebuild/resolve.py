"""Spritefile + stages + pins -> Graph: expands sprites and gives every param its origin; runs and reads nothing else.

A sprite is one chain of actions: the stage that makes the picture (`generate` unless said otherwise), then its
finishing list. Ops that follow each other are one `finish` action; an entry that names a stage is an action of its own.
"""

from __future__ import annotations

import fnmatch
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import BaseModel, ValidationError

from spritebuild import digest
from spritebuild.errors import Fault, SpritefileError
from spritebuild.graph import Action, Graph, Output, Ref, Source, recipe
from spritebuild.mistakes import alternatives, say, stage_mistake
from spritebuild.pins import Pin
from spritebuild.spritefile import Sheet, Sprite, Spritefile, Style
from spritebuild.stage import Stage, Stages

GENERATE, FINISH, SHEET = "generate", "finish", "sheet"
# Keys of a look that a stage hears as params of the same name, if it has them.
LOOK = ("negative", "scheduler", "steps", "guidance", "size")
SLOT = re.compile(r"\{([^{}]*)\}")

Where = tuple[str | int, ...]


@dataclass(frozen=True)
class Folded:
    """A style with everything it extends folded in: values, and where each was declared."""

    values: Mapping[str, Any]
    where: Mapping[str, Where]


@dataclass(frozen=True)
class Finishing:
    """A finishing list cut into actions: (stage, params, origins, inputs), validated once for all its sprites."""

    pieces: tuple[tuple[Stage, Mapping[str, Any], Mapping[str, str], tuple[tuple[str, Ref], ...]], ...]


def resolve(spritefile: Spritefile, stages: Stages, pins: Mapping[str, Pin], files: digest.Files) -> Graph:
    """The graph of a spritefile. Raises SpritefileError with every fault found."""
    return _Resolver(spritefile, stages, pins, files).graph()


@dataclass
class _Resolver:
    spritefile: Spritefile
    stages: Stages
    pins: Mapping[str, Pin]
    files: digest.Files
    faults: list[Fault] = field(default_factory=list)
    actions: list[Action] = field(default_factory=list)
    recipes: dict[str, str] = field(default_factory=dict)
    looks: dict[str, Folded] = field(default_factory=dict)
    finishings: dict[Where, Finishing | None] = field(default_factory=dict)
    blamed: set[tuple[Where, str]] = field(default_factory=set)
    taken: dict[str, Where] = field(default_factory=dict)
    finals: dict[str, str] = field(default_factory=dict)

    def graph(self) -> Graph:
        for name, sprite in self.spritefile.sprites.items():
            self._sprite(name, sprite)
        for name, sheet in self.spritefile.sheets.items():
            self._sheet(name, sheet)
        if self.faults:
            raise SpritefileError(self.faults)
        return Graph.of(self.actions)

    # Sprites

    def _sprite(self, name: str, sprite: Sprite) -> None:
        look = self._overridden(name, sprite)
        kind = look.values.get("stage", GENERATE)
        stage = self._stage(kind, look.where.get("stage", ("sprites", name)))
        finishing = self._finishing(look)
        if stage is None or finishing is None:
            return
        if kind == GENERATE and sprite.prompt is None:
            self._blame(("sprites", name), "has no prompt", 'add `prompt = "..."`')
            return
        if kind == GENERATE and "model" not in look.values:
            self._blame(("sprites", name), "has no model", "name a model in the sprite or its style")
            return
        for variant, words, seed in self._variants(name, sprite):
            self._chain(name, sprite, variant, words, seed, look, stage, finishing)

    def _variants(self, name: str, sprite: Sprite) -> Iterator[tuple[str, dict[str, str], int]]:
        """Every sprite that a declaration stands for: its name, the words of its matrix, its seed."""
        seeds = sprite.seeds or [self.spritefile.project.seed if sprite.seed is None else sprite.seed]
        axes = sprite.matrix or {}
        slots = ["name", *axes, *["seed"] * (len(seeds) > 1)]
        template = sprite.name or "-".join(f"{{{slot}}}" for slot in slots)
        for values in itertools.product(*axes.values()):
            words = {axis: str(value) for axis, value in zip(axes, values, strict=True)}
            for seed in seeds:
                slugs = {"name": name, "seed": str(seed), **{axis: _slug(word) for axis, word in words.items()}}
                yield self._filled(template, slugs, ("sprites", name, "name")), words, seed

    def _chain(
        self,
        name: str,
        sprite: Sprite,
        variant: str,
        words: Mapping[str, str],
        seed: int,
        look: Folded,
        stage: Stage,
        finishing: Finishing,
    ) -> None:
        fields = stage.Params.model_fields
        values: dict[str, Any] = {key: look.values[key] for key in LOOK if key in look.values and key in fields}
        origins = {key: _dotted(look.where[key]) for key in values}
        values |= dict(look.values.get("params", {}))
        origins |= {key: f"{_dotted(look.where['params'])}.{key}" for key in look.values.get("params", {})}
        if "seed" in fields:
            values["seed"] = seed
            origins["seed"] = _dotted(("sprites", name, "seeds" if sprite.seeds else "seed"))
            if sprite.seed is None and not sprite.seeds:
                origins["seed"] = "project.seed"
        if "prompt" in fields and sprite.prompt is not None:
            values["prompt"] = self._prompt(name, sprite, look, words)
            origins["prompt"] = _dotted(("sprites", name, "prompt"))
        inputs = self._weights(stage, look, values, origins)
        params = self._params(stage, values, origins, ("sprites", name), look)
        if params is None:
            return
        last = self._add(f"sprites.{variant}", stage, params, inputs, origins)
        for number, (piece, piece_params, piece_origins, piece_inputs) in enumerate(finishing.pieces):
            chained = (("image", Output(last.id, "image")), *piece_inputs)
            repeated = sum(earlier[0].kind == piece.kind for earlier in finishing.pieces[:number])
            suffix = f"{piece.kind}-{repeated + 1}" if repeated else piece.kind
            last = self._add(f"sprites.{variant}", piece, piece_params, chained, piece_origins, suffix)
        folder = "/".join(part for part in (self.spritefile.project.assets, sprite.category) if part)
        extension = dict(last.outputs).get("image", "image.png").rpartition(".")[2]
        self._install(last, (("image", f"{folder}/{variant}.{extension}"),), ("sprites", name))
        if variant in self.finals:
            self._blame(("sprites", name), f"two sprites are called {variant}", "give one a `name` template of its own")
        self.finals[variant] = last.id

    def _prompt(self, name: str, sprite: Sprite, look: Folded, words: Mapping[str, str]) -> str:
        text = self._filled(sprite.prompt or "", words, ("sprites", name, "prompt"))
        template = look.values.get("prompt", "{prompt}")
        text = self._filled(template, {**words, "prompt": text}, look.where.get("prompt", ("sprites", name, "prompt")))
        triggers = list(self.spritefile.models[look.values["model"]].triggers) if "model" in look.values else []
        triggers += [
            word for lora in look.values.get("loras", ()) for word in self.spritefile.loras[lora.name].triggers
        ]
        missing = [word for word in dict.fromkeys(triggers) if word.lower() not in text.lower()]
        return ", ".join([*missing, text])

    def _weights(
        self, stage: Stage, look: Folded, values: dict[str, Any], origins: dict[str, str]
    ) -> tuple[tuple[str, Ref], ...]:
        """The pinned inputs of a generating stage, and the params that its model's table decides."""
        inputs: list[tuple[str, Ref]] = []
        if "model" in look.values and "model" in stage.Inputs.model_fields:
            name = look.values["model"]
            inputs.append(("model", Source(f"models.{name}", self.pins[f"models.{name}"].digest)))
            for key in ("dtype", "batch"):
                if key in stage.Params.model_fields:
                    values[key] = getattr(self.spritefile.models[name], key)
                    origins[key] = f"models.{name}.{key}"
        if look.values.get("loras") and "loras" in stage.Inputs.model_fields:
            values["loras"] = [lora.model_dump() for lora in look.values["loras"]]
            origins["loras"] = _dotted(look.where["loras"])
            names = dict.fromkeys(f"loras.{lora.name}" for lora in look.values["loras"])
            inputs += [(name, Source(name, self.pins[name].digest)) for name in names]
        return tuple(inputs)

    # Styles

    def _style(self, name: str) -> Folded:
        if name not in self.looks:
            style = self.spritefile.styles[name]
            parent = self._style(style.extends) if style.extends else Folded({}, {})
            self.looks[name] = _folded(parent, style, ("styles", name))
        return self.looks[name]

    def _overridden(self, name: str, sprite: Sprite) -> Folded:
        style = self._style(sprite.style) if sprite.style else Folded({}, {})
        return _folded(style, sprite, ("sprites", name), skip=("prompt",))

    # Finishing

    def _finishing(self, look: Folded) -> Finishing | None:
        """The validated pieces of a finishing list; None where it has faults (which are reported once)."""
        where = look.where.get("finish", ())
        if where not in self.finishings:
            before = len(self.faults)
            pieces = list(self._pieces(look.values.get("finish", ()), where))
            self.finishings[where] = Finishing(tuple(pieces)) if len(self.faults) == before else None
        return self.finishings[where]

    def _pieces(
        self, entries: Sequence[Mapping[str, Any]], where: Where
    ) -> Iterator[tuple[Stage, Mapping[str, Any], Mapping[str, str], tuple[tuple[str, Ref], ...]]]:
        numbered = list(enumerate(entries))
        for is_op, run in itertools.groupby(numbered, key=lambda item: "op" in item[1]):
            for part in [list(run)] if is_op else ([item] for item in run):
                piece = self._ops(part, where) if is_op else self._own(part[0], where)
                if piece is not None:
                    yield piece

    def _ops(
        self, part: Sequence[tuple[int, Mapping[str, Any]]], where: Where
    ) -> tuple[Stage, Mapping[str, Any], Mapping[str, str], tuple[tuple[str, Ref], ...]] | None:
        stage = self.stages[FINISH]
        ops, inputs = [], dict[str, Ref]()
        origins = {"ops": _dotted(where)}
        for position, (number, entry) in enumerate(part):
            op = dict(entry)
            origins[f"ops.{position}"] = f"{_dotted(where)}[{number}]"
            name = op.get("palette")
            palette = self.spritefile.palettes.get(name) if isinstance(name, str) else None
            if palette is not None and palette.colors is not None:
                op["colors"] = list(palette.colors)
                origins[f"ops.{position}.colors"] = f"palettes.{name}.colors"
            elif palette is not None and palette.file is not None:
                content = self.files.of(self.spritefile.root / palette.file)
                inputs[f"palettes.{name}"] = Source(palette.file, content)
            ops.append(op)
        numbers = [number for number, _ in part]
        try:
            params = _dumped(stage.Params.model_validate({"ops": ops}))
        except ValidationError as error:
            for problem in error.errors():
                location = problem["loc"][1:]
                number = numbers[location[0]] if location and isinstance(location[0], int) else 0
                # pydantic names the union's member (the op) between the index and the field
                rest = tuple(part for part in location[2:] if isinstance(part, str | int))
                self._blame_validation((*where, number, *rest), problem, stage, entries=dict(part)[number])
            return None
        return stage, params, origins, tuple(inputs.items())

    def _own(
        self, item: tuple[int, Mapping[str, Any]], where: Where
    ) -> tuple[Stage, Mapping[str, Any], Mapping[str, str], tuple[tuple[str, Ref], ...]] | None:
        number, entry = item
        stage = self._stage(entry["stage"], (*where, number, "stage"))
        if stage is None:
            return None
        if "image" not in stage.Inputs.model_fields or "image" not in stage.Outputs.model_fields:
            self._blame((*where, number, "stage"), f"stage {stage.kind!r} does not turn an image into an image")
            return None
        values = {key: value for key, value in entry.items() if key != "stage"}
        origins = {key: f"{_dotted(where)}[{number}].{key}" for key in values}
        try:
            return stage, _dumped(stage.Params.model_validate(values)), origins, ()
        except ValidationError as error:
            for problem in error.errors():
                self._blame_validation((*where, number, *problem["loc"]), problem, stage, entries=values)
            return None

    # Sheets

    def _sheet(self, name: str, sheet: Sheet) -> None:
        stage = self.stages[SHEET]
        chosen: dict[str, str] = {}
        for number, pattern in enumerate(sheet.sprites):
            matching = fnmatch.filter(self.finals, pattern)
            if not matching and not self.faults:
                hint = alternatives(pattern, self.finals, "sprites")
                self._blame(("sheets", name, "sprites", number), f"no sprite is called {say(pattern)}", hint)
            chosen |= {sprite: self.finals[sprite] for sprite in matching}
        said: dict[str, Any] = {
            "columns": sheet.columns,
            "spacing": sheet.spacing,
            "margin": sheet.margin,
            "format": sheet.format,
        }
        values: dict[str, Any] = {"names": list(chosen), "image_name": f"{name}.png"}
        values |= {key: value for key, value in said.items() if value is not None}
        origins = {key: f"sheets.{name}.{key}" for key in values} | {"names": f"sheets.{name}.sprites"}
        params = self._params(stage, values, origins, ("sheets", name), Folded({}, {}))
        if params is None or not chosen:
            return
        frames = tuple((f"frames.{n}", Output(id, "image")) for n, id in enumerate(chosen.values()))
        action = self._add(f"sheets.{name}", stage, params, frames, origins)
        folder = "/".join(part for part in (self.spritefile.project.assets, sheet.category) if part)
        paths = (("image", f"{folder}/{name}.png"), ("atlas", f"{folder}/{name}.json"))
        self._install(action, paths, ("sheets", name))

    # What all of them share

    def _add(
        self,
        target: str,
        stage: Stage,
        params: Mapping[str, Any],
        inputs: tuple[tuple[str, Ref], ...],
        origins: Mapping[str, str],
        suffix: str | None = None,
    ) -> Action:
        outputs = tuple((name, str(info.default)) for name, info in stage.Outputs.model_fields.items())
        name = recipe(stage.kind, stage.version, params, inputs, self.recipes)
        id = f"{target}:{suffix or stage.kind}"
        action = Action(id, stage.kind, stage.version, params, inputs, outputs, name, (), origins)
        self.actions.append(action)
        self.recipes[id] = name
        return action

    def _install(self, action: Action, paths: tuple[tuple[str, str], ...], where: Where) -> None:
        """Say where an action's outputs go. The action is the last one added."""
        for _, path in paths:
            other = self.taken.setdefault(path.lower(), where)  # file systems exist that do not tell A from a
            if other is not where:
                self._blame(where, f"{path} is also made by {_dotted(other)}", "give one another name or category")
        assert self.actions[-1] is action
        self.actions[-1] = replace(action, installs=paths)

    def _stage(self, kind: str, where: Where) -> Stage | None:
        try:
            return self.stages[kind]
        except KeyError:
            self._blame(where, f"unknown stage {say(kind)}", alternatives(kind, self.stages.kinds(), "stages"))
            return None

    def _params(
        self, stage: Stage, values: Mapping[str, Any], origins: Mapping[str, str], where: Where, look: Folded
    ) -> Mapping[str, Any] | None:
        """The params that differ from the stage's defaults; None, with faults, where the stage refuses them."""
        try:
            return _dumped(stage.Params.model_validate(values))
        except ValidationError as error:
            for problem in error.errors():
                first, *rest = problem["loc"] or ("",)
                key = str(first)
                if key in look.where:
                    place: Where = (*look.where[key], *rest)
                elif key in look.values.get("params", {}):
                    place = (*look.where["params"], key, *rest)
                else:
                    place = (*origins[key].split("."), *rest) if key in origins else where
                self._blame_validation(place, problem, stage, entries=values)
            return None

    def _filled(self, template: str, words: Mapping[str, str], where: Where) -> str:
        def word(match: re.Match[str]) -> str:
            if match[1] in words:
                return words[match[1]]
            self._blame(where, f"nothing is called {match[0]}", alternatives(match[1], words, "known here"))
            return match[0]

        return SLOT.sub(word, template) if "{" in template else template

    def _blame(self, where: Where, message: str, hint: str | None = None, *, key: bool = True) -> None:
        if (where, message) not in self.blamed:
            self.blamed.add((where, message))
            self.faults.append(self.spritefile.fault(where, message, hint, key=key))

    def _blame_validation(self, where: Where, problem: Any, stage: Stage, entries: Mapping[str, Any]) -> None:
        mistake = stage_mistake(problem, where, _fields(stage, entries))
        self._blame(mistake.path, mistake.message, mistake.hint, key=mistake.key)


def _folded(parent: Folded, child: Style | Sprite, where: Where, skip: Iterable[str] = ()) -> Folded:
    """The parent's look with what the child says put over it."""
    said = {
        key: getattr(child, key)
        for key in child.model_fields_set
        if key in Style.model_fields and key not in ("extends", *skip) and getattr(child, key) is not None
    }
    return Folded({**parent.values, **said}, {**parent.where, **{key: (*where, key) for key in said}})


def _fields(stage: Stage, entries: Mapping[str, Any]) -> list[str]:
    """The keys that could have been meant: the stage's params, or those of the op that an entry names."""
    found = list(stage.Params.model_fields)
    if "op" in entries:
        for member in _members(stage.Params.model_fields["ops"].annotation):
            if member.model_fields["op"].annotation.__args__[0] == entries["op"]:  # type: ignore[union-attr]
                return list(member.model_fields)
    return found


def _members(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models inside `tuple[Annotated[A | B, ...], ...]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in getattr(annotation, "__args__", ()):
        yield from _members(inner)


def _dumped(params: BaseModel) -> Mapping[str, Any]:
    return params.model_dump(mode="json", exclude_defaults=True)


def _dotted(where: Where) -> str:
    text = ""
    for part in where:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _slug(word: str) -> str:
    return re.sub(r"[^a-z0-9_]+", "-", word.lower()).strip("-") or "x"
