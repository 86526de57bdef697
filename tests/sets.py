"""Files of a training set, made of them by the dataset stage, for tests to look into."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from spritebuild.stage import BoundAction, Context
from spritebuild_stages.dataset import Dataset
from spritebuild_stages.datasets import artifact
from spritebuild_stages.images import png

Content = NDArray[np.uint8] | str | bytes
OPAQUE = np.array((0, 0, 0, 255), np.uint8)
SPRITES = Path(__file__).parents[1] / "../shared/data/dcss"
OUTPUTS = ("images.safetensors", "manifest.json", "report.png", "summary.json")
needs_sprites = pytest.mark.skipif(not SPRITES.is_dir(), reason="needs the sprites")


def sprite(number: int = 0, width: int = 8, height: int = 8) -> NDArray[np.uint8]:
    """A picture of its own: noise with transparent pixels."""
    rgba = np.random.default_rng(number).integers(0, 256, (height, width, 4), np.uint8)
    rgba[..., 3] = 255 * (rgba[..., 3] > 60)
    rgba[rgba[..., 3] == 0] = 0
    return rgba


def flat(color: tuple[int, int, int], side: int = 8) -> NDArray[np.uint8]:
    """A square of one color with a black outline, as sprites have."""
    rgba = np.zeros((side, side, 4), np.uint8)
    rgba[1:-1, 1:-1] = (0, 0, 0, 255)
    rgba[2:-2, 2:-2] = (*color, 255)
    return rgba


def put(folder: Path, files: Mapping[str, Content]) -> dict[str, Path]:
    """Pictures, texts and bytes as files, by their paths in the folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif isinstance(content, str):
            path.write_text(content, "utf-8")
        else:
            png.write(path, content)
    return {name: folder / name for name in files}


def captioned(count: int) -> dict[str, Content]:
    """That many pictures with their texts."""
    pictures: dict[str, Content] = {f"s{n}.png": sprite(n) for n in range(count)}
    return pictures | {f"s{n}.txt": f"sprite number {n}" for n in range(count)}


class Made:
    """What the stage wrote, and its notes."""

    def __init__(self, folder: Path, notes: Any) -> None:
        self.folder = folder
        self.warnings: list[str] = notes["warnings"]
        self.manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_bytes())
        self.summary: dict[str, Any] = json.loads((folder / "summary.json").read_bytes())
        self.dataset = artifact.read(folder / "images.safetensors", folder / "manifest.json")

    @property
    def names(self) -> list[str]:
        return [example.name for example in self.dataset.examples]

    @property
    def captions(self) -> dict[str, tuple[str, ...]]:
        return {example.name: example.captions for example in self.dataset.examples}

    @property
    def skipped(self) -> dict[str, str]:
        return {skip["name"]: skip["reason"] for skip in self.manifest["skipped"]}

    def bytes(self) -> list[bytes]:
        return [(self.folder / name).read_bytes() for name in OUTPUTS]

    def __getitem__(self, name: str) -> artifact.Example:
        return next(example for example in self.dataset.examples if example.name == name)


def make(folder: Path, given: Mapping[str, Path] | Path, **told: Any) -> Made:
    """Run the stage on files or a source; `corrections` is an input, the rest are params."""
    corrections = told.pop("corrections", None)
    folder = folder / "out"
    folder.mkdir(exist_ok=True)
    inputs = {"source": given} if isinstance(given, Path) else {"files": dict(given)}
    outputs = Dataset.Outputs(
        **{name: folder / str(info.default) for name, info in Dataset.Outputs.model_fields.items()}
    )
    params = Dataset.Params.model_validate({"min_images": 1, **told})
    action = BoundAction(params, Dataset.Inputs.model_validate({**inputs, "corrections": corrections}), outputs)
    return Made(folder, Dataset().run(action, Context(memory=folder)))


def auto(folder: Path, names: Iterable[str], **told: Any) -> Made:
    """A set of pictures with those names, captioned by their names unless told otherwise."""
    given = put(folder, {name: sprite(number) for number, name in enumerate(names)})
    return make(folder, given, **{"captions": "auto", "templates": ["{name}"], **told})
