"""What a finishing list may say: each operation with its fields, ranges and defaults; knows no pixels, loads no NumPy.

`op` has no default on purpose: values equal to their defaults stay out of the key, and an operation's name must not.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

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
Margin = Annotated[int, Field(ge=0, le=4096)]
Colors = Annotated[tuple[Color, ...], Field(max_length=256)]


class Op(BaseModel):
    """One operation on the pixels."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Pixelate(Op):
    """Find the grid of a soft picture of pixel art and take it down to true pixels."""

    op: Literal["pixelate"]
    size: tuple[Side, Side] | None = Field(None, description="Width and height in true pixels; detected if not given.")
    mode: Literal["auto", "nearest", "median", "mode", "kcentroid"] = Field(
        "auto", description="How a cell of the grid becomes a pixel."
    )


class Cutout(Op):
    """Make the ground behind the sprite transparent; alpha is 0 or as it was."""

    op: Literal["cutout"]
    mode: Literal["flood", "key"] = Field(
        "flood", description="What the border reaches of its own color, or a color wherever it is."
    )
    color: Color | None = Field(None, description="The color of a `key`; the border's if not given.")
    tolerance: int = Field(32, ge=0, le=255, description="How far any channel may be from that color.")
    holes: bool = Field(False, description="Whether a `flood` takes ground that the sprite encloses, too.")
    grow: int = Field(0, ge=0, le=4, description="Pixels of fringe removed beside the ground.")

    @model_validator(mode="after")
    def _fits_the_mode(self) -> Self:
        if self.mode == "flood" and self.color is not None:
            raise ValueError('a flood takes the color of the border: give a color with mode = "key"')
        if self.mode == "key" and self.holes:
            raise ValueError("a key takes its color everywhere, holes included: leave `holes` out")
        return self


class Alpha(Op):
    """Make every pixel either opaque or transparent."""

    op: Literal["alpha"]
    threshold: int = Field(128, ge=1, le=255, description="The least alpha that becomes opaque.")


class Sharpen(Op):
    """Raise the contrast at edges (unsharp mask); makes new colors, so only before `quantize`."""

    op: Literal["sharpen"]
    radius: int = Field(1, ge=1, le=8, description="How far around a pixel is looked, in pixels.")
    percent: int = Field(100, ge=0, le=500, description="How much of the difference is added.")
    threshold: int = Field(0, ge=0, le=255, description="Differences below it stay as they are.")


class Quantize(Op):
    """Give every visible pixel the color of a palette that is nearest in OKLab; alpha stays."""

    op: Literal["quantize"]
    palette: str = Field(min_length=1, description="The palette's name.")
    colors: Colors = Field(
        (), description="Its colors, where it is declared inline; empty: read from the palette's file."
    )
    dither: Literal["none", "bayer2", "bayer4", "bayer8", "floyd-steinberg", "atkinson"] = Field(
        "none", description="How colors that the palette lacks are mixed from those it has."
    )


class Swap(Op):
    """Give pixels that have a color of one palette the color at its place in another."""

    op: Literal["swap"]
    palette: str = Field(min_length=1, description="The name of the palette whose colors are replaced.")
    colors: Colors = Field(
        (), description="Its colors, where it is declared inline; empty: read from the palette's file."
    )
    to: str = Field(min_length=1, description="The name of the palette that replaces them, of as many colors.")
    to_colors: Colors = Field((), description="The colors of `to`, likewise.")

    @model_validator(mode="after")
    def _as_many(self) -> Self:
        if self.colors and self.to_colors and len(self.colors) != len(self.to_colors):
            raise ValueError(
                f"{self.palette} has {len(self.colors)} colors and {self.to} has {len(self.to_colors)}: "
                "a color is replaced by the one at its place"
            )
        return self


class Despeckle(Op):
    """Give orphan pixels the color of what surrounds them, and drop those that float alone."""

    op: Literal["despeckle"]
    size: int = Field(2, ge=2, le=64, description="Areas of one color with fewer pixels are specks.")
    contrast: int = Field(255, ge=1, le=255, description="A speck that any channel sets further apart stays: an eye.")


