"""What a quality makes of the params of the stage that draws a picture; knows no sprite and no stage in particular.

A quality changes params, so that its results have keys of their own: a draft never stands in for what is released.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from spritebuild.spritefile.tiers import Quality, Tiers

FEWEST = 4  # steps of a draft: below, most samplers draw nothing that one could judge
MOST = 1000
FEW_STEPS = ("lcm",)  # samplers of models that are made for few steps: neither fewer nor more do them good
GRID = 8  # pixels: what the sides of every latent model are multiples of


def applied(
    tiers: Tiers,
    quality: Quality,
    values: Mapping[str, Any],
    defaults: Mapping[str, Any],
    multiple: tuple[int, int] | None,
) -> tuple[dict[str, Any], dict[str, str]]:
    """The params that a quality changes, and where each was declared.

    `values` are what the look says and `defaults` the stage's own, of those params that it has; `multiple` is what the
    sides of the picture must be multiples of, where they must.
    """
    if quality == "standard":
        return {}, {}
    tier = tiers.of(quality)
    found: dict[str, Any] = {}
    if tier.scheduler is not None and "scheduler" in defaults:
        found["scheduler"] = tier.scheduler
    sampler = found.get("scheduler", values.get("scheduler"))
    if "steps" in defaults and sampler not in FEW_STEPS:
        found["steps"] = _steps(values.get("steps", defaults["steps"]), tier.steps or 1.0)
    if "size" in values and "size" in defaults and tier.scale != 1.0:
        sides = zip(values["size"], multiple or (GRID, GRID), strict=True)
        found["size"] = [_side(side, math.lcm(GRID, of), tier.scale or 1.0) for side, of in sides]
    return found, {name: f"quality.{quality}.{name}" for name in found}


def _steps(steps: int, factor: float) -> int:
    scaled = min(MOST, round(steps * factor))
    return max(scaled, min(steps, FEWEST)) if factor < 1 else max(scaled, steps)


def _side(side: int, multiple: int, factor: float) -> int:
    return max(multiple, round(side * factor / multiple) * multiple)


def words(tiers: Tiers, quality: Quality) -> str:
    """What a quality means, for people: `quality draft: 0.4 times the steps`."""
    tier = tiers.of(quality)
    said = [f"{tier.steps:g} times the steps" if tier.steps != 1 else ""]
    said.append(f"{tier.scale:g} times the size" if tier.scale != 1 else "")
    said.append(f"sampler {tier.scheduler}" if tier.scheduler else "")
    return f"quality {quality}: {', '.join(filter(None, said)) or 'what the styles say'}"
