"""Too little memory: the ladder ends in the same bytes on every rung, or in an error that says what to declare."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("diffusers")

import spritebuild_stages
from spritebuild.errors import MachineError
from spritebuild.stage import BoundAction, Context
from spritebuild_stages.diffusion import memory
from spritebuild_stages.diffusion.pipeline import Item, Settings, TextToImage
from spritebuild_stages.diffusion.probe import slots_agree
from spritebuild_stages.generate import Generate, GenerateInputs, GenerateOutputs, GenerateParams, _drawn

pytestmark = pytest.mark.diffusion

MODEL = Path(spritebuild_stages.__file__).parent / "models" / "sprite-mini"
SETTINGS = Settings("ddim", 3, 2.5, (32, 32))
ITEMS = [Item("red potion", "", 1), Item("a sword", "blurry", 2)]
LADDER = ("resident", "released", "model offload", "leaf offload")


@pytest.fixture(scope="module", autouse=True)
def _cpu() -> Iterator[None]:
    before = os.environ.get("SPRITEBUILD_DEVICE")
    os.environ["SPRITEBUILD_DEVICE"] = "cpu"
    yield
    os.environ.pop("SPRITEBUILD_DEVICE")
    if before is not None:
        os.environ["SPRITEBUILD_DEVICE"] = before


@pytest.fixture
def model() -> TextToImage:
    return TextToImage(MODEL, "fp32", 1)


@pytest.fixture(scope="module")
def expected() -> list[bytes]:
    return bits(TextToImage(MODEL, "fp32", 1))


def bits(model: TextToImage) -> list[bytes]:
    return [drawn.pixels.tobytes() for drawn in model.draw(ITEMS, SETTINGS)]


@contextmanager
def exhausted(model: TextToImage, *calls: int) -> Iterator[None]:
    """The denoiser's calls of these numbers, counted from 1, find no memory."""
    import torch

    count = 0

    def fail(module: Any, inputs: Any) -> None:
        nonlocal count
        count += 1
        if count in calls:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    with model.pipe.unet.register_forward_pre_hook(fail):
        yield


@pytest.mark.parametrize("call", [1, 2, 3])
def test_running_out_of_memory_at_any_call_gives_the_same_bytes(
    model: TextToImage, expected: list[bytes], call: int
) -> None:
    with exhausted(model, call):
        assert bits(model) == expected
    assert model.rung == "released"


def test_every_rung_gives_the_same_bytes(
    model: TextToImage, expected: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "rungs", lambda device: LADDER)
    for rung in LADDER[1:]:
        with exhausted(model, 2):
            assert bits(model) == expected
        assert model.rung == rung
        assert bits(model) == expected  # and stays there


