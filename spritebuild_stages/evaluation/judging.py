"""Every number of a set of pictures beside a reference set; reads and writes no file.

What a number means is said where it is computed: `pixel_metrics`, `feature_metrics`, and here.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spritebuild_stages._draws import hashed
from spritebuild_stages.datasets.artifact import Example
from spritebuild_stages.datasets.colors import color_word
from spritebuild_stages.evaluation import feature_metrics, pixel_metrics
from spritebuild_stages.evaluation.pixel_metrics import Gallery, Palette

if TYPE_CHECKING:
    from spritebuild_stages.evaluation.classifier_net import Classifier

Rgba = NDArray[np.uint8]

YARDSTICK = 256  # real pictures, at most, whose distances tell which are too small
PERCENTILE = 1.0  # of these distances: no farther is a copy
JUST_SEEN = 2.0  # of palette distance
DECIMALS = {
    "palette_distance": 3,
    "color_distance": 3,
    "kid": 5,
    "density": 3,
    "nearest_training_distance": 5,
    "match": 2,
}
OTHER_DECIMALS = 4


@dataclass(frozen=True, eq=False)
class Shown:
    """A picture to judge, and what it should show: a class and a color, "" for no matter what."""

    name: str
    pixels: Rgba
    label: str = ""
    color: str = ""


@dataclass(frozen=True, eq=False)
class Reference:
    """The set that pictures are compared with.

    The palette and the nearest pictures are sought in all pictures that are not held out. Edges and features are
    compared with those of the classes in `labels` only, if there are any: a set of potions is no worse for showing no
    dragon.
    """

    examples: Sequence[Example]
    classifier: Classifier | None = None
    labels: frozenset[str] = frozenset()

    @cached_property
    def learned(self) -> list[Example]:
        """The pictures that a training saw."""
        return [example for example in self.examples if not example.held_out]

    @cached_property
    def compared(self) -> list[Example]:
        """Those of them that edges and features are compared with."""
        return [example for example in self.learned if self._counts(example)]

    @cached_property
    def held_out(self) -> list[Shown]:
        """Real pictures that no training saw, of the classes that are compared."""
        held = [example for example in self.examples if example.held_out and self._counts(example)]
        return [Shown(example.name, example.pixels, self._label(example)) for example in held]

    @cached_property
    def palette(self) -> Palette:
        """The colors."""
        return Palette.of([example.pixels for example in self.learned])

    @cached_property
    def own_palette_distance(self) -> float:
        """The palette distance of the very pictures that the palette is of."""
        pixels = np.concatenate([example.pixels.reshape(-1, 4) for example in self.learned])
        return float(pixel_metrics.palette_distances([pixels[None]], self.palette)[0][0])

    @cached_property
    def color_spread(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and covariance of the colors."""
        return pixel_metrics.color_spread([example.pixels for example in self.learned])

    @cached_property
    def edges(self) -> NDArray[np.float64]:
        """The edge histogram."""
        return pixel_metrics.edge_histogram([example.pixels for example in self.compared])

    @cached_property
    def features(self) -> NDArray[np.float64]:
        """The classifier's features, (N, D)."""
        assert self.classifier is not None
        return self.classifier.read([example.pixels for example in self.compared])[0]

    def nearest(self, rgba: Rgba) -> tuple[int, float]:
        """The place of the nearest of `learned`, and its distance."""
        key = rgba.shape, rgba.tobytes()
        if key not in self._found:
            self._found[key] = self._gallery.nearest(rgba)
        return self._found[key]

    @cached_property
    def yardstick(self) -> tuple[str, list[float]]:
        """How far real pictures are from the nearest training picture, and which ones these are.

        Those held out; where there is none, training pictures, each from the nearest other one. 256 at most.
        """
        held = [example for example in self.examples if example.held_out]
        if held:
            return "held out", [self.nearest(example.pixels)[1] for example in _some(held)]
        if len(self.learned) < 2:
            return "no other picture", []
        places = {example.name: place for place, example in enumerate(self.learned)}
        some = [(example.pixels, places[example.name]) for example in _some(self.learned)]
        return "trained on, each left out", [self._gallery.nearest(pixels, place)[1] for pixels, place in some]

    @cached_property
    def threshold(self) -> float:
        """The distance from a training picture at which a picture is one that was memorized."""
        return float(np.percentile(self.yardstick[1], PERCENTILE)) if self.yardstick[1] else 0.0

    @cached_property
    def _gallery(self) -> Gallery:
        return Gallery([example.pixels for example in self.learned])

    @cached_property
    def _found(self) -> dict[tuple[tuple[int, ...], bytes], tuple[int, float]]:
        return {}  # real pictures that are held out are asked for twice

    def _label(self, example: Example) -> str:
        """The picture's class, "" for one that the classifier does not know."""
        about = None if self.classifier is None else self.classifier.about
        label = "" if about is None else example.labels.get(about.label, "")
        return label if about is not None and label in about.classes else ""

    def _counts(self, example: Example) -> bool:
        return not self.labels or self._label(example) in self.labels


@dataclass(frozen=True)
class Judged:
    """The numbers of a set, of each of its pictures in the order given, and the terms of the match (None: unknown)."""

    figures: Mapping[str, float | int | None]
    pictures: Sequence[Mapping[str, Any]]
    terms: Mapping[str, float | None]


