"""The caption stage, with a model of the BLIP architecture that has random weights and a ten-thousandth of its size."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch
import transformers

from spritebuild.errors import PolicyError, UsageError
from spritebuild.stage import BoundAction, Context, Stages
from spritebuild_stages.caption import Caption
from spritebuild_stages.datasets import captioning
from spritebuild_stages.datasets.blip import on_white
from spritebuild_stages.images import png

pytestmark = pytest.mark.diffusion

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = [*SPECIAL, "a", "red", "blue", "green", "knight", "potion", "sword", "of", "with", "pixel", "sprite"]
END = WORDS.index("[SEP]")


@pytest.fixture(autouse=True)
def _cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPRITEBUILD_DEVICE", "cpu")


@pytest.fixture(scope="module")
def blip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as `save_pretrained` leaves it."""
    folder = tmp_path_factory.mktemp("model") / "tiny-blip"
    torch.manual_seed(3)
    small = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = {**small, "vocab_size": len(WORDS), "encoder_hidden_size": 16, "projection_dim": 16}
    ends = {"bos_token_id": WORDS.index("[CLS]"), "eos_token_id": 2, "sep_token_id": END, "pad_token_id": 0}
    config = transformers.BlipConfig(
        text_config={**text, **ends, "max_position_embeddings": 64, "initializer_range": 1.0},
        vision_config={**small, "image_size": 64, "patch_size": 16, "initializer_range": 1.0},
        projection_dim=16,
    )
    transformers.BlipForConditionalGeneration(config).save_pretrained(folder)
    transformers.BlipImageProcessorPil(size={"height": 64, "width": 64}).save_pretrained(folder)
    transformers.BertTokenizer(vocab={word: place for place, word in enumerate(WORDS)}).save_pretrained(folder)
    return folder


def picture(number: int, width: int = 16, height: int = 16) -> NDArray[np.uint8]:
    rgba = np.random.default_rng(number).integers(0, 256, (height, width, 4), np.uint8)
    rgba[..., 3] = 255 * (rgba[..., 3] > 100)
    return rgba


def files(folder: Path, *numbers: int) -> dict[str, Path]:
    for number in numbers:
        png.write(folder / f"{number}.png", picture(number))
    return {f"item/{number}.png": folder / f"{number}.png" for number in numbers}


def caption(folder: Path, model: Path, given: dict[str, Path], **told: Any) -> tuple[dict[str, str], dict[str, Any]]:
    outputs = Caption.Outputs(captions=folder / "captions.json")
    action = BoundAction(Caption.Params(**told), Caption.Inputs(model=model, files=given), outputs)
    notes = Caption().run(action, Context(memory=folder, threads=1))
    return json.loads(outputs.captions.read_bytes()), dict(notes or {})


def test_the_stage_is_found_by_its_kind() -> None:
    stage = Stages()["caption"]
    assert (stage.kind, stage.version, stage.device) == ("caption", 1, "accelerator")
    assert Caption().platform(Context(Path()))["device"] == "cpu"


def test_importing_the_stage_imports_no_torch() -> None:
    code = "import spritebuild_stages.caption, sys; print({'torch', 'numpy', 'PIL', 'transformers'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "set()\n"


