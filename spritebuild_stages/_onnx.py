"""A network in an ONNX file, run on the CPU with a fixed number of threads; knows no pictures.

Imports onnxruntime when called.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spritebuild.errors import MachineError, StageError, UsageError
from spritebuild.stage import Context, Stage
from spritebuild_stages._torch import cpu_name, version

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class OnnxStage(Stage):
    """A stage that runs a network by onnxruntime; its bytes depend on the processor."""

    device = "accelerator"

    def platform(self, context: Context) -> Mapping[str, str]:
        """The CPU, onnxruntime and the number of threads."""
        return {
            "device": "cpu",
            "cpu": cpu_name(),
            "onnxruntime": version("onnxruntime"),
            "threads": str(context.threads),
        }


class Network:
    """A network with one picture as its first input."""

    def __init__(self, folder: Path, threads: int) -> None:
        """Load the only .onnx file of a folder. Raises UsageError, or MachineError without onnxruntime."""
        try:
            import onnxruntime
        except ImportError as error:
            raise MachineError(
                "this stage needs onnxruntime, which is not installed",
                facts=[("reported", error)],
                hint='pip install "spritebuild[onnx]"',
            ) from error
        files = [folder] if folder.suffix == ".onnx" else sorted(folder.glob("*.onnx"))
        if len(files) != 1:
            found = ", ".join(file.name for file in files) or "none"
            raise UsageError("the model is not one .onnx file", where=str(folder), facts=[("found", found)])
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.use_deterministic_compute = True
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(str(files[0]), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's own classes share no base but this
            raise UsageError(f"onnxruntime cannot load it: {_first_line(error)}", where=str(files[0])) from error
        self._input = self._session.get_inputs()[0]
        shape = self._input.shape
        if len(shape) != 4 or shape[1] != 3:
            raise UsageError(f"its input is {shape}, not (N, 3, H, W)", where=str(files[0]))

    @property
    def size(self) -> tuple[int, int] | None:
        """Height and width that the network is made for; None if it takes any."""
        height, width = self._input.shape[2:]
        return (height, width) if isinstance(height, int) and isinstance(width, int) else None

    def __call__(self, batch: NDArray[np.float32]) -> NDArray[Any]:
        """The first output for float32 (N, 3, H, W). Raises StageError."""
        import numpy as np

        try:
            found = np.asarray(self._session.run(None, {self._input.name: batch})[0])
        except Exception as error:  # as above
            raise StageError(f"the network failed: {_first_line(error)}") from error
        if found.ndim != 4 or not np.isfinite(found).all():
            raise StageError(f"the network gave {found.shape} or numbers that are none, not a picture")
        return found


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
