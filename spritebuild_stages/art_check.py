"""Art-check: every sprite measured as pixel art, and judged by declared limits and a style's hand-made references."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from spritebuild.errors import StageError
from spritebuild.stage import BoundAction, Context, Inputs, Notes, Outputs, Params, Stage
from spritebuild_stages.art.limits import Limits

AXES = {"x": "x", "y": "y", "both": "xy"}
FEW = 20  # references, of which a 5th and a 95th percentile are the least and the greatest


class ArtCheckParams(Params):
    names: tuple[str, ...] = Field(min_length=1, description="The sprites' names, one each, all different.")
    tiles: dict[str, Literal["x", "y", "both"]] = Field(
        {}, description="Along which sides a sprite is to meet itself, by its name."
    )
    limits: Limits = Field(
        Limits(), description="What every sprite must keep to; a measure without one is not limited."
    )

    @field_validator("names")
    @classmethod
    def _all_different(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if twice := [name for name, count in Counter(names).items() if count > 1]:
            raise ValueError(f"more than one sprite is named {twice[0]!r}")
        return names


class ArtCheckInputs(Inputs):
    images: tuple[Path, ...]
    references: tuple[Path, ...] = Field((), description="Hand-made pictures of the style, which say what is normal.")
    palettes: dict[str, Path] = Field({}, description="Palette files: a visible pixel may have a color of any.")


class ArtCheckOutputs(Outputs):
    report: Path = Path("art.json")


class ArtCheck(Stage):
    """A broken limit is a violation, and being outside of what the references have a notice; neither is an error."""

    version = 1
    Params = ArtCheckParams
    Inputs = ArtCheckInputs
    Outputs = ArtCheckOutputs

    def run(self, action: BoundAction, context: Context) -> Notes:
        from spritebuild_stages.art import given, judging
        from spritebuild_stages.art.measured import with_twins
        from spritebuild_stages.art.report import report

        params, inputs = action.params, action.inputs
        if len(params.names) != len(inputs.images):
            raise StageError(
                f"{len(params.names)} names for {len(inputs.images)} images", hint="give each image one name"
            )
        palette = given.palette(params.limits, inputs.palettes)
        axes = [AXES[params.tiles[name]] if name in params.tiles else "" for name in params.names]
        sprites = with_twins(params.names, list(given.measured(inputs.images, palette, axes)))
        normal = None
        if inputs.references:
            stems = [path.stem for path in inputs.references]
            drawn = list(given.measured(inputs.references, (), itertools.repeat("")))
            normal = judging.references(with_twins(stems, drawn))
        findings = judging.judged(sprites, params.limits, normal)
        found = report(params.names, sprites, findings, normal)
        text = json.dumps(found, indent=1, ensure_ascii=False)
        action.outputs.report.write_text(text + "\n", encoding="utf-8", newline="\n")
        return {"warnings": _warnings(normal.count)} if normal else {}

    @staticmethod
    def colors(said: Iterable[str], files: Mapping[str, Path]) -> set[str]:
        """The colors that a visible pixel may have, as "#rrggbb": those that are said and those of all files."""
        from spritebuild_stages.art import given

        return {f"#{bytes(color).hex()}" for color in given.palette(Limits(palette=tuple(said)), files)}

    @staticmethod
    def lines(report: Mapping[str, Any], everything: bool = False) -> Iterator[str]:
        """The report's sentences for a terminal; with `everything` those of what is in order, too."""
        from spritebuild_stages.art import report as reports

        return reports.lines(report, everything)


def _warnings(count: int) -> list[str]:
    if count >= FEW:
        return []
    pictures = "1 reference says" if count == 1 else f"{count} references say"
    return [f"{pictures} little of what is normal: {FEW} or more give ranges that hold"]
