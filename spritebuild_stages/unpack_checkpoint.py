"""Turns a model that is one file of weights (a checkpoint) into a folder in the diffusers layout; computes nothing.

The configuration of its parts is given with it: nothing is guessed from the weights, and nothing is looked up anywhere.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from spritebuild.errors import UsageError
from spritebuild.stage import BoundAction, Context, Folder, Inputs, Notes, Outputs, Stage
from spritebuild_stages import _torch, _weights

INDEX = "model_index.json"
WEIGHTS = (".safetensors", *_weights.PICKLES)
DTYPES = {"F16": "float16", "BF16": "bfloat16"}  # of the file; anything else is loaded as float32
UNUSED = ("safety_checker", "feature_extractor", "image_encoder")  # parts of pipelines that no checkpoint holds


class UnpackCheckpointInputs(Inputs):
    """The weights, and the files of a model's folder, by their paths in it, without its weights."""

    checkpoint: Path
    config: dict[str, Path] = Field(default_factory=dict)


class UnpackCheckpointOutputs(Outputs):
    """The model."""

    model: Folder = Path("model")


class UnpackCheckpoint(Stage):
    """Renames tensors as diffusers does for the class that the configuration names; their numbers stay as they are."""

    version = 1
    device = "accelerator"  # of which it needs nothing, but it needs PyTorch, which only workers load
    Inputs = UnpackCheckpointInputs
    Outputs = UnpackCheckpointOutputs

    def run(self, action: BoundAction, context: Context) -> Notes:
        """Raises PolicyError for what could run code, UsageError where weights and configuration do not fit."""
        folder: Path = action.outputs.model
        _place(action.inputs.config, folder)
        index = _weights.config(folder / INDEX) if (folder / INDEX).is_file() else {}
        kind = index.get("_class_name")
        if not isinstance(kind, str):
            raise UsageError(
                "the configuration is no model's: it has no model_index.json that names a class",
                hint="copy the folder of a model of the same kind, as diffusers writes it, without its weights",
            )
        header = _weights.read_header(action.inputs.checkpoint)
        stored = Counter(tensor["dtype"] for tensor in header.values()).most_common(1)
        torch = _torch.start(context.threads)
        dtype = getattr(torch, DTYPES.get(stored[0][0] if stored else "", "float32"))
        linked = folder.with_name("checkpoint.safetensors")  # a trained file is named by its digest alone
        linked.symlink_to(action.inputs.checkpoint.resolve())
        try:
            parts = _load(kind, linked, folder, dtype)
        finally:
            linked.unlink()
        _save(parts, folder)
        for name in UNUSED:
            if index.get(name, [None])[0] is not None:
                index[name] = [None, None]
                shutil.rmtree(folder / name, ignore_errors=True)
        (folder / INDEX).write_text(json.dumps(index, indent=2, sort_keys=True) + "\n", encoding="utf-8", newline="\n")
        return {"pipeline": kind, "parts": sorted(parts), "tensors": len(header)}


def _place(config: Mapping[str, Path], folder: Path) -> None:
    """Copy the configuration to where the model will be. Raises PolicyError for code, or for what asks for it."""
    for name, source in config.items():
        target = folder / name
        if target.suffix in WEIGHTS:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        _weights.refuse_code(target, in_component=True)
        if target.suffix == ".json" and (name == INDEX or "config" in target.name):
            _weights.refuse_configured_code(target, _weights.config(target))


def _load(kind: str, checkpoint: Path, folder: Path, dtype: Any) -> dict[str, Any]:
    """The parts that have weights, by name. Raises UsageError where some are missing or of another shape."""
    try:
        import diffusers
        import transformers
        from diffusers.loaders.single_file_utils import SingleFileComponentError
    except ImportError as error:
        raise _torch.missing(error) from error
    for library in (diffusers, transformers):
        library.utils.logging.disable_progress_bar()
        library.utils.logging.set_verbosity_error()
    pipeline: Any = getattr(diffusers, kind, None)
    if not hasattr(pipeline, "from_single_file"):
        hint = "StableDiffusionPipeline and StableDiffusionXLPipeline do"
        raise UsageError(f"diffusers makes no {kind} of one file", hint=hint)
    options = {"config": str(folder), "local_files_only": True, "torch_dtype": dtype}
    try:
        pipe = pipeline.from_single_file(str(checkpoint), **options, **_without(pipeline))
    except SingleFileComponentError as error:
        raise _unlike(kind, str(error).partition("\n")[0]) from error
    except NotImplementedError as error:  # a tensor that nothing was loaded into is copied
        raise _unlike(kind, "tensors are missing") from error
    except (OSError, ValueError, AttributeError, KeyError, TypeError, RuntimeError) as error:
        raise _unlike(kind, str(error) or type(error).__name__) from error
    parts = {name: part for name, part in pipe.components.items() if hasattr(part, "state_dict")}
    for name, part in parts.items():
        if empty := [key for key, value in part.state_dict().items() if value.is_meta]:
            raise _unlike(kind, f"{name} lacks {len(empty)} tensors, such as {empty[0]}")
    return parts


def _without(pipeline: Any) -> dict[str, None]:
    import inspect

    return {name: None for name in UNUSED if name in inspect.signature(pipeline.__init__).parameters}


def _save(parts: Mapping[str, Any], folder: Path) -> None:
    """Write the weights of every part, beside its configuration as it was given."""
    for name, part in parts.items():
        written = folder.with_name("written")
        part.save_pretrained(written, safe_serialization=True)
        (folder / name).mkdir(exist_ok=True)
        for file in sorted(written.iterdir()):
            if ".safetensors" in file.name:  # the shards and their index
                shutil.move(file, folder / name / file.name)
        shutil.rmtree(written)


def _unlike(kind: str, said: str) -> UsageError:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return UsageError(
        f"the checkpoint is not what its configuration says ({kind}): {' '.join(lines[:2])}",
        hint="take the configuration of a model of the same kind and size",
    )
