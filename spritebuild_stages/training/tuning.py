"""A pipeline with a LoRA that is being trained: encodes the dataset once, then computes the loss of batches."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spritebuild.errors import UsageError
from spritebuild.stage import Context
from spritebuild_stages._draws import Order, chance, hashed, noise
from spritebuild_stages.diffusion.lora_files import TEXT_ENCODERS, Adapter
from spritebuild_stages.diffusion.pipeline import Item, Settings, TextToImage
from spritebuild_stages.training.loop import SamplePrompt, Training, autocast

if TYPE_CHECKING:
    import torch

    from spritebuild_stages.datasets.artifact import Example
    from spritebuild_stages.training.lora_params import TrainLoraParams

NAME = "trained"
TEXT_TARGETS = ("q_proj", "k_proj", "v_proj", "out_proj")
MOST_PROMPTS = 20_000  # encoded captions that are kept


def order_of(examples: Sequence[Example], params: TrainLoraParams) -> Order:
    """Batches of pictures of one size."""
    return Order(
        [example.pixels.shape[:2] for example in examples],
        params.batch,
        params.seed,
        [example.repeats for example in examples],
        [example.weight for example in examples],
    )


class Tuned:
    """The model, with the LoRA's weights in fp32 as its only trainable ones."""

    def __init__(
        self, folder: Path, examples: Sequence[Example], params: TrainLoraParams, order: Order, context: Context
    ) -> None:
        """Load the model, encode the pictures, add the LoRA. Raises UsageError where no module is a target."""
        self.params, self.examples, self.order = params, examples, order
        context.say(f"loading {folder.name}")
        self.model = TextToImage(folder, params.precision if params.precision != "fp16" else "fp32", context.threads)
        self.torch, self.pipe = self.model.torch, self.model.pipe
        import diffusers

        own = self.model.own_scheduler
        self.schedule = diffusers.DDPMScheduler.from_config(own.config)
        self.prediction: str = self.schedule.config.prediction_type
        if self.prediction not in ("epsilon", "v_prediction"):
            raise UsageError(f"a model that predicts {self.prediction} cannot be trained", where=str(folder))
        self._latents = [self._encoded(example.pixels) for example in examples]
        self._mirrored = [self._encoded(example.pixels[:, ::-1]) for example in examples] if params.flip else []
        self._prompts: dict[str, Mapping[str, torch.Tensor]] = {}
        self.pipe.unet.to(memory_format=self.torch.channels_last)  # a fifth to a third less time for convolutions
        self._parts = ["unet", *(TEXT_ENCODERS[self.model.name] if params.text_encoder else ())]
        self._add()

    # The adapter

    def _add(self) -> None:
        import peft

        from spritebuild_stages.training.lora_params import TARGETS

        params = self.params
        named = TARGETS[params.targets] if isinstance(params.targets, str) else params.targets
        for part in ("unet", "vae", *TEXT_ENCODERS[self.model.name]):
            getattr(self.pipe, part).requires_grad_(False)
        for part in self._parts:
            config = peft.LoraConfig(
                r=params.rank,
                lora_alpha=params.alpha,
                lora_dropout=params.dropout,
                use_rslora=params.rslora,
                use_dora=params.dora,
                target_modules=list(named if part == "unet" else TEXT_TARGETS),
            )
            module = getattr(self.pipe, part)
            try:
                module.add_adapter(config, adapter_name=NAME) if part == "unet" else module.add_adapter(config, NAME)
            except ValueError as error:
                raise UsageError(
                    f"no module of the model is a target: {', '.join(named)}", facts=[("reported", error)]
                ) from error
            fuse(module)
            if params.gradient_checkpointing:
                module.enable_gradient_checkpointing() if part == "unet" else module.gradient_checkpointing_enable()
        self.parameters = dict(self._trained())
        with self.torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.data = parameter.data.float()
                if ".lora_A." in name:
                    generator = self.torch.Generator("cpu").manual_seed(hashed(params.seed, name, "start"))
                    start = self.torch.empty(parameter.shape)
                    self.torch.nn.init.kaiming_uniform_(start, a=math.sqrt(5), generator=generator)
                    parameter.copy_(start)

    def _trained(self) -> Iterator[tuple[str, torch.nn.Parameter]]:
        for part in self._parts:
            for name, parameter in getattr(self.pipe, part).named_parameters():
                if parameter.requires_grad:
                    yield f"{part}.{name}", parameter

    def adapter(self) -> Adapter:
        """The LoRA as it is now, in the type that it is saved in."""
        import peft

        from spritebuild_stages.diffusion.pipeline import DTYPES

        dtype = getattr(self.torch, DTYPES[self.params.save_dtype])
        parts = {
            part: {
                name: tensor.detach().to("cpu", dtype, copy=True)
                for name, tensor in peft.get_peft_model_state_dict(getattr(self.pipe, part), adapter_name=NAME).items()
            }
            for part in self._parts
        }
        return Adapter(self.model.name, parts, self.params.rank, self.params.alpha, self.params.rslora)

    def configs(self) -> dict[str, dict[str, Any]]:
        """PEFT's configuration of each part, as JSON values."""
        found = {}
        for part in self._parts:
            config = getattr(self.pipe, part).peft_config[NAME].to_dict()
            config["lora_dropout"] = 0.0  # diffusers would go on dropping when it generates
            found[part] = {
                key: sorted(value) if isinstance(value, set) else value
                for key, value in config.items()
                if isinstance(value, str | int | float | bool | list | set | dict) or value is None
            }
        return found

    # What is learned from

    def training(self, steps: int, kept: Path | None, watched: Path | None, say: Any) -> Training:
        """The training of these parameters."""
        return Training(self.params, steps, self.model.device, self.parameters, kept, watched, say)

    def losses(self, step: int, micro: int) -> dict[str, torch.Tensor]:
        """The mean loss of a batch: the squared error of the prediction, weighed by the time step."""
        torch, params = self.torch, self.params
        self._training_mode(True)
        number = step * params.accumulation + micro
        picks = self.order.batch(number)
        places = [(params.seed, number, slot) for slot in range(len(picks))]
        clean = torch.stack([self._clean(index, place) for index, place in zip(picks, places, strict=True)])
        eps = torch.stack([self._noise(clean.shape[1:], place) for place in places])
        count = self.schedule.config.num_train_timesteps
        times = torch.tensor([int(chance(*place, "time") * count) for place in places])
        noisy = self.schedule.add_noise(clean, eps, times)
        target = eps if self.prediction == "epsilon" else self.schedule.get_velocity(clean, eps, times)
        conditions = self._conditions([self._caption(i, p) for i, p in zip(picks, places, strict=True)], clean.shape)
        device = self.model.device
        weights = next(self.pipe.unet.parameters()).dtype
        with autocast(self.params.precision, self.model.device):
            predicted = self.pipe.unet(noisy.to(device, weights), times.to(device), return_dict=False, **conditions)[0]
        error = (predicted.float() - target.to(device)).square().mean((1, 2, 3))
        return {"loss": (error * self._weights(times).to(device)).mean()}

    def _training_mode(self, training: bool) -> None:
        for part in self._parts:
            getattr(self.pipe, part).train(training)

    def _clean(self, index: int, place: tuple[int, ...]) -> torch.Tensor:
        mirrored = self.params.flip and chance(*place, "flip") < 0.5
        mean, deviation = (self._mirrored if mirrored else self._latents)[index]
        return mean + deviation * noise(mean.shape, *place, "latent")

    def _noise(self, shape: Sequence[int], place: tuple[int, ...]) -> torch.Tensor:
        eps = noise(shape, *place, "noise")
        if self.params.noise_offset:
            eps = eps + self.params.noise_offset * noise((shape[0], 1, 1), *place, "offset")
        return eps

    def _weights(self, times: torch.Tensor) -> torch.Tensor:
        """Weights of the squared error by time step: min-SNR in the form of the prediction, or 1."""
        gamma = self.params.min_snr_gamma
        if gamma is None:
            return self.torch.ones(len(times))
        alphas = self.schedule.alphas_cumprod[times]
        snr = alphas / (1 - alphas)
        if self.prediction == "v_prediction":
            return snr.clamp(max=gamma) / (snr + 1)
        return (gamma / snr).clamp(max=1)  # min(SNR, gamma) / SNR, which is 1 where there is no signal

    def _caption(self, index: int, place: tuple[int, ...]) -> str:
        if chance(*place, "drop") < self.params.caption_dropout:
            return ""
        captions = self.examples[index].captions
        caption = captions[int(chance(*place, "caption") * len(captions))]
        if not self.params.tag_shuffle:
            return caption
        tags = [tag.strip() for tag in caption.split(",")]
        first, rest = tags[: self.params.keep_tags], tags[self.params.keep_tags :]
        return ", ".join([*first, *sorted(rest, key=lambda tag: hashed(*place, tag, "shuffle"))])

    def _conditions(self, captions: Sequence[str], shape: Sequence[int]) -> dict[str, Any]:
        torch = self.torch
        encoded = [self._prompt(caption) for caption in captions]
        found: dict[str, Any] = {"encoder_hidden_states": torch.cat([one["prompt_embeds"] for one in encoded])}
        if "pooled_prompt_embeds" in encoded[0]:
            scale = 2 ** (len(self.pipe.vae.config.block_out_channels) - 1)
            height, width = shape[-2] * scale, shape[-1] * scale
            ids = torch.tensor([[height, width, 0, 0, height, width]] * len(captions), device=self.model.device)
            pooled = torch.cat([one["pooled_prompt_embeds"] for one in encoded])
            found["added_cond_kwargs"] = {"text_embeds": pooled, "time_ids": ids.to(pooled.dtype)}
        return found

    def _prompt(self, caption: str) -> Mapping[str, torch.Tensor]:
        if self.params.text_encoder:
            with autocast(self.params.precision, self.model.device):
                return self.model.encoded(caption, "", guided=False, cached=False)
        if caption not in self._prompts:
            with self.torch.no_grad():
                found = self.model.encoded(caption, "", guided=False, cached=False)
            if caption == "" and getattr(self.pipe.config, "force_zeros_for_empty_prompt", False):
                found = {name: self.torch.zeros_like(value) for name, value in found.items()}
            if len(self._prompts) < MOST_PROMPTS:
                self._prompts[caption] = found
            return found
        return self._prompts[caption]

    def _encoded(self, rgba: NDArray[np.uint8]) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and deviation of a picture's latents, scaled; fp32, since autoencoders overflow in half precision."""
        torch, vae = self.torch, self.pipe.vae
        dtype = vae.dtype
        vae.to(torch.float32)
        pixels = torch.from_numpy(prepared(rgba, vae.config.in_channels, self.params.background))
        with torch.no_grad():
            posterior = vae.encode(pixels[None].to(self.model.device)).latent_dist
            shift = getattr(vae.config, "shift_factor", None) or 0.0
            scale = vae.config.scaling_factor
            found = ((posterior.mean - shift) * scale)[0].cpu(), (posterior.std * scale)[0].cpu()
        vae.to(dtype)
        return found

    # Samples

    def sample_prompts(self) -> Sequence[SamplePrompt]:
        """What is drawn meanwhile: as told, or else the captions of the first pictures."""
        first = enumerate(example.captions[0] for example in self.examples[:4])
        return self.params.sample_prompts or [SamplePrompt(prompt=caption, seed=seed) for seed, caption in first]

    def draw(self) -> list[NDArray[np.uint8]]:
        """The sample prompts, or else the first captions, each made alone: RGBA of 8 bits."""
        params = self.params
        self._training_mode(False)
        self.model.forget_prompts()
        height, width = self.examples[0].pixels.shape[:2]
        settings = Settings("ddim", params.sample_steps, params.sample_guidance, (width, height))
        pictures = []
        for sample in self.sample_prompts():
            (drawn,) = self.model.draw([Item(sample.prompt, "", sample.seed)], settings)
            pictures.append(drawn.rgba)
        return pictures


