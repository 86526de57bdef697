"""Spritefile + stages + pins -> Graph: expands sprites and gives every param its origin; runs nothing.

A sprite is one chain of actions: the stage that makes the picture (`generate` unless said otherwise), then the actions
of its finishing list. The last of them installs the sprite; those before it are shared by sprites that agree in them.
A sprite with candidates is several chains, of which the picked one installs it, or else the first. What is trained here
comes before the sprites that need it (trainings.py), and what is made of finished sprites, such as sheets, after them
(assemblies.py).
"""

from __future__ import annotations

import itertools
import re
import types
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from spritebuild import digest, picks
from spritebuild.errors import SpritefileError
from spritebuild.graph import Action, Graph, Output, Ref, recipe
from spritebuild.lock import Lock, is_folder
from spritebuild.pinned.pins import Pin
from spritebuild.resolution import fits, tiers
from spritebuild.resolution.assemblies import Assemblies, folder_of, marked, matching
from spritebuild.resolution.faults import Faults, Where, dotted
from spritebuild.resolution.ranks import Candidates, Ranks
from spritebuild.resolution.styles import Look, Piece, Styles, dumped
from spritebuild.resolution.trainings import LORA_CARD, Sprited, Trainings
from spritebuild.spritefile import Palette, Sprite, Spritefile
from spritebuild.spritefile.mistakes import say
from spritebuild.spritefile.tiers import PROFILES, Quality
from spritebuild.stage import Stage, Stages

GENERATE, PALETTE = "generate", "palette"
SHARED = (
    "negative",
    "scheduler",
    "steps",
    "guidance",
    "size",
    "tile",
)  # of a look: params of the same name, if a stage has them
OF_MODELS = ("dtype", "batch", "memory", "kernels")  # what a model says of how it is run
MOST_SEED = 2**63 - 1
NOTHING: Lock = types.MappingProxyType({})
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,199}")  # one part of a path, and of a target


def resolve(
    spritefile: Spritefile,
    stages: Stages,
    pins: Mapping[str, Pin],
    files: digest.Files,
    *,
    checks: bool = False,
    locked: Lock = NOTHING,
    quality: Quality | None = None,
) -> Graph:
    """The graph of a spritefile, with the actions that check and rank its art if asked for.

    `quality` is that of all sprites, whatever they declare. `locked` says what was picked; it may be left out where no
    sprite has candidates. Raises SpritefileError with every fault found.
    """
    faults = Faults(spritefile)
    styles = Styles(spritefile, stages, files, faults)
    resolver = _Resolver(spritefile, stages, pins, files, faults, styles, locked, quality)
    for name, sprite in spritefile.sprites.items():
        resolver.sprite(name, sprite)
    resolver.finish()
    assemblies = Assemblies(
        spritefile,
        resolver.styles,
        faults,
        resolver.finals,
        resolver.palettes,
        resolver.add,
        resolver.install,
        resolver.modeled,
    )
    assemblies.all(checks=checks)
    if checks and not faults.found:
        Ranks(spritefile, assemblies, resolver.trainings, resolver.candidates).all()
    for name in spritefile.evaluations:
        resolver.evaluation(name, assemblies)
    resolver.trainings.all()
    resolver.check_folders()
    if faults.found:
        raise SpritefileError(faults.found)
    graph = Graph.of(resolver.actions)
    return replace(graph, undecided=frozenset(picks.undecided(graph, locked)))


