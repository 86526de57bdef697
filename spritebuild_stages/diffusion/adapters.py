"""LoRAs on a pipeline: loaded whole or not at all, never fused, so that unloading them restores the base bit by bit."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spritebuild.errors import UsageError
from spritebuild_stages._weights import ModelFolder, config, inspect_weights, read_header
from spritebuild_stages.diffusion.lora_files import ARCHITECTURES, read_kohya, read_metadata

HINT = "a LoRA fits only the architecture that it was trained on"
# The weights that read the text, in the spellings of PEFT, diffusers and kohya.
CROSS_ATTENTION = re.compile(r"attn2[._](processor\.)?to_[kv](_lora)?\.(lora_A|lora_down|lora\.down|down)\.weight$")
# Where a tensor of a LoRA belongs in the denoiser, in these spellings; kohya's has `_` for every dot.
PLACE = re.compile(
    r"^(?:unet\.|lora_unet_)(?P<module>.+?)"
    r"(?:[._]lora(?:_(?:A|B|down|up|magnitude_vector)|\.(?:down|up))(?:\..*)?|\.alpha|\.dora_scale)$"
)
# Of Stability's own names for modules, which kohya's files may have: where they belong is seen when they are loaded.
ORIGINAL = ("input_blocks", "middle_block", "output_blocks", "time_embed_", "label_emb", "out_")


@dataclass(frozen=True)
class Lora:
    """A LoRA file as declared: its name there, and the factor on what it adds."""

    name: str
    path: Path
    weight: float


def check(model: ModelFolder, loras: Sequence[Lora]) -> None:
    """Refuse a LoRA of another base by what headers and configurations say, before any weight is loaded."""
    expected = ARCHITECTURES.get(model.pipeline)
    path = model.path / "unet" / "config.json"
    width = config(path).get("cross_attention_dim") if expected and path.is_file() else None
    weights = (model.path / "unet").glob("*.safetensors") if expected and loras else ()
    modules = {name.rpartition(".")[0].replace(".", "_") for file in weights for name in read_header(file)}
    for lora in loras:
        inspect_weights(lora.path)
        tensors = read_header(lora.path)
        said = read_metadata(lora.path).get("modelspec.architecture", "").removesuffix("/lora")
        if expected and said in {name for name, _ in ARCHITECTURES.values()} and said != expected[0]:
            raise _another_base(lora, said, expected[0])
        found = {
            tensor["shape"][1]
            for name, tensor in tensors.items()
            if CROSS_ATTENTION.search(name) and len(tensor["shape"]) == 2
        }
        if isinstance(width, int) and found - {width}:
            raise _another_base(lora, f"text of {min(found - {width})} numbers", f"text of {width}")
        if modules and (strange := _strange(tensors, modules)):
            raise _without_place(lora, strange, len(tensors))


def _strange(names: Collection[str], modules: Collection[str]) -> list[str]:
    """The tensors of the denoiser that are for none of its modules, `_` for every dot, sorted."""
    found = []
    for name in names:
        place = PLACE.match(name)
        if place is None or (name.startswith("lora_unet_") and place["module"].startswith(ORIGINAL)):
            continue
        module = place["module"].replace(".processor", "").replace(".", "_")
        if module not in modules and f"{module}_0" not in modules:
            found.append(name)
    return sorted(found)


def _without_place(lora: Lora, strange: Sequence[str], count: int) -> UsageError:
    return UsageError(
        f"LoRA {lora.name!r} does not fit the model: {len(strange)} of its {count} tensors have no place",
        where=str(lora.path),
        facts=[("no place for", key) for key in strange[:5]],
        hint=HINT,
    )


def _another_base(lora: Lora, trained: str, model: str) -> UsageError:
    return UsageError(
        f"LoRA {lora.name!r} does not fit the model: it was trained for another base",
        where=str(lora.path),
        facts=[("trained for", trained), ("the model", model)],
        hint=HINT,
    )


def apply(pipe: Any, loras: Sequence[Lora]) -> None:
    """Replace whatever LoRAs the pipeline has; the sums are taken in the order given, on which their bits depend."""
    if not hasattr(pipe, "load_lora_weights"):
        if loras:
            raise UsageError(f"{type(pipe).__name__} takes no LoRA")
        return
    pipe.unload_lora_weights()
    names = [f"spritebuild{index}" for index in range(len(loras))]
    try:
        for name, lora in zip(names, loras, strict=True):
            _load(pipe, name, lora)
        if loras:
            pipe.set_adapters(names, [lora.weight for lora in loras])
        for part in pipe._lora_loadable_modules:  # modules that are added begin in training, where dropout is at work
            if (module := getattr(pipe, part, None)) is not None:
                module.eval()
    except BaseException:
        pipe.unload_lora_weights()
        raise


def _load(pipe: Any, name: str, lora: Lora) -> None:
    options = {"use_safetensors": True, "local_files_only": True}
    try:
        if type(pipe).__name__ in ARCHITECTURES and _is_kohya_dora(read_header(lora.path)):
            weights = read_kohya(lora.path, pipe)
            declared = set(weights)
            pipe.load_lora_weights(weights, adapter_name=name)
        else:
            declared = _declared(pipe, lora.path, options)
            pipe.load_lora_weights(str(lora.path), adapter_name=name, **options)
    except (ValueError, RuntimeError, KeyError, TypeError, IndexError, NotImplementedError) as error:
        reported = " ".join(line.strip() for line in str(error).splitlines()[:2])
        raise UsageError(
            f"LoRA {lora.name!r} does not fit the model: {reported or type(error).__name__}",
            where=str(lora.path),
            hint=HINT,
        ) from error
    unmatched = sorted(declared - _loaded(pipe, name))
    if unmatched:
        raise _without_place(lora, unmatched, len(declared))


def _is_kohya_dora(names: Collection[str]) -> bool:
    return all(name.startswith("lora_") for name in names) and any(name.endswith(".dora_scale") for name in names)


def _declared(pipe: Any, path: Path, options: dict[str, Any]) -> set[str]:
    """Every tensor of the file under the name that it has in the pipeline, in PEFT's spelling."""
    from diffusers.utils import convert_state_dict_to_diffusers, convert_state_dict_to_peft
    from diffusers.utils import convert_unet_state_dict_to_peft as denoiser_to_peft

    unet = getattr(pipe, "unet", None)
    found = pipe.lora_state_dict(str(path), **options, **({"unet_config": unet.config} if unet else {}))
    state = found[0] if isinstance(found, tuple) else found
    # diffusers drops DoRA's magnitudes with a warning; without them it is another LoRA.
    names = {key for key in read_header(path) if "dora_scale" in key}
    parts: dict[str, dict[str, Any]] = {}
    for key, tensor in state.items():
        part, _, rest = key.partition(".")
        parts.setdefault(part, {})[rest] = tensor
    for part, tensors in parts.items():
        if part.startswith("text_encoder"):
            tensors = convert_state_dict_to_peft(convert_state_dict_to_diffusers(tensors))
            if not hasattr(getattr(pipe, part, None), "text_model"):
                tensors = {key.removeprefix("text_model."): tensor for key, tensor in tensors.items()}
        elif "lora_A" not in next(iter(tensors)):
            tensors = denoiser_to_peft(tensors)
        names |= {f"{part}.{key}" for key in tensors}
    return names


def _loaded(pipe: Any, name: str) -> set[str]:
    """The tensors that the pipeline now has of that adapter, in the same spelling."""
    found = set()
    for part in pipe._lora_loadable_modules:
        module = getattr(pipe, part, None)
        for key, _ in module.named_parameters() if module is not None else ():
            segments = key.split(".")
            if name in segments:
                found.add(".".join([part, *(segment for segment in segments if segment != name)]))
    return {key.replace(".lora_magnitude_vector.weight", ".lora_magnitude_vector") for key in found}
