"""The numbers of an evaluation, each against cases worked out by hand or by an exhaustive search."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sets import sprite

from spritebuild_stages.evaluation import feature_metrics, pixel_metrics
from spritebuild_stages.evaluation.pixel_metrics import Gallery, Palette
from spritebuild_stages.ops.quantize import oklab

Rgba = NDArray[np.uint8]


def solid(*colors: tuple[int, int, int]) -> Rgba:
    """A picture of one row of opaque pixels."""
    return np.array([[(*color, 255) for color in colors]], np.uint8)


# The palette


def test_palette_is_the_most_common_colors_up_to_99_percent() -> None:
    colors = [(n, 0, 0) for n in range(4)]
    palette = Palette.of([solid(*[colors[0]] * 500, *[colors[1]] * 300, *[colors[2]] * 195, *[colors[3]] * 5)])
    assert palette.colors.tolist() == [[0, 0, 0], [1, 0, 0], [2, 0, 0]]
    assert palette.shares.tolist() == [0.5, 0.3, 0.195]
    many = Palette.of([solid(*[(r, g, 0) for r in range(20) for g in range(20)])])
    assert (len(many.colors), many.shares.sum()) == (256, pytest.approx(256 / 400))
    transparent = np.zeros((2, 2, 4), np.uint8)
    assert len(Palette.of([transparent]).colors) == 0


def test_palette_distance_is_the_mean_oklab_distance_times_100() -> None:
    palette = Palette.of([solid((255, 0, 0), (0, 0, 255))])
    off = (250, 20, 0)
    apart = np.linalg.norm(np.subtract(*oklab(np.array([off, (255, 0, 0)], np.uint8))))
    hidden = solid((0, 255, 0))
    hidden[..., 3] = 127
    pictures = [solid((255, 0, 0), off), solid((0, 0, 255)), hidden]
    found, counts = pixel_metrics.palette_distances(pictures, palette)
    assert found == pytest.approx([100 * apart / 2, 0, 0])
    assert found[1] == 0
    assert counts.tolist() == [2, 1, 0]


def test_palette_coverage_counts_colors_as_often_as_the_set_has_them() -> None:
    palette = Palette.of([solid(*[(255, 0, 0)] * 3, (0, 0, 255))])
    assert pixel_metrics.palette_coverage([solid((254, 0, 0))], palette) == 0.75
    assert pixel_metrics.palette_coverage([solid((255, 0, 0), (0, 0, 254))], palette) == 1
    assert pixel_metrics.palette_coverage([solid((0, 255, 0))], palette) == 0


def test_color_distance_is_that_of_mean_and_spread() -> None:
    dark, light = solid((40, 40, 40)), solid((200, 200, 200))
    spread = pixel_metrics.color_spread
    apart = np.linalg.norm(np.subtract(*oklab(np.array([(40,) * 3, (200,) * 3], np.uint8))))
    assert pixel_metrics.color_distance(spread([dark]), spread([light])) == pytest.approx(100 * apart)
    both = spread([dark, light])
    assert pixel_metrics.color_distance(both, both) == pytest.approx(0, abs=1e-5)
    # the same mean, and a standard deviation of half the distance against none
    middle = (both[0], np.zeros((3, 3)))
    assert pixel_metrics.color_distance(both, middle) == pytest.approx(100 * apart / 2)
    assert pixel_metrics.color_distance(middle, both) == pytest.approx(100 * apart / 2)


# Edges


def test_edges_are_sorted_by_strength_and_direction() -> None:
    flat = np.full((6, 6, 4), 255, np.uint8)
    assert pixel_metrics.edge_histogram([flat])[0] == 1
    step = flat.copy()
    step[:, :3, :3] = 0  # a gradient along x, of half a lightness a pixel, at two columns of six
    found = pixel_metrics.edge_histogram([step])
    assert found[0] == pytest.approx(4 / 6)
    assert found[1 + 2 * 8] == pytest.approx(2 / 6)
    turned = pixel_metrics.edge_histogram([step.transpose(1, 0, 2)])
    assert turned[1 + 2 * 8 + 4] == pytest.approx(2 / 6)
    assert pixel_metrics.edge_similarity(found, turned) == pytest.approx(4 / 6)
    assert pixel_metrics.edge_similarity(found, found) == pytest.approx(1)
    mirrored = pixel_metrics.edge_histogram([step[:, ::-1].copy()])
    assert mirrored == pytest.approx(found)
    empty = pixel_metrics.edge_histogram([np.zeros((4, 4, 4), np.uint8)])
    assert pixel_metrics.edge_similarity(empty, found) == 0


# The nearest picture


@given(st.integers(0, 2**32), st.integers(1, 12), st.integers(3, 9), st.integers(3, 9))
@settings(max_examples=25)
def test_nearest_picture_is_that_of_an_exhaustive_search(seed: int, count: int, height: int, width: int) -> None:
    rng = np.random.default_rng(seed)
    pictures = [rng.integers(0, 256, (height, width, 4), np.uint8) // 64 * 85 for _ in range(count)]
    for picture in pictures:
        picture[picture[..., 3] == 0] = 0
    one = pictures[0][::-1].copy() if seed % 2 else np.roll(pictures[-1], 1, axis=0)

    def wide(rgba: Rgba) -> NDArray[np.int64]:
        return np.pad(rgba, ((1, 1), (1, 1), (0, 0))).astype(np.int64)

    sums = [
        min(
            int(abs(wide(other) - np.roll(wide(one), move, (0, 1))).sum())
            for move in itertools.product((-1, 0, 1), repeat=2)
        )
        for other in pictures
    ]
    expected = sums.index(min(sums)), min(sums) / (4 * 255 * height * width)
    assert Gallery(pictures).nearest(one) == pytest.approx(expected)


def test_moved_picture_is_found_and_a_picture_of_another_size_is_centered() -> None:
    pictures = [np.pad(sprite(number), ((2, 2), (2, 2), (0, 0))) for number in range(20)]
    gallery = Gallery(pictures)
    assert gallery.nearest(pictures[7]) == (7, 0)
    assert gallery.nearest(np.roll(pictures[7], (1, -1), (0, 1))) == (7, 0)
    assert gallery.nearest(np.roll(pictures[7], (2, 0), (0, 1)))[1] > 0
    assert gallery.nearest(sprite(7)) == (7, 0)
    assert gallery.nearest(np.pad(pictures[7], ((3, 1), (2, 2), (0, 0)))) == (7, 0)
    other, away = gallery.nearest(pictures[7], besides=7)
    assert other != 7
    assert away > 0
    assert Gallery([*pictures, pictures[7]]).nearest(pictures[7], besides=7) == (20, 0)


# Features


def test_kid_of_a_case_worked_out_by_hand() -> None:
    generated, real = np.array([[1.0, 0], [0, 1]]), np.array([[1.0, 1], [-1, 1]])
    # (x.y / 2 + 1)^3: generated 1, real 1, across the mean of 1.5^3 = 8, (1/2)^3, (3/2)^3 and (3/2)^3
    across = (2**3 * 0 + 1.5**3 + 0.5**3 + 1.5**3 + 1.5**3) / 4
    assert feature_metrics.kid(generated, real) == pytest.approx(1 + 1 - 2 * across)
    assert feature_metrics.kid(generated[:1], real) is None


def normal(count: int, seed: int, mean: float = 0.0, width: int = 8) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(mean, 1, (count, width))


def test_kid_of_a_set_and_itself_is_about_0_and_of_two_kinds_far_larger() -> None:
    one, other, shifted = normal(300, 0), normal(300, 1), normal(300, 2, mean=1)
    itself, alike, unlike = (feature_metrics.kid(one, some) for some in (one, other, shifted))
    assert itself is not None
    assert alike is not None
    assert unlike is not None
    assert abs(alike) < 0.1
    assert abs(itself) < 0.1
    assert unlike > 20 * max(abs(alike), abs(itself))


def test_kid_of_large_sets_is_the_mean_over_drawn_subsets() -> None:
    large, other = normal(1500, 0), normal(700, 1)
    found = feature_metrics.kid(large, other)
    assert found == feature_metrics.kid(large, other)
    assert found == pytest.approx(0, abs=0.05)
    assert len(set(feature_metrics._subset(1500, 0)) & set(feature_metrics._subset(1500, 1))) < 1000


def test_density_and_coverage_of_a_case_worked_out_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feature_metrics, "NEIGHBORS", 1)
    real = np.array([[0.0], [1], [3], [10]])  # balls of 1, 1, 2 and 7
    generated = np.array([[0.5], [3.5], [20]])  # in those of 0 and 1; of 3 and 10; of none
    density, coverage, expected = feature_metrics.spread(generated, real) or (0, 0, 0)
    assert density == pytest.approx(4 / (1 * 3))
    assert coverage == 1
    assert expected == pytest.approx(1 - 3 / 6)
    assert feature_metrics.spread(generated[2:], real) == (0, 0, pytest.approx(1 - 3 / 4))
    assert feature_metrics.spread(generated, real[:1]) is None


def test_coverage_of_one_distribution_is_what_is_expected() -> None:
    for count in (20, 100, 400):
        pairs = [(normal(count, seed), normal(400, 99 - seed)) for seed in range(8)]
        found = np.array([feature_metrics.spread(*pair) for pair in pairs])
        assert found[:, 0].mean() == pytest.approx(1, abs=0.15)
        assert found[:, 1].mean() == pytest.approx(found[0, 2], rel=0.1)
    assert found[0, 2] == pytest.approx(1 - 0.5**5, abs=0.01)
