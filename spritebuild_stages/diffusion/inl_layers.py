"""The layers of the integrator transformer: attention with positions, MLPs, integrators. Importing this imports torch.

Sources: rotary positions, Su et al. 2021 (arXiv 2104.09864), half of a head for each axis; grouped-query attention,
Ainslie et al. 2023 (arXiv 2305.13245); SwiGLU, Shazeer 2020 (arXiv 2002.05202).
"""

# mypy: disable-error-code="misc"
# the classes of torch are not typed

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

ROTARY_BASE = 10_000.0
Rotary = tuple[Tensor, Tensor]


class Integrator(nn.Module):
    """h <- h + gate(h) * refine(h), a fixed number of times with the same weights; the gate is one number a token."""

    def __init__(self, width: int, iterations: int) -> None:
        super().__init__()
        self.iterations = iterations
        self.gate = nn.Sequential(nn.Linear(width, width // 4), nn.GELU(), nn.Linear(width // 4, 1), nn.Sigmoid())
        self.refine = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """The integrated tokens, and the mean gate over tokens and iterations (fp32, no gradient)."""
        gates = []
        for _ in range(self.iterations):
            gate = self.gate(hidden)
            hidden = hidden + gate * self.refine(hidden)
            gates.append(gate.detach().float().mean())
        return hidden, torch.stack(gates).mean()


class Attention(nn.Module):
    """Attention in which several heads of the queries share a head of the keys and values."""

    def __init__(self, width: int, context_width: int, heads: int, kv_heads: int) -> None:
        super().__init__()
        self.heads, self.kv_heads, head = heads, kv_heads, width // heads
        self.to_q = nn.Linear(width, width, bias=False)
        self.to_k = nn.Linear(context_width, kv_heads * head, bias=False)
        self.to_v = nn.Linear(context_width, kv_heads * head, bias=False)
        self.to_out = nn.ModuleList([nn.Linear(width, width)])  # a list as in diffusers, so that adapters find it

    def forward(self, x: Tensor, context: Tensor, rotary: Rotary | None = None) -> Tensor:
        """Tokens (B, N, width) that look at a context (B, M, context width)."""
        query, key, value = (
            layer(given).unflatten(-1, (count, -1)).transpose(1, 2)
            for layer, given, count in (
                (self.to_q, x, self.heads),
                (self.to_k, context, self.kv_heads),
                (self.to_v, context, self.kv_heads),
            )
        )
        if rotary is not None:
            query, key = rotated(query, rotary), rotated(key, rotary)
        shared = self.heads // self.kv_heads
        key, value = key.repeat_interleave(shared, 1), value.repeat_interleave(shared, 1)
        mixed: Tensor = self.to_out[0](_attended(query, key, value).transpose(1, 2).flatten(2))
        return mixed


class SwiGlu(nn.Module):
    """silu(gate) * up, projected back: three matrices of two thirds of the hidden width, as many weights as two."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        inner = -(-hidden * 2 // 3 // 8) * 8
        self.gate_up = nn.Linear(width, 2 * inner)
        self.down = nn.Linear(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens (..., width)."""
        gate, up = self.gate_up(x).chunk(2, -1)
        mixed: Tensor = self.down(functional.silu(gate) * up)
        return mixed


class Gelu(nn.Sequential):
    """Two matrices with a GELU between them."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__(nn.Linear(width, hidden), nn.GELU(approximate="tanh"), nn.Linear(hidden, width))


# Positions


def positions(rows: int, columns: int, head: int, device: Any = None) -> Rotary:
    """Cosines and sines (N, head / 2), fp32, of a grid's tokens in row order: half tells the row, half the column."""
    frequencies = ROTARY_BASE ** -(torch.arange(head // 4, dtype=torch.float32, device=device) / (head // 4))
    y, x = (torch.arange(count, dtype=torch.float32, device=device) for count in (rows, columns))
    angles = torch.cat(
        [
            (y[:, None, None] * frequencies).expand(rows, columns, -1),
            (x[None, :, None] * frequencies).expand(rows, columns, -1),
        ],
        -1,
    ).flatten(0, 1)
    return angles.cos(), angles.sin()


def rotated(heads: Tensor, rotary: Rotary) -> Tensor:
    """Heads (B, heads, N, head) with each pair (i, i + head / 2) turned by its token's angle."""
    cosines, sines = (part.to(heads.dtype) for part in rotary)
    first, second = heads.chunk(2, -1)
    return torch.cat([first * cosines - second * sines, first * sines + second * cosines], -1)


# Parts


def modulated(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """Tokens, shifted and scaled as a time step asks."""
    return x * (1 + scale) + shift


def norm(width: int) -> nn.LayerNorm:
    """A layer norm without weights: modulation has them."""
    return nn.LayerNorm(width, eps=1e-6, elementwise_affine=False)


def zero(layer: nn.Linear) -> nn.Linear:
    """The layer, with nothing but zeros in it."""
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def _attended(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    if query.device.type == "cpu":  # where the fused kernel is slow backwards
        scores = query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5
        return scores.softmax(-1).to(value.dtype) @ value
    return functional.scaled_dot_product_attention(query, key, value)
