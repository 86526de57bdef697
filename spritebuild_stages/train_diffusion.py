"""Train-diffusion: a dataset and an autoencoder to a text-to-image model that the generate stage loads.

The result is a whole pipeline: a model without the tokenizer and text encoder that it learned with cannot be told
anything. Whether it can be guided is in the model's own config.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from math import lcm
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spritebuild.errors import UsageError
from spritebuild.stage import BoundAction, Context, Folder, Inputs, Notes, Outputs
from spritebuild_stages.training.diffusion_params import TrainDiffusionParams
from spritebuild_stages.training.loop import SamplePrompt, TrainingStage

if TYPE_CHECKING:
    import torch

    from spritebuild_stages.datasets.artifact import Example
    from spritebuild_stages.training.text_encoders import Texts

SAMPLES = 4
PIPELINE_GRID = 8  # pixels that the pipelines' own checks ask for, whatever the autoencoder
DEVIATION = (0.5, 2.0)  # of latents; a noise schedule is made for 1


class TrainDiffusionInputs(Inputs):
    """The dataset, the autoencoder's folder, and pipelines: a text encoder to be used as it is, one to go on from."""

    images: Path
    manifest: Path
    vae: Path
    text: Path | None = None
    init: Path | None = None


class TrainDiffusionOutputs(Outputs):
    """The model in the diffusers layout, its log, samples by step and prompt, and what it is."""

    model: Folder = Path("model")
    log: Path = Path("log.jsonl")
    samples: Path = Path("samples.png")
    card: Path = Path("card.json")


@dataclass(frozen=True)
class _Task:
    """What is to be learned, as far as it is known without a device; the size is height, width."""

    learned: Sequence[Example]
    texts: Texts
    labels: Mapping[str, Sequence[str]]
    size: tuple[int, int]
    factor: int
    warnings: list[str]


