"""Styles with all that they extend folded in, and finishing lists cut into actions; knows no sprite's name or seed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ValidationError

from spritebuild import digest
from spritebuild.graph import Ref, Source
from spritebuild.resolution.faults import SLOT, Faults, Where, dotted
from spritebuild.spritefile import Sprite, Spritefile, Style
from spritebuild.spritefile.mistakes import alternatives, say
from spritebuild.spritefile.references import PALETTE_KEYS
from spritebuild.stage import Stage, Stages

FINISH = "finish"
CANVAS, GRID = 768, 64  # pixels: what large models draw well, and what their sides are multiples of
COLOR_KEYS = ("colors", "to_colors")  # of the finish stage's ops: the colors of the palettes that PALETTE_KEYS name


@dataclass(frozen=True)
class Look:
    """What a style and all that it extends say: values, and where each was declared."""

    values: Mapping[str, Any] = field(default_factory=dict)
    where: Mapping[str, Where] = field(default_factory=dict)

    def under(self, child: Style | Sprite, where: Where, skip: Iterable[str] = ()) -> Look:
        """This look with what a style or sprite says put over it."""
        said = {
            key: getattr(child, key)
            for key in child.model_fields_set
            if key in Style.model_fields and key not in ("extends", "check", *skip) and getattr(child, key) is not None
        }
        return Look({**self.values, **said}, {**self.where, **{key: (*where, key) for key in said}})


@dataclass(frozen=True)
class Piece:
    """One action of a finishing list, before it has an image to work on."""

    stage: Stage
    params: Mapping[str, Any]
    origins: Mapping[str, str]
    inputs: tuple[tuple[str, Ref], ...] = ()
    palettes: tuple[str, ...] = ()  # those among its inputs that are chosen from the sprites themselves
    model: str | None = None  # the declared model that it needs, where that is for the list to say


@dataclass
class Styles:
    """The styles of one spritefile, each folded and validated once for all the sprites that share it."""

    spritefile: Spritefile
    stages: Stages
    files: digest.Files
    faults: Faults
    folded: dict[str, Look] = field(default_factory=dict)
    finishings: dict[tuple[Where, tuple[str, ...]], tuple[Piece, ...] | None] = field(default_factory=dict)
    slots: dict[Where, tuple[str, ...]] = field(default_factory=dict)

    def of_style(self, name: str) -> Look:
        """The look of a style."""
        if name not in self.folded:
            style = self.spritefile.styles[name]
            parent = self.of_style(style.extends) if style.extends else Look()
            self.folded[name] = parent.under(style, ("styles", name))
        return self.folded[name]

    def of_sprite(self, name: str, sprite: Sprite) -> Look:
        """The look of a sprite: its style's, and what it says itself but for its prompt, which a style wraps."""
        style = self.of_style(sprite.style) if sprite.style else Look()
        return style.under(sprite, ("sprites", name), skip=("prompt",))

    def source(self, path: str) -> Source:
        """A file of the project, as an input of an action."""
        return Source(path, self.files.of(self.spritefile.root / path))

    def stage(self, kind: str, where: Where) -> Stage | None:
        """The stage of a kind that was named at `where`; None, with a fault, where there is none."""
        try:
            return self.stages[kind]
        except KeyError:
            known = alternatives(kind, self.stages.kinds(), "stages")
            self.faults.blame(where, f"unknown stage {say(kind)}", known, key=False)
            return None

    def finishing(self, look: Look, words: Mapping[str, str]) -> tuple[Piece, ...] | None:
        """The actions of a look's finishing list, with the words of a sprite's matrix filled in.

        None, with faults, where it is wrong.
        """
        where = look.where.get("finish", ())
        entries = look.values.get("finish", ())
        if where not in self.slots:
            texts = (value for entry in entries for value in entry.values() if isinstance(value, str))
            self.slots[where] = tuple(dict.fromkeys(slot for text in texts for slot in SLOT.findall(text)))
        key = where, tuple(words.get(slot, "") for slot in self.slots[where])
        if key not in self.finishings:
            before = len(self.faults.found)
            if self.slots[where]:
                entries = [self._worded(entry, words, (*where, n)) for n, entry in enumerate(entries)]
            pieces = tuple(self._pieces(entries, where))
            self.finishings[key] = pieces if len(self.faults.found) == before else None
        return self.finishings[key]

    def canvas(self, look: Look) -> list[int] | None:
        """The size of the picture that is told to become so many pixels: a whole multiple of them.

        It is what the look says, which is a fault if it is no multiple, or else chosen; None where nothing is told.
        """
        told = self.told(look)
        if told is None:
            return None
        chosen = [math.lcm(side, GRID) * -(-CANVAS // math.lcm(side, GRID)) for side in told]
        size = look.values.get("size")
        if size is not None and any(side % pixels for side, pixels in zip(size, told, strict=True)):
            message = f"{size[0]}x{size[1]} is no whole multiple of the {told[0]}x{told[1]} pixels that it becomes"
            hint = f"size = [{chosen[0]}, {chosen[1]}], or leave pixelate to find the pixels: take its size out"
            self.faults.blame(look.where["size"], message, hint, key=False)
        return chosen

    def told(self, look: Look) -> tuple[int, int] | None:
        """How many pixels a picture is told to become, if it is."""
        entries = look.values.get("finish", ())
        return next((tuple(e["size"]) for e in entries if e.get("op") == "pixelate" and _pair(e.get("size"))), None)

    def _worded(self, entry: Mapping[str, Any], words: Mapping[str, str], where: Where) -> dict[str, Any]:
        return {
            key: self.faults.filled(value, words, (*where, key)) if isinstance(value, str) else value
            for key, value in entry.items()
        }

    def _pieces(self, entries: Sequence[Mapping[str, Any]], where: Where) -> Iterator[Piece]:
        """Ops that follow each other are one action; an entry that names a stage is one of its own.

        An op with a palette that is chosen from the sprites begins an action: it is chosen from what comes before.
        """
        group: dict[int, Mapping[str, Any]] = {}
        for number, entry in enumerate(entries):
            if group and ("op" not in entry or self._chosen(entry)):
                yield from self._ops(group, where)
                group = {}
            if "op" in entry:
                group[number] = entry
            else:
                yield from self._own(entry, (*where, number))
        if group:
            yield from self._ops(group, where)
        ops = {number: entry for number, entry in enumerate(entries) if "op" in entry}
        if len(ops) > len(group):
            list(self._ops(ops, where))  # what is wrong in the order of the whole list

    def _chosen(self, entry: Mapping[str, Any]) -> list[str]:
        """The palettes of an op that are chosen from the sprites."""
        names = [entry[key] for key in PALETTE_KEYS if isinstance(entry.get(key), str)]
        return [name for name in names if (p := self.spritefile.palettes.get(name)) and p.sprites is not None]

    def _ops(self, entries: Mapping[int, Mapping[str, Any]], where: Where) -> Iterator[Piece]:
        stage = self.stages[FINISH]
        ops: list[dict[str, Any]] = []
        inputs: dict[str, Ref] = {}
        origins = {"ops": dotted(where)}
        for index, (number, entry) in enumerate(entries.items()):
            op = dict(entry)
            origins[f"ops.{index}"] = dotted((*where, number))
            for key, colors in zip(PALETTE_KEYS, COLOR_KEYS, strict=True):
                name = op.get(key)
                palette = self.spritefile.palettes.get(name) if isinstance(name, str) else None
                if palette is None and isinstance(name, str):  # a name of the matrix: others were seen before
                    hint = alternatives(name, self.spritefile.palettes, "palettes")
                    self.faults.blame((*where, number, key), f"unknown palette {say(name)}", hint, key=False)
                elif palette is not None and palette.colors is not None:
                    op[colors] = list(palette.colors)
                    origins[f"ops.{index}.{colors}"] = f"palettes.{name}.colors"
                elif palette is not None and palette.file is not None:
                    inputs[f"palettes.{name}"] = self.source(palette.file)
            ops.append(op)
        chosen = tuple(dict.fromkeys(name for entry in entries.values() for name in self._chosen(entry)))
        try:
            params = dumped(stage.Params.model_validate({"ops": ops}))
            yield Piece(stage, params, origins, tuple(inputs.items()), chosen)
        except ValidationError as error:
            numbers = list(entries)
            for problem in error.errors():
                # pydantic names the union's member (the op) between the index and the field
                _, position, *rest = problem["loc"]
                assert isinstance(position, int)
                number = numbers[position]
                self.faults.refused((*where, number, *rest[1:]), problem, stage, entries[number])

    def _own(self, entry: Mapping[str, Any], where: Where) -> Iterator[Piece]:
        stage = self.stage(entry["stage"], (*where, "stage"))
        if stage is None:
            return
        if "image" not in stage.Inputs.model_fields or "image" not in stage.Outputs.model_fields:
            message = f"stage {say(stage.kind)} does not turn an image into an image"
            self.faults.blame((*where, "stage"), message, "its Inputs and its Outputs need an `image`", key=False)
            return
        values = {key: value for key, value in entry.items() if key != "stage"}
        model = values.pop("model", None) if "model" in stage.Inputs.model_fields else None
        if "model" in stage.Inputs.model_fields and model not in self.spritefile.models:
            hint = alternatives(str(model), self.spritefile.models, "models")
            message = f"stage {say(stage.kind)} needs a model" if model is None else f"unknown model {say(model)}"
            self.faults.blame((*where, "model") if "model" in entry else where, message, hint, key=False)
            return
        try:
            params = dumped(stage.Params.model_validate(values))
        except ValidationError as error:
            for problem in error.errors():
                self.faults.refused((*where, *problem["loc"]), problem, stage, values)
            return
        yield Piece(stage, params, {key: f"{dotted(where)}.{key}" for key in values}, model=model)


def _pair(size: Any) -> bool:
    return isinstance(size, list | tuple) and len(size) == 2 and all(type(side) is int and side > 0 for side in size)


def dumped(params: BaseModel) -> Mapping[str, Any]:
    """What of a stage's params differs from the defaults, as JSON values: the part that names an action."""
    return params.model_dump(mode="json", exclude_defaults=True)
