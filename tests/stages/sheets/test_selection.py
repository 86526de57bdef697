"""Frames that names and globs mean."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spritebuild_stages.sheets.selection import Anchor, in_a_row, matching, point, told

NAMES = ("walk-0", "walk-1", "walk-2", "idle-0", "idle-1", "[x]")


def test_names_and_globs_mean_each_frame_once_in_the_order_of_the_patterns() -> None:
    assert matching(["idle-*", "walk-1", "*-1"], NAMES) == ("idle-0", "idle-1", "walk-1")


def test_a_name_with_brackets_means_itself() -> None:
    assert matching(["[x]"], NAMES) == ("[x]",)


def test_a_pattern_that_means_no_frame_is_an_error() -> None:
    with pytest.raises(ValueError, match="no frame of the sheet is called 'run-\\*'"):
        matching(["run-*"], NAMES)
    with pytest.raises(ValueError, match="'run'"):
        told({"run": 1}, NAMES)


@given(st.permutations([("*", 1), ("walk-*", 2), ("*-1", 3), ("walk-1", 4), ("wal?-2", 5)]))
def test_a_name_wins_over_globs_and_the_longer_glob_in_any_order(values: list[tuple[str, int]]) -> None:
    assert told(dict(values), NAMES) == {
        "walk-0": 2,
        "walk-1": 4,
        "walk-2": 5,
        "idle-0": 1,
        "idle-1": 3,
        "[x]": 1,
    }


def test_frames_that_nothing_is_said_of_are_left_out() -> None:
    assert told({"idle-*": 7}, NAMES) == {"idle-0": 7, "idle-1": 7}


@pytest.mark.parametrize(
    ("patterns", "places"),
    [(["walk-*"], (0, 2)), (["idle-0"], (3, 3)), (["walk-2", "idle-*"], (2, 4)), (["*"], (0, 5))],
)
def test_frames_side_by_side_have_a_first_and_a_last_place(patterns: list[str], places: tuple[int, int]) -> None:
    assert in_a_row(patterns, NAMES) == places


@pytest.mark.parametrize(
    ("patterns", "message"),
    [
        (["walk-0", "walk-2"], "has 'walk-1' between 'walk-0' and 'walk-2': list the sprites of an animation side by"),
        (["idle-*", "walk-*"], "has 'walk-0' before 'idle-1': list its sprites in the animation's order"),
        (["walk-0", "walk-2", "walk-1"], "has 'walk-1' between 'walk-0' and 'walk-2'"),
    ],
)
def test_frames_apart_or_in_another_order_are_an_error_with_the_remedy(patterns: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        in_a_row(patterns, NAMES)


@pytest.mark.parametrize(
    ("anchor", "xy"),
    [("center", (2.5, 3)), ("top", (2.5, 0)), ("bottom-right", (5, 6)), ("left", (0, 3)), ((1.25, -3), (1.25, -3))],
)
def test_a_pivot_is_in_pixels_of_the_source(anchor: Anchor | tuple[float, float], xy: tuple[float, float]) -> None:
    assert point(anchor, (5, 6)) == xy
