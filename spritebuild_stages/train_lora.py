"""Train a LoRA: low-rank changes of a text-to-image model, learned from a dataset (Hu et al. 2021, arXiv 2106.09685).

Pictures and captions are encoded once, before the first step: a step computes the denoiser and nothing else.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spritebuild.errors import UsageError
from spritebuild.stage import BoundAction, Context, Inputs, Notes, Outputs
from spritebuild_stages.diffusion.lora_files import ARCHITECTURES
from spritebuild_stages.training.loop import TrainingStage
from spritebuild_stages.training.lora_params import TrainLoraParams

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from spritebuild_stages.datasets.artifact import Dataset, Example
    from spritebuild_stages.diffusion.lora_files import Adapter
    from spritebuild_stages.training.loop import Training
    from spritebuild_stages.training.tuning import Tuned


class TrainLoraInputs(Inputs):
    """The base model, a folder in the diffusers layout, and a dataset."""

    model: Path
    images: Path
    manifest: Path


class TrainLoraOutputs(Outputs):
    """The LoRA as ComfyUI and A1111 read it and as diffusers writes it; the log; samples; what is known of it."""

    lora: Path = Path("lora.safetensors")
    peft: Path = Path("peft.safetensors")
    log: Path = Path("log.jsonl")
    samples: Path = Path("samples.png")
    summary: Path = Path("summary.json")


class TrainLora(TrainingStage):
    """Trains alone on its device."""

    version = 3
    Params = TrainLoraParams
    Inputs = TrainLoraInputs
    Outputs = TrainLoraOutputs

    def foreseen(self, params: TrainLoraParams, inputs: Mapping[str, Path]) -> str:
        """How many steps there will be."""
        from spritebuild_stages.datasets import artifact
        from spritebuild_stages.training.loop import foreseen
        from spritebuild_stages.training.tuning import order_of

        if params.steps is not None or not {"images", "manifest"} <= inputs.keys():
            return foreseen(params, None)
        examples = artifact.read(inputs["images"], inputs["manifest"]).examples
        order = order_of([example for example in examples if not example.held_out], params)
        return foreseen(params, order.batches_per_epoch)

    def train(self, action: BoundAction, context: Context) -> Notes | None:
        """Check everything that can be checked without the device, then train."""
        from spritebuild_stages.datasets import artifact
        from spritebuild_stages.training.loop import total_steps, write_log

        params: TrainLoraParams = action.params
        dataset = artifact.read(action.inputs.images, action.inputs.manifest)
        examples = tuple(example for example in dataset.examples if not example.held_out)
        _check(action.inputs.model.resolve(), examples)
        from spritebuild_stages.training.samples import Samples
        from spritebuild_stages.training.tuning import Tuned, order_of

        order = order_of(examples, params)
        steps = total_steps(params, order.batches_per_epoch)
        context.say(f"{len(examples)} pictures, {order.batches_per_epoch} batches an epoch, {steps} steps")
        tuned = Tuned(action.inputs.model.resolve(), examples, params, order, context)
        training = tuned.training(steps, action.kept, action.watched, context.say)
        sheet = Samples(_sampled(params, steps), partial(_drawn, tuned, training), action.kept, action.watched)
        after = _after(sheet, _keeping(params, tuned, training, action.watched))
        log = training.run(tuned.losses, after)
        adapter = tuned.adapter()
        write_log(action.outputs.log, log)
        sheet.write(action.outputs.samples)
        summary = {
            "pipeline": adapter.pipeline,
            "steps": steps,
            "examples": len(examples),
            "dataset": _digest(action.inputs.manifest),
            "triggers": list(dataset.triggers),
            "sample_prompts": [sample.prompt for sample in tuned.sample_prompts()],
            "samples": _digest(action.outputs.samples),
            "trained_parameters": sum(p.numel() for p in training.parameters.values()),
            "params": params.model_dump(mode="json"),
        }
        _write_loras(action.outputs.lora, action.outputs.peft, adapter, tuned, dataset, summary)
        action.outputs.summary.write_text(json.dumps(summary, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        return {"device": tuned.model.device, "steps": steps}


def _check(model: Path, examples: Sequence[Example]) -> None:
    """Raise UsageError for what the model cannot be trained on; reads configurations alone."""
    from spritebuild_stages._weights import inspect_folder

    pipeline = inspect_folder(model).pipeline
    if pipeline not in ARCHITECTURES:
        raise UsageError(
            f"no LoRA can be trained for a {pipeline}",
            where=str(model),
            facts=[("trainable", ", ".join(ARCHITECTURES))],
        )
    if not examples:
        raise UsageError("the dataset holds no picture to train on", hint="held_out leaves some out")
    silent = [example.name for example in examples if not any(example.captions)]
    if silent:
        raise UsageError(
            f"{len(silent)} of {len(examples)} pictures have no caption",
            facts=[("", name) for name in silent[:5]],
            hint="a text-to-image model learns from pictures with captions",
        )
    factor, depth = _config(model / "vae"), _config(model / "unet")
    shrink = 2 ** (len(factor["block_out_channels"]) - 1)
    grid = 2 ** (len(depth["block_out_channels"]) - 1)
    for example in examples:
        height, width = example.pixels.shape[:2]
        if width % (shrink * grid) or height % (shrink * grid):
            sides = f"{width / shrink:g}x{height / shrink:g}"
            step = shrink * grid
            whole = math.lcm(max(width, height), step)
            fits = whole * max(1, round(depth.get("sample_size", 0) * shrink / whole))
            raise UsageError(
                f"{example.name} is {width}x{height}: its latents would be {sides}, not a multiple of {grid}",
                facts=[("latents are smaller by", shrink), ("sides must be multiples of", step)],
                hint=f"give the dataset a canvas, such as size = [{fits}, {fits}]: pixel art grows by whole numbers",
            )


def _config(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return found


def _digest(path: Path) -> str:
    import hashlib

    return hashlib.sha256(path.read_bytes()).hexdigest()


def _write_loras(
    kohya: Path, peft: Path, adapter: Adapter, tuned: Tuned, dataset: Dataset, summary: Mapping[str, Any]
) -> None:
    from spritebuild_stages.diffusion.lora_files import TRAINING, write_kohya, write_peft

    sizes = sorted({example.pixels.shape[:2] for example in dataset.examples})
    about: dict[str, Any] = {
        "modelspec.prediction_type": "v" if tuned.prediction == "v_prediction" else "epsilon",
        "modelspec.resolution": f"{sizes[-1][1]}x{sizes[-1][0]}",
        "ss_resolution": f"({sizes[-1][1]}, {sizes[-1][0]})",
        "ss_seed": str(tuned.params.seed),
        TRAINING: json.dumps(summary, sort_keys=True),
    }
    if dataset.triggers:
        about["modelspec.trigger_phrase"] = ", ".join(dataset.triggers)
    write_kohya(kohya, adapter, about)
    write_peft(peft, adapter, tuned.configs())


def _keeping(params: TrainLoraParams, tuned: Tuned, training: Training, folder: Path | None) -> Callable[[int], None]:
    """Writes the LoRA of every `save_every`th step where people look."""
    from spritebuild_stages.diffusion.lora_files import write_kohya

    def keep(step: int) -> None:
        if params.save_every and folder is not None and step % params.save_every == 0:
            folder.mkdir(parents=True, exist_ok=True)
            with training.averaged():
                write_kohya(folder / f"step-{step:06}.safetensors", tuned.adapter(), {})

    return keep


def _after(*what: Callable[[int], None]) -> Callable[[int], None]:
    def all_of_it(step: int) -> None:
        for one in what:
            one(step)

    return all_of_it


def _sampled(params: TrainLoraParams, steps: int) -> list[int]:
    """The steps after which samples are made: the last one always."""
    every = params.sample_every or steps
    return [*range(every, steps, every), steps]


def _drawn(tuned: Tuned, training: Training) -> list[NDArray[np.uint8]]:
    with training.averaged():
        return tuned.draw()