def test_a_model_that_begins_on_a_rung_gives_the_same_bytes(
    expected: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    for free, rung in ((60 << 20, "model offload"), (1 << 20, "leaf offload")):
        monkeypatch.setattr(memory, "free", lambda torch, device, free=free: free)
        model = TextToImage(MODEL, "fp32", 1)
        assert model.rung == rung
        assert bits(model) == expected


def test_at_the_foot_of_the_ladder_the_error_names_what_may_be_declared(model: TextToImage) -> None:
    with exhausted(model, 1, 2), pytest.raises(MachineError, match="out of memory") as caught:
        bits(model)
    assert 'memory = "sliced"' in str(caught.value)
    assert bits(model)  # and the model is still good


def test_other_errors_of_a_device_are_not_tried_again(model: TextToImage) -> None:
    def fail(module: Any, inputs: Any) -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    with model.pipe.unet.register_forward_pre_hook(fail), pytest.raises(RuntimeError, match="illegal"):
        bits(model)
    assert model.rung == "resident"


def test_the_trace_says_on_which_rung_an_image_was_made(tmp_path: Path) -> None:
    stage = Generate()

    def made(*calls: int) -> tuple[bytes, Any]:
        action = BoundAction(
            GenerateParams(prompt="red potion", seed=1, steps=2, batch=1),
            GenerateInputs(model=MODEL),
            GenerateOutputs(image=tmp_path / "image.png"),
        )
        if stage._loaded is None:
            ((_, notes),) = stage.run_batch([action], Context(tmp_path))
        else:
            with exhausted(stage._loaded[1], *calls):
                ((_, notes),) = stage.run_batch([action], Context(tmp_path))
        return action.outputs.image.read_bytes(), (notes or {}).get("memory")

    first, rung = made()
    assert rung is None
    assert made(1) == (first, "released")


def test_what_changes_pixels_is_part_of_the_key() -> None:
    said = [
        GenerateParams(prompt="x", seed=0, **more).model_dump(mode="json", exclude_defaults=True)
        for more in ({}, {"memory": "sliced"}, {"memory": "tiled"}, {"kernels": "channels-last"})
    ]
    assert [list(one) for one in said] == [["prompt", "seed"]] + [["prompt", "seed", key] for key in KEYED]
    assert len({str(one) for one in said}) == 4


KEYED = ("memory", "memory", "kernels")


@pytest.mark.parametrize(("pieces", "kernels"), [("tiled", "plain"), ("full", "channels-last")])
def test_what_is_computed_otherwise_is_still_the_same_in_every_slot(pieces: memory.Memory, kernels: Any) -> None:
    model = TextToImage(MODEL, "fp32", 1, pieces, kernels)
    assert slots_agree(lambda items: model.draw(items, SETTINGS), 2)


def test_weights_are_counted_in_the_type_that_they_are_loaded_in(model: TextToImage) -> None:
    parts = {"unet": model.pipe.unet, "vae": model.pipe.vae, "text_encoder": model.pipe.text_encoder}
    loaded = {name: sum(4 * p.numel() for p in part.parameters()) for name, part in parts.items()}
    counted = memory.weights(MODEL, 4)
    assert counted.keys() == loaded.keys()
    for name, size in loaded.items():
        assert counted[name] == pytest.approx(size, rel=0.01)
    assert memory.weights(MODEL, 2)["unet"] * 2 == counted["unet"]


@pytest.mark.parametrize(
    ("free", "rung"),
    [(None, "resident"), (3000, "resident"), (2999, "model offload"), (1500, "model offload"), (1499, "leaf offload")],
)
def test_the_first_rung_is_the_one_whose_weights_leave_room(free: int | None, rung: str) -> None:
    assert memory.first({"unet": 1000, "text_encoder": 700, "vae": 300}, free) == rung


def test_a_batch_that_is_begun_ahead_gives_the_same_images(model: TextToImage) -> None:
    items = [Item(f"potion {n}", "", n) for n in range(5)]
    found = [
        [drawn.pixels.tobytes() for drawn, _ in _drawn(model, items, 2, SETTINGS, ahead=ahead)]
        for ahead in (False, True)
    ]
    assert len(found[0]) == 5
    assert found[0] == found[1]


def test_a_batch_that_is_begun_ahead_fails_where_it_would(model: TextToImage) -> None:
    items = [Item(f"potion {n}", "", n) for n in range(4)]
    with exhausted(model, 4, 5), pytest.raises(MachineError, match="out of memory"):
        images = _drawn(model, items, 2, SETTINGS, ahead=True)
        assert [next(images)[1] > 0, next(images)[1] > 0] == [True, True]
        next(images)


def test_a_profile_tells_loading_encoding_denoising_decoding_and_writing(tmp_path: Path) -> None:
    spent: list[tuple[str, float, float]] = []
    actions = [
        BoundAction(
            GenerateParams(prompt="red potion", seed=seed, steps=2, batch=2),
            GenerateInputs(model=MODEL),
            GenerateOutputs(image=tmp_path / f"{seed}.png"),
        )
        for seed in range(2)
    ]
    context = Context(tmp_path / "memory", spent=lambda *span: spent.append(span))
    stage = Generate()
    list(stage.run_batch(actions, context))
    plain = [action.outputs.image.read_bytes() for action in actions]
    assert {what for what, _, _ in spent} == {"load", "encode", "denoise", "decode", "write"}
    assert all(started <= ended for _, started, ended in spent)
    list(stage.run_batch(actions, Context(tmp_path / "memory")))
    assert [action.outputs.image.read_bytes() for action in actions] == plain  # looking changes nothing
