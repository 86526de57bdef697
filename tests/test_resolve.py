"""From declarations to actions: names, params and where they were declared, and what is refused."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from projects import ISLAND, Project

from spritebuild.errors import SpritefileError
from spritebuild.graph import Action, Output, Source

HEAD: dict[str, Any] = {"project": {"name": "island", "stages": "stages"}}
PAINT = {"stage": "paint"}


def declared(project: Project, **tables: Any) -> dict[str, Action]:
    return dict(project.write({**HEAD, **tables}).graph().actions)


def params(project: Project, name: str, **tables: Any) -> dict[str, Any]:
    return dict(declared(project, **tables)[f"sprites.{name}:paint"].params)


def refusal(project: Project, **tables: Any) -> str:
    project.write({**HEAD, **tables})
    with pytest.raises(SpritefileError) as caught:
        project.graph()
    return str(caught.value)


# Styles and overrides


def test_sprite_takes_what_its_style_says(project: Project) -> None:
    styles = {"base": {**PAINT, "steps": 30, "size": [4, 2]}}
    found = params(project, "potion", styles=styles, sprites={"potion": {"style": "base", "prompt": "a"}})
    assert found == {"prompt": "a", "steps": 30, "size": [4, 2]}


def test_style_takes_what_it_does_not_say_from_the_one_it_extends(project: Project) -> None:
    styles = {
        "leaf": {"extends": "middle", "size": [2, 2]},
        "middle": {"extends": "root", "steps": 40},
        "root": {**PAINT, "steps": 30, "size": [4, 2]},
    }
    found = declared(project, styles=styles, sprites={"potion": {"style": "leaf"}})["sprites.potion:paint"]
    assert found.params == {"steps": 40, "size": [2, 2]}
    assert found.origins["steps"] == "styles.middle.steps"
    assert found.origins["size"] == "styles.leaf.size"


def test_sprite_overrides_its_style(project: Project) -> None:
    styles = {"base": {**PAINT, "steps": 30, "finish": [{"op": "alpha"}]}}
    sprites = {"potion": {"style": "base", "steps": 31, "finish": []}, "sword": {"style": "base"}}
    found = declared(project, styles=styles, sprites=sprites)
    assert list(found) == ["sprites.potion:paint", "sprites.sword:paint", "sprites.sword:finish"]
    assert found["sprites.potion:paint"].params == {"steps": 31}
    assert found["sprites.potion:paint"].origins["steps"] == "sprites.potion.steps"


def test_params_of_an_own_stage_are_taken_as_they_are(project: Project) -> None:
    sprites = {"potion": {**PAINT, "params": {"note": "x"}}}
    found = declared(project, sprites=sprites)["sprites.potion:paint"]
    assert found.params == {"note": "x"}
    assert found.origins["note"] == "sprites.potion.params.note"


def test_style_prompt_goes_around_the_prompt_of_the_sprite(project: Project) -> None:
    styles = {"base": {**PAINT, "prompt": "icon of a {prompt}, {color} light"}}
    sprites = {"potion": {"style": "base", "prompt": "{color} potion", "matrix": {"color": ["Red", "sea green"]}}}
    found = declared(project, styles=styles, sprites=sprites)
    assert found["sprites.potion-red:paint"].params["prompt"] == "icon of a Red potion, Red light"
    assert found["sprites.potion-sea-green:paint"].params["prompt"] == "icon of a sea green potion, sea green light"


# Names


def names(found: dict[str, Action]) -> list[str]:
    return [action.target.partition(".")[2] for action in found.values()]


def test_matrix_and_seeds_name_every_combination(project: Project) -> None:
    sprite = {**PAINT, "matrix": {"color": ["red", "blue"], "size": [1, 2]}, "seeds": [7, 8]}
    found = declared(project, sprites={"potion": sprite})
    assert names(found) == [f"potion-{c}-{s}-{n}" for c in ("red", "blue") for s in (1, 2) for n in (7, 8)]
    assert found["sprites.potion-red-2-8:paint"].params == {"seed": 8}


def test_single_seed_is_not_in_the_name(project: Project) -> None:
    found = declared(project, sprites={"a": {**PAINT, "seed": 3}, "b": {**PAINT, "seeds": [4]}, "c": PAINT})
    assert names(found) == ["a", "b", "c"]
    assert [action.params.get("seed") for action in found.values()] == [3, 4, None]


def test_seed_of_the_project_is_everyones(project: Project) -> None:
    project.write({"project": {**HEAD["project"], "seed": 9}, "sprites": {"a": PAINT, "b": {**PAINT, "seed": 0}}})
    found = project.graph().actions
    assert (found["sprites.a:paint"].params, found["sprites.b:paint"].params) == ({"seed": 9}, {})
    assert found["sprites.a:paint"].origins["seed"] == "project.seed"
    assert found["sprites.b:paint"].origins["seed"] == "sprites.b.seed"


def test_name_template_names_the_sprites(project: Project) -> None:
    sprite = {**PAINT, "matrix": {"color": ["red"]}, "seeds": [1, 2], "name": "{color}_{name}_{seed}"}
    assert names(declared(project, sprites={"potion": sprite})) == ["red_potion_1", "red_potion_2"]


def test_category_is_the_folder(project: Project) -> None:
    found = declared(project, sprites={"potion": {**PAINT, "category": "items/small"}})
    assert found["sprites.potion:paint"].installs == (("image", "assets/items/small/potion.png"),)


def test_triggers_of_models_are_put_before_the_prompt(pressed: Project) -> None:
    pressed.edit("models.mine.triggers", ["pixel art", "potion"])
    assert pressed.graph().actions["sprites.potion:press"].params["prompt"] == "pixel art, red potion"


def test_model_and_its_digest_are_an_input(pressed: Project) -> None:
    ((name, source),) = pressed.graph().actions["sprites.potion:press"].inputs
    assert (name, source.name, len(source.digest)) == ("model", "models.mine", 64)


# Finishing


def test_inline_palette_is_a_param(island: Project) -> None:
    found = island.graph().actions["sprites.potion:finish"]
    assert found.params["ops"][1] == {
        "op": "quantize",
        "palette": "gray",
        "colors": ["#000000", "#888888", "#ffffff"],
    }
    assert found.origins["ops.1.colors"] == "palettes.gray.colors"
    assert found.inputs == (("image", Output("sprites.potion:paint", "image")),)


def test_palette_file_is_an_input(island: Project) -> None:
    island.file("colors/gray.hex", "000000\n")
    found = island.edit("palettes.gray", {"file": "colors/gray.hex"}).graph().actions["sprites.potion:finish"]
    assert found.params["ops"][1] == {"op": "quantize", "palette": "gray"}
    name, source = found.inputs[1]
    assert isinstance(source, Source)
    assert (name, source.name) == ("palettes.gray", "colors/gray.hex")


def test_own_stages_cut_the_finishing_list(project: Project) -> None:
    finish = [
        {"op": "alpha"},
        {"op": "trim"},
        {"stage": "invert"},
        {"op": "scale", "factor": 2},
        {"stage": "invert", "amount": 200},
    ]
    found = declared(project, sprites={"potion": {**PAINT, "finish": finish}})
    assert list(found) == [
        "sprites.potion:paint",
        "sprites.potion:finish",
        "sprites.potion:invert",
        "sprites.potion:finish-2",
        "sprites.potion:invert-2",
    ]
    chain = list(found.values())
    for before, after in itertools.pairwise(chain):
        assert dict(after.inputs)["image"] == Output(before.id, "image")
    assert chain[3].origins["ops.0"] == "sprites.potion.finish[3]"
    assert chain[4].params == {"amount": 200}
    assert chain[4].origins["amount"] == "sprites.potion.finish[4].amount"
    assert [bool(action.installs) for action in chain] == [False, False, False, False, True]


def test_sprite_without_finishing_is_installed_as_it_was_made(project: Project) -> None:
    (only,) = declared(project, sprites={"potion": PAINT}).values()
    assert only.installs == (("image", "assets/potion.png"),)


# Sheets


def test_sheets_take_sprites_by_glob_in_their_order_each_once(project: Project) -> None:
    sprites = {"potion": {**PAINT, "seeds": [2, 1]}, "sword": PAINT, "bow": PAINT}
    sheets = {"all": {"sprites": ["sword", "potion-?", "*"], "category": "atlas"}}
    found = declared(project, sprites=sprites, sheets=sheets)["sheets.all:sheet"]
    assert found.params == {"names": ["sword", "potion-2", "potion-1", "bow"], "name": "all"}
    assert [name for name, _ in found.inputs] == ["frames.0", "frames.1", "frames.2", "frames.3"]
    assert found.installs == (("files", "assets/atlas/all*"),)


def test_sheet_of_no_sprite_is_refused(project: Project) -> None:
    error = refusal(project, sprites={"potion": PAINT}, sheets={"all": {"sprites": ["poton"]}})
    assert 'no sprite is called "poton"' in error
    assert 'hint: did you mean "potion"? sprites: potion' in error
    assert error.endswith("\n1 error")


@pytest.mark.parametrize(
    ("sheet", "message"),
    [
        ({"format": "xml"}, 'format must be "hash" or "array", not "xml"'),
        ({"columns": 0}, "columns must be at least 1, not 0"),
        ({"margin": -1}, "margin must be at least 0, not -1"),
        ({"layout": "packed", "columns": 2}, "a packed sheet has no columns"),
        ({"colums": 2}, 'unknown key "colums"'),
        ({"tags": {"walk": {"frames": "sword"}}}, "sword"),
    ],
)
def test_mistake_in_a_sheet_is_told_at_its_key(project: Project, sheet: dict[str, Any], message: str) -> None:
    error = refusal(project, sprites={"potion": PAINT}, sheets={"all": {"sprites": ["*"], **sheet}})
    assert message in error
    assert error.endswith("\n1 error")


# What is refused


def test_two_sprites_of_one_name_are_refused(project: Project) -> None:
    error = refusal(project, sprites={"potion": PAINT, "sword": {**PAINT, "name": "potion", "category": "b"}})
    assert 'two sprites are called "potion"' in error
    assert error.endswith("\n1 error")


def test_paths_that_differ_in_case_alone_are_refused(project: Project) -> None:
    sprites = {"potion": {**PAINT, "category": "Items"}, "sword": {**PAINT, "name": "Potion", "category": "items"}}
    assert "assets/items/Potion.png is also made by sprites.potion" in refusal(project, sprites=sprites)


def test_sheet_and_sprite_of_one_path_are_refused(project: Project) -> None:
    error = refusal(project, sprites={"potion": PAINT}, sheets={"potion": {"sprites": ["*"]}})
    assert "assets/potion.png is also made by sprites.potion" in error


def test_two_variants_of_one_name_are_refused(project: Project) -> None:
    error = refusal(project, sprites={"potion": {**PAINT, "seeds": [1, 2], "name": "potion"}})
    assert "potion" in error


@pytest.mark.parametrize("name", ["../{name}", "/{name}", "a/../../{name}", "a\\{name}", "{name}\n", "", ".."])
def test_name_template_that_leaves_the_folder_is_refused(project: Project, name: str) -> None:
    assert "name" in refusal(project, sprites={"potion": {**PAINT, "name": name}})


@pytest.mark.parametrize(
    ("style", "message", "hint"),
    [
        ({"finish": [{"op": "blur"}]}, 'unknown op "blur"', "ops: pixelate, cutout, alpha, "),
        ({"finish": [{"op": "alpa"}]}, 'unknown op "alpa"', 'did you mean "alpha"?'),
        ({"finish": [{"op": "alpha", "treshold": 1}]}, 'unknown key "treshold"', 'did you mean "threshold"?'),
        ({"finish": [{"op": "alpha", "threshold": 999}]}, "threshold must be at most 255, not 999", None),
        ({"finish": [{"op": "scale"}]}, '"factor" is missing', None),
        ({"finish": [{"stage": "invrt"}]}, 'unknown stage "invrt"', 'did you mean "invert"?'),
        ({"finish": [{"stage": "invert", "amont": 1}]}, 'unknown key "amont"', 'did you mean "amount"?'),
        ({"finish": [{"stage": "paint"}]}, 'stage "paint" does not turn an image into an image', "need an `image`"),
        ({"finish": [{"op": "quantize", "palette": "grey"}]}, 'unknown palette "grey"', 'did you mean "gray"?'),
        (
            {"finish": [{"op": "quantize", "palette": "gray"}, {"stage": "invert"}, {"op": "sharpen"}]},
            "sharpen",
            None,
        ),
        ({"stage": "pant"}, 'unknown stage "pant"', 'did you mean "paint"?'),
        ({"params": {"nte": 1}}, 'unknown key "nte"', 'did you mean "note"?'),
        ({"size": [0, 8]}, "every item of size must be at least 1, not 0", None),
    ],
)
def test_mistake_in_a_style_is_told_once_with_its_remedy(
    project: Project, style: dict[str, Any], message: str, hint: str | None
) -> None:
    sprites = {name: {"style": "base", "prompt": name} for name in ("potion", "sword")}
    error = refusal(project, styles={"base": {**PAINT, **style}}, palettes=ISLAND["palettes"], sprites=sprites)
    assert message in error
    assert error.endswith("\n1 error")
    assert hint is None or hint in error


def test_generated_sprite_needs_model_and_prompt(project: Project) -> None:
    error = refusal(project, sprites={"potion": {"prompt": "x"}, "sword": {}})
    assert "has no model" in error
    assert "has no prompt" in error


def test_unknown_scheduler_is_refused_with_a_suggestion(project: Project) -> None:
    sprites = {"potion": {"model": "mini", "prompt": "x", "scheduler": "ddin"}}
    error = refusal(project, models={"mini": {"builtin": "sprite-mini"}}, sprites=sprites)
    assert 'scheduler must be "' in error
    assert 'did you mean "ddim"?' in error


def test_unknown_slot_is_refused_with_those_known(project: Project) -> None:
    error = refusal(project, sprites={"potion": {**PAINT, "prompt": "{colour} x", "matrix": {"color": ["red"]}}})
    assert "nothing is called {colour}" in error
    assert 'did you mean "color"?' in error


def test_all_mistakes_are_told_at_once(project: Project) -> None:
    styles = {"a": {**PAINT, "finish": [{"op": "blur"}]}, "b": {"stage": "nope"}}
    sprites = {"one": {"style": "a"}, "two": {"style": "b"}, "three": {**PAINT, "prompt": "{x}"}}
    error = refusal(project, styles=styles, sprites=sprites)
    assert error.endswith("\n3 errors")


def test_builtin_stage_cannot_be_replaced(project: Project) -> None:
    project.write({**HEAD, "sprites": {"potion": {**PAINT, "finish": [{"op": "alpha"}]}}})
    project.stage("finish", "")
    result = project.cli("plan")
    assert result.returncode == 2
    assert "stage 'finish' is built in and cannot be replaced" in result.stderr


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("1 / 0\n", "odd.py:1: cannot be imported: ZeroDivisionError: division by zero"),
        ("", "a stage file defines exactly one Stage class, this one 0"),
        ("from spritebuild.stage import Stage\n\n\nclass Odd(Stage):\n    pass\n", "Odd has no version"),
    ],
)
def test_broken_stage_file_is_told_with_its_place(project: Project, source: str, message: str) -> None:
    project.write({**HEAD, "sprites": {"potion": {"stage": "odd"}}})
    project.stage("odd", source)
    result = project.cli("plan")
    assert result.returncode == 2
    assert message in result.stderr
