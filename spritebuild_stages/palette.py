"""Palettes: one for many pictures together, extracted from all of them at once, so that no frame gets its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from spritebuild.errors import StageError
from spritebuild.stage import BoundAction, Context, Inputs, Notes, Outputs, Params, Stage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from spritebuild_stages.images.png import Rgba
    from spritebuild_stages.ops.oklab import Palette

SWATCH = 16  # pixels of a side, and swatches in a row


class PaletteParams(Params):
    colors: int = Field(32, ge=1, le=256, description="The most colors that the palette may have.")
    era: Literal["8bit", "16bit", "32bit"] | None = Field(
        None,
        description="The limits of a machine: Sega Master System (15 colors of 2 bits a channel), Super NES (15 of 5) "
        "or PlayStation (255 of 5).",
    )


class PaletteInputs(Inputs):
    images: tuple[Path, ...]


class PaletteOutputs(Outputs):
    palette: Path = Path("palette.gpl")
    swatch: Path = Path("swatch.png")


class PaletteStage(Stage):
    """Extract a palette from the visible pixels of all pictures; their order does not matter.

    It is written as a GIMP palette, which Aseprite, GIMP, Krita and Inkscape open, and as a picture for people.
    """

    version = 2
    Params = PaletteParams
    Inputs = PaletteInputs
    Outputs = PaletteOutputs

    def run(self, action: BoundAction, context: Context) -> Notes:
        from spritebuild_stages.images import png
        from spritebuild_stages.ops.eras import ERAS
        from spritebuild_stages.ops.extract import extract
        from spritebuild_stages.ops.palette import gpl

        params: PaletteParams = action.params
        images: tuple[Path, ...] = action.inputs.images
        try:
            colors = extract(_read(images), params.colors, ERAS[params.era] if params.era else None)
        except png.PngError as error:
            raise StageError(str(error), hint="a palette is extracted from PNGs of at most 16 Mpx each") from error
        except ValueError as error:
            facts = [("pictures", f"{len(images)}"), *([("first", str(images[0]))] if images else [])]
            hint = "give it a picture with something in it, or declare the palette's colors"
            raise StageError(str(error), facts=facts, hint=hint) from error
        action.outputs.palette.write_text(gpl(colors), encoding="utf-8", newline="\n")
        png.write(action.outputs.swatch, _swatches(colors))
        return {"colors": len(colors)}


def _read(paths: tuple[Path, ...]) -> Iterator[Rgba]:
    """The pictures one by one: of a thousand, one is in memory."""
    from spritebuild_stages.images import png

    for path in paths:
        yield png.read(path)


def _swatches(colors: Palette) -> NDArray[np.uint8]:
    """Squares of the colors in rows; what is left of the last row is transparent."""
    import numpy as np

    columns = min(SWATCH, len(colors))
    rows = -(-len(colors) // columns)
    swatches = np.zeros((rows * columns, 4), np.uint8)
    swatches[: len(colors)] = [(*color, 255) for color in colors]
    return swatches.reshape(rows, columns, 4).repeat(SWATCH, axis=0).repeat(SWATCH, axis=1)
