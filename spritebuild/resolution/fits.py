"""Whether a sprite's LoRA fits its model, by what is known of both before anything runs."""

from __future__ import annotations

from collections.abc import Mapping

from spritebuild.pinned import catalogue, families
from spritebuild.pinned.pins import Pin
from spritebuild.resolution.faults import Faults, Where


def family(declared: object, pin: Pin | None) -> tuple[str | None, str]:
    """The family of a model or LoRA, and who says so: its weights, or else its declaration, or else the catalogue."""
    if pin is not None and pin.family is not None:
        return pin.family, "by its weights"
    if (said := getattr(declared, "family", None)) is not None:
        return said, "as it is declared"
    return catalogue.of(declared).get("family"), "as it is known"


def check(faults: Faults, pins: Mapping[str, Pin], model: str, lora: str, where: Where) -> None:
    """Blame the place that puts a LoRA on a model of another family. What is trained here is not checked."""
    tables = faults.spritefile.models, faults.spritefile.loras
    if model not in tables[0] or lora not in tables[1]:
        return
    declared = tables[0][model], tables[1][lora]
    if any(each.dataset is not None for each in declared):
        return
    own, why = family(declared[0], pins.get(f"models.{model}"))
    other, why_other = family(declared[1], pins.get(f"loras.{lora}"))
    if own is not None and other is not None and families.clash(own, other):
        faults.blame(
            where,
            f"lora {lora} is for {families.words(other)} ({why_other}), model {model} is {families.words(own)} ({why})",
            "use a lora and a model of one family",
            key=False,
        )
