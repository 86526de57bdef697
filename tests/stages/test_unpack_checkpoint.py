"""Checkpoints: models of one file become the folders that they were written from."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import checkpoints
import pytest
import tiny_models
import torch
from safetensors.torch import load_file, save_file

from spritebuild.errors import PolicyError, SpritebuildError, UsageError
from spritebuild_stages.unpack_checkpoint import UnpackCheckpoint

TO_K = "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.sd15(tmp_path_factory.mktemp("sd15"))


@pytest.fixture(scope="module")
def checkpoint(model: Path) -> Path:
    return checkpoints.of_folder(model, model.with_name("sd15.safetensors"))


def unpacked(checkpoint: Path, config: Path, folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    files = {path.relative_to(config).as_posix(): path for path in config.rglob("*") if path.is_file()}
    inputs = SimpleNamespace(checkpoint=checkpoint, config=files)
    action = SimpleNamespace(inputs=inputs, outputs=SimpleNamespace(model=folder / "model"), params=None)
    UnpackCheckpoint().run(action, SimpleNamespace(threads=1))
    assert [path.name for path in folder.iterdir()] == ["model"]
    return folder / "model"


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_stable_diffusion_is_what_it_was_before_it_was_one_file(model: Path, checkpoint: Path, tmp_path: Path) -> None:
    assert contents(unpacked(checkpoint, model, tmp_path / "out")) == contents(model)


def test_sdxl_is_what_it_was_before_it_was_one_file(tmp_path: Path) -> None:
    model = tiny_models.sdxl(tmp_path / "sdxl", second=48)
    checkpoint = checkpoints.of_folder(model, tmp_path / "sdxl.safetensors")
    assert contents(unpacked(checkpoint, model, tmp_path / "out")) == contents(model)


def test_file_without_a_suffix_is_read_too(model: Path, checkpoint: Path, tmp_path: Path) -> None:
    named = Path(shutil.copy(checkpoint, tmp_path / "1f7a"))
    assert contents(unpacked(named, model, tmp_path / "out")) == contents(model)


def test_numbers_stay_in_the_format_of_the_file(model: Path, checkpoint: Path, tmp_path: Path) -> None:
    half = {name: tensor.bfloat16() for name, tensor in load_file(checkpoint).items()}
    save_file(half, tmp_path / "half.safetensors")
    out = unpacked(tmp_path / "half.safetensors", model, tmp_path / "out")
    found = load_file(out / "unet/diffusion_pytorch_model.safetensors")
    assert torch.equal(found["down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight"], half[TO_K])


@pytest.mark.parametrize(
    "lost",
    [
        "model.diffusion_model.input_blocks.1.0.in_layers.0.weight",
        "first_stage_model.decoder.conv_in.weight",
        "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight",
        "model.",
        "first_stage_model.",
        "cond_stage_model.",
    ],
)
def test_missing_tensors_are_no_random_ones(lost: str, model: Path, checkpoint: Path, tmp_path: Path) -> None:
    rest = {name: tensor for name, tensor in load_file(checkpoint).items() if not name.startswith(lost)}
    save_file(rest, tmp_path / "less.safetensors")
    with pytest.raises(UsageError, match="is not what its configuration says") as caught:
        unpacked(tmp_path / "less.safetensors", model, tmp_path / "out")
    assert "same kind" in str(caught.value)


def test_tensor_of_another_shape_is_named(model: Path, checkpoint: Path, tmp_path: Path) -> None:
    save_file({**load_file(checkpoint), TO_K: torch.zeros(32, 64)}, tmp_path / "other.safetensors")
    with pytest.raises(UsageError, match=r"attn2\.to_k"):
        unpacked(tmp_path / "other.safetensors", model, tmp_path / "out")


def _code(config: Path) -> None:
    (config / "unet/unet.py").write_text("print()")


def _auto_map(config: Path) -> None:
    path = config / "text_encoder/config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "auto_map": {"AutoModel": "x.y"}}))


def _no_index(config: Path) -> None:
    (config / "model_index.json").unlink()


def _of_no_class(config: Path) -> None:
    (config / "model_index.json").write_text('{"_class_name": "os"}')


@pytest.mark.parametrize(
    ("spoil", "kind", "said"),
    [
        (_code, PolicyError, "code"),
        (_auto_map, PolicyError, "auto_map"),
        (_no_index, UsageError, "model_index.json"),
        (_of_no_class, UsageError, "makes no os of one file"),
    ],
)
def test_configuration_runs_nothing_and_names_a_class(
    spoil: Callable[[Path], None],
    kind: type[SpritebuildError],
    said: str,
    model: Path,
    checkpoint: Path,
    tmp_path: Path,
) -> None:
    config = Path(shutil.copytree(model, tmp_path / "config", ignore=shutil.ignore_patterns("*.safetensors")))
    spoil(config)
    with pytest.raises(kind, match=said):
        unpacked(checkpoint, config, tmp_path / "out")
