"""Rectangles packed into as few and as small pages as can be; knows sizes alone, no pictures and no names."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, product

from rectpack.maxrects import MaxRectsBl
from rectpack.pack_algo import PackingAlgorithm
from rectpack.skyline import SkylineBlWm

from spritebuild_stages.images.png import MAX_PIXELS

Size = tuple[int, int]

# Widths of a page that are tried, in percent of the side of a square that everything would fill.
PERCENT = (100, 101, 102, 103, 104, 105, 106, 108, 110, 112, 115, 118, 122, 126, 130, 135, 140, 97, 94, 90, 85, 80, 75)
ATTEMPTS, LEAST_WIDTHS = 5_000, 6  # rectangles placed by the quick method, at all widths together; and widths
# Maximal rectangles leave fewer gaps and take far longer, by the square of their number and more: they are tried at
# the best widths alone, and for no more rectangles than these.
MAXRECTS, MAXRECTS_WIDTHS = 600, 3
SLIM = 4  # a page whose sides are powers of two is at most so many times as long as wide, where that is possible


@dataclass(frozen=True)
class Room:
    """How rectangles may lie: pixels around the page and between them, repeated pixels around each, a page's sides."""

    margin: int = 0
    spacing: int = 0
    extrude: int = 0
    max_size: int = 4096
    power_of_two: bool = False
    multipack: bool = False

    @property
    def around(self) -> int:
        """What a page is larger than the cells of all that lies on it: their last spacing is the margin's."""
        return 2 * self.margin - self.spacing

    def cell(self, size: Size) -> Size:
        """What a rectangle takes: with its repeated pixels, and the spacing at its right and below it."""
        more = 2 * self.extrude + self.spacing
        return size[0] + more, size[1] + more

    def page(self, width: int, height: int) -> Size:
        """The size of a page whose cells reach that far."""
        size = width + self.around, height + self.around
        return (_power(size[0]), _power(size[1])) if self.power_of_two else size

    def floor(self, side: int) -> int:
        """The largest side of a page that is no longer than this one."""
        return 1 << side.bit_length() - 1 if self.power_of_two else side

    def allows(self, page: Size) -> bool:
        """Whether a page may be that large."""
        return max(page) <= self.max_size and page[0] * page[1] <= MAX_PIXELS


@dataclass(frozen=True)
class Spot:
    """Where a rectangle lies: its page, and its own top left corner there, without repeated pixels."""

    page: int
    x: int
    y: int


@dataclass(frozen=True)
class Packed:
    """The pages' sizes, and a spot for every rectangle in the order in which they were given."""

    pages: tuple[Size, ...]
    spots: tuple[Spot, ...]


class TooLargeError(ValueError):
    """A rectangle is larger than a page may be: its number is `index`, and the page would be `page`."""

    def __init__(self, index: int, page: Size) -> None:
        super().__init__(f"it needs a page of {page[0]}x{page[1]}")
        self.index, self.page = index, page


class TooManyError(ValueError):
    """The rectangles do not fit onto one page: `page` is what they would take if it had no limit."""

    def __init__(self, page: Size) -> None:
        super().__init__(f"they need a page of {page[0]}x{page[1]}")
        self.page = page


def pack(sizes: Sequence[Size], room: Room, together: Iterable[Iterable[int]] = ()) -> Packed:
    """Pack rectangles, each (width, height) of 1 or more and at least one, without turning any.

    The highest come first, the wider before the narrower, equal ones in the given order; of several widths of a page
    the one that gives the least area is taken, the squarest of equals. Of several pages, rectangles whose numbers
    are `together` share one, unless they are too many for it. Integers throughout: the same places on every machine.
    Raises TooLargeError, and TooManyError unless several pages are allowed.

    Source: Jukka Jylänki, "A Thousand Ways to Pack the Bin" (2010): skyline bottom-left with waste map, and maximal
    rectangles bottom-left, as rectpack implements them.
    """
    for index, size in enumerate(sizes):
        page = room.page(*room.cell(size))
        if not room.allows(page):
            raise TooLargeError(index, page)
    cells = [room.cell(size) for size in sizes]
    rest = sorted(range(len(cells)), key=lambda index: (-cells[index][1], -cells[index][0]))
    most = min((room.max_size - room.around) ** 2, MAX_PIXELS)
    groups = [members for members in map(list, together) if sum(math.prod(cells[index]) for index in members) <= most]
    group = _groups(len(cells), groups)
    pages: list[Size] = []
    spots: dict[int, Spot] = {}
    while rest:
        left = [cells[index] for index in rest]
        corners: Sequence[Size | None] | None = _smallest(left, room)
        if corners is None and not room.multipack:
            raise TooManyError(_without_limit(left, room))
        corners = corners or _fullest_of_groups(left, [group[index] for index in rest], room)
        placed = {index: corner for index, corner in zip(rest, corners, strict=True) if corner is not None}
        shift = room.margin + room.extrude
        spots |= {index: Spot(len(pages), x + shift, y + shift) for index, (x, y) in placed.items()}
        pages.append(room.page(*_reach([cells[index] for index in placed], list(placed.values()))))
        rest = [index for index in rest if index not in placed]
    return Packed(tuple(pages), tuple(spots[index] for index in range(len(sizes))))


