"""Text-to-image models of full size with random weights, in the diffusers layout: what their speed is, no picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import spritebuild_stages

MINI = Path(spritebuild_stages.__path__[0]) / "models" / "sprite-mini"
NATIVE = {"mini": 32, "tiny-sd": 512, "sd15": 512, "sdxl": 1024}  # pixels of a side
WIDE = (320, 640, 1280)

# Of the configurations that the models are published with (diffusers' config.json of each).
UNETS: dict[str, dict[str, Any]] = {
    "tiny-sd": {
        "sample_size": 64,
        "block_out_channels": WIDE,
        "layers_per_block": 1,
        "down_block_types": ("CrossAttnDownBlock2D",) * 3,
        "mid_block_type": None,
        "up_block_types": ("CrossAttnUpBlock2D",) * 3,
        "cross_attention_dim": 768,
    },
    "sd15": {"sample_size": 64, "block_out_channels": (*WIDE, 1280), "cross_attention_dim": 768},
    "sdxl": {
        "sample_size": 128,
        "block_out_channels": WIDE,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        "transformer_layers_per_block": (1, 2, 10),
        "attention_head_dim": (5, 10, 20),
        "cross_attention_dim": 2048,
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 2816,
    },
}
CLIP_L = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "projection_dim": 768,
}
CLIP_G = {
    "hidden_size": 1280,
    "intermediate_size": 5120,
    "num_hidden_layers": 32,
    "num_attention_heads": 20,
    "projection_dim": 1280,
    "hidden_act": "gelu",
}
VAE = {
    "block_out_channels": (128, 256, 512, 512),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "layers_per_block": 2,
    "latent_channels": 4,
}


def folder_of(name: str, root: Path) -> Path:
    """The folder of a model, which is made if it is none that comes with spritebuild."""
    if name == "mini":
        return MINI
    folder = root / name
    if not (folder / "model_index.json").exists():
        _pipeline(name).save_pretrained(folder)
    return folder


def _pipeline(name: str) -> Any:
    import diffusers
    import torch
    import transformers

    def text(kind: Any, **config: Any) -> Any:
        return kind(
            transformers.CLIPTextConfig(
                **config, vocab_size=49408, max_position_embeddings=77, bos_token_id=0, eos_token_id=1, pad_token_id=1
            )
        )

    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16)  # half the disk and the time; loaded as what is asked for
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        unet = diffusers.UNet2DConditionModel(**UNETS[name])
        vae = diffusers.AutoencoderKL(**VAE, scaling_factor=0.13025 if name == "sdxl" else 0.18215)
        parts: dict[str, Any] = {"unet": unet, "vae": vae, "text_encoder": text(transformers.CLIPTextModel, **CLIP_L)}
        if name == "sdxl":
            parts["text_encoder_2"] = text(transformers.CLIPTextModelWithProjection, **CLIP_G)
    torch.set_default_dtype(torch.float32)
    for key in [key for key in parts if key.startswith("text_encoder")]:
        tokenizer = transformers.CLIPTokenizer.from_pretrained(MINI / "tokenizer", model_max_length=77)
        parts[key.replace("text_encoder", "tokenizer")] = tokenizer
    scheduler = diffusers.DDIMScheduler(
        beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, clip_sample=False, steps_offset=1
    )
    if name == "sdxl":
        return diffusers.StableDiffusionXLPipeline(**parts, scheduler=scheduler, add_watermarker=False)
    return diffusers.StableDiffusionPipeline(
        **parts, scheduler=scheduler, safety_checker=None, feature_extractor=None, requires_safety_checker=False
    )


def weights_of(folder: Path) -> str:
    """The millions of numbers that a model's denoiser has."""
    count = 0
    for path in folder.glob("unet/*.safetensors"):
        with path.open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        for key, tensor in header.items():
            if key != "__metadata__":
                count += _product(tensor["shape"])
    return f"{count / 1e6:,.0f} million"


def _product(shape: list[int]) -> int:
    product = 1
    for side in shape:
        product *= side
    return product
