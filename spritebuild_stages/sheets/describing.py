"""The layout of frames that have their places; knows neither pixels nor how the places were found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from spritebuild_stages.sheets import selection
from spritebuild_stages.sheets.frames import Cut, Shared
from spritebuild_stages.sheets.layout import Frame, Grid, Layout, Page, Rectangle, Slice, Tag
from spritebuild_stages.sheets.packing import Packed
from spritebuild_stages.sheets.selection import Anchor, Point


@dataclass(frozen=True)
class Placed:
    """Which frames are stored, and where: `packed` has a spot for each of `shared.stored`, in that order."""

    shared: Shared
    packed: Packed
    grid: Grid | None


def describe(
    name: str,
    roles: Sequence[str],
    cuts: Sequence[Cut],
    placed: Placed,
    *,
    durations: Mapping[str, int],
    pivots: Mapping[str, Anchor | Point],
    tags: Iterable[Tag],
    slices: Iterable[Slice],
) -> Layout:
    """The layout of a sheet: durations of all frames by their names, pivots of those that have one."""
    spots = dict(zip(placed.shared.stored, placed.packed.spots, strict=True))
    frames = []
    for number, cut in enumerate(cuts):
        spot = spots[placed.shared.shown_by[number]]
        frames.append(
            Frame(
                name=cut.name,
                page=spot.page,
                x=spot.x,
                y=spot.y,
                box=cut.box,
                source=cut.source,
                duration=durations[cut.name],
                pivot=selection.point(pivots[cut.name], cut.source) if cut.name in pivots else None,
                mirrored=placed.shared.mirrored[number],
            )
        )
    own_cells = len(placed.packed.pages) == 1 and len(placed.shared.stored) == len(cuts)
    return Layout(
        name=name,
        pages=_pages(name, roles, placed.packed),
        frames=tuple(frames),
        tags=tuple(sorted(tags, key=lambda tag: (tag.first, -tag.last, tag.name))),
        slices=tuple(sorted(slices, key=lambda part: (part.name, part.frame))),
        grid=placed.grid if own_cells else None,
    )


def _pages(name: str, roles: Sequence[str], packed: Packed) -> tuple[Page, ...]:
    """NAME.png with NAME-normal.png; of several pages NAME-0.png with NAME-0-normal.png, and so on."""
    pages = []
    for number, (width, height) in enumerate(packed.pages):
        stem = name if len(packed.pages) == 1 else f"{name}-{number}"
        companions = {role: f"{stem}-{role}.png" for role in roles}
        pages.append(Page(image=f"{stem}.png", width=width, height=height, companions=companions))
    return tuple(pages)


def slice_of(
    name: str, number: int, cut: Cut, bounds: Rectangle | None, center: Rectangle | None, margins: Rectangle | None
) -> Slice:
    """A slice of a frame: all of it without bounds; nine-slice with a center, or margins left, top, right and bottom.

    Raises ValueError for bounds that leave the frame, and a center that leaves the bounds.
    """
    bounds = bounds or (0, 0, *cut.source)
    if not _inside(bounds, cut.source):
        raise ValueError(f"slice {name!r} leaves frame {cut.name!r}, which is {cut.source[0]}x{cut.source[1]}")
    if margins:
        left, top, right, bottom = margins
        center = (left, top, bounds[2] - left - right, bounds[3] - top - bottom)
    if center and not _inside(center, bounds[2:]):
        raise ValueError(f"the center of slice {name!r} is not within its {bounds[2]}x{bounds[3]} pixels")
    return Slice(name=name, frame=number, bounds=bounds, center=center)


def _inside(part: Rectangle, size: tuple[int, int]) -> bool:
    x, y, width, height = part
    return min(x, y) >= 0 and min(width, height) >= 1 and x + width <= size[0] and y + height <= size[1]
