"""`train-lora` and `loras`: what they print, and how they exit."""

from __future__ import annotations

import json
import subprocess

import pytest
from projects import Project
from sets import sprite

from spritebuild_stages.images import png

pytestmark = pytest.mark.diffusion

DECLARED = """
[project]
name = "forge"

[models.mini]
builtin = "sprite-mini"

[datasets.runes]
path = "art"
min_images = 4
triggers = ["runic"]

[loras.runes]
dataset = "runes"
model = "mini"
train = { steps = 2, batch = 2, rank = 2, sample_steps = 1 }
"""
ALONE = ("--model", "sprite-mini", "--dataset", "art", "--out", "out", "--data", "min_images=4", "--batch", "2")
FILES = {"card.json", "log.jsonl", "lora.safetensors", "peft.safetensors", "samples.png", "summary.json"}


@pytest.fixture
def forge(project: Project) -> Project:
    for number in range(4):
        png.write(project.file(f"art/rune{number}.png", b""), sprite(number, 32, 32))
        project.file(f"art/rune{number}.txt", f"a rune of {number} strokes\n")
    return project


def failed(done: subprocess.CompletedProcess[str], code: int) -> str:
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    return done.stderr


def test_declared_lora_is_trained_shown_and_given_away(forge: Project) -> None:
    forge.write(DECLARED)
    assert forge.cli("loras", "list").stdout == "runes  not trained yet  triggers: runic\n"
    done = forge.cli("train-lora", "runes", "--out", "given")
    assert (done.returncode, done.stdout) == (0, "given/lora.safetensors\n"), done.stderr
    assert {path.name for path in (forge.root / "given").iterdir()} == FILES
    again = forge.cli("train-lora", "runes", "--json")
    assert json.loads(again.stdout.splitlines()[-1])["ran"] == 0
    assert forge.cli("loras", "list").stdout == "runes  trained on 4 pictures  triggers: runic\n"
    card = json.loads(forge.cli("loras", "show", "runes").stdout)
    assert (card["steps"], card["rank"], card["trigger_words"]) == (2, 2, ["runic"])


def test_training_alone_needs_no_spritefile_and_gives_equal_bytes(forge: Project) -> None:
    command = ("train-lora", *ALONE, "--steps", "2", "--param", "rank=2", "--param", "sample_steps=1")
    done = forge.cli(*command, "--trigger", "runic")
    assert (done.returncode, done.stdout) == (0, "out/lora.safetensors\n"), done.stderr
    first = {path.name: path.read_bytes() for path in (forge.root / "out").iterdir()}
    assert first.keys() >= {*FILES, "dataset.png", "dataset.json"}
    assert sorted(path.name for path in forge.root.iterdir()) == ["art", "out"]
    forge.cli(*command, "--trigger", "runic")
    assert {path.name: path.read_bytes() for path in (forge.root / "out").iterdir()} == first


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "train what?"),
        (ALONE, "how long?"),
        ((*ALONE, "--steps", "2", "--param", "rnk=3"), '--param: unknown key "rnk"\n\nhint: did you mean "rank"?'),
        ((*ALONE, "--steps", "2", "--param", "warmup=2"), "warmup of 2 steps is as long as the training of 2 steps"),
        ((*ALONE, "--steps", "2", "--param", "dora=yes"), "--param dora=yes: not KEY=VALUE in TOML"),
        ((*ALONE, "--steps", "2", "--data", "min_images=9"), "a training set of 4 pictures"),
        ((*ALONE[:1], "maxi", *ALONE[2:], "--steps", "2"), "no built-in model 'maxi'"),
        (("--model", "sprite-mini", "--dataset", "arts", "--out", "out", "--steps", "2"), "arts: no such folder"),
    ],
)
def test_what_cannot_be_trained_is_told_and_leaves_nothing(
    forge: Project, arguments: tuple[str, ...], message: str
) -> None:
    before = forge.listing()
    assert message in failed(forge.cli("train-lora", *arguments), 2)
    assert forge.listing() == before


def test_a_dataset_without_captions_is_refused(forge: Project) -> None:
    """M001-15."""
    for path in forge.root.glob("art/*.txt"):
        path.rename(path.with_suffix(".caption"))
    assert "caption" in failed(forge.cli("train-lora", *ALONE, "--steps", "2"), 2)


def test_settings_of_a_declared_lora_are_in_the_spritefile(forge: Project) -> None:
    forge.write(DECLARED)
    assert "its params are in the spritefile" in failed(forge.cli("train-lora", "runes", "--steps", "3"), 2)
    assert "did you mean" in failed(forge.cli("train-lora", "runs"), 2)
    assert 'did you mean "runes"' in failed(forge.cli("loras", "show", "runs"), 2)
