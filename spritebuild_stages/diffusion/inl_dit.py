"""A diffusion transformer with integrator neurons, for latents of any size; knows no training and no pipeline.

A diffusers model like any other: `save_pretrained` and `from_pretrained` write and read a config and safetensors.
Importing this imports torch.

Sources: DiT and AdaLN-Zero, Peebles and Xie 2022 (arXiv 2212.09748); cross-attention as in PixArt, Chen et al. 2023
(arXiv 2310.00426). Those of its layers are in inl_layers.py.
"""

# mypy: disable-error-code="misc,untyped-decorator"
# the classes and decorators of torch and diffusers are not typed

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.loaders import PeftAdapterMixin
from diffusers.models.embeddings import TimestepEmbedding, Timesteps
from diffusers.models.modeling_utils import ModelMixin
from diffusers.utils import BaseOutput
from torch import Tensor, nn
from torch.nn import functional

from spritebuild_stages.diffusion.inl_layers import (
    Attention,
    Gelu,
    Integrator,
    Rotary,
    SwiGlu,
    modulated,
    norm,
    positions,
    zero,
)

TIME_CHANNELS = 256


@dataclass(frozen=True)
class Size:
    """Depth and width; queries have `heads` heads, keys and values `kv_heads`."""

    layers: int
    width: int
    heads: int
    kv_heads: int


SIZES = {
    "nano": Size(6, 192, 6, 2),
    "S": Size(12, 384, 6, 2),
    "B": Size(12, 768, 12, 4),
    "L": Size(24, 1024, 16, 4),
    "XL": Size(28, 1152, 16, 4),
    "XXL": Size(32, 1536, 24, 6),
}


@dataclass
class InlOutput(BaseOutput):
    """What the model predicts, in the shape of its latents, and the mean gate of its integrators, 0..1, if it has any.

    The gate scales what a fixed number of iterations adds. It saves no work, whatever its value.
    """

    sample: Tensor
    gate: Tensor | None = None


