"""Spritefile + stages + pins -> Graph: expands sprites and gives every param its origin; runs nothing.

A sprite is one chain of actions: the stage that makes the picture (`generate` unless said otherwise), then the actions
of its finishing list. The last of them installs the sprite. Sheets read what sprites install. What is trained here
comes before the sprites that need it (trainings.py).
"""

from __future__ import annotations

import fnmatch
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from spritebuild import digest
from spritebuild.errors import SpritefileError
from spritebuild.faults import Faults, Where, dotted
from spritebuild.graph import Action, Graph, Output, Ref, recipe
from spritebuild.pins import Pin
from spritebuild.spritefile import Sheet, Sprite, Spritefile
from spritebuild.spritefile.mistakes import alternatives, say
from spritebuild.stage import Stage, Stages
from spritebuild.styles import Look, Piece, Styles, dumped
from spritebuild.trainings import LORA_CARD, Sprited, Trainings

GENERATE, SHEET = "generate", "sheet"
SHARED = (
    "negative",
    "scheduler",
    "steps",
    "guidance",
    "size",
)  # of a look: params of the same name, if a stage has them
SLOT = re.compile(r"\{([^{}]*)\}")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,199}")  # one part of a path, and of a target


def resolve(spritefile: Spritefile, stages: Stages, pins: Mapping[str, Pin], files: digest.Files) -> Graph:
    """The graph of a spritefile. Raises SpritefileError with every fault found."""
    faults = Faults(spritefile)
    resolver = _Resolver(spritefile, stages, pins, files, faults, Styles(spritefile, stages, files, faults))
    for name, sprite in spritefile.sprites.items():
        resolver.sprite(name, sprite)
    for name, sheet in spritefile.sheets.items():
        resolver.sheet(name, sheet)
    for name in spritefile.evaluations:
        resolver.evaluation(name)
    resolver.trainings.all()
    if faults.found:
        raise SpritefileError(faults.found)
    return Graph.of(resolver.actions)


