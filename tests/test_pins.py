"""Pins: what may be pinned, what a pin promises, and what happens when bytes or pins are tampered with."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from projects import Project, safetensors

from spritebuild import digest
from spritebuild.errors import IntegrityError, LockError, PolicyError
from spritebuild.pinned import pins
from spritebuild.pinned.pins import Pin

PIN = "lockfiles/models/mine.dvc"
WEIGHTS = "weights/unet/model.safetensors"


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A folder that may be pinned."""
    folder = tmp_path / "weights"
    (folder / "unet").mkdir(parents=True)
    (folder / "unet/model.safetensors").write_bytes(safetensors())
    (folder / "unet/config.json").write_text('{"sample_size": 32}')
    (folder / "LICENSE").write_text("CC0")
    return folder


def pinned(path: Path) -> Pin:
    return pins.of_path(path, "models.mine", "path:weights", "CC0-1.0", digest.Files({}))


def verify(pin: Pin, path: Path) -> None:
    pins.verify(pin, path, digest.Files({}))


# What a pin says


def test_pin_lists_every_file_with_size_and_sha256(weights: Path) -> None:
    pin = pinned(weights)
    assert pin.files == tuple(
        (name, (weights / name).stat().st_size, digest.of_file(weights / name))
        for name in ("LICENSE", "unet/config.json", "unet/model.safetensors")
    )
    assert pin.size == sum(size for _, size, _ in pin.files)


def test_pin_of_a_file_has_the_digest_of_its_bytes(weights: Path) -> None:
    file = weights / "unet/model.safetensors"
    assert pinned(file).digest == digest.of_file(file)


def test_digest_of_a_folder_depends_on_names_and_bytes_alone(weights: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(weights, tmp_path / "elsewhere/copy")
    os.utime(copy / "LICENSE", (0, 0))
    assert pinned(copy).digest == pinned(weights).digest
    (copy / "LICENSE").rename(copy / "LICENCE")
    assert pinned(copy).digest != pinned(weights).digest


def test_hidden_files_are_not_part_of_a_pin(weights: Path) -> None:
    before = pinned(weights)
    (weights / ".git").mkdir()
    (weights / ".git/config.py").write_text("x")
    (weights / ".DS_Store").write_text("x")
    assert pinned(weights) == before
    verify(before, weights)


def test_pin_is_read_as_it_was_written(weights: Path, tmp_path: Path) -> None:
    for pin in (pinned(weights), pinned(weights / "unet/model.safetensors")):
        pins.write(tmp_path / "pin.dvc", pin, {"frozen": True})
        assert pins.read(tmp_path / "pin.dvc") == pin


@pytest.mark.parametrize("text", ["", "outs: []\n", "meta: [", "meta:\n  spritebuild:\n    name: x\n", "\x00"])
def test_damaged_pin_is_a_lock_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "pin.dvc").write_text(text)
    with pytest.raises(LockError, match="not a pin") as caught:
        pins.read(tmp_path / "pin.dvc")
    assert caught.value.hint == "restore it with git, or `spritebuild lock --update`"


# Tampering


def test_changed_weight_is_an_integrity_error(weights: Path) -> None:
    pin = pinned(weights)
    file = weights / "unet/model.safetensors"
    old = digest.of_file(file)
    file.write_bytes(safetensors(b"tampered"))
    with pytest.raises(IntegrityError) as caught:
        verify(pin, weights)
    assert caught.value.exit_code == 4
    assert caught.value.message == "models.mine: unet/model.safetensors is not what was pinned"
    size = file.stat().st_size
    assert caught.value.facts == (
        ("pinned", f"sha256 {old}, {size} bytes"),
        ("found", f"sha256 {digest.of_file(file)}, {size} bytes"),
    )


def test_missing_weight_is_an_integrity_error(weights: Path) -> None:
    pin = pinned(weights)
    (weights / "unet/config.json").unlink()
    with pytest.raises(IntegrityError, match=r"unet/config\.json is missing"):
        verify(pin, weights)


def test_added_file_is_an_integrity_error(weights: Path) -> None:
    pin = pinned(weights)
    (weights / "more.json").write_text("{}")
    with pytest.raises(IntegrityError, match=r"more\.json is not part of the pin"):
        verify(pin, weights)


