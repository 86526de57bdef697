"""Datasets, LoRAs and models that are trained here, as part of the graph: what makes them stale and what does not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from projects import Project
from sets import sprite

from spritebuild.errors import SpritefileError
from spritebuild.graph import Output, Source
from spritebuild_stages.images import png

DECLARED: dict[str, Any] = {
    "project": {"name": "forge"},
    "models": {"mini": {"builtin": "sprite-mini"}},
    "datasets": {"runes": {"path": "art", "min_images": 4, "triggers": ["runic"], "licence": "CC0-1.0"}},
    "loras": {
        "runes": {
            "dataset": "runes",
            "model": "mini",
            "strength": 0.8,
            "train": {"steps": 2, "batch": 2, "rank": 2, "alpha": 2.0},
        }
    },
    "sprites": {"axe": {"model": "mini", "prompt": "an axe", "steps": 1, "loras": ["runes"]}},
}
TRAINING = {"datasets.runes:dataset", "loras.runes:train-lora"}


@pytest.fixture
def forge(project: Project) -> Project:
    for number in range(4):
        draw(project, f"art/rune{number}.png", number)
        project.file(f"art/rune{number}.txt", f"a rune of {number} strokes\n")
    return project.write(DECLARED)


def draw(project: Project, path: str, number: int) -> None:
    file = project.file(path, b"")
    png.write(file, sprite(number, 32, 32))


def refusal(forge: Project, dotted: str, value: Any) -> str:
    forge.edit(dotted, value)
    with pytest.raises(SpritefileError) as caught:
        forge.graph()
    return str(caught.value)


# The graph


def test_the_sprite_that_names_a_lora_waits_for_its_training(forge: Project) -> None:
    actions = forge.graph().actions
    assert list(actions) == [
        "datasets.runes:dataset",
        "loras.runes:train-lora",
        "loras.runes:lora-card",
        "sprites.axe:generate",
    ]
    assert dict(actions["sprites.axe:generate"].inputs)["loras.runes"] == Output("loras.runes:train-lora", "lora")
    inputs = dict(actions["datasets.runes:dataset"].inputs)
    assert sorted(inputs) == sorted(f"files.rune{number}.{end}" for number in range(4) for end in ("png", "txt"))
    assert all(isinstance(ref, Source) and ref.name.startswith("art/") for ref in inputs.values())


def test_a_use_without_a_weight_has_the_strength_of_the_lora(forge: Project) -> None:
    generate = forge.graph().actions["sprites.axe:generate"].params
    assert generate["loras"] == [{"name": "runes", "weight": 0.8}]
    forge.edit("sprites.axe.loras", [{"name": "runes", "weight": 0.3}])
    assert forge.graph().actions["sprites.axe:generate"].params["loras"] == [{"name": "runes", "weight": 0.3}]


def test_the_prompt_gets_the_triggers_of_the_dataset(forge: Project) -> None:
    """M001-17: and the captions have them, see the tests of the dataset stage."""
    assert forge.graph().actions["sprites.axe:generate"].params["prompt"] == "runic, an axe"


def test_what_no_sprite_needs_is_in_the_graph_and_built_only_when_asked_for(forge: Project) -> None:
    forge.edit("sprites.axe.loras", None)
    assert forge.reasons().keys() == {"sprites.axe:generate"}
    assert forge.reasons("loras.runes").keys() == {*TRAINING, "loras.runes:lora-card"}


@pytest.mark.parametrize("change", ["caption", "picture", "new", "gone", "params", "seed"])
def test_what_a_training_reads_makes_it_stale(forge: Project, change: str) -> None:
    before = forge.graph().actions["loras.runes:train-lora"].recipe
    {
        "caption": lambda: forge.file("art/rune1.txt", "another rune\n"),
        "picture": lambda: draw(forge, "art/rune1.png", 9),
        "new": lambda: (draw(forge, "art/deep/rune8.png", 8), forge.file("art/deep/rune8.txt", "a rune\n")),
        "gone": lambda: [(forge.root / f"art/rune1.{end}").unlink() for end in ("png", "txt")],
        "params": lambda: forge.edit("loras.runes.train.rank", 3),
        "seed": lambda: forge.edit("loras.runes.train.seed", 3),
    }[change]()
    assert forge.graph().actions["loras.runes:train-lora"].recipe != before


def test_words_about_a_lora_train_nothing(forge: Project) -> None:
    before = forge.graph().actions
    forge.edit("loras.runes.description", "Letters in stone.").edit("loras.runes.strength", 0.5)
    forge.edit("loras.runes.licence", "CC-BY-4.0").edit("loras.runes.version", "2")
    after = forge.graph().actions
    assert after["loras.runes:train-lora"].recipe == before["loras.runes:train-lora"].recipe
    assert after["loras.runes:lora-card"].recipe != before["loras.runes:lora-card"].recipe


def test_files_that_are_excluded_are_not_read(forge: Project) -> None:
    before = forge.graph().actions["datasets.runes:dataset"]
    forge.edit("datasets.runes.exclude", ["sketches/*"])
    draw(forge, "art/sketches/wip.png", 3)
    forge.file("art/notes.md", "not a caption")
    assert forge.graph().actions["datasets.runes:dataset"].recipe == before.recipe


def test_the_plan_says_how_many_steps_a_training_has(forge: Project) -> None:
    """M001-16."""
    forge.edit("loras.runes.train", {"epochs": 6, "batch": 2})
    assert "new; 6 epochs of batches of 2" in forge.cli("plan", "loras.runes").stdout
    forge.build("datasets.runes")
    assert "new; 12 steps of 2 pictures in 6 epochs of 2 batches" in forge.cli("plan", "loras.runes").stdout
    forge.edit("loras.runes.train", {"steps": 7, "batch": 2, "accumulation": 4})
    assert "new; 7 steps of 8 pictures" in forge.cli("plan", "loras.runes").stdout


EVALUATION = {
    "classifiers": {"kinds": {"dataset": "runes", "train": {"steps": 1, "label": "kind"}}},
    "evaluations": {
        "exam": {"sprites": ["exam-*"], "dataset": "runes", "classifier": "kinds", "label": "kind", "save": "reports"}
    },
}


def test_an_evaluation_reads_the_sprites_with_what_they_should_show(forge: Project) -> None:
    matrix = {"kind": ["axe", "bow"], "color": ["red"]}
    forge.edit("sprites.exam", {"model": "mini", "prompt": "{color} {kind}", "matrix": matrix})
    actions = forge.write({**forge.declared, **EVALUATION}).graph().actions
    exam = actions["evaluations.exam:evaluate"]
    assert exam.params["names"] == ["exam-axe-red", "exam-bow-red"]
    assert exam.params["labels"] == ["axe", "bow"]
    inputs = dict(exam.inputs)
    assert inputs["generated.1"] == Output("sprites.exam-bow-red:generate", "image")
    assert inputs["classifier"] == Output("classifiers.kinds:train-classifier", "classifier")
    assert dict(exam.installs) == {
        "report": "reports/exam.json",
        "sheet": "reports/exam.png",
        "table": "reports/exam.md",
    }
    assert 'no sprite is called "exams-*"' in refusal(forge, "evaluations.exam.sprites", ["exams-*"])


# What is refused


@pytest.mark.parametrize(
    ("dotted", "value", "message"),
    [
        ("loras.runes.dataset", "ruins", 'unknown dataset "ruins"'),
        ("evaluations.exam", {"sprites": ["axe"], "dataset": "ruins"}, 'unknown dataset "ruins"'),
        ("evaluations.exam", {"sprites": ["axe"], "dataset": "runes", "label": "kind"}, "no sprite has an axis 'kind'"),
        ("evaluations.exam", {"sprites": ["axe"], "dataset": "runes", "accept": 3}, 'unknown key "accept"'),
        ("loras.runes.model", "max", 'unknown model "max"'),
        ("loras.runes.model", None, 'a lora that is trained needs model = "..."'),
        ("loras.runes.train.rnk", 3, 'unknown key "rnk"'),
        ("loras.runes.train.warmup", 2, "warmup of 2 steps is as long as the training of 2 steps"),
        ("loras.runes.train.epochs", 2, "say one of steps and epochs, not both"),
        ("loras.runes.triggers", ["shiny"], "'shiny' is never learned"),
        ("loras.runes.path", "lora.safetensors", "say one of path, dvc, git, url, dataset, file"),
        ("datasets.runes.caption", "auto", 'unknown key "caption"'),
        ("datasets.runes.path", "nowhere", 'folder "nowhere" does not exist'),
        ("datasets.runes.include", ["*.jpeg"], "no file in art is taken"),
        ("models.own", {"dataset": "runes"}, 'a model that is trained needs vae = "..."'),
        ("models.mini.train", {"steps": 3}, "train is for what is trained here"),
        ("vaes.v", {"dataset": "runes", "init": "own", "train": {"steps": 1}}, 'unknown model "own"'),
    ],
)
def test_a_wrong_declaration_is_told(forge: Project, dotted: str, value: Any, message: str) -> None:
    assert message in refusal(forge, dotted, value)


def test_models_that_are_trained_from_each_other_are_told(forge: Project) -> None:
    model = {"dataset": "runes", "vae": "v", "train": {"steps": 1}}
    forge.edit("vaes", {"v": {"dataset": "runes", "train": {"steps": 1}}})
    message = refusal(forge, "models", {"a": {**model, "init": "b"}, "b": {**model, "init": "a"}, **DECLARED["models"]})
    assert "models.a is trained from itself" in message


# The real thing


@pytest.mark.diffusion
def test_a_lora_is_trained_once_and_is_then_at_hand(forge: Project, tmp_path: Path) -> None:
    forge.edit("loras.runes.save", "loras/letters/runes.safetensors")
    built = forge.build()
    assert set(built.ran) == {*TRAINING, "loras.runes:lora-card", "sprites.axe:generate"}
    card = json.loads((forge.root / "loras/letters/runes.json").read_text())
    assert card["trigger_words"] == ["runic"]
    assert card["recommended_strength"] == 0.8
    assert "CC0-1.0" in card["licences"]
    assert card["dataset"]["size"] == 4
    assert not list((forge.root / ".spritebuild/kept").glob("*"))
    assert forge.idle()
    assert not forge.reasons()

    # whoever clones has what was committed, and trains nothing
    clone = forge.clone(tmp_path / "clone")
    assert clone.reasons().keys() == {"sprites.axe:generate"}
    clone.build()
    assert clone.assets() == forge.assets()

    # and trains nothing either for what concerns its use and its card
    for project in (forge, clone):
        project.edit("loras.runes.strength", 0.7)
        assert project.reasons().keys() == {"loras.runes:lora-card", "sprites.axe:generate"}
    clone.build()
    assert json.loads((clone.root / "loras/letters/runes.json").read_text())["recommended_strength"] == 0.7

    forge.file("art/rune9.txt", "a rune\n")
    draw(forge, "art/rune9.png", 9)
    assert not forge.idle()
    assert forge.reasons().keys() >= TRAINING
