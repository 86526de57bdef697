"""Steps of a ramp that hug each other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from drawn import Rgba, draw, pictures
from hypothesis import given

from spritebuild_stages.art.banding import banding
from spritebuild_stages.art.picture import Picture
from spritebuild_stages.images import png

SPRITES = Path(__file__).parents[3] / "../shared/data/dcss"
RAMP = np.array([(20 + 30 * k, 20 + 22 * k, 40 + 12 * k) for k in range(7)], np.uint8)


def of(*rows: str) -> tuple[int, int]:
    return banding(Picture.of(draw(*rows)))


def share(rgba: Rgba) -> float:
    banded, changes = banding(Picture.of(rgba))
    return banded / max(changes, 1)


def pillow(rgba: Rgba) -> Rgba:
    """The silhouette filled by the distance from its border, a step of the ramp for every pixel."""
    inside = np.pad(rgba[..., 3] > 0, 1)
    depth = np.zeros(inside.shape, np.intp)
    while inside.any():
        depth += inside
        inside[1:-1, 1:-1] &= inside[:-2, 1:-1] & inside[2:, 1:-1] & inside[1:-1, :-2] & inside[1:-1, 2:]
    found = np.zeros_like(rgba)
    visible = rgba[..., 3] > 0
    found[visible, :3] = RAMP[(depth[1:-1, 1:-1][visible] - 1).clip(0, len(RAMP) - 1)]
    found[visible, 3] = 255
    return found


def test_steps_of_equal_length_hug_each_other() -> None:
    assert of("ddd", "mmm", "lll") == (6, 6)


def test_around_a_corner_the_ends_may_be_a_pixel_apart() -> None:
    assert of("ddddddd", "dmmmmmd", "dmlllmd") == (6, 14)


def test_thick_steps_are_no_banding() -> None:
    assert of("ddd", "ddd", "mmm", "mmm", "lll") == (0, 6)


def test_a_light_line_between_two_dark_ones_is_no_ramp() -> None:
    assert of("ddd", "lll", "ddd") == (0, 6)


def test_steps_that_end_elsewhere_are_no_banding() -> None:
    assert of("dddddddd", "mmmmmmmm", "mmmmllll")[0] == 0


def test_single_pixels_are_no_banding() -> None:
    assert of("drd", "mlm", "l#l")[0] == 0


def test_colors_that_are_hardly_told_apart_are_no_steps() -> None:
    rgba = np.full((3, 4, 4), 255, np.uint8)
    rgba[..., :3] = np.array([100, 102, 104], np.uint8)[:, None, None]
    assert banding(Picture.of(rgba)) == (0, 8)


def test_nothing_is_banded_where_nothing_is() -> None:
    assert of(".") == (0, 0)
    assert of("r") == (0, 0)
    assert of("...", ".r.", "...") == (0, 0)


@given(pictures)
def test_turning_and_mirroring_change_nothing(rgba: Rgba) -> None:
    found = banding(Picture.of(rgba))
    assert 0 <= found[0] <= found[1]
    for other in (rgba[::-1], rgba[:, ::-1], rgba.transpose(1, 0, 2)):
        assert banding(Picture.of(np.ascontiguousarray(other))) == found


@pytest.mark.skipif(not SPRITES.is_dir(), reason="needs the sprites")
def test_pillow_shading_is_told_from_the_work_of_hands() -> None:
    files = sorted((SPRITES / "mon").rglob("*.png"))[::5]
    drawn = [rgba for rgba in map(png.read, files) if np.count_nonzero(rgba[..., 3]) >= 60]
    by_hand, banded = np.array([share(rgba) for rgba in drawn]), np.array([share(pillow(rgba)) for rgba in drawn])
    assert len(drawn) > 100
    above = (banded[:, None] > by_hand).mean() + (banded[:, None] == by_hand).mean() / 2
    assert above > 0.95, f"{above:.3f} of pairs"
