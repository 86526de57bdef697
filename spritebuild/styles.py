"""Styles with all that they extend folded in, and finishing lists cut into actions; knows no sprite's name or seed."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ValidationError

from spritebuild import digest
from spritebuild.faults import Faults, Where, dotted
from spritebuild.graph import Ref, Source
from spritebuild.spritefile import Sprite, Spritefile, Style
from spritebuild.spritefile.mistakes import alternatives, say
from spritebuild.stage import Stage, Stages

FINISH = "finish"


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
            if key in Style.model_fields and key not in ("extends", *skip) and getattr(child, key) is not None
        }
        return Look({**self.values, **said}, {**self.where, **{key: (*where, key) for key in said}})


@dataclass(frozen=True)
class Piece:
    """One action of a finishing list, before it has an image to work on."""

    stage: Stage
    params: Mapping[str, Any]
    origins: Mapping[str, str]
    inputs: tuple[tuple[str, Ref], ...] = ()


@dataclass
class Styles:
    """The styles of one spritefile, each folded and validated once for all the sprites that share it."""

    spritefile: Spritefile
    stages: Stages
    files: digest.Files
    faults: Faults
    folded: dict[str, Look] = field(default_factory=dict)
    finishings: dict[Where, tuple[Piece, ...] | None] = field(default_factory=dict)

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

    def stage(self, kind: str, where: Where) -> Stage | None:
        """The stage of a kind that was named at `where`; None, with a fault, where there is none."""
        try:
            return self.stages[kind]
        except KeyError:
            known = alternatives(kind, self.stages.kinds(), "stages")
            self.faults.blame(where, f"unknown stage {say(kind)}", known, key=False)
            return None

    def finishing(self, look: Look) -> tuple[Piece, ...] | None:
        """The actions of a look's finishing list; None, with faults, where it is wrong."""
        where = look.where.get("finish", ())
        if where not in self.finishings:
            before = len(self.faults.found)
            pieces = tuple(self._pieces(look.values.get("finish", ()), where))
            self.finishings[where] = pieces if len(self.faults.found) == before else None
        return self.finishings[where]

    def _pieces(self, entries: Sequence[Mapping[str, Any]], where: Where) -> Iterator[Piece]:
        """Ops that follow each other are one action; an entry that names a stage is one of its own."""
        for is_op, group in itertools.groupby(enumerate(entries), key=lambda item: "op" in item[1]):
            if is_op:
                piece = self._ops(dict(group), where)
                if piece is not None:
                    yield piece
            else:
                yield from filter(None, (self._own(entry, (*where, index)) for index, entry in group))

    def _ops(self, entries: Mapping[int, Mapping[str, Any]], where: Where) -> Piece | None:
        stage = self.stages[FINISH]
        ops: list[dict[str, Any]] = []
        inputs: dict[str, Ref] = {}
        origins = {"ops": dotted(where)}
        for index, (number, entry) in enumerate(entries.items()):
            op = dict(entry)
            origins[f"ops.{index}"] = dotted((*where, number))
            name = op.get("palette")
            palette = self.spritefile.palettes.get(name) if isinstance(name, str) else None
            if palette is not None and palette.colors is not None:
                op["colors"] = list(palette.colors)
                origins[f"ops.{index}.colors"] = f"palettes.{name}.colors"
            elif palette is not None and palette.file is not None:
                content = self.files.of(self.spritefile.root / palette.file)
                inputs[f"palettes.{name}"] = Source(palette.file, content)
            ops.append(op)
        try:
            return Piece(stage, dumped(stage.Params.model_validate({"ops": ops})), origins, tuple(inputs.items()))
        except ValidationError as error:
            numbers = list(entries)
            for problem in error.errors():
                # pydantic names the union's member (the op) between the index and the field
                _, position, *rest = problem["loc"]
                assert isinstance(position, int)
                number = numbers[position]
                self.faults.refused((*where, number, *rest[1:]), problem, stage, entries[number])
            return None

    def _own(self, entry: Mapping[str, Any], where: Where) -> Piece | None:
        stage = self.stage(entry["stage"], (*where, "stage"))
        if stage is None:
            return None
        if "image" not in stage.Inputs.model_fields or "image" not in stage.Outputs.model_fields:
            message = f"stage {say(stage.kind)} does not turn an image into an image"
            self.faults.blame((*where, "stage"), message, "its Inputs and its Outputs need an `image`", key=False)
            return None
        values = {key: value for key, value in entry.items() if key != "stage"}
        try:
            params = dumped(stage.Params.model_validate(values))
        except ValidationError as error:
            for problem in error.errors():
                self.faults.refused((*where, *problem["loc"]), problem, stage, values)
            return None
        return Piece(stage, params, {key: f"{dotted(where)}.{key}" for key in values})


def dumped(params: BaseModel) -> Mapping[str, Any]:
    """What of a stage's params differs from the defaults, as JSON values: the part that names an action."""
    return params.model_dump(mode="json", exclude_defaults=True)
