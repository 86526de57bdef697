"""Palette, orphans, detail, soft alpha and outline of a picture."""

from __future__ import annotations

import numpy as np
import pytest
from drawn import INK, LIGHT, MIDDLE, RED, Rgba, draw, few_colors, pictures
from hypothesis import given

from spritebuild_stages.art import measures
from spritebuild_stages.art.picture import Picture
from spritebuild_stages.ops.quantize import oklab


def of(*rows: str) -> Picture:
    return Picture.of(draw(*rows))


@given(pictures)
def test_a_picture_holds_what_is_visible_and_nothing_else(rgba: Rgba) -> None:
    before = rgba.copy()
    picture = Picture.of(rgba)
    for place in np.ndindex(rgba.shape[:2]):
        red, green, blue, alpha = rgba[place].tolist()
        if alpha:
            assert picture.colors[place] == red << 16 | green << 8 | blue
            assert picture.lab[place].tolist() == np.rint(oklab(rgba[place][None, :3])[0] * 1000).tolist()
        else:
            assert picture.colors[place] == -1
            assert not picture.lab[place].any()
    assert np.array_equal(rgba, before)


@given(pictures)
def test_color_hidden_under_alpha_0_changes_no_measure(rgba: Rgba) -> None:
    hidden = rgba.copy()
    hidden[rgba[..., 3] == 0, :3] ^= 99
    for measure in (measures.colors, measures.orphans, measures.detail, measures.soft, measures.outline):
        assert measure(Picture.of(rgba)) == measure(Picture.of(hidden))


@given(few_colors)
def test_counts_are_those_of_the_definitions(rgba: Rgba) -> None:
    picture = Picture.of(rgba)
    height, width = rgba.shape[:2]
    around = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0)]
    alone = fine = soft = 0
    for y, x in np.argwhere(rgba[..., 3] > 0).tolist():
        same = [
            (b, a)
            for b, a in around
            if 0 <= y + b < height
            and 0 <= x + a < width
            and rgba[y + b, x + a, 3]
            and rgba[y + b, x + a, :3].tolist() == rgba[y, x, :3].tolist()
        ]
        alone += not same
        blocks = [{(b, 0), (0, a), (b, a)} <= set(same) for b in (-1, 1) for a in (-1, 1)]
        fine += not any(blocks)
        soft += rgba[y, x, 3] < 255
    assert (measures.orphans(picture), measures.detail(picture), measures.soft(picture)) == (alone, fine, soft)
    assert measures.colors(picture) == len({tuple(pixel[:3]) for pixel in rgba.reshape(-1, 4).tolist() if pixel[3]})


def test_a_corner_is_enough_not_to_be_an_orphan() -> None:
    assert measures.orphans(of("r..", ".r.", "..r")) == 0
    assert measures.orphans(of("r.r", ".m.", "r.r")) == 5


def test_colors_outside_the_palette_are_named_with_the_nearest() -> None:
    count, worst = measures.foreign(of("rrm", "rl#"), (INK, MIDDLE, (210, 30, 40)))
    assert count == 4
    assert [vars(color) for color in worst] == [
        {"color": "#c81e28", "pixels": 3, "nearest": "#d21e28"},
        {"color": "#d2be96", "pixels": 1, "nearest": "#826450"},
    ]


def test_the_three_worst_colors_come_first_and_equal_ones_in_their_order() -> None:
    _, worst = measures.foreign(of("rrr", "llm", "d..", "mm."), (INK,))
    assert [(color.color, color.pixels) for color in worst] == [("#826450", 3), ("#c81e28", 3), ("#d2be96", 2)]


@given(few_colors)
def test_a_palette_of_the_pictures_own_colors_has_no_violation(rgba: Rgba) -> None:
    assert measures.foreign(Picture.of(rgba), (INK, MIDDLE, LIGHT, RED)) == (0, ())


def test_a_line_around_the_sprite_is_its_outline() -> None:
    picture = of("......", ".####.", ".#ll#.", ".#ll#.", ".####.", "......")
    assert measures.outline(picture) == (12, 12, "#0a080c")


def test_a_break_in_the_line_is_counted() -> None:
    picture = of("......", ".####.", ".lll#.", ".#ll#.", ".##l#.", "......")
    assert measures.outline(picture) == (10, 12, "#0a080c")


def test_a_selective_outline_in_darker_shades_counts_whole() -> None:
    picture = of("......", ".dmmm.", ".dllm.", ".dllm.", ".mmdd.", "......")
    assert measures.outline(picture)[:2] == (12, 12)


def test_what_is_black_throughout_is_outlined() -> None:
    assert measures.outline(of(".....", ".###.", ".###.", ".###.", ".....")) == (8, 8, "")


def test_a_flat_sprite_without_a_line_has_no_outline() -> None:
    assert measures.outline(of(".....", ".lll.", ".lll.", ".lll.", ".....")) == (0, 8, "")


def test_where_the_canvas_cuts_the_sprite_there_is_no_border() -> None:
    assert measures.outline(of("lll", "lll", "..."))[1] == 3
    assert not Picture.of(draw("ll", "ll")).border().any()


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1)])
@pytest.mark.parametrize("alpha", [0, 1, 255])
def test_the_smallest_pictures_are_measured(shape: tuple[int, int], alpha: int) -> None:
    picture = Picture.of(np.full((*shape, 4), alpha, np.uint8))
    visible = shape[0] * shape[1] * (alpha > 0)
    assert measures.colors(picture) == (alpha > 0)
    assert measures.detail(picture) == visible
    assert measures.orphans(picture) == (visible if visible == 1 else 0)
    assert measures.soft(picture) == visible * (alpha < 255)
    assert measures.outline(picture) == (0, 0, "")
