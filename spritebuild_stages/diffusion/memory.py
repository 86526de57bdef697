"""What is done where a device has too little memory: rungs of a ladder that change no byte; knows no images.

A rung moves weights, and the same kernels compute the same numbers from them. What saves memory by computing in other
pieces (slices of attention, an autoencoder that decodes image by image or tile by tile, a smaller batch) changes the
last bits: that is never taken by itself, but declared, and then part of the key. Imports torch when called.
"""

from __future__ import annotations

import gc
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from spritebuild_stages._weights import read_header

Memory = Literal["full", "sliced", "tiled"]
Rung = Literal["resident", "released", "model offload", "leaf offload"]

HEADROOM = 1.5  # times the weights: what a batch needs beside them, roughly, so that the first try mostly succeeds
BYTES = {"F64": 8, "I64": 8, "F32": 4, "I32": 4, "BF16": 2, "F16": 2}


def rungs(device: str) -> tuple[Rung, ...]:
    """The ladder of a device. Weights that the CPU computes with have nowhere else to go."""
    kept: tuple[Rung, ...] = ("resident", "released")
    return kept if device == "cpu" else (*kept, "model offload", "leaf offload")


def first(sizes: Mapping[str, int], free: int | None) -> Rung:
    """Where to begin: the first rung whose weights leave room in `free` bytes of the device (None: not known).

    `sizes` are the bytes of the weights by component; with model offload one component is there at a time.
    """
    if free is None or sum(sizes.values()) * HEADROOM <= free:
        return "resident"
    return "model offload" if max(sizes.values(), default=0) * HEADROOM <= free else "leaf offload"


def weights(folder: Path, bytes_each: int) -> dict[str, int]:
    """The bytes of the weights of a model folder by component, once they are loaded as numbers of `bytes_each`."""
    found: dict[str, int] = {}
    for path in sorted(folder.glob("*/*.safetensors")):
        stored = sum(
            (tensor["data_offsets"][1] - tensor["data_offsets"][0]) // BYTES.get(tensor["dtype"], bytes_each)
            for tensor in read_header(path).values()
        )
        found[path.parent.name] = max(found.get(path.parent.name, 0), stored * bytes_each)
    return found


def free(torch: Any, device: str) -> int | None:
    """Bytes of the device's memory that nobody uses, where it says so."""
    return int(torch.cuda.mem_get_info(device)[0]) if device.startswith("cuda") else None


def climb_down(pipe: Any, rung: Rung, device: str) -> None:
    """Put a loaded pipeline on a rung, giving back first what is held without need."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    # accelerate's own sequential offload does not fit the parameters of this transformers: groups of diffusers do
    if rung == "model offload":
        pipe.enable_model_cpu_offload(device=device)
    elif rung == "leaf offload":
        pipe.remove_all_hooks()
        pipe.to("cpu", silence_dtype_warnings=True)
        pipe.enable_group_offload(
            onload_device=torch.device(device), offload_device=torch.device("cpu"), offload_type="leaf_level"
        )


def compute_in_pieces(pipe: Any, memory: Memory) -> None:
    """Compute as `memory` says, which is declared: other bits, less memory."""
    if memory == "full":
        return
    pipe.enable_attention_slicing("auto")
    pipe.vae.enable_slicing()
    if memory == "tiled":
        pipe.vae.enable_tiling()
