"""What of a change passes and what fails, as the project, its styles, sprites and sheets declare; compares nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spritebuild.check.cases import Kind, Verdict
from spritebuild.spritefile import Check, Spritefile

DEFAULTS = Check(
    allow=("imperceptible",), delta_e=2.3, pixels=0, worst=0.1, new="report", deleted="report", duplicates="ignore"
)
GATES: Mapping[str, Verdict] = {"ignore": "pass", "report": "notice", "fail": "fail"}


def rules_of(spritefile: Spritefile, declared: str) -> Check:
    """What may differ in a declaration such as `sprites.potion`: the project's word, under its style's and its own."""
    table, _, name = declared.partition(".")
    said = [DEFAULTS, spritefile.check]
    if table == "sprites" and name in spritefile.sprites:
        sprite = spritefile.sprites[name]
        styles: list[Check] = []
        style = sprite.style
        while style is not None:
            styles += filter(None, [spritefile.styles[style].check])
            style = spritefile.styles[style].extends
        said += [*reversed(styles), *filter(None, [sprite.check])]
    elif table == "sheets" and name in spritefile.sheets:
        said += filter(None, [spritefile.sheets[name].check])
    merged: dict[str, Any] = {}
    for one in said:
        merged |= one.model_dump(exclude_none=True)
    return Check.model_validate(merged)


def verdict_on(kind: Kind, measures: Mapping[str, Any], rules: Check) -> Verdict:
    """What comes of a change, by its kind and its numbers (see `classify.Change`)."""
    if kind == "new":
        return GATES[rules.new or "report"]
    if kind == "deleted":
        return GATES[rules.deleted or "report"]
    if kind == "same" or kind in (rules.allow or ()) or (kind == "other" and "different" in (rules.allow or ())):
        return "pass"
    small = measures.get("pixels", 0) <= (rules.pixels or 0) and measures.get("worst_share", 1) <= (rules.worst or 0)
    return "pass" if kind == "edit" and small else "fail"
