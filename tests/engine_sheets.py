"""Sheets as engines take them that cannot mirror a frame, and exports of them compared; knows no engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from spritebuild_stages.exports.sheet import Sheet


def changed(sheet: Sheet, category: str = "", **changes: Any) -> Sheet:
    """A sheet whose frames are called as sprites are, none of them mirrored."""
    frames = tuple(
        frame.model_copy(update={"name": f"{sheet.layout.name}_{number}", "mirrored": False})
        for number, frame in enumerate(sheet.layout.frames)
    )
    return Sheet(sheet.layout.model_copy(update={"frames": frames, **changes}), sheet.pages, category)


def timed(sheet: Sheet, *durations: int, **changes: Any) -> Sheet:
    """A sheet whose frames have those durations."""
    frames = tuple(
        frame.model_copy(update={"duration": duration, **changes})
        for frame, duration in zip(sheet.layout.frames, durations, strict=True)
    )
    return Sheet(sheet.layout.model_copy(update={"frames": frames}), sheet.pages, sheet.category)


def with_companions(sheet: Sheet, *roles: str) -> Sheet:
    """A sheet whose first page has companions, which are copies of it here."""
    first, *others = sheet.layout.pages
    companions = {role: f"{Path(first.image).stem}.{role}.png" for role in roles}
    for name in companions.values():
        (sheet.pages / name).write_bytes((sheet.pages / first.image).read_bytes())
    pages = (first.model_copy(update={"companions": companions}), *others)
    return Sheet(sheet.layout.model_copy(update={"pages": pages}), sheet.pages, sheet.category)


def assert_same_bytes(one: Path, two: Path) -> None:
    """Two folders have the same files."""
    files = sorted(path.relative_to(one) for path in one.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(two) for path in two.rglob("*") if path.is_file())
    assert all((one / path).read_bytes() == (two / path).read_bytes() for path in files)
