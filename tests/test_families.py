"""Families of models and LoRAs, the catalogue, and what is refused before anything runs."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest
from projects import Project

from spritebuild.licences import expressions
from spritebuild.pinned import catalogue, families, pins

KOHYA = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k.lora_down.weight"
PEFT = "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.lora_A.weight"
OLD = "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn2.processor.to_k_lora.down.weight"


def shaped(**shapes: list[int]) -> bytes:
    """A safetensors file of zeros."""
    header, end = {}, 0
    for name, shape in shapes.items():
        size = shape[0] * shape[1] * 2
        header[name] = {"dtype": "F16", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(end)


def lora(width: int, name: str = KOHYA) -> bytes:
    return shaped(**{name: [4, width], "lora_unet_x_attn1_to_k.lora_down.weight": [4, 320]})


@pytest.mark.parametrize("name", [KOHYA, PEFT, OLD])
@pytest.mark.parametrize(("width", "family"), [(768, "sd15"), (1024, "sd2"), (2048, "sdxl"), (160, "width-160")])
def test_family_of_a_lora_is_the_width_of_its_cross_attention(
    tmp_path: Path, name: str, width: int, family: str
) -> None:
    (tmp_path / "l.safetensors").write_bytes(lora(width, name))
    assert families.of_path(tmp_path / "l.safetensors") == family


def test_lora_of_text_encoders_alone_tells_what_it_can(tmp_path: Path) -> None:
    file = tmp_path / "l.safetensors"
    file.write_bytes(shaped(lora_te_text_model_q_proj=[4, 768]))
    assert families.of_path(file) is None
    file.write_bytes(shaped(lora_te2_text_model_q_proj=[4, 1280]))
    assert families.of_path(file) == "sdxl"


@pytest.mark.parametrize(
    ("path", "config", "family"),
    [
        ("unet", {"cross_attention_dim": 768}, "sd15"),
        ("unet", {"cross_attention_dim": [2048, 2048]}, "sdxl"),
        ("unet", {"cross_attention_dim": [768, 2048]}, None),
        ("unet", {"cross_attention_dim": True}, None),
        ("unet", {"cross_attention_dim": 96}, "width-96"),
        ("unet", [], None),
        ("transformer", {"_class_name": "SD3Transformer2DModel"}, "sd3"),
        ("transformer", {"_class_name": "Other"}, None),
    ],
)
def test_family_of_a_model_is_in_its_configuration(tmp_path: Path, path: str, config: Any, family: str | None) -> None:
    (tmp_path / path).mkdir()
    (tmp_path / path / "config.json").write_text(json.dumps(config))
    assert families.of_path(tmp_path) == family


@pytest.mark.parametrize(
    ("model", "adapter", "clash"),
    [
        ("sd15", "sd15", False),
        ("sd15", "sdxl", True),
        ("sd15", "width-160", True),
        ("width-96", "width-160", True),
        ("width-160", "width-160", False),
        (None, "sdxl", False),
        ("sd15", None, False),
        ("sd3", "width-160", False),
    ],
)
def test_families_clash_where_both_are_known(model: str | None, adapter: str | None, clash: bool) -> None:
    assert families.clash(model, adapter) is clash


def mixed(project: Project, model_width: int | None, lora_width: int) -> Project:
    config = {} if model_width is None else {"cross_attention_dim": model_width}
    project.file("weights/unet/config.json", json.dumps(config))
    project.file("loras/xl.safetensors", lora(lora_width))
    project.edit("loras", {"xl": {"path": "loras/xl.safetensors"}})
    return project.edit("sprites.potion.loras", ["xl"])


def test_sdxl_lora_on_sd15_is_refused_before_anything_runs(pressed: Project) -> None:
    result = mixed(pressed, 768, 2048).cli("build")
    assert result.returncode == 2
    said = "lora xl is for sdxl (by its weights), model mine is sd15 (by its weights)"
    assert said in result.stderr
    assert "spritefile.toml:" in result.stderr
    assert pressed.assets() == {}
    assert not (pressed.root / ".spritebuild/blobs").exists() or pressed.blobs() == {}
    assert said in pressed.cli("plan").stderr  # known from the pins alone from now on


def test_lora_of_the_same_family_is_built_with(pressed: Project) -> None:
    assert mixed(pressed, 768, 768).build().ran == ["sprites.potion:press"]
    assert pins.read(pressed.root / "lockfiles/loras/xl.dvc").family == "sd15"


def test_declared_family_counts_where_weights_tell_none(pressed: Project) -> None:
    mixed(pressed, None, 2048).edit("models.mine.family", "sd15")
    result = pressed.cli("build")
    assert result.returncode == 2
    assert "model mine is sd15 (as it is declared)" in result.stderr


def test_declared_family_that_the_weights_refute_is_refused(pressed: Project) -> None:
    pressed.file("weights/unet/config.json", '{"cross_attention_dim": 768}')
    result = pressed.edit("models.mine.family", "sdxl").cli("lock")
    assert result.returncode == 2
    assert "models.mine is declared as sdxl, but its weights are sd15" in result.stderr


def test_catalogue_counts_where_nothing_else_tells(pressed: Project) -> None:
    mixed(pressed, None, 2048).edit("models.mine.known", "tiny-sd")
    result = pressed.cli("build")
    assert result.returncode == 2
    assert "model mine is sd15 (as it is known)" in result.stderr


# The catalogue


def test_catalogue_states_facts_of_known_kinds_alone() -> None:
    keys = {"kind", "title", "source", "family", "native", "parameters_m", "size_mb", "dtype", "licence", "note"}
    keys |= {"triggers", "requires_postprocess", "single_file", "quantization", "licence_stated"}
    for name, entry in catalogue.entries().items():
        assert set(entry) <= keys, name
        assert entry["kind"] in ("image", "lora", "control", "motion", "llm"), name
        assert entry.get("family") in (None, *families.FAMILIES), name
        assert ("licence" in entry) != ("licence_stated" in entry), name
        if "licence" in entry:
            assert expressions.expression(entry["licence"], None) != "unknown", name


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("https://huggingface.co/segmind/tiny-sd", "tiny-sd"),
        ("https://huggingface.co/Segmind/Tiny-SD.git", "tiny-sd"),
        ("https://huggingface.co/segmind/tiny-sd/resolve/main", "tiny-sd"),
        ("https://huggingface.co/nerijs/pixel-art-xl/resolve/main/pixel-art-xl.safetensors", "pixel-art-xl"),
        ("https://huggingface.co/segmind/tiny-sd-2", None),
        ("https://example.com/segmind/tiny-sd", None),
        ("/srv/tiny-sd", None),
        ("https://[", None),
    ],
)
def test_source_is_recognized_by_its_address(address: str, name: str | None) -> None:
    found = catalogue.find(None, address)
    assert found is (catalogue.entries()[name] if name else None)


def test_licence_that_is_not_declared_is_the_known_one(pressed: Project) -> None:
    said = pressed.edit("models.mine", {"path": "weights", "known": "tiny-sd"}).cli("lock").stderr
    assert said.endswith("licence CreativeML-OpenRAIL-M, made for pictures of 512x512\n")
    assert pins.read(pressed.root / "lockfiles/models/mine.dvc").licence == "CreativeML-OpenRAIL-M"
    pressed.edit("models.mine.licence", "MIT").cli("lock", "--update", "models.mine")
    assert pins.read(pressed.root / "lockfiles/models/mine.dvc").licence == "MIT"


# The command


def test_models_are_listed_with_what_is_known(pressed: Project) -> None:
    pressed.edit("models.mine", {"path": "weights", "known": "tiny-sd"})
    row = json.loads(pressed.cli("models", "list", "--json").stdout)[0]
    assert (row["name"], row["sha256"], row["here"], row["native"]) == ("models.mine", None, False, [512, 512])
    pressed.cli("lock")
    row = json.loads(pressed.cli("models", "list", "--json").stdout)[0]
    pin = pins.read(pressed.root / "lockfiles/models/mine.dvc")
    assert (row["sha256"], row["size"], row["here"], row["family"]) == (pin.digest, pin.size, True, "sd15")
    assert "licence CreativeML-OpenRAIL-M  here  path:weights" in pressed.cli("models", "list").stdout


def test_model_is_shown_with_every_file(pressed: Project) -> None:
    pressed.cli("lock")
    row = json.loads(pressed.cli("models", "show", "models.mine", "--json").stdout)
    pin = pins.read(pressed.root / "lockfiles/models/mine.dvc")
    assert [(f["path"], f["size"], f["sha256"]) for f in row["files"]] == list(pin.files)
    assert pin.files[0][2] in pressed.cli("models", "show", "models.mine").stdout
    result = pressed.cli("models", "show", "models.nine")
    assert result.returncode == 2


def test_known_model_is_shown_with_what_is_unknown(pressed: Project) -> None:
    said = pressed.cli("models", "show", "small-sd").stdout
    assert "licence       unknown" in said
    row = json.loads(pressed.cli("models", "show", "tiny-sd", "--json").stdout)
    assert (row["native"], row["family"], row["triggers"]) == ([512, 512], "sd15", "unknown")


def test_catalogue_is_listed_by_kind(pressed: Project) -> None:
    rows = json.loads(pressed.cli("models", "list", "--kind", "llm", "--json").stdout)
    assert {row["name"] for row in rows} == {n for n, e in catalogue.entries().items() if e["kind"] == "llm"}
    assert "pixel-art-xl" in pressed.cli("models", "list", "--known").stdout
    assert pressed.cli("models", "list", "--kind", "x").returncode == 2


def test_models_are_verified_whatever_was_remembered(pressed: Project) -> None:
    pressed.cli("lock")
    assert pressed.cli("models", "verify").stdout.endswith("verified\n")
    pressed.file("weights/unet/config.json", "[]")
    result = pressed.cli("models", "verify", "--json")
    assert result.returncode == 4
    assert json.loads(result.stdout[: result.stdout.index("]") + 1])[0]["verdict"] == "damaged"
    assert pressed.cli("models", "update", "models.*").returncode == 0
    assert pressed.cli("models", "verify", "models.mine").returncode == 0
    assert pressed.cli("models", "update", "models.x").returncode == 2
