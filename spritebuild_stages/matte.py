"""Matte: a network says which pixels are the sprite, and the rest becomes transparent."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from spritebuild.errors import StageError
from spritebuild.stage import BoundAction, Context, Inputs, Outputs, Params
from spritebuild_stages._onnx import OnnxStage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Three = Annotated[tuple[float, float, float], Field()]


class MatteParams(Params):
    size: int | None = Field(None, ge=16, le=2048, description="The side of the square that the network sees.")
    mean: Three = Field((0.485, 0.456, 0.406), description="What is taken from red, green and blue in 0..1.")
    deviation: Three = Field((0.229, 0.224, 0.225), description="What they are divided by then.")
    threshold: int = Field(128, ge=0, le=255, description="The least alpha that becomes opaque; 0 keeps it soft.")


class MatteInputs(Inputs):
    """A picture, and a network of the U2-Net family as rembg uses them: one mask (1, 1, H, W) for a picture."""

    image: Path
    model: Path


class MatteOutputs(Outputs):
    image: Path = Path("image.png")


class Matte(OnnxStage):
    """The mask is stretched to 0..1, as these networks are meant to be read; pixels keep their colors."""

    version = 2
    Params = MatteParams
    Inputs = MatteInputs
    Outputs = MatteOutputs

    def run(self, action: BoundAction, context: Context) -> None:
        import numpy as np
        from PIL import Image

        from spritebuild_stages._onnx import Network
        from spritebuild_stages.images import given, png

        params: MatteParams = action.params
        rgba = given.read(action.inputs.image, "a matte is made of a PNG of at most 16 Mpx")
        network = Network(action.inputs.model.resolve(), context.threads)
        height, width = network.size or (params.size or 320, params.size or 320)
        small = Image.fromarray(_opaque(rgba)).resize((width, height), Image.Resampling.BILINEAR)
        pixels = np.asarray(small, np.float32) / 255
        pixels = (pixels - np.array(params.mean, np.float32)) / np.array(params.deviation, np.float32)
        mask = network(np.ascontiguousarray(pixels.transpose(2, 0, 1)[None]))[0, 0]
        low, high = float(mask.min()), float(mask.max())
        if high <= low:
            raise StageError("the network sees no difference between sprite and ground")
        whole = Image.fromarray(np.rint((mask - low) / (high - low) * 255).astype(np.uint8))
        found = np.asarray(whole.resize((rgba.shape[1], rgba.shape[0]), Image.Resampling.BILINEAR))
        alpha = found if params.threshold == 0 else np.where(found >= params.threshold, 255, 0)
        rgba[..., 3] = np.minimum(rgba[..., 3], alpha)
        rgba[rgba[..., 3] == 0] = 0
        png.write(action.outputs.image, rgba)


def _opaque(rgba: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The colors (H, W, 3), hidden ones white."""
    colors = rgba[..., :3].copy()
    colors[rgba[..., 3] == 0] = 255
    return colors
