"""Training a model on a dozen small blocks: what it learns, what it is told, and that a kill changes nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

pytest.importorskip("torch")
pytest.importorskip("diffusers")

from safetensors.torch import load_file
from training_runs import Workshop, blocks, cpu, dataset, everything, example, killed, log

from spritebuild.errors import UsageError
from spritebuild.stage import BoundAction, Context
from spritebuild_stages._weights import inspect_folder
from spritebuild_stages.diffusion import inl_dit
from spritebuild_stages.diffusion.pipeline import Item, Settings, TextToImage
from spritebuild_stages.diffusion.schedulers import CLASSES
from spritebuild_stages.generate import Generate, GenerateInputs, GenerateOutputs, GenerateParams
from spritebuild_stages.images import png
from spritebuild_stages.train_diffusion import TrainDiffusion
from spritebuild_stages.train_vae import TrainVae, TrainVaeInputs, TrainVaeOutputs, TrainVaeParams
from spritebuild_stages.training.diffusion_params import TrainDiffusionParams

pytestmark = pytest.mark.diffusion
__all__ = ["cpu"]  # a fixture that every test uses

SMALL: dict[str, Any] = {
    "batch": 4,
    "learning_rate": 3e-3,
    "log_every": 1,
    "channels": (8, 16),
    "heads": 2,
    "vocabulary": 540,
    "text_width": 16,
    "text_heads": 2,
    "text_layers": 1,
    "text_length": 8,
    "sample_steps": 2,
    "sample_prompts": [{"prompt": "red block", "seed": 1}],
}
UNET: dict[str, Any] = {"architecture": "unet"}
INL: dict[str, Any] = {"architecture": "inl-dit", "patch": 2}
LABELS: dict[str, Any] = {"conditioning": "labels", "sample_prompts": [{"prompt": "red, left"}]}


def generate(workshop: Workshop, model: Path, prompt: str, **params: Any) -> Any:
    image = workshop.folder / f"image{next(workshop.numbers)}.png"
    told = GenerateParams(**{"prompt": prompt, "seed": 3, "steps": 2, "size": (16, 16), "batch": 2, **params})
    action = BoundAction(told, GenerateInputs(model=model), GenerateOutputs(image=image))
    list(Generate().run_batch([action], Context(workshop.folder / "memory")))
    return png.read(image)


@pytest.fixture(scope="module")
def vae(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An autoencoder of factor 2, briefly trained."""
    folder = tmp_path_factory.mktemp("vae")
    params = TrainVaeParams(steps=10, batch=4, channels=(8, 16), latent_channels=4, learning_rate=5e-3)
    outputs = TrainVaeOutputs(vae=folder / "vae", log=folder / "log.jsonl", samples=folder / "samples.png")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPRITEBUILD_DEVICE", "cpu")
        action = BoundAction(params, TrainVaeInputs(**blocks(folder / "data")), outputs)
        TrainVae().run(action, Context(folder))
    return folder / "vae"


@pytest.fixture
def workshop(tmp_path: Path, vae: Path, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    monkeypatch.setitem(inl_dit.SIZES, "nano", inl_dit.Size(2, 32, 4, 2))
    return Workshop(TrainDiffusion(), tmp_path, {**blocks(tmp_path / "data"), "vae": vae}, SMALL)


def card(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "card.json").read_text("utf-8"))
    return found


# Learning


@pytest.mark.parametrize("kind", [UNET, {**INL, "precision": "bf16"}], ids=["unet", "inl-dit"])
def test_error_falls_and_the_folder_makes_pictures_of_prompts(workshop: Workshop, kind: dict[str, Any]) -> None:
    out = workshop.train(workshop.action(steps=60, ema=0.9, sample_every=30, **kind))
    errors = [record["train/mse"] for record in log(out)]
    assert sum(errors[-10:]) < 0.85 * sum(errors[:10])
    gates = [record.get("train/gate") for record in log(out)]
    assert all(gate is None if kind == UNET else 0 < gate < 1 for gate in gates)
    # M004-02: the tokenizer and the text encoder are in the folder, and prompts are told apart
    assert inspect_folder(out / "model").pipeline == ("StableDiffusionPipeline" if kind == UNET else "InlPipeline")
    red, blue, unguided = (
        generate(workshop, out / "model", prompt, guidance=guidance)
        for prompt, guidance in (("red block", 3.0), ("a blue box", 3.0), ("red block", 1.0))
    )
    assert red.shape == (16, 16, 4)
    assert not np.array_equal(red, blue)
    assert not np.array_equal(red, unguided)
    names = {path.suffix for path in (out / "model").rglob("*") if path.is_file()}
    assert names == {".json", ".safetensors"}  # M004-09
    assert png.read(out / "samples.png").shape[0] > 2 * 96  # a row of step 30, a row of the end


