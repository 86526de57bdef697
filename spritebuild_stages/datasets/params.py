"""What the dataset stage can be told, and what of it cannot be meant; reads no file."""

from __future__ import annotations

import re
from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from spritebuild.stage import Params

SLOT = re.compile(r"\{([^{}]*)\}")
PATH_SLOTS = ("name", "folder", "color")  # what every file has


def _regex(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from error
    return text


def _template(text: str) -> str:
    if not text.strip() or set("{}") & set(SLOT.sub("", text)):
        raise ValueError('a template is text with slots in braces, such as "{color} {name}"')
    return text


def _said(text: str) -> str:
    if not text.strip():
        raise ValueError("it is empty")
    return " ".join(text.split())


Glob = Annotated[str, Field(min_length=1, max_length=1000)]
Regex = Annotated[str, Field(max_length=1000), AfterValidator(_regex)]
Slot = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]
Template = Annotated[str, Field(max_length=1000), AfterValidator(_template)]
Words = Annotated[str, Field(max_length=200), AfterValidator(_said)]
Weight = Annotated[float, Field(gt=0, le=1000)]
Dye = Literal["red", "orange", "yellow", "green", "cyan", "blue", "purple", "pink", "brown", "gray", "white", "black"]
Turn = Annotated[float, Field(gt=0, lt=1)]
Side = Annotated[int, Field(ge=1, le=4096)]


class Rule(BaseModel):
    """What is said of the files whose path matches; all rules that match apply, in their order."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    match: Regex = Field(description="A regular expression, searched for in the file's path within the set.")
    set: dict[Slot, str] = Field({}, description=r'Slots and their text; \1 is the first group, "" empties a slot.')
    weight: Weight = Field(1.0, description="A factor on how often the picture is drawn.")
    drop: bool = Field(False, description="Whether the file is left out.")
    hues: tuple[Turn, ...] = Field(
        (),
        max_length=16,
        description="Copies with hues turned by these shares of a circle, with `auto`: their {color} is measured; one "
        "that is called as before is left out. A picture and its copies are drawn as often as a picture without any.",
    )
    dyes: tuple[Dye, ...] = Field(
        (),
        max_length=16,
        description="Copies dyed in these colors, likewise: for what is gray, and has no hue to turn.",
    )

    @model_validator(mode="after")
    def _expands(self) -> Rule:
        for slot, text in self.set.items():
            try:
                re.compile(self.match).sub(text, "")
            except (re.error, IndexError) as error:
                raise ValueError(f"set.{slot}: {error}") from error
        return self


class Layer(BaseModel):
    """A layer of the paper doll: one of its files is worn, or none."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Slot = Field(description="The layer's name, and the slot that holds the name of what is worn.")
    files: Glob = Field(description="Its files, a glob; `exclude` and rules with `drop` hold here too.")
    chance: float = Field(1.0, gt=0, le=1, description="The share of pictures that wear it.")
    requires: dict[Slot, Regex] = Field(
        {}, description="Other layers, and what each must wear, searched for in the path of the file; all must hold."
    )
    forbids: dict[Slot, Regex] = Field(
        {}, description='Other layers, and what none of them may wear, likewise; "" is anything.'
    )


