"""Weights that a training starts from: a part of a model's folder, checked before a library loads it.

Only safetensors are read. Nothing of where a folder lay is left in what is loaded, for it would be saved again.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spritebuild.errors import PolicyError, UsageError
from spritebuild_stages import _weights

if TYPE_CHECKING:
    import torch


def part(folder: Path, name: str) -> Path:
    """The folder of a part: that of a pipeline, or the folder itself where it is that part."""
    inner = folder / name
    return inner if (inner / "config.json").is_file() else folder


def config(folder: Path, kind: str) -> dict[str, Any]:
    """The config of a part whose weights may be loaded; `kind` is its class, "" any.

    Raises UsageError for another class, and PolicyError for what could run code or is no weight file.
    """
    path = folder / "config.json"
    if not path.is_file():
        raise UsageError("not a model's folder: it has no config.json", where=str(folder))
    declared = _weights.config(path)
    found = declared.get("_class_name") or next(iter(declared.get("architectures") or ()), None)
    if kind and found != kind:
        raise UsageError(f"the model is {found or 'of no known class'}, not {kind}", where=str(folder))
    weights = False
    for file in _weights.files(folder):
        _weights.refuse_code(file, in_component=True)
        if file.suffix == ".safetensors":
            weights = True
            _weights.read_header(file)
        elif file.suffix == ".json" and ("config" in file.name or ".index." in file.name):
            _weights.refuse_configured_code(file, _weights.config(file))
    if not weights:
        raise PolicyError("it has no weights in safetensors", where=str(folder))
    return {name: value for name, value in declared.items() if not name.startswith("_")}


def load(kind: Any, folder: Path) -> Any:
    """The model of a part, in fp32, by its class, after `config` has checked the folder. Raises UsageError."""
    weights = [file.name for file in folder.glob("*.safetensors")]
    variant = "fp16" if all(".fp16." in name for name in weights) else None
    import torch

    options: dict[str, Any] = {"use_safetensors": True, "local_files_only": True, "variant": variant}
    diffusers = hasattr(kind, "register_to_config")
    options |= {"torch_dtype": torch.float32} if diffusers else {"dtype": torch.float32}
    try:
        return kind.from_pretrained(str(folder), **options)
    except (OSError, ValueError, AttributeError, KeyError, TypeError, RuntimeError) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        reported = " ".join(lines[:2]) or type(error).__name__
        raise UsageError(f"the model cannot be loaded: {reported}", where=str(folder)) from error


def take_over(model: torch.nn.Module, given: Mapping[str, torch.Tensor], where: Path) -> str:
    """Copy every tensor whose name and shape are the model's; says how many. Raises UsageError if none is."""
    own = model.state_dict()
    fitting = {name: value for name, value in given.items() if name in own and own[name].shape == value.shape}
    if not fitting:
        raise UsageError(
            "none of its tensors has a name and shape of the model to be trained",
            where=str(where),
            hint="declare the same architecture, or leave init out",
        )
    model.load_state_dict({**own, **fitting})
    return f"{len(fitting)} of {len(own)} tensors"


def read_json(path: Path) -> dict[str, Any]:
    """A configuration of a folder, such as its index. Raises UsageError if there is none, PolicyError for no object."""
    if not path.is_file():
        raise UsageError("no such file in the model's folder", where=str(path))
    return _weights.config(path)
