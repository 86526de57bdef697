"""Training a LoRA: the same bytes after a kill, every setting at work, and files that mean the same to every reader."""

from __future__ import annotations

import json
import math
import shutil
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("diffusers")
pytest.importorskip("peft")

import tiny_models
import torch
from safetensors.torch import load_file, save_file
from training_runs import block, blocks, dataset, everything, example, killed

from spritebuild.errors import SpritebuildError, UsageError
from spritebuild.stage import BoundAction, Context
from spritebuild_stages.dataset import Dataset, DatasetInputs, DatasetOutputs
from spritebuild_stages.datasets.params import DatasetParams
from spritebuild_stages.diffusion.adapters import Lora
from spritebuild_stages.diffusion.lora_files import read_metadata
from spritebuild_stages.diffusion.pipeline import Item, Settings, TextToImage
from spritebuild_stages.images import png
from spritebuild_stages.train_lora import TrainLora, TrainLoraInputs, TrainLoraOutputs
from spritebuild_stages.training import loop
from spritebuild_stages.training.lora_params import TrainLoraParams

pytestmark = pytest.mark.diffusion

MINI = tiny_models.MODEL
BASE = {"steps": 3, "batch": 2, "rank": 2, "alpha": 2.0, "learning_rate": 1e-2, "targets": "all", "save_dtype": "fp32"}
SETTINGS = Settings("ddim", 2, 2.0, (16, 16))


@pytest.fixture(autouse=True)
def _cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPRITEBUILD_DEVICE", "cpu")


