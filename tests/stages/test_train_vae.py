"""Training an autoencoder on a dozen small blocks: what it learns, what is stored, and that a kill changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("diffusers")

import torch
from diffusers import AutoencoderKL
from training_runs import Workshop, block, blocks, cpu, dataset, everything, example, killed, log
from transformers import ResNetConfig, ResNetModel, ViTConfig, ViTModel

from spritebuild.errors import PolicyError, UsageError
from spritebuild_stages import train_vae
from spritebuild_stages.datasets import artifact
from spritebuild_stages.images import batches, png
from spritebuild_stages.train_vae import TrainVae
from spritebuild_stages.training import vae_losses
from spritebuild_stages.training.vae_params import TrainVaeParams

pytestmark = pytest.mark.diffusion
__all__ = ["cpu"]  # a fixture that every test uses

SMALL: dict[str, Any] = {"channels": (8, 16), "latent_channels": 4, "batch": 4, "log_every": 1}


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(TrainVae(), tmp_path, blocks(tmp_path / "data"), SMALL)


def test_loss_falls_and_the_latents_deviation_is_stored(workshop: Workshop) -> None:
    out = workshop.train(workshop.action(steps=40, learning_rate=5e-3))
    losses = [record["train/loss"] for record in log(out)]
    assert sum(losses[-5:]) < 0.6 * sum(losses[:5])
    vae = AutoencoderKL.from_pretrained(out / "vae")
    examples = artifact.read(**workshop.inputs).examples[:12]
    with torch.no_grad():
        latents = vae.encode(batches.batch([one.pixels for one in examples], "cpu")).latent_dist.mean
    # M004-07: a noise schedule is made for latents of deviation 1
    assert latents.double().std().item() * vae.config.scaling_factor == pytest.approx(1, rel=1e-4)
    assert (vae.config.in_channels, vae.config.out_channels, vae.config.sample_size) == (4, 4, 16)
    assert workshop.notes["measured_on"] == "held out"
    assert 0.5 < workshop.notes["alpha"] <= 1
    assert png.read(out / "samples.png").shape[2] == 4
    assert workshop.notes["warnings"] == []


def test_losses_are_logged_apart(workshop: Workshop) -> None:
    loss = {"kl": 0.5, "direction": 2.0, "mean": 0.0}
    (record,) = log(workshop.train(workshop.action(steps=1, loss=loss)))
    assert {name for name in record if "/" in name} == {
        f"train/{name}" for name in ("loss", "l1", "l2", "edges", "mean", "kl", "direction", "lr", "grad_norm")
    }
    expected = record["train/l1"] + 0.5 * record["train/l2"] + 0.5 * record["train/edges"]
    expected += 0.5 * record["train/kl"] + 2 * record["train/direction"]
    assert record["train/loss"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("precision", "kills"),
    [
        ("fp32", [(0, "before"), (1, "after"), (3, "saving"), (4, "after"), (6, "before")]),
        ("bf16", [(0, "after"), (2, "saving"), (3, "before"), (5, "after"), (6, "done")]),
    ],
)
def test_killed_training_ends_in_the_same_bytes(
    workshop: Workshop, precision: str, kills: list[tuple[int, str]]
) -> None:
    params = {"steps": 7, "precision": precision, "accumulation": 2, "ema": 0.9, "freeze_encoder_at": 0.6}
    params |= {"loss": {"direction": 0.5}, "gradient_checkpointing": precision == "bf16"}
    whole = everything(workshop.train(workshop.action(**params)))
    kept = workshop.folder / "kept"
    for step, when in kills:
        interrupted = workshop.action(kept, **params)
        killed(lambda action=interrupted: workshop.train(action), step=step, when=when)
    workshop.said.clear()
    assert everything(workshop.train(workshop.action(kept, **params))) == whole
    assert workshop.said[0].startswith("resumed after step")


def test_encoder_stays_what_it_was_when_it_was_frozen(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    frozen: dict[str, torch.Tensor] = {}
    freeze = train_vae._freeze

    def freezing(training: Any, now: bool) -> None:
        freeze(training, now)
        if now:
            frozen.update({name: value.detach().clone() for name, value in training.parameters.items()})

    monkeypatch.setattr(train_vae, "_freeze", freezing)
    out = workshop.train(workshop.action(steps=6, ema=0.9, freeze_encoder_at=0.5))
    after = AutoencoderKL.from_pretrained(out / "vae").state_dict()
    same = {name for name, value in after.items() if torch.equal(value, frozen[name])}
    encoder = {name for name in after if name.startswith(("encoder.", "quant_conv."))}
    assert encoder <= same
    assert not {name for name in same if name.startswith("decoder.conv_out")}


def test_held_out_pictures_are_not_learned_from(workshop: Workshop) -> None:
    other = [example(index) if index < 12 else example(index, held_out=True, pixels=block(5)) for index in range(14)]
    first = workshop.train(workshop.action(steps=2))
    second = workshop.train(workshop.action(inputs=dataset(workshop.folder / "other", *other), steps=2))
    assert everything(first / "vae") == everything(second / "vae")
    assert (first / "samples.png").read_bytes() != (second / "samples.png").read_bytes()


def test_pictures_of_several_sizes_are_learned_from(workshop: Workshop) -> None:
    mixed = dataset(workshop.folder / "mixed", *(example(index, side=16 if index % 2 else 24) for index in range(8)))
    workshop.train(workshop.action(inputs=mixed, steps=2, attention=True))
    assert workshop.notes["pictures"] == 8


def test_result_has_safetensors_and_no_pickle(workshop: Workshop) -> None:
    out = workshop.train(workshop.action(steps=1))
    names = {path.name for path in (out / "vae").iterdir()}
    assert names == {"config.json", "diffusion_pytorch_model.safetensors"}  # M004-09


CHANGES: dict[str, Any] = {
    "seed": 1,
    "steps": 3,
    "batch": 3,
    "accumulation": 2,
    "learning_rate": 1e-2,
    "schedule": "linear",
    "warmup": 1,
    "betas": (0.5, 0.6),
    "weight_decay": 0.9,
    "max_grad_norm": 1e-3,
    "ema": 0.5,
    "precision": "bf16",
    "log_every": 2,
    "latent_channels": 5,
    "channels": (8, 12),
    "layers": 2,
    "attention": True,
    "loss": {"l1": 2.0},
    "freeze_encoder_at": 0.5,
    "direction_label": "class",
    "direction_margin": 9.0,
}
UNSEEN = {"epochs", "optimizer", "gradient_checkpointing"}  # another length, packages that may be missing, equal bytes


def test_every_param_does_something(workshop: Workshop) -> None:
    assert CHANGES.keys() | UNSEEN == TrainVaeParams.model_fields.keys()
    base: dict[str, Any] = {"steps": 4, "loss": {"direction": 1.0}, "batch": 8}
    made = {"nothing": everything(workshop.train(workshop.action(**base)))}
    for name, value in CHANGES.items():
        changed = {**base["loss"], **value} if name == "loss" else value
        made[name] = everything(workshop.train(workshop.action(**{**base, name: changed})))
        assert made[name] != made["nothing"], name


# Beginning with other weights


def test_training_goes_on_from_an_autoencoder_or_a_pipeline_that_has_one(workshop: Workshop) -> None:
    first = workshop.train(workshop.action(steps=20, learning_rate=5e-3))
    last = log(first)[-1]["train/loss"]
    for init in (first / "vae", first):
        out = workshop.train(workshop.action(inputs={"init": init}, steps=1, learning_rate=1e-6))
        assert log(out)[0]["train/loss"] < 1.5 * last
        assert workshop.notes["taken_over"] == "104 of 104 tensors"
    wider = workshop.action(inputs={"init": first / "vae"}, steps=1, latent_channels=6)
    workshop.train(wider)
    taken, _, total = workshop.notes["taken_over"].split()[:3]
    assert 90 < int(taken) < int(total)


def test_init_that_is_no_autoencoder_or_has_pickles_is_refused(workshop: Workshop) -> None:
    first = workshop.train(workshop.action(steps=1)) / "vae"
    (first / "diffusion_pytorch_model.bin").write_bytes(b"pickle")
    with pytest.raises(PolicyError, match="a pickle among the weights"):
        workshop.train(workshop.action(inputs={"init": first}, steps=1))
    (workshop.folder / "empty").mkdir()
    with pytest.raises(UsageError, match=r"no config\.json"):
        workshop.train(workshop.action(inputs={"init": workshop.folder / "empty"}, steps=1))


# What cannot be


def test_sizes_that_the_levels_do_not_divide_are_an_error_that_says_which_do(workshop: Workshop) -> None:
    odd = dataset(workshop.folder / "odd", *(example(index, side=18) for index in range(4)))
    with pytest.raises(UsageError) as caught:
        workshop.train(workshop.action(inputs=odd, steps=1, channels=(8, 8, 8)))
    assert "0.png is 18x18, which does not fit an autoencoder of 3 levels" in str(caught.value)
    assert "4 pixels" in str(caught.value)
    assert "20x20" in str(caught.value)


def test_pictures_too_small_for_the_factor_are_warned_of(workshop: Workshop) -> None:
    """M004-05: small pictures for an autoencoder that is made for large ones."""
    workshop.train(workshop.action(steps=1, channels=(8, 8, 8)))
    (warning,) = workshop.notes["warnings"]
    assert "14 of 14 pictures are small for a factor of 4" in warning
    assert "a grid of 4x4" in warning


def test_losses_without_what_they_need_are_refused_before_the_device(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPRITEBUILD_DEVICE", "none")
    with pytest.raises(UsageError, match="perceptual and the image model"):
        workshop.train(workshop.action(steps=1, loss={"perceptual": 1.0}))
    with pytest.raises(UsageError, match="label 'facing', and there are none"):
        workshop.train(workshop.action(steps=1, loss={"direction": 1.0}, direction_label="facing"))
    nothing = dataset(workshop.folder / "nothing", example(0, held_out=True))
    with pytest.raises(UsageError, match="no picture to learn from"):
        workshop.train(workshop.action(inputs=nothing, steps=1))


# Losses


def test_perceptual_loss_is_learned_from_and_its_model_is_not(workshop: Workshop) -> None:
    features = workshop.folder / "features"
    torch.manual_seed(1)
    model = ResNetModel(ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic"))
    model.save_pretrained(features)
    before = everything(features)
    action = workshop.action(inputs={"features": features}, steps=8, learning_rate=5e-3, loss={"perceptual": 1.0})
    losses = [record["train/perceptual"] for record in log(workshop.train(action))]
    assert 0 < losses[-1] < losses[0]
    assert everything(features) == before
    loss = vae_losses.perceptual(features, (16, 16), "cpu")
    picture = batches.batch([block(0), block(1)], "cpu")
    assert float(loss(picture, picture)) == 0
    vit = ViTModel(ViTConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, image_size=32, patch_size=8))
    vit.save_pretrained(workshop.folder / "vit")
    with pytest.raises(UsageError, match="no features of pictures of 16x16"):
        vae_losses.perceptual(workshop.folder / "vit", (16, 16), "cpu")
    (features / "modeling.py").write_text("")
    with pytest.raises(PolicyError, match="code in a model folder"):
        vae_losses.perceptual(features, (16, 16), "cpu")


def test_batches_and_pixels_are_inverse_where_colors_are_visible() -> None:
    pictures = [block(index) for index in range(4)]
    back = batches.pixels(batches.batch(pictures, "cpu"))
    for one, other in zip(back, pictures, strict=True):
        assert np.array_equal(one[..., 3], other[..., 3])
        assert np.array_equal(one[other[..., 3] > 0], other[other[..., 3] > 0])
