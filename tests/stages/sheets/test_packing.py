"""Rectangles on pages."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spritebuild_stages.images.png import MAX_PIXELS
from spritebuild_stages.sheets.packing import Packed, Room, Size, TooLargeError, TooManyError, pack

sides = st.one_of(st.integers(1, 12), st.integers(1, 90))
some_sizes = st.lists(st.tuples(sides, sides), min_size=1, max_size=60)
rooms = st.builds(
    Room,
    margin=st.integers(0, 5),
    spacing=st.integers(0, 5),
    extrude=st.integers(0, 3),
    max_size=st.integers(128, 600),
    power_of_two=st.booleans(),
    multipack=st.just(True),
)


SIZES: list[Size] = [
    (55, 42),
    (35, 20),
    (22, 6),
    (8, 5),
    (14, 53),
    (43, 59),
    (34, 41),
    (63, 48),
    (42, 37),
    (38, 61),
    (20, 53),
    (44, 4),
]


def random_sizes(count: int, most: int = 64, seed: int = 0) -> list[Size]:
    return [(int(w), int(h)) for w, h in np.random.default_rng(seed).integers(4, most + 1, (count, 2))]


def fill(packed: Packed, sizes: list[Size]) -> float:
    return sum(w * h for w, h in sizes) / sum(w * h for w, h in packed.pages)


def taken(packed: Packed, sizes: list[Size], room: Room) -> list[np.ndarray]:
    """How many rectangles lie over each pixel of each page, repeated pixels included and spacing at one side."""
    counts = [np.zeros((height, width), np.int64) for width, height in packed.pages]
    for (width, height), spot in zip(sizes, packed.spots, strict=True):
        left, top = spot.x - room.extrude, spot.y - room.extrude
        right, bottom = spot.x + width + room.extrude, spot.y + height + room.extrude
        page = counts[spot.page]
        assert left >= room.margin
        assert top >= room.margin
        assert right <= page.shape[1] - room.margin
        assert bottom <= page.shape[0] - room.margin
        page[top : bottom + room.spacing, left : right + room.spacing] += 1
    return counts


@settings(deadline=None)
@given(some_sizes, rooms)
def test_no_two_rectangles_meet_and_each_is_within_its_page(sizes: list[Size], room: Room) -> None:
    packed = pack(sizes, room)
    assert all(page.max() == 1 for page in taken(packed, sizes, room))
    for page in packed.pages:
        assert max(page) <= room.max_size
        if room.power_of_two:
            assert all(side.bit_count() == 1 for side in page)


@settings(deadline=None)
@given(st.lists(st.tuples(sides, sides), min_size=1, max_size=40, unique=True), st.randoms(use_true_random=False))
def test_the_order_of_different_sizes_moves_none_of_them(sizes: list[Size], random: object) -> None:
    room = Room(spacing=1, max_size=200, multipack=True)
    shuffled = list(sizes)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    first, second = pack(sizes, room), pack(shuffled, room)
    assert first.pages == second.pages
    assert dict(zip(sizes, first.spots, strict=True)) == dict(zip(shuffled, second.spots, strict=True))


@settings(deadline=None)
@given(st.integers(1, 300), st.tuples(sides, sides))
def test_equal_rectangles_lie_in_rows_without_a_gap_between_them(count: int, size: Size) -> None:
    (page,) = pack([size] * count, Room()).pages
    assert page[0] % size[0] == page[1] % size[1] == 0
    cells = page[0] // size[0] * (page[1] // size[1])
    assert count <= cells < count + max(page[0] // size[0], page[1] // size[1])


@pytest.mark.parametrize(("count", "least"), [(20, 0.85), (100, 0.94), (1000, 0.98), (5000, 0.99)])
def test_many_rectangles_leave_little_empty(count: int, least: float) -> None:
    sizes = random_sizes(count)
    assert fill(pack(sizes, Room()), sizes) >= least


def test_one_large_rectangle_does_not_make_the_page_much_larger() -> None:
    sizes = [(256, 256), *random_sizes(100, 12)]
    (page,) = pack(sizes, Room()).pages
    assert page[0] * page[1] <= 1.25 * sum(w * h for w, h in sizes)


def test_a_page_of_powers_of_two_is_the_smallest_that_holds_all() -> None:
    assert pack([(10, 10)], Room(power_of_two=True)).pages == ((16, 16),)
    assert pack([(16, 16)] * 2, Room(power_of_two=True)).pages == ((16, 32),)
    assert pack([(16, 16)] * 2, Room(power_of_two=True, spacing=1)).pages == ((16, 64),)
    sizes = random_sizes(200, 30)
    (page,) = pack(sizes, Room(power_of_two=True)).pages
    assert fill(Packed((page,), ()), sizes) > 0.5


def test_what_does_not_fit_goes_onto_further_pages_and_fills_them() -> None:
    sizes = random_sizes(1000, 40)
    packed = pack(sizes, Room(max_size=256, multipack=True))
    assert len(packed.pages) == -(-sum(w * h for w, h in sizes) // int(256 * 256 * 0.98))
    assert {spot.page for spot in packed.spots} == set(range(len(packed.pages)))


def test_the_last_page_is_no_larger_than_it_must_be() -> None:
    packed = pack([(100, 100)] * 5, Room(max_size=200, multipack=True))
    assert packed.pages == ((200, 200), (100, 100))


@settings(deadline=None)
@given(some_sizes, rooms, st.lists(st.lists(st.integers(0, 59), max_size=6), max_size=4))
def test_rectangles_that_belong_together_share_a_page_if_one_holds_them(
    sizes: list[Size], room: Room, groups: list[list[int]]
) -> None:
    together = [sorted({index % len(sizes) for index in group}) for group in groups]
    packed = pack(sizes, room, together)
    assert all(page.max() == 1 for page in taken(packed, sizes, room))
    if len(together) == 1 and together[0]:
        apart = {packed.spots[index].page for index in together[0]}
        try:
            pack([sizes[index] for index in together[0]], replace(room, multipack=False))
        except TooManyError:
            return
        assert len(apart) == 1


def test_animations_stay_whole_and_pages_full_nonetheless() -> None:
    sizes = random_sizes(400, 40)
    together = [range(start, start + 8) for start in range(0, 400, 8)]
    packed = pack(sizes, Room(max_size=256, multipack=True), together)
    assert all(len({packed.spots[index].page for index in group}) == 1 for group in together)
    assert len(packed.pages) <= 1 + len(pack(sizes, Room(max_size=256, multipack=True)).pages)


def test_groups_that_share_a_rectangle_are_one_and_too_large_ones_do_not_count() -> None:
    sizes = [(50, 50)] * 12
    packed = pack(sizes, Room(max_size=100, multipack=True), [[0, 11], [11, 6], range(12)])
    assert len({packed.spots[index].page for index in (0, 6, 11)}) == 1
    assert packed.pages == ((100, 100),) * 3


def test_a_rectangle_that_is_larger_than_a_page_is_named() -> None:
    with pytest.raises(TooLargeError) as caught:
        pack([(5, 5), (60, 61)], Room(max_size=64, margin=1, extrude=1, multipack=True))
    assert (caught.value.index, caught.value.page) == (1, (64, 65))


def test_a_rectangle_of_too_many_pixels_is_named_whatever_its_sides() -> None:
    with pytest.raises(TooLargeError):
        pack([(8192, 4096)], Room(max_size=16384, multipack=True))


def test_too_many_for_a_page_says_how_large_it_would_be() -> None:
    with pytest.raises(TooManyError, match="they need a page of") as caught:
        pack([(60, 60)] * 9, Room(max_size=128))
    assert caught.value.page == (180, 180)


@pytest.mark.parametrize("power_of_two", [False, True])
def test_long_pages_stay_below_the_most_pixels(power_of_two: bool) -> None:
    sizes = [(10_000, 900), (900, 10_000), (3000, 3000), (4097, 2), *random_sizes(50)]
    packed = pack(sizes, Room(max_size=16384, multipack=True, power_of_two=power_of_two))
    assert all(width * height <= MAX_PIXELS for width, height in packed.pages)
    assert all(page.max() == 1 for page in taken(packed, sizes, Room()))


def test_places_are_the_same_for_good() -> None:
    packed = pack(SIZES, Room(margin=1, spacing=2, extrude=1))
    assert packed.pages == ((198, 106),)
    assert [(spot.x, spot.y) for spot in packed.spots] == [
        (133, 54),
        (2, 67),
        (2, 91),
        (28, 91),
        (115, 2),
        (44, 2),
        (91, 59),
        (133, 2),
        (44, 65),
        (2, 2),
        (91, 2),
        (129, 100),
    ]