def test_own_pipeline_makes_batches_of_any_size_with_any_sampler(workshop: Workshop) -> None:
    out = workshop.train(workshop.action(steps=8, **INL))
    model = TextToImage(out / "model", "fp32", 1)
    assert model.batchable
    items = [Item("red block", "", 1), Item("a blue box", "green block", 2)]
    for name in CLASSES:
        settings = Settings(name, 3, 2.0, (16, 24))
        together = [drawn.pixels for drawn in model.draw(items, settings)]
        alone = [model.draw([item], settings)[0].pixels for item in items]
        assert np.allclose(together, alone, atol=1e-3), name
        assert together[0].shape == (24, 16, 4)
    model.check_size((16, 24))
    with pytest.raises(UsageError, match="no images of 20x16"):
        model.check_size((20, 16))


@pytest.mark.parametrize(
    ("params", "kills"),
    [
        ({**UNET, "precision": "fp32"}, [(0, "before"), (1, "after"), (3, "saving"), (4, "after"), (6, "before")]),
        ({**UNET, "precision": "bf16"}, [(0, "after"), (2, "saving"), (3, "before"), (5, "after"), (6, "done")]),
        ({**UNET, **LABELS, "precision": "bf16", "sample_prompts": []}, [(3, "saving"), (4, "done")]),
        ({**INL, "precision": "bf16", "gradient_checkpointing": True}, [(0, "after"), (4, "after")]),
    ],
    ids=["unet-fp32", "unet-bf16", "labels", "inl-dit"],
)
def test_killed_training_ends_in_the_same_bytes(
    workshop: Workshop, params: dict[str, Any], kills: list[tuple[int, str]]
) -> None:
    params = {"steps": 7, "accumulation": 2, "ema": 0.9, "sample_every": 2, **params}
    whole = everything(workshop.train(workshop.action(**params)))
    kept = workshop.folder / "kept"
    for step, when in kills:
        interrupted = workshop.action(kept, **params)
        killed(lambda action=interrupted: workshop.train(action), step=step, when=when)
    workshop.said.clear()
    again = everything(workshop.train(workshop.action(kept, **params)))
    assert {name for name in whole if again.get(name) != whole[name]} == set()
    assert again.keys() == whole.keys()
    assert any(said.startswith("resumed after step") for said in workshop.said)


@pytest.mark.parametrize("kind", [UNET, LABELS], ids=["text", "labels"])
def test_trace_of_no_folder_is_in_the_result(workshop: Workshop, kind: dict[str, Any]) -> None:
    out = workshop.train(workshop.action(steps=1, **kind))
    for _ in range(2):
        out = workshop.train(workshop.action(inputs={"init": out / "model"}, steps=1, **kind))
    for name, data in everything(out).items():
        assert str(workshop.folder).encode() not in data, name
        assert workshop.inputs["vae"].parent.name.encode() not in data, name


def test_latents_have_a_deviation_of_1_and_others_are_warned_of(workshop: Workshop) -> None:
    """M004-07."""
    out = workshop.train(workshop.action(steps=1))
    assert card(out)["latents_deviation"] == pytest.approx(1, abs=1e-3)
    assert workshop.notes["warnings"] == []
    config = json.loads((out / "model" / "vae" / "config.json").read_text("utf-8"))
    (out / "model" / "vae" / "config.json").write_text(json.dumps({**config, "scaling_factor": 0.18215}), "utf-8")
    workshop.train(workshop.action(inputs={"vae": out / "model"}, steps=1))
    assert "scaling_factor is wrong" in workshop.notes["warnings"][0]


def test_card_has_every_param_and_what_came_of_it(workshop: Workshop) -> None:
    """M004-06: one resolved configuration, defaults included."""
    out = workshop.train(workshop.action(epochs=2, accumulation=2, **INL))
    about = card(out)
    assert about["params"].keys() == TrainDiffusionParams.model_fields.keys()
    assert TrainDiffusionParams.model_validate(about["params"]) == TrainDiffusionParams(
        **{**SMALL, **INL, "epochs": 2, "accumulation": 2}
    )
    assert (about["steps"], about["pictures_a_step"], about["dataset"]["pictures"]) == (3, 8, 12)
    weights = load_file(out / "model" / "transformer" / "diffusion_pytorch_model.safetensors")
    assert about["parameters"]["transformer"] == sum(value.numel() for value in weights.values())
    assert about["denoiser"]["integrator_iterations"] == 2
    assert about["guidance"] is True