def test_every_picture_gets_a_caption_and_other_files_none(
    blip: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    captions, notes = caption(tmp_path, blip, {**files(tmp_path, 1, 2), "item/1.txt": tmp_path / "1.txt"})
    assert list(captions) == ["item/1.png", "item/2.png"]
    assert all(set(said.split()) <= set(WORDS) for said in captions.values())
    assert notes == {"device": "cpu", "captions": 2, "warnings": []}
    assert capfd.readouterr() == ("", "")  # the libraries are silent


def test_caption_depends_on_its_picture_alone(blip: Path, tmp_path: Path) -> None:
    numbers = range(8)
    together, _ = caption(tmp_path, blip, files(tmp_path, *numbers))
    alone, _ = caption(tmp_path, blip, files(tmp_path, 5))
    assert alone["item/5.png"] == together["item/5.png"]
    backwards = dict(reversed(files(tmp_path, *numbers).items()))
    assert caption(tmp_path, blip, backwards)[0] == together
    assert len(set(together.values())) > 1


def test_caption_begins_with_the_prefix_and_is_no_longer_than_told(blip: Path, tmp_path: Path) -> None:
    captions, _ = caption(tmp_path, blip, files(tmp_path, 1), prefix="a pixel sprite of", max_tokens=3)
    said = captions["item/1.png"]
    assert said.startswith("a pixel sprite of")
    assert 4 <= len(said.split()) <= 7
    longer, _ = caption(tmp_path, blip, files(tmp_path, 1), prefix="a pixel sprite of", max_tokens=12)
    assert longer["item/1.png"].startswith(said)


def test_the_dataset_stage_reads_them_as_corrections(blip: Path, tmp_path: Path) -> None:
    captions, _ = caption(tmp_path, blip, files(tmp_path, 1, 2))
    assert captioning.corrections(tmp_path / "captions.json") == {name: (said,) for name, said in captions.items()}


def test_silent_model_leaves_the_picture_out_and_a_warning(blip: Path, tmp_path: Path) -> None:
    model = Path(shutil.copytree(blip, tmp_path / "model"))
    silent = transformers.BlipForConditionalGeneration.from_pretrained(model)
    head = silent.text_decoder.cls.predictions
    head.bias.data[END] = 1e4
    silent.save_pretrained(model)
    captions, notes = caption(tmp_path, model, files(tmp_path, 1))
    assert captions == {}
    assert notes["warnings"] == ["the model says nothing of 1 picture, such as item/1.png"]


def test_pictures_are_seen_in_whole_pixels_on_a_white_square() -> None:
    rgba = np.zeros((2, 4, 4), np.uint8)
    rgba[0, 0] = (200, 0, 0, 255)
    seen = np.asarray(on_white(rgba, 10))
    assert seen.shape == (8, 8, 3)
    assert (seen[2:4, :2] == (200, 0, 0)).all()
    assert (seen == 255).all(axis=2).sum() == 64 - 4
    assert on_white(np.zeros((30, 20, 4), np.uint8), 10).size == (30, 30)


@pytest.mark.parametrize("dtype", ["bf16", "fp16"])
def test_smaller_numbers_work_too(blip: Path, tmp_path: Path, dtype: str) -> None:
    assert caption(tmp_path, blip, files(tmp_path, 1), dtype=dtype)[0]


def test_what_is_no_model_of_the_family_is_refused(blip: Path, tmp_path: Path) -> None:
    given = files(tmp_path, 1)
    with pytest.raises(UsageError, match=r"no config\.json"):
        caption(tmp_path, tmp_path, given)
    model = Path(shutil.copytree(blip, tmp_path / "model"))
    config = model / "config.json"
    config.write_text(config.read_text().replace("BlipForConditionalGeneration", "GitForCausalLM"))
    with pytest.raises(UsageError, match="GitForCausalLM, not BlipForConditionalGeneration"):
        caption(tmp_path, model, given)


def test_pickle_and_code_in_the_folder_are_refused(blip: Path, tmp_path: Path) -> None:
    for name in ("pytorch_model.bin", "modeling.py"):
        model = Path(shutil.copytree(blip, tmp_path / name))
        (model / name).write_bytes(b"")
        with pytest.raises(PolicyError):
            caption(tmp_path, model, files(tmp_path, 1))


@pytest.mark.parametrize(("gone", "message"), [("*token*", "has no tokenizer"), ("*processor*", "cannot be loaded")])
def test_incomplete_folder_says_what_is_missing(blip: Path, tmp_path: Path, gone: str, message: str) -> None:
    model = Path(shutil.copytree(blip, tmp_path / "model"))
    for path in model.glob(gone):
        path.unlink()
    with pytest.raises(UsageError, match=message) as caught:
        caption(tmp_path, model, files(tmp_path, 1))
    assert (
        caught.value.hint
        == "pin the whole folder: preprocessor_config.json and the tokenizer's files belong to the model"
    )


def test_no_picture_and_damaged_pictures_are_refused_before_the_model_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(UsageError, match="1 picture cannot be read"):
        caption(tmp_path, tmp_path, {"a.png": tmp_path / "a.png"})
    with pytest.raises(UsageError, match="no picture to caption"):
        caption(tmp_path, tmp_path, {"a.txt": tmp_path / "a.png"})


@pytest.mark.parametrize("told", [{"max_tokens": 0}, {"max_tokens": 201}, {"dtype": "int8"}, {"beams": 4}])
def test_params_out_of_bounds_are_refused(told: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Caption.Params(**told)