class InlTransformer2DModel(ModelMixin, ConfigMixin, PeftAdapterMixin):
    """Predicts noise or velocity for latents (B, C, H, W) at a time step, H and W divisible by the patch size."""

    _supports_gradient_checkpointing = True
    _no_split_modules = ("InlBlock",)

    @register_to_config
    def __init__(
        self,
        in_channels: int = 16,
        sample_size: int = 8,
        patch_size: int = 1,
        num_layers: int = 6,
        hidden_size: int = 192,
        num_attention_heads: int = 6,
        num_key_value_heads: int = 2,
        cross_attention_dim: int = 160,
        mlp: str = "swiglu",
        mlp_ratio: float = 4.0,
        integrator: bool = True,
        integrator_iterations: int = 2,
        condition_dropout: float | None = None,
    ) -> None:
        super().__init__()
        check_heads(hidden_size, num_attention_heads, num_key_value_heads)
        self.patches = nn.Conv2d(in_channels, hidden_size, patch_size, patch_size)
        self.time_frequencies = Timesteps(TIME_CHANNELS, flip_sin_to_cos=True, downscale_freq_shift=0)
        self.time = TimestepEmbedding(TIME_CHANNELS, hidden_size)
        self.blocks = nn.ModuleList(
            InlBlock(
                hidden_size,
                num_attention_heads,
                num_key_value_heads,
                cross_attention_dim,
                mlp,
                int(hidden_size * mlp_ratio),
                integrator_iterations if integrator else 0,
            )
            for _ in range(num_layers)
        )
        self.norm = norm(hidden_size)
        self.modulation = zero(nn.Linear(hidden_size, 2 * hidden_size))
        self.out = zero(nn.Linear(hidden_size, patch_size**2 * in_channels))
        self.gradient_checkpointing = False

    def forward(
        self, hidden_states: Tensor, timestep: Tensor, encoder_hidden_states: Tensor, return_dict: bool = True
    ) -> InlOutput | tuple[Tensor]:
        """`timestep` is a number or (B,); `encoder_hidden_states` are a text's (B, tokens, cross_attention_dim)."""
        batch, channels, height, width = hidden_states.shape
        patch = self.config.patch_size
        if height % patch or width % patch:
            raise ValueError(f"latents of {width}x{height} are not divisible by the patch size {patch}")
        x = self.patches(hidden_states)
        rows, columns = x.shape[2:]
        x = x.flatten(2).transpose(1, 2)
        times = torch.as_tensor(timestep, device=x.device).reshape(-1).expand(batch)
        condition = functional.silu(self.time(self.time_frequencies(times).to(x.dtype)))
        rotary = positions(rows, columns, self.config.hidden_size // self.config.num_attention_heads, x.device)
        gates = []
        for block in self.blocks:
            if torch.is_grad_enabled() and self.gradient_checkpointing:
                x, gate = self._gradient_checkpointing_func(block, x, encoder_hidden_states, condition, rotary)
            else:
                x, gate = block(x, encoder_hidden_states, condition, rotary)
            gates.append(gate)
        shift, scale = self.modulation(condition)[:, None].chunk(2, -1)
        x = self.out(modulated(self.norm(x), shift, scale))
        x = x.view(batch, rows, columns, patch, patch, channels).permute(0, 5, 1, 3, 2, 4)
        sample = x.reshape(batch, channels, height, width)
        if not return_dict:
            return (sample,)
        integrated = self.config.integrator and self.config.integrator_iterations
        return InlOutput(sample, torch.stack(gates).mean() if integrated else None)


class InlBlock(nn.Module):
    """Self-attention, cross-attention to the text, and an integrated MLP; the identity when it is fresh."""

    def __init__(
        self, width: int, heads: int, kv_heads: int, text_width: int, mlp: str, mlp_width: int, iterations: int
    ) -> None:
        super().__init__()
        self.modulation = zero(nn.Linear(width, 6 * width))
        self.norm1, self.norm2, self.norm3 = norm(width), norm(width), norm(width)
        self.attn1 = Attention(width, width, heads, kv_heads)
        self.attn2 = Attention(width, text_width, heads, kv_heads)
        zero(self.attn2.to_out[0])  # no modulation gates it, see PixArt
        self.mlp = SwiGlu(width, mlp_width) if mlp == "swiglu" else Gelu(width, mlp_width)
        self.integrator = Integrator(width, iterations) if iterations else None

    def forward(self, x: Tensor, text: Tensor, condition: Tensor, rotary: Rotary) -> tuple[Tensor, Tensor]:
        """Tokens (B, N, width), and the integrator's mean gate."""
        shift1, scale1, gate1, shift2, scale2, gate2 = self.modulation(condition)[:, None].chunk(6, -1)
        normed = modulated(self.norm1(x), shift1, scale1)
        x = x + gate1 * self.attn1(normed, normed, rotary)
        x = x + self.attn2(self.norm2(x), text)
        hidden = self.mlp(modulated(self.norm3(x), shift2, scale2))
        hidden, gate = self.integrator(hidden) if self.integrator else (hidden, hidden.new_zeros(()))
        return x + gate2 * hidden, gate


# Counting


def parameter_count(**config: Any) -> int:
    """How many weights a model of that config has; nothing is allocated."""
    with torch.device("meta"):
        model = InlTransformer2DModel(**config)
    return sum(parameter.numel() for parameter in model.parameters())


def sized(size: str) -> dict[str, int]:
    """The part of the config that a named size stands for."""
    chosen = SIZES[size]
    return {
        "num_layers": chosen.layers,
        "hidden_size": chosen.width,
        "num_attention_heads": chosen.heads,
        "num_key_value_heads": chosen.kv_heads,
    }


def check_heads(width: int, heads: int, kv_heads: int) -> None:
    """Raise ValueError unless heads divide the width, groups of them share keys, and two axes of pairs fit in each."""
    if heads % kv_heads:
        raise ValueError(f"{heads} heads cannot share {kv_heads} heads of keys: not divisible")
    if width % heads:
        raise ValueError(f"a width of {width} cannot be divided among {heads} heads")
    if width // heads % 4:
        raise ValueError(f"heads of {width // heads} channels have no pairs for both axes: 4 must divide them")