CHANGES: dict[str, Any] = {
    "seed": 1,
    "steps": 2,
    "batch": 3,
    "accumulation": 2,
    "learning_rate": 1e-2,
    "schedule": "linear",
    "warmup": 2,
    "betas": (0.5, 0.6),
    "weight_decay": 0.9,
    "max_grad_norm": 1e-3,
    "ema": 0.5,
    "precision": "bf16",
    "log_every": 2,
    "channels": (8, 8),
    "layers": 2,
    "heads": 4,
    "patch": 4,
    "mlp": "gelu",
    "integrator": False,
    "integrator_iterations": 1,
    "size": "S",
    "labels": ("class",),
    "vocabulary": 520,
    "text_width": 20,
    "text_layers": 2,
    "text_heads": 4,
    "text_length": 9,
    "prediction": "epsilon",
    "noise_schedule": "linear",
    "zero_snr": False,
    "min_snr_gamma": 1.0,
    "condition_dropout": 0.9,
    "sample_prompts": [{"prompt": "a box"}],
    "sample_every": 1,
    "sample_steps": 3,
    "sample_guidance": 9.0,
    "save_dtype": "fp32",
}
OTHERS = {  # of what a param needs, beside itself
    **dict.fromkeys(("patch", "mlp", "integrator", "integrator_iterations", "size"), INL),
    "labels": LABELS,
    "prediction": {"zero_snr": False},
}
# another length, packages that may be missing, equal bytes, and what other tests are about
UNSEEN = {"epochs", "optimizer", "gradient_checkpointing", "architecture", "conditioning", "train_text_encoder"}