@pytest.fixture(scope="module")
def sdxl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.sdxl(tmp_path_factory.mktemp("sdxl"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    return blocks(tmp_path_factory.mktemp("blocks"))


def train(model: Path, data: Mapping[str, Path], folder: Path, kept: Path | None = None, **said: Any) -> Path:
    """Train; returns the folder of the outputs."""
    folder.mkdir(parents=True, exist_ok=True)
    outputs = {name: folder / str(info.default) for name, info in TrainLoraOutputs.model_fields.items()}
    action = BoundAction(
        TrainLoraParams(**{**BASE, **said}),
        TrainLoraInputs(model=model, **data),
        TrainLoraOutputs(**outputs),
        kept,
    )
    TrainLora().run(action, Context(folder.parent / "memory"))
    return folder


def weights(folder: Path) -> Mapping[str, bytes]:
    """The tensors of the LoRA in a folder of outputs, without what its metadata says of the training."""
    return {name: tensor.numpy().tobytes() for name, tensor in load_file(folder / "lora.safetensors").items()}


def drawn(model: TextToImage, *loras: Path) -> np.ndarray[Any, Any]:
    model.use_loras([Lora(f"lora{number}", path, 1.0) for number, path in enumerate(loras)])
    (picture,) = model.draw([Item("a red block", "", 5)], SETTINGS)
    model.use_loras([])
    return picture.pixels


# The same bytes


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_training_killed_at_five_steps_and_resumed_gives_the_same_bytes(
    sdxl: Path, data: Mapping[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: str
) -> None:
    monkeypatch.setattr(loop, "SAVE_SECONDS", 0.0)
    monkeypatch.setattr(loop, "SAVE_SHARE", 0)
    said = {
        "steps": 11,
        "accumulation": 2,
        "ema": 0.9,
        "dropout": 0.2,
        "caption_dropout": 0.3,
        "flip": True,
        "noise_offset": 0.1,
        "tag_shuffle": True,
        "precision": precision,
        "warmup": 2,
        "schedule": "cosine",
        "sample_prompts": ({"prompt": "a red block"},),
        "sample_every": 4,
        "sample_steps": 2,
        "log_every": 2,
    }
    whole = everything(train(sdxl, data, tmp_path / "whole", **said))
    resumed = partial(train, sdxl, data, tmp_path / "resumed", tmp_path / "kept", **said)
    for step, when in ((0, "before"), (2, "after"), (4, "saving"), (7, "after"), (10, "before")):
        killed(resumed, step=step, when=when)
    assert everything(resumed()) == whole


def test_two_trainings_give_the_same_bytes_and_another_seed_others(
    sdxl: Path, data: Mapping[str, Path], tmp_path: Path
) -> None:
    first, second = (everything(train(sdxl, data, tmp_path / name)) for name in ("first", "second"))
    assert first == second
    assert weights(train(sdxl, data, tmp_path / "third", seed=1)) != weights(tmp_path / "first")


# Every setting is at work

CHANGES: Mapping[str, Any] = {
    "rank": 3,
    "alpha": 4.0,
    "rslora": True,
    "dora": True,
    "dropout": 0.5,
    "targets": "attention",
    "text_encoder": True,
    "learning_rate": 1e-3,
    "schedule": "linear",
    "warmup": 2,
    "steps": 4,
    "batch": 3,
    "accumulation": 2,
    "weight_decay": 0.9,
    "max_grad_norm": 1e-9,
    "min_snr_gamma": 1.0,
    "noise_offset": 0.5,
    "caption_dropout": 0.9,
    "flip": True,
    "precision": "bf16",
    "ema": 0.9,
    "seed": 3,
    "betas": (0.1, 0.2),
    "background": "#000000",
}


@pytest.fixture(scope="module")
def plain(sdxl: Path, data: Mapping[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, bytes]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPRITEBUILD_DEVICE", "cpu")
        return weights(train(sdxl, data, tmp_path_factory.mktemp("plain") / "out"))


@pytest.mark.parametrize("name", CHANGES)
def test_every_setting_changes_the_lora(
    sdxl: Path, data: Mapping[str, Path], plain: Mapping[str, bytes], tmp_path: Path, name: str
) -> None:
    """M001-13: what is declared is at work."""
    assert weights(train(sdxl, data, tmp_path / "out", **{name: CHANGES[name]})) != plain


def test_gradient_checkpointing_changes_nothing(
    sdxl: Path, data: Mapping[str, Path], plain: Mapping[str, bytes], tmp_path: Path
) -> None:
    assert weights(train(sdxl, data, tmp_path / "out", gradient_checkpointing=True)) == plain


def test_shuffled_tags_stay_behind_those_that_are_kept(sdxl: Path, tmp_path: Path) -> None:
    from spritebuild_stages.training.tuning import Tuned, order_of

    tagged = example(0, captions=("glow, one, two, three, four",))
    params = TrainLoraParams(**{**BASE, "tag_shuffle": True, "keep_tags": 1})
    tuned = Tuned(sdxl, [tagged], params, order_of([tagged], params), Context(tmp_path))
    said = [tuned._caption(0, (0, number, 0)) for number in range(12)]
    assert len(set(said)) > 6
    assert all(caption.startswith("glow, ") for caption in said)
    assert {frozenset(caption.split(", ")) for caption in said} == {frozenset(["glow", "one", "two", "three", "four"])}


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_min_snr_is_that_of_the_prediction(sdxl: Path, tmp_path: Path, prediction: str) -> None:
    from spritebuild_stages.training.tuning import Tuned, order_of

    one = example(0)
    params = TrainLoraParams(**{**BASE, "min_snr_gamma": 5.0})
    tuned = Tuned(sdxl, [one], params, order_of([one], params), Context(tmp_path))
    tuned.prediction = prediction
    times = torch.tensor([0, 300, 999])
    alphas = [tuned.schedule.alphas_cumprod[time].item() for time in times]
    snr = [alpha / (1 - alpha) for alpha in alphas]
    parts = [value + 1 if prediction == "v_prediction" else value for value in snr]
    wanted = [min(value, 5.0) / part for value, part in zip(snr, parts, strict=True)]
    assert tuned._weights(times).tolist() == pytest.approx(wanted, rel=1e-4)


def test_pictures_are_encoded_in_full_precision_whatever_the_training_is_in(
    sdxl: Path, data: Mapping[str, Path], tmp_path: Path
) -> None:
    """M001-14: the autoencoder of SDXL gives no number in fp16."""
    from spritebuild_stages.training.tuning import Tuned, order_of

    one = example(0)
    latents = {}
    for precision in ("fp32", "bf16"):
        params = TrainLoraParams(**{**BASE, "precision": precision})
        tuned = Tuned(sdxl, [one], params, order_of([one], params), Context(tmp_path))
        latents[precision] = tuned._latents[0][0]
    assert latents["bf16"].dtype == torch.float32
    assert torch.allclose(latents["fp32"], latents["bf16"], atol=2e-2)


# What comes out


@pytest.mark.parametrize(
    "said", [{"alpha": 7.0}, {"rslora": True}, {"dora": True, "alpha": 4.0}, {"text_encoder": True, "dropout": 0.5}]
)
@pytest.mark.parametrize("base", ["mini", "sdxl"])
def test_both_forms_load_back_to_the_same_picture(
    sdxl: Path, data: Mapping[str, Path], tmp_path: Path, base: str, said: dict[str, Any]
) -> None:
    folder = {"mini": MINI, "sdxl": sdxl}[base]
    pictures = data if base == "sdxl" else dataset(tmp_path / "data", *(example(index, 16) for index in range(4)))
    out = train(folder, pictures, tmp_path / "out", **{**said, "learning_rate": 0.05})
    model = TextToImage(folder, "fp32", 1)
    plain, kohya, peft = drawn(model), drawn(model, out / "lora.safetensors"), drawn(model, out / "peft.safetensors")
    assert np.abs(kohya - plain).max() > 1e-3
    assert np.abs(kohya - peft).max() < 1e-5
    assert np.array_equal(drawn(model), plain)


@pytest.mark.parametrize(("rslora", "scale"), [(False, 6 / 4), (True, 6 / math.sqrt(4))])
def test_what_is_added_is_alpha_over_rank_times_the_product(
    sdxl: Path, data: Mapping[str, Path], tmp_path: Path, rslora: bool, scale: float
) -> None:
    """M000-01."""
    out = train(sdxl, data, tmp_path / "out", rank=4, alpha=6.0, rslora=rslora, targets=("to_q",))
    weights = load_file(out / "lora.safetensors")
    name = next(key for key in weights if key.endswith("to_q.lora_down.weight")).removesuffix(".lora_down.weight")
    down, up = weights[f"{name}.lora_down.weight"], weights[f"{name}.lora_up.weight"]
    assert weights[f"{name}.alpha"].item() / down.shape[0] == pytest.approx(scale)
    model = TextToImage(sdxl, "fp32", 1)
    module = {key.replace(".", "_"): value for key, value in model.pipe.unet.named_modules()}[
        name.removeprefix("lora_unet_")
    ]
    matrix = module.weight.detach().clone()
    model.use_loras([Lora("x", out / "lora.safetensors", 0.5)])
    changed = {key.replace(".", "_"): value for key, value in model.pipe.unet.named_modules()}[
        name.removeprefix("lora_unet_")
    ]
    given = torch.randn(3, matrix.shape[1])
    expected = given @ (matrix + 0.5 * scale * up @ down).T
    assert torch.allclose(changed(given), expected, atol=1e-5)


def test_the_fused_product_is_what_peft_computes() -> None:
    import peft
    from torch import nn

    from spritebuild_stages.training.tuning import NAME, fuse

    torch.manual_seed(0)
    config = peft.LoraConfig(r=4, lora_alpha=7, target_modules=["0", "1"], init_lora_weights=False)
    module = peft.inject_adapter_in_model(config, nn.Sequential(nn.Linear(6, 10), nn.Linear(10, 5)), NAME)
    x = torch.randn(2, 3, 6)

    def computed() -> list[torch.Tensor]:
        found = module(x)
        found.square().sum().backward()
        values = [found.detach(), *(p.grad for p in module.parameters() if p.requires_grad and p.grad is not None)]
        module.zero_grad()
        return values

    plain = computed()
    fuse(module)
    fused = computed()
    assert len(fused) == len(plain) == 5
    for one, other in zip(plain, fused, strict=True):
        torch.testing.assert_close(one, other)


def test_the_metadata_names_base_and_strength_and_no_clock(sdxl: Path, tmp_path: Path) -> None:
    pictures = dataset(tmp_path / "data", *(example(index) for index in range(4)))
    out = train(sdxl, pictures, tmp_path / "out", rank=4, alpha=6.0)
    said = read_metadata(out / "lora.safetensors")
    assert list(said) == sorted(said)
    assert said["ss_network_dim"] == "4"
    assert said["ss_network_alpha"] == "6"
    assert said["modelspec.architecture"] == "stable-diffusion-xl-v1-base/lora"
    assert not any("date" in key or "time" in key or "started" in key for key in said)
    packed = json.loads(read_metadata(out / "peft.safetensors")["lora_adapter_metadata"])
    assert packed["unet.lora_alpha"] == 6.0
    assert packed["unet.r"] == 4
    summary = json.loads((out / "summary.json").read_text())
    assert (summary["steps"], summary["examples"]) == (3, 4)


def test_the_log_has_the_names_of_the_field(sdxl: Path, data: Mapping[str, Path], tmp_path: Path) -> None:
    lines = (train(sdxl, data, tmp_path / "out", log_every=1) / "log.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    assert [record["step"] for record in records] == [1, 2, 3]
    assert all({"train/loss", "train/lr", "train/grad_norm"} <= record.keys() for record in records)


# What is refused, before the device is asked for anything


@pytest.mark.parametrize(
    ("examples", "message"),
    [
        ((example(0, 24), example(1, 24)), "is 24x24: its latents would be 12x12, not a multiple of 8"),
        ((example(0, captions=()),), "has no caption"),
        ((example(0, held_out=True),), "no picture to train on"),
    ],
)
def test_a_dataset_that_the_model_cannot_learn_is_refused(
    sdxl: Path, tmp_path: Path, examples: tuple[Any, ...], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """M003-06."""
    config = sdxl / "unet" / "config.json"
    large = tmp_path / "model"
    shutil.copytree(sdxl, large)
    wide = {**json.loads(config.read_text()), "block_out_channels": [32, 64, 64, 64]}
    (large / "unet" / "config.json").write_text(json.dumps(wide))
    monkeypatch.setitem(sys.modules, "spritebuild_stages.training.tuning", None)  # importing it would fail
    with pytest.raises(SpritebuildError, match=message):
        train(large, dataset(tmp_path / "data", *examples), tmp_path / "out")


def test_a_lora_for_another_base_is_refused_before_the_model_is_loaded(
    sdxl: Path, data: Mapping[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from spritebuild_stages.diffusion import pipeline
    from spritebuild_stages.generate import Generate, GenerateInputs, GenerateOutputs, GenerateParams

    lora = train(sdxl, data, tmp_path / "out") / "lora.safetensors"
    bare = tmp_path / "bare.safetensors"
    save_file(load_file(lora), bare)  # without the metadata, the shapes tell
    monkeypatch.setattr(pipeline, "_load", None)
    for path, told in ((lora, "stable-diffusion-xl-v1-base"), (bare, "text of 64 numbers")):
        params = GenerateParams.model_validate({"prompt": "a block", "seed": 1, "loras": [{"name": "other"}]})
        inputs = GenerateInputs(model=MINI, loras={"other": path})
        action = BoundAction(params, inputs, GenerateOutputs(image=tmp_path / "image.png"))
        with pytest.raises(UsageError, match="it was trained for another base") as caught:
            list(Generate().run_batch([action], Context(tmp_path)))
        assert told in str(caught.value)


def test_keys_that_do_not_match_are_refused_before_the_model_is_loaded(
    data: Mapping[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from spritebuild_stages._weights import inspect_folder
    from spritebuild_stages.diffusion import pipeline
    from spritebuild_stages.diffusion.adapters import check
    from spritebuild_stages.generate import Generate, GenerateInputs, GenerateOutputs, GenerateParams

    out = train(MINI, data, tmp_path / "out")
    monkeypatch.setattr(pipeline, "_load", None)
    for name, old, new in (("lora", "down_blocks_0", "down_blocks_7"), ("peft", "to_q", "to_query")):
        right = out / f"{name}.safetensors"
        check(inspect_folder(MINI), [Lora(name, right, 1.0)])
        wrong = tmp_path / f"{name}.safetensors"
        save_file({key.replace(old, new): tensor for key, tensor in load_file(right).items()}, wrong)
        params = GenerateParams.model_validate({"prompt": "a block", "seed": 1, "loras": [{"name": name}]})
        inputs = GenerateInputs(model=MINI, loras={name: wrong})
        action = BoundAction(params, inputs, GenerateOutputs(image=tmp_path / "image.png"))
        with pytest.raises(UsageError, match=r"of its \d+ tensors have no place") as caught:
            list(Generate().run_batch([action], Context(tmp_path)))
        assert new in str(caught.value)


def test_nothing_is_told_by_the_environment(
    sdxl: Path, data: Mapping[str, Path], plain: Mapping[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """M004-08."""
    for name in ("GRADIENT_ACCUMULATION", "SAVE_EVERY", "LOG_INTERVAL", "IMAGE_SIZE", "WARMUP_STEPS"):
        monkeypatch.setenv(name, "2")
    assert weights(train(sdxl, data, tmp_path / "out")) == plain


def test_model_with_blocks_removed_learns_with_a_seed_and_captions_from_txt(tmp_path: Path) -> None:
    """M000-10: what a model is made of is read from its configuration."""
    from diffusers import UNet2DConditionModel

    model = tmp_path / "model"
    shutil.copytree(MINI, model)
    config = UNet2DConditionModel.load_config(model / "unet")
    torch.manual_seed(0)
    UNet2DConditionModel.from_config({**config, "mid_block_type": None}).save_pretrained(model / "unet")
    pictures = tmp_path / "art"
    pictures.mkdir()
    for index in range(4):
        png.write(pictures / f"{index}.png", block(index))
        (pictures / f"{index}.txt").write_text("a block")
    paths = {name: tmp_path / str(info.default) for name, info in DatasetOutputs.model_fields.items()}
    made = BoundAction(DatasetParams(min_images=1), DatasetInputs(source=pictures), DatasetOutputs(**paths))
    Dataset().run(made, Context(tmp_path))
    given = {name: paths[name] for name in ("images", "manifest")}
    first, second = (everything(train(model, given, tmp_path / name)) for name in ("first", "second"))
    assert first == second


def test_targets_that_are_nowhere_are_refused(sdxl: Path, data: Mapping[str, Path], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no module of the model is a target: nowhere"):
        train(sdxl, data, tmp_path / "out", targets=("nowhere",))
