"""The size of the art's pixels."""

from __future__ import annotations

import numpy as np
import pytest
from drawn import Rgba, draw, enlarged, pictures, sprite
from hypothesis import given
from hypothesis import strategies as st

from spritebuild_stages.art.cells import Cells, measure, true_pixels


def stretched(rgba: Rgba, width: int, height: int) -> Rgba:
    """The picture at another size, each pixel the one that lies under its middle."""
    rows = (2 * np.arange(height) + 1) * rgba.shape[0] // (2 * height)
    columns = (2 * np.arange(width) + 1) * rgba.shape[1] // (2 * width)
    found: Rgba = rgba[rows[:, None], columns]
    return found


@given(st.integers(0, 99), st.integers(1, 6))
def test_an_enlargement_has_its_factor_and_comes_back(number: int, factor: int) -> None:
    rgba = sprite(number)
    found = measure(enlarged(rgba, factor))
    assert found.scale == factor
    assert found.off == 0
    assert np.array_equal(true_pixels(enlarged(rgba, factor), found), rgba)


@given(st.integers(0, 20), st.integers(2, 5), st.data())
def test_cells_that_the_canvas_cuts_are_one_pixel(number: int, factor: int, data: st.DataObject) -> None:
    left, top = data.draw(st.integers(0, factor - 1)), data.draw(st.integers(0, factor - 1))
    rgba = np.pad(sprite(number)[2:-2, 2:-2], ((0, 1), (0, 1), (0, 0)))
    cut = enlarged(rgba, factor)[top:, left:]
    found = measure(cut)
    assert found.scale == factor
    assert np.array_equal(true_pixels(cut, found), rgba)


@given(pictures, st.integers(1, 4))
def test_true_pixels_hold_every_color_and_no_other(small: Rgba, factor: int) -> None:
    rgba = enlarged(small, factor)
    found = measure(rgba)
    seen = {tuple(pixel) if pixel[3] else () for pixel in rgba.reshape(-1, 4).tolist()}
    true = true_pixels(rgba, found)
    assert {tuple(pixel) if pixel[3] else () for pixel in true.reshape(-1, 4).tolist()} == seen


def test_a_line_of_single_pixels_on_coarse_ones_lies_off_their_grid() -> None:
    rgba = np.pad(enlarged(sprite(1), 2), ((1, 1), (1, 1), (0, 0)))
    rgba[12:14, 12:20] = rgba[12, 12]
    rgba[13, 13:19, 0] ^= 128
    found = measure(rgba)
    assert (found.scale, found.nearly) == (1, 2)
    assert 0 < found.off < found.changes // 10


@pytest.mark.parametrize("factor", [1.25, 1.5, 2.3, 2.5, 3.7])
def test_an_enlargement_by_a_fraction_repeats_columns_and_rows(factor: float) -> None:
    rgba = sprite(3, 24)
    side = round(24 * factor)
    found = measure(stretched(rgba, side, side))
    assert (found.scale, found.nearly) == (1, 0)
    assert found.changes / (found.changes - found.off) == pytest.approx(factor, rel=0.08)


@given(st.integers(0, 99))
def test_single_pixels_alone_have_no_mixels(number: int) -> None:
    found = measure(sprite(number))
    assert (found.scale, found.off) == (1, 0)


@pytest.mark.parametrize(
    "rgba",
    [
        np.zeros((1, 1, 4), np.uint8),
        np.full((64, 64, 4), 255, np.uint8),
        enlarged(draw("...", ".r.", "..."), 8),
        enlarged(draw("r", "l", "r", "l", "r", "l"), 4),
    ],
)
def test_a_picture_with_few_changes_has_no_scale(rgba: Rgba) -> None:
    found = measure(rgba)
    assert found == Cells(0)
    assert true_pixels(rgba, found) is rgba


def test_a_simple_motif_repeats_columns_in_no_even_order_and_is_no_enlargement() -> None:
    frame = np.zeros((31, 31, 4), np.uint8)
    for inset, value in ((1, 90), (3, 200), (4, 90), (9, 30)):
        frame[inset:-inset, inset:-inset] = (value, value, value, 255)
    assert measure(frame) == Cells(1, changes=measure(frame).changes)


def test_hidden_colors_make_no_change() -> None:
    rgba = enlarged(sprite(5), 3)
    noisy = rgba.copy()
    hidden = rgba[..., 3] == 0
    noisy[hidden, :3] = np.random.default_rng(0).integers(0, 256, (np.count_nonzero(hidden), 3))
    assert measure(noisy) == measure(rgba)
