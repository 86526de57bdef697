"""Frames as the numbered tiles of tile editors; knows none of their formats."""

from __future__ import annotations

from collections.abc import Sequence

from spritebuild.errors import StageError
from spritebuild_stages.exports.sheet import Sheet
from spritebuild_stages.sheets.layout import Frame, Grid, Layout, Tag


def refuse_trimmed(frames: tuple[Frame, ...], editor: str) -> None:
    """Raise StageError where a frame is trimmed: as a tile it would be drawn in the wrong place."""
    trimmed = [frame.name for frame in frames if frame.trimmed]
    if trimmed:
        raise StageError(
            f"{editor} cannot put a trimmed picture back in its place, and {len(trimmed)} frames are trimmed",
            facts=[("", name) for name in trimmed[:5]],
            hint="say trim = false in the sheet",
        )


def refuse_strays(one: Sheet, grid: Grid, editor: str) -> None:
    """Raise StageError where a tile would show more than its frame: repeated edges of one smaller than its cell."""
    smaller = [frame for frame in one.layout.frames if frame.source != grid.cell]
    if not smaller:
        return
    alpha = one.page(0)[..., 3]
    for frame in smaller:
        cell = alpha[frame.y : frame.y + grid.cell[1], frame.x : frame.x + grid.cell[0]]
        if cell[: frame.source[1], frame.source[0] :].any() or cell[frame.source[1] :].any():
            raise StageError(
                f"{editor} would show repeated edges beside {frame.name!r}, which is smaller than its cell",
                facts=[("frame", "{}x{}".format(*frame.source)), ("cell", "{}x{}".format(*grid.cell))],
                hint="pad the sprites to one size, or say extrude = 0 in the sheet",
            )


def place(frame: Frame, grid: Grid, tile: tuple[int, int]) -> tuple[int, int]:
    """The column and the row of the tile at a frame's top left, where tiles of that size are cut from the grid."""
    column = (frame.x - grid.margin) // (tile[0] + grid.spacing)
    return column, (frame.y - grid.margin) // (tile[1] + grid.spacing)


def steps(layout: Layout, tag: Tag, numbers: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """One pass of an animation as (tile, milliseconds, at least 1); `numbers` are the tiles of the layout's frames."""
    shown = slice(tag.first, tag.last + 1)
    # By identity: frames may be equal.
    number_of = {id(frame): number for frame, number in zip(layout.frames[shown], numbers[shown], strict=True)}
    return tuple((number_of[id(frame)], max(1, frame.duration)) for frame in layout.of_tag(tag))
