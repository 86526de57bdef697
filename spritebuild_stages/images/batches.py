"""Pictures between a dataset and a network: as batches, and as what a network gives back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from spritebuild.errors import UsageError

if TYPE_CHECKING:
    import torch

Rgba = NDArray[np.uint8]
CHUNK_PIXELS, CHUNK = 1 << 21, 256  # what goes through a network at once where nothing is learned
SMALL_GRID = 8  # latents; of a shorter side little but a picture's colors comes back


def batch(pictures: Sequence[Rgba], device: str) -> torch.Tensor:
    """Pictures of one size as fp32 (B, 4, H, W) in -1..1, straight alpha; hidden colors are 0."""
    import torch

    values = torch.from_numpy(np.stack(pictures)).to(device).permute(0, 3, 1, 2).float() / 127.5 - 1
    values[:, :3] *= values[:, 3:] > -1
    return values.contiguous()


def pixels(values: torch.Tensor) -> list[Rgba]:
    """The inverse of `batch`, clamped and rounded half to even; hidden colors are not known any more."""
    rgba = ((values.detach().float() / 2 + 0.5).clamp(0, 1) * 255).round().byte()
    return list(rgba.permute(0, 2, 3, 1).cpu().contiguous().numpy())


def chunks(sizes: Sequence[tuple[int, int]]) -> Iterator[list[int]]:
    """Indices of pictures (height, width), those of one size together, as many as are computed at once."""
    groups: dict[tuple[int, int], list[int]] = {}
    for index, size in enumerate(sizes):
        groups.setdefault(size, []).append(index)
    for (height, width), indices in groups.items():
        count = max(1, min(CHUNK, CHUNK_PIXELS // (height * width)))
        yield from (indices[start : start + count] for start in range(0, len(indices), count))


def check_divisible(named: Sequence[tuple[str, Rgba]], factor: int, what: str, hint: str) -> None:
    """Raise UsageError for a picture whose sides `factor` does not divide."""
    for name, picture in named:
        height, width = picture.shape[:2]
        if height % factor or width % factor:
            nearest = f"{-(-width // factor) * factor}x{-(-height // factor) * factor}"
            raise UsageError(
                f"{name} is {width}x{height}, which does not fit {what}",
                facts=[("sides must be multiples of", f"{factor} pixels"), ("nearest", nearest)],
                hint=hint,
            )


def small_grids(named: Sequence[tuple[str, Rgba]], factor: int) -> list[str]:
    """A warning of pictures that are few latents wide or high."""
    small = [(name, *picture.shape[:2]) for name, picture in named if min(picture.shape[:2]) < factor * SMALL_GRID]
    if not small:
        return []
    name, height, width = min(small, key=lambda one: min(one[1:]))
    grid = f"{width // factor}x{height // factor}"
    rest = f"of {name}, {width}x{height}, a grid of {grid} is left, from which little comes back"
    return [f"{len(small)} of {len(named)} pictures are small for a factor of {factor}: {rest}"]