def judged(pictures: Sequence[Shown], reference: Reference, weights: Mapping[str, float]) -> Judged:
    """Every number of one or more pictures; those of the set do not depend on their order.

    `class_accuracy` is the share of the pictures with a label that the classifier reads as it (0..1);
    `relative_class_accuracy` is that over the classifier's own on held-out pictures, the mean by class: 1 for pictures
    that are read as well as real ones. `color_accuracy` is the share of the pictures with a color whose dominant color
    has that name (0..1). `nearest_training_distance` is the median of the pictures', and `memorized` counts those no
    farther than the first percentile of real pictures that were not trained on.
    """
    bytes_of = [(picture.pixels.shape, picture.pixels.tobytes()) for picture in pictures]
    order = sorted(range(len(pictures)), key=bytes_of.__getitem__)
    shown = [pictures[place] for place in order]
    pixels = [picture.pixels for picture in shown]
    apart, opaque = pixel_metrics.palette_distances(pixels, reference.palette)
    nearest = [reference.nearest(one) for one in pixels]
    colors = [color_word(one) for one in pixels]
    one_by_one: list[dict[str, Any]] = []
    for picture, distance, seen, (place, away), color in zip(shown, apart, opaque, nearest, colors, strict=True):
        facts = {
            "name": picture.name,
            "palette_distance": float(distance) if seen else None,
            "nearest": reference.learned[place].name,
            "nearest_training_distance": away,
            "memorized": away <= reference.threshold,
            "color": color,
            **({"expected_color": picture.color} if picture.color else {}),
        }
        one_by_one.append(facts)
    figures: dict[str, float | int | None] = {
        "pictures": len(pictures),
        "palette_distance": float(apart @ opaque / opaque.sum()) if opaque.any() else None,
        "palette_coverage": pixel_metrics.palette_coverage(pixels, reference.palette),
        "color_distance": pixel_metrics.color_distance(pixel_metrics.color_spread(pixels), reference.color_spread),
        "edge_similarity": pixel_metrics.edge_similarity(pixel_metrics.edge_histogram(pixels), reference.edges),
        "nearest_training_distance": statistics.median(away for _, away in nearest),
        "memorized": sum(facts["memorized"] for facts in one_by_one),
        "color_accuracy": _share([(picture.color, color) for picture, color in zip(shown, colors, strict=True)]),
    }
    if reference.classifier is not None:
        figures |= _read(shown, reference, reference.classifier, one_by_one)
    terms = _terms(figures, reference)
    figures = {"match": match(terms, weights), **figures}
    back = dict(zip(order, one_by_one, strict=True))
    return Judged(rounded(figures), [rounded(back[place]) for place in range(len(pictures))], rounded(terms))


def _read(
    shown: Sequence[Shown], reference: Reference, classifier: Classifier, one_by_one: Sequence[dict[str, Any]]
) -> dict[str, float | int | None]:
    """The numbers that need a classifier; what it reads of each picture is added to its facts."""
    features, chances = classifier.read([picture.pixels for picture in shown])
    names = classifier.named(chances)
    for facts, picture, name, chance in zip(one_by_one, shown, names, chances.max(axis=1), strict=True):
        facts |= {"read_as": name, "confidence": float(chance)} | ({"label": picture.label} if picture.label else {})
    accuracy = _share([(picture.label, name) for picture, name in zip(shown, names, strict=True)])
    own = classifier.about.balanced
    spread = feature_metrics.spread(features, reference.features)
    density, coverage, expected = spread or (None, None, None)
    return {
        "kid": feature_metrics.kid(features, reference.features),
        "density": density,
        "coverage": coverage,
        "expected_coverage": expected,
        "class_accuracy": accuracy,
        "relative_class_accuracy": accuracy / own if accuracy is not None and own else None,
    }


def _terms(figures: Mapping[str, float | int | None], reference: Reference) -> dict[str, float | None]:
    """The terms of the match, each 0..1 and 1 for real pictures.

    - palette: 1 / 2^(e / 2), where e is what the palette distance exceeds that of the reference set itself by: half
      for every difference that is just seen; 0 where nothing is opaque.
    - edges: the edge similarity.
    - coverage: coverage over `expected_coverage`, at most 1.
    - classes: the relative class accuracy, at most 1.
    """
    distance, coverage = figures["palette_distance"], figures.get("coverage")
    expected, classes = figures.get("expected_coverage"), figures.get("relative_class_accuracy")
    excess = np.inf if distance is None else max(0.0, distance - reference.own_palette_distance)
    return {
        "palette": float(2 ** (-excess / JUST_SEEN)),
        "edges": figures["edge_similarity"],
        "coverage": None if coverage is None or not expected else min(1.0, coverage / expected),
        "classes": None if classes is None else min(1.0, classes),
    }


def match(terms: Mapping[str, float | None], weights: Mapping[str, float]) -> float | None:
    """How well a set matches the reference, in percent: 100 times the weighted mean of the terms that are known.

    0..100. None where every term that is known has the weight 0.
    """
    known = {name: value for name, value in terms.items() if value is not None}
    total = sum(weights[name] for name in known)
    return 100 * sum(weights[name] * value for name, value in known.items()) / total if total else None


def rounded(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Figures with as many decimals as mean anything."""
    return {
        name: round(value, DECIMALS.get(name, OTHER_DECIMALS)) if isinstance(value, float) else value
        for name, value in figures.items()
    }


def _share(pairs: Sequence[tuple[str, str]]) -> float | None:
    """The share of pairs (wanted, found) that agree, of those where something is wanted."""
    asked = [wanted == found for wanted, found in pairs if wanted]
    return sum(asked) / len(asked) if asked else None


def _some(examples: Sequence[Example]) -> list[Example]:
    return sorted(examples, key=lambda example: hashed("yardstick", example.name))[:YARDSTICK]
