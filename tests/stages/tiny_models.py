"""Models of the architectures that are supported, small and random; for the tests of the stages."""

from __future__ import annotations

from pathlib import Path

import diffusers
import torch
import transformers

import spritebuild_stages

MODEL = Path(spritebuild_stages.__file__).parent / "models" / "sprite-mini"


def sd15(folder: Path) -> Path:
    """A Stable Diffusion 1.x of a few thousand weights; pictures are twice the size of their latents."""
    torch.manual_seed(0)
    text = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    text |= {"vocab_size": 2000, "max_position_embeddings": 24, "projection_dim": 32, "bos_token_id": 0}
    unet = diffusers.UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(32, 64),
        layers_per_block=2,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        attention_head_dim=4,
        cross_attention_dim=32,
        norm_num_groups=8,
    )
    pipe = diffusers.StableDiffusionPipeline(
        vae=_vae(layers=2),
        unet=unet,
        text_encoder=transformers.CLIPTextModel(transformers.CLIPTextConfig(**text, eos_token_id=1, pad_token_id=1)),
        tokenizer=transformers.CLIPTokenizer.from_pretrained(MODEL / "tokenizer"),
        scheduler=diffusers.DDIMScheduler(
            beta_schedule="scaled_linear", clip_sample=False, set_alpha_to_one=False, steps_offset=1
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipe.save_pretrained(folder)
    return folder


def sdxl(folder: Path, second: int = 32) -> Path:
    """An SDXL of a few thousand weights; pictures are twice the size of their latents.

    Its first text encoder is 32 wide, its second one `second`.
    """
    torch.manual_seed(0)
    text = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    text |= {"vocab_size": 2000, "max_position_embeddings": 24, "projection_dim": 32, "bos_token_id": 0}
    config = transformers.CLIPTextConfig(**text, eos_token_id=1, pad_token_id=1)
    text |= {"hidden_size": second, "projection_dim": second}
    other = transformers.CLIPTextConfig(**text, eos_token_id=1, pad_token_id=1)
    unet = diffusers.UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(32, 64),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=(2, 4),
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        transformer_layers_per_block=(1, 2),
        projection_class_embeddings_input_dim=6 * 8 + second,
        cross_attention_dim=32 + second,
        norm_num_groups=8,
    )
    pipe = diffusers.StableDiffusionXLPipeline(
        vae=_vae(),
        unet=unet,
        text_encoder=transformers.CLIPTextModel(config),
        text_encoder_2=transformers.CLIPTextModelWithProjection(other),
        tokenizer=transformers.CLIPTokenizer.from_pretrained(MODEL / "tokenizer"),
        tokenizer_2=transformers.CLIPTokenizer.from_pretrained(MODEL / "tokenizer"),
        scheduler=diffusers.EulerDiscreteScheduler(beta_schedule="scaled_linear", timestep_spacing="leading"),
    )
    pipe.save_pretrained(folder)
    return folder


def _vae(layers: int = 1) -> diffusers.AutoencoderKL:
    return diffusers.AutoencoderKL(
        block_out_channels=(16, 32),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        layers_per_block=layers,
        latent_channels=4,
        norm_num_groups=8,
        sample_size=16,
    )
