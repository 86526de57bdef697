"""A text-to-image pipeline around the integrator transformer: its parts, its call and its folder; knows no training.

The call is the part of diffusers' StableDiffusionPipeline that `pipeline.py` uses. Diffusers cannot load the folder
by itself, since the model is none of its classes: `from_pretrained` here does. Importing this imports torch.
"""

# mypy: disable-error-code="misc,untyped-decorator"
# the classes and decorators of torch and diffusers are not typed

from __future__ import annotations

import importlib
import inspect
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers import DiffusionPipeline, ImagePipelineOutput
from diffusers.image_processor import VaeImageProcessor
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor

from spritebuild_stages.diffusion.inl_dit import InlTransformer2DModel


class InlPipeline(DiffusionPipeline):
    """Autoencoder, text encoder, tokenizer, transformer and scheduler."""

    model_cpu_offload_seq = "text_encoder->transformer->vae"

    def __init__(self, vae: Any, text_encoder: Any, tokenizer: Any, transformer: Any, scheduler: Any) -> None:
        super().__init__()
        self.register_modules(
            vae=vae, text_encoder=text_encoder, tokenizer=tokenizer, transformer=transformer, scheduler=scheduler
        )
        # the index names the library that can read the weights, never a module of ours to be imported
        self.register_to_config(transformer=("diffusers", type(transformer).__name__))
        self.vae_scale_factor = 2 ** (len(vae.config.block_out_channels) - 1)
        self.patch_size = transformer.config.patch_size
        self.image_processor = VaeImageProcessor(vae_scale_factor=self.vae_scale_factor)

    @classmethod
    def from_pretrained(
        cls,
        folder: str,
        *,
        torch_dtype: torch.dtype | None = None,
        variant: str | None = None,
        use_safetensors: bool = True,
        local_files_only: bool = True,
    ) -> InlPipeline:
        """Load a folder that `save_pretrained` wrote."""
        index = json.loads(Path(folder, "model_index.json").read_bytes())
        options: dict[str, Any] = {"local_files_only": local_files_only}
        weights = {"use_safetensors": use_safetensors, "variant": variant}

        def component(name: str, **given: Any) -> Any:
            library, class_name = index[name]
            return getattr(importlib.import_module(library), class_name).from_pretrained(
                folder, subfolder=name, **options, **given
            )

        return cls(
            vae=component("vae", **weights, torch_dtype=torch_dtype),
            text_encoder=component("text_encoder", **weights, dtype=torch_dtype),
            tokenizer=component("tokenizer"),
            transformer=InlTransformer2DModel.from_pretrained(
                folder, subfolder="transformer", **options, **weights, torch_dtype=torch_dtype
            ),
            scheduler=component("scheduler"),
        )

    def encode_prompt(
        self,
        prompt: str | Sequence[str],
        device: Any = None,
        num_images_per_prompt: int = 1,
        do_classifier_free_guidance: bool = True,
        negative_prompt: str | Sequence[str] | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Embeddings (B, tokens, width) of the prompts and, with guidance, of the negative ones, "" by default."""
        prompts = [prompt] if isinstance(prompt, str) else list(prompt)
        negatives = [negative_prompt] if isinstance(negative_prompt, str) else list(negative_prompt or [""])
        if len(negatives) not in (1, len(prompts)):
            raise ValueError(f"{len(negatives)} negative prompts for {len(prompts)} prompts")
        encoded = self._encoded(prompts, device).repeat_interleave(num_images_per_prompt, 0)
        if not do_classifier_free_guidance:
            return encoded, None
        against = self._encoded(negatives * (len(prompts) // len(negatives)), device)
        return encoded, against.repeat_interleave(num_images_per_prompt, 0)

    def _encoded(self, texts: list[str], device: Any) -> Tensor:
        length = self.tokenizer.model_max_length
        tokens = self.tokenizer(
            texts, padding="max_length", max_length=length, truncation=True, return_tensors="pt"
        ).input_ids
        encoded: Tensor = self.text_encoder(tokens.to(device or self._execution_device))[0]
        return encoded

    @torch.no_grad()
    def __call__(
        self,
        prompt: str | Sequence[str] | None = None,
        height: int | None = None,
        width: int | None = None,
        num_inference_steps: int = 50,
        guidance_scale: float = 7.5,
        negative_prompt: str | Sequence[str] | None = None,
        generator: torch.Generator | list[torch.Generator] | None = None,
        prompt_embeds: Tensor | None = None,
        negative_prompt_embeds: Tensor | None = None,
        output_type: str = "pil",
    ) -> ImagePipelineOutput:
        """Images of the prompts or of their embeddings, by classifier-free guidance (Ho and Salimans 2022) above 1."""
        guided = guidance_scale > 1
        device = self._execution_device
        if prompt_embeds is None:
            if prompt is None:
                raise ValueError("neither prompt nor prompt_embeds is given")
            prompt_embeds, negative_prompt_embeds = self.encode_prompt(
                prompt, device, do_classifier_free_guidance=guided, negative_prompt=negative_prompt
            )
        conditions = prompt_embeds
        if guided:
            if negative_prompt_embeds is None:
                raise ValueError("guidance needs negative_prompt_embeds beside prompt_embeds")
            conditions = torch.cat([negative_prompt_embeds, prompt_embeds])
        conditions = conditions.to(device, self.transformer.dtype)
        side = self.transformer.config.sample_size
        factor = self.vae_scale_factor
        shape = (
            len(prompt_embeds),
            self.transformer.config.in_channels,
            height // factor if height else side,
            width // factor if width else side,
        )
        latents = randn_tensor(shape, generator=generator, device=device, dtype=conditions.dtype)
        self.scheduler.set_timesteps(num_inference_steps, device=device)
        latents = latents * self.scheduler.init_noise_sigma
        extra = self._noise_source(generator)
        for time in self.progress_bar(self.scheduler.timesteps):
            given = self.scheduler.scale_model_input(torch.cat([latents] * 2) if guided else latents, time)
            predicted = self.transformer(given.to(conditions.dtype), time, conditions).sample
            if guided:
                without, with_prompt = predicted.chunk(2)
                predicted = without + guidance_scale * (with_prompt - without)
            latents = self.scheduler.step(predicted, time, latents, **extra).prev_sample
        decoded = self.vae.decode(latents.to(self.vae.dtype) / self.vae.config.scaling_factor).sample
        return ImagePipelineOutput(images=self.image_processor.postprocess(decoded, output_type=output_type))

    def _noise_source(self, generator: Any) -> dict[str, Any]:
        """Samplers that add noise take it from the images' own generators; the others know no such argument."""
        return {"generator": generator} if "generator" in inspect.signature(self.scheduler.step).parameters else {}
