"""Recolors are told from edits and from other pictures."""

from __future__ import annotations

import numpy as np

from spritebuild.check.classify import MOST_COLORS, Rules, classify, describe
from tests.check.pictures import BLUE, GREEN, RED, figure, put, textured, turned


def test_a_recolor_names_its_colors_the_most_frequent_first() -> None:
    changed = figure()
    changed[(figure() == RED).all(axis=2)] = (200, 140, 40, 255)
    changed[(figure() == GREEN).all(axis=2)] = (40, 160, 160, 255)
    change = classify(figure(), changed)
    assert change.kind == "recolor"
    assert change.colors == (("#c82828", "#c88c28", 34), ("#28a03c", "#28a0a0", 15))
    assert describe(change) == "2 colors changed, most of all #c82828 -> #c88c28"


def test_one_color_that_changed_is_a_recolor_however_small() -> None:
    changed = figure()
    changed[13, 4:7] = changed[9:13, 9:12] = (250, 220, 40, 255)
    assert describe(classify(figure(), changed)) == "1 color changed: #28a03c -> #fadc28"


def test_pixels_that_changed_while_others_of_their_color_stayed_are_no_recolor() -> None:
    some = [(x, y) for x in range(5, 9) for y in range(5, 8)]
    assert classify(figure(), put(figure(), (250, 220, 40, 255), *some)).kind == "edit"


def test_a_recolor_beside_a_hole_as_large_is_none() -> None:
    changed = put(figure(), (0, 0, 0, 0), (6, 7))
    changed[13, 4:7] = changed[9:13, 9:12] = (250, 220, 40, 255)
    assert classify(figure(), changed).kind == "different"
    assert classify(figure(), changed, Rules(recolor=0.9)).kind == "recolor"


def test_a_recolor_of_many_colors_names_some_and_counts_all() -> None:
    ramp = np.full((32, 32, 4), 255, np.uint8)
    ramp[..., 0] = np.arange(32)[:, None] * 8
    ramp[..., 1] = np.arange(32) // 2 * 16
    blue = ramp.copy()
    blue[..., 2] = 0
    change = classify(ramp, blue)
    assert (change.kind, len(change.colors), change.mapped) == ("recolor", MOST_COLORS, 512)
    assert {count for _, _, count in change.colors} == {2}


def test_the_hue_of_a_picture_whose_colors_are_all_different_may_turn() -> None:
    rng = np.random.default_rng(3)
    rgba = np.full((24, 24, 4), 255, np.uint8)
    ramp = rng.permutation(24 * 24).reshape(24, 24)
    rgba[..., :3] = np.stack((ramp // 3, 20 + ramp // 5, ramp % 100), axis=2)
    assert len(np.unique(rgba.reshape(-1, 4), axis=0)) == 24 * 24
    assert classify(rgba, turned(rgba)).kind == "recolor"
    shuffled = rng.permutation(rgba.reshape(-1, 4)).reshape(rgba.shape)
    assert classify(rgba, shuffled).kind == "different"


def test_colors_that_went_are_not_recolored() -> None:
    black = textured()
    black[..., :3] = 0
    assert classify(textured(), black).kind == "different"
    assert classify(black, textured()).kind == "different"


def test_a_flat_tile_may_be_recolored() -> None:
    flat = np.full((4, 4, 4), RED, np.uint8)
    assert classify(flat, np.full((4, 4, 4), BLUE, np.uint8)).kind == "recolor"
