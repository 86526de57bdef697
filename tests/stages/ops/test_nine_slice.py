"""A frame of any size from a small one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from spritebuild_stages.images import png
from spritebuild_stages.ops.nine_slice import nine_slice

pictures = arrays(np.uint8, st.tuples(st.integers(3, 8), st.integers(3, 8), st.just(4)))
FILLS = st.sampled_from(["tile", "stretch"])
margins = st.tuples(*4 * [st.integers(0, 1)])


def numbered(length: int) -> NDArray[np.uint8]:
    return np.repeat(np.arange(length, dtype=np.uint8)[None, :, None], 4, axis=2)


def reds(rgba: NDArray[np.uint8]) -> list[int]:
    return rgba[0, :, 0].tolist()


@given(pictures, margins, st.integers(2, 12), st.integers(2, 12), FILLS)
def test_corners_stay_and_a_second_time_changes_nothing(
    rgba: NDArray[np.uint8], margins: tuple[int, int, int, int], width: int, height: int, fill: str
) -> None:
    left, top, right, bottom = margins
    result = nine_slice(rgba, margins, (width, height), fill)
    assert result.shape == (height, width, 4)
    assert np.array_equal(result[:top, :left], rgba[:top, :left])
    assert np.array_equal(
        result[height - bottom :, width - right :], rgba[len(rgba) - bottom :, rgba.shape[1] - right :]
    )
    assert np.array_equal(nine_slice(result, margins, (width, height), fill), result)


@given(pictures, margins, FILLS)
def test_at_its_own_size_a_frame_stays(rgba: NDArray[np.uint8], margins: tuple[int, int, int, int], fill: str) -> None:
    assert np.array_equal(nine_slice(rgba, margins, (rgba.shape[1], rgba.shape[0]), fill), rgba)


@pytest.mark.parametrize(
    ("width", "fill", "expected"),
    [
        (9, "tile", [0, 1, 2, 3, 1, 2, 3, 1, 4]),
        (4, "tile", [0, 1, 2, 4]),
        (8, "stretch", [0, 1, 1, 2, 2, 3, 3, 4]),
        (4, "stretch", [0, 1, 3, 4]),
        (2, "stretch", [0, 4]),
    ],
)
def test_the_middle_is_repeated_or_stretched(width: int, fill: str, expected: list[int]) -> None:
    assert reds(nine_slice(numbered(5), (1, 0, 1, 0), (width, 1), fill)) == expected


@pytest.mark.parametrize(
    ("margins", "size", "message"),
    [
        ((3, 0, 3, 0), (9, 1), "margins of 3 and 3 do not fit into the picture's width of 5"),
        ((2, 0, 2, 0), (3, 1), "margins of 2 and 2 do not fit into a width of 3"),
        ((0, 1, 0, 1), (5, 1), "margins of 1 and 1 do not fit into the picture's height of 1"),
        ((2, 0, 3, 0), (6, 1), "margins of 2 and 3 leave nothing of the picture's width of 5 to repeat"),
        ((-1, 0, 0, 0), (6, 1), "margins are at least 0, not -1"),
    ],
)
def test_margins_that_do_not_fit_are_errors(
    margins: tuple[int, int, int, int], size: tuple[int, int], message: str
) -> None:
    with pytest.raises(ValueError) as caught:
        nine_slice(numbered(5), margins, size)
    assert str(caught.value) == message


def test_a_size_beyond_the_limit_and_another_fill_are_errors() -> None:
    with pytest.raises(png.PngError, match="more than 16"):
        nine_slice(numbered(3), (0, 0, 0, 0), (4097, 4097))
    with pytest.raises(ValueError, match="tile or stretch"):
        nine_slice(numbered(3), (0, 0, 0, 0), (4, 4), "mirror")
