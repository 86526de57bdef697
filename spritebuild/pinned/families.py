"""Which models a LoRA fits, told by the shapes of weights and by configuration; knows no model by name.

What must agree is the width of the text that a UNet attends to: 768 for Stable Diffusion 1.x, 1024 for 2.x, 2048 for
SDXL. It is `cross_attention_dim` of a model's UNet, and the number of columns of a LoRA's down projections of the keys
of cross-attention (`attn2.to_k`), or of that projection itself in a checkpoint, whoever wrote the file.
"""

from __future__ import annotations

import json
import re
import struct
from pathlib import Path
from typing import Any

WIDTHS = {768: "sd15", 1024: "sd2", 2048: "sdxl"}
TRANSFORMERS = {"SD3Transformer2DModel": "sd3", "FluxTransformer2DModel": "flux", "PixArtTransformer2DModel": "pixart"}
FAMILIES = (*WIDTHS.values(), *TRANSFORMERS.values())
UNNAMED = "width-"  # of a family of which nothing but the width is known
LONGEST_HEADER = 10_000_000

# kohya: lora_unet_..._attn2_to_k.lora_down.weight; diffusers and PEFT: unet....attn2.to_k.lora_A.weight, lora.down.
# A checkpoint: model.diffusion_model....attn2.to_k.weight.
KEYS = re.compile(
    r"attn2[._](?:processor\.)?to_k(?:_lora)?\.(?:lora_down|lora_A|lora\.down|down)(?:\.default)?\.weight$"
    r"|^model\.diffusion_model\..*\.attn2\.to_k\.weight$"
)
SECOND_ENCODER = re.compile(r"^(?:lora_te2_|text_encoder_2\.)")


def of_path(path: Path) -> str | None:
    """The family of a model's folder or of a LoRA's file; None where nothing tells."""
    if not path.is_dir():
        return of_file(path) if path.suffix.lower() == ".safetensors" else None
    unet = _config(path / "unet/config.json")
    width = unet.get("cross_attention_dim")
    if isinstance(width, list):  # one for each block, all alike in every model in use
        width = width[0] if width and all(each == width[0] for each in width) else None
    if isinstance(width, int) and not isinstance(width, bool):
        return _named(width)
    return TRANSFORMERS.get(str(_config(path / "transformer/config.json").get("_class_name")))


def of_file(file: Path) -> str | None:
    """The family of a model's checkpoint or that a LoRA was trained for, by the header of its safetensors file."""
    tensors = _header(file)
    widths = {_columns(tensor) for name, tensor in tensors.items() if KEYS.search(name)}
    if len(widths) == 1 and (width := widths.pop()):
        return _named(width)
    return "sdxl" if any(SECOND_ENCODER.match(name) for name in tensors) else None


def clash(model: str | None, lora: str | None) -> bool:
    """Whether a LoRA cannot fit a model; False where it is not known of both, or known of them in different terms."""
    if model is None or lora is None or model == lora:
        return False
    return not ((model.startswith(UNNAMED) or lora.startswith(UNNAMED)) and {model, lora} & {*TRANSFORMERS.values()})


def words(family: str) -> str:
    """A family in a sentence."""
    return f"of cross-attention width {family.removeprefix(UNNAMED)}" if family.startswith(UNNAMED) else family


def _named(width: int) -> str:
    return WIDTHS.get(width, f"{UNNAMED}{width}")


def _columns(tensor: Any) -> int | None:
    shape = tensor.get("shape") if isinstance(tensor, dict) else None
    return shape[1] if isinstance(shape, list) and len(shape) >= 2 and isinstance(shape[1], int) else None


def _header(file: Path) -> dict[str, Any]:
    try:
        with file.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            header = json.loads(stream.read(length)) if length <= LONGEST_HEADER else {}
    except (OSError, ValueError, struct.error):
        return {}
    return header if isinstance(header, dict) else {}


def _config(file: Path) -> dict[str, Any]:
    try:
        value = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