def test_every_param_does_something(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    assert CHANGES.keys() | UNSEEN == TrainDiffusionParams.model_fields.keys()
    monkeypatch.setitem(inl_dit.SIZES, "S", inl_dit.Size(1, 32, 4, 2))
    base: dict[str, Any] = {"steps": 3, "ema": 0}
    made: dict[str, Any] = {}
    for name, value in CHANGES.items():
        other = OTHERS.get(name, {})
        before = str(other)
        if before not in made:
            made[before] = results(workshop, {**base, **other})
        assert results(workshop, {**base, **other, name: value}) != made[before], name


def results(workshop: Workshop, params: dict[str, Any]) -> dict[str, bytes]:
    """All that was made but the card, which says what the params are."""
    found = everything(workshop.train(workshop.action(**params)))
    return {name: data for name, data in found.items() if name != "card.json"}


# What is to be predicted


def test_epsilon_is_learned_too(workshop: Workshop) -> None:
    params = {"prediction": "epsilon", "zero_snr": False, "min_snr_gamma": 0, "noise_schedule": "cosine"}
    out = workshop.train(workshop.action(steps=2, **params))
    records = log(out)
    assert records[0]["train/loss"] == pytest.approx(records[0]["train/mse"])
    generate(workshop, out / "model", "red block")


# Guidance: M004-01


def test_model_that_never_went_without_a_condition_is_not_guided(workshop: Workshop) -> None:
    for kind in (UNET, INL):
        out = workshop.train(workshop.action(steps=1, condition_dropout=0, sample_guidance=1, **kind))
        assert card(out)["guidance"] is False
        with pytest.raises(UsageError, match="trained without condition_dropout: it cannot be guided"):
            generate(workshop, out / "model", "red block", guidance=3.0)
        generate(workshop, out / "model", "red block", guidance=1.0)
    with pytest.raises(ValidationError, match="cannot be guided: set sample_guidance = 1"):
        TrainDiffusionParams(**SMALL, steps=1, condition_dropout=0)


# Captions


def test_pictures_without_captions_are_an_error_before_the_device(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """M004-04."""
    monkeypatch.setenv("SPRITEBUILD_DEVICE", "none")
    for silent in ((" ",), ()):
        bare = dataset(workshop.folder / "bare", example(0), example(1, captions=silent))
        with pytest.raises(UsageError, match="no caption"):
            workshop.train(workshop.action(inputs=bare, steps=1))


def test_captions_that_are_too_long_are_warned_of(workshop: Workshop) -> None:
    workshop.train(workshop.action(steps=1, text_length=3))
    assert "8 texts are longer than the text encoder reads, such as: a blue box" in workshop.notes["warnings"]


# Labels


def test_labels_are_told_apart_in_any_order_and_unknown_ones_refused(workshop: Workshop) -> None:
    out = workshop.train(workshop.action(steps=30, **LABELS))
    told = card(out)["labels"]
    assert told == {"class": ["blue", "green", "red", "yellow"], "direction": ["left", "right"]}
    red = generate(workshop, out / "model", "red, left")
    assert np.array_equal(generate(workshop, out / "model", "LEFT ,red"), red)
    assert not np.array_equal(generate(workshop, out / "model", "blue, left"), red)
    table = load_file(out / "model" / "text_encoder" / "model.safetensors")
    assert not table["embeddings.position_embedding.weight"].any()
    model = TextToImage(out / "model", "fp32", 1)
    model.check_prompt(" Red ,right")
    model.check_prompt("")
    with pytest.raises(UsageError, match="knows no label 'orc'") as caught:
        model.check_prompt("orc, left")
    assert "blue, green, red, yellow" in str(caught.value)


def test_labels_that_are_not_there_are_an_error_before_the_device(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPRITEBUILD_DEVICE", "none")
    with pytest.raises(UsageError, match="no picture of the dataset has a label 'frame'") as caught:
        workshop.train(workshop.action(steps=1, labels=("class", "frame"), **LABELS))
    assert "class, direction" in str(caught.value)
    some = dataset(workshop.folder / "some", example(0), example(1, labels={}))
    with pytest.raises(UsageError, match="1 of 2 pictures have none of the labels"):
        workshop.train(workshop.action(inputs=some, steps=1, **LABELS))


# Beginning with other weights


def test_training_goes_on_with_the_words_and_weights_of_init(workshop: Workshop) -> None:
    first = workshop.train(workshop.action(steps=40, ema=0, save_dtype="fp32"))
    early, late = (sum(r["train/mse"] for r in part) / 5 for part in (log(first)[:5], log(first)[-5:]))
    more = {"steps": 5, "learning_rate": 1e-6, "seed": 9, "text_width": 24, "vocabulary": 600}
    out = workshop.train(workshop.action(inputs={"init": first / "model"}, **more))
    assert sum(record["train/mse"] for record in log(out)) / 5 < (early + late) / 2
    for part in ("tokenizer/tokenizer.json", "scheduler/scheduler_config.json"):
        assert (out / "model" / part).read_bytes() == (first / "model" / part).read_bytes()
    assert workshop.notes["taken_over"]["denoiser"].endswith(" tensors")
    with pytest.raises(UsageError, match="init has 2 attention heads, not 4"):
        workshop.train(workshop.action(inputs={"init": first / "model"}, steps=1, heads=4))
    with pytest.raises(UsageError, match=r"no config\.json"):
        workshop.train(workshop.action(inputs={"init": first / "model"}, steps=1, **INL))
    with pytest.raises(UsageError, match="init knows no label"):
        workshop.train(workshop.action(inputs={"init": first / "model"}, steps=1, **LABELS))


def test_text_encoder_of_another_pipeline_stays_as_it_is(workshop: Workshop) -> None:
    first = workshop.train(workshop.action(steps=2, save_dtype="fp32"))
    out = workshop.train(workshop.action(inputs={"text": first / "model"}, steps=3, save_dtype="fp32", **INL))
    for part in ("text_encoder/model.safetensors", "text_encoder/config.json", "tokenizer/tokenizer.json"):
        assert (out / "model" / part).read_bytes() == (first / "model" / part).read_bytes()
    with pytest.raises(UsageError, match="reads no labels"):
        workshop.train(workshop.action(inputs={"text": first / "model"}, steps=1, **LABELS))


# What cannot be


def test_sizes_that_the_latents_do_not_allow_are_an_error_before_the_device(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPRITEBUILD_DEVICE", "none")
    odd = dataset(workshop.folder / "odd", *(example(index, side=24) for index in range(4)))
    with pytest.raises(UsageError, match="24x24, which does not fit an autoencoder of factor 2 before") as caught:
        workshop.train(workshop.action(inputs=odd, steps=1, architecture="inl-dit", patch=8))
    assert "16 pixels" in str(caught.value)
    with pytest.raises(UsageError, match="before a UNet of 4 levels"):
        workshop.train(workshop.action(inputs=odd, steps=1, channels=(8, 8, 8, 8)))


def test_autoencoder_without_alpha_is_refused(workshop: Workshop) -> None:
    out = workshop.train(workshop.action(steps=1))
    path = out / "model" / "vae" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), "in_channels": 3}), "utf-8")
    with pytest.raises(UsageError, match="knows no alpha"):
        workshop.train(workshop.action(inputs={"vae": out / "model"}, steps=1))


@pytest.mark.parametrize(
    ("params", "fault"),
    [
        ({"heads": 3}, "8 channels cannot be divided among 3 heads"),
        ({"text_heads": 3}, "a text_width of 16 cannot be divided among 3 heads"),
        ({"labels": ["class", "class"]}, "a label is named twice"),
    ],
)
def test_params_that_do_not_agree_are_refused(params: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValidationError, match=fault):
        TrainDiffusionParams(**{**SMALL, "steps": 1, **params})


def test_new_text_encoder_must_be_trained(workshop: Workshop) -> None:
    with pytest.raises(UsageError, match="a text encoder that is new must be trained"):
        workshop.train(workshop.action(steps=1, train_text_encoder=False))
