"""Paper dolls, and a whole set with them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from sets import SPRITES, captioned, make, needs_sprites, put, sprite

from spritebuild.errors import UsageError
from spritebuild_stages.dataset import Dataset
from spritebuild_stages.datasets import artifact

# Paper dolls

LAYERS: list[dict[str, Any]] = [
    {"name": "cloak", "files": "doll/cloak/*", "chance": 0.5},
    {"name": "base", "files": "doll/base/*"},
    {"name": "hair", "files": "doll/hair/*", "forbids": {"hat": ""}},
    {"name": "hat", "files": "doll/hat/*", "chance": 0.5},
    {"name": "staff", "files": "doll/staff/*", "requires": {"hat": "pointed"}},
]
TEMPLATES = [
    "{base}",
    "{base} in {cloak} cloak",
    "{base} with {hair} hair",
    "{base} in {hat}",
    "{title} holding {staff}",
]
COMPOSE: dict[str, Any] = {"count": 40, "layers": LAYERS, "templates": TEMPLATES}


@pytest.fixture
def doll(tmp_path: Path) -> dict[str, Path]:
    """Layers of one opaque pixel each, at a place of the layer and in a color of the file."""
    pieces = {"cloak": ["red", "blue"], "base": ["human", "elf", "orc"], "hair": ["long", "short"]}
    pieces |= {"hat": ["pointed_hat", "helmet"], "staff": ["staff_1", "staff_2"]}
    files = {}
    for place, (layer, names) in enumerate(pieces.items()):
        for number, name in enumerate(names):
            rgba = np.zeros((4, 8, 4), np.uint8)
            rgba[1:3, place] = (number, 7, place, 255)
            files[f"doll/{layer}/{name}.png"] = rgba
    return put(tmp_path, files)


def worn(example: artifact.Example) -> dict[str, int]:
    """The number of the piece by layer, read from the pixels."""
    names = ("cloak", "base", "hair", "hat", "staff")
    return {name: int(example.pixels[1, place, 0]) for place, name in enumerate(names) if example.pixels[1, place, 3]}


def test_dolls_wear_what_their_captions_say(tmp_path: Path, doll: dict[str, Path]) -> None:
    rules = [{"match": "hat/pointed", "set": {"title": "wizard"}}]
    made = make(tmp_path, doll, compose={**COMPOSE, "set": {"title": "warrior"}}, rules=rules, labels=["title"])
    assert made.names == [f"compose/{number:06d}" for number in range(40)]
    seen: Counter[str] = Counter()
    for example in made.dataset.examples:
        has = worn(example)
        seen.update(list(has))
        base = ("human", "elf", "orc")[has["base"]]
        expected = [base]
        expected += [f"{base} in {('red', 'blue')[has['cloak']]} cloak"] if "cloak" in has else []
        expected += [f"{base} with {('long', 'short')[has['hair']]} hair"] if "hair" in has else []
        expected += [f"{base} in {('pointed hat', 'helmet')[has['hat']]}"] if "hat" in has else []
        expected += ["wizard holding staff"] if "staff" in has else []
        assert example.captions == tuple(expected)
        assert ("hair" in has) != ("hat" in has)
        assert ("staff" in has) == (has.get("hat") == 0)
        assert example.labels == {"title": "wizard" if has.get("hat") == 0 else "warrior"}
    assert 10 < seen["cloak"] < 30 and 10 < seen["hat"] < 30 and seen["base"] == 40


def test_greater_count_keeps_the_first_dolls_and_a_new_layer_the_others(tmp_path: Path, doll: dict[str, Path]) -> None:
    rules = [{"match": "pointed", "set": {"title": "wizard"}}]
    few = make(tmp_path, doll, compose={**COMPOSE, "count": 10}, rules=rules).dataset.examples
    many = make(tmp_path, doll, compose=COMPOSE, rules=rules).dataset.examples
    assert [(e.captions, e.pixels.tobytes()) for e in few] == [(e.captions, e.pixels.tobytes()) for e in many[:10]]
    told = {"layers": LAYERS[1:4], "templates": ["{base}"]}
    given = {name: path for name, path in doll.items() if "cloak" not in name and "staff" not in name}
    fewer_layers = make(tmp_path, given, compose={**COMPOSE, **told}).dataset.examples
    assert [worn(e)["base"] for e in fewer_layers] == [worn(e)["base"] for e in many]
    other = make(tmp_path, doll, compose={**COMPOSE, "seed": 1}, rules=rules).dataset.examples
    assert [worn(e) for e in other] != [worn(e) for e in many]


def test_dolls_join_the_pictures_and_their_layers_are_no_pictures(tmp_path: Path, doll: dict[str, Path]) -> None:
    compose = {**COMPOSE, "count": 3, "weight": 2.5}
    rules = [{"match": "pointed", "set": {"title": "wizard"}}, {"match": "orc|elf", "drop": True}]
    files = put(tmp_path, captioned(2))
    made = make(tmp_path, {**doll, **files}, compose=compose, rules=rules, size=[16, 16], triggers=["pixel"])
    assert made.names == ["s0.png", "s1.png", "compose/000000", "compose/000001", "compose/000002"]
    assert [example.weight for example in made.dataset.examples] == [1, 1, 2.5, 2.5, 2.5]
    assert all("pixel" in caption for example in made.dataset.examples for caption in example.captions)
    assert {made[name].captions[0] for name in made.names[2:]} == {"pixel, human"}
    assert made.skipped == {"doll/base/elf.png": "dropped by a rule", "doll/base/orc.png": "dropped by a rule"}
    assert made.summary["pictures"]["composed"] == 3
    assert made.manifest["pictures"][4]["scale"] == 2


def test_layers_that_cannot_be_composed_are_refused(tmp_path: Path, doll: dict[str, Path]) -> None:
    rules = [{"match": "pointed", "set": {"title": "wizard"}}]
    with pytest.raises(UsageError, match="layer tail has no file"):
        tail = {"name": "tail", "files": "doll/tail/*"}
        make(tmp_path, doll, compose={**COMPOSE, "layers": [*LAYERS, tail]}, rules=rules)
    with pytest.raises(UsageError, match="rules drop them all"):
        make(tmp_path, doll, compose=COMPOSE, rules=[*rules, {"match": "hair", "drop": True}])
    with pytest.raises(UsageError) as caught:
        make(tmp_path, doll, compose={**COMPOSE, "templates": ["{hat} {staff}"]}, rules=rules)
    assert str(caught.value).startswith("no template fits compose/0000")
    assert "  slots  base = " in str(caught.value)
    other = put(tmp_path, {"doll/hat/large.png": sprite(0, 9, 4)})
    with pytest.raises(UsageError) as caught:
        make(tmp_path, {**doll, **other}, compose=COMPOSE, rules=rules)
    sizes = "  8x4  doll/cloak/blue.png\n  9x4  doll/hat/large.png"
    assert str(caught.value).startswith(f"layers are of different sizes\n{sizes}")


@pytest.mark.parametrize(
    "change",
    [
        {"count": 0},
        {"layers": []},
        {"layers": [*LAYERS, LAYERS[0]]},
        {"layers": [{"name": "color", "files": "*"}], "templates": ["a"]},
        {"layers": [{"name": "base", "files": "*", "chance": 0}], "templates": ["a"]},
        {"layers": [{"name": "base", "files": "*", "requires": {"tail": ""}}], "templates": ["a"]},
        {"layers": [{"name": "base", "files": "*", "forbids": {"base": ""}}], "templates": ["a"]},
        {"templates": []},
        {"templates": ["{name}"]},
        {"templates": ["{folder}"]},
        {"templates": ["{tail}"]},
        {"set": {"hat": "x"}},
    ],
)
def test_compositions_that_cannot_be_meant_are_refused(change: dict[str, Any]) -> None:
    told = {"compose": COMPOSE, "rules": [{"match": "a", "set": {"title": "a"}}]}
    Dataset.Params.model_validate(told)
    with pytest.raises(ValidationError):
        Dataset.Params.model_validate({**told, "compose": {**COMPOSE, **change}})


# The whole of it, on real sprites

COLORS = "red|orange|yellow|green|cyan|blue|purple|pink|brown|gr[ae]y|white|black|golden|magenta|ruby"
PERSONS = "aragorn|arwen|boromir|frodo|gandalf|gil|gimli|isildur|legolas|maxwell|merry|pipin|pj|sam|saruman"
RULES = [
    {"match": r"/i-|unknown|shadow_", "drop": True},
    {"match": rf"player/\w+/({PERSONS})", "drop": True},
    {"match": "^item/potion/", "set": {"noun": "potion", "group": "potion"}, "weight": 6},
    {"match": "^mon/dragons/", "set": {"noun": "dragon", "group": "dragon"}, "weight": 9},
    {"match": r"/((?:hydra|wyvern))", "set": {"noun": r"\1", "name": r"\1"}},
    {"match": rf"(?:/|_)({COLORS})(?=[_.]|\d)", "set": {"color": r"\1"}},
    {"match": rf"^item/potion/(?:\w+_)?({COLORS})\.", "set": {"name": ""}},
    {"match": r"^player/base/(\w+?)_[fm]\d*\.", "set": {"name": r"\1"}},
    {"match": r"^player/body/robe_(\w+?)\d*\.", "set": {"name": r"\1 robe", "title": "wizard"}},
    {"match": r"^player/body/(?:plate|chain|half)", "set": {"title": "knight"}},
]  # fmt: skip
WORDS = {
    "grey": "gray",
    "armour": "armor",
    "golden": "yellow",
    "bplate": "breastplate",
    "two": "",
    "three": "",
    "slant": "",
}
WARDROBE = {
    "count": 60,
    "set": {"group": "character", "title": "warrior"},
    "weight": 17,
    "templates": [
        "{title}",
        "{base} {title}",
        "{title} in {body}",
        "{title} wearing {body}, holding {hand}",
        "{color} {title}",
    ],
    "layers": [
        {"name": "cloak", "files": "player/cloak/*.png", "chance": 0.3},
        {"name": "base", "files": "player/base/[he]*.png"},
        {"name": "legs", "files": "player/legs/*.png", "forbids": {"body": "robe"}},
        {"name": "body", "files": "player/body/*.png"},
        {"name": "hair", "files": "player/hair/*.png", "forbids": {"head": ""}},
        {"name": "head", "files": "player/head/*.png", "chance": 0.75},
        {"name": "hand", "files": "player/hand1/*.png", "chance": 0.85},
    ],
}


@needs_sprites
def test_paths_of_real_sprites_become_captions_groups_and_characters(tmp_path: Path) -> None:
    made = make(
        tmp_path,
        SPRITES,
        include=["item/potion/*.png", "mon/dragons/*.png"],
        captions="auto",
        templates=["{color} {noun}", "a {color} {name} {noun}", "{noun}"],
        rules=RULES,
        words=WORDS,
        labels=["group"],
        balance="group",
        size=[32, 32],
        min_opaque=60 / 1024,
        held_out=0.1,
        compose=WARDROBE,
    )
    captions = made.captions
    assert captions["item/potion/ruby.png"] == ("ruby potion", "potion")
    assert captions["item/potion/brilliant_blue.png"] == ("blue potion", "potion")
    assert captions["item/potion/fizzy.png"] == ("brown potion", "a brown fizzy potion", "potion")
    assert captions["mon/dragons/golden_dragon.png"] == ("yellow dragon", "a yellow dragon", "dragon")
    assert captions["mon/dragons/hydra3.png"] == ("green hydra", "a green hydra", "hydra")
    assert captions["mon/dragons/swamp_dragon.png"][2] == "dragon"
    assert "item/potion/i-blood.png" not in captions
    assert made.skipped["player/body/aragorn.png"] == "dropped by a rule"
    weights = dict.fromkeys(("dragon", "potion", "character"), 0.0)
    for one in made.dataset.examples:
        weights[one.labels["group"]] += one.weight
    assert weights["dragon"] / weights["potion"] == pytest.approx(9 / 6)
    assert weights["character"] / weights["potion"] == pytest.approx(17 / 6)
    dolls = [one for one in made.dataset.examples if one.name.startswith("compose/")]
    assert len(dolls) == 60
    robes = [one for one in dolls if any("robe" in caption for caption in one.captions)]
    assert robes and all(one.captions[0] == "wizard" for one in robes)
    assert {one.pixels.shape for one in made.dataset.examples} == {(32, 32, 4)}
    assert made.warnings == []
