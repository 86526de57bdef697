"""Generate: a prompt and a seed to an image, by a text-to-image model in the diffusers layout.

An image has the same bytes alone, in a batch, at any place in it and beside any neighbors, on one platform: a batch
has a declared shape, noise comes from one CPU generator per image, prompts are encoded alone, and where a probe finds
that slots disagree all the same, images are made one at a time.
"""

from __future__ import annotations

import json
import time
from collections.abc import Hashable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from spritebuild.errors import UsageError
from spritebuild.stage import BoundAction, Context, Inputs, Notes, Outputs, Params
from spritebuild_stages._torch import TorchStage
from spritebuild_stages.diffusion.memory import Memory
from spritebuild_stages.diffusion.schedulers import LCM_STEPS, SchedulerName

if TYPE_CHECKING:
    from spritebuild_stages.diffusion.adapters import Lora
    from spritebuild_stages.diffusion.pipeline import Drawn, Item, Settings, TextToImage

Kernels = Literal["plain", "channels-last", "compiled"]
Side = Annotated[int, Field(ge=1, le=4096)]


class LoraUse(BaseModel):
    """A LoRA of the inputs, by its name there, and the factor on what it adds to the model."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, description="The name of the LoRA among the inputs.")
    weight: float = Field(1.0, ge=-10, le=10, description="The factor on what the LoRA adds; 0 adds nothing.")


class GenerateParams(Params):
    """What image to make."""

    prompt: str = Field(max_length=10_000, description="What the image shows.")
    negative: str = Field("", max_length=10_000, description="What the image must not show; unused at guidance <= 1.")
    seed: int = Field(ge=0, lt=2**63, description="The seed of the image's noise.")
    scheduler: SchedulerName = Field("ddim", description="The sampler; those with _a, _sde, ddpm and lcm add noise.")
    steps: int = Field(20, ge=1, le=1000, description="Sampling steps; the time that an image takes is in proportion.")
    guidance: float = Field(3.0, ge=0, le=50, description="How strongly the prompt is followed; 1 and less halve time.")
    size: tuple[Side, Side] = Field((32, 32), description="Width and height in pixels, as the model makes them.")
    tile: Literal["x", "y", "both"] | None = Field(
        None, description="Along which sides the image meets itself without a seam."
    )
    loras: tuple[LoraUse, ...] = Field((), max_length=16, description="LoRAs to add, in this order.")
    dtype: Literal["fp32", "bf16", "fp16"] = Field("fp32", description="The type of the model's numbers.")
    batch: Literal[1, 2, 4, 8, 16, 32] = Field(
        4, description="How many images are made together; it changes their bytes."
    )
    memory: Memory = Field(
        "full", description="What is computed in pieces, to take less memory; it changes the bytes of images."
    )
    kernels: Kernels = Field("plain", description="How the device computes; it changes the bytes of images.")
    mark: bool = Field(False, description="Say in the PNG (XMP) that a trained model made it.")

    @model_validator(mode="after")
    def _agree(self) -> GenerateParams:
        if self.scheduler == "lcm" and self.steps > LCM_STEPS:
            raise ValueError(f"scheduler lcm takes at most {LCM_STEPS} steps")
        names = [lora.name for lora in self.loras]
        if len(set(names)) < len(names):
            raise ValueError("a LoRA is named twice")
        return self


class GenerateInputs(Inputs):
    """The model, a folder in the diffusers layout, and LoRAs by name, safetensors files."""

    model: Path
    loras: dict[str, Path] = Field(default_factory=dict)


class GenerateOutputs(Outputs):
    """The image, with the model's own alpha or an opaque one."""

    image: Path = Path("image.png")


