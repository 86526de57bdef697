"""Cells of one size in rows and columns; knows sizes alone, no pictures and no names."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import chain

from spritebuild_stages.sheets.layout import Grid
from spritebuild_stages.sheets.packing import Packed, Room, Size, Spot, TooLargeError, TooManyError


def arrange(sizes: Sequence[Size], columns: int | None, room: Room) -> tuple[Packed, Grid]:
    """Cells as large as the widest and the highest picture, row by row; a smaller one lies at the top left of its own.

    Without `columns` there are about as many as rows, or more where only that fits onto a page. With several pages the
    grid is that of each. Raises TooLargeError for a single cell that is larger than a page may be, and TooManyError
    where the columns are too many for a page or, unless several are allowed, the rows.
    """
    largest = max(width for width, _ in sizes), max(height for _, height in sizes)
    cell = room.cell(largest)
    if not room.allows(room.page(*cell)):
        raise TooLargeError(max(range(len(sizes)), key=lambda index: max(sizes[index])), room.page(*cell))
    across = min(columns, len(sizes)) if columns else _columns(len(sizes), cell, room)
    down = -(-len(sizes) // across)
    if room.multipack and room.allows(_page(across, 1, cell, room)):
        while not room.allows(_page(across, down, cell, room)):
            down -= 1
    if not room.allows(_page(across, down, cell, room)):
        raise TooManyError(_page(across, down, cell, room))
    shift = room.margin + room.extrude
    spots = []
    for place in range(len(sizes)):
        page, on_page = divmod(place, across * down)
        row, column = divmod(on_page, across)
        spots.append(Spot(page, shift + column * cell[0], shift + row * cell[1]))
    rows = -(-len(sizes) // across)
    pages = tuple(_page(across, min(down, rows - above), cell, room) for above in range(0, rows, down))
    return Packed(pages, tuple(spots)), Grid(
        columns=across, cell=largest, spacing=room.spacing + 2 * room.extrude, margin=shift
    )


def _columns(count: int, cell: Size, room: Room) -> int:
    """As many as rows or one more; if a page holds them only otherwise, the next number that fits onto one."""
    square = math.isqrt(count - 1) + 1
    for columns in chain(range(square, count + 1), range(square - 1, 0, -1)):
        if room.allows(_page(columns, -(-count // columns), cell, room)):
            return columns
    if not room.multipack:
        return square
    return max(columns for columns in range(1, square + 1) if room.allows(_page(columns, 1, cell, room)))


def _page(columns: int, rows: int, cell: Size, room: Room) -> Size:
    return room.page(columns * cell[0], rows * cell[1])
