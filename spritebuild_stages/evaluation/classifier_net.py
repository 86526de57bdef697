"""A small residual network that reads a label from a sprite of any size, and its file; trains nothing.

Residual blocks with the activation before the convolution: He et al. 2016, arXiv 1603.05027; groups are normalized
(Wu and He 2018, arXiv 1803.08494), so that what is read of a picture depends on no other picture of its batch.
Importing this imports torch.
"""

# mypy: disable-error-code="misc,no-any-return"
# the classes of torch are not typed

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from spritebuild.errors import UsageError
from spritebuild_stages import _tensors
from spritebuild_stages.images import batches

FORMAT = "spritebuild-classifier-1"
CHANNELS_A_GROUP = 8
Rgba = NDArray[np.uint8]


@dataclass(frozen=True)
class About:
    """What the file says beside the weights. Accuracies are shares of held-out pictures, `balanced` the mean by class.

    `by_class` lacks classes of which no picture was held out. `dataset` is the digest of the manifest.
    """

    label: str
    classes: tuple[str, ...]
    channels: tuple[int, ...]
    layers: int
    accuracy: float
    balanced: float
    by_class: Mapping[str, float]
    dataset: str


class Network(nn.Module):
    """Fp32 (B, 4, H, W) as `values` gives them to logits (B, classes), by way of features (B, channels[-1])."""

    def __init__(self, channels: Sequence[int], layers: int, classes: int, dropout: float = 0.0) -> None:
        super().__init__()
        # the grid is halved at once: a level on all pixels costs as much as all the others, and reads no better
        self.stem = nn.Conv2d(4, channels[0], 3, stride=2, padding=1)
        blocks, before = [], channels[0]
        for level, width in enumerate(channels):
            for layer in range(layers):
                blocks.append(_Block(before, width, stride=2 if level and not layer else 1))
                before = width
        self.blocks = nn.Sequential(*blocks)
        self.norm = _norm(before)
        self.head = nn.Linear(before, classes)
        self.dropout = dropout

    def features(self, values: Tensor) -> Tensor:
        """The penultimate vectors, each of mean 0 and variance 1: their products, over their length, are in -1..1."""
        grid = functional.relu(self.norm(self.blocks(self.stem(values))))
        return functional.layer_norm(grid.mean((2, 3)).float(), grid.shape[1:2])

    def forward(self, values: Tensor) -> Tensor:
        """The logits."""
        return self.head(functional.dropout(self.features(values), self.dropout, self.training))


class _Block(nn.Module):
    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = _norm(before), _norm(width)
        self.conv1 = nn.Conv2d(before, width, 3, stride, padding=1, bias=False)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.skip = nn.Conv2d(before, width, 1, stride, bias=False) if stride > 1 or before != width else None

    def forward(self, grid: Tensor) -> Tensor:
        active = functional.relu(self.norm1(grid))
        skipped = grid if self.skip is None else self.skip(active)
        return skipped + self.conv2(functional.relu(self.norm2(self.conv1(active))))


def values(pictures: Sequence[Rgba], device: str) -> Tensor:
    """Pictures of one size as fp32 (B, 4, H, W): colors in -1..1, alpha in 0..1, and 0 throughout where alpha is 0.

    So what is transparent is what the convolutions pad with.
    """
    found = torch.from_numpy(np.stack(pictures)).to(device).permute(0, 3, 1, 2).float() / 255
    alpha = found[:, 3:]
    return torch.cat([(found[:, :3] * 2 - 1) * (alpha > 0), alpha], dim=1)


@dataclass(frozen=True, eq=False)
class Classifier:
    """A trained network, ready to read."""

    about: About
    network: Network
    device: str

    def read(self, pictures: Sequence[Rgba]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Features (N, D) and the probability of every class (N, classes) of pictures of any sizes."""
        width, classes = self.about.channels[-1], len(self.about.classes)
        features, chances = np.zeros((len(pictures), width)), np.zeros((len(pictures), classes))
        self.network.eval()
        with torch.no_grad():
            for chunk in batches.chunks([picture.shape[:2] for picture in pictures]):
                found = self.network.features(values([pictures[index] for index in chunk], self.device))
                features[chunk] = found.double().cpu().numpy()
                chances[chunk] = self.network.head(found).double().softmax(dim=1).cpu().numpy()
        return features, chances

    def named(self, chances: NDArray[np.float64]) -> list[str]:
        """The likeliest class of each of (N, classes)."""
        return [self.about.classes[index] for index in chances.argmax(axis=1)]


def save(path: Path, classifier: Classifier) -> None:
    """Write a classifier; equal ones give equal bytes."""
    said = {name: json.dumps(value, sort_keys=True) for name, value in asdict(classifier.about).items()}
    _tensors.write(path, classifier.network.state_dict(), {"format": FORMAT, **said})


def load(path: Path, device: str) -> Classifier:
    """Read what `save` wrote. Raises UsageError for any other file."""
    from safetensors import SafetensorError, safe_open

    hint = "take classifier.safetensors of the train-classifier stage"
    try:
        with safe_open(path, "pt", device="cpu") as file:
            said = dict(file.metadata() or {})
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no dict
        if said.pop("format", None) != FORMAT:
            raise UsageError(f"not a classifier of the format {FORMAT}", where=str(path), hint=hint)
        about = _about({name: json.loads(text) for name, text in said.items()})
        with torch.device("meta"):
            network = Network(about.channels, about.layers, len(about.classes))
        network.load_state_dict(tensors, assign=True)
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise UsageError(f"not a classifier: {error}", where=str(path), hint=hint) from error
    return Classifier(about, network.to(device), device)


def _about(said: Mapping[str, Any]) -> About:
    return About(**{**said, "classes": tuple(said["classes"]), "channels": tuple(said["channels"])})


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(channels // CHANNELS_A_GROUP, channels)
