"""What PyTorch computes on, and how it is kept deterministic; knows nothing of models. Imports torch when called."""

from __future__ import annotations

import importlib.metadata
import os
import platform as host
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from spritebuild.errors import MachineError
from spritebuild.stage import Context, Stage

# Read by cuBLAS, oneDNN and the Hugging Face libraries when they start, so set before the first import. Weights are
# loaded by the thread that computes: others would not heed the number of threads, nor survive a fork.
ENVIRONMENT = {
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
    "NVIDIA_TF32_OVERRIDE": "0",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_DEACTIVATE_ASYNC_LOAD": "1",
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "DIFFUSERS_VERBOSITY": "error",
    "TRANSFORMERS_VERBOSITY": "error",
}
LIBRARIES = ("torch", "diffusers", "transformers", "peft")


class TorchStage(Stage):
    """A stage that computes with PyTorch, on whatever device there is."""

    device = "accelerator"

    def platform(self, context: Context) -> Mapping[str, str]:
        """The device, the CPU (it makes the noise), the libraries and the number of threads."""
        return platform(context.threads)


def start(threads: int) -> Any:
    """The module `torch`, deterministic, with that many threads. Raises MachineError where it is not installed.

    Sets what `diffusers.training_utils.enable_full_determinism` sets, less CUDA_LAUNCH_BLOCKING (slow, and no bit
    depends on it), and turns TensorFloat-32 off, which is the default for convolutions.
    """
    torch = _deterministic_torch()
    if torch.get_num_threads() != threads:
        torch.set_num_threads(threads)
    return torch


def device(torch: Any) -> str:
    """Where to compute: SPRITEBUILD_DEVICE if set, otherwise cuda, mps or cpu, the first that is there."""
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    wanted = os.environ.get("SPRITEBUILD_DEVICE")
    if not wanted:
        return next(name for name, available in there.items() if available)
    kind, _, index = wanted.partition(":")
    if not there.get(kind) or (index and not (index.isdecimal() and int(index) < _count(torch, kind))):
        found = ", ".join(name for name, available in there.items() if available)
        raise MachineError(
            f"SPRITEBUILD_DEVICE={wanted}: no such device", facts=[("found", found)], hint="unset SPRITEBUILD_DEVICE"
        )
    return wanted


def platform(threads: int) -> dict[str, str]:
    """What of this machine the bits of an image may depend on; equal platforms promise equal bytes."""
    torch = start(threads)
    name = device(torch)
    facts = {
        "device": name.partition(":")[0],
        "cpu": cpu_name(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "onednn": str(torch.backends.mkldnn.is_available() and torch.backends.mkldnn.enabled),
        "onednn_max_isa": os.environ.get("ONEDNN_MAX_CPU_ISA", ""),
        "threads": str(threads),
    }
    if facts["device"] == "cuda":
        major, minor = torch.cuda.get_device_capability(name)
        facts |= {
            "gpu": torch.cuda.get_device_name(name),
            "compute_capability": f"{major}.{minor}",
            "cuda": str(torch.version.cuda or torch.version.hip),
            "cudnn": str(torch.backends.cudnn.version()),
        }
    return facts | {library: version(library) for library in LIBRARIES}


@contextmanager
def memory_errors(device: str, batch: int) -> Iterator[None]:
    """Turn an out-of-memory error of any device into a MachineError that says what to do."""
    try:
        yield
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        smaller = f"batch = {batch // 2}" if batch > 1 else "a smaller size"
        raise MachineError(
            "the device is out of memory",
            facts=[("device", device), ("batch", batch), ("reported", str(error).partition("\n")[0])],
            hint=f'set {smaller}, memory = "sliced" or dtype = "bf16" (the images will differ), '
            "or end other programs on the device",
        ) from error


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether a device had too little memory, in the words of any of them."""
    signs = ("out of memory", "can't allocate memory", "not enough memory")
    return type(error).__name__ == "OutOfMemoryError" or any(sign in str(error) for sign in signs)


def missing(error: ImportError) -> MachineError:
    """The error for a machine without the libraries of the `diffusion` extra."""
    return MachineError(
        f"generating images needs {error.name or 'torch'}, which is not installed",
        facts=[("reported", error)],
        hint='pip install "spritebuild[diffusion]"',
    )


@cache
def _deterministic_torch() -> Any:
    os.environ.update(ENVIRONMENT)
    try:
        import torch
    except ImportError as error:
        raise missing(error) from error
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # every buffer twice, for nothing
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    for backend in (torch.backends.cudnn.conv, torch.backends.cuda.matmul):
        backend.fp32_precision = "ieee"
    return torch


def _count(torch: Any, kind: str) -> int:
    return int(torch.cuda.device_count()) if kind == "cuda" else 1


def cpu_name() -> str:
    """What the processor calls itself."""
    # The vendor matters beside the instruction set: BLAS libraries choose their kernels by it.
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, host.processor() or host.machine())


def version(library: str) -> str:
    """The version of an installed library, or nothing."""
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return ""
