"""Finishing: a picture through a list of operations on its pixels; cheap, on the CPU, the same bytes everywhere."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from spritebuild.errors import StageError
from spritebuild.stage import BoundAction, Context, Inputs, Outputs, Params, Stage

if TYPE_CHECKING:
    from spritebuild_stages.images.png import Rgba

COLOR = re.compile(r"#(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})")

Anchor = Literal["center", "top", "bottom", "left", "right", "top-left", "top-right", "bottom-left", "bottom-right"]


def _normal(color: str) -> str:
    """`#rgb` or `#rrggbb` as lower-case `#rrggbb`, so that two spellings of a color have one key."""
    if not COLOR.fullmatch(color):
        raise ValueError(f"a color is #rgb or #rrggbb, not {color!r}")
    digits = color[1:].lower()
    return "#" + (digits if len(digits) == 6 else "".join(2 * digit for digit in digits))


Color = Annotated[str, AfterValidator(_normal), Field(json_schema_extra={"pattern": f"^{COLOR.pattern}$"})]
Side = Annotated[int, Field(ge=1, le=4096)]


# `op` has no default on purpose: values equal to their defaults stay out of the key, and an operation's name must not.


class Op(BaseModel):
    """One operation on the pixels."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Alpha(Op):
    """Make every pixel either opaque or transparent."""

    op: Literal["alpha"]
    threshold: int = Field(128, ge=1, le=255, description="The least alpha that becomes opaque.")


class Trim(Op):
    """Crop to what is visible; a picture without a visible pixel becomes a single transparent one."""

    op: Literal["trim"]
    margin: int = Field(0, ge=0, le=1024, description="Transparent pixels left on every side.")


class Pad(Op):
    """Surround with transparent pixels; a picture larger than `size` is an error, never cropped."""

    op: Literal["pad"]
    size: tuple[Side, Side] = Field(description="Width and height in pixels.")
    anchor: Anchor = Field("center", description="Where the picture sits; an odd pixel goes to the right or bottom.")


class Scale(Op):
    """Enlarge: every pixel becomes a square."""

    op: Literal["scale"]
    factor: int = Field(ge=2, le=64, description="The side of that square in pixels.")


class Quantize(Op):
    """Give every visible pixel the color of a palette that is nearest in OKLab; alpha stays."""

    op: Literal["quantize"]
    palette: str = Field(min_length=1, description="The palette's name.")
    colors: tuple[Color, ...] = Field(
        (), max_length=256, description="Its colors, where it is declared inline; empty: read from the palette's file."
    )


class Outline(Op):
    """Draw a line into the transparent pixels around the sprite; what would fall outside the picture is lost."""

    op: Literal["outline"]
    color: Color = Field("#000000", description="The color of the line.")
    thickness: int = Field(1, ge=1, le=64, description="Its width in pixels.")
    corners: bool = Field(False, description="Whether pixels that touch the sprite by a corner alone belong to it.")


AnyOp = Annotated[Alpha | Trim | Pad | Scale | Quantize | Outline, Field(discriminator="op")]


class FinishParams(Params):
    ops: tuple[AnyOp, ...] = Field(description="The operations, first to last.")


class FinishInputs(Inputs):
    image: Path
    palettes: dict[str, Path] = Field({}, description="Palette files by the palette's name, each with its suffix.")


class FinishOutputs(Outputs):
    image: Path = Path("image.png")


class Finish(Stage):
    """Apply the operations in order; color hidden under alpha 0 is cleared at the end, whatever they were."""

    version = 1
    Params = FinishParams
    Inputs = FinishInputs
    Outputs = FinishOutputs

    @staticmethod
    def palette_names(params: FinishParams) -> tuple[str, ...]:
        """The palettes that the operations name, each once, in order."""
        return tuple(dict.fromkeys(op.palette for op in params.ops if isinstance(op, Quantize)))

    def run(self, action: BoundAction, context: Context) -> None:
        from spritebuild_stages.images import png
        from spritebuild_stages.ops.alpha import clear_hidden

        try:
            rgba = png.read(action.inputs.image)
        except png.PngError as error:
            raise StageError(str(error), hint="finishing reads a PNG of at most 16 Mpx") from error
        for place, op in enumerate(action.params.ops, 1):
            try:
                rgba = _apply(op, rgba, action.inputs.palettes)
            except ValueError as error:
                facts = [("operation", f"{place}. {op.op}"), ("picture", f"{rgba.shape[1]}x{rgba.shape[0]}")]
                raise StageError(str(error), facts=facts, hint=HINTS[op.op]) from error
        png.write(action.outputs.image, clear_hidden(rgba))


HINTS = {
    "alpha": "give a threshold of 1..255",
    "trim": "give a smaller margin",
    "pad": 'give a larger size, or put { op = "trim" } before it',
    "scale": "give a smaller factor, or scale a smaller picture",
    "quantize": "declare the palette's colors inline, or as a .hex, .gpl, .pal or .png file of 1 to 256 colors",
    "outline": "give a thickness of at least 1",
}


def _apply(op: Op, rgba: Rgba, palettes: dict[str, Path]) -> Rgba:
    """The picture after one operation. Raises ValueError if it cannot be."""
    from spritebuild_stages.images import png
    from spritebuild_stages.ops import alpha, outline, quantize, scale, trim

    height, width = rgba.shape[:2]
    match op:
        case Alpha():
            return alpha.binarize(rgba, op.threshold)
        case Trim():
            left, top, right, bottom = trim.visible_box(rgba) or (0, 0, 1, 1)
            png.check_size(right - left + 2 * op.margin, bottom - top + 2 * op.margin)
            return trim.trim(rgba, op.margin)
        case Pad():
            return trim.pad(rgba, *op.size, op.anchor)
        case Scale():
            png.check_size(width * op.factor, height * op.factor)
            return scale.nearest(rgba, op.factor)
        case Quantize():
            return quantize.quantize(rgba, _colors(op, palettes))
        case Outline():
            return outline.outline(rgba, _rgb(op.color), op.thickness, op.corners)
        case _:
            raise AssertionError(f"no such operation: {op!r}")


def _colors(op: Quantize, palettes: dict[str, Path]) -> tuple[tuple[int, int, int], ...]:
    from spritebuild_stages.ops import palette

    if op.colors:
        return tuple(_rgb(color) for color in op.colors)
    if op.palette not in palettes:
        raise palette.PaletteError(f"palette {op.palette!r} has neither colors nor a file")
    return palette.parse(palettes[op.palette])


def _rgb(color: str) -> tuple[int, int, int]:
    red, green, blue = bytes.fromhex(color[1:])
    return red, green, blue
