"""Frames as they are read, trimmed and compared: which of them are one picture; knows nothing of pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from spritebuild.errors import StageError
from spritebuild_stages.images import given
from spritebuild_stages.images.png import MAX_PIXELS, Rgba
from spritebuild_stages.ops.alpha import clear_hidden
from spritebuild_stages.ops.trim import visible_box
from spritebuild_stages.sheets.layout import Rectangle

MAX_ALL_PIXELS = 16 * MAX_PIXELS  # of all frames and companions as they are kept: 1 GiB

READ_HINT = "a sheet holds PNGs of 8 bits a channel, at most 16 Mpx each"


@dataclass(frozen=True)
class Cut:
    """A frame: the size of its source, the box of it that is kept, and these pixels; companions by role, cut alike."""

    name: str
    source: tuple[int, int]
    box: Rectangle
    kept: Rgba
    companions: Mapping[str, Rgba]

    def layers(self) -> list[Rgba]:
        """Its pixels and its companions', in the order of their roles."""
        return [self.kept, *(self.companions[role] for role in sorted(self.companions))]


@dataclass(frozen=True)
class Shared:
    """Which frames are stored, by their numbers, and for every frame the stored one that it is shown by."""

    stored: tuple[int, ...]
    shown_by: tuple[int, ...]
    mirrored: tuple[bool, ...]


def by_role(companions: Mapping[str, Path], count: int) -> dict[str, list[Path]]:
    """Companions that are called ROLE-NUMBER, as those of all frames in their order, by role.

    Raises StageError unless each of `count` frames has one of every role.
    """
    found: dict[str, dict[str, Path]] = {}
    for key, path in companions.items():
        role, _, number = key.rpartition("-")
        found.setdefault(role, {})[number] = path
    for role, paths in found.items():
        if not role or role.isdecimal():
            raise StageError(f"a companion cannot be called {role!r}", hint="call it normal, emissive, or the like")
        if set(paths) != {str(number) for number in range(count)}:
            raise StageError(
                f"{len(paths)} {role} pictures for {count} frames",
                hint=f"give each frame a {role} picture; one without anything on it may be transparent",
            )
    return {role: [found[role][str(number)] for number in range(count)] for role in sorted(found)}


def read(
    names: Sequence[str], paths: Sequence[Path], companions: Mapping[str, Sequence[Path]], trim: bool
) -> list[Cut]:
    """Frames with their companions, cut to what is visible of the frame if `trim`; one of nothing is a single pixel.

    Raises StageError for a file that is no still PNG of 8 bits a channel, for a companion of another size than its
    frame, and for more pixels than memory should hold.
    """
    cuts, pixels = [], 0
    for number, (name, path) in enumerate(zip(names, paths, strict=True)):
        rgba = given.read(path, READ_HINT)
        height, width = rgba.shape[:2]
        left, top, right, bottom = (visible_box(rgba) or (0, 0, 1, 1)) if trim else (0, 0, width, height)
        kept = {}
        for role, others in companions.items():
            other = given.read(others[number], READ_HINT)
            if other.shape != rgba.shape:
                raise StageError(
                    f"{others[number]}: the {role} picture of {name!r} has another size than the frame",
                    facts=[("frame", f"{width}x{height}"), (role, f"{other.shape[1]}x{other.shape[0]}")],
                    hint="companions have exactly the pixels of their frame",
                )
            kept[role] = other[top:bottom, left:right].copy()
        box = (left, top, right - left, bottom - top)
        cuts.append(Cut(name, (width, height), box, rgba[top:bottom, left:right].copy(), kept))
        pixels += box[2] * box[3] * (1 + len(kept))
        if pixels > MAX_ALL_PIXELS:
            raise StageError(
                f"the first {len(cuts)} frames alone are {pixels / 1e6:.1f} Mpx, more than {MAX_ALL_PIXELS / 1e6:.1f}",
                hint="make several sheets of them",
            )
    return cuts


def share(cuts: Sequence[Cut], duplicates: bool, mirrors: bool) -> Shared:
    """Which frames need not be stored: those equal to another, or to its left-right mirror image, companions included.

    Colors under alpha 0 do not count. Of equal ones the first by name is stored, whatever the order of frames.
    """
    seen: dict[bytes, int] = {}
    shown_by, mirrored = list(range(len(cuts))), [False] * len(cuts)
    if not (duplicates or mirrors):
        return Shared(tuple(shown_by), tuple(shown_by), tuple(mirrored))
    for number in sorted(shown_by, key=lambda number: cuts[number].name):
        layers = [clear_hidden(layer) for layer in cuts[number].layers()]
        digest = _digest(layers)
        if duplicates and digest in seen:
            shown_by[number] = seen[digest]
            continue
        other = seen.get(_digest([layer[:, ::-1] for layer in layers])) if mirrors and digest not in seen else None
        if other is not None:
            shown_by[number], mirrored[number] = other, True
        else:
            seen.setdefault(digest, number)
    return Shared(tuple(dict.fromkeys(shown_by)), tuple(shown_by), tuple(mirrored))


def _digest(layers: list[Rgba]) -> bytes:
    digest = blake2b(repr(layers[0].shape).encode())
    for layer in layers:
        digest.update(layer.tobytes())
    return digest.digest()
