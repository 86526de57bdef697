"""Finishing: a picture through a list of operations on its pixels; cheap, on the CPU, the same bytes everywhere."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, ValidationError, field_validator
from pydantic_core import InitErrorDetails

from spritebuild.errors import StageError
from spritebuild.stage import BoundAction, Context, Inputs, Outputs, Params, Stage
from spritebuild_stages.ops import declared
from spritebuild_stages.ops.declared import AnyOp


class FinishParams(Params):
    ops: tuple[AnyOp, ...] = Field(description="The operations, first to last.")
    mark: bool = Field(False, description="Say in the PNG (XMP) that a trained model made it.")

    @field_validator("ops")
    @classmethod
    def _new_colors_come_first(cls, ops: tuple[AnyOp, ...]) -> tuple[AnyOp, ...]:
        """Sharpening takes a quantized sprite out of its palette again, so it is refused there, at its place."""
        names = [op.op for op in ops]
        first = next((place for place, name in enumerate(names) if name in ("quantize", "swap")), len(names))
        late: list[InitErrorDetails] = [
            InitErrorDetails(
                type="value_error",
                loc=(place, "sharpen"),
                input=op,
                ctx={
                    "error": ValueError(f"sharpen makes colors that the palette of {names[first]} lacks: put it before")
                },
            )
            for place, op in enumerate(ops[first:], first)
            if isinstance(op, declared.Sharpen)
        ]
        if late:
            raise ValidationError.from_exception_data(cls.__name__, late)
        return ops


class FinishInputs(Inputs):
    image: Path
    palettes: dict[str, Path] = Field({}, description="Palette files by the palette's name, each with its suffix.")


class FinishOutputs(Outputs):
    image: Path = Path("image.png")


class Finish(Stage):
    """Apply the operations in order; color hidden under alpha 0 is cleared at the end, whatever they were."""

    version = 2
    Params = FinishParams
    Inputs = FinishInputs
    Outputs = FinishOutputs

    def run(self, action: BoundAction, context: Context) -> None:
        from spritebuild_stages.images import given, png
        from spritebuild_stages.ops.alpha import clear_hidden
        from spritebuild_stages.ops.applied import apply

        rgba = given.read(action.inputs.image, "finishing reads a PNG of at most 16 Mpx")
        for place, op in enumerate(action.params.ops, 1):
            try:
                rgba = apply(op, rgba, action.inputs.palettes)
            except ValueError as error:
                facts = [("operation", f"{place}. {op.op}"), ("picture", f"{rgba.shape[1]}x{rgba.shape[0]}")]
                raise StageError(str(error), facts=facts, hint=HINTS[op.op]) from error
        png.write(action.outputs.image, clear_hidden(rgba), mark=action.params.mark)


PALETTES = (
    "declare the palette's colors inline, or as a .hex, .gpl, .pal, .act, .png, .ase or .aseprite file of 1..256 colors"
)
HINTS = {
    "pixelate": "give the size in true pixels, or draw the picture larger",
    "cutout": "give a tolerance of 0..255",
    "alpha": "give a threshold of 1..255",
    "sharpen": "give a radius of 1..8",
    "quantize": PALETTES,
    "swap": "give two palettes of as many colors, the first without one twice",
    "despeckle": "give a size of at least 2",
    "jaggies": "give a color as #rrggbb",
    "outline": "give a thickness of at least 1",
    "symmetry": "give an axis of x or y",
    "trim": "give a smaller margin",
    "pad": 'give a larger size, or put { op = "trim" } before it',
    "align": "give a larger size, or a place further from the edge",
    "nine-slice": "give margins that fit into the picture and into the size, with a pixel between them to repeat",
    "scale": "give a smaller factor, or scale a smaller picture",
}
