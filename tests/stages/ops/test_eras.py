"""Limits of hardware that games were drawn for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spritebuild_stages.ops.eras import ERAS, Color

colors = st.tuples(*[st.integers(0, 255)] * 3)


@pytest.mark.parametrize(("name", "most", "levels"), [("8bit", 15, 4), ("16bit", 15, 32), ("32bit", 255, 32)])
def test_an_era_has_its_number_of_colors_and_of_levels(name: str, most: int, levels: int) -> None:
    era = ERAS[name]
    assert era.colors == most
    assert len({era.fit((value, 0, 0)) for value in range(256)}) == levels


def test_the_master_systems_levels_are_quarters() -> None:
    assert sorted({ERAS["8bit"].fit((0, value, 0))[1] for value in range(256)}) == [0, 85, 170, 255]


def test_levels_of_five_bits_are_the_bits_repeated() -> None:
    levels = sorted({ERAS["16bit"].fit((0, 0, value))[2] for value in range(256)})
    assert levels == [level << 3 | level >> 2 for level in range(32)]


@given(colors, st.sampled_from(sorted(ERAS)))
def test_a_color_that_fits_stays(color: Color, name: str) -> None:
    once = ERAS[name].fit(color)
    assert ERAS[name].fit(once) == once


@given(st.integers(0, 255), st.sampled_from(sorted(ERAS)))
def test_no_level_is_nearer(value: int, name: str) -> None:
    era = ERAS[name]
    levels = {era.fit((level, 0, 0))[0] for level in range(256)}
    assert levels == set(era.levels)
    assert abs(era.fit((value, 0, 0))[0] - value) == min(abs(level - value) for level in levels)
