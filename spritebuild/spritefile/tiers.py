"""Qualities and profiles as a spritefile declares them, and what each means unless it says so; knows no sprite."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import Field

from spritebuild.spritefile.fields import Number, Table

Quality = Literal["draft", "standard", "high"]
Profile = Literal["budget", "mainstream", "enthusiast"]

QUALITIES: tuple[Quality, ...] = ("draft", "standard", "high")
DRAFT_STEPS, HIGH_STEPS = 0.4, 2.0

# What models are that say nothing themselves. It is declared, so that every machine computes the same keys.
PROFILES: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "budget": {"dtype": "fp32", "batch": 4, "memory": "sliced"},
        "mainstream": {"dtype": "bf16", "batch": 4},
        "enthusiast": {"dtype": "bf16", "batch": 8, "kernels": "channels-last"},
    }
)


class Tier(Table):
    """What a quality makes of what a look says; `standard` is what it says."""

    steps: Annotated[Number, Field(gt=0, le=10)] | None = Field(
        None, description="The factor on the number of denoising steps; 0.4 for draft and 2 for high unless said."
    )
    scale: Annotated[Number, Field(gt=0, le=4)] | None = Field(
        None, description="The factor on the size of the picture before it is finished; 1 unless said."
    )
    scheduler: str | None = Field(None, description="The sampler; the look's own unless said.")


class Tiers(Table):
    """The qualities but for `standard`, which is what the looks say."""

    draft: Tier = Field(Tier(), description="For looking at soon; 0.4 times the steps unless said.")
    high: Tier = Field(Tier(), description="For what is released; twice the steps unless said.")

    def of(self, quality: Quality) -> Tier:
        """What a quality means, nothing left open."""
        if quality == "standard":
            return Tier(steps=1.0, scale=1.0)
        said = self.draft if quality == "draft" else self.high
        steps = DRAFT_STEPS if quality == "draft" else HIGH_STEPS
        return Tier(steps=said.steps or steps, scale=said.scale or 1.0, scheduler=said.scheduler)
