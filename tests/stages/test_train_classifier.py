"""Training a classifier on small shapes: what it learns, what is said of it, and that a kill changes nothing."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

pytest.importorskip("torch")

import torch
from sets import SPRITES, make, needs_sprites
from shapes import KINDS, SMALL, shape, shapes
from training_runs import Workshop, cpu, dataset, everything, killed

from spritebuild.errors import UsageError
from spritebuild.stage import Stages
from spritebuild_stages import _tensors
from spritebuild_stages.datasets import artifact
from spritebuild_stages.datasets.artifact import Example
from spritebuild_stages.evaluation import classifier_net
from spritebuild_stages.train_classifier import (
    TrainClassifier,
    TrainClassifierParams,
)
from spritebuild_stages.training.augmentation import augmented

pytestmark = pytest.mark.diffusion
__all__ = ["cpu"]  # a fixture that every test uses


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(TrainClassifier(), tmp_path, dataset(tmp_path / "data", *shapes()), SMALL)


def summary(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "summary.json").read_text("utf-8"))
    return found


def test_the_stage_is_found_by_its_kind() -> None:
    stage = Stages()["train-classifier"]
    assert (stage.kind, stage.device, stage.resumable) == ("train-classifier", "accelerator", True)


def test_held_out_shapes_are_read_and_the_file_says_how_well(workshop: Workshop) -> None:
    out = workshop.train(workshop.action(steps=120, learning_rate=5e-3))
    found = summary(out)
    assert found["accuracy"] > 0.8
    assert found["chance"] == pytest.approx(1 / 3, abs=1e-4)
    assert found["pictures"] == {"learned": 30, "held_out": 18}
    assert found["classes"]["disc"]["learned"] == 10
    classifier = classifier_net.load(out / "classifier.safetensors", "cpu")
    about = classifier.about
    assert (about.classes, about.label, about.accuracy) == (KINDS, "kind", found["accuracy"])
    fresh = [shape(kind, number) for kind in KINDS for number in range(100, 110)]
    features, chances = classifier.read(fresh)
    right = [name == kind for name, kind in zip(classifier.named(chances), np.repeat(KINDS, 10), strict=True)]
    assert np.mean(right) > 0.7
    # what the kernel of KID is made for
    assert features.shape == (30, 16)
    assert features.mean(axis=1) == pytest.approx(0, abs=1e-6)
    assert features.var(axis=1) == pytest.approx(1, abs=1e-3)
    assert chances.sum(axis=1) == pytest.approx(1)
    losses = [json.loads(line)["train/loss"] for line in (out / "log.jsonl").read_text("utf-8").splitlines()]
    assert losses[-1] < losses[0]


@needs_sprites
def test_held_out_real_sprites_are_read_well_above_chance(workshop: Workshop) -> None:
    kinds = {"potion": "potion", "book": "book", "staff": "staff", "weapon": "weapon"}
    made = make(
        workshop.folder,
        SPRITES,
        captions="auto",
        include=[f"item/{folder}/*.png" for folder in kinds],
        rules=[{"match": "/i-|unknown", "drop": True}]
        + [{"match": f"^item/{folder}/", "set": {"kind": kind}} for folder, kind in kinds.items()],
        templates=["{kind}"],
        labels=["kind"],
        held_out=0.3,
    )
    data = {"images": made.folder / "images.safetensors", "manifest": made.folder / "manifest.json"}
    found = summary(workshop.train(workshop.action(inputs=data, steps=70, channels=(16, 32), learning_rate=5e-3)))
    assert found["balanced_accuracy"] > 0.6, found["confusions"]  # of four classes: chance is 0.25


@pytest.mark.parametrize(
    ("precision", "kills"), [("fp32", [(1, "after"), (3, "before")]), ("bf16", [(2, "saving"), (4, "after")])]
)
def test_killed_training_ends_in_the_same_bytes(
    workshop: Workshop, precision: str, kills: list[tuple[int, str]]
) -> None:
    params = {"steps": 5, "precision": precision, "accumulation": 2, "ema": 0.9, "dropout": 0.3}
    whole = everything(workshop.train(workshop.action(**params)))
    assert set(whole) == {"classifier.safetensors", "summary.json", "log.jsonl"}
    kept = workshop.folder / "kept"
    for step, when in kills:
        interrupted = workshop.action(kept, **params)
        killed(lambda action=interrupted: workshop.train(action), step=step, when=when)
    workshop.said.clear()
    assert everything(workshop.train(workshop.action(kept, **params))) == whole
    assert workshop.said[0].startswith("resumed after step")


def test_every_class_is_seen_as_often_as_any_other(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    cross_entropy = torch.nn.functional.cross_entropy

    def listening(logits: Any, wanted: Any, **rest: Any) -> Any:
        seen.extend(wanted.tolist())
        return cross_entropy(logits, wanted, **rest)

    monkeypatch.setattr(torch.nn.functional, "cross_entropy", listening)
    rare = [one for one in shapes(44, 4) if one.labels["kind"] == "bar" or int(one.name[4:].strip("s.png")) >= 36]
    workshop.train(workshop.action(inputs=dataset(workshop.folder / "rare", *rare), steps=20, batch=30))
    assert summary(workshop.folder / "out0")["classes"]["bar"]["learned"] == 40
    assert np.bincount(seen) / len(seen) == pytest.approx(1 / 3, abs=0.06)


def test_small_classes_and_pictures_without_the_label_are_left_out_and_listed(workshop: Workshop) -> None:
    few = [one for one in shapes() if one.labels["kind"] != "disc" or int(one.name[4:-4]) < 3]
    nameless = Example("nameless.png", ("a",), shape("bar", 99), labels={"color": "red"})
    out = workshop.train(workshop.action(inputs=dataset(workshop.folder / "few", *few, nameless), steps=1))
    found = summary(out)
    assert (list(found["classes"]), found["left_out"], found["unlabeled"]) == (["bar", "cross"], {"disc": 3}, 1)
    assert workshop.notes["warnings"] == ["classes of fewer than 4 pictures are not learned: disc (3)"]


def test_share_of_every_class_is_held_out_and_copies_with_their_pictures(workshop: Workshop) -> None:
    ones = shapes(10, 0)
    copies = [replace(one, name=f"{one.name}@red") for one in ones]
    data = dataset(workshop.folder / "copies", *ones, *copies)
    found = summary(workshop.train(workshop.action(inputs=data, steps=1, held_out=0.2, min_examples=8)))
    assert [(one["learned"], one["held_out"]) for one in found["classes"].values()] == [(16, 4)] * len(KINDS)
    with pytest.raises(UsageError, match="0 of 3 classes has 9 pictures to learn from"):
        workshop.train(workshop.action(inputs=data, steps=1, held_out=0.2, min_examples=9))


def test_pictures_of_several_sizes_are_learned_together(workshop: Workshop) -> None:
    mixed = [*shapes(), *(Example(f"big/{e.name}", e.captions, e.pixels, labels=e.labels) for e in shapes(4, 0, 20))]
    out = workshop.train(workshop.action(inputs=dataset(workshop.folder / "mixed", *mixed), steps=3))
    classifier = classifier_net.load(out / "classifier.safetensors", "cpu")
    pictures = [shape("bar", 1, side) for side in (8, 12, 33)]
    together, alone = classifier.read(pictures)[0], [classifier.read([one])[0][0] for one in pictures]
    assert together == pytest.approx(np.stack(alone), abs=1e-5)


def test_what_cannot_be_learned_is_refused(workshop: Workshop) -> None:
    with pytest.raises(UsageError, match=r"no picture of the dataset has the label 'sort'(.|\n)*its labels  kind"):
        workshop.train(workshop.action(steps=1, label="sort"))
    with pytest.raises(UsageError, match="0 of 3 classes has 99 pictures to learn from"):
        workshop.train(workshop.action(steps=1, min_examples=99))
    seen = dataset(workshop.folder / "seen", *shapes(held_out=0))
    with pytest.raises(UsageError, match=r"is held out(.|\n)*hint: set held_out, here or in the dataset"):
        workshop.train(workshop.action(inputs=seen, steps=1))
    with pytest.raises(ValidationError, match="multiple of 8"):
        TrainClassifierParams(label="kind", steps=1, channels=(12,))


def test_files_that_are_no_classifier_are_refused(workshop: Workshop) -> None:
    text = workshop.folder / "text"
    text.write_text("no weights")
    other = workshop.folder / "other.safetensors"
    _tensors.write(other, {"a": torch.zeros(1)}, {"format": "pt"})
    for path in (text, other, workshop.inputs["images"]):
        with pytest.raises(UsageError, match="not a classifier"):
            classifier_net.load(path, "cpu")
    out = workshop.train(workshop.action(steps=1))
    whole = (out / "classifier.safetensors").read_bytes()
    text.write_bytes(whole[:-100])
    with pytest.raises(UsageError, match="not a classifier"):
        classifier_net.load(text, "cpu")


def test_hidden_colors_are_not_seen() -> None:
    clean = shape("disc", 1)
    dirty = clean.copy()
    dirty[clean[..., 3] == 0, :3] = 200
    assert torch.equal(classifier_net.values([clean], "cpu"), classifier_net.values([dirty], "cpu"))


def test_augmentation_mirrors_moves_and_lights_without_changing_hues() -> None:
    pictures = classifier_net.values([shape("disc", number) for number in range(8)] * 8, "cpu")
    assert torch.equal(augmented(pictures, (0, 0)), pictures)
    mirrored = augmented(pictures, (0, 0), flip=True)
    flipped = [torch.equal(one, two.flip(2)) for one, two in zip(mirrored, pictures, strict=True)]
    assert 16 < sum(flipped) < 48
    assert all(f or torch.equal(a, b) for f, a, b in zip(flipped, mirrored, pictures, strict=True))
    moved = augmented(pictures, (0, 0), shift=1)
    moves = {
        (y, x)
        for one, two in zip(moved, pictures, strict=True)
        for y, x in itertools.product((-1, 0, 1), repeat=2)
        if torch.equal(one, two.roll((y, x), (1, 2)))
    }
    assert len(moves) == 9
    lit = augmented(pictures, (0, 0), brightness=0.5)
    assert torch.equal(lit[:, 3], pictures[:, 3])
    assert lit[:, :3].max() <= 1
    before, after = ((one[:, :3] + 1) / 2 * (one[:, 3:] > 0) for one in (pictures, lit))
    factors = after.sum(dim=(1, 2, 3)) / before.sum(dim=(1, 2, 3))
    assert after == pytest.approx(before * factors[:, None, None, None], abs=1e-6)
    assert factors.min() < 0.7
    assert factors.max() > 1


def test_recolored_pictures_have_their_shape_and_the_colors_of_a_ramp() -> None:
    pictures = classifier_net.values([shape("disc", number) for number in range(8)] * 8, "cpu")
    changed = augmented(pictures, (0, 0), recolor=0.5)
    assert torch.equal(changed, augmented(pictures, (0, 0), recolor=0.5))
    same = [torch.equal(one, two) for one, two in zip(changed, pictures, strict=True)]
    assert 16 < sum(same) < 48
    assert torch.equal(changed[:, 3], pictures[:, 3])
    assert changed.abs().max() <= 1
    assert not (changed[:, :3] * (pictures[:, 3:] == 0)).any()
    for one, two, stays in zip(changed, pictures, same, strict=True):
        if not stays:
            colors = {tuple(color.tolist()) for color in two.flatten(1).T}
            assert len({tuple(color.tolist()) for color in one.flatten(1).T}) <= len(colors)
    ramps = {tuple(one[:3, 6, 6].tolist()) for one, stays in zip(changed, same, strict=True) if not stays}
    assert len(ramps) > 16


def test_equal_files_are_written_of_equal_classifiers(workshop: Workshop) -> None:
    first = everything(workshop.train(workshop.action(steps=2)))
    assert everything(workshop.train(workshop.action(steps=2))) == first
    assert everything(workshop.train(workshop.action(steps=2, seed=1))) != first
    path = workshop.folder / "out0" / "classifier.safetensors"
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    said = list(header["__metadata__"])
    assert said == sorted(said)
    assert json.loads(header["__metadata__"]["classes"]) == list(KINDS)
    assert str(workshop.folder) not in json.dumps(header)
    assert artifact.canonical(summary(path.parent)) == (path.parent / "summary.json").read_text("utf-8")
