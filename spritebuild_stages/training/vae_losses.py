"""What an autoencoder of sprites is trained to lose little of; knows no training and no files but of features.

Pictures are (B, 4, H, W) in -1..1, straight alpha, hidden colors 0. Every loss is a scalar, zero at best and never
negative. Importing this imports torch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from spritebuild.errors import UsageError
from spritebuild_stages import _pretrained

# Rows: luma, orange-blue and green-magenta chroma, alpha. Chroma counts more than its share of an RGB error: by that
# share alone, the hue of small sprites is learned several times later than their shape.
ERROR_SPACE = ((0.375, 0.75, 0.375, 0.0), (1.0, 0.0, -1.0, 0.0), (-0.5, 1.0, -0.5, 0.0), (0.0, 0.0, 0.0, 1.0))
HIDDEN = 0.1  # what a color under alpha 0 counts
MEAN_SIDE = 4  # pixels; means over squares of that side tell hues before edges are sharp
INTER = 0.5  # what keeping apart counts beside keeping together
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def reconstruction(output: Tensor, target: Tensor) -> dict[str, Tensor]:
    """Errors in luma, chroma and alpha: l1, l2, that of the edges, and that of means over 4x4 pixels."""
    error = torch.einsum("ij,bjhw->bihw", torch.tensor(ERROR_SPACE, device=output.device), output.float() - target)
    visible = HIDDEN + (1 - HIDDEN) * (target[:, 3:] > -1)
    error = torch.cat([error[:, :3] * visible, error[:, 3:]], 1)
    across, down = error[..., 1:] - error[..., :-1], error[..., 1:, :] - error[..., :-1, :]
    means = functional.avg_pool2d(error, MEAN_SIDE, ceil_mode=True, count_include_pad=False)
    return {
        "l1": error.abs().mean(),
        "l2": error.square().mean(),
        "edges": across.abs().mean() + down.abs().mean(),
        "mean": means.square().mean(),
    }


def divergence(mean: Tensor, logvar: Tensor) -> Tensor:
    """Kullback-Leibler divergence of N(mean, exp(logvar)) from N(0, 1), nats a number of the latents.

    Source: Kingma and Welling 2013 (arXiv 1312.6114), appendix B.
    """
    return 0.5 * (mean.float().square() + logvar.float().exp() - 1 - logvar.float()).mean()


def direction(latents: Tensor, labels: Sequence[str | None], margin: float) -> Tensor:
    """How little the latents (B, ...) of equal labels keep together and those of different ones apart: 0 to 1.5.

    within + 0.5 * apart. `within` is the share of the variance that is within the classes (1 at most, whatever the
    scale). `apart` is the mean over pairs of centroids of max(0, 1 - distance / margin)^2, the distance being the root
    mean square over the numbers of a latent: beyond the margin nothing pushes on. (Minus the distance, the textbook
    term, has no lower bound: latents run away.) Labels that fewer than two latents have are left out, and with fewer
    than two labels left there is nothing to tell apart, which is 0.
    """
    flat = latents.float().flatten(1)
    members: dict[str, list[int]] = {}
    for index, label in enumerate(labels):
        if label is not None:
            members.setdefault(label, []).append(index)
    classes = [flat[indices] for _, indices in sorted(members.items()) if len(indices) > 1]
    if len(classes) < 2:
        return flat.sum() * 0
    centroids = torch.stack([group.mean(0) for group in classes])
    everyone = torch.cat(classes)
    inside = sum((group - center).square().sum() for group, center in zip(classes, centroids, strict=True))
    within = inside / (everyone - everyone.mean(0)).square().sum().clamp(min=1e-8)
    first, second = torch.triu_indices(len(classes), len(classes), 1, device=flat.device)
    # the root has no slope at zero, where two centroids are the same
    distances = ((centroids[first] - centroids[second]).square().mean(1) + 1e-8).sqrt()
    apart = functional.relu(1 - distances / margin).square().mean()
    return within + INTER * apart


def perceptual(folder: Path, size: tuple[int, int], device: str) -> Callable[[Tensor, Tensor], Tensor]:
    """A loss in the features of an image model of transformers: the mean over its layers of squared differences.

    Features are normalized to length 1 at every place, as in LPIPS without its learned weights (Zhang et al. 2018,
    arXiv 1801.03924). Pictures are laid on gray. Raises UsageError for a model that has none, or none of pictures of
    that size (height, width).
    """
    from transformers import AutoModel

    _pretrained.config(folder, "")
    model = _pretrained.load(AutoModel, folder).to(device).eval().requires_grad_(False)
    mean, deviation = _normalization(folder, device)

    def features(pictures: Tensor) -> list[Tensor]:
        alpha = ((pictures[:, 3:].float() + 1) / 2).clamp(0, 1)
        on_gray = (pictures[:, :3].float() * alpha + 1) / 2
        given = (on_gray - mean) / deviation
        return [_unit(layer) for layer in model(given, output_hidden_states=True).hidden_states]

    def loss(output: Tensor, target: Tensor) -> Tensor:
        with torch.no_grad():
            wanted = features(target)
        layers = [(one - other).square().sum(1).mean() for one, other in zip(features(output), wanted, strict=True)]
        return torch.stack(layers).mean()

    try:
        with torch.no_grad():
            features(torch.zeros(1, 4, *size, device=device))
    except (TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise UsageError(
            f"the image model has no features of pictures of {size[1]}x{size[0]}",
            where=str(folder),
            facts=[("reported", error)],
            hint="use a convolutional network, such as a ResNet",
        ) from error
    return loss


def _normalization(folder: Path, device: str) -> tuple[Tensor, Tensor]:
    """The mean and deviation of colors (1, 3, 1, 1) that the model was trained with, those of ImageNet by default."""
    path = folder / "preprocessor_config.json"
    declared: dict[str, Any] = _pretrained.read_json(path) if path.is_file() else {}
    given = (declared.get("image_mean", IMAGENET[0]), declared.get("image_std", IMAGENET[1]))
    mean, deviation = (torch.tensor(value, dtype=torch.float32, device=device).view(1, 3, 1, 1) for value in given)
    return mean, deviation


def _unit(layer: Tensor) -> Tensor:
    """(B, C, H, W), or (B, N, C) of a transformer, with channels second and of length 1."""
    channels_second = layer if layer.dim() == 4 else layer.transpose(1, 2)
    return channels_second / (channels_second.square().sum(1, keepdim=True) + 1e-10).sqrt()
