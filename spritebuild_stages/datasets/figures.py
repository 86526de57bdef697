"""A training set in figures, and what about it is likely a mistake; changes nothing of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any

import numpy as np

from spritebuild_stages.datasets.artifact import Dataset, Example, Origin, Skipped
from spritebuild_stages.datasets.colors import most_common
from spritebuild_stages.datasets.files import counted

FEW = 50  # pictures: a style wants more
LONG = 60  # words: about the 75 tokens that a CLIP text encoder reads
COLORS = 32  # that are listed


def lint(dataset: Dataset, origins: Sequence[Origin], labels: Iterable[str], held_out: float) -> list[str]:
    """Warnings, each a sentence with figures."""
    examples, count = dataset.examples, len(dataset.examples)
    warnings = []
    if count < FEW:
        warnings.append(f"only {counted(count, 'picture')}: with fewer than {FEW}, what is trained repeats them")
    sizes = Counter(_size(example) for example in examples)
    if len(sizes) > 1:
        warnings.append(
            f"pictures are of {len(sizes)} sizes, mostly {sizes.most_common(1)[0][0]}: give a canvas, `size`"
        )
    scales = Counter(origin.scale for origin in origins)
    if len(scales) > 1:
        each = ", ".join(f"{number} by {scale}" for scale, number in sorted(scales.items()))
        warnings.append(f"pixels are of different sizes: of the pictures, {each} are enlarged")
    warnings += _repeated(examples)
    said = Counter(example.captions for example in examples)
    captions, most = said.most_common(1)[0]
    if 2 * most > count > 1:
        warnings.append(f"{most} of {count} pictures have the same caption: {captions[0]}")
    if long := [example.name for example in examples if max(map(_words, example.captions)) > LONG]:
        warnings.append(f"{counted(len(long), 'picture')} with captions of more than {LONG} words, such as {long[0]}")
    for label in labels:
        if lacking := [example.name for example in examples if label not in example.labels]:
            warnings.append(f"no label {label} for {len(lacking)} of {counted(count, 'picture')}, such as {lacking[0]}")
    if held_out and not any(example.held_out for example in examples):
        warnings.append(f"held_out = {held_out:g} holds out none of {counted(count, 'picture')}")
    return warnings


def summary(
    dataset: Dataset, origins: Sequence[Origin], skipped: Sequence[Skipped], composed: int, warnings: Sequence[str]
) -> dict[str, Any]:
    """Figures of the set, ready for JSON."""
    examples = dataset.examples
    every = [caption for example in examples for caption in example.captions]
    words = [_words(caption) for caption in every]
    distinct, common = most_common((example.pixels for example in examples), COLORS)
    labels: dict[str, Counter[str]] = {}
    for example in examples:
        for label, value in example.labels.items():
            labels.setdefault(label, Counter())[value] += 1
    return {
        "pictures": {
            "all": len(examples),
            "composed": composed,
            "held_out": sum(example.held_out for example in examples),
            "opaque": sum(bool((example.pixels[..., 3] == 255).all()) for example in examples),
            "soft_edged": sum(_is_soft(example) for example in examples),
        },
        "visits": sum(example.repeats for example in examples if not example.held_out),
        "skipped": dict(Counter(skip.reason for skip in skipped)),
        "captions": {
            "all": len(every),
            "distinct": len(set(every)),
            "words": {"least": min(words), "median": median(words), "most": max(words)},
            "by_words": {str(length): count for length, count in sorted(Counter(words).items())},
        },
        "triggers": list(dataset.triggers),
        "labels": {label: dict(values) for label, values in labels.items()},
        "sizes": dict(Counter(_size(example) for example in examples)),
        "original_sizes": dict(Counter(f"{width}x{height}" for width, height in (o.size for o in origins))),
        "scales": dict(Counter(str(origin.scale) for origin in origins)),
        "colors": {"distinct": distinct, "most_common": [{"color": color, "share": share} for color, share in common]},
        "warnings": list(warnings),
    }


def _repeated(examples: Sequence[Example]) -> list[str]:
    groups: dict[tuple[tuple[int, ...], bytes], list[Example]] = {}
    for example in examples:
        groups.setdefault((example.pixels.shape, example.pixels.tobytes()), []).append(example)
    same = [group for group in groups.values() if len(group) > 1]
    if not same:
        return []
    number, (first, second, *_) = sum(len(group) - 1 for group in same), same[0]
    differ = sum(len({example.captions for example in group}) > 1 for group in same)
    told = f", {differ} of them with other captions" if differ else ""
    return [f"{counted(number, 'picture')} the same as another one{told}, such as {first.name} and {second.name}"]


def _size(example: Example) -> str:
    return f"{example.pixels.shape[1]}x{example.pixels.shape[0]}"


def _words(caption: str) -> int:
    return len(caption.split())


def _is_soft(example: Example) -> bool:
    alpha = example.pixels[..., 3]
    return bool(np.any((alpha > 0) & (alpha < 255)))
