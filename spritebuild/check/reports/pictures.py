"""Pictures for a report: what differs, which colors came and went, and files of nothing but pixels; knows no page."""

from __future__ import annotations

import base64
import hashlib
import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from spritebuild.check.reports.text import file_name

Rgba = NDArray[np.uint8]

MAX_SIDE = 8192
CHANGED = (255, 0, 255, 255)
DIMMED = 4  # a share of the alpha that the unchanged pixels keep in a difference
MOST_BYTES = 48 << 20  # of pictures within one page


class Source(Protocol):
    """Where pixels lie; `file` names one of a folder. None where they are not on this machine."""

    def now(self, path: str, file: str = "") -> Path | None: ...
    def baseline(self, path: str, file: str = "") -> Path | None: ...


def read(path: Path | None) -> Rgba | None:
    """The pixels of a PNG as uint8 (H, W, 4), cleared where nothing is visible; None for all that cannot be shown."""
    from spritebuild.check import pairs

    rgba = pairs.read(path, ("PNG",)) if path is not None else None
    if rgba is None or max(rgba.shape) > MAX_SIDE:
        return None
    rgba[rgba[..., 3] == 0] = 0
    return rgba


def difference(old: Rgba, new: Rgba) -> Rgba:
    """The new picture dimmed, and every pixel in magenta that is not the old one's; corners lie over each other."""
    height, width = (max(old.shape[side], new.shape[side]) for side in (0, 1))
    sides = [np.zeros((height, width, 4), np.uint8) for _ in (old, new)]
    for side, picture in zip(sides, (old, new), strict=True):
        side[: picture.shape[0], : picture.shape[1]] = picture
    drawn = sides[1].copy()
    drawn[..., 3] //= DIMMED
    drawn[(sides[0] != sides[1]).any(axis=2)] = CHANGED
    return drawn


def colors(rgba: Rgba) -> set[str]:
    """The visible colors, as `#rrggbb`."""
    visible = rgba[rgba[..., 3] > 0].astype(np.uint32)
    values = np.unique(visible[:, 0] << 16 | visible[:, 1] << 8 | visible[:, 2])
    return {f"#{value:06x}" for value in values.tolist()}


@dataclass
class Shelf:
    """Keeps pictures for a page: as files of a folder, or within the page where `folder` is None.

    A picture is written anew, so that nothing but its pixels gets into a report: no text, no prompt, no other format.
    """

    folder: Path | None
    used: set[str] = field(default_factory=set)
    size: int = 0

    @property
    def full(self) -> bool:
        """Whether the page would become too large with more pictures."""
        return self.folder is None and self.size > MOST_BYTES

    def url(self, rgba: Rgba, digest: str = "") -> str:
        """Where the page finds the picture; its file is called by `digest`, if that is one, or by its own bytes."""
        data = _encoded(rgba)
        self.size += len(data)
        if self.folder is None:
            return f"data:image/png;base64,{base64.b64encode(data).decode('ascii')}"
        name = file_name(digest) or f"{hashlib.sha256(data).hexdigest()}.png"
        if name not in self.used:
            self.used.add(name)
            (self.folder / name).write_bytes(data)
        return f"{self.folder.name}/{name}"


def _encoded(rgba: Rgba) -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(rgba).save(stream, "PNG")
    return stream.getvalue()
