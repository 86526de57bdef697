"""Pictures changed so that they still show the same: mirrored, moved, lighter, recolored. Imports torch."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from spritebuild_stages._draws import chance, hashed
from spritebuild_stages.images.integers import LUMA

STOPS = 5  # colors of a ramp, from black to white
STRAY = 0.3  # how far a channel of a stop is from its gray, at most
LEVELS = range(4, 9)  # of light, that half of the recolored pictures have left


def augmented(
    pictures: Tensor,
    place: tuple[int, ...],
    *,
    flip: bool = False,
    shift: int = 0,
    brightness: float = 0.0,
    recolor: float = 0.0,
) -> Tensor:
    """Each of (B, 4, H, W) changed as drawn for its place: `place`, such as (seed, batch), and its slot.

    Colors are in -1..1, alpha in 0..1, all 0 where alpha is 0. Half of the pictures are mirrored left to right. All are
    moved by up to `shift` pixels on both axes, and lose what leaves the canvas. Light is multiplied by 1 - brightness
    to 1 + brightness, and by no more than makes the brightest channel full: all channels alike, so that hues stay. A
    share `recolor` of the pictures has the colors of a ramp of its own instead, by its lights and darks.
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
    if recolor:
        chosen = [slot for slot in slots if chance(*place, slot, "recolor") < recolor]
        if chosen:
            pictures = pictures.clone()
            pictures[chosen] = torch.stack([_recolored(pictures[slot], (*place, slot)) for slot in chosen])
    return pictures


def _recolored(picture: Tensor, place: tuple[int, ...]) -> Tensor:
    """One of (4, H, W) in the colors of a ramp, in half of the cases in few of them."""
    visible = picture[3:] > 0
    light = (
        (((picture[:3] + 1) / 2) * picture.new_tensor([part / 1000 for part in LUMA])[:, None, None])
        .sum(dim=0)
        .clamp(0, 1)
    )
    if chance(*place, "few") < 0.5:
        steps = LEVELS[hashed(*place, "levels") % len(LEVELS)] - 1
        light = (light * steps).round() / steps
    stray = [[2 * chance(*place, stop, channel) - 1 for channel in range(3)] for stop in range(STOPS)]
    grays = torch.linspace(0, 1, STOPS, device=picture.device)[:, None]
    ramp = (grays + STRAY * picture.new_tensor(stray)).clamp(0, 1)
    at = light * (STOPS - 1)
    below = at.long().clamp(max=STOPS - 2)
    colors = torch.lerp(ramp[below], ramp[below + 1], (at - below)[..., None]).permute(2, 0, 1)
    return torch.cat([(colors * 2 - 1) * visible, picture[3:]])
