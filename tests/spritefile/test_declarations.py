"""What every key of a spritefile may be."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from pydantic import ValidationError

from spritebuild.errors import SpritefileError
from spritebuild.spritefile import load
from spritebuild.spritefile.declarations import (
    LoraUse,
    Model,
    Palette,
    Project,
    Sheet,
    Sprite,
    json_schema,
)
from spritebuild.spritefile.fields import MOST_COMBINATIONS

PROJECT = '[project]\nname = "island"\n'


@pytest.fixture
def faults(tmp_path: Path) -> Callable[[str], list[str]]:
    """The messages of the faults of a spritefile, each with the text that its caret marks."""

    def read(text: str) -> list[str]:
        path = tmp_path / "spritefile.toml"
        path.write_text(text, encoding="utf-8")
        try:
            load(path)
        except SpritefileError as error:
            return [f"{f.message} <- {f.source[f.column - 1 : f.column - 1 + f.width]}" for f in error.faults]
        return []

    return read


WRONG = [
    ("version = 2", "version must be 1, the only one that this spritebuild reads <- 2"),
    ("version = true", "version must be a whole number, not true <- true"),
    ('include = "a.toml"', 'include must be a list, not "a.toml" <- "a.toml"'),
    ("speed = 1", 'unknown key "speed" <- speed'),
    ("[speed]", 'unknown table "speed" <- speed'),
    ("[models.a]", "say one of builtin, path, dvc, git, url, folder, dataset, file <- a"),
    (
        'models.a = {builtin = "x", path = "y"}',
        "say one of builtin, path, dvc, git, url, folder, dataset, file, not builtin and path <- {built",
    ),
    ('models.a = {builtin = "x", dtype = "fp8"}', 'dtype must be "fp32", "bf16" or "fp16", not "fp8" <- "fp8"'),
    ('models.a = {builtin = "x", batch = 3}', "batch must be 1, 2, 4, 8, 16 or 32, not 3 <- 3"),
    ('models.a = {builtin = "x", batch = true}', "batch must be one of 1, 2, 4, 8, 16, 32 <- true"),
    ('models.a = {builtin = "x", batch = 4.0}', "batch must be one of 1, 2, 4, 8, 16, 32 <- 4.0"),
    ('models.a = {builtin = "x", triggers = [1]}', "every item of triggers must be text, not 1 <- 1"),
    (
        'models.a = {builtin = "x", licence = "x", license = "x"}',
        "license and licence are the same key; say it once <- license",
    ),
    ('models.a = {dvc = {repo = "x"}}', '"path" is missing <- dvc'),
    ('models.a = {dvc = {repo = "x", path = "y", revision = "z"}}', 'unknown key "revision" <- revision'),
    ('loras.a = {builtin = "x"}', 'unknown key "builtin" <- builtin'),
    (
        'loras.a = {path = "x.ckpt"}',
        'weights are a .safetensors file; other formats can run code and are refused <- "x.ckpt"',
    ),
    ("[palettes.a]", "say one of colors, file, sprites <- a"),
    ("palettes.a.colors = []", "colors must not be empty <- []"),
    ('palettes.a.colors = ["#12345g"]', '"#12345g" is not a color <- "#12345g"'),
    ('palettes.a.colors = ["#1234"]', '"#1234" is not a color <- "#1234"'),
    ("palettes.a.colors = [" + '"#000",' * 257 + "]", "colors must hold at most 256 values, not 257 <- "),
    ('palettes.a.file = "x.txt"', 'a palette file ends in .hex, .gpl, .pal, .act, .png, .aseprite, .ase <- "x.txt"'),
    ("styles.a.steps = 0", "steps must be at least 1, not 0 <- 0"),
    ('styles.a.steps = "twenty"', 'steps must be a whole number, not "twenty" <- "twenty"'),
    ("styles.a.steps = 20.0", "steps must be a whole number, not 20.0 <- 20.0"),
    ("styles.a.steps = 2026-01-01", "steps must be a whole number, not a date or time <- 2026-01-01"),
    ("styles.a.guidance = -0.5", "guidance must be at least 0, not -0.5 <- -0.5"),
    ("styles.a.guidance = nan", "guidance must be a finite number, not nan <- nan"),
    ("styles.a.guidance = true", "guidance must be a number, not true <- true"),
    ("styles.a.size = [64]", "size must be [width, height] <- [64]"),
    ("styles.a.size = [64, 0]", "every item of size must be at least 1, not 0 <- 0"),
    ("styles.a.loras = [1]", "a lora is a name, or a table of name and weight <- 1"),
    ("styles.a.loras = [{weight = 1}]", '"name" is missing <- {weight = 1}'),
    ('styles.a.loras = [{name = "x", weight = inf}]', "weight must be a finite number, not inf <- inf"),
    ("styles.a.finish = [{}]", "a finish entry needs one of op and stage <- {}"),
    ('styles.a.finish = [{op = "a", stage = "b"}]', "a finish entry needs one of op and stage, not both <- {op"),
    ("styles.a.finish = [{op = 1}]", "op must be text <- {op = 1}"),
    ("styles.a.params = 1", "params must be a table, not 1 <- 1"),
    ("styles.a = 1", "a must be a table, not 1 <- 1"),
    ("styles = 1", "styles must be a table, not 1 <- 1"),
    ('styles.a.promt = "x"', 'unknown key "promt" <- promt'),
    ("[styles.Ruins]", '"Ruins" is not a name <- Ruins'),
    ('[styles."a\\n"]', '"a\\n" is not a name <- "a\\n"'),
    (f"[styles.{'a' * 101}]", f'"{"a" * 57}..." is not a name <- aaaa'),
    ("sprites.a = {seed = 1, seeds = [1]}", "say seed or seeds, not both <- [1]"),
    ("sprites.a.seed = -1", "seed must be at least 0, not -1 <- -1"),
    (
        "sprites.a.seed = 9223372036854775808",
        "seed must be at most 9223372036854775807, not 9223372036854775808 <- 9223372036854775808",
    ),
    ("sprites.a.seeds = [1, 1]", "seeds holds every seed once <- [1, 1]"),
    ("sprites.a.seeds = []", "seeds must not be empty <- []"),
    ('sprites.a.matrix.prompt = ["x"]', 'an axis may not be named "prompt" <- prompt'),
    ('sprites.a.matrix.a-b = ["x"]', '"a-b" is not a name <- a-b'),
    ("sprites.a.matrix.b = []", "b must not be empty <- []"),
    ('sprites.a.matrix.b = [1, "1"]', 'an axis holds every value once <- [1, "1"]'),
    ("sprites.a.matrix.b = [1.5]", "an axis holds text and whole numbers only <- 1.5"),
    ('sprites.a.extends = "b"', 'unknown key "extends" <- extends'),
    ('sprites.a.category = ""', 'category must not be empty <- ""'),
    ("[sheets.a]", '"sprites" is missing <- a'),
    ('exports.a = {path = "x"}', '"kind" is missing <- a'),
    ('exports.a = {kind = "pixi", path = ""}', 'path must not be empty <- ""'),
    (
        'palettes.a = {colors = ["#fff"], most = 3}',
        'most is for a palette that is chosen here: say sprites <- {colors = ["#fff"], most = 3}',
    ),
    ('palettes.a = {sprites = ["*"], era = "64bit"}', 'era must be "8bit", "16bit" or "32bit", not "64bit" <- "64bit"'),
    ('palettes.a = {sprites = ["*"], save = "a.hex"}', 'a palette is saved as a .gpl file <- "a.hex"'),
]


@pytest.mark.parametrize(("text", "expected"), WRONG)
def test_wrong_declaration_is_one_fault_in_plain_words(
    faults: Callable[[str], list[str]], text: str, expected: str
) -> None:
    (fault,) = faults(f"{text}\n{PROJECT}")
    assert fault.startswith(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "[project] is missing <- "),
        ("[project]", '"name" is missing <- project'),
        ('[project]\nname = ""', 'name must not be empty <- ""'),
        ('[project]\nname = "x"\nseed = -1', "seed must be at least 0, not -1 <- -1"),
        ('[project]\nname = "x"\nasset = "y"', 'unknown key "asset" <- asset'),
        (
            '[project]\nname = "x"\nrequires = "new"',
            'requires must be a version specifier such as ">=0.1" <- "new"',
        ),
    ],
)
def test_wrong_project_is_one_fault_in_plain_words(
    faults: Callable[[str], list[str]], text: str, expected: str
) -> None:
    assert faults(text) == [expected]


def test_matrix_makes_at_most_ten_thousand_combinations(faults: Callable[[str], list[str]]) -> None:
    hundred, more = list(range(100)), list(range(101))
    assert len(hundred) ** 2 == MOST_COMBINATIONS
    assert faults(f"{PROJECT}[sprites.a.matrix]\nx = {hundred}\ny = {hundred}\n") == []
    (fault,) = faults(f"{PROJECT}[sprites.a.matrix]\nx = {hundred}\ny = {more}\n")
    assert fault.startswith("matrix makes 10,100 combinations, more than 10,000")


def test_every_fault_of_a_file_is_reported(faults: Callable[[str], list[str]]) -> None:
    text = "".join(f"{line}\n" for line in ("speed = 1", "styles.a.steps = 0", "styles.b.steps = 0")) + PROJECT
    assert [fault.partition(" <-")[0] for fault in faults(text)] == [
        'unknown key "speed"',
        "steps must be at least 1, not 0",
        "steps must be at least 1, not 0",
    ]


def test_defaults_are_what_the_format_says() -> None:
    assert Project(name="x").model_dump() == {
        "name": "x",
        "assets": "assets",
        "seed": 0,
        "stages": None,
        "requires": None,
        "quality": "standard",
        "profile": None,
        "mark": True,
    }
    model = Model(builtin="x")
    assert (model.triggers, model.dtype, model.batch, model.licence) == ((), "fp32", 4, None)
    assert Sheet(sprites=("*",)).model_dump(exclude={"sprites"}) == {"companions": {}, "category": None, "check": None}
    assert set(Sprite().model_dump().values()) == {None}


def test_colors_are_normalized() -> None:
    assert Palette(colors=("#FfF", "#A0b1C2")).colors == ("#ffffff", "#a0b1c2")


def test_license_is_another_spelling_of_licence() -> None:
    assert Model.model_validate({"builtin": "x", "license": "MIT"}).licence == "MIT"


def test_lora_is_named_alone_or_with_a_weight() -> None:
    sprite = Sprite.model_validate({"loras": ["ink", {"name": "wash", "weight": 0.5}]})
    assert sprite.loras == (LoraUse(name="ink"), LoraUse(name="wash", weight=0.5))


def test_finish_entries_and_params_are_kept_as_they_are() -> None:
    finish = [{"op": "quantize", "colors": [1, {"x": 2.0}]}, {"stage": "sparkle"}]
    sprite = Sprite.model_validate({"finish": finish, "params": {"depth": {"max": 1}}})
    assert sprite.finish == tuple(finish)
    assert sprite.params == {"depth": {"max": 1}}


def test_declarations_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Project(name="x").name = "y"  # type: ignore[misc]


def objects(schema: Any) -> list[dict[str, Any]]:
    """Every schema inside a schema that has properties."""
    if isinstance(schema, list):
        return [found for each in schema for found in objects(each)]
    if not isinstance(schema, dict):
        return []
    own = [schema] if isinstance(schema.get("properties"), dict) else []
    return own + [found for each in schema.values() for found in objects(each)]


def test_schema_is_valid_and_describes_every_key() -> None:
    schema = json_schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema.Draft202012Validator.check_schema(schema)
    properties = [value for each in objects(schema) for value in each["properties"].values()]
    assert len(properties) > 60
    for value in properties:
        said = {**schema["$defs"][value["$ref"].rpartition("/")[2]], **value} if "$ref" in value else value
        assert said["title"] and said["description"]


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ('sprites.a = {loras = ["x", {name = "y"}], finish = [{op = "trim", pad = 1}], size = [1, 2]}', True),
        ('models.a = {dvc = {repo = "x", path = "y"}, license = "MIT"}', True),
        ("version = 1", True),
        ("version = 2", False),
        ("sprites.a = {promt = 1}", False),
        ("sprites.a = {seed = 1, seeds = [1]}", False),
        ("sprites.a = {finish = [{}]}", False),
        ("[sprites.A]", False),
        ('models.a = {builtin = "x", path = "y"}', False),
        ("palettes.a.colors = ['red']", False),
    ],
)
def test_schema_accepts_what_loads_and_refuses_what_does_not(
    faults: Callable[[str], list[str]], text: str, valid: bool
) -> None:
    validator = jsonschema.Draft202012Validator(json_schema())
    assert validator.is_valid(tomllib.loads(f"{text}\n{PROJECT}")) is valid
    structural = [fault for fault in faults(f"{text}\n{PROJECT}") if not fault.startswith("unknown lora")]
    assert (structural == []) is valid


def test_schema_demands_a_project() -> None:
    assert not jsonschema.Draft202012Validator(json_schema()).is_valid({"version": 1})