def fuse(module: torch.nn.Module) -> None:
    """Let one product scale and add the change of a linear layer, which PEFT does in two more passes over its output.

    Layers with a variant of their own (DoRA) and convolutions keep PEFT's way.
    """
    import torch
    from peft.tuners.lora.layer import Linear, LoraVariant

    class Fused(LoraVariant):  # type: ignore[misc]
        @staticmethod
        def forward(module: Any, active_adapter: str, x: torch.Tensor, result: torch.Tensor, **_: Any) -> torch.Tensor:
            down = module.lora_A[active_adapter](module.lora_dropout[active_adapter](x))
            up = module.lora_B[active_adapter].weight
            scale = module.scaling[active_adapter]
            added = torch.addmm(result.flatten(0, -2).to(down.dtype), down.flatten(0, -2), up.t(), alpha=scale)
            return added.view(result.shape)

    for layer in module.modules():
        if isinstance(layer, Linear) and NAME not in layer.lora_variant:
            layer.lora_variant[NAME] = Fused()


def prepared(rgba: NDArray[np.uint8], channels: int, background: str = "#ffffff") -> NDArray[np.float32]:
    """A picture (H, W, 4) as an autoencoder takes it: float32 (3 or 4, H, W) in -1..1.

    With four channels, hidden colors are the middle gray 0; with three, the picture lies on the background.
    """
    pixels = rgba.astype(np.float32) / 127.5 - 1
    if channels == 4:
        pixels[..., :3] *= rgba[..., 3:] > 0
        return np.ascontiguousarray(pixels.transpose(2, 0, 1))
    ground = np.array([int(background[at : at + 2], 16) for at in (1, 3, 5)], np.float32) / 127.5 - 1
    alpha = rgba[..., 3:].astype(np.float32) / 255
    return np.ascontiguousarray((pixels[..., :3] * alpha + ground * (1 - alpha)).transpose(2, 0, 1))
