"""A text-to-image pipeline from a folder in the diffusers layout; knows no actions, image files or trust in batches.

Imports torch and diffusers when called.
"""

from __future__ import annotations

import gc
import importlib
import inspect
import itertools
import logging
import math
import time
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from spritebuild.errors import MachineError, StageError, UsageError
from spritebuild_stages import _torch
from spritebuild_stages._weights import ModelFolder, inspect_folder, inspect_weights
from spritebuild_stages.diffusion import adapters, memory
from spritebuild_stages.diffusion.adapters import Lora
from spritebuild_stages.diffusion.memory import Memory, Rung
from spritebuild_stages.diffusion.schedulers import SchedulerName, scheduler
from spritebuild_stages.diffusion.seamless import Tile, tiled

DtypeName = Literal["fp32", "bf16", "fp16"]
Kernels = Literal["plain", "channels-last", "compiled"]

DTYPES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
CACHED_PROMPTS = 256
CALL = ("prompt", "height", "width", "num_inference_steps", "guidance_scale", "generator", "output_type")

_BOTH = ("prompt_embeds", "negative_prompt_embeds")
_POOLED = (*_BOTH, "pooled_prompt_embeds", "negative_pooled_prompt_embeds")
# What `encode_prompt` returns, under the names that the call takes; "" is made again by the call.
ENCODED: Mapping[str, tuple[str, ...]] = {
    "StableDiffusionPipeline": _BOTH,
    "StableDiffusionXLPipeline": _POOLED,
    "StableDiffusion3Pipeline": _POOLED,
    "FluxPipeline": ("prompt_embeds", "pooled_prompt_embeds", ""),
    "InlPipeline": _BOTH,
}
OWN = {"InlPipeline": "spritebuild_stages.diffusion.inl_pipeline"}  # what diffusers has not, and where it is


@dataclass(frozen=True)
class Item:
    """One image: what must not be seen by the others of its batch."""

    prompt: str
    negative: str
    seed: int


@dataclass(frozen=True)
class Settings:
    """What the images of a batch have in common: `size` is width, height in pixels, `tile` the sides that meet."""

    scheduler: SchedulerName
    steps: int
    guidance: float
    size: tuple[int, int]
    tile: Tile | None = None

    @property
    def guided(self) -> bool:
        """Whether the model runs twice a step, with the prompt and with the negative (Ho and Salimans 2022)."""
        return self.guidance > 1


@dataclass(frozen=True)
class Drawn:
    """An image: float32 (H, W, 3 or 4) in 0..1, straight alpha; `blanked` by the model's own safety checker."""

    pixels: NDArray[np.float32]
    blanked: bool = False

    @property
    def rgba(self) -> NDArray[np.uint8]:
        """RGBA of 8 bits (H, W, 4), rounded half to even as diffusers does; no alpha is opaque."""
        rgba = np.full((*self.pixels.shape[:2], 4), 255, np.uint8)
        rgba[..., : self.pixels.shape[2]] = np.rint(self.pixels * 255)
        return rgba


