"""Whether what two classes of machine made looks the same; knows no machine and no stage."""

from __future__ import annotations

from pathlib import Path

from spritebuild.check.classify import classify, describe
from spritebuild.check.difference import difference
from spritebuild.check.pairs import read
from spritebuild.check.values import shown

SHARE = 0.01  # of the visible pixels that may differ visibly


def unlike(old: Path, new: Path) -> str:
    """What of a picture, or of a folder's pictures, looks otherwise than it did; empty if nothing does.

    What is no picture is not looked at: it follows from pictures, or nobody can say how much of it may differ.
    """
    if not (old.is_dir() and new.is_dir()):
        return _unlike(old, new)
    files = {path.relative_to(folder).as_posix() for folder in (old, new) for path in folder.rglob("*.png")}
    found = ((file, _unlike(old / file, new / file)) for file in sorted(files))
    return next((f"{shown(file)}: {said}" for file, said in found if said), "")


def _unlike(old: Path, new: Path) -> str:
    if not (old.is_file() and new.is_file()):
        return "is missing now" if old.is_file() else "was not there"
    before, now = read(old), read(new)
    if before is None or now is None:
        return "" if before is now else difference(old, new)
    change = classify(before, now)
    return "" if change.kind in ("same", "imperceptible") or change.share <= SHARE else describe(change)
