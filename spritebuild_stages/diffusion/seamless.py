"""Pictures that meet themselves: convolutions that see the other side of the picture beyond its edge.

Imports torch when called.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from spritebuild.errors import UsageError

if TYPE_CHECKING:
    import torch

Tile = Literal["x", "y", "both"]


@contextmanager
def tiled(pipe: Any, tile: Tile | None) -> Iterator[None]:
    """Let the denoiser and the autoencoder wrap around along x, y or both, for as long as the context lasts.

    A convolution pads with what lies at the other side, where it padded with zeros. Raises UsageError for a model that
    knows places by other means than the edge: a transformer has a position for every patch.
    """
    if tile is None:
        yield
        return
    unet = getattr(pipe, "unet", None)
    if unet is None:
        raise UsageError(
            f"{type(pipe).__name__} makes no seamless pictures",
            hint="its transformer knows where the edges are: use a model with a U-Net, or leave tile out",
        )
    import torch

    layers = [
        layer
        for part in (unet, pipe.vae)
        for layer in part.modules()
        if isinstance(layer, torch.nn.Conv2d) and layer.padding_mode == "zeros" and any(_padding(layer))
    ]
    for layer in layers:
        layer._conv_forward = partial(_wrapped, layer, tile)
    try:
        yield
    finally:
        for layer in layers:
            del layer._conv_forward


def _padding(layer: torch.nn.Conv2d) -> tuple[int, int]:
    padding = layer.padding
    return (0, 0) if isinstance(padding, str) else (padding[0], padding[1])


def _wrapped(
    layer: torch.nn.Conv2d, tile: Tile, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None
) -> torch.Tensor:
    from torch.nn.functional import conv2d, pad

    high, wide = _padding(layer)
    x = pad(x, (wide, wide, 0, 0), mode="circular" if tile in ("x", "both") else "constant")
    x = pad(x, (0, 0, high, high), mode="circular" if tile in ("y", "both") else "constant")
    return conv2d(x, weight, bias, layer.stride, 0, layer.dilation, layer.groups)