class Jaggies(Op):
    """Take doubled pixels out of lines that are one pixel wide, so that they step by their corners."""

    op: Literal["jaggies"]
    color: Color | None = Field(None, description="The color of the lines; the outline's if not given.")


class Outline(Op):
    """Draw a line around the sprite, or inside along its edge; what would fall outside the picture is lost."""

    op: Literal["outline"]
    color: Color = Field("#000000", description="The color of the line.")
    thickness: int = Field(1, ge=1, le=64, description="Its width in pixels.")
    corners: bool = Field(False, description="Whether pixels that touch the sprite by a corner alone belong to it.")
    side: Literal["outer", "inner"] = Field("outer", description="Around the visible pixels, or over the outermost.")
    selective: bool = Field(False, description="Darker shades of the colors beside it instead of `color`.")
    shade: int = Field(50, ge=0, le=100, description="Percent of these colors that a `selective` line keeps.")


class Symmetry(Op):
    """Mirror one half of the picture onto the other."""

    op: Literal["symmetry"]
    axis: Literal["x", "y"] = Field("x", description="x mirrors left and right, y top and bottom.")
    keep: Literal["auto", "left", "right", "top", "bottom"] = Field(
        "auto", description="The half that stays; auto: the one with more visible pixels."
    )
    about: Literal["picture", "sprite"] = Field("picture", description="Whose middle the mirror stands at.")

    @model_validator(mode="after")
    def _fits_the_axis(self) -> Self:
        halves = {"x": ("left", "right"), "y": ("top", "bottom")}[self.axis]
        if self.keep not in ("auto", *halves):
            raise ValueError(f"along {self.axis} the halves are {' and '.join(halves)}, not {self.keep}")
        return self


class Trim(Op):
    """Crop to what is visible; a picture without a visible pixel becomes a single transparent one."""

    op: Literal["trim"]
    margin: int = Field(0, ge=0, le=1024, description="Transparent pixels left on every side.")


class Pad(Op):
    """Surround with transparent pixels; a picture larger than `size` is an error, never cropped."""

    op: Literal["pad"]
    size: tuple[Side, Side] = Field(description="Width and height in pixels.")
    anchor: Anchor = Field("center", description="Where the picture sits; an odd pixel goes to the right or bottom.")


class Align(Op):
    """Move the sprite so that its pivot lies at a place of the canvas; losing visible pixels is an error."""

    op: Literal["align"]
    pivot: Anchor = Field("bottom", description="The place of the box of the visible pixels.")
    at: Anchor | None = Field(None, description="Where on the canvas it goes; the place of the same name if not given.")
    point: tuple[Margin, Margin] | None = Field(
        None, description="The same as x and y in pixels; [0, 0] is the canvas's upper left corner."
    )
    size: tuple[Side, Side] | None = Field(None, description="Width and height of the canvas; kept if not given.")

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if self.at is not None and self.point is not None:
            raise ValueError("give `at` or `point`, not both")
        return self


class NineSlice(Op):
    """Bring a frame to a size: its corners stay, its edges and center are repeated."""

    op: Literal["nine-slice"]
    margins: tuple[Margin, Margin, Margin, Margin] = Field(
        description="Left, top, right, bottom: what stays, in pixels."
    )
    size: tuple[Side, Side] = Field(description="Width and height in pixels.")
    fill: Literal["tile", "stretch"] = Field("tile", description="How what lies between the corners grows.")


class Scale(Op):
    """Enlarge by a whole factor; no new colors."""

    op: Literal["scale"]
    factor: int = Field(ge=2, le=64, description="How many pixels a pixel becomes along each axis.")
    mode: Literal["nearest", "epx"] = Field("nearest", description="Squares, or diagonals rounded (factor 2, 3 or 4).")

    @model_validator(mode="after")
    def _fits_the_factor(self) -> Self:
        if self.mode == "epx" and self.factor > 4:
            raise ValueError(f"epx enlarges by 2, 3 or 4, not {self.factor}: scale by nearest after it")
        return self


AnyOp = Annotated[
    Pixelate
    | Cutout
    | Alpha
    | Sharpen
    | Quantize
    | Swap
    | Despeckle
    | Jaggies
    | Outline
    | Symmetry
    | Trim
    | Pad
    | Align
    | NineSlice
    | Scale,
    Field(discriminator="op"),
]
