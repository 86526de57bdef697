"""Train-vae: a dataset to an autoencoder of RGBA sprites, whose latents a diffusion model is then trained on.

The first share of the steps trains both halves, the rest, if any, the decoder alone. The latents' deviation is
measured at the end and stored: a noise schedule means nothing on latents of any other than 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spritebuild.errors import UsageError
from spritebuild.stage import BoundAction, Context, Folder, Inputs, Notes, Outputs
from spritebuild_stages.training.loop import TrainingStage
from spritebuild_stages.training.vae_params import TrainVaeParams

if TYPE_CHECKING:
    import torch

    from spritebuild_stages.datasets.artifact import Example
    from spritebuild_stages.training.loop import Training

SAMPLES = 12
CHANNELS_A_GROUP, MOST_GROUPS = 4, 32  # of the group normalization, as in the autoencoders of Stable Diffusion
KEPT_FROM_INIT = ("norm_num_groups", "act_fn", "use_quant_conv", "use_post_quant_conv")


class TrainVaeInputs(Inputs):
    """The dataset, and folders: weights to begin with (an autoencoder or a pipeline), an image model for features."""

    images: Path
    manifest: Path
    init: Path | None = None
    features: Path | None = None


class TrainVaeOutputs(Outputs):
    """The autoencoder in the diffusers layout, its log, and sprites above their reconstructions."""

    vae: Folder = Path("vae")
    log: Path = Path("log.jsonl")
    samples: Path = Path("samples.png")


class TrainVae(TrainingStage):
    """Trains an AutoencoderKL with four channels in and out."""

    version = 1
    Params = TrainVaeParams
    Inputs = TrainVaeInputs
    Outputs = TrainVaeOutputs

    def train(self, action: BoundAction, context: Context) -> Notes:
        """Train, measure the latents, reconstruct what was held out."""
        from spritebuild_stages import _torch
        from spritebuild_stages._draws import Order
        from spritebuild_stages.datasets import artifact
        from spritebuild_stages.images import png
        from spritebuild_stages.images.grid import grid
        from spritebuild_stages.training.loop import Training, total_steps, write_log

        params: TrainVaeParams = action.params
        outputs: TrainVaeOutputs = action.outputs
        examples = artifact.read(action.inputs.images, action.inputs.manifest).examples
        learned = [example for example in examples if not example.held_out]
        warnings = _checked(params, action.inputs, examples, learned)
        sizes = [example.pixels.shape[:2] for example in learned]
        order = Order(sizes, params.batch, params.seed, [e.repeats for e in learned], [e.weight for e in learned])
        steps = total_steps(params, order.batches_per_epoch)

        torch = _torch.start(context.threads)
        device = _torch.device(torch)
        vae, taken = _model(params, action.inputs.init, max(map(max, sizes)))
        vae.to(device)
        if params.gradient_checkpointing:
            vae.enable_gradient_checkpointing()
        parameters = dict(vae.named_parameters())
        training = Training(params, steps, device, parameters, action.kept, action.watched, context.say)
        frozen_at = max(1, round(params.freeze_encoder_at * steps))
        losses = _Losses(params, learned, order, vae, training, frozen_at, action.inputs.features)
        with _torch.memory_errors(device, params.batch):
            log = training.run(losses, lambda step: _freeze(training, step == frozen_at))
            measured = [example for example in examples if example.held_out] or learned
            with torch.no_grad():
                vae.register_to_config(scaling_factor=_scaling_factor(vae, learned, device))
                quality, shown = _reconstructed(vae, measured, device)
        vae.cpu().save_pretrained(outputs.vae)
        write_log(outputs.log, log)
        png.write(outputs.samples, grid([[e.pixels for e in measured[:SAMPLES]], shown]))
        return {
            "device": device,
            "parameters": sum(parameter.numel() for parameter in vae.parameters()),
            "scaling_factor": vae.config.scaling_factor,
            "pictures": len(learned),
            "measured_on": "held out" if measured is not learned else "trained on",
            **quality,
            **({"taken_over": taken} if taken else {}),
            "warnings": warnings,
        }


def _checked(
    params: TrainVaeParams, inputs: TrainVaeInputs, examples: Sequence[Example], learned: Sequence[Example]
) -> list[str]:
    """Raise UsageError for what could not be trained, before a device is touched; returns warnings."""
    from spritebuild_stages.images import batches

    if not learned:
        raise UsageError("the dataset has no picture to learn from", where=str(inputs.manifest))
    if (params.loss.perceptual > 0) != (inputs.features is not None):
        raise UsageError(
            "loss.perceptual and the image model `features` need each other",
            facts=[("loss.perceptual", params.loss.perceptual), ("features", inputs.features or "none")],
        )
    if params.loss.direction and not any(params.direction_label in example.labels for example in learned):
        raise UsageError(
            f"loss.direction needs pictures with the label {params.direction_label!r}, and there are none",
            hint="give the dataset labels, or set direction_label",
        )
    named = [(example.name, example.pixels) for example in examples]
    batches.check_divisible(
        named,
        params.factor,
        f"an autoencoder of {len(params.channels)} levels",
        "give the dataset another size, or the autoencoder fewer levels in channels",
    )
    return batches.small_grids(named, params.factor)


def _model(params: TrainVaeParams, init: Path | None, side: int) -> tuple[Any, str]:
    """A fresh autoencoder with whatever of `init` fits, and how much that was."""
    import torch
    from diffusers import AutoencoderKL

    from spritebuild_stages import _pretrained
    from spritebuild_stages._draws import hashed

    levels = len(params.channels)
    shared = math.gcd(*params.channels)
    groups = [count for count in range(1, MOST_GROUPS + 1) if shared % count == 0]
    config = {
        "norm_num_groups": max([count for count in groups if shared // count >= CHANNELS_A_GROUP], default=1),
    }
    given = None
    if init is not None:
        folder = _pretrained.part(init, "vae")
        declared = _pretrained.config(folder, "AutoencoderKL")
        config |= {name: declared[name] for name in KEPT_FROM_INIT if name in declared}
        given = _pretrained.load(AutoencoderKL, folder).state_dict()
    if shared % config["norm_num_groups"]:
        raise UsageError(
            f"the channels {params.channels} are not divisible into the groups of init's normalization",
            facts=[("groups", config["norm_num_groups"])],
        )
    torch.manual_seed(hashed(params.seed, "autoencoder"))
    vae = AutoencoderKL(
        in_channels=4,
        out_channels=4,
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        block_out_channels=params.channels,
        layers_per_block=params.layers,
        latent_channels=params.latent_channels,
        mid_block_add_attention=params.attention,
        sample_size=side,
        scaling_factor=1.0,
        **config,
    )
    return vae, _pretrained.take_over(vae, given, init) if given is not None and init is not None else ""


class _Losses:
    """The losses of one batch, by its place in the training."""

    def __init__(
        self,
        params: TrainVaeParams,
        examples: Sequence[Example],
        order: Any,
        vae: Any,
        training: Training,
        frozen_at: int,
        features: Path | None,
    ) -> None:
        from spritebuild_stages.training import vae_losses

        self.params, self.examples, self.order, self.vae = params, examples, order, vae
        self.training, self.frozen_at = training, frozen_at
        self.perceptual = None
        if features is not None:
            self.perceptual = vae_losses.perceptual(features, examples[0].pixels.shape[:2], training.device)

    def __call__(self, step: int, micro: int) -> dict[str, torch.Tensor]:
        import torch

        from spritebuild_stages import _draws
        from spritebuild_stages.images import batches
        from spritebuild_stages.training import vae_losses

        params, device = self.params, self.training.device
        number = step * params.accumulation + micro
        examples = [self.examples[index] for index in self.order.batch(number)]
        pictures = batches.batch([example.pixels for example in examples], device)
        frozen = step >= self.frozen_at
        with self.training.autocast():
            with torch.set_grad_enabled(not frozen):
                posterior = self.vae.encode(pictures).latent_dist
                mean, logvar = posterior.mean.float(), posterior.logvar.float()
            noise = torch.stack(
                [_draws.noise(mean.shape[1:], params.seed, number, slot, "latent") for slot in range(len(examples))]
            )
            output = self.vae.decode(mean + (logvar / 2).exp() * noise.to(device)).sample.float()
        found = vae_losses.reconstruction(output, pictures)
        found["kl"] = vae_losses.divergence(mean, logvar)
        if self.perceptual is not None:
            found["perceptual"] = self.perceptual(output, pictures)
        if params.loss.direction:
            labels = [example.labels.get(params.direction_label) for example in examples]
            found["direction"] = vae_losses.direction(mean, labels, params.direction_margin)
        # those of the encoder have no gradient any more, and are logged all the same
        return {
            "loss": sum((getattr(params.loss, name) * value for name, value in found.items()), mean.new_zeros(()))
        } | found


def _freeze(training: Training, now: bool) -> None:
    """Make the encoder what it will be in the result, its average: the decoder is then trained on its latents."""
    if not now:
        return
    halves = ("encoder.", "quant_conv.")
    with training.averaged():
        encoder = {n: p.detach().clone() for n, p in training.parameters.items() if n.startswith(halves)}
    for name, value in encoder.items():
        training.parameters[name].data.copy_(value)


def _scaling_factor(vae: Any, examples: Sequence[Example], device: str) -> float:
    """One over the deviation of all numbers of all latents (the posterior's means)."""
    import torch

    from spritebuild_stages.images import batches

    found = []
    for chunk in batches.chunks([example.pixels.shape[:2] for example in examples]):
        pictures = batches.batch([examples[index].pixels for index in chunk], device)
        found.append(vae.encode(pictures).latent_dist.mean.double().cpu().flatten())
    return float(1 / torch.cat(found).std())


def _reconstructed(vae: Any, examples: Sequence[Example], device: str) -> tuple[dict[str, float], list[Any]]:
    """The quality of reconstructions, and the first of them.

    `psnr` is the peak signal-to-noise ratio of visible colors, in dB; `alpha` the share of pixels that are as visible
    or hidden as they should be.
    """
    from spritebuild_stages.images import batches

    shown: dict[int, Any] = {}
    squares, visible, agreeing, count = 0.0, 0, 0, 0
    for chunk in batches.chunks([example.pixels.shape[:2] for example in examples]):
        pictures = batches.batch([examples[index].pixels for index in chunk], device)
        output = vae.decode(vae.encode(pictures).latent_dist.mean).sample.clamp(-1, 1)
        seen = pictures[:, 3:] > -1
        squares += float(((output - pictures)[:, :3].square() * seen).double().sum())
        visible += 3 * int(seen.sum())
        agreeing += int(((output[:, 3:] > 0) == (pictures[:, 3:] > 0)).sum())
        count += seen.numel()
        shown |= {index: None for index in chunk if index < SAMPLES}
        shown |= {i: one for i, one in zip(chunk, batches.pixels(output), strict=True) if i < SAMPLES}
    error = squares / max(1, visible) / 4
    quality = {"psnr": round(-10 * math.log10(max(error, 1e-12)), 2), "alpha": round(agreeing / count, 5)}
    return quality, [shown[index] for index in sorted(shown)]
