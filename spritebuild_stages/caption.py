"""Captions: what pictures show, in the words of a vision-language model; a draft, to be corrected by people.

What it writes is what the dataset stage reads as corrections.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from pathlib import Path, PurePosixPath
from typing import Literal

from pydantic import Field

from spritebuild.errors import UsageError
from spritebuild.stage import BoundAction, Context, Inputs, Notes, Outputs, Params
from spritebuild_stages._torch import TorchStage

SAY_EVERY = 20  # pictures


class CaptionParams(Params):
    prefix: str = Field("", max_length=500, description="Words that every caption begins with; the model goes on.")
    max_tokens: int = Field(30, ge=1, le=200, description="The most tokens that the model adds; a word is one or two.")
    dtype: Literal["fp32", "bf16", "fp16"] = Field("fp32", description="The type of the model's numbers.")


class CaptionInputs(Inputs):
    """A model's folder as transformers saves it, and pictures by their path within the set; other files are ignored."""

    model: Path
    files: dict[str, Path]


class CaptionOutputs(Outputs):
    """Captions by the paths of the pictures."""

    captions: Path = Path("captions.json")


class Caption(TorchStage):
    """One picture at a time, each word the likeliest: a caption depends on its picture alone."""

    version = 1
    Params = CaptionParams
    Inputs = CaptionInputs
    Outputs = CaptionOutputs

    def affinity(self, params: CaptionParams, inputs: Mapping[str, str]) -> Hashable:
        """The model."""
        return inputs["model"], params.dtype

    def run(self, action: BoundAction, context: Context) -> Notes:
        from spritebuild_stages.datasets.artifact import canonical
        from spritebuild_stages.datasets.blip import Captioner
        from spritebuild_stages.datasets.files import PICTURES, counted
        from spritebuild_stages.datasets.loading import decoded

        params: CaptionParams = action.params
        files = {
            name: path
            for name, path in sorted(action.inputs.files.items())
            if PurePosixPath(name).suffix.lower() in PICTURES
        }
        if not files:
            raise UsageError("no picture to caption", hint=f"give it {', '.join(PICTURES)} files")
        pictures = dict(decoded(files))
        folder = action.inputs.model.resolve()
        context.say(f"loading {folder.name}")
        captioner = Captioner(folder, params.dtype, context.threads)
        captions = {}
        for number, (name, rgba) in enumerate(pictures.items()):
            if number % SAY_EVERY == 0:
                context.say(f"captioning picture {number + 1} of {len(pictures)}")
            captions[name] = captioner.caption(rgba, params.prefix, params.max_tokens)
        silent = [name for name, caption in captions.items() if not caption]
        said = {name: caption for name, caption in captions.items() if caption}
        action.outputs.captions.write_text(canonical(said), encoding="utf-8", newline="\n")
        warnings = (
            [f"the model says nothing of {counted(len(silent), 'picture')}, such as {silent[0]}"] if silent else []
        )
        return {"device": captioner.device, "captions": len(said), "warnings": warnings}
