"""All measures of one sprite together, each with what a sentence needs; knows neither limits nor references."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spritebuild_stages.art import banding, cells, measures, silhouette
from spritebuild_stages.art.picture import Picture
from spritebuild_stages.ops.quantize import Palette
from spritebuild_stages.ops.seam import seam

PARTS = 1000  # of which a seam's place among the cuts inside is told
FULL = 10, 9  # of the canvas to what is visible: a tile, whose silhouette is its canvas, not a shape


@dataclass(frozen=True)
class Value:
    """A measure: a count, alone or out of so many (`of`), and what more is known of it."""

    count: int
    of: int = 0
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def number(self) -> Fraction:
        """The share where it is one, else the count."""
        return Fraction(self.count, self.of) if self.of else Fraction(self.count)


@dataclass(frozen=True)
class Measured:
    """A sprite's canvas (width, height), its values by measure, and its shape; what makes no sense for it is absent."""

    size: tuple[int, int]
    values: Mapping[str, Value]
    shape: silhouette.Shape | None


def measured(rgba: NDArray[np.uint8], palette: Palette = (), axes: str = "") -> Measured:
    """Everything that is measured of a picture alone, uint8 (H, W, 4); violations where there is a palette.

    `axes` are those along which it is to meet itself: "x", "y" or "xy".

    An enlargement is measured by its true pixels. Where no pixel is visible, nothing is measured but that.
    """
    size = rgba.shape[1], rgba.shape[0]
    found = cells.measure(rgba)
    picture = Picture.of(cells.true_pixels(rgba, found))
    visible, area = int(np.count_nonzero(picture.visible)), picture.alpha.size
    values = {"fill": Value(visible, area)}
    if not visible:
        return Measured(size, values, None)
    if axes:
        values["seam"] = Value(round(PARTS * seam(rgba, axes)), PARTS)
    values["colors"] = Value(measures.colors(picture))
    if palette:
        count, worst = measures.foreign(picture, palette)
        values["palette"] = Value(count, 0, {"pixels": visible, "worst": [vars(color) for color in worst]})
    values["orphans"] = Value(measures.orphans(picture), visible)
    if found.scale:
        values["scale"] = Value(found.scale)
        values["mixels"] = Value(found.off, found.changes, {"nearly": found.nearly})
    values["detail"] = Value(measures.detail(picture), visible)
    values["soft_alpha"] = Value(measures.soft(picture), visible)
    banded, changes = banding.banding(picture)
    if changes:
        values["banding"] = Value(banded, changes)
    shape = None
    if visible * FULL[0] < area * FULL[1]:
        values |= _silhouette(picture)
        shape = silhouette.Shape.of(picture)
    return Measured(size, values, shape)


def with_twins(names: Sequence[str], sprites: Sequence[Measured]) -> list[Measured]:
    """The same sprites with their distance from the nearest of the others' silhouettes, `distinct`."""
    places = [place for place, sprite in enumerate(sprites) if sprite.shape is not None]
    found = list(sprites)
    shapes = [shape for sprite in sprites if (shape := sprite.shape) is not None]
    for place, twin in zip(places, silhouette.twins(shapes), strict=True):
        if twin is not None:
            details = {"other": names[places[twin.index]], "apart": twin.apart, "same_colors": twin.same_colors}
            value = Value(twin.different, twin.covered, details)
            found[place] = replace(sprites[place], values={**sprites[place].values, "distinct": value})
    return found


def _silhouette(picture: Picture) -> dict[str, Value]:
    dark, light, border = silhouette.contrast(picture)
    count, single = silhouette.parts(picture)
    values = {"parts": Value(count, 0, {"single": single})}
    if border:
        carrying, _, color = measures.outline(picture)
        values["outline"] = Value(carrying, border, {"color": color})
        values["silhouette"] = Value(min(dark, light), border, {"dark": dark, "light": light})
    return values
