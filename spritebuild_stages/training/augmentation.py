"""Pictures changed so that they still show the same: mirrored, moved, darker, lighter. Importing this imports torch."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from spritebuild_stages._draws import chance, hashed


def augmented(
    pictures: Tensor, place: tuple[int, ...], *, flip: bool = False, shift: int = 0, brightness: float = 0.0
) -> Tensor:
    """Each of (B, 4, H, W) changed as drawn for its place: `place`, such as (seed, batch), and its slot.

    Colors are in -1..1, alpha in 0..1, all 0 where alpha is 0. Half of the pictures are mirrored left to right. All are
    moved by up to `shift` pixels on both axes, and lose what leaves the canvas. Light is multiplied by 1 - brightness
    to 1 + brightness, and by no more than makes the brightest channel full: all channels alike, so that hues stay.
    """
    slots, device = range(len(pictures)), pictures.device
    if flip:
        mirrored = torch.tensor([chance(*place, slot, "flip") < 0.5 for slot in slots], device=device)
        pictures = torch.where(mirrored[:, None, None, None], pictures.flip(3), pictures)
    if shift:
        moves = [[hashed(*place, slot, axis) % (2 * shift + 1) for slot in slots] for axis in ("y", "x")]
        top, left = (torch.tensor(move, device=device)[:, None] for move in moves)
        rows, columns = (torch.arange(side, device=device) for side in pictures.shape[2:])
        padded = functional.pad(pictures, (shift,) * 4)
        batch = torch.arange(len(pictures), device=device)[:, None, None]
        moved = padded[batch, :, (rows + top)[:, :, None], (columns + left)[:, None, :]]
        pictures = moved.permute(0, 3, 1, 2).contiguous()
    if brightness:
        drawn = [1 + brightness * (2 * chance(*place, slot, "brightness") - 1) for slot in slots]
        visible = pictures[:, 3:] > 0
        light = (pictures[:, :3] + 1) / 2 * visible
        most = light.amax(dim=(1, 2, 3)).clamp(min=1e-6)
        factors = torch.minimum(torch.tensor(drawn, device=device), 1 / most)
        changed = (light * factors[:, None, None, None] * 2 - 1) * visible
        pictures = torch.cat([changed, pictures[:, 3:]], dim=1)
    return pictures
