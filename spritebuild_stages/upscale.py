"""Upscale: a network enlarges a picture's colors; its alpha is enlarged pixel by pixel."""

from __future__ import annotations

from pathlib import Path

from spritebuild.errors import StageError
from spritebuild.stage import BoundAction, Context, Inputs, Outputs, Params
from spritebuild_stages._onnx import OnnxStage


class UpscaleParams(Params):
    """The network says by how much."""


class UpscaleInputs(Inputs):
    """A picture, and a network that gives (1, 3, fH, fW) for (1, 3, H, W), in 0..1, such as the ESRGAN family."""

    image: Path
    model: Path


class UpscaleOutputs(Outputs):
    image: Path = Path("image.png")


class Upscale(OnnxStage):
    """The network makes new colors: quantize after it."""

    version = 2
    Params = UpscaleParams
    Inputs = UpscaleInputs
    Outputs = UpscaleOutputs

    def run(self, action: BoundAction, context: Context) -> None:
        import numpy as np

        from spritebuild_stages._onnx import Network
        from spritebuild_stages.images import given, png

        rgba = given.read(action.inputs.image, "a PNG of at most 16 Mpx is enlarged")
        network = Network(action.inputs.model.resolve(), context.threads)
        colors = rgba[..., :3].astype(np.float32) / 255
        found = network(np.ascontiguousarray(colors.transpose(2, 0, 1)[None]))[0]
        height, width = rgba.shape[:2]
        factor = found.shape[1] // height
        if factor < 1 or found.shape != (3, factor * height, factor * width):
            raise StageError(f"the network gave {found.shape} for (3, {height}, {width}), not a whole multiple")
        try:
            png.check_size(factor * width, factor * height)
        except png.PngError as error:
            raise StageError(str(error), hint="enlarge a smaller picture") from error
        large = np.empty((factor * height, factor * width, 4), np.uint8)
        large[..., :3] = np.rint(found.clip(0, 1) * 255).transpose(1, 2, 0)
        large[..., 3] = rgba[..., 3].repeat(factor, 0).repeat(factor, 1)
        large[large[..., 3] == 0] = 0
        png.write(action.outputs.image, large)