def test_tampered_weight_stops_the_build_before_a_stage_reads_it(pressed: Project) -> None:
    pressed.build()
    pressed.file(WEIGHTS, safetensors(b"tampered"))
    assert pressed.build().ran == []  # nothing reads it
    before = pressed.assets(), pressed.lock_text()
    pressed.edit("sprites.potion.prompt", "blue potion")
    result = pressed.cli("build")
    assert result.returncode == 4
    assert "models.mine: unet/model.safetensors is not what was pinned" in result.stderr
    assert (pressed.assets(), pressed.lock_text()) == before


def test_edited_pin_is_an_integrity_error(pressed: Project) -> None:
    pressed.build()
    pin = pressed.root / PIN
    tampered = safetensors(b"tampered")
    pressed.file(WEIGHTS, tampered)
    old = digest.of_bytes(safetensors())
    pin.write_text(pin.read_text().replace(old, digest.of_bytes(tampered)))
    result = pressed.cli("build")
    assert result.returncode == 4
    assert "the pin was edited: its sha256 does not cover its files" in result.stderr


def test_pin_of_another_source_is_made_again(pressed: Project) -> None:
    pressed.build()
    shutil.copytree(pressed.root / "weights", pressed.root / "other")
    pressed.file("other/unet/config.json", "[]")
    pressed.edit("models.mine.path", "other")
    assert pressed.build().ran == ["sprites.potion:press"]
    assert pins.read(pressed.root / PIN).source == "path:other"


def test_pin_of_another_source_is_an_error_where_the_lock_must_be_true(pressed: Project) -> None:
    pressed.build()
    shutil.copytree(pressed.root / "weights", pressed.root / "other")
    before = (pressed.root / PIN).read_bytes()
    pressed.edit("models.mine.path", "other")
    result = pressed.cli("build", "--locked")
    assert result.returncode == 3
    assert "models.mine is not pinned" in result.stderr
    assert (pressed.root / PIN).read_bytes() == before


def test_lock_keeps_a_pin_until_it_is_told_to_update_it(pressed: Project) -> None:
    first = pressed.cli("lock").stderr
    old = pins.read(pressed.root / PIN)
    assert first == f"models.mine  {old.digest[:12]}  0.0 MB, licence CC0-1.0\n"
    pressed.file(WEIGHTS, safetensors(b"improved"))
    assert pressed.cli("lock").stderr == first
    assert pins.read(pressed.root / PIN) == old
    assert pressed.cli("lock", "--update", "models.*").stderr.endswith(f"was {old.digest[:12]}\n")
    new = pins.read(pressed.root / PIN)
    assert new.digest != old.digest
    assert pressed.cli("lock", "--update", "models.mine").stderr.endswith("unchanged\n")
    assert pressed.cli("fetch").stderr == f"models.mine  {new.digest[:12]}  verified in {pressed.root}/weights\n"


def test_builtin_model_is_pinned_with_its_licence(project: Project) -> None:
    project.write({"project": {"name": "x"}, "models": {"mini": {"builtin": "sprite-mini"}}})
    assert project.cli("lock").returncode == 0
    pin = pins.read(project.root / "lockfiles/models/mini.dvc")
    assert (pin.name, pin.source) == ("models.mini", "builtin:sprite-mini")
    assert pin.licence
    result = project.cli("fetch", "models.mini")
    assert result.returncode == 0
    assert f"models.mini  {pin.digest[:12]}  verified in " in result.stderr


def test_unknown_builtin_model_is_refused_with_those_there_are(project: Project) -> None:
    project.write({"project": {"name": "x"}, "models": {"mini": {"builtin": "sprite-maxi"}}})
    result = project.cli("lock")
    assert result.returncode == 2
    assert "built-in models: sprite-mini" in result.stderr
    assert not (project.root / "lockfiles").exists()


# What is refused


def refusal(path: Path) -> PolicyError:
    with pytest.raises(PolicyError) as caught:
        pinned(path)
    assert caught.value.exit_code == 4
    return caught.value


@pytest.mark.parametrize("suffix", [".bin", ".pt", ".PTH", ".ckpt", ".pkl", ".pickle", ".joblib", ".msgpack", ".h5"])
def test_pickles_are_refused(weights: Path, suffix: str) -> None:
    (weights / f"unet/model{suffix}").write_bytes(b"x")
    error = refusal(weights)
    assert error.message == "pickled weights can run code when loaded and are refused"
    assert error.where == str(weights / f"unet/model{suffix}")


