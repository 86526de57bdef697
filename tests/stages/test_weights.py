"""What a model folder or weight file is refused for, before any library sees it. Needs no torch."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import spritebuild_stages
from spritebuild.errors import PolicyError, UsageError
from spritebuild_stages._weights import identity, inspect_folder, inspect_weights, read_header

MODEL = Path(spritebuild_stages.__file__).parent / "models" / "sprite-mini"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(MODEL, tmp_path / "model"))


def test_sprite_mini_is_accepted_and_its_fingerprint_is_of_shapes_not_weights(folder: Path) -> None:
    expected = inspect_folder(MODEL)
    assert (expected.pipeline, expected.variant) == ("StableDiffusionPipeline", None)
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert inspect_folder(folder).fingerprint == expected.fingerprint
    config = folder / "unet" / "config.json"
    config.write_text(config.read_text().replace('"norm_eps": 1e-05', '"norm_eps": 1e-06'))
    assert inspect_folder(folder).fingerprint != expected.fingerprint


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("pipeline.py", "code in a model folder"),
        ("unet/model.py", "code in a model folder"),
        ("unet/diffusion_pytorch_model.bin", "a pickle among the weights"),
        ("text_encoder/pytorch_model.bin", "a pickle among the weights"),
        ("vae/model.ckpt", "a pickle among the weights"),
        ("tokenizer/vocab.pkl", "a pickle among the weights"),
    ],
)
def test_code_and_pickles_are_refused(folder: Path, name: str, message: str) -> None:
    (folder / name).write_bytes(b"\x80\x04cos\nsystem\n")
    with pytest.raises(PolicyError, match=message) as caught:
        inspect_folder(folder)
    assert caught.value.exit_code == 4
    assert caught.value.where == str(folder / name)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("text_encoder/config.json", {"auto_map": {"AutoModel": "model.Mine"}}, "auto_map asks for code"),
        ("tokenizer/tokenizer_config.json", {"a": [{"auto_map": {}}]}, "auto_map asks for code"),
        ("model_index.json", {"auto_map": {}}, "auto_map asks for code"),
        ("text_encoder/config.json", {"_attn_implementation": "someone/kernel"}, "asks for code"),
        ("model_index.json", {"unet": ["mine", "UNet"]}, "component unet is of mine"),
        ("model_index.json", {"unet": ["os", "system"]}, "component unet is of os"),
        ("model_index.json", {"unet": []}, "component unet is of"),
        ("model_index.json", {"_class_name": ["pipeline", "Mine"]}, "of no class of diffusers"),
        ("model_index.json", {"pad": "x" * (1 << 20)}, "more than 1 MiB"),
        ("unet/model.safetensors.index.json", {"weight_map": {"a": "../other.safetensors"}}, "not a safetensors file"),
        ("unet/model.safetensors.index.json", {"weight_map": {"a": "model.bin"}}, "not a safetensors file"),
    ],
)
def test_configuration_that_reaches_for_code_is_refused(
    folder: Path, name: str, change: dict[str, Any], message: str
) -> None:
    path = folder / name
    value = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({**value, **change}))
    with pytest.raises(PolicyError, match=message):
        inspect_folder(folder)


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff", b"[" * 100_000])
def test_configuration_that_is_no_object_is_refused(folder: Path, content: bytes) -> None:
    (folder / "vae" / "config.json").write_bytes(content)
    with pytest.raises(PolicyError, match=r"not (JSON|a JSON object)"):
        inspect_folder(folder)


def test_linked_folder_is_refused_and_a_linked_file_is_not(folder: Path, tmp_path: Path) -> None:
    weights = folder / "vae" / "diffusion_pytorch_model.safetensors"
    weights.rename(tmp_path / "blob")
    weights.symlink_to(tmp_path / "blob")
    assert inspect_folder(folder).fingerprint == inspect_folder(MODEL).fingerprint
    (folder / "more").symlink_to(tmp_path)
    with pytest.raises(PolicyError, match="a link to a folder"):
        inspect_folder(folder)


def test_folder_without_a_model_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no model_index\.json"):
        inspect_folder(tmp_path)


def header(value: object, data: bytes = b"") -> bytes:
    encoded = value if isinstance(value, bytes) else json.dumps(value).encode()
    return len(encoded).to_bytes(8, "little") + encoded + data


def tensor(**change: Any) -> dict[str, Any]:
    return {"x": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4], **change}}


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "claims"),
        (b"1234567", "claims"),
        ((1 << 62).to_bytes(8, "little") + b"{}", "claims"),
        ((10_000_001).to_bytes(8, "little") + b" " * 10_000_001, "claims"),
        (header(b"\xff\xfe"), "not JSON"),
        (header(b"[" * 100_000), "not JSON"),
        (header([]), "not a JSON object"),
        (header({"x": 1}), "tensor 'x' is not within the file"),
        (header(tensor(dtype=3), bytes(4)), "tensor 'x' is not within the file"),
        (header(tensor(shape=[-1]), bytes(4)), "tensor 'x' is not within the file"),
        (header(tensor(shape=[True]), bytes(4)), "tensor 'x' is not within the file"),
        (header(tensor(data_offsets=[0, 5]), bytes(4)), "tensor 'x' is not within the file"),
        (header(tensor(data_offsets=[4, 0]), bytes(4)), "tensor 'x' is not within the file"),
        (header(tensor(data_offsets=[-4, 0]), bytes(4)), "tensor 'x' is not within the file"),
        (header(tensor(data_offsets=[0]), bytes(4)), "tensor 'x' is not within the file"),
        (header({str(n): {} for n in range(50_001)}), "50001 tensors"),
    ],
)
def test_unsound_safetensors_are_refused(folder: Path, content: bytes, why: str) -> None:
    (folder / "unet" / "diffusion_pytorch_model.safetensors").write_bytes(content)
    with pytest.raises(PolicyError, match=why) as caught:
        inspect_folder(folder)
    assert caught.value.message.startswith("not a sound safetensors file: ")


def test_sound_safetensors_are_read_without_their_metadata(tmp_path: Path) -> None:
    path, other = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    path.write_bytes(header({**tensor(), "__metadata__": {"by": "me"}}, bytes(4)))
    other.write_bytes(header(tensor(), b"abcd"))
    assert read_header(path) == tensor()
    assert inspect_weights(path) == inspect_weights(other)


def test_weights_of_another_suffix_are_refused_unread(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="only safetensors are loaded"):
        inspect_weights(tmp_path / "style.pt")


def test_identity_is_that_of_the_bytes_and_follows_links(folder: Path, tmp_path: Path) -> None:
    weights = folder / "vae" / "diffusion_pytorch_model.safetensors"
    before = identity(folder)
    weights.rename(tmp_path / "blob")
    weights.symlink_to(tmp_path / "blob")
    assert identity(folder) == before
    content = weights.read_bytes()
    weights.unlink()
    weights.write_bytes(content)
    assert identity(folder) != before
