"""Loading models and LoRAs: what is refused, and what a LoRA leaves behind. One thread, few sampling steps."""

from __future__ import annotations

import functools
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("torch")
pytest.importorskip("diffusers")
pytest.importorskip("transformers")
pytest.importorskip("peft")

import diffusers
import peft
import tiny_models
import torch
import transformers
from safetensors.torch import load_file, save_file

import spritebuild_stages
from spritebuild.errors import PolicyError, StageError, UsageError
from spritebuild.stage import BoundAction, Context
from spritebuild_stages._weights import inspect_folder
from spritebuild_stages.diffusion.adapters import Lora
from spritebuild_stages.diffusion.pipeline import CACHED_PROMPTS, Item, Settings, TextToImage
from spritebuild_stages.diffusion.schedulers import scheduler
from spritebuild_stages.diffusion.seamless import tiled
from spritebuild_stages.generate import Generate, GenerateInputs, GenerateOutputs, GenerateParams
from spritebuild_stages.images import png

pytestmark = pytest.mark.diffusion

MODEL = Path(spritebuild_stages.__file__).parent / "models" / "sprite-mini"
SETTINGS = Settings("ddim", 3, 3.0, (32, 32))
ITEMS = (Item("red potion", "", 1), Item("a sword", "red", 2))


@pytest.fixture(autouse=True)
def _cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPRITEBUILD_DEVICE", "cpu")


@pytest.fixture(scope="module")
def loaded() -> TextToImage:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPRITEBUILD_DEVICE", "cpu")
        return TextToImage(MODEL, "fp32", 1)


@pytest.fixture
def model(loaded: TextToImage) -> TextToImage:
    loaded.use_loras([])
    return loaded


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(MODEL, tmp_path / "model"))


