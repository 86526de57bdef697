"""Approves the bytes that somebody looked at, by their digests, in the lock; never makes them anew."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from spritebuild import idle, lock
from spritebuild.alone import alone
from spritebuild.check.reports.text import NAME, plain
from spritebuild.errors import RegressionError, UsageError
from spritebuild.files import machine_errors
from spritebuild.status import Status
from spritebuild.store import SCRATCH

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Choice:
    """What somebody decided on the bytes of an asset that they looked at; without a digest, on its being gone."""

    path: str
    digest: str
    decision: Literal["approve", "reject"]
    comment: str = ""


@dataclass(frozen=True)
class Approved:
    """What became of choices: paths that are approved now, that were before, and the choices that reject."""

    approved: tuple[str, ...]
    already: tuple[str, ...]
    rejected: tuple[Choice, ...]


def approve(spritefile: Path, choices: Iterable[Choice], status: Status) -> Approved:
    """Write approvals into the lock of a spritefile's project; the former baselines stay beside them.

    All of them or none: raises RegressionError where the lock says other bytes of an asset by now than were looked at.
    The caller need not hold the project's build lock.
    """
    root = spritefile.absolute().parent.resolve()
    choices = list(choices)
    wanted = [choice for choice in choices if choice.decision == "approve"]
    with alone(root, status), machine_errors():
        entries = lock.read(root)
        changed = [
            (plain(choice.path, NAME), fault)
            for choice in wanted
            if (fault := _fault(root, entries.get(choice.path), choice))
        ]
        if changed:
            raise RegressionError(
                f"{len(changed)} of {len(wanted)} assets are not what was looked at; nothing was approved",
                where=lock.PATH,
                facts=changed[:20],
                hint="look again: spritebuild review, or spritebuild check",
            )
        approved, already = [], []
        for choice in wanted:
            entry = entries.get(choice.path)
            if entry is None or (entry.digest and entry.digest == entry.approved):
                already.append(choice.path)
                continue
            renewed = lock.approve(entry)
            if renewed is None:
                del entries[choice.path]
            else:
                entries[choice.path] = renewed
            approved.append(choice.path)
        if approved:
            idle.forget(root)  # the lock is one of the files whose signatures it knows
            lock.write(root, entries.values(), scratch=idle.state_folder(root) / SCRATCH)
    rejected = tuple(choice for choice in choices if choice.decision == "reject")
    return Approved(tuple(approved), tuple(already), rejected)


def _fault(root: Path, entry: lock.Entry | None, choice: Choice) -> str:
    """Why a choice is not about the asset as it is; empty where it is."""
    if entry is None:
        return "" if not choice.digest else "is not in the lock"
    if entry.digest != choice.digest:
        return "has other bytes now" if entry.digest else "is no longer made"
    return ""


def read_choices(path: Path) -> list[Choice]:
    """The choices of a decisions.json. Raises UsageError, with what is wrong and where."""
    where = str(path)
    try:
        data = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise UsageError("no such file", where=where, hint="write one in `spritebuild review`") from None
    except RecursionError:
        raise UsageError("cannot be read: too many brackets", where=where) from None
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot be read: {error}", where=where) from None
    if not isinstance(data, dict) or data.get("format") != FORMAT or not isinstance(data.get("decisions"), list):
        raise UsageError("holds no decisions", where=where, hint=f'{{"format": {FORMAT}, "decisions": [...]}}')
    choices = [_choice(row, f"{where}: decision {number}") for number, row in enumerate(data["decisions"], 1)]
    first: dict[str, Choice] = {}
    for number, choice in enumerate(choices, 1):
        if replace(first.setdefault(choice.path, choice), comment="") != replace(choice, comment=""):
            hint = "keep the one that is meant, or decide again: spritebuild review"
            fault = f"{plain(choice.path, NAME)} was decided otherwise before"
            raise UsageError(fault, where=f"{where}: decision {number}", hint=hint)
    return choices


def _choice(row: Any, where: str) -> Choice:
    if not isinstance(row, dict):
        raise UsageError("is not an object", where=where)
    if not {"path", "digest"} <= row.keys():
        raise UsageError("needs a path and a digest, as text", where=where)
    texts = {key: row.get(key, "") for key in ("path", "digest", "decision", "comment")}
    if not all(isinstance(text, str) for text in texts.values()) or not texts["path"]:
        raise UsageError("needs a path and a digest, as text", where=where)
    if texts["decision"] not in ("approve", "reject"):
        raise UsageError(f"decision is approve or reject, not {plain(texts['decision'], NAME)}", where=where)
    return Choice(**texts)


def choices_text(choices: Sequence[Choice]) -> str:
    """The text of a decisions.json."""
    rows = [asdict(choice) for choice in sorted(choices, key=lambda choice: choice.path)]
    return json.dumps({"format": FORMAT, "decisions": rows}, indent=1, ensure_ascii=False) + "\n"
