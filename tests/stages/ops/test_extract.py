"""One palette for many pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from spritebuild_stages.images import png
from spritebuild_stages.ops import extract as module
from spritebuild_stages.ops.eras import ERAS, Era
from spritebuild_stages.ops.extract import extract
from spritebuild_stages.ops.oklab import Palette, oklab
from spritebuild_stages.ops.quantize import quantize

SPRITES = Path(__file__).parents[3] / "../shared/data/dcss/mon"
SOFT = (
    (67, 68, 191),
    (125, 51, 170),
    (169, 72, 137),
    (81, 117, 161),
    (185, 113, 108),
    (91, 159, 135),
    (184, 158, 86),
    (127, 200, 97),
)

pictures = arrays(np.uint8, st.tuples(st.integers(1, 8), st.integers(1, 8), st.just(4)))
several = st.lists(pictures, min_size=1, max_size=4).filter(lambda all: any(rgba[..., 3].any() for rgba in all))
eras = st.sampled_from([None, *ERAS.values()])


def soft(size: int = 48) -> NDArray[np.uint8]:
    """A picture of a thousand colors with a soft edge."""
    y, x = np.mgrid[:size, :size] * 5
    alpha = np.clip(255 - ((x - 120) ** 2 + (y - 120) ** 2 - 10000) // 10, 0, 255)
    return np.stack([x, y, 255 - (x + y) // 2, alpha], axis=2).astype(np.uint8)


def flat(*colors: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    return np.array([colors], np.uint8)


def visible(images: list[NDArray[np.uint8]]) -> set[tuple[int, int, int]]:
    return {tuple(pixel[:3]) for rgba in images for pixel in rgba.reshape(-1, 4).tolist() if pixel[3]}


@given(several, st.integers(1, 256), eras)
def test_the_limits_hold(images: list[NDArray[np.uint8]], colors: int, era: Era | None) -> None:
    palette = extract(images, colors, era)
    assert 1 <= len(palette) <= min(colors, era.colors if era else 256)
    assert len(set(palette)) == len(palette)
    assert all(era.fit(color) == color for color in palette) if era else True


@given(several, st.integers(1, 40), eras)
def test_the_order_of_pictures_changes_nothing(images: list[NDArray[np.uint8]], colors: int, era: Era | None) -> None:
    palette = extract(images, colors, era)
    assert extract(images[::-1], colors, era) == palette
    assert extract(iter(images[1:] + images[:1]), colors, era) == palette


@given(several)
def test_few_colors_are_the_palette_as_they_are(images: list[NDArray[np.uint8]]) -> None:
    colors = visible(images)
    assert set(extract(images, 256)) == colors
    assert set(extract(images, len(colors))) == colors


@given(several, st.sampled_from(sorted(ERAS)))
def test_few_colors_at_an_eras_levels_are_the_palette(images: list[NDArray[np.uint8]], name: str) -> None:
    fitted = {ERAS[name].fit(color) for color in visible(images)}
    if len(fitted) <= ERAS[name].colors:
        assert set(extract(images, 256, ERAS[name])) == fitted


@given(several, st.integers(1, 20))
def test_hidden_color_has_no_say(images: list[NDArray[np.uint8]], colors: int) -> None:
    cleared = [np.where(rgba[..., 3:] > 0, rgba, 0).astype(np.uint8) for rgba in images]
    assert extract(cleared, colors) == extract(images, colors)


@given(several, st.integers(1, 256))
def test_lightness_grows(images: list[NDArray[np.uint8]], colors: int) -> None:
    lightness = oklab(np.array(extract(images, colors), np.uint8))[:, 0]
    assert (np.diff(lightness) > -1e-6).all()


@settings(max_examples=20)
@given(st.integers(1, 24))
def test_more_colors_are_never_further_off(colors: int) -> None:
    def off(palette: Palette) -> float:
        result = quantize(soft(), palette)
        apart = oklab(soft()[..., :3].reshape(-1, 3)) - oklab(result[..., :3].reshape(-1, 3))
        return float((apart**2).sum(axis=1) @ soft()[..., 3].ravel())

    assert off(extract([soft()], 2 * colors)) < off(extract([soft()], colors))


def test_every_picture_counts_as_much_as_any_other() -> None:
    background = np.full((64, 64, 4), (0, 0, 200, 255), np.uint8)
    icon = flat((200, 0, 0, 255))
    ((red, _, blue),) = extract([background, icon], 1)
    assert (red, blue) == pytest.approx((blue, red), abs=60)  # half way, and not blue for the 4,096 pixels
    assert extract([background, icon], 1) == extract([background[:1, :1], icon], 1)


def test_a_pixel_counts_by_its_alpha() -> None:
    assert extract([flat((255, 255, 255, 255), (0, 0, 0, 1))], 1) == ((254, 254, 254),)
    assert extract([flat((255, 255, 255, 1), (0, 0, 0, 255))], 1)[0][0] < 3


def test_one_color_is_the_mean_in_oklab() -> None:
    (color,) = extract([flat((255, 0, 0, 255), (0, 0, 255, 255))], 1)
    mean = oklab(np.array([(255, 0, 0), (0, 0, 255)], np.uint8)).mean(axis=0)
    assert oklab(np.array([color], np.uint8))[0] == pytest.approx(mean, abs=0.002)


def test_distinct_groups_get_a_color_each() -> None:
    centers = [(20, 20, 30), (200, 40, 40), (60, 180, 70), (240, 230, 200)]
    draw = np.random.default_rng(3)
    images = [
        np.array([[(*(np.array(c) + draw.integers(-6, 7, 3)), 255) for _ in range(50)]], np.uint8) for c in centers
    ]
    palette = np.array(extract(images, 4))
    assert np.abs(palette - np.array(centers)).max() <= 3


def test_the_palette_of_a_soft_picture_is_this() -> None:
    """Golden: no library, processor or later version may choose otherwise."""
    assert extract([soft()], 8) == SOFT


def test_many_distinct_colors_are_put_together_first(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = oklab(np.array(extract([soft()], 12), np.uint8))
    monkeypatch.setattr(module, "MOST_POINTS", 200)
    binned = oklab(np.array(extract([soft()], 12), np.uint8))
    nearest = np.sqrt(((whole[:, None] - binned[None]) ** 2).sum(axis=2)).min(axis=1)
    assert nearest.mean() < 0.04


def test_pictures_put_together_in_parts_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    images = [np.random.default_rng(n).integers(0, 256, (9, 9, 4), np.uint8) for n in range(9)]
    whole = extract(images, 20)
    monkeypatch.setattr(module, "MOST_PENDING", 50)
    assert extract(images, 20) == whole


def test_weights_beyond_what_sums_hold_are_halved(monkeypatch: pytest.MonkeyPatch) -> None:
    images = [soft(), soft()]
    whole = extract(images, 8)
    monkeypatch.setattr(module, "TOTAL", module.SHARE)
    assert np.abs(np.array(extract(images, 8)) - np.array(whole)).max() <= 1


@pytest.mark.parametrize("images", [[], [np.full((3, 3, 4), (9, 9, 9, 0), np.uint8)] * 2])
def test_nothing_visible_is_an_error(images: list[NDArray[np.uint8]]) -> None:
    with pytest.raises(ValueError, match="no visible pixel in any picture"):
        extract(images, 4)


@pytest.mark.parametrize("colors", [0, 257])
def test_another_number_of_colors_is_an_error(colors: int) -> None:
    with pytest.raises(ValueError, match=f"a palette has 1 to 256 colors, not {colors}"):
        extract([soft()], colors)


@pytest.mark.skipif(not SPRITES.is_dir(), reason="needs the sprites")
@pytest.mark.parametrize("name", sorted(ERAS))
def test_real_sprites_fill_an_eras_palette(name: str) -> None:
    images = [png.read(path) for path in sorted(SPRITES.rglob("*.png"))[::40]]
    assert len(extract(images, 256, ERAS[name])) == ERAS[name].colors
