"""A hard shadow behind the sprite, as an example of a stage of one's own."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from spritebuild.stage import BoundAction, Context, Inputs, Outputs, Params, Stage

Offset = Annotated[int, Field(ge=-64, le=64)]


class ShadowParams(Params):
    offset: tuple[Offset, Offset] = Field((1, 1), description="Right and down, in pixels.")
    color: str = Field("#000000", pattern="^#[0-9a-f]{6}$", description="The color of the shadow.")


class ShadowInputs(Inputs):
    image: Path


class ShadowOutputs(Outputs):
    image: Path = Path("image.png")


class DropShadow(Stage):
    """Draw the silhouette, moved by `offset`, behind the picture; what falls outside is lost."""

    version = 1
    Params = ShadowParams
    Inputs = ShadowInputs
    Outputs = ShadowOutputs

    def run(self, action: BoundAction, context: Context) -> None:
        from PIL import Image, ImageChops

        picture = Image.open(action.inputs.image).convert("RGBA")
        shadow = Image.new("RGBA", picture.size, action.params.color)
        moved = Image.new("L", picture.size)
        moved.paste(picture.getchannel("A"), action.params.offset)
        shadow.putalpha(ImageChops.multiply(moved, Image.new("L", picture.size, 255)))
        shadow.alpha_composite(picture)
        shadow.save(action.outputs.image)