Corners = list[Size]
Ranked = tuple[tuple[int, int, int], int, Corners]  # a page's area, longer side and width; the width that was tried


def _smallest(cells: list[Size], room: Room) -> Corners | None:
    """The corners on the smallest page that holds all cells; None if no page may be so large."""
    if sum(width * height for width, height in cells) > (room.max_size - room.around) ** 2:
        return None
    if len(set(cells)) == 1:
        found = [_ranked(cells, corners, room) for corners in _rows(cells[0], len(cells))]
    elif room.power_of_two:
        found = [_first_power(cells, room)]
    else:
        found = [_at(SkylineBlWm, cells, width, room) for width in _widths(cells, room)]
        if len(cells) <= MAXRECTS:
            best = sorted(one for one in found if one)[:MAXRECTS_WIDTHS]
            found += [_at(MaxRectsBl, cells, width, room) for _, width, _ in best]
    return min((one for one in found if one), default=(None, None, None))[2]


def _rows(cell: Size, count: int) -> Iterator[Corners]:
    """The corners of cells of one size in rows and columns, where these are about as wide as high."""
    width, height = cell
    for columns in range(1, count + 1):
        rows = -(-count // columns)
        across, down = columns * width, rows * height
        slim = max(across, down) > 2 * min(across, down) + max(cell)
        if not slim:
            yield [(place % columns * width, place // columns * height) for place in range(count)]


def _widths(cells: list[Size], room: Room) -> list[int]:
    """Widths that cells, the highest first, may take: those of a first row without a gap, and about a square's."""
    area = sum(width * height for width, height in cells)
    narrowest, highest = max(width for width, _ in cells), cells[0][1]
    side = max(math.isqrt(area), narrowest)
    rows = accumulate(width for width, _ in cells)
    likely = [side * percent // 100 for percent in PERCENT] + [area // highest + 1]
    likely += [width for width in rows if side * 3 <= width * 5 and width * 3 <= side * 5]
    tries = max(LEAST_WIDTHS, ATTEMPTS // len(cells))
    widest = room.max_size - room.around

    def nearest(widths: Iterable[int]) -> list[int]:
        allowed = {min(max(width, narrowest), widest) for width in widths}
        return sorted(allowed, key=lambda width: (abs(width - side), width))[:tries]

    return list(dict.fromkeys(nearest(likely) + nearest(range(side * 3 // 5, side * 5 // 3))))[:tries]


def _first_power(cells: list[Size], room: Room) -> Ranked | None:
    """All cells on the smallest page whose sides are powers of two, the squarest of equals."""
    needed = sum(width * height for width, height in cells)
    least = room.page(max(width for width, _ in cells), cells[0][1])
    sides = [1 << exponent for exponent in range(room.max_size.bit_length())]
    pages = [
        page for page in product(sides, sides) if min(page[0] - least[0], page[1] - least[1]) >= 0 and room.allows(page)
    ]
    for page in sorted(pages, key=lambda page: (page[0] * page[1], max(page), page[0])):
        width, height = page[0] - room.around, page[1] - room.around
        if width * height < needed or max(page) > max(SLIM * min(page), *least):
            continue
        for algorithm in (SkylineBlWm, MaxRectsBl) if len(cells) <= MAXRECTS else (SkylineBlWm,):
            if found := _ranked(cells, _all(_place(algorithm, cells, width, height)), room):
                return found
    return None


def _at(algorithm: type[PackingAlgorithm], cells: list[Size], width: int, room: Room) -> Ranked | None:
    return _ranked(cells, _all(_place(algorithm, cells, width, _height(width, room))), room, width)


def _ranked(cells: list[Size], corners: Corners | None, room: Room, width: int = 0) -> Ranked | None:
    """Corners with what they are compared by; None where not all were found, or the page may not be so large."""
    if corners is None:
        return None
    page = room.page(*_reach(cells, corners))
    return ((page[0] * page[1], max(page), page[0]), width, corners) if room.allows(page) else None


def _all(corners: list[Size | None]) -> Corners | None:
    found = [corner for corner in corners if corner is not None]
    return found if len(found) == len(corners) else None


def _height(width: int, room: Room) -> int:
    """How far cells may reach down on a page where they take that width."""
    return room.floor(min(room.max_size, MAX_PIXELS // max(width + room.around, 1))) - room.around


def _fullest(cells: list[Size], room: Room) -> list[Size | None]:
    """Corners of as many cells as one page holds, the first of them for certain; None for the others."""
    across, down = room.page(*cells[0])
    square = min(room.max_size, math.isqrt(MAX_PIXELS))
    width = room.floor(min(max(square, across), MAX_PIXELS // down)) - room.around
    return _place(SkylineBlWm, cells, width, _height(width, room))


def _fullest_of_groups(cells: list[Size], group: list[int], room: Room) -> list[Size | None]:
    """Likewise, of groups as many as one page holds whole, those of the highest cells first."""
    members: dict[int, list[int]] = {}
    for index, number in enumerate(group):
        members.setdefault(number, []).append(index)
    groups = list(members.values())
    if len(groups) == len(cells):
        return _fullest(cells, room)

    def placed(chosen: Iterable[int]) -> dict[int, Size]:
        numbers = sorted(chosen)
        corners = zip(numbers, _fullest([cells[index] for index in numbers], room), strict=True)
        return {index: corner for index, corner in corners if corner is not None}

    whole, too_many = 0, len(groups) + 1
    while too_many - whole > 1:
        count = (whole + too_many) // 2
        chosen = list(chain(*groups[:count]))
        whole, too_many = (count, too_many) if len(placed(chosen)) == len(chosen) else (whole, count)
    chosen = list(chain(*groups[: max(whole, 1)]))
    alone = [index for one in groups[max(whole, 1) :] if len(one) == 1 for index in one]
    found = placed(chosen + alone)  # single ones fill what is left
    if whole and not found.keys() >= set(chosen):
        found = placed(chosen)
    return [found.get(index) for index in range(len(cells))]


def _groups(count: int, together: Iterable[Sequence[int]]) -> list[int]:
    """The number of each rectangle's group: the least of all that belong together, one by way of another."""
    group = list(range(count))
    for members in together:
        merged = {group[index] for index in members}
        group = [min(merged) if number in merged else number for number in group]
    return group


def _without_limit(cells: list[Size], room: Room) -> Size:
    area = sum(width * height for width, height in cells)
    width = max(math.isqrt(area), max(width for width, _ in cells))
    corners = _place(SkylineBlWm, cells, width, sum(height for _, height in cells))
    return room.page(*_reach(cells, [corner for corner in corners if corner is not None]))


def _place(algorithm: type[PackingAlgorithm], cells: list[Size], width: int, height: int) -> list[Size | None]:
    """The corner of each cell in an area, in their order; None for what does not fit."""
    if width < 1 or height < 1:
        return [None] * len(cells)
    area = algorithm(width, height, rot=False)
    found = [area.add_rect(*cell) for cell in cells]
    return [(place.x, place.y) if place else None for place in found]


def _reach(cells: list[Size], corners: Corners) -> Size:
    """How far cells at those corners reach to the right and down."""
    across = max(x + width for (x, _), (width, _) in zip(corners, cells, strict=True))
    down = max(y + height for (_, y), (_, height) in zip(corners, cells, strict=True))
    return across, down


def _power(length: int) -> int:
    return 1 << (length - 1).bit_length()