class Generate(TorchStage):
    """Keeps the model of the last call loaded; holds verdicts of the slot probe for as long as it lives."""

    version = 2
    Params = GenerateParams
    Inputs = GenerateInputs
    Outputs = GenerateOutputs

    def __init__(self) -> None:
        self._loaded: tuple[Hashable, TextToImage] | None = None
        self._loras: Hashable = ()
        self._verdicts: dict[str, bool] = {}

    def affinity(self, params: GenerateParams, inputs: Mapping[str, str]) -> Hashable:
        """All that a batch has in common, the dearest to change first: sorted, equal models and LoRAs are together."""
        others = tuple(sorted((name, digest) for name, digest in inputs.items() if name != "model"))
        loras = tuple((lora.name, lora.weight) for lora in params.loras)
        model = (inputs["model"], params.dtype, params.memory, params.kernels, others, loras)
        return (*model, params.size, params.batch, params.scheduler, params.steps, params.guidance, params.tile or "")

    def together(self, params: GenerateParams) -> int:
        """A batch: one that is not full is padded, and takes as long."""
        return params.batch

    def run_batch(self, actions: Sequence[BoundAction], context: Context) -> Iterator[tuple[int, Notes | None]]:
        """Make images batch by batch; each is written, and yielded, as soon as its batch is done."""
        from spritebuild_stages.diffusion.pipeline import Item, Settings
        from spritebuild_stages.images import png

        if not actions:
            return
        first = actions[0].params
        model = self._model(actions[0], context)
        settings = Settings(first.scheduler, first.steps, first.guidance, first.size, first.tile)
        model.check_size(first.size)
        for action in actions:
            model.check_prompt(action.params.prompt)
            model.check_prompt(action.params.negative)
        batch, cautions = self._batch(model, settings, first, context)
        items = [Item(action.params.prompt, action.params.negative, action.params.seed) for action in actions]
        for index, (drawn, seconds) in enumerate(_drawn(model, items, batch, settings, ahead=model.device != "cpu")):
            with model.timed("write"):
                png.write(actions[index].outputs.image, drawn.rgba, mark=actions[index].params.mark)
            warnings = [*cautions, *_item_cautions(model, items[index], settings)]
            if drawn.blanked:
                warnings.append("the model's own safety checker blanked the image")
            notes = {"batch": batch, "device": model.device, "warnings": warnings, "seconds": round(seconds, 4)}
            yield index, notes if model.rung == "resident" else {**notes, "memory": model.rung}

    def _model(self, action: BoundAction, context: Context) -> TextToImage:
        """The model with the action's LoRAs, loaded unless the last call left it here."""
        from spritebuild_stages import _torch
        from spritebuild_stages._weights import identity, inspect_folder
        from spritebuild_stages.diffusion.adapters import check
        from spritebuild_stages.diffusion.pipeline import TextToImage, release

        params, folder = action.params, action.inputs.model.resolve()
        loras = _loras(params, action.inputs.loras)
        torch = _torch.start(context.threads)
        wanted = (identity(folder), params.dtype, params.memory, params.kernels, _torch.device(torch))
        if self._loaded is None or self._loaded[0] != wanted:
            self._loaded, self._loras = None, ()
            release(context.threads)
            if loras:
                check(inspect_folder(folder), loras)
            context.say(f"loading {folder.name}")
            started = time.monotonic()
            model = TextToImage(folder, params.dtype, context.threads, params.memory, params.kernels)
            self._loaded = (wanted, model)
            if context.spent is not None:
                context.spent("load", started, time.monotonic())
        model = self._loaded[1]
        model.spent = context.spent
        used = tuple((identity(lora.path), lora.weight) for lora in loras)
        if used != self._loras:
            self._loras = None  # a failure leaves the base, and no name for it
            model.use_loras(loras)
            self._loras = used
        return model

    def _batch(
        self, model: TextToImage, settings: Settings, params: GenerateParams, context: Context
    ) -> tuple[int, list[str]]:
        """The size of batches to make: the declared one if its slots agree on this platform, otherwise 1 and why."""
        from spritebuild_stages.diffusion import probe

        if params.batch == 1:
            return 1, []
        if not model.batchable:
            return 1, [f"{model.name} does not take encoded prompts: made one at a time, not {params.batch}"]
        about = {
            "platform": self.platform(context),
            "model": model.fingerprint,
            "loras": model.lora_fingerprints,
            "dtype": params.dtype,
            "batch": params.batch,
            "scheduler": settings.scheduler,
            "size": settings.size,
            "guided": settings.guided,
        }
        if settings.tile is not None:
            about["tile"] = settings.tile
        if params.memory != "full" or params.kernels != "plain":
            about |= {"memory": params.memory, "kernels": params.kernels}
        key = json.dumps(about, sort_keys=True)
        if key not in self._verdicts:
            short = replace(settings, steps=probe.STEPS)

            def find() -> bool:
                context.say(f"probing whether a batch of {params.batch} is the same in every slot")
                return probe.slots_agree(lambda items: model.draw(items, short), params.batch)

            self._verdicts[key] = probe.remembered(context.memory, about, find)
        if self._verdicts[key]:
            return params.batch, []
        return 1, [f"on this machine the slots of a batch of {params.batch} disagree: made one at a time"]


def _drawn(
    model: TextToImage, items: Sequence[Item], batch: int, settings: Settings, *, ahead: bool
) -> Iterator[tuple[Drawn, float]]:
    """The images of items in their order, made batch by batch, and the seconds of each; short batches are padded.

    With `ahead` a batch is begun before the images of the last one are handed out: the device computes while the CPU
    writes files. Where the CPU is the device there is nothing to gain.
    """

    def draw(start: int) -> list[tuple[Drawn, float]]:
        group, began = items[start : start + batch], time.monotonic()
        images = model.draw([*group, *[group[0]] * (batch - len(group))], settings)[: len(group)]
        return [(image, (time.monotonic() - began) / len(group)) for image in images]

    if not ahead:
        for start in range(0, len(items), batch):
            yield from draw(start)
        return
    with ThreadPoolExecutor(1, thread_name_prefix="draw") as pool:
        coming = pool.submit(draw, 0)
        for start in range(batch, len(items) + batch, batch):
            done = coming.result()
            if start < len(items):
                coming = pool.submit(draw, start)
            yield from done


def _loras(params: GenerateParams, files: Mapping[str, Path]) -> list[Lora]:
    from spritebuild_stages.diffusion.adapters import Lora

    unknown = [lora.name for lora in params.loras if lora.name not in files]
    if unknown:
        raise UsageError(f"no input for LoRA {unknown[0]!r}", facts=[("inputs", ", ".join(sorted(files)) or "none")])
    return [Lora(lora.name, files[lora.name].resolve(), lora.weight) for lora in params.loras]


def _item_cautions(model: TextToImage, item: Item, settings: Settings) -> list[str]:
    cautions = []
    if cut := model.cut_words(item.prompt):
        cautions.append(f"the prompt is too long for the model, which does not see: {cut}")
    if item.negative and not settings.guided:
        cautions.append(f"the negative prompt is unused at guidance {settings.guidance:g}")
    elif item.negative and (cut := model.cut_words(item.negative)):
        cautions.append(f"the negative prompt is too long for the model, which does not see: {cut}")
    return cautions
