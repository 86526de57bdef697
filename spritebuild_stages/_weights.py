"""Looks at model folders and weight files before any library loads them; reads headers, never weights."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spritebuild.errors import PolicyError, SpritebuildError, UsageError

MAX_HEADER = 10_000_000
MAX_TENSORS = 50_000
MAX_CONFIG = 1 << 20
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
LIBRARIES = ("diffusers", "transformers")
# diffusers writes its own safety checker as a member of the module `stable_diffusion`.
ALSO_ALLOWED = ("stable_diffusion", "StableDiffusionSafetyChecker")


@dataclass(frozen=True)
class ModelFolder:
    """A folder that may be loaded; those of equal `fingerprint` compute the same, if with other weights."""

    path: Path
    pipeline: str
    variant: str | None
    fingerprint: str


def inspect_folder(path: Path) -> ModelFolder:
    """Check a pipeline in the diffusers layout. Raises PolicyError for what could run code or is no weight file."""
    index = path / "model_index.json"
    if not index.is_file():
        raise UsageError(
            "not a model folder: it has no model_index.json",
            where=str(path),
            hint="save the pipeline with diffusers' save_pretrained",
        )
    declared = config(index)
    components = _components(index, declared)
    seen = hashlib.sha256()
    weights: dict[str, list[str]] = {}
    for file in files(path):
        place = file.relative_to(path)
        refuse_code(file, in_component=len(place.parts) > 1 and place.parts[0] in components)
        if file.suffix == ".safetensors":
            described: Any = read_header(file)
            weights.setdefault(place.parts[0], []).append(file.name)
        elif file.suffix == ".json" and (file == index or "config" in file.name or ".index." in file.name):
            described = config(file)
            refuse_configured_code(file, described)
        else:
            continue
        seen.update(json.dumps([place.as_posix(), described], sort_keys=True).encode())
    return ModelFolder(path, declared["_class_name"], _variant(weights), seen.hexdigest())


def inspect_weights(path: Path) -> str:
    """Check one weight file, such as a LoRA; the fingerprint of its tensors' names, types and shapes."""
    if path.suffix not in ("", ".safetensors"):  # what was trained here is named by its digest alone
        raise PolicyError(
            "only safetensors are loaded", where=str(path), hint="convert it: a pickle can run any code when it is read"
        )
    return hashlib.sha256(json.dumps(read_header(path), sort_keys=True).encode()).hexdigest()


def read_header(path: Path) -> dict[str, Any]:
    """Tensors of a safetensors file: name -> dtype, shape, data_offsets. Raises PolicyError if the header is not sound.

    Source: the format's description in the safetensors documentation; the limits are ours, a tenth of the library's.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= min(MAX_HEADER, size - 8):
            raise _unsound(path, f"its header claims {length} bytes of {size}")
        try:
            header = json.loads(file.read(length))
        except (ValueError, RecursionError) as error:
            raise _unsound(path, "its header is not JSON") from error
    if not isinstance(header, dict):
        raise _unsound(path, "its header is not a JSON object")
    header.pop("__metadata__", None)
    if len(header) > MAX_TENSORS:
        raise _unsound(path, f"it has {len(header)} tensors, more than {MAX_TENSORS}")
    for name, tensor in header.items():
        if not _is_tensor(tensor, size - 8 - length):
            raise _unsound(path, f"tensor {name!r} is not within the file")
    return header


def files(folder: Path) -> Iterator[Path]:
    """Every file of a folder in sorted order; PolicyError for a linked folder, which would hide files from us."""
    for parent, folders, names in os.walk(folder, onerror=_raise):  # which would pass over what it cannot list
        folders.sort()
        for name in folders:
            if Path(parent, name).is_symlink():
                raise PolicyError("a link to a folder", where=os.path.join(parent, name), hint="copy it there")
        yield from (Path(parent, name) for name in sorted(names))


def _raise(error: OSError) -> None:
    raise error


def identity(path: Path) -> tuple[tuple[int, ...], ...]:
    """What tells a file or folder from any other on this machine, links to the same bytes being the same."""
    stats = [file.stat() for file in (files(path) if path.is_dir() else (path,))]
    return tuple((s.st_dev, s.st_ino, s.st_size, s.st_mtime_ns) for s in stats)


def config(path: Path) -> dict[str, Any]:
    """A configuration as JSON. Raises PolicyError for one that is too large, or no object."""
    if path.stat().st_size > MAX_CONFIG:
        raise PolicyError(f"a configuration of more than {MAX_CONFIG >> 20} MiB", where=str(path))
    try:
        value = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise PolicyError("not JSON", where=str(path)) from error
    if not isinstance(value, dict):
        raise PolicyError("not a JSON object", where=str(path))
    return value


def _components(index: Path, declared: dict[str, Any]) -> set[str]:
    if not isinstance(declared.get("_class_name"), str):
        raise PolicyError("the pipeline is of no class of diffusers", where=str(index))
    components = {name: value for name, value in declared.items() if isinstance(value, list)}
    for name, value in components.items():
        if value not in ([None, None], [*ALSO_ALLOWED]) and not (len(value) == 2 and value[0] in LIBRARIES):
            raise PolicyError(
                f"component {name} is of {value[0] if value else 'nothing'}",
                where=str(index),
                facts=[("allowed", ", ".join(LIBRARIES))],
                hint="code that comes with a model is never run",
            )
    return set(components)


def refuse_code(file: Path, *, in_component: bool) -> None:
    """Refuse Python and, among the parts that are loaded, pickles."""
    if file.suffix in (".py", ".pyc", ".so"):
        raise PolicyError("code in a model folder", where=str(file), hint="code that comes with a model is never run")
    if file.suffix in PICKLES and in_component:
        raise PolicyError(
            "a pickle among the weights",
            where=str(file),
            hint="pin the safetensors alone: a pickle can run any code when it is read",
        )


def refuse_configured_code(file: Path, value: object) -> None:
    """Refuse `auto_map` (a model's own Python), attention kernels from a hub, and shards outside of the folder."""
    if isinstance(value, dict):
        for name, inner in value.items():
            remote = isinstance(inner, str) and "attn_implementation" in name and "/" in inner
            if name == "auto_map" or remote:
                raise PolicyError(
                    f"{name} asks for code of the model's own",
                    where=str(file),
                    hint="code that comes with a model is never run",
                )
            if name == "weight_map" and isinstance(inner, dict):
                for shard in inner.values():
                    if not isinstance(shard, str) or "/" in shard or not shard.endswith(".safetensors"):
                        raise PolicyError(f"{shard!r} is not a safetensors file beside it", where=str(file))
            refuse_configured_code(file, inner)
    elif isinstance(value, list):
        for inner in value:
            refuse_configured_code(file, inner)


def _variant(weights: dict[str, list[str]]) -> str | None:
    """`fp16` if some component has its weights under that name alone, as folders from the hub often do."""
    only = any(names and all(".fp16." in name for name in names) for names in weights.values())
    return "fp16" if only else None


def _is_tensor(value: object, data: int) -> bool:
    if not isinstance(value, dict) or not isinstance(value.get("dtype"), str):
        return False
    shape, offsets = value.get("shape"), value.get("data_offsets")
    if not isinstance(shape, list) or not isinstance(offsets, list) or len(offsets) != 2:
        return False
    if any(type(number) is not int for number in (*shape, *offsets)):
        return False
    return min(shape, default=0) >= 0 and 0 <= offsets[0] <= offsets[1] <= data


def _unsound(path: Path, why: str) -> SpritebuildError:
    return PolicyError(f"not a sound safetensors file: {why}", where=str(path), hint="fetch it again")
