"""Plain JSON and PNG for a loader written by hand: every field is there, in pixels and milliseconds, nothing to derive.

`sheets.json` lists the files; `Index` and `Document` are what they hold, and `model_json_schema()` of these the schema.
The format has a number, which grows when a reader would have to change.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from spritebuild_stages.exports import documents, sheet
from spritebuild_stages.exports.sheet import Sheet
from spritebuild_stages.sheets.layout import Direction, Layout


class Options(sheet.Options):
    """Plain JSON and PNG."""

    kind: Literal["plain"]
    compact: bool = Field(False, description="Leave spaces and line breaks out of the JSON.")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Rectangle(_Part):
    """A part of a picture, in pixels from its top left corner."""

    x: int
    y: int
    width: int
    height: int


class Point(_Part):
    """A place between pixels: (0, 0) is a picture's top left corner."""

    x: float
    y: float


class Page(_Part):
    """A picture that holds frames."""

    image: str = Field(description="The file, beside this one.")
    width: int
    height: int
    companions: dict[str, str] = Field(description="Files packed alike, by their role, such as normal or emissive.")


class Frame(_Part):
    """A sprite: `kept` pixels at (x, y) of a page, to be drawn at (left, top) of its own picture."""

    name: str
    page: int = Field(description="The page's number, from 0.")
    kept: Rectangle = Field(description="Its pixels on the page.")
    left: int = Field(description="Transparent pixels that were trimmed on the left.")
    top: int = Field(description="Transparent pixels that were trimmed at the top.")
    width: int = Field(description="The width of its own picture, untrimmed.")
    height: int = Field(description="The height of its own picture, untrimmed.")
    mirrored: bool = Field(description="Whether the kept pixels are to be flipped left to right, within `kept`.")
    duration: int = Field(description="Milliseconds.")
    pivot: Point | None = Field(description="Of its own picture; null where none was given.")


class Animation(_Part):
    """A tag. `frames` is one pass, to be shown as it is; the other fields say where it came from."""

    name: str
    frames: tuple[int, ...] = Field(description="Numbers of frames in the order in which they are shown.")
    repeat: int = Field(description="How many passes; 0 is forever.")
    first: int
    last: int
    direction: Direction


class Slice(_Part):
    """A named part of a frame's own picture; a nine-slice if it has a center."""

    name: str
    frame: int = Field(description="The frame's number, from 0.")
    bounds: Rectangle = Field(description="Of the frame's own picture.")
    center: Rectangle | None = Field(description="What stretches, from the corner of the bounds.")


class Grid(_Part):
    """Cells of one size: frame n is at the top left of cell n."""

    columns: int
    width: int = Field(description="A cell's.")
    height: int = Field(description="A cell's.")
    spacing: int = Field(description="Pixels between cells.")
    margin: int = Field(description="Pixels around all cells.")


class Document(_Part):
    """A sheet."""

    format: Literal[1] = Field(description="This format's number.")
    name: str
    category: str = Field(description="Its folder below the export's, or empty.")
    pages: tuple[Page, ...]
    frames: tuple[Frame, ...]
    animations: tuple[Animation, ...]
    slices: tuple[Slice, ...]
    grid: Grid | None = Field(description="Null unless frames lie in cells, in their order.")


class Index(_Part):
    """The sheets of the export: their files by their names, relative to this one."""

    format: Literal[1] = Field(description="This format's number.")
    sheets: dict[str, str]


def write(sheets: Sequence[Sheet], folder: Path, options: Options) -> None:
    """Write the pages and their JSON by category, and the list of them.

    Raises StageError for a sheet that is called like the list.
    """
    files = {}
    for one in sheets:
        place = folder / one.category
        one.copy_pages(place)
        path = place / f"{one.layout.name}.json"
        documents.write(path, document(one.layout, one.category).model_dump(mode="json"), options.compact)
        files[one.layout.name] = path.relative_to(folder).as_posix()
    documents.write(folder / "sheets.json", Index(format=1, sheets=files).model_dump(mode="json"), options.compact)


def document(layout: Layout, category: str) -> Document:
    """What the JSON of a sheet says."""
    number = {frame.name: place for place, frame in enumerate(layout.frames)}
    grid = layout.grid
    return Document(
        format=1,
        name=layout.name,
        category=category,
        pages=tuple(Page.model_validate(page.model_dump()) for page in layout.pages),
        frames=tuple(
            Frame(
                name=frame.name,
                page=frame.page,
                kept=_rectangle(*frame.rectangle),
                left=frame.box[0],
                top=frame.box[1],
                width=frame.source[0],
                height=frame.source[1],
                mirrored=frame.mirrored,
                duration=frame.duration,
                pivot=Point(x=frame.pivot[0], y=frame.pivot[1]) if frame.pivot else None,
            )
            for frame in layout.frames
        ),
        animations=tuple(
            Animation(
                name=tag.name,
                frames=tuple(number[frame.name] for frame in layout.of_tag(tag)),
                repeat=tag.repeat,
                first=tag.first,
                last=tag.last,
                direction=tag.direction,
            )
            for tag in layout.tags
        ),
        slices=tuple(
            Slice(
                name=part.name,
                frame=part.frame,
                bounds=_rectangle(*part.bounds),
                center=_rectangle(*part.center) if part.center else None,
            )
            for part in layout.slices
        ),
        grid=Grid(
            columns=grid.columns,
            width=grid.cell[0],
            height=grid.cell[1],
            spacing=grid.spacing,
            margin=grid.margin,
        )
        if grid
        else None,
    )


def _rectangle(x: int, y: int, width: int, height: int) -> Rectangle:
    return Rectangle(x=x, y=y, width=width, height=height)