@pytest.mark.parametrize("suffix", [".py", ".pyc", ".so", ".dll", ".dylib"])
def test_code_is_refused(weights: Path, suffix: str) -> None:
    (weights / f"pipeline{suffix}").write_bytes(b"x")
    assert refusal(weights).message == "code in a weight folder is refused"


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_pickle_under_another_name_is_refused(weights: Path, protocol: int) -> None:
    (weights / "unet/model.safetensors").write_bytes(pickle.dumps({"weight": list(range(100))}, protocol))
    assert refusal(weights).message == "not a safetensors file: it is a pickle under another name"


def test_zip_under_another_name_is_refused(weights: Path) -> None:
    (weights / "unet/model.safetensors").write_bytes(b"PK\x03\x04" + bytes(100))
    assert "a pickle under another name" in refusal(weights).message


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "shorter than its header"),
        (b"1234567", "shorter than its header"),
        (struct.pack("<Q", 2**63), f"a header of {2**63} bytes"),
        (struct.pack("<Q", 100) + b"{}", "a header of 100 bytes"),
        (struct.pack("<Q", 2) + b"[]", "its header is not a table of at most 50,000 tensors"),
        (struct.pack("<Q", 2) + b"{!", "its header is not JSON"),
        (safetensors(b"12345678")[:-1], "tensor weight lies outside the file"),
        (struct.pack("<Q", 8) + b'{"a": 1}', "tensor a lies outside the file"),
    ],
)
def test_bad_safetensors_are_refused(weights: Path, content: bytes, why: str) -> None:
    (weights / "unet/model.safetensors").write_bytes(content)
    assert refusal(weights).message == f"not a safetensors file: {why}"


@given(st.binary(max_size=200))
def test_any_bytes_are_either_safetensors_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "any.safetensors"
    file.write_bytes(content)
    with pytest.raises(PolicyError):
        pins.inspect(file)


def test_auto_map_is_refused(weights: Path) -> None:
    config = {"auto_map": {"AutoModel": "modeling.Model"}}
    (weights / "unet/config.json").write_text(json.dumps(config))
    assert refusal(weights).message == "`auto_map` asks for code from elsewhere to be run and is refused"


@pytest.mark.parametrize("text", ["{", "", "[" * 100_000, "\ud800".encode("utf-8", "surrogatepass").decode("latin-1")])
def test_broken_json_is_refused(weights: Path, text: str) -> None:
    (weights / "unet/config.json").write_text(text)
    assert refusal(weights).message == "not JSON"


def test_link_that_leaves_the_folder_is_refused(weights: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.json").write_text("{}")
    (weights / "unet/more.json").symlink_to(tmp_path / "secret.json")
    assert refusal(weights).message == "a link leaves the weight folder"


def test_linked_folder_that_leaves_is_refused(weights: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (weights / "vae").symlink_to(tmp_path / "elsewhere")
    assert refusal(weights).message == "a link leaves the weight folder"


def test_link_within_the_folder_is_followed(weights: Path) -> None:
    (weights / "unet/more.json").symlink_to("config.json")
    assert "unet/more.json" in {name for name, _, _ in pinned(weights).files}


def test_refused_weights_are_neither_pinned_nor_built_with(pressed: Project) -> None:
    pressed.file("weights/unet/model.bin", b"x")
    result = pressed.cli("build")
    assert result.returncode == 4
    assert "pickled weights can run code when loaded and are refused" in result.stderr
    assert not (pressed.root / PIN).exists()
    assert pressed.assets() == {}


def test_lora_in_the_project_is_pinned_and_part_of_the_key(pressed: Project) -> None:
    pressed.file("loras/glow.safetensors", safetensors(b"glow"))
    pressed.edit("loras", {"glow": {"path": "loras/glow.safetensors", "triggers": ["glowing"]}})
    pressed.edit("sprites.potion.loras", ["glow"]).build()
    action = pressed.graph().actions["sprites.potion:press"]
    assert action.params["prompt"] == "glowing, red potion"
    assert dict(action.inputs)["loras.glow"].digest == digest.of_bytes(safetensors(b"glow"))
    assert pins.read(pressed.root / "lockfiles/loras/glow.dvc").folder is False
    pressed.file("loras/glow.safetensors", safetensors(b"glum"))
    assert pressed.cli("lock", "--update", "loras.glow").returncode == 0
    assert pressed.reasons() == {"sprites.potion:press": "loras.glow changed"}