@dataclass
class _Resolver:
    spritefile: Spritefile
    stages: Stages
    pins: Mapping[str, Pin]
    files: digest.Files
    faults: Faults
    styles: Styles
    actions: list[Action] = field(default_factory=list)
    recipes: dict[str, str] = field(default_factory=dict)
    makers: dict[str, Where] = field(default_factory=dict)  # who makes an asset path
    finals: dict[str, Sprited] = field(default_factory=dict)  # what is installed, by the sprite's name

    def __post_init__(self) -> None:
        self.trainings = Trainings(self.spritefile, self.stages, self.pins, self.files, self.faults, self._train)

    # Trainings

    def _train(self, target: str, piece: Piece, inputs: tuple[tuple[str, Ref], ...], suffix: str) -> Action:
        action = self._add(target, piece, inputs, suffix)
        table, _, name = target.partition(".")
        if table == "loras" and (path := self.spritefile.loras[name].save) is not None:
            beside = path.removesuffix(".safetensors") + ".json" if suffix == LORA_CARD else path
            self._install(((action.outputs[0][0], beside),), (table, name))
        return self.actions[-1]

    # Sprites

    def sprite(self, name: str, sprite: Sprite) -> None:
        """Add the actions of every sprite that a declaration stands for."""
        where = ("sprites", name)
        look = self.styles.of_sprite(name, sprite)
        kind = look.values.get("stage", GENERATE)
        stage = self.styles.stage(kind, look.where.get("stage", where))
        finishing = self.styles.finishing(look)
        if stage is None or finishing is None:
            return
        if kind == GENERATE and sprite.prompt is None:
            self.faults.blame(where, "has no prompt", 'add prompt = "..."')
        elif kind == GENERATE and "model" not in look.values:
            self.faults.blame(where, "has no model", "name a model in the sprite or in its style")
        else:
            for variant, words, seed in self._variants(name, sprite):
                params = self._params(name, sprite, look, stage, words, seed)
                if params is not None:
                    self._chain(name, sprite, variant, Piece(stage, *params), finishing, words)

    def _variants(self, name: str, sprite: Sprite) -> Iterator[tuple[str, dict[str, str], int]]:
        """The name, the words of the matrix and the seed of every sprite of a declaration."""
        seeds = sprite.seeds or [self.spritefile.project.seed if sprite.seed is None else sprite.seed]
        axes = sprite.matrix or {}
        slots = ["name", *axes, *["seed"] * (len(seeds) > 1)]
        template = sprite.name or "-".join(f"{{{slot}}}" for slot in slots)
        for values in itertools.product(*axes.values()):
            words = {axis: str(value) for axis, value in zip(axes, values, strict=True)}
            for seed in seeds:
                slugs = {"name": name, "seed": str(seed), **{axis: _slug(word) for axis, word in words.items()}}
                variant = self._filled(template, slugs, ("sprites", name, "name"))
                if not NAME.fullmatch(variant):
                    hint = 'names are letters, digits, "-" and "_"; folders are for `category`'
                    self.faults.blame(("sprites", name, "name"), f"{say(variant)} is not a name", hint, key=False)
                    return
                yield variant, words, seed

    def _params(
        self, name: str, sprite: Sprite, look: Look, stage: Stage, words: Mapping[str, str], seed: int
    ) -> tuple[Mapping[str, Any], dict[str, str], tuple[tuple[str, Ref], ...]] | None:
        """Params, origins and pinned inputs of the stage that makes the picture; None, with faults, if refused."""
        known = stage.Params.model_fields
        values: dict[str, Any] = {key: look.values[key] for key in SHARED if key in look.values and key in known}
        origins = {key: dotted(look.where[key]) for key in values}
        own = look.values.get("params", {})
        values |= own
        origins |= {key: f"{dotted(look.where['params'])}.{key}" for key in own}
        if "seed" in known and "seed" not in own:
            values["seed"] = seed
            said = f"sprites.{name}.seeds" if sprite.seeds else f"sprites.{name}.seed"
            origins["seed"] = "project.seed" if sprite.seed is None and not sprite.seeds else said
        if "prompt" in known and sprite.prompt is not None:
            values["prompt"] = self._prompt(name, sprite.prompt, look, words)
            origins["prompt"] = f"sprites.{name}.prompt"
        inputs: list[tuple[str, Ref]] = []
        if "model" in look.values and "model" in stage.Inputs.model_fields:
            model = f"models.{look.values['model']}"
            weights = self.trainings.artifact("models", look.values["model"])
            if weights is None:
                return None
            inputs.append(("model", weights))
            for key in ("dtype", "batch"):
                if key in known:
                    values[key] = getattr(self.spritefile.models[look.values["model"]], key)
                    origins[key] = f"{model}.{key}"
        if look.values.get("loras") and "loras" in stage.Inputs.model_fields:
            values["loras"] = [
                {"name": use.name, "weight": self._strength(use.name) if use.weight is None else use.weight}
                for use in look.values["loras"]
            ]
            origins["loras"] = dotted(look.where["loras"])
            for name_of_lora in dict.fromkeys(lora.name for lora in look.values["loras"]):
                weights = self.trainings.artifact("loras", name_of_lora)
                if weights is None:
                    return None
                inputs.append((f"loras.{name_of_lora}", weights))
        try:
            return dumped(stage.Params.model_validate(values)), origins, tuple(inputs)
        except ValidationError as error:
            for problem in error.errors():
                self.faults.refused(self._place(problem["loc"], look, ("sprites", name)), problem, stage, values)
            return None

    def _strength(self, lora: str) -> float:
        return self.spritefile.loras[lora].strength

    def _place(self, location: tuple[str | int, ...], look: Look, otherwise: Where) -> Where:
        """Where the param at a location was declared."""
        key, *rest = location or ("",)
        if key in look.where:
            return (*look.where[str(key)], *rest)
        if key in look.values.get("params", {}):
            return (*look.where["params"], *location)
        if key in ("dtype", "batch"):
            return ("models", look.values["model"], key)
        return (*otherwise, *location)

    def _prompt(self, name: str, prompt: str, look: Look, words: Mapping[str, str]) -> str:
        """The style's prompt around the sprite's own, after those trigger words that neither has."""
        text = self._filled(prompt, words, ("sprites", name, "prompt"))
        if "prompt" in look.values:
            text = self._filled(look.values["prompt"], {**words, "prompt": text}, look.where["prompt"])
        triggers = list(self.spritefile.models[look.values["model"]].triggers) if "model" in look.values else []
        for lora in look.values.get("loras", ()):
            triggers.extend(self.spritefile.triggers(lora.name))
        missing = [word for word in dict.fromkeys(triggers) if word.lower() not in text.lower()]
        return ", ".join([*missing, text])

    def _chain(
        self,
        name: str,
        sprite: Sprite,
        variant: str,
        first: Piece,
        finishing: tuple[Piece, ...],
        words: Mapping[str, str],
    ) -> None:
        last = self._add(f"sprites.{variant}", first, first.inputs, first.stage.kind)
        repeats: dict[str, int] = {}
        for piece in finishing:
            kind = piece.stage.kind
            repeats[kind] = repeats.get(kind, 0) + 1
            suffix = f"{kind}-{repeats[kind]}" if repeats[kind] > 1 else kind
            image = ("image", Output(last.id, "image"))
            last = self._add(f"sprites.{variant}", piece, (image, *piece.inputs), suffix)
        suffix = dict(last.outputs).get("image", "image.png").rpartition(".")[2]
        path = f"{self._folder(sprite)}/{variant}.{suffix}"
        if variant in self.finals:
            hint = "give one a `name` template of its own"
            self.faults.blame(("sprites", name), f"two sprites are called {say(variant)}", hint)
        self._install((("image", path),), ("sprites", name))
        self.finals[variant] = Sprited(last.id, words)

    # Sheets

    def sheet(self, name: str, sheet: Sheet) -> None:
        """Add the action of a sheet."""
        stage = self.styles.stages[SHEET]
        chosen = self._chosen(("sheets", name, "sprites"), sheet.sprites)
        if not chosen:
            return
        values: dict[str, Any] = {"names": list(chosen), "image_name": f"{name}.png"}
        for key in ("columns", "spacing", "margin", "format"):
            if getattr(sheet, key) is not None:
                values[key] = getattr(sheet, key)
        origins = {key: f"sheets.{name}.{key}" for key in values} | {"names": f"sheets.{name}.sprites"}
        try:
            params = dumped(stage.Params.model_validate(values))
        except ValidationError as error:
            for problem in error.errors():
                self.faults.refused(("sheets", name, *problem["loc"]), problem, stage, values)
            return
        frames = tuple((f"frames.{n}", Output(sprite.action, "image")) for n, sprite in enumerate(chosen.values()))
        self._add(f"sheets.{name}", Piece(stage, params, origins), frames, stage.kind)
        path = f"{self._folder(sheet)}/{name}"
        self._install((("image", f"{path}.png"), ("atlas", f"{path}.json")), ("sheets", name))

    def _chosen(self, where: Where, patterns: Sequence[str]) -> dict[str, Sprited]:
        """The sprites that globs name; one that names none is a fault."""
        chosen: dict[str, Sprited] = {}
        for number, pattern in enumerate(patterns):
            matching = fnmatch.filter(self.finals, pattern)
            if not matching and not self.faults.found:
                hint = alternatives(pattern, self.finals, "sprites")
                self.faults.blame((*where, number), f"no sprite is called {say(pattern)}", hint, key=False)
            chosen |= {sprite: self.finals[sprite] for sprite in matching}
        return chosen

    def evaluation(self, name: str) -> None:
        """Add the measurement of some sprites."""
        said, where = self.spritefile.evaluations[name], ("evaluations", name)
        chosen = self._chosen((*where, "sprites"), said.sprites)
        baseline = self._chosen((*where, "baseline"), said.baseline)
        if chosen and len(baseline) in (0, len(chosen)):
            self.trainings.evaluation(name, chosen, baseline)
            if said.save is not None and not self.faults.found:
                files = self.actions[-1].outputs
                self._install(
                    tuple((key, f"{said.save}/{name}.{file.rpartition('.')[2]}") for key, file in files), where
                )
        elif chosen:
            self.faults.blame((*where, "baseline"), f"{len(baseline)} sprites for {len(chosen)}", key=False)

    # Both

    def _add(self, target: str, piece: Piece, inputs: tuple[tuple[str, Ref], ...], suffix: str) -> Action:
        stage = piece.stage
        outputs = tuple((name, _file(info)) for name, info in stage.Outputs.model_fields.items())
        id = f"{target}:{suffix}"
        self.recipes[id] = recipe(stage.kind, stage.version, piece.params, inputs, self.recipes)
        action = Action(
            id, stage.kind, stage.version, piece.params, inputs, outputs, self.recipes[id], origins=piece.origins
        )
        self.actions.append(action)
        return action

    def _install(self, paths: tuple[tuple[str, str], ...], where: Where) -> None:
        """Say where the outputs of the action that was added last go."""
        for _, path in paths:
            other = self.makers.setdefault(path.lower(), where)  # file systems exist that do not tell A from a
            if other is not where:
                hint = "give one of them another name or category"
                self.faults.blame(where, f"{path} is also made by {dotted(other)}", hint)
        self.actions[-1] = replace(self.actions[-1], installs=paths)

    def _folder(self, declared: Sprite | Sheet) -> str:
        assets = self.spritefile.project.assets
        return f"{assets}/{declared.category}" if declared.category else assets

    def _filled(self, template: str, words: Mapping[str, str], where: Where) -> str:
        """A template with each `{word}` filled in; an unknown one is a fault."""
        if "{" not in template:
            return template
        for unknown in (slot for slot in SLOT.findall(template) if slot not in words):
            known = alternatives(unknown, words, "known here")
            self.faults.blame(where, f"nothing is called {{{unknown}}}", known, key=False)
        return SLOT.sub(lambda match: words.get(match[1], ""), template)


def _file(output: FieldInfo) -> str:
    """What an output is called in its action's folder; a folder ends in a slash."""
    return f"{output.default}/" if "folder" in output.metadata else str(output.default)


def _slug(word: str) -> str:
    return re.sub(r"[^a-z0-9_]+", "-", word.lower()).strip("-") or "x"
