"""Models of the architectures that are supported, small and random; for the tests of the stages."""

from __future__ import annotations

from pathlib import Path

import diffusers
import torch
import transformers

import spritebuild_stages

MODEL = Path(spritebuild_stages.__file__).parent / "models" / "sprite-mini"


def sdxl(folder: Path) -> Path:
    """An SDXL of a few thousand weights, with both text encoders; pictures are twice the size of their latents."""
    torch.manual_seed(0)
    text = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    text |= {"vocab_size": 2000, "max_position_embeddings": 24, "projection_dim": 32, "bos_token_id": 0}
    config = transformers.CLIPTextConfig(**text, eos_token_id=1, pad_token_id=1)
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
        projection_class_embeddings_input_dim=6 * 8 + 32,
        cross_attention_dim=64,
        norm_num_groups=8,
    )
    vae = diffusers.AutoencoderKL(
        block_out_channels=(16, 32),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=4,
        norm_num_groups=8,
        sample_size=16,
    )
    pipe = diffusers.StableDiffusionXLPipeline(
        vae=vae,
        unet=unet,
        text_encoder=transformers.CLIPTextModel(config),
        text_encoder_2=transformers.CLIPTextModelWithProjection(config),
        tokenizer=transformers.CLIPTokenizer.from_pretrained(MODEL / "tokenizer"),
        tokenizer_2=transformers.CLIPTokenizer.from_pretrained(MODEL / "tokenizer"),
        scheduler=diffusers.EulerDiscreteScheduler(beta_schedule="scaled_linear", timestep_spacing="leading"),
    )
    pipe.save_pretrained(folder)
    return folder
