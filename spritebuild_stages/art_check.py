"""Art-check: every sprite measured as pixel art, and judged by declared limits and a style's hand-made references."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator

from spritebuild.errors import StageError
from spritebuild.stage import BoundAction, Context, Inputs, Notes, Outputs, Params, Stage
from spritebuild_stages.art.limits import Limits

if TYPE_CHECKING:
    from spritebuild_stages.art.measured import Measured
    from spritebuild_stages.ops.quantize import Palette

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
        from spritebuild_stages.art import judging
        from spritebuild_stages.art.measured import with_twins
        from spritebuild_stages.art.report import report

        params, inputs = action.params, action.inputs
        if len(params.names) != len(inputs.images):
            raise StageError(
                f"{len(params.names)} names for {len(inputs.images)} images", hint="give each image one name"
            )
        palette = _palette(params.limits, inputs.palettes)
        axes = [AXES[params.tiles[name]] if name in params.tiles else "" for name in params.names]
        sprites = with_twins(params.names, list(_measured(inputs.images, palette, axes)))
        normal = None
        if inputs.references:
            stems = [path.stem for path in inputs.references]
            normal = judging.references(with_twins(stems, list(_measured(inputs.references, (), itertools.repeat("")))))
        findings = judging.judged(sprites, params.limits, normal)
        found = report(params.names, sprites, findings, normal)
        text = json.dumps(found, indent=1, ensure_ascii=False)
        action.outputs.report.write_text(text + "\n", encoding="utf-8", newline="\n")
        return {"warnings": _warnings(normal.count)} if normal else {}

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


def _measured(paths: Iterable[Path], palette: Palette, axes: Iterable[str]) -> Iterator[Measured]:
    from spritebuild_stages.art.measured import measured
    from spritebuild_stages.images import given

    for path, meeting in zip(paths, axes, strict=False):
        rgba = given.read(path, "sprites and references are PNGs of at most 16 Mpx")
        yield measured(rgba, palette, meeting)


def _palette(limits: Limits, files: Mapping[str, Path]) -> Palette:
    """The colors of the limits and of all files, each once."""
    from spritebuild_stages.ops import palette

    colors = [(int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)) for color in limits.palette]
    for name, path in sorted(files.items()):
        try:
            colors += palette.parse(path)
        except palette.PaletteError as error:
            hint = "a palette is a file of 1 to 256 colors, such as .hex, .gpl, .pal or .png"
            raise StageError(str(error), facts=[("palette", name)], hint=hint) from error
    return tuple(dict.fromkeys(colors))
