"""The parts of a diffusion model that is to be trained, built or taken over; knows no training. Imports torch."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor

from spritebuild.errors import UsageError
from spritebuild_stages import _pretrained
from spritebuild_stages._draws import hashed
from spritebuild_stages.diffusion.inl_dit import InlTransformer2DModel, sized
from spritebuild_stages.diffusion.inl_pipeline import InlPipeline
from spritebuild_stages.training.diffusion_params import TrainDiffusionParams

PARTS = {"unet": "unet", "inl-dit": "transformer"}
CLASSES = {"unet": UNet2DConditionModel, "inl-dit": InlTransformer2DModel}
CHANNELS_A_GROUP, MOST_GROUPS = 4, 32
# What tensors do not show and params do not say; they would compute something else with other values.
KEPT_FROM_INIT = ("norm_num_groups", "act_fn", "norm_eps", "flip_sin_to_cos", "freq_shift", "use_linear_projection")


def autoencoder(folder: Path) -> Any:
    """The autoencoder of a folder, frozen, without a trace of where it lay."""
    place = _pretrained.part(folder, "vae")
    given = _pretrained.load(AutoencoderKL, place)
    vae = AutoencoderKL.from_config(_pretrained.config(place, "AutoencoderKL"))
    vae.load_state_dict(given.state_dict())
    return vae.requires_grad_(False).eval()


def denoiser(
    params: TrainDiffusionParams, latent_channels: int, side: int, text_width: int, init: Path | None
) -> tuple[Any, str]:
    """A fresh UNet or transformer with whatever of `init` fits, and how much that was."""
    given = None
    kept: dict[str, Any] = {}
    if init is not None:
        folder = _pretrained.part(init, PARTS[params.architecture])
        declared = _pretrained.config(folder, CLASSES[params.architecture].__name__)
        if params.architecture == "unet":
            kept = {name: declared[name] for name in KEPT_FROM_INIT if name in declared}
            _check_heads(params, declared, init)
        given = _pretrained.load(CLASSES[params.architecture], folder).state_dict()
    torch.manual_seed(hashed(params.seed, "denoiser"))
    if params.architecture == "unet":
        model = UNet2DConditionModel(**_unet(params, latent_channels, side, text_width, kept))
        model.register_to_config(condition_dropout=params.condition_dropout)
    else:
        model = InlTransformer2DModel(**_transformer(params, latent_channels, side, text_width))
    return model, "" if given is None or init is None else _pretrained.take_over(model, given, init)


def pipeline(vae: Any, text_encoder: Any, tokenizer: Any, model: Any, scheduler: Any) -> Any:
    """The parts as a whole that can be called and saved."""
    parts = {"vae": vae, "text_encoder": text_encoder, "tokenizer": tokenizer, "scheduler": scheduler}
    if isinstance(model, InlTransformer2DModel):
        pipe = InlPipeline(transformer=model, **parts)
    else:
        unused = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
        pipe = StableDiffusionPipeline(unet=model, **parts, **unused)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def made_fast(model: Any, device: str) -> Any:
    """On a CPU, plain attention is faster backwards than the fused one, and convolutions with channels last."""
    if device.partition(":")[0] == "cpu" and isinstance(model, UNet2DConditionModel):
        model.set_attn_processor(AttnProcessor())
        model = model.to(memory_format=torch.channels_last)
    return model


def save(pipe: Any, folder: Path, dtype: str) -> None:
    """Write the pipeline in the diffusers layout."""
    pipe.to("cpu", {"fp32": torch.float32, "fp16": torch.float16}[dtype])
    for model in (pipe.components[name] for name in ("unet", "transformer") if name in pipe.components):
        model.to(memory_format=torch.contiguous_format)
    backend = getattr(pipe.tokenizer, "backend_tokenizer", None)
    if backend is not None:  # it remembers how it was called last, and would save that
        backend.no_padding()
        backend.no_truncation()
    pipe.save_pretrained(folder)


def parameter_counts(pipe: Any) -> dict[str, int]:
    """How many numbers each part has."""
    return {
        name: sum(parameter.numel() for parameter in module.parameters())
        for name, module in sorted(pipe.components.items())
        if isinstance(module, torch.nn.Module)
    }


def latents(vae: Any, pictures: torch.Tensor) -> torch.Tensor:
    """What the model learns from: the posterior's means, scaled to a deviation of 1."""
    shift = vae.config.shift_factor or 0.0
    found: torch.Tensor = (vae.encode(pictures).latent_dist.mean - shift) * vae.config.scaling_factor
    return found


def _unet(
    params: TrainDiffusionParams, latent_channels: int, side: int, text_width: int, kept: dict[str, Any]
) -> dict[str, Any]:
    levels, shared = len(params.channels), math.gcd(*params.channels)
    groups = [n for n in range(1, MOST_GROUPS + 1) if shared % n == 0 and (shared // n >= CHANNELS_A_GROUP or n == 1)]
    config = {"norm_num_groups": groups[-1], **kept}
    if uneven := [channels for channels in params.channels if channels % config["norm_num_groups"]]:
        raise UsageError(
            f"{uneven[0]} channels are not divisible into the groups of init's normalization",
            facts=[("groups", config["norm_num_groups"])],
        )
    return {
        "sample_size": side,
        "in_channels": latent_channels,
        "out_channels": latent_channels,
        "block_out_channels": params.channels,
        "layers_per_block": params.layers,
        "down_block_types": ("CrossAttnDownBlock2D",) * levels,
        "up_block_types": ("CrossAttnUpBlock2D",) * levels,
        "cross_attention_dim": text_width,
        "attention_head_dim": params.heads,  # diffusers' name for the number of heads
        **config,
    }


def _transformer(params: TrainDiffusionParams, latent_channels: int, side: int, text_width: int) -> dict[str, Any]:
    return {
        "sample_size": side,
        "in_channels": latent_channels,
        "patch_size": params.patch,
        "cross_attention_dim": text_width,
        "mlp": params.mlp,
        "integrator": params.integrator,
        "integrator_iterations": params.integrator_iterations,
        "condition_dropout": params.condition_dropout,
        **sized(params.size),
    }


def _check_heads(params: TrainDiffusionParams, declared: dict[str, Any], init: Path) -> None:
    heads = declared.get("num_attention_heads") or declared.get("attention_head_dim")
    if heads != params.heads and heads != [params.heads] * len(params.channels):
        raise UsageError(
            f"init has {heads} attention heads, not {params.heads}: its tensors would mean something else",
            where=str(init),
            hint=f"set heads = {heads}" if isinstance(heads, int) else "begin without init",
        )
