"""Cells in rows and columns."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spritebuild_stages.sheets.cells import arrange
from spritebuild_stages.sheets.packing import Room, Size, TooLargeError, TooManyError

sides = st.integers(1, 20)


@given(
    st.lists(st.tuples(sides, sides), min_size=1, max_size=40),
    st.one_of(st.none(), st.integers(1, 45)),
    st.builds(Room, margin=st.integers(0, 3), spacing=st.integers(0, 3), extrude=st.integers(0, 3)),
)
def test_frame_n_lies_in_cell_n_of_the_grid(sizes: list[Size], columns: int | None, room: Room) -> None:
    packed, grid = arrange(sizes, columns, room)
    assert grid.cell == (max(w for w, _ in sizes), max(h for _, h in sizes))
    for number, spot in enumerate(packed.spots):
        row, column = divmod(number, grid.columns)
        assert (spot.page, spot.x, spot.y) == (
            0,
            grid.margin + column * (grid.cell[0] + grid.spacing),
            grid.margin + row * (grid.cell[1] + grid.spacing),
        )
    rows = -(-len(sizes) // grid.columns)
    width = height = 2 * (room.margin + room.extrude) - grid.spacing
    width += grid.columns * (grid.cell[0] + grid.spacing)
    height += rows * (grid.cell[1] + grid.spacing)
    assert packed.pages == ((width, height),)


def test_high_cells_make_more_columns_than_rows_where_only_that_fits() -> None:
    packed, grid = arrange([(10, 1000)] * 100, None, Room())
    assert grid.columns == 25
    assert packed.pages == ((250, 4000),)


def test_what_does_not_fit_goes_onto_further_pages_row_by_row() -> None:
    packed, grid = arrange([(30, 30)] * 25, 3, Room(max_size=100, multipack=True))
    assert packed.pages == ((90, 90), (90, 90), (90, 90))
    assert [spot.page for spot in packed.spots] == [0] * 9 + [1] * 9 + [2] * 7
    assert (packed.spots[9].x, packed.spots[9].y) == (0, 0)
    assert grid.columns == 3


def test_the_last_page_has_the_rows_that_are_left() -> None:
    packed, _ = arrange([(30, 30)] * 10, None, Room(max_size=100, multipack=True))
    assert packed.pages == ((90, 90), (90, 30))


def test_a_page_can_be_made_a_power_of_two() -> None:
    packed, _ = arrange([(30, 30)] * 5, 5, Room(power_of_two=True))
    assert packed.pages == ((256, 32),)


def test_too_many_rows_say_how_large_the_page_would_be() -> None:
    with pytest.raises(TooManyError) as caught:
        arrange([(30, 30)] * 25, 3, Room(max_size=100))
    assert caught.value.page == (90, 270)


def test_too_many_columns_are_an_error_on_several_pages_too() -> None:
    with pytest.raises(TooManyError):
        arrange([(30, 30)] * 25, 4, Room(max_size=100, multipack=True))


def test_a_cell_larger_than_a_page_names_the_largest_frame() -> None:
    with pytest.raises(TooLargeError) as caught:
        arrange([(3, 3), (101, 3)], None, Room(max_size=100, multipack=True))
    assert caught.value.index == 1
