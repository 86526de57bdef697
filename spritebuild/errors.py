"""Every error that spritebuild raises on purpose; knows nothing of what failed.

SpritebuildError
├── UsageError            2   the command line or the project cannot mean that
│   └── SpritefileError   2   the spritefile, all of its faults at once
├── RegressionError       1   an asset differs from what was approved
├── LockError             3   the lock does not say what the spritefile says
├── IntegrityError        4   bytes are not the bytes that were pinned
├── PolicyError           4   refused on purpose: pickles, remote code, a file that is not ours
├── MachineError          5   disk, device, memory, a missing extra
├── StageError            5   a stage failed on an action
└── Interrupted         130   Ctrl-C
    └── Superseded      130   a newer save, while `watch` builds
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


class SpritebuildError(Exception):
    """A failure with its place, its facts and its remedy; `str()` is what the user reads."""

    exit_code = 5

    def __init__(
        self,
        message: str,
        *,
        where: str | None = None,
        facts: Iterable[tuple[str, object]] = (),
        hint: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.facts = tuple((name, str(value)) for name, value in facts)
        self.hint = hint

    def __str__(self) -> str:
        lines = [f"{self.where}: {self.message}" if self.where else self.message]
        width = max((len(name) for name, _ in self.facts), default=0)
        lines += [f"  {name:<{width}}  {value}" for name, value in self.facts]
        if self.hint:
            lines += ["", f"hint: {self.hint}"]
        return "\n".join(lines)


class UsageError(SpritebuildError):
    """The command line or the project asks for something that cannot be."""

    exit_code = 2


def printable(text: str, keep: str = "") -> str:
    """The text with everything escaped that a terminal would not print as a character of its own, but for `keep`."""
    return "".join(c if c.isprintable() or c in keep else c.encode("unicode_escape").decode("ascii") for c in text)


@dataclass(frozen=True)
class Fault:
    """One mistake in a spritefile: `path` as `styles.ruins.steps`; line and column count from 1, 0 if unknown."""

    message: str
    file: str = "spritefile.toml"
    line: int = 0
    column: int = 0
    source: str = ""
    width: int = 1
    hint: str | None = None

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" + (f":{self.column}" if self.column else "") if self.line else self.file
        lines = [f"{place}: {self.message}"]
        if self.source:
            number = str(self.line)
            lines += [f"  {number} | {self.source}"]
            if self.column:
                lines += [f"  {' ' * len(number)} | {' ' * (self.column - 1)}{'^' * max(1, self.width)}"]
        if self.hint:
            lines += [f"  hint: {self.hint}"]
        return "\n".join(lines)


class SpritefileError(UsageError):
    """The spritefile is wrong; carries every fault found, in the order of their lines."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(sorted(set(faults), key=lambda f: (f.file, f.line, f.column, f.message)))
        count = len(self.faults)
        super().__init__("\n".join(str(fault) for fault in self.faults) + f"\n{count} error{'s' * (count != 1)}")


class RegressionError(SpritebuildError):
    """An asset is not what was approved, or a stage is not reproducible."""

    exit_code = 1


class LockError(SpritebuildError):
    """The lock is stale, and the caller asked that it be true."""

    exit_code = 3


class IntegrityError(SpritebuildError):
    """Bytes differ from the digest that names them."""

    exit_code = 4


class PolicyError(SpritebuildError):
    """Refused on purpose: a pickle, remote code, a path outside the project, a file that is not ours."""

    exit_code = 4


class MachineError(SpritebuildError):
    """The machine cannot: disk full, device lost, a package missing."""

    exit_code = 5


class StageError(SpritebuildError):
    """A stage failed on an action; nothing of it was stored."""

    exit_code = 5


class Interrupted(SpritebuildError):  # noqa: N818 - it is no error of anybody's
    """The user stopped the build; everything finished before is stored."""

    exit_code = 130


class Superseded(Interrupted):
    """What was asked for has changed meanwhile: everything finished before is stored, and the rest is not wanted."""
