"""Changes are called by their names."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from spritebuild.check.classify import BLOCK, SAMPLE, Change, Rules, classify, describe
from spritebuild_stages.images import png
from tests.check.pictures import BLUE, RED, Rgba, figure, moved, put, textured
from tests.sets import SPRITES, needs_sprites

shapes = st.tuples(st.integers(1, 12), st.integers(1, 12), st.just(4))
pictures = arrays(np.uint8, shapes, elements=st.sampled_from((0, 1, 2, 60, 128, 254, 255)))


def two(draw: st.DrawFn) -> tuple[Rgba, Rgba]:
    """Two pictures of one size, of which the second often shares pixels with the first."""
    shape = draw(shapes)
    values = st.sampled_from((0, 1, 2, 60, 128, 254, 255))
    one, other = (draw(arrays(np.uint8, shape, elements=values)) for _ in range(2))
    return one, np.where(draw(arrays(np.bool_, (*shape[:2], 1))), one, other)


pairs = st.composite(two)()


@given(pictures)
def test_a_picture_is_the_same_as_itself(rgba: Rgba) -> None:
    assert classify(rgba, rgba.copy()) == Change("same")


@given(pairs, st.integers(0, 255))
def test_what_is_hidden_never_matters(pair: tuple[Rgba, Rgba], color: int) -> None:
    one, other = pair
    hidden = other.copy()
    hidden[other[..., 3] == 0, :3] = color
    assert classify(one, hidden) == classify(one, other)


@given(pairs)
def test_there_and_back_as_many_pixels_differ_as_much(pair: tuple[Rgba, Rgba]) -> None:
    there, back = classify(*pair), classify(*pair[::-1])
    assert (there.pixels, there.share, there.box, there.worst, there.faded) == (
        (back.pixels, back.share, back.box, back.worst, back.faded)
    )
    assert there.delta_e == pytest.approx(back.delta_e)
    for kind in ("same", "imperceptible"):
        assert (there.kind == kind) == (back.kind == kind)


@given(pairs)
def test_the_box_holds_every_pixel_that_differs_and_no_line_more(pair: tuple[Rgba, Rgba]) -> None:
    one, other = (np.where(rgba[..., 3:] > 0, rgba, 0) for rgba in pair)
    differs = (one != other).any(axis=2)
    change = classify(one, other, Rules(delta_e=0, steps=0, alpha=0))
    assert change.pixels == differs.sum()
    if change.box is None:
        assert change.kind == "same"
        return
    left, top, right, bottom = change.box
    assert differs[top:bottom, left:right].sum() == change.pixels
    inside = differs[top:bottom, left:right]
    assert inside[0].any() and inside[-1].any() and inside[:, 0].any() and inside[:, -1].any()
    assert change.worst is not None and differs[change.worst[1], change.worst[0]]
    assert 0 < change.worst_share <= 1
    assert 0 < change.share <= 1


@given(pairs, st.sampled_from(("delta_e", "steps", "alpha")))
def test_a_wider_limit_never_finds_more(pair: tuple[Rgba, Rgba], name: str) -> None:
    narrow, wide = (classify(*pair, dataclasses.replace(Rules(), **{name: limit})) for limit in (0, 20))
    assert wide.pixels <= narrow.pixels


@given(pairs, st.booleans())
@settings(max_examples=50)
def test_every_change_has_its_sentence(pair: tuple[Rgba, Rgba], strict: bool) -> None:
    change = classify(*pair, Rules(delta_e=0, steps=0, alpha=0) if strict else None)
    sentence = describe(change)
    assert sentence and "\n" not in sentence and "None" not in sentence


@given(pairs)
def test_steps_of_one_are_imperceptible_however_dark(pair: tuple[Rgba, Rgba]) -> None:
    rgba, noise = pair
    off = rgba.copy()
    off[..., :3] = np.clip(rgba[..., :3].astype(int) + noise[..., :3] % 3 - 1, 0, 255)
    assert classify(rgba, off).kind in ("same", "imperceptible")


def test_dark_grays_off_by_one_are_beyond_the_eye_limit_and_imperceptible_nevertheless() -> None:
    one, other = np.full((4, 4, 4), 255, np.uint8), np.full((4, 4, 4), 255, np.uint8)
    one[..., :3], other[..., :3] = 24, (25, 23, 25)
    change = classify(one, other)
    assert change.kind == "imperceptible" and change.delta_e > 2.3
    assert classify(one, other, Rules(steps=0)).kind != "imperceptible"


def test_one_pixel_is_an_edit_and_found() -> None:
    change = classify(figure(), put(figure(), BLUE, (7, 8)))
    assert (change.kind, change.pixels, change.box, change.worst) == ("edit", 1, (7, 8, 8, 9), (7, 8))
    assert change.share == pytest.approx(1 / np.count_nonzero(figure()[..., 3]))
    assert change.worst_share == 1 / 64
    assert describe(change) == "1 pixel differs at (7, 8), worst delta E 44"


def test_the_worst_place_is_where_most_pixels_differ_together() -> None:
    crowd = [(x, y) for x in (20, 21, 22) for y in (6, 7, 8)]
    change = classify(textured(), put(textured(), (255, 0, 255, 255), (2, 3), (4, 30), *crowd))
    assert change.kind == "edit" and change.pixels == 11
    assert change.worst in crowd
    assert change.worst_share == 9 / 64
    assert change.box == (2, 3, 23, 31)
    assert describe(change).startswith("11 pixels differ in 21x28 at (2, 3), worst delta E ")


def test_a_region_may_be_larger_than_the_picture() -> None:
    change = classify(put(figure(), RED, (0, 0)), put(figure(), BLUE, (0, 0)), Rules(region=255))
    assert change.worst_share == 1 / 256


def test_a_hole_is_an_edit_that_differs_by_all_there_is() -> None:
    change = classify(figure(), put(figure(), (0, 0, 0, 0), (6, 7), (7, 7), (6, 8), (7, 8)))
    assert (change.kind, change.pixels, change.delta_e, change.faded) == ("edit", 4, 100, 0)


def test_the_worst_place_of_a_hole_is_its_middle() -> None:
    change = classify(textured(), put(textured(), (0, 0, 0, 0), *((x, y) for x in (8, 9, 10) for y in (20, 21, 22))))
    assert (change.worst, change.worst_share) == ((9, 21), 9 / 64)


@pytest.mark.parametrize(
    ("alpha", "kind"), [(255, "same"), (253, "imperceptible"), (252, "different"), (0, "different")]
)
def test_alpha_counts_beyond_two_steps_and_nothing_is_never_something(alpha: int, kind: str) -> None:
    faded = figure()
    faded[faded[..., 3] > 0, 3] = alpha
    change = classify(figure(), faded)
    assert change.kind == kind
    assert change.faded == (change.pixels if alpha else 0)


def test_alpha_one_instead_of_nothing_is_seen() -> None:
    assert classify(figure(), put(figure(), (0, 0, 0, 1), (0, 0))).pixels == 1


def test_a_fade_is_not_called_another_picture() -> None:
    faded = figure()
    faded[..., 3] //= 2
    assert describe(classify(figure(), faded)) == "58 pixels differ in 8x12 at (4, 2), in alpha alone"


def test_another_picture_is_different() -> None:
    change = classify(figure(), textured(16))
    assert (change.kind, change.share, describe(change)) == ("different", 1, "other picture: 100 % differ")


def test_another_size_is_different_and_nothing_else_is_compared() -> None:
    change = classify(figure(), np.pad(figure(), ((0, 8), (0, 0), (0, 0))))
    assert change.kind == "different" and change.box is None and change.size == ((16, 16), (16, 24))
    assert describe(change) == "16x16 became 16x24"


def test_nothing_visible_is_the_same_as_nothing_and_different_from_something() -> None:
    nothing = np.zeros((16, 16, 4), np.uint8)
    nothing[..., 0] = 9
    assert classify(nothing, np.zeros((16, 16, 4), np.uint8)).kind == "same"
    for change in (classify(nothing, figure()), classify(figure(), nothing)):
        assert (change.kind, change.share, change.delta_e) == ("different", 1, 100)


@pytest.mark.parametrize(("color", "kind"), [(RED, "same"), ((201, 40, 40, 255), "imperceptible"), (BLUE, "different")])
def test_a_single_pixel_can_be_classified(color: tuple[int, int, int, int], kind: str) -> None:
    assert classify(np.array([[RED]], np.uint8), np.array([[color]], np.uint8)).kind == kind


def test_imperceptible_says_how_far_it_is() -> None:
    near = figure()
    near[(figure() == RED).all(axis=2)] = (203, 40, 40, 255)
    change = classify(figure(), near)
    assert change.kind == "imperceptible" and 0 < change.delta_e <= 2.3 and change.pixels == 0
    assert describe(change) == f"cannot be told from the former by eye (delta E at most {change.delta_e:.1f})"


def test_a_picture_of_several_blocks_is_compared_whole() -> None:
    rgba = textured(520, 9)
    assert rgba.shape[0] * rgba.shape[1] > max(4 * BLOCK, SAMPLE)
    change = classify(rgba, put(rgba, (255, 0, 255, 255), (1, 0), (3, 519), (519, 260)))
    assert (change.kind, change.pixels, change.box) == ("edit", 3, (1, 0, 520, 520))
    assert classify(rgba, rgba[..., [1, 2, 0, 3]]).mapped == 9
    assert classify(rgba, np.roll(rgba, 1, 1)).by == (1, 0)
    assert classify(rgba, rgba[::-1]).axis == "y"


def test_a_view_with_gaps_is_classified_as_its_copy() -> None:
    wide = textured(64)
    one, other = wide[::2, ::2], wide[1::2, ::2]
    assert classify(one, other) == classify(one.copy(), other.copy())


@pytest.mark.parametrize(
    "picture",
    [np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4, 4)), np.zeros((4, 4), np.uint8), np.zeros((0, 4, 4), np.uint8)],
)
def test_what_is_no_picture_is_refused(picture: Rgba) -> None:
    with pytest.raises(ValueError, match="a picture is uint8"):
        classify(figure(), picture)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("delta_e", -1, "delta_e is 0 to 100, not -1"),
        ("edit", 1.5, "edit is 0 to 1, not 1.5"),
        ("region", 0, "region is 1 to 255, not 0"),
        ("reach", 17, "reach is 0 to 16, not 17"),
        ("shift", float("nan"), "shift is 0 to 1, not nan"),
    ],
)
def test_a_rule_beyond_its_limits_is_refused(name: str, value: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(Rules(), **{name: value})


def noisy(rgba: Rgba) -> Rgba:
    noise = np.random.default_rng(7).integers(-1, 2, rgba[..., :3].shape)
    changed = rgba.copy()
    changed[..., :3] = np.clip(rgba[..., :3] + noise, 0, 255)
    return changed


def negative(rgba: Rgba) -> Rgba:
    changed = rgba.copy()
    changed[..., :3] = 255 - rgba[..., :3]
    return changed


def spotted(rgba: Rgba) -> Rgba:
    places = np.argwhere(rgba[..., 3] > 0)
    return put(rgba, (255, 0, 255, 255), *((int(x), int(y)) for y, x in places[:: len(places) // 3][:3]))


@needs_sprites
@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("same", lambda rgba: rgba.copy()),
        ("imperceptible", noisy),
        ("edit", spotted),
        ("shift", lambda rgba: moved(rgba, 1, -1)),
        ("flip", lambda rgba: rgba[:, ::-1]),
        ("recolor", negative),
    ],
)
def test_real_sprites_under_a_known_change_are_called_by_it(kind: str, change: Callable[[Rgba], Rgba]) -> None:
    paths = sorted((SPRITES / "mon/animals").glob("*.png"))[:60]
    assert len(paths) > 30
    for path in paths:
        rgba = png.read(path)
        changed = change(rgba)
        called = classify(rgba, changed).kind
        assert called == kind or (kind == "flip" and np.array_equal(rgba, changed)), path.name
