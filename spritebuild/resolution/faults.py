"""Collects what is wrong with a spritefile while it is resolved, each fault once, at its place."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from spritebuild.errors import Fault
from spritebuild.spritefile import Spritefile
from spritebuild.spritefile.mistakes import alternatives, stage_mistake
from spritebuild.stage import Stage

SLOT = re.compile(r"\{([^{}]*)\}")
Where = tuple[str | int, ...]  # the path of a key: ("styles", "ruins", "finish", 2, "palette")


def dotted(where: Where) -> str:
    """A path of keys as reasons and errors show it: `styles.ruins.finish[2].palette`."""
    text = ""
    for part in where:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


@dataclass
class Faults:
    """The faults of one spritefile. A style's fault would come again with each of its sprites: it is kept once."""

    spritefile: Spritefile
    found: list[Fault] = field(default_factory=list)
    seen: set[tuple[Where, str]] = field(default_factory=set)

    def blame(self, where: Where, message: str, hint: str | None = None, *, key: bool = True) -> None:
        """Add a fault at a key, or at its value."""
        if (where, message) not in self.seen:
            self.seen.add((where, message))
            self.found.append(self.spritefile.fault(where, message, hint, key=key))

    def filled(self, template: str, words: Mapping[str, str], where: Where) -> str:
        """A template with each `{word}` filled in; an unknown one is a fault."""
        if "{" not in template:
            return template
        for unknown in (slot for slot in SLOT.findall(template) if slot not in words):
            self.blame(where, f"nothing is called {{{unknown}}}", alternatives(unknown, words, "known here"), key=False)
        return SLOT.sub(lambda match: words.get(match[1], ""), template)

    def refused(
        self, where: Where, problem: Any, stage: Stage, entry: Mapping[str, Any], known: Sequence[str] | None = None
    ) -> None:
        """Add what a stage's own model refused in an entry; `known` are the keys that could have been meant."""
        mistake = stage_mistake(problem, where, _known(stage, entry) if known is None else known)
        self.blame(mistake.path, mistake.message, mistake.hint, key=mistake.key)


def _known(stage: Stage, entry: Mapping[str, Any]) -> list[str]:
    """The keys that could have been meant: the stage's params, or those of the op that an entry names."""
    if "op" in entry:
        for member in _members(stage.Params.model_fields["ops"].annotation):
            if entry["op"] in getattr(member.model_fields["op"].annotation, "__args__", ()):
                return list(member.model_fields)
    return list(stage.Params.model_fields)


def _members(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models inside `tuple[Annotated[A | B, ...], ...]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in getattr(annotation, "__args__", ()):
        yield from _members(inner)