class TrainDiffusion(TrainingStage):
    """Trains a UNet or an integrator transformer on the latents of an autoencoder."""

    version = 1
    Params = TrainDiffusionParams
    Inputs = TrainDiffusionInputs
    Outputs = TrainDiffusionOutputs

    def train(self, action: BoundAction, context: Context) -> Notes:
        """Encode the dataset, train, save the pipeline."""
        from spritebuild_stages._draws import Order
        from spritebuild_stages.training.loop import Training, total_steps, write_log

        params: TrainDiffusionParams = action.params
        inputs: TrainDiffusionInputs = action.inputs
        outputs: TrainDiffusionOutputs = action.outputs
        task = _task(params, inputs)
        order = Order(
            [example.pixels.shape[:2] for example in task.learned],
            params.batch,
            params.seed,
            [example.repeats for example in task.learned],
            [example.weight for example in task.learned],
        )
        steps = total_steps(params, order.batches_per_epoch)

        from spritebuild_stages import _torch

        torch = _torch.start(context.threads)
        device = _torch.device(torch)
        from spritebuild_stages.training import denoisers
        from spritebuild_stages.training.denoising import Denoising
        from spritebuild_stages.training.samples import Samples
        from spritebuild_stages.training.text_encoders import Conditions

        with _torch.memory_errors(device, params.batch):
            pipe, trained, taken = _pipeline(params, inputs, task)
            pipe.to(device)
            model = denoisers.made_fast(getattr(pipe, denoisers.PARTS[params.architecture]), device)
            if params.gradient_checkpointing:
                model.enable_gradient_checkpointing()
            context.say(f"encoding {len(task.learned)} pictures")
            latents, deviation = _latents(pipe.vae, task.learned, device)
            if not DEVIATION[0] < deviation < DEVIATION[1]:
                task.warnings.append(
                    f"the latents' deviation is {deviation:.2f}, not about 1: the autoencoder's scaling_factor is wrong"
                )
            conditions = Conditions(pipe.tokenizer, pipe.text_encoder, task.texts, trained, device)
            if cut := conditions.cut():
                task.warnings.append(f"{len(cut)} texts are longer than the text encoder reads, such as: {cut[0]}")
            parameters = {f"denoiser.{name}": parameter for name, parameter in model.named_parameters()}
            if trained:
                text = pipe.text_encoder.named_parameters()
                parameters |= {f"text.{name}": value for name, value in text if value.requires_grad}
            training = Training(params, steps, device, parameters, action.kept, action.watched, context.say)
            prompts = params.sample_prompts or _prompts(task.texts)

            def draw() -> list[Any]:
                with training.averaged():
                    return [_drawn(pipe, prompt, task.size, params) for prompt in prompts]

            every = params.sample_every or steps
            samples = Samples([*range(every, steps, every), steps], draw, action.kept, action.watched)
            losses = Denoising(params, model, latents, conditions, order, training)
            log = training.run(losses, samples)
        denoisers.save(pipe, outputs.model, params.save_dtype)
        write_log(outputs.log, log)
        samples.write(outputs.samples)
        about = _card(params, inputs, task, pipe, steps) | {
            "latents_deviation": round(deviation, 4),
            "taken_over": taken,
        }
        outputs.card.write_text(json.dumps(about, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        notes = {name: about[name] for name in ("parameters", "steps", "taken_over")}
        return {"device": device, **notes, "warnings": task.warnings}


# Before a device is touched


def _task(params: TrainDiffusionParams, inputs: TrainDiffusionInputs) -> _Task:
    """Read the dataset. Raises UsageError for what the model to be could not be trained on."""
    from spritebuild_stages import _pretrained
    from spritebuild_stages.datasets import artifact
    from spritebuild_stages.images import batches
    from spritebuild_stages.training import text_encoders

    examples = artifact.read(inputs.images, inputs.manifest).examples
    learned = [example for example in examples if not example.held_out]
    if not learned:
        raise UsageError("the dataset has no picture to learn from", where=str(inputs.manifest))
    values: dict[str, list[str]] = {}
    if params.conditioning == "labels":
        if inputs.text is not None:
            raise UsageError('the text encoder `text` reads no labels: leave it out, or set conditioning = "text"')
        texts, values = text_encoders.labels(learned, params.labels)
    else:
        texts = text_encoders.captions(learned)
    if inputs.text is None and inputs.init is None and not params.train_text_encoder:
        raise UsageError("a text encoder that is new must be trained: leave train_text_encoder out, or give text")
    vae = _pretrained.config(_pretrained.part(inputs.vae, "vae"), "AutoencoderKL")
    if (vae.get("in_channels"), vae.get("out_channels")) != (4, 4):
        raise UsageError("the autoencoder knows no alpha: it has not four channels", where=str(inputs.vae))
    factor = 1 << (len(vae["block_out_channels"]) - 1)
    batches.check_divisible(
        [(example.name, example.pixels) for example in learned],
        lcm(PIPELINE_GRID, factor * params.divisor),
        f"an autoencoder of factor {factor} before {_named(params)}",
        "give the dataset another size, or the model fewer levels or a smaller patch",
    )
    sizes = Counter(example.pixels.shape[:2] for example in learned)
    ((height, width), _), *_ = sizes.most_common(1)
    return _Task(learned, texts, values, (height, width), factor, [])


def _named(params: TrainDiffusionParams) -> str:
    if params.architecture == "unet":
        return f"a UNet of {len(params.channels)} levels"
    return f"a transformer of patches of {params.patch}x{params.patch}"


def _prompts(texts: Texts) -> list[SamplePrompt]:
    firsts = dict.fromkeys(variants[0] for variants in texts if variants[0])
    return [SamplePrompt(prompt=text, seed=seed) for seed, text in enumerate([*firsts][:SAMPLES])]


# On it


def _pipeline(
    params: TrainDiffusionParams, inputs: TrainDiffusionInputs, task: _Task
) -> tuple[Any, bool, dict[str, str]]:
    """The parts of the model, whether the text encoder is trained, and how much was taken over of init."""
    from spritebuild_stages.training import denoisers, denoising, text_encoders

    source = inputs.text or inputs.init
    labeled = params.conditioning == "labels"
    trained = inputs.text is None and params.train_text_encoder
    if source is not None:
        tokenizer, encoder = text_encoders.loaded(source)
        if labeled:
            text_encoders.check_known(tokenizer, task.labels, source)
    else:
        if labeled:
            tokenizer = text_encoders.label_tokenizer(task.labels)
        else:
            tokenizer = text_encoders.learned_tokenizer(task.texts, params.vocabulary, params.text_length)
        encoder = text_encoders.fresh(params, tokenizer, labeled)
    encoder.requires_grad_(trained)
    if labeled:
        encoder.embeddings.position_embedding.requires_grad_(False)
    vae = denoisers.autoencoder(inputs.vae)
    model, taken = denoisers.denoiser(
        params, vae.config.latent_channels, max(task.size) // task.factor, encoder.config.hidden_size, inputs.init
    )
    scheduler = denoising.scheduler(params)
    return denoisers.pipeline(vae, encoder, tokenizer, model, scheduler), trained, {"denoiser": taken} if taken else {}


def _latents(vae: Any, examples: Sequence[Example], device: str) -> tuple[list[torch.Tensor], float]:
    """The latents of every picture, on the CPU, and the deviation of all their numbers."""
    import torch

    from spritebuild_stages.images import batches
    from spritebuild_stages.training import denoisers

    found: dict[int, torch.Tensor] = {}
    with torch.no_grad():
        for chunk in batches.chunks([example.pixels.shape[:2] for example in examples]):
            encoded = denoisers.latents(vae, batches.batch([examples[i].pixels for i in chunk], device)).cpu()
            found |= dict(zip(chunk, encoded, strict=True))
    latents = [found[index] for index in range(len(examples))]
    return latents, float(torch.cat([one.flatten() for one in latents]).double().std())


def _drawn(pipe: Any, sample: SamplePrompt, size: tuple[int, int], params: TrainDiffusionParams) -> Any:
    import torch

    from spritebuild_stages.images import batches

    with torch.no_grad():
        made = pipe(
            sample.prompt,
            height=size[0],
            width=size[1],
            num_inference_steps=params.sample_steps,
            guidance_scale=params.sample_guidance,
            generator=torch.Generator("cpu").manual_seed(sample.seed),
            output_type="pt",
        )
    (picture,) = batches.pixels(made.images * 2 - 1)
    return picture


def _card(
    params: TrainDiffusionParams, inputs: TrainDiffusionInputs, task: _Task, pipe: Any, steps: int
) -> dict[str, Any]:
    """What the model is and how it came to be: the one configuration that was used, its defaults included."""
    from spritebuild_stages.training import denoisers

    config = dict(getattr(pipe, denoisers.PARTS[params.architecture]).config)
    return {
        "params": params.model_dump(mode="json"),
        "denoiser": {name: value for name, value in config.items() if not name.startswith("_")},
        "parameters": denoisers.parameter_counts(pipe),
        "labels": task.labels,
        "dataset": {
            "manifest_sha256": sha256(inputs.manifest.read_bytes()).hexdigest(),
            "pictures": len(task.learned),
            "texts": len({text for variants in task.texts for text in variants}),
        },
        "steps": steps,
        "pictures_a_step": params.batch * params.accumulation,
        "guidance": params.condition_dropout > 0,
    }