class TextToImage:
    """A loaded model. Equal items, settings and batch size give equal bits wherever the kernels allow it."""

    def __init__(
        self,
        folder: Path,
        dtype: DtypeName,
        threads: int,
        pieces: Memory = "full",
        kernels: Kernels = "plain",
    ) -> None:
        """Load from safetensors alone, offline. Raises PolicyError, UsageError or MachineError."""
        inspected = inspect_folder(folder)
        self.torch = _torch.start(threads)
        self.device = _torch.device(self.torch)
        numbers = getattr(self.torch, DTYPES[dtype])
        sizes = memory.weights(folder, numbers.itemsize)
        self.rung: Rung = memory.first(sizes, memory.free(self.torch, self.device))
        self.spent: Callable[[str, float, float], None] | None = None
        self.pipe = _load(inspected, numbers, self.device if self.rung == "resident" else "cpu")
        memory.compute_in_pieces(self.pipe, pieces)
        _choose(self.pipe, kernels)
        if self.rung != "resident":
            memory.climb_down(self.pipe, self.rung, self.device)
        self.fingerprint = inspected.fingerprint
        self.lora_fingerprints: tuple[str, ...] = ()
        self.own_scheduler = self.pipe.scheduler
        self._prompts: OrderedDict[tuple[str, str, bool], dict[str, Any]] = OrderedDict()

    @property
    def name(self) -> str:
        """The class of the pipeline."""
        return type(self.pipe).__name__

    @property
    def batchable(self) -> bool:
        """Whether prompts can be encoded one by one and the images still be made together."""
        return self.name in ENCODED and hasattr(self.pipe, "encode_prompt")

    def use_loras(self, loras: Sequence[Lora]) -> None:
        """Swap the LoRAs, leaving the weights of the model where they are."""
        fingerprints = tuple(inspect_weights(lora.path) for lora in loras)
        self.forget_prompts()
        self.lora_fingerprints = ()
        with _quiet():
            adapters.apply(self.pipe, loras)
        self.lora_fingerprints = fingerprints

    def forget_prompts(self) -> None:
        """Encode prompts anew from now on: a LoRA may change the text encoders too."""
        self._prompts.clear()

    def draw(self, items: Sequence[Item], settings: Settings) -> list[Drawn]:
        """Make one batch of images, noise from one CPU generator each. Raises StageError for images with NaN.

        Where the device is out of memory, all is begun again one rung further down, which changes no byte of it.
        """
        self._check_guidance(settings)
        ladder = memory.rungs(self.device)
        while True:
            try:
                with _torch.memory_errors(self.device, len(items)):
                    return self._draw(items, settings)
            except MachineError as error:
                below = ladder[ladder.index(self.rung) + 1 :]
                if not isinstance(error.__cause__, RuntimeError) or not below:
                    raise
            self.forget_prompts()  # out of the handler, whose traceback holds what the failed call computed
            self.rung = below[0]
            memory.climb_down(self.pipe, self.rung, self.device)

    @contextmanager
    def timed(self, what: str) -> Iterator[None]:
        """Tell `spent` how long something took, once the device has done it; nothing where nobody asked."""
        if self.spent is None:
            yield
            return
        started = time.monotonic()
        yield
        if self.device.startswith("cuda"):
            self.torch.cuda.synchronize()
        self.spent(what, started, time.monotonic())

    @contextmanager
    def _decoding_timed(self) -> Iterator[None]:
        """Tell what the autoencoder takes from what the denoiser does: the pipeline calls one after the other."""
        if self.spent is None:
            yield
            return
        vae, decode, started = self.pipe.vae, self.pipe.vae.decode, time.monotonic()
        begun: list[float] = []

        def timed_decode(*arguments: Any, **named: Any) -> Any:
            if self.device.startswith("cuda"):
                self.torch.cuda.synchronize()
            begun.append(time.monotonic())
            with self.timed("decode"):
                return decode(*arguments, **named)

        vae.decode = timed_decode
        try:
            yield
        finally:
            del vae.decode
            self.spent("denoise", started, begun[0] if begun else time.monotonic())

    def _draw(self, items: Sequence[Item], settings: Settings) -> list[Drawn]:
        torch, pipe = self.torch, self.pipe
        pipe.scheduler = scheduler(settings.scheduler, self.own_scheduler)
        generators = [torch.Generator("cpu").manual_seed(item.seed) for item in items]
        width, height = settings.size
        with _quiet(), torch.no_grad(), tiled(pipe, settings.tile):
            with self.timed("encode"):
                conditions = self._conditions(items, settings)
            with self._decoding_timed():
                result = pipe(
                    **conditions,
                    height=height,
                    width=width,
                    num_inference_steps=settings.steps,
                    guidance_scale=settings.guidance,
                    generator=generators,
                    output_type="pt",
                )
            pixels = result.images.float().permute(0, 2, 3, 1).cpu().contiguous().numpy()
        if pixels.shape[1:3] != (height, width) or pixels.shape[3] not in (3, 4):
            raise StageError(f"{self.name} made images of {pixels.shape[1:]}, not {height, width} in RGB or RGBA")
        if not np.isfinite(pixels).all():
            raise StageError("the model computed NaN", hint='its numbers overflow: set dtype = "fp32" or "bf16"')
        blanked = getattr(result, "nsfw_content_detected", None) or [False] * len(items)
        return [Drawn(image, bool(blank)) for image, blank in zip(pixels, blanked, strict=True)]

    def _check_guidance(self, settings: Settings) -> None:
        """Raise UsageError for guidance of a model that is known never to have learned without a prompt."""
        config = getattr(_denoiser(self.pipe), "config", {})
        if settings.guided and config.get("condition_dropout") == 0:
            raise UsageError(
                "the model was trained without condition_dropout: it cannot be guided",
                facts=[("guidance", f"{settings.guidance:g}")],
                hint="set guidance = 1, or train it with condition_dropout = 0.1",
            )

    def check_prompt(self, prompt: str) -> None:
        """Raise UsageError for a label that a model of labels does not know; what others know, nobody can tell."""
        labels = getattr(getattr(self.pipe, "tokenizer", None), "init_kwargs", {}).get("labels", {})
        asked = [" ".join(part.split()).lower() for part in prompt.split(",")] if labels else []
        unknown = [word for word in asked if word and not any(word in words for words in labels.values())]
        if unknown:
            example = ", ".join(words[0] for words in labels.values())
            raise UsageError(
                f"the model knows no label {unknown[0]!r}",
                facts=[(name, ", ".join(words)) for name, words in labels.items()],
                hint=f'its prompts are labels with commas between them, such as "{example}"',
            )

    def check_size(self, size: tuple[int, int]) -> None:
        """Raise UsageError, with the nearest sizes that work, unless the model's grid has that size."""
        factor = int(getattr(self.pipe, "vae_scale_factor", 8))
        processor = getattr(getattr(self.pipe, "image_processor", None), "config", {})
        patch = factor * int(getattr(self.pipe, "patch_size", 1))
        # 8 is in the checks of the pipelines themselves, whatever the autoencoder.
        grid = math.lcm(8, patch, int(processor.get("vae_scale_factor", factor)))
        unet = getattr(self.pipe, "unet", None)
        depth = len(unet.config.get("block_out_channels", (0,))) if unet is not None else 1
        smallest = -(-factor * 2 ** (depth - 1) // grid) * grid
        if all(side % grid == 0 and side >= smallest for side in size):
            return
        around = [(side // grid * grid, -(-side // grid) * grid) for side in size]
        choices = [sorted({max(smallest, below), max(smallest, above)}) for below, above in around]
        raise UsageError(
            f"the model makes no images of {size[0]}x{size[1]}",
            facts=[
                ("multiples of", f"{grid} pixels"),
                ("at least", f"{smallest} pixels"),
                ("nearest", ", ".join(f"{width}x{height}" for width, height in itertools.product(*choices))),
            ],
            hint="set size to one of the nearest, and let the finish stage scale or crop it",
        )

    def cut_words(self, prompt: str) -> str:
        """The end of a prompt that no text encoder of the model sees, from the first word that is cut; mostly empty."""
        return min((self._cut(tokenizer, prompt) for tokenizer in self._tokenizers()), key=len, default="")

    def _tokenizers(self) -> Iterator[Any]:
        found = (getattr(self.pipe, name, None) for name in ("tokenizer", "tokenizer_2", "tokenizer_3"))
        return (tokenizer for tokenizer in found if tokenizer is not None)

    def _cut(self, tokenizer: Any, prompt: str) -> str:
        limits = [tokenizer.model_max_length]
        if hasattr(self.pipe, "encode_prompt"):
            own = inspect.signature(self.pipe.encode_prompt).parameters.get("max_sequence_length")
            limits += [own.default] if own is not None and limits[0] > own.default else []
        room = min(limits) - tokenizer.num_special_tokens_to_add()
        with _quiet():
            tokens = tokenizer(prompt, add_special_tokens=False, return_offsets_mapping=tokenizer.is_fast)
        if len(tokens["input_ids"]) <= room:
            return ""
        if not tokenizer.is_fast:
            return str(tokenizer.decode(tokens["input_ids"][room:])).strip()
        start = tokens["offset_mapping"][room][0]
        while start and not prompt[start - 1].isspace() and not prompt[start].isspace():
            start -= 1
        return prompt[start:].strip()

    def _conditions(self, items: Sequence[Item], settings: Settings) -> dict[str, Any]:
        if not self.batchable:
            texts: dict[str, Any] = {"prompt": [item.prompt for item in items]}
            if any(item.negative for item in items) and settings.guided:
                texts["negative_prompt"] = [item.negative for item in items]
            return {name: text for name, text in texts.items() if name in _arguments(self.pipe.__call__)}
        encoded = [self.encoded(item.prompt, item.negative, guided=settings.guided) for item in items]
        return {name: self.torch.cat([one[name] for one in encoded]) for name in encoded[0]}

    def encoded(self, prompt: str, negative: str, *, guided: bool, cached: bool = True) -> dict[str, Any]:
        """Embeddings of one prompt, computed alone, because those of a batch depend on the batch's size and padding."""
        key = (prompt, negative if guided else "", guided)
        if not cached or key not in self._prompts:
            arguments: dict[str, Any] = {
                "prompt": prompt,
                "prompt_2": None,
                "prompt_3": None,
                "device": self.device,
                "num_images_per_prompt": 1,
                "do_classifier_free_guidance": guided,
                "negative_prompt": key[1] or None,  # none at all lets SDXL use the zeros that it was trained with
            }
            taken = _arguments(self.pipe.encode_prompt)
            values = self.pipe.encode_prompt(**{name: value for name, value in arguments.items() if name in taken})
            named = zip(ENCODED[self.name], values, strict=True)
            found = {name: value for name, value in named if name and value is not None}
            if not cached:
                return found
            self._prompts[key] = found
            if len(self._prompts) > CACHED_PROMPTS:
                self._prompts.popitem(last=False)
        self._prompts.move_to_end(key)
        return self._prompts[key]


def release(threads: int) -> None:
    """Give back what models that are no longer referred to hold of the device's memory."""
    gc.collect()
    torch = _torch.start(threads)
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _load(model: ModelFolder, dtype: Any, device: str) -> Any:
    folder = model.path
    with _quiet(), _torch.memory_errors(device, 1):
        try:
            import diffusers
            import transformers
        except ImportError as error:
            raise _torch.missing(error) from error
        for library in (diffusers, transformers):
            library.utils.logging.disable_progress_bar()
            library.utils.logging.set_verbosity(logging.CRITICAL)
        options = {"torch_dtype": dtype, "variant": model.variant, "use_safetensors": True, "local_files_only": True}
        own = OWN.get(model.pipeline)
        try:
            loader = getattr(importlib.import_module(own), model.pipeline) if own else diffusers.DiffusionPipeline
            pipe = loader.from_pretrained(str(folder), **options)
        except (OSError, ValueError, AttributeError, KeyError, TypeError) as error:
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            raise UsageError(
                f"diffusers cannot load the model: {' '.join(lines[:2]) or type(error).__name__}",
                where=str(folder),
                facts=[("diffusers", diffusers.__version__), ("transformers", transformers.__version__)],
            ) from error
        missing = [name for name in CALL if name not in _arguments(pipe.__call__)]
        if missing:
            raise UsageError(
                f"{type(pipe).__name__} is no text-to-image pipeline",
                where=str(folder),
                facts=[("it takes no", ", ".join(missing))],
                hint="use a model that diffusers loads as a text-to-image pipeline",
            )
        _check_dtype(pipe, dtype)
        pipe.set_progress_bar_config(disable=True)
        if getattr(pipe, "watermark", None) is not None:
            pipe.watermark = None  # SDXL adds one if a certain package happens to be installed
        return pipe.to(device)


def _choose(pipe: Any, kernels: Kernels) -> None:
    """Compute with other kernels, which is declared: other bits, more speed where the device likes them."""
    if kernels == "plain":
        return
    import torch

    for part in (_denoiser(pipe), getattr(pipe, "vae", None)):
        if part is not None:
            part.to(memory_format=torch.channels_last)
    if kernels == "compiled":
        compiled = getattr(_denoiser(pipe), "compile_repeated_blocks", None)
        if compiled is None:
            raise UsageError(
                f"{type(pipe).__name__} cannot be compiled", hint='set kernels = "channels-last", or leave it out'
            )
        compiled(fullgraph=True)


def _check_dtype(pipe: Any, dtype: Any) -> None:
    denoiser = _denoiser(pipe)
    if denoiser is not None and denoiser.dtype != dtype:
        raise MachineError(f"this diffusers loads the model as {denoiser.dtype}, not as {dtype}")


def _denoiser(pipe: Any) -> Any:
    return getattr(pipe, "unet", None) or getattr(pipe, "transformer", None)


def _arguments(function: Any) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(function).parameters


@contextmanager
def _quiet() -> Iterator[None]:
    """The libraries' advice to programmers is not for the user, who reads our own warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