@dataclass
class _Resolver:
    spritefile: Spritefile
    stages: Stages
    pins: Mapping[str, Pin]
    files: digest.Files
    faults: Faults
    styles: Styles
    locked: Lock
    quality: Quality | None
    actions: list[Action] = field(default_factory=list)
    recipes: dict[str, str] = field(default_factory=dict)
    makers: dict[str, Where] = field(default_factory=dict)  # who makes an asset path
    finals: dict[str, Sprited] = field(default_factory=dict)  # what is installed, by the sprite's name
    chains: dict[str, _Chain] = field(default_factory=dict)  # likewise
    unpicked: list[_Chain] = field(default_factory=list)  # those of further candidates
    candidates: dict[str, Candidates] = field(default_factory=dict)  # by the sprite's name
    modeled: set[str] = field(default_factory=set)  # the sprites that a model made
    palettes: dict[str, Ref] = field(default_factory=dict)  # those that are chosen from sprites
    shared: dict[str, Action] = field(default_factory=dict)  # actions that install nothing, by recipe

    def __post_init__(self) -> None:
        self.trainings = Trainings(self.spritefile, self.stages, self.pins, self.files, self.faults, self._train)

    # Trainings

    def _train(self, target: str, piece: Piece, inputs: tuple[tuple[str, Ref], ...], suffix: str) -> Action:
        action = self.add(target, piece, inputs, suffix)
        table, _, name = target.partition(".")
        if table == "loras" and (path := self.spritefile.loras[name].save) is not None:
            beside = path.removesuffix(".safetensors") + ".json" if suffix == LORA_CARD else path
            self.install(((action.outputs[0][0], beside),), (table, name))
        return self.actions[-1]

    # Sprites

    def sprite(self, name: str, sprite: Sprite) -> None:
        """Add the actions of every sprite that a declaration stands for."""
        where = ("sprites", name)
        look = self.styles.of_sprite(name, sprite)
        kind = look.values.get("stage", GENERATE)
        stage = self.styles.stage(kind, look.where.get("stage", where))
        if stage is None:
            for _, words, _ in self._variants(name, sprite):
                self.styles.finishing(look, words)  # for its faults
            return
        if kind == GENERATE and sprite.prompt is None:
            self.faults.blame(where, "has no prompt", 'add prompt = "..."')
        elif kind == GENERATE and "model" not in look.values:
            self.faults.blame(where, "has no model", "name a model in the sprite or in its style")
        else:
            for variant, words, seed in self._variants(name, sprite):
                finishing = self.styles.finishing(look, words)
                if sprite.candidates is not None:
                    self._candidates(name, sprite, look, stage, variant, words, seed, finishing)
                    continue
                params = self._params(name, sprite, look, stage, words, seed)
                if params is not None and finishing is not None:
                    pieces = deque((Piece(stage, *params), *finishing))
                    self._chain(_Chain(name, sprite, look, variant, words, pieces))

    def _candidates(
        self,
        name: str,
        sprite: Sprite,
        look: Look,
        stage: Stage,
        variant: str,
        words: Mapping[str, str],
        first: int,
        finishing: tuple[Piece, ...] | None,
    ) -> None:
        """Add a chain for every candidate of one sprite, and for a pick that is none of them any more."""
        where = ("sprites", name, "candidates")
        seeds = range(first, first + (sprite.candidates or 0))
        if seeds[-1] > MOST_SEED:
            hint = f"seed = {MOST_SEED + 1 - len(seeds)} or less"
            self.faults.blame(where, f"there are no {len(seeds)} seeds from {first}", hint, key=False)
        elif "seed" not in stage.Params.model_fields:
            self.faults.blame(where, f"all would be the same: stage {say(stage.kind)} has no param seed", key=False)
        elif "seed" in look.values.get("params", {}):
            place = dotted((*look.where["params"], "seed"))
            self.faults.blame(where, f"all would be the same: {place} is said", "take it out, say seed", key=False)
        elif finishing is not None:
            last = (finishing[-1].stage if finishing else stage).Outputs.model_fields["image"]
            path = self._path(sprite, variant, _file(last))
            entry = self.locked.get(path)
            chosen = entry.pick["seed"] if entry is not None and entry.pick else first
            self.candidates[variant] = Candidates(name, words, look)
            for seed in dict.fromkeys((*seeds, chosen)):
                params = self._params(name, sprite, look, stage, words, seed)
                if params is None:
                    return
                pieces = deque((Piece(stage, *params), *finishing))
                chain = _Chain(name, sprite, look, variant, words, pieces, seed=seed, declared=seed in seeds)
                if seed == chosen:
                    self._chain(chain)
                else:
                    self.unpicked.append(chain)
                    self._advance(chain)

    def _path(self, sprite: Sprite, variant: str, file: str) -> str:
        """Where a sprite is installed that its last action calls so."""
        return f"{folder_of(self.spritefile, sprite)}/{variant}.{file.rpartition('.')[2]}"

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
                variant = self.faults.filled(template, slugs, ("sprites", name, "name"))
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
        canvas = self.styles.canvas(look)
        if canvas is not None and "size" in known and "size" not in values and not self._small(look):
            values["size"] = canvas
            origins["size"] = f"{dotted(look.where['finish'])}.size"
        tiered, declared = self._tiered(look, values, stage)
        values, origins = {**values, **tiered}, {**origins, **declared}
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
            weights = self.trainings.artifact("models", look.values["model"])
            if weights is None:
                return None
            inputs.append(("model", weights))
            for key in OF_MODELS:
                if key in known:
                    values[key], origins[key] = self._of_model(look.values["model"], key)
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
                if "model" in look.values:
                    fits.check(self.faults, self.pins, look.values["model"], name_of_lora, look.where["loras"])
        try:
            return dumped(stage.Params.model_validate(values)), origins, tuple(inputs)
        except ValidationError as error:
            for problem in error.errors():
                place = self._place(problem["loc"], look, ("sprites", name))
                if problem["loc"] and problem["loc"][0] in declared:
                    place = tuple(declared[str(problem["loc"][0])].split("."))
                self.faults.refused(place, problem, stage, values)
            return None

    def _tiered(
        self, look: Look, values: Mapping[str, Any], stage: Stage
    ) -> tuple[Mapping[str, Any], Mapping[str, str]]:
        """What the quality of a look changes of the params that it says, and where that is declared."""
        quality = self.quality or look.values.get("quality", self.spritefile.project.quality)
        fields = stage.Params.model_fields
        defaults = {name: fields[name].default for name in SHARED if name in fields}
        told = self.styles.told(look)
        return tiers.applied(self.spritefile.quality, quality, values, defaults, told)

    def _of_model(self, name: str, key: str) -> tuple[Any, str]:
        """What a model says, or else the project's profile of such models, and where that is declared.

        No profile speaks of the built-in model, which is small enough for every machine.
        """
        model, profile = self.spritefile.models[name], self.spritefile.project.profile
        if profile is not None and key in PROFILES[profile] and key not in model.model_fields_set and not model.builtin:
            return PROFILES[profile][key], "project.profile"
        return getattr(model, key), f"models.{name}.{key}"

    def _small(self, look: Look) -> bool:
        """Whether the model is the built-in one, which draws pixels as they are."""
        model = self.spritefile.models.get(look.values.get("model", ""))
        return model is None or model.builtin is not None

    def _strength(self, lora: str) -> float:
        return self.spritefile.loras[lora].strength

    def _place(self, location: tuple[str | int, ...], look: Look, otherwise: Where) -> Where:
        """Where the param at a location was declared."""
        key, *rest = location or ("",)
        if key in look.where:
            return (*look.where[str(key)], *rest)
        if key in look.values.get("params", {}):
            return (*look.where["params"], *location)
        if key in OF_MODELS:
            return ("models", look.values["model"], key)
        return (*otherwise, *location)

    def _prompt(self, name: str, prompt: str, look: Look, words: Mapping[str, str]) -> str:
        """The style's prompt around the sprite's own, after those trigger words that neither has."""
        text = self.faults.filled(prompt, words, ("sprites", name, "prompt"))
        if "prompt" in look.values:
            text = self.faults.filled(look.values["prompt"], {**words, "prompt": text}, look.where["prompt"])
        triggers = list(self.spritefile.models[look.values["model"]].triggers) if "model" in look.values else []
        for lora in look.values.get("loras", ()):
            triggers.extend(self.spritefile.triggers(lora.name))
        missing = [word for word in dict.fromkeys(triggers) if word.lower() not in text.lower()]
        return ", ".join([*missing, text])

    def _chain(self, chain: _Chain) -> None:
        """Begin a sprite's actions, and end them too if nothing has to come in between."""
        if chain.variant in self.chains:
            hint = "give one a `name` template of its own"
            self.faults.blame(("sprites", chain.name), f"two sprites are called {say(chain.variant)}", hint)
            return
        self.chains[chain.variant] = chain
        self._advance(chain)

    def _advance(self, chain: _Chain) -> None:
        """Add a sprite's actions up to one that waits for a palette."""
        while chain.pieces and all(name in self.palettes for name in chain.pieces[0].palettes):
            piece = chain.pieces.popleft()
            kind = piece.stage.kind
            count = chain.repeats[kind] = chain.repeats.get(kind, 0) + 1
            inputs = (*piece.inputs, *((f"palettes.{name}", self.palettes[name]) for name in piece.palettes))
            if chain.last is not None:
                inputs = (("image", chain.last), *inputs)
            if piece.model is not None or (piece.inputs and "model" in dict(piece.inputs)):
                chain.modeled = True
            if chain.modeled and not chain.pieces:
                piece = marked(piece, self.spritefile)
            if piece.model is not None:
                weights = self.trainings.artifact("models", piece.model)
                inputs = (*inputs, ("model", weights)) if weights is not None else inputs
            suffix = f"{kind}-{count}" if count > 1 else kind
            if chain.seed is not None:
                suffix = f"{chain.seed}:{suffix}"  # whoever is picked: what is known of an action goes by its id
            declared = f"sprites.{chain.name}"
            action = self.add(
                f"sprites.{chain.variant}", piece, inputs, suffix, shared=bool(chain.pieces), declared=declared
            )
            chain.last = Output(action.id, "image")
        if not chain.pieces:
            if chain.seed is not None and chain.declared:
                self.actions[-1] = replace(self.actions[-1], candidate=chain.seed)
                self.candidates[chain.variant].ends[chain.seed] = self.actions[-1].id
            if self.chains.get(chain.variant) is chain:
                file = dict(self.actions[-1].outputs).get("image", "image.png")
                path = self._path(chain.sprite, chain.variant, file)
                self.install((("image", path),), ("sprites", chain.name))
                self.finals[chain.variant] = Sprited(self.actions[-1].id, chain.words, chain.name, chain.look)
                if chain.modeled:
                    self.modeled.add(chain.variant)

    # Palettes that are chosen from sprites

    def finish(self) -> None:
        """Choose palettes, and end the actions of the sprites that wait for them."""
        order = list(self.chains)
        declared = {name: one for name, one in self.spritefile.palettes.items() if one.sprites is not None}
        while left := [name for name in declared if name not in self.palettes]:
            if self.faults.found:
                return
            ready = [name for name in left if self._choose(name, declared[name])]
            if self.faults.found:
                return
            if not ready:
                message = f"{' and '.join(f'palettes.{name}' for name in left)} wait for each other"
                hint = "a palette is chosen from pictures to which none that waits for it has been applied"
                self.faults.blame(("palettes", left[0], "sprites"), message, hint)
                return
            for chain in (*self.chains.values(), *self.unpicked):
                if chain.pieces:
                    self._advance(chain)
        self.finals = {variant: self.finals[variant] for variant in order if variant in self.finals}

    def _choose(self, name: str, declared: Palette) -> bool:
        """Add the action that chooses a palette, if every picture that it is chosen from is there."""
        where = ("palettes", name, "sprites")
        members = [self.chains[member] for member in matching(declared.sprites or (), self.chains, self.faults, where)]
        if not members or any(chain.pieces and name not in chain.pieces[0].palettes for chain in members):
            return False
        said = {"colors": declared.most, "era": declared.era}
        values = {key: value for key, value in said.items() if value is not None}
        stage = self.stages[PALETTE]
        origins = {key: f"palettes.{name}.{key}" for key in values}
        inputs = tuple((f"images.{n}", chain.last) for n, chain in enumerate(members) if chain.last is not None)
        params = dumped(stage.Params.model_validate(values))
        action = self.add(f"palettes.{name}", Piece(stage, params, origins), inputs, PALETTE)
        if declared.save is not None:
            self.install((("palette", declared.save),), ("palettes", name))
        self.palettes[name] = Output(action.id, "palette")
        return True

    def check_folders(self) -> None:
        """A folder that is called like a file is a fault."""
        for folder in {path.rpartition("/")[0] for path in self.makers}:
            parts = folder.split("/")
            for length in range(1, len(parts) + 1):
                if (file := "/".join(parts[:length])) in self.makers:
                    hint = "give one of them another name or category"
                    self.faults.blame(self.makers[file], f"{file} would be a file and a folder", hint)

    # What is made of finished sprites

    def evaluation(self, name: str, assemblies: Assemblies) -> None:
        """Add the measurement of some sprites."""
        said, where = self.spritefile.evaluations[name], ("evaluations", name)
        chosen = assemblies.chosen((*where, "sprites"), said.sprites)
        baseline = assemblies.chosen((*where, "baseline"), said.baseline)
        if chosen and len(baseline) in (0, len(chosen)):
            self.trainings.evaluation(name, chosen, baseline)
            if said.save is not None and not self.faults.found:
                files = self.actions[-1].outputs
                self.install(
                    tuple((key, f"{said.save}/{name}.{file.rpartition('.')[2]}") for key, file in files), where
                )
        elif chosen:
            self.faults.blame((*where, "baseline"), f"{len(baseline)} sprites for {len(chosen)}", key=False)

    # All of them

    def add(
        self,
        target: str,
        piece: Piece,
        inputs: tuple[tuple[str, Ref], ...],
        suffix: str,
        *,
        shared: bool = False,
        declared: str = "",
    ) -> Action:
        """Add an action; of equal ones that are `shared`, the first is there for all."""
        stage = piece.stage
        name = recipe(stage.kind, stage.version, piece.params, inputs, self.recipes)
        if shared and name in self.shared:
            return self.shared[name]
        outputs = tuple((name, _file(info)) for name, info in stage.Outputs.model_fields.items())
        id = f"{target}:{suffix}"
        self.recipes[id] = name
        action = Action(
            id, stage.kind, stage.version, piece.params, inputs, outputs, name, (), piece.origins, declared or target
        )
        self.actions.append(action)
        if shared:
            self.shared[name] = action
        return action

    def install(self, paths: tuple[tuple[str, str], ...], where: Where) -> None:
        """Say where the outputs of the action that was added last go."""
        named = [path for _, path in paths if not is_folder(path)]
        named += [
            path[:-1] + end for _, path in paths if is_folder(path) for end in (".png", ".json") if path[-2] != "/"
        ]
        for path in named:
            other = self.makers.setdefault(path.lower(), where)  # file systems exist that do not tell A from a
            if other is not where:
                hint = "give one of them another name or category"
                self.faults.blame(where, f"{path} is also made by {dotted(other)}", hint)
        self.actions[-1] = replace(self.actions[-1], installs=paths)


@dataclass
class _Chain:
    """A sprite on its way through the graph: what is still to be done with its last picture."""

    name: str
    sprite: Sprite
    look: Look
    variant: str
    words: Mapping[str, str]
    pieces: deque[Piece]
    seed: int | None = None  # of a candidate
    declared: bool = True  # whether that is one of those that are to be chosen from
    modeled: bool = False  # whether a model is among what made it so far
    last: Output | None = None
    repeats: dict[str, int] = field(default_factory=dict)


def _file(output: FieldInfo) -> str:
    """What an output is called in its action's folder; a folder ends in a slash."""
    return f"{output.default}/" if "folder" in output.metadata else str(output.default)


def _slug(word: str) -> str:
    return re.sub(r"[^a-z0-9_]+", "-", word.lower()).strip("-") or "x"
