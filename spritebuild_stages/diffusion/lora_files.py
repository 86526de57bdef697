"""LoRA files in the two forms that programs read, the same bytes for the same weights; trains and loads nothing.

`kohya` is what ComfyUI and A1111 read: they take the strength from `.alpha` keys. `peft` is what diffusers writes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spritebuild_stages import _tensors

if TYPE_CHECKING:
    import torch

# The base's architecture by the class of its pipeline, in the words of modelspec and of sd-scripts.
ARCHITECTURES: Mapping[str, tuple[str, str]] = {
    "StableDiffusionPipeline": ("stable-diffusion-v1", "sd_v1"),
    "StableDiffusionXLPipeline": ("stable-diffusion-xl-v1-base", "sdxl_base_v1-0"),
}
TEXT_ENCODERS: Mapping[str, Mapping[str, str]] = {
    "StableDiffusionPipeline": {"text_encoder": "lora_te"},
    "StableDiffusionXLPipeline": {"text_encoder": "lora_te1", "text_encoder_2": "lora_te2"},
}
TRAINING = "spritebuild.training"  # in the metadata: what the training was, as JSON
A, B, MAGNITUDE = ".lora_A.weight", ".lora_B.weight", ".lora_magnitude_vector"


@dataclass(frozen=True)
class Adapter:
    """The weights of a LoRA by part of the pipeline and name in it, in PEFT's spelling, and what scales them.

    The model's weight becomes W + scale * B A, where scale is alpha / rank, or alpha / sqrt(rank) with `rslora`
    (Kalajdzievski 2023, arXiv 2312.03732).
    """

    pipeline: str
    parts: Mapping[str, Mapping[str, torch.Tensor]]
    rank: int
    alpha: float
    rslora: bool = False

    @property
    def scale(self) -> float:
        """What B A is multiplied with."""
        return self.alpha / (self.rank**0.5 if self.rslora else self.rank)


def write_kohya(path: Path, adapter: Adapter, about: Mapping[str, Any]) -> None:
    """Write the form with `lora_down`, `lora_up` and the true `.alpha`; `about` goes into the metadata."""
    import torch

    tensors: dict[str, torch.Tensor] = {}
    dtype = torch.float32
    for part, weights in adapter.parts.items():
        prefix = "lora_unet" if part == "unet" else TEXT_ENCODERS[adapter.pipeline][part]
        for name, tensor in weights.items():
            dtype = tensor.dtype
            for ending, place in ((A, "lora_down.weight"), (B, "lora_up.weight"), (MAGNITUDE, "dora_scale")):
                if name.endswith(ending):
                    module = f"{prefix}_{name.removesuffix(ending).replace('.', '_')}"
                    tensors[f"{module}.{place}"] = _column(tensor) if ending == MAGNITUDE else tensor
                    tensors[f"{module}.alpha"] = torch.tensor(adapter.scale * adapter.rank, dtype=torch.float32)
                    break
            else:
                raise ValueError(f"{name} is no weight of a LoRA")
    spec, base = ARCHITECTURES[adapter.pipeline]
    metadata = {
        "modelspec.sai_model_spec": "1.0.1",
        "modelspec.architecture": f"{spec}/lora",
        "modelspec.implementation": "https://github.com/Stability-AI/generative-models",
        "ss_base_model_version": base,
        "ss_network_module": "networks.lora",
        "ss_network_dim": str(adapter.rank),
        "ss_network_alpha": _number(adapter.scale * adapter.rank),
        "ss_v2": "False",
        "ss_mixed_precision": str(dtype).removeprefix("torch."),
        **{key: value if isinstance(value, str) else json.dumps(value, sort_keys=True) for key, value in about.items()},
    }
    _tensors.write(path, tensors, metadata)


def write_peft(path: Path, adapter: Adapter, configs: Mapping[str, Mapping[str, Any]]) -> None:
    """Write the form of diffusers' `save_lora_weights`, with PEFT's configuration of each part in the metadata."""
    tensors = {f"{part}.{name}": tensor for part, weights in adapter.parts.items() for name, tensor in weights.items()}
    packed = {f"{part}.{key}": value for part, config in configs.items() for key, value in config.items()}
    metadata = {"format": "pt", "lora_adapter_metadata": json.dumps(packed, indent=2, sort_keys=True)}
    _tensors.write(path, tensors, metadata)


def read_kohya(path: Path, pipe: Any) -> dict[str, torch.Tensor]:
    """The weights of a kohya file in PEFT's spelling, for a pipeline whose modules it names as diffusers does.

    B is multiplied by alpha / rank, so that no alpha is needed beside it. This keeps DoRA's magnitudes, which diffusers
    drops. Raises KeyError for a module that the pipeline has not.
    """
    from safetensors.torch import load_file

    modules: dict[str, tuple[str, str]] = {}
    for part, prefix in {"unet": "lora_unet", **TEXT_ENCODERS[type(pipe).__name__]}.items():
        for name, _ in getattr(pipe, part).named_modules():
            modules[f"{prefix}_{name.replace('.', '_')}"] = part, name
    stored = load_file(path)
    found: dict[str, torch.Tensor] = {}
    for key, tensor in stored.items():
        module, _, place = key.partition(".")
        if place == "alpha":
            continue
        part, name = modules[module]
        if place == "lora_up.weight":
            rank = stored[f"{module}.lora_down.weight"].shape[0]
            tensor = tensor.float() * (stored.get(f"{module}.alpha", rank) / rank)
        ending = {"lora_down.weight": A, "lora_up.weight": B, "dora_scale": MAGNITUDE}[place]
        found[f"{part}.{name}{ending}"] = _row(tensor) if place == "dora_scale" else tensor
    return found


def read_metadata(path: Path) -> dict[str, str]:
    """The metadata of a safetensors file; the file was checked before."""
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    found = header.get("__metadata__", {})
    return {str(key): str(value) for key, value in found.items()}


def _column(magnitude: torch.Tensor) -> torch.Tensor:
    """PEFT's magnitudes, (out,) or (1, out, 1, 1), by output as others write them: (out, 1) or (out, 1, 1, 1)."""
    return magnitude.reshape(-1, 1) if magnitude.dim() == 1 else magnitude.transpose(0, 1)


def _row(magnitude: torch.Tensor) -> torch.Tensor:
    return magnitude.flatten() if magnitude.dim() == 2 else magnitude.transpose(0, 1)


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)