@pytest.fixture(scope="module")
def lora(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Makes a LoRA of random weights for sprite-mini, saved as diffusers' training scripts do."""

    def make(seed: int, *, text: bool = False) -> Path:
        torch.manual_seed(seed)
        pipe = diffusers.StableDiffusionPipeline.from_pretrained(MODEL, use_safetensors=True, local_files_only=True)
        part = pipe.text_encoder if text else pipe.unet
        targets = ["q_proj", "v_proj"] if text else ["to_q", "to_k", "to_v", "to_out.0"]
        part.add_adapter(peft.LoraConfig(r=4, lora_alpha=8, init_lora_weights=False, target_modules=targets))
        layers = diffusers.utils.convert_state_dict_to_diffusers(peft.get_peft_model_state_dict(part))
        target = tmp_path_factory.mktemp("lora")
        name = "text_encoder_lora_layers" if text else "unet_lora_layers"
        diffusers.StableDiffusionPipeline.save_lora_weights(target, **{name: layers})
        (path,) = target.iterdir()
        return path

    return make


@pytest.fixture(scope="module")
def first(lora: Callable[..., Path]) -> Path:
    return lora(1)


@pytest.fixture(scope="module")
def second(lora: Callable[..., Path]) -> Path:
    return lora(2)


def draw(model: TextToImage) -> NDArray[np.float32]:
    return np.stack([drawn.pixels for drawn in model.draw(ITEMS, SETTINGS)])


def test_lora_changes_the_image_and_unloading_it_restores_the_base_bit_by_bit(model: TextToImage, first: Path) -> None:
    """M000-08: and the swap back."""
    base, weights = draw(model), {name: value.clone() for name, value in model.pipe.unet.state_dict().items()}
    model.use_loras([Lora("style", first, 1.0)])
    changed = draw(model)
    assert np.abs(changed - base).max() > 0.05
    model.use_loras([])
    assert draw(model).tobytes() == base.tobytes()
    restored = model.pipe.unet.state_dict()
    assert restored.keys() == weights.keys()
    assert all(torch.equal(restored[name], value) for name, value in weights.items())
    model.use_loras([Lora("style", first, 1.0)])
    assert draw(model).tobytes() == changed.tobytes()


def test_lora_of_the_text_encoder_changes_the_image_and_is_unloaded(
    model: TextToImage, lora: Callable[..., Path]
) -> None:
    base = draw(model)
    model.use_loras([Lora("words", lora(3, text=True), 1.0)])
    assert np.abs(draw(model) - base).max() > 1e-3
    model.use_loras([])
    assert draw(model).tobytes() == base.tobytes()


def test_loras_are_added_in_their_declared_order_with_their_own_weights(
    model: TextToImage, first: Path, second: Path
) -> None:
    def made(*loras: Lora) -> bytes:
        model.use_loras(loras)
        return draw(model).tobytes()

    a, b = Lora("a", first, 1.0), Lora("b", second, 0.5)
    both = made(a, b)
    assert made(a, b) == both
    images = {both, made(b, a), made(a), made(b), made(Lora("a", first, 0.5), Lora("b", second, 1.0))}
    assert len(images) == 5
    # A sum of floats depends on its order, and on no more than that.
    model.use_loras([b, a])
    swapped = draw(model)
    model.use_loras([a, b])
    assert np.abs(swapped - draw(model)).max() < 1e-3


def test_weight_0_is_the_base(model: TextToImage, first: Path) -> None:
    base = draw(model)
    model.use_loras([Lora("style", first, 0.0)])
    assert np.abs(draw(model) - base).max() < 1e-6


@pytest.mark.parametrize(
    "key", ["unet.nowhere.to_q.lora_A.weight", "vae.decoder.lora_A.weight", "unet.conv_in.dora_scale"]
)
def test_lora_with_a_tensor_that_has_no_place_is_refused_and_leaves_the_base(
    model: TextToImage, first: Path, tmp_path: Path, key: str
) -> None:
    """M000-08: nothing is skipped in silence."""
    base = draw(model)
    tensors = load_file(first)
    tensors[key] = torch.zeros(4, 96)
    if "nowhere" in key:
        tensors[key.replace("lora_A", "lora_B")] = torch.zeros(96, 4)
    save_file(tensors, tmp_path / "other.safetensors")
    with pytest.raises(UsageError) as caught:
        model.use_loras([Lora("style", tmp_path / "other.safetensors", 1.0)])
    assert "LoRA 'style' does not fit the model" in str(caught.value)
    assert key in str(caught.value)
    assert draw(model).tobytes() == base.tobytes()


def test_lora_of_another_architecture_is_refused(model: TextToImage, first: Path, tmp_path: Path) -> None:
    base = draw(model)
    tensors = {key: torch.zeros(4, 7) if ".lora.down." in key else value for key, value in load_file(first).items()}
    save_file(tensors, tmp_path / "other.safetensors")
    with pytest.raises(UsageError, match="LoRA 'style' does not fit the model"):
        model.use_loras([Lora("style", tmp_path / "other.safetensors", 1.0)])
    assert draw(model).tobytes() == base.tobytes()


def test_lora_in_the_spelling_of_kohya_is_the_same_lora(model: TextToImage, first: Path, tmp_path: Path) -> None:
    tensors: dict[str, Any] = {}
    for key, value in load_file(first).items():
        module, _, direction = key.removeprefix("unet.").removesuffix(".weight").partition(".lora.")
        name = f"lora_unet_{module.replace('.', '_')}"
        tensors |= {f"{name}.lora_{direction}.weight": value, f"{name}.alpha": torch.tensor(4.0)}
    save_file(tensors, tmp_path / "kohya.safetensors")
    model.use_loras([Lora("style", first, 1.0)])
    expected = draw(model)
    model.use_loras([Lora("style", tmp_path / "kohya.safetensors", 1.0)])
    assert draw(model).tobytes() == expected.tobytes()


def test_pickled_lora_is_refused_unread(model: TextToImage, tmp_path: Path) -> None:
    path = tmp_path / "style.bin"
    path.write_bytes(b"\x80\x04cos\nsystem\n")
    with pytest.raises(PolicyError, match="only safetensors are loaded"):
        model.use_loras([Lora("style", path, 1.0)])


def test_stage_swaps_loras_without_loading_the_model_again(tmp_path: Path, first: Path, second: Path) -> None:
    stage, said = Generate(), list[str]()

    def made(**weights: float) -> bytes:
        loras = tuple({"name": name, "weight": weight} for name, weight in weights.items())
        params = GenerateParams(prompt="red potion", seed=1, steps=3, loras=loras, batch=2)
        inputs = GenerateInputs(model=MODEL, loras={"a": first, "b": second})
        action = BoundAction(params, inputs, GenerateOutputs(image=tmp_path / "image.png"))
        ((_, notes),) = stage.run_batch([action], Context(tmp_path / "memory", say=said.append))
        assert notes.pop("seconds") > 0
        assert notes == {"batch": 2, "device": "cpu", "warnings": []}
        return (tmp_path / "image.png").read_bytes()

    base = made()
    images = [made(a=1.0), made(b=1.0), made(a=1.0, b=1.0), made(a=0.5)]
    assert len({base, *images}) == 5
    assert made() == base
    assert made(a=1.0) == images[0]
    assert said.count("loading sprite-mini") == 1


def test_prompts_are_encoded_once_and_the_oldest_are_forgotten(
    model: TextToImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    encode = model.pipe.encode_prompt

    @functools.wraps(encode)
    def counted(*args: Any, **options: Any) -> Any:
        calls.extend([options["prompt"]] if "prompt" in options else [])
        return encode(*args, **options)

    monkeypatch.setattr(model.pipe, "encode_prompt", counted)
    draw(model)
    draw(model)
    assert calls == ["red potion", "a sword"]
    for number in range(CACHED_PROMPTS):
        model.encoded(f"prompt {number}", "", guided=True)
    calls.clear()
    draw(model)
    assert calls == ["red potion", "a sword"]


@pytest.mark.parametrize("name", ["pipeline.py", "unet/diffusion_pytorch_model.bin"])
def test_code_and_pickles_are_refused_before_anything_is_loaded(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"\x80\x04cos\nsystem\n")
    with pytest.raises(PolicyError) as caught:
        TextToImage(folder, "fp32", 1)
    assert (caught.value.exit_code, caught.value.where) == (4, str(folder / name))


def test_weights_that_do_not_fit_the_configuration_are_a_usage_error(folder: Path) -> None:
    (folder / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(UsageError, match="diffusers cannot load the model"):
        TextToImage(folder, "fp32", 1)


def test_pipeline_of_another_kind_is_a_usage_error(folder: Path) -> None:
    index = folder / "model_index.json"
    index.write_text(index.read_text().replace("StableDiffusionPipeline", "StableDiffusionImg2ImgPipeline"))
    with pytest.raises(UsageError, match="StableDiffusionImg2ImgPipeline is no text-to-image pipeline"):
        TextToImage(folder, "fp32", 1)


def test_pipeline_that_takes_no_encoded_prompts_is_run_one_image_at_a_time(folder: Path, tmp_path: Path) -> None:
    index = folder / "model_index.json"
    index.write_text(index.read_text().replace('"StableDiffusionPipeline"', '"StableDiffusionPAGPipeline"'))
    (notes,) = made(folder, tmp_path, [1])[1]
    assert notes.pop("seconds") > 0
    expected = "StableDiffusionPAGPipeline does not take encoded prompts: made one at a time, not 4"
    assert notes == {"batch": 1, "device": "cpu", "warnings": [expected]}


def test_flow_matching_model_takes_its_own_sampler_alone() -> None:
    own = diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0)
    fresh = scheduler("euler", own)
    assert (type(fresh), fresh.config.shift) == (type(own), 3.0)
    with pytest.raises(UsageError, match="scheduler ddim cannot sample a flow-matching model"):
        scheduler("ddim", own)


@pytest.mark.parametrize("name", ["ddim", "ddpm", "euler", "euler_a", "dpmpp_2m", "dpmpp_2m_sde", "unipc", "lcm"])
def test_schedulers_take_over_the_models_noise_schedule(model: TextToImage, name: Any) -> None:
    config = scheduler(name, model.own_scheduler).config
    own = model.own_scheduler.config
    for key in ("beta_start", "beta_end", "beta_schedule", "prediction_type", "rescale_betas_zero_snr"):
        assert config[key] == own[key]
    assert config["timestep_spacing"] == "trailing"
    assert config.get("clip_sample", False) is False


def test_numbers_that_overflow_are_an_error_and_no_image(model: TextToImage) -> None:
    def overflow(module: Any, inputs: Any, output: Any) -> Any:
        return (output[0] * float("nan"),)

    with model.pipe.unet.register_forward_hook(overflow), pytest.raises(StageError, match="NaN"):
        draw(model)


def seams(pixels: NDArray[np.float32]) -> tuple[float, float]:
    """How much harder the picture breaks where it meets itself, along x and y, than between its other lines."""
    found = []
    for axis in (1, 0):
        steps = np.abs(np.roll(pixels, -1, axis) - pixels).mean((1 - axis, 2))
        found.append(float(steps[-1] / steps[:-1].mean()))
    return found[0], found[1]


def test_tile_makes_pictures_that_meet_themselves_along_the_sides_that_are_said(model: TextToImage) -> None:
    def drawn(tile: Any) -> NDArray[np.float32]:
        (found,) = model.draw([Item("grass floor", "", 1)], Settings("ddim", 12, 2.5, (32, 32), tile))
        return found.pixels[..., :3]

    plain = drawn(None)
    assert min(seams(plain)) > 2.5
    assert max(seams(drawn("both"))) < 1.5
    assert seams(drawn("x"))[0] < 1.5 < 2.5 < seams(drawn("x"))[1]
    assert seams(drawn("y"))[1] < 1.5 < 2.5 < seams(drawn("y"))[0]
    assert np.array_equal(drawn(None), plain)  # nothing is left of it


def test_tile_of_a_model_without_a_unet_is_refused() -> None:
    class FluxPipeline:
        unet = None

    with pytest.raises(UsageError, match="FluxPipeline makes no seamless pictures"), tiled(FluxPipeline(), "x"):
        pass


@pytest.fixture(scope="module")
def sdxl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.sdxl(tmp_path_factory.mktemp("sdxl"))


def made(
    model: Path, folder: Path, seeds: Sequence[int], **params: Any
) -> tuple[dict[int, NDArray[np.uint8]], list[dict[str, Any]]]:
    actions = [
        BoundAction(
            GenerateParams(prompt=f"red potion {seed}", negative="x" * (seed % 2), seed=seed, steps=3, **params),
            GenerateInputs(model=model),
            GenerateOutputs(image=folder / f"{seed}.png"),
        )
        for seed in seeds
    ]
    notes = [dict(note or {}) for _, note in Generate().run_batch(actions, Context(folder / "memory"))]
    return {action.params.seed: png.read(action.outputs.image) for action in actions}, notes


@pytest.mark.parametrize("scheduler", ["euler", "dpmpp_2m_sde"])
@pytest.mark.parametrize("guidance", [1.0, 5.0])
def test_sdxl_makes_opaque_images_that_do_not_depend_on_their_slot(
    sdxl: Path, tmp_path: Path, scheduler: str, guidance: float
) -> None:
    params = {"scheduler": scheduler, "guidance": guidance, "size": (32, 16)}
    together, notes = made(sdxl, tmp_path, range(6), **params)
    assert {note["batch"] for note in notes} == {4}
    assert len({image.tobytes() for image in together.values()}) == 6
    for image in together.values():
        assert image.shape == (16, 32, 4)
        assert (image[..., 3] == 255).all()
    for seeds in ([5, 1, 0], [3]):
        again, _ = made(sdxl, tmp_path, seeds, **params)
        assert all(np.array_equal(again[seed], together[seed]) for seed in seeds)


def test_model_of_half_precision_files_alone_is_loaded_by_its_variant(sdxl: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(sdxl, tmp_path / "half"))
    for path in folder.rglob("*.safetensors"):
        path.rename(path.with_suffix(".fp16.safetensors"))
    assert inspect_folder(folder).variant == "fp16"
    images, _ = made(folder, tmp_path, [1], scheduler="euler", batch=1, size=(16, 16))
    expected, _ = made(sdxl, tmp_path, [1], scheduler="euler", batch=1, size=(16, 16))
    assert np.array_equal(images[1], expected[1])


def test_image_blanked_by_the_models_own_safety_checker_has_a_warning(folder: Path, tmp_path: Path) -> None:
    from diffusers.pipelines.stable_diffusion import StableDiffusionSafetyChecker

    vision = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = transformers.CLIPConfig(vision_config={**vision, "image_size": 32, "patch_size": 16}, projection_dim=16)
    checker = StableDiffusionSafetyChecker(config)
    checker.concept_embeds_weights.data.fill_(-2.0)  # everything is above the threshold
    checker.save_pretrained(folder / "safety_checker")
    size = {"height": 32, "width": 32}
    transformers.CLIPImageProcessorPil(size=size, crop_size=size).save_pretrained(folder / "feature_extractor")
    index = folder / "model_index.json"
    parts = {
        "safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"],
        "feature_extractor": ["transformers", "CLIPImageProcessorPil"],
    }
    index.write_text(json.dumps({**json.loads(index.read_text()), **parts}))
    images, (notes,) = made(folder, tmp_path, [1], batch=1)
    assert notes["warnings"] == ["the model's own safety checker blanked the image"]
    assert not images[1].any()
