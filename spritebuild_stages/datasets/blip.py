"""An image captioning model of the BLIP family from a folder; knows no files but its own. Imports torch when called."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from spritebuild.errors import UsageError
from spritebuild_stages import _pretrained, _torch
from spritebuild_stages.ops.scale import nearest
from spritebuild_stages.ops.trim import pad

KIND = "BlipForConditionalGeneration"
TOKENIZERS = ("tokenizer.json", "vocab.txt")
HINT = "pin the whole folder: preprocessor_config.json and the tokenizer's files belong to the model"
DTYPES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}


class Captioner:
    """A loaded model (Li et al., "BLIP", 2022). Says the same of equal pictures, whatever it saw before."""

    def __init__(self, folder: Path, dtype: Literal["fp32", "bf16", "fp16"], threads: int) -> None:
        """Load from safetensors alone, offline. Raises PolicyError, UsageError or MachineError."""
        _pretrained.config(folder, KIND)
        if not any((folder / name).is_file() for name in TOKENIZERS):  # transformers would make up a vocabulary
            raise UsageError("the model has no tokenizer", where=str(folder), hint=HINT)
        self.torch = _torch.start(threads)
        self.device = _torch.device(self.torch)
        try:
            import transformers
        except ImportError as error:
            raise _torch.missing(error) from error
        transformers.utils.logging.disable_progress_bar()
        # Pillow's resizing, whether torchvision is installed or not; before transformers 5.4 the plain name was its.
        processor = getattr(transformers, "BlipImageProcessorPil", None) or transformers.BlipImageProcessor
        self._processor = _loaded(processor, folder)
        self._tokenizer = _loaded(transformers.AutoTokenizer, folder)
        model = _pretrained.load(getattr(transformers, KIND), folder)
        self._dtype = getattr(self.torch, DTYPES[dtype])
        self._model = model.to(self.device, self._dtype).eval()
        self._side = int(model.config.vision_config.image_size)

    def caption(self, rgba: NDArray[np.uint8], prefix: str, max_tokens: int) -> str:
        """What a picture, uint8 (H, W, 4), shows: greedily chosen words that begin with `prefix`; "" for none."""
        inputs: dict[str, Any] = dict(self._processor(on_white(rgba, self._side), return_tensors="pt"))
        inputs["pixel_values"] = inputs["pixel_values"].to(self.device, self._dtype)
        if prefix:
            words = self._tokenizer(prefix, return_tensors="pt", return_token_type_ids=False)
            inputs |= {name: value.to(self.device) for name, value in words.items()}
        with _torch.memory_errors(self.device, 1), self.torch.inference_mode():
            tokens = self._model.generate(**inputs, do_sample=False, num_beams=1, max_new_tokens=max_tokens)
        return " ".join(str(self._tokenizer.decode(tokens[0], skip_special_tokens=True)).split())


def on_white(rgba: NDArray[np.uint8], side: int) -> Image.Image:
    """The picture in the middle of a white square, RGB, enlarged by the greatest whole factor that `side` has room for.

    So a model that resizes to `side` sees whole pixels in their proportions, not a smooth and stretched picture.
    """
    longest = max(rgba.shape[:2])
    square = nearest(pad(rgba, longest, longest, "center"), max(1, side // longest))
    image = Image.fromarray(square)
    return Image.alpha_composite(Image.new("RGBA", image.size, (255, 255, 255, 255)), image).convert("RGB")


def _loaded(kind: Any, folder: Path) -> Any:
    try:
        return kind.from_pretrained(str(folder), local_files_only=True)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        first = str(error).strip().splitlines()[:1]
        raise UsageError(f"the model cannot be loaded: {''.join(first)}", where=str(folder), hint=HINT) from error