class Compose(BaseModel):
    """Pictures composed of layers, each drawn from its files."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    count: int = Field(ge=1, le=100_000, description="How many pictures; a greater number keeps the first ones.")
    seed: int = Field(0, ge=0, lt=2**63, description="The seed of the draws.")
    layers: tuple[Layer, ...] = Field(min_length=1, max_length=64, description="The layers, the lowest first.")
    templates: tuple[Template, ...] = Field(
        min_length=1, max_length=100, description="Captions, with slots for layers, rules, `set` and {color}."
    )
    set: dict[Slot, str] = Field({}, description="Slots of every composed picture.")
    weight: Weight = Field(1.0, description="A factor on how often each is drawn.")

    @model_validator(mode="after")
    def _layers_agree(self) -> Compose:
        names = [layer.name for layer in self.layers]
        if len(set(names)) < len(names) or set(names) & {*PATH_SLOTS, *self.set}:
            raise ValueError(f"layers have different names, none of them one of {', '.join((*PATH_SLOTS, *self.set))}")
        for layer in self.layers:
            if unknown := (layer.requires.keys() | layer.forbids.keys()) - set(names):
                raise ValueError(f"layer {layer.name}: no layer is called {min(unknown)!r}")
        self.order()
        return self

    def order(self) -> list[int]:
        """The places of the layers, each after those that it asks about. Raises ValueError if two ask each other."""
        graph = {layer.name: sorted({*layer.requires, *layer.forbids}) for layer in self.layers}
        try:
            names = list(TopologicalSorter(graph).static_order())
        except CycleError as error:
            raise ValueError(f"layers ask about each other in a circle: {', '.join(error.args[1])}") from error
        return sorted(range(len(self.layers)), key=lambda place: names.index(self.layers[place].name))


class DatasetParams(Params):
    """What becomes of the files."""

    include: tuple[Glob, ...] = Field(
        ("**/*.png", "**/*.webp", "**/*.jpg"),
        min_length=1,
        description="Globs of the pictures of a source, `**` for any folders; upper and lower case are the same.",
    )
    exclude: tuple[Glob, ...] = Field(
        (), description="Globs of what is not looked at in a source, captions and layers too."
    )
    captions: Literal["sidecar", "auto"] = Field(
        "sidecar", description="From the .txt file beside each picture, a caption a line; or by the templates."
    )
    templates: tuple[Template, ...] = Field(
        ("{color} {name}",),
        min_length=1,
        max_length=100,
        description="Captions for `auto`: {name}, {folder}, {color} and the slots that rules set. One with an empty "
        "slot is skipped; a word that follows itself is said once.",
    )
    rules: tuple[Rule, ...] = Field((), max_length=1000, description="What is said of files by their paths.")
    words: dict[str, str] = Field(
        {}, description='Words of slots and what is said instead, such as armour = "armor"; "" drops the word.'
    )
    withheld: tuple[Words, ...] = Field(
        (),
        max_length=1000,
        description="Words that no caption says together, such as `red dragon`, to ask a model for what it was never "
        "told: such captions are left out, a picture with no other one is held out, and a copy is not made.",
    )
    triggers: tuple[Words, ...] = Field(
        (), max_length=16, description="Words put before every caption that does not contain them."
    )
    labels: tuple[Slot, ...] = Field((), max_length=64, description="Slots that are kept as labels of the pictures.")
    balance: Slot | None = Field(
        None, description="A slot: pictures of every value of it are drawn equally often, weights apart."
    )
    shares: dict[str, Weight] = Field(
        {}, description="Values of `balance`, and how many times as often as those that are not here they are drawn."
    )
    size: tuple[Side, Side] | None = Field(
        None, description="Width and height of the canvas; none: pictures keep their own size."
    )
    min_side: Side = Field(1, description="Pictures with a shorter side are left out.")
    max_side: Side = Field(4096, description="Pictures with a longer side are left out.")
    min_opaque: float = Field(
        0.0, ge=0, le=1, description="Pictures with a smaller share of pixels of alpha >= 128 are left out."
    )
    unique: int | None = Field(
        None,
        ge=0,
        le=32,
        description="Pictures whose perceptual hash (64 bits) differs in that many bits or fewer from an earlier one "
        "of the same colors are left out; none: no one is.",
    )
    repeats: int = Field(1, ge=1, le=1000, description="How often a picture is visited in an epoch.")
    held_out: float = Field(
        0.0, ge=0, le=0.5, description="The share of pictures kept from training, chosen by their paths."
    )
    expect: int | None = Field(None, ge=1, description="How many pictures the set must have, composed ones too.")
    min_images: int = Field(20, ge=1, description="The fewest pictures that are worth training on.")
    compose: Compose | None = Field(None, description="Pictures to compose of layers; they join the others.")

    @model_validator(mode="after")
    def _slots_are_known(self) -> DatasetParams:
        ruled = {slot for rule in self.rules for slot in rule.set}
        pictured = {*PATH_SLOTS, *ruled}
        _check_slots("templates", self.templates, pictured)
        composed: set[str] = set()
        if self.compose:
            composed = {"color", *ruled, *self.compose.set, *(layer.name for layer in self.compose.layers)}
            composed -= {"name", "folder"} - self.compose.set.keys()
            _check_slots("compose.templates", self.compose.templates, composed)
        kept = [*self.labels, *([self.balance] if self.balance else [])]
        _check_slots("labels and balance", [f"{{{slot}}}" for slot in kept], pictured | composed)
        return self

    @model_validator(mode="after")
    def _agree(self) -> DatasetParams:
        if self.captions == "sidecar" and self.templates != type(self).model_fields["templates"].default:
            raise ValueError('templates make captions only with captions = "auto"')
        if self.captions == "sidecar" and any(rule.hues or rule.dyes for rule in self.rules):
            raise ValueError('copies in other colors need captions of their own: they need captions = "auto"')
        if self.shares and self.balance is None:
            raise ValueError("shares are of the values of a slot: name it in balance")
        if self.min_side > self.max_side:
            raise ValueError("min_side is greater than max_side")
        return self


def _check_slots(where: str, templates: Iterable[str], known: set[str]) -> None:
    for template in templates:
        for slot in SLOT.findall(template):
            if slot not in known:
                raise ValueError(f"{where}: no slot is called {{{slot}}}; known here: {', '.join(sorted(known))}")
