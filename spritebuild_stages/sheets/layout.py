"""Where every frame of a sheet lies, as a file between the sheet stage and the exports; knows no game engine."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Direction = Literal["forward", "reverse", "pingpong", "pingpong_reverse"]
Rectangle = tuple[int, int, int, int]  # x, y, width, height


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Page(_Part):
    """One picture of the sheet. `companions` are pictures packed alike, by their role, such as normal or emissive."""

    image: str  # the file's name, beside the layout's other files
    width: int
    height: int
    companions: dict[str, str] = {}


class Frame(_Part):
    """A sprite on its page.

    Its own picture is `source` (width, height) pixels large, of which `box` (x, y, width, height) was kept when it was
    trimmed; those pixels lie at (x, y) of the page. Equal frames share a place. A frame with `mirrored` is drawn
    flipped left to right: its pixels on the page are reversed before they are put at the box.
    """

    name: str
    page: int
    x: int
    y: int
    box: Rectangle
    source: tuple[int, int]
    duration: int = Field(100, ge=1)  # milliseconds
    pivot: tuple[float, float] | None = None  # of the source, in pixels from its top left corner
    mirrored: bool = False

    @property
    def rectangle(self) -> Rectangle:
        """Its pixels on the page."""
        return self.x, self.y, self.box[2], self.box[3]

    @property
    def trimmed(self) -> bool:
        """Whether pixels of the source were left out."""
        return self.box != (0, 0, *self.source)


class Tag(_Part):
    """An animation: the frames `first` to `last` (inclusive) of the layout's list. `repeat` 0 is forever."""

    name: str
    first: int
    last: int
    direction: Direction = "forward"
    repeat: int = 0


class Slice(_Part):
    """A named part of a frame's source: nine-slice if it has a center, which is relative to the bounds."""

    name: str
    frame: int
    bounds: Rectangle
    center: Rectangle | None = None


class Grid(_Part):
    """Cells of one size, left to right, top to bottom; frame n lies in cell n at its top left."""

    columns: int
    cell: tuple[int, int]
    spacing: int = 0
    margin: int = 0


class Layout(_Part):
    """A sheet. `grid` is there where frames lie in cells, in their order, on a single page."""

    name: str
    pages: tuple[Page, ...]
    frames: tuple[Frame, ...]
    tags: tuple[Tag, ...] = ()
    slices: tuple[Slice, ...] = ()
    grid: Grid | None = None

    def of_tag(self, tag: Tag) -> tuple[Frame, ...]:
        """The frames of one pass of an animation, in the order in which they are shown.

        A ping-pong shows its two ends once a pass: 0 1 2 1, then again from 0.
        """
        frames = list(self.frames[tag.first : tag.last + 1])
        if tag.direction.endswith("reverse"):
            frames.reverse()
        if tag.direction.startswith("pingpong"):
            frames += frames[-2:0:-1]
        return tuple(frames)


def read(path: Path) -> Layout:
    """A layout as `write` wrote it. Raises ValueError for anything else."""
    return Layout.model_validate_json(path.read_bytes())


def write(path: Path, layout: Layout) -> None:
    """Write a layout, the same bytes for the same layout."""
    path.write_text(layout.model_dump_json(indent=1, exclude_defaults=True) + "\n", encoding="utf-8", newline="\n")
