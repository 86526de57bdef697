"""What people should know of a LoRA, beside its weights: written anew without training anew."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from pydantic import Field

from spritebuild.stage import BoundAction, Context, Inputs, Outputs, Params, Stage


class LoraCardParams(Params):
    """What a training cannot know."""

    name: str = Field(max_length=200, description="What the LoRA is called.")
    release: str = Field("1", max_length=100, description="Which of several trainings this is, in words.")
    description: str = Field("", max_length=10_000, description="What it is for.")
    base: str = Field("", max_length=1000, description="The base model, as it was declared.")
    base_digest: str = Field("", max_length=100, description="The digest of the base model.")
    strength: float = Field(1.0, ge=-10, le=10, description="The weight at which it is meant to be used.")
    licences: tuple[str, ...] = Field((), description="The licences of the base and of the data, which it inherits.")


class LoraCardInputs(Inputs):
    """The trained LoRA, whose metadata says how it was trained: it is all that a clone has of the training."""

    lora: Path


class LoraCardOutputs(Outputs):
    """The card."""

    card: Path = Path("card.json")


class LoraCard(Stage):
    """Cheap and pure."""

    version = 2
    Params = LoraCardParams
    Inputs = LoraCardInputs
    Outputs = LoraCardOutputs

    def run(self, action: BoundAction, context: Context) -> None:
        """Write the card: sorted keys, no clock."""
        from spritebuild_stages.diffusion.lora_files import TRAINING, read_metadata

        params: LoraCardParams = action.params
        trained = json.loads(read_metadata(action.inputs.lora)[TRAINING])
        told = trained["params"]
        card = {
            "name": params.name,
            "version": params.release,
            "description": params.description,
            "base_model": {"name": params.base, "digest": params.base_digest, "pipeline": trained["pipeline"]},
            "dataset": {"digest": trained["dataset"], "size": trained["examples"]},
            "steps": trained["steps"],
            "rank": told["rank"],
            "alpha": told["alpha"],
            "trigger_words": trained["triggers"],
            "recommended_strength": params.strength,
            "licences": list(params.licences),
            "files": {"lora.safetensors": _digest(action.inputs.lora)},
            "sample_images": {"samples.png": trained["samples"]},
            "sample_prompts": trained["sample_prompts"],
            "training": told,
        }
        action.outputs.card.write_text(json.dumps(card, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
