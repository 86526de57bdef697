"""A training set on the disk: pixels in a safetensors file, what is said of them in a manifest; knows no training.

The `dataset` stage writes both, the training stages read them. The manifest names the digest of the pixels' file, so
that two files of different sets are never taken for one.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spritebuild.errors import MachineError, UsageError

VERSION = 1
HINT = "take both files from one run of the dataset stage"


@dataclass(frozen=True, eq=False)
class Example:
    """One picture: uint8 (H, W, 4), straight alpha, no color under alpha 0. Its captions say the same in other words.

    `repeats` and `weight` are both how often it is visited: times in an epoch, and a factor on random draws.
    """

    name: str
    captions: tuple[str, ...]
    pixels: NDArray[np.uint8]
    repeats: int = 1
    weight: float = 1.0
    held_out: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Dataset:
    """Examples in a fixed order, and the words that every caption contains."""

    examples: tuple[Example, ...]
    triggers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Origin:
    """What a picture was before it came onto its canvas: width and height, and the factor it was enlarged by."""

    size: tuple[int, int]
    scale: int = 1


@dataclass(frozen=True)
class Skipped:
    """A file that was left out: `reason` is one of a few phrases, `detail` says more of this one."""

    name: str
    reason: str
    detail: str = ""


def originals(examples: Iterable[Example]) -> dict[str, str]:
    """For the name of each picture, that of the one that it is a copy of in another color, or its own."""
    names = [example.name for example in examples]
    there = set(names)
    return {name: of if (of := name.rpartition("@")[0]) in there else name for name in names}


def write(
    images: Path,
    manifest: Path,
    dataset: Dataset,
    *,
    origins: Sequence[Origin] | None = None,
    skipped: Sequence[Skipped] = (),
) -> None:
    """Write a set; equal sets give equal bytes. `origins` are those of the examples, by default as they are.

    Raises MachineError where safetensors is not installed.
    """
    entries = []
    if origins is None:
        origins = [Origin((example.pixels.shape[1], example.pixels.shape[0])) for example in dataset.examples]
    for tensor, example, origin in zip(_tensors(len(origins)), dataset.examples, origins, strict=True):
        height, width = example.pixels.shape[:2]
        entries.append(
            {
                "name": example.name,
                "tensor": tensor,
                "captions": list(example.captions),
                "size": [width, height],
                "original_size": list(origin.size),
                "scale": origin.scale,
                "repeats": example.repeats,
                "weight": float(example.weight),
                "held_out": example.held_out,
                "labels": dict(example.labels),
            }
        )
    pixels = (np.ascontiguousarray(example.pixels) for example in dataset.examples)
    # No metadata: the library writes more than one entry of it in a random order.
    data = _library().numpy.save(dict(zip(_tensors(len(entries)), pixels, strict=True)))
    images.write_bytes(data)
    left_out = [
        {"name": skip.name, "reason": skip.reason} | ({"detail": skip.detail} if skip.detail else {})
        for skip in skipped
    ]
    about = {
        "version": VERSION,
        "images_sha256": hashlib.sha256(data).hexdigest(),
        "triggers": list(dataset.triggers),
        "pictures": entries,
        "skipped": left_out,
    }
    manifest.write_text(canonical(about), encoding="utf-8", newline="\n")


def read(images: Path, manifest: Path) -> Dataset:
    """Read a set that `write` wrote. Raises UsageError for two files that are no set or not of one set."""
    about = _manifest(manifest)
    safetensors = _library()
    data = images.read_bytes()
    if hashlib.sha256(data).hexdigest() != about["images_sha256"]:
        facts = [("pictures", images), ("manifest", manifest)]
        raise UsageError("the pictures are not those of the manifest", facts=facts, hint=HINT)
    try:
        tensors = safetensors.numpy.load(data)
        examples = tuple(
            _example(entry, tensors.pop(tensor))
            for tensor, entry in zip(_tensors(len(about["pictures"])), about["pictures"], strict=True)
        )
    except (ValueError, KeyError, TypeError, AttributeError, safetensors.SafetensorError) as error:
        raise UsageError(f"no training set: {error}", where=str(images), hint=HINT) from error
    if tensors:
        raise UsageError(f"pictures that are not in the manifest: {len(tensors)}", where=str(images), hint=HINT)
    return Dataset(examples, tuple(about["triggers"]))


def canonical(value: object) -> str:
    """JSON with sorted keys: equal values, equal text."""
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def _manifest(path: Path) -> dict[str, Any]:
    try:
        about = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise UsageError(f"not JSON: {error}", where=str(path), hint=HINT) from error
    keys = {"images_sha256", "triggers", "pictures"}
    if not isinstance(about, dict) or not keys <= about.keys() or about.get("version") != VERSION:
        raise UsageError(f"not the manifest of a training set of version {VERSION}", where=str(path), hint=HINT)
    return about


def _example(entry: Mapping[str, Any], pixels: NDArray[Any]) -> Example:
    """The example of an entry. Raises ValueError, KeyError or TypeError if it cannot be."""
    name, (width, height) = str(entry["name"]), entry["size"]
    if pixels.dtype != np.uint8 or pixels.shape != (height, width, 4):
        raise ValueError(f"{name} is {pixels.dtype} {pixels.shape}, not uint8 {(height, width, 4)}")
    captions, repeats, weight = tuple(map(str, entry["captions"])), int(entry["repeats"]), float(entry["weight"])
    if not captions or repeats < 1 or not (weight > 0 and math.isfinite(weight)):
        raise ValueError(f"{name} has no caption, or is never visited")
    return Example(name, captions, pixels, repeats, weight, bool(entry["held_out"]), dict(entry["labels"]))


def _tensors(count: int) -> list[str]:
    return [f"{place:06d}" for place in range(count)]


def _library() -> Any:
    """The module `safetensors`, with its functions for NumPy."""
    try:
        import safetensors.numpy
    except ImportError as error:
        raise MachineError(
            "training sets need safetensors, which is not installed",
            facts=[("reported", error)],
            hint='pip install "spritebuild[diffusion]"',
        ) from error
    return safetensors
