"""The grid of cells in a soft picture."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from spritebuild_stages.ops import borders, combs
from spritebuild_stages.ops.agreement import agreement
from spritebuild_stages.ops.grid import divide, find

Rgba = NDArray[np.uint8]

pictures = arrays(np.uint8, st.tuples(st.integers(1, 24), st.integers(1, 24), st.just(4)))


def art(columns: int, rows: int, seed: int = 0) -> Rgba:
    """True pixels with edges everywhere: opaque, of six colors."""
    rng = np.random.default_rng(seed)
    colors = np.array([(20, 20, 30), (230, 230, 220), (200, 60, 50), (60, 140, 70), (70, 90, 190), (240, 190, 60)])
    rgb = colors[rng.integers(0, len(colors), (rows, columns))]
    return np.dstack([rgb, np.full((rows, columns, 1), 255)]).astype(np.uint8)


def drawn(pixels: Rgba, x: NDArray[np.float64], y: NDArray[np.float64], blur: float = 0, noise: float = 0) -> Rgba:
    """Pixels enlarged so that their borders lie at x and y, then softened."""
    width, height = round(x[-1]), round(y[-1])
    columns = np.searchsorted(x[1:-1], np.arange(width) + 0.5)
    rows = np.searchsorted(y[1:-1], np.arange(height) + 0.5)
    picture = pixels[rows[:, None], columns].astype(np.float64)
    if blur:
        weights = np.exp(-0.5 * (np.arange(-8, 9) / blur) ** 2)
        for axis in (0, 1):
            padded = np.pad(picture, [(8, 8) if axis == each else (0, 0) for each in range(3)], mode="edge")
            windows = np.lib.stride_tricks.sliding_window_view(padded, 17, axis=axis)
            picture = windows @ (weights / weights.sum())
    if noise:
        picture[..., :3] += np.random.default_rng(1).normal(0, noise, picture[..., :3].shape)
    return np.rint(picture.clip(0, 255)).astype(np.uint8)


def even(cells: int, width: float, start: float = 0) -> NDArray[np.float64]:
    return start + np.arange(cells + 1) * width


@pytest.mark.parametrize("cell", [2, 3, 7, 16])
def test_whole_cells_are_found_exactly(cell: int) -> None:
    found = find(art(16, 12).repeat(cell, axis=0).repeat(cell, axis=1))
    assert found.exact
    assert found.confidence == 1
    assert found.x == tuple(even(16, cell))
    assert found.y == tuple(even(12, cell))


def test_a_cut_grid_keeps_its_cut_cells_where_nothing_may_be_lost() -> None:
    whole = art(16, 16).repeat(8, axis=0).repeat(8, axis=1)
    found = find(whole[:-2, 3:])
    assert found.exact
    assert found.x == (0, *(even(15, 8) + 5))
    assert found.y == (*even(15, 8), 126)


@pytest.mark.parametrize(("cell", "blur"), [(16, 2), (12.34, 2), (11.3, 1.5), (24.5, 3), (8.6, 1)])
def test_a_soft_even_grid_is_found_to_a_fraction_of_a_pixel(cell: float, blur: float) -> None:
    x, y = even(24, cell), even(20, cell)
    found = find(drawn(art(24, 20), x, y, blur, noise=4))
    assert (found.columns, found.rows) == (24, 20)
    assert not found.exact
    assert np.abs(np.array(found.x) - x).max() < 0.6  # borders are drawn at whole pixels
    assert np.abs(np.array(found.y) - y).max() < 0.6


def test_the_offset_of_a_grid_is_found_and_less_than_half_a_cell_left_out() -> None:
    x, y = even(20, 13.7), even(20, 13.7)
    picture = drawn(art(20, 20), x, y, 2, noise=4)[9:, 4:]
    found = find(picture)
    assert (found.columns, found.rows) == (20, 19)
    assert found.x[0] == 0
    assert np.abs(np.array(found.x[1:]) - (x[1:] - 4)).max() < 0.6
    assert np.abs(np.array(found.y) - (y[1:] - 9)).max() < 0.6


@pytest.mark.parametrize("seed", range(4))
def test_drifting_borders_are_followed(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = (np.concatenate([[0], np.rint((16 * rng.uniform(0.82, 1.18, 24)).cumsum())]) for _ in range(2))
    found = find(drawn(art(24, 24, seed), x, y, 2, noise=5))
    assert (found.columns, found.rows) == (24, 24)
    assert np.abs(np.array(found.x) - x).max() < 1.5
    assert np.abs(np.array(found.y) - y).max() < 1.5


def test_an_edge_in_alpha_is_an_edge() -> None:
    rng = np.random.default_rng(3)
    pixels = np.full((20, 20, 4), 200, np.uint8)
    pixels[..., 3] = 255 * rng.integers(0, 2, (20, 20))
    found = find(drawn(pixels, even(20, 14.6), even(20, 14.6), 1.5))
    assert (found.columns, found.rows) == (20, 20)


def test_edges_between_hidden_colors_are_none() -> None:
    picture = art(24, 24).repeat(9, axis=0).repeat(9, axis=1)
    picture[..., 3] = 0
    assert find(picture).confidence == 0


@pytest.mark.parametrize(
    "picture",
    [
        art(48, 40),
        np.random.default_rng(0).integers(0, 256, (200, 160, 4), np.uint8),
        np.full((64, 64, 4), 90, np.uint8),
        np.zeros((1, 1, 4), np.uint8),
        np.dstack([*np.mgrid[:200, :200], np.mgrid[:200, :200].sum(axis=0) // 2, np.full((200, 200), 255)]).astype(
            np.uint8
        ),
    ],
    ids=["true pixels", "noise", "flat", "one pixel", "gradient"],
)
def test_where_there_is_no_grid_every_pixel_is_a_cell(picture: Rgba) -> None:
    found = find(picture)
    assert found.confidence == 0
    assert (found.rows, found.columns) == picture.shape[:2]


@given(pictures)
def test_borders_ascend_within_the_picture(picture: Rgba) -> None:
    found = find(picture)
    for line, length in zip((found.x, found.y), picture.shape[1::-1], strict=True):
        assert len(line) >= 2
        assert line[0] >= 0
        assert line[-1] <= length
        assert all(a < b for a, b in pairwise(line))


@given(pictures, st.data())
def test_a_told_number_of_cells_is_met_and_fills_the_picture(picture: Rgba, data: st.DataObject) -> None:
    height, width = picture.shape[:2]
    columns, rows = data.draw(st.integers(1, width)), data.draw(st.integers(1, height))
    found = divide(picture, columns, rows)
    assert (found.columns, found.rows) == (columns, rows)
    assert (found.x[0], found.x[-1], found.y[0], found.y[-1]) == (0, width, 0, height)
    assert all(a < b for line in (found.x, found.y) for a, b in pairwise(line))


def test_told_cells_drift_with_the_picture() -> None:
    x, y = (np.rint(line / line[-1] * 512) for line in (even(32, 1) + 0.3 * np.sin(even(32, 0.4)), even(32, 1)))
    found = divide(drawn(art(32, 32), x, y, 2, noise=4), 32, 32)
    assert np.abs(np.array(found.x) - x).max() < 1.5
    assert found.y == tuple(y)


@pytest.mark.parametrize("cells", [0, 17])
def test_more_cells_than_pixels_or_none_is_an_error(cells: int) -> None:
    with pytest.raises(ValueError, match="16 pixels"):
        divide(art(16, 16), 16, cells)


def test_agreement_is_one_on_the_own_grid_and_low_on_another() -> None:
    picture = art(16, 16).repeat(16, axis=0).repeat(16, axis=1)
    own, other = np.arange(17) * 16 * borders.PIXEL, np.arange(21) * 256 * borders.PIXEL // 20
    assert agreement(picture, own, own) == 1
    assert agreement(picture, other, other) < 0.75
    assert agreement(np.full_like(picture, 7), own, own) == 0


@given(arrays(np.int64, st.integers(2, 40), elements=st.integers(-50, 50)), st.integers(1, 9))
def test_the_best_chain_is_as_good_as_any(values: NDArray[np.int64], width: int) -> None:
    """Compared with a plain search from the last border back."""
    widths = range(max(1, -(-width * 55 // 100)), width * 145 // 100 + 1)
    best: list[int] = []
    for place, value in enumerate(values.tolist()):
        before = [best[place - w] - 30 * (w - width) ** 2 // width**2 for w in widths if place >= w]
        starts = [0] if place < width else []
        best.append(value + max(before + starts))
    worth, (chain, _) = borders.follow([values, values[:1]], width, 30)
    assert worth == max(best[max(0, len(values) - 1 - width) :]) + values[0]
    cells = np.diff(chain)
    assert worth - values[0] == values[chain].sum() - sum(30 * (w - width) ** 2 // width**2 for w in cells.tolist())


@pytest.mark.parametrize(("width", "offset"), [(16.0, 0.0), (12.37, 5.21), (4.55, 1.9), (31.8, 30.0)])
def test_a_comb_is_fitted_to_a_fraction_of_a_pixel(width: float, offset: float) -> None:
    values = np.zeros(401, np.int64)
    rng = np.random.default_rng(0)
    for line in np.arange(offset, 400, width):
        place = int(line)
        values[place] += round(1000 * (1 - line + place))
        values[min(place + 1, 400)] += round(1000 * (line - place))
        values[place] *= rng.integers(0, 2)
    comb = combs.fit([values, values], round(width), 0.5 / round(width) + 0.02)
    assert comb.width == pytest.approx(width, abs=0.05)
    assert all(abs((found - offset + width / 2) % width - width / 2) < 0.5 for found in comb.offsets)
