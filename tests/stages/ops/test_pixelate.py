"""Soft pictures down to true pixels."""

from __future__ import annotations

import hashlib
from typing import get_args

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from sets import SPRITES, needs_sprites

from spritebuild_stages.images import png
from spritebuild_stages.ops import cells, deblur
from spritebuild_stages.ops.borders import PIXEL
from spritebuild_stages.ops.pixelate import Mode, pixelate

Rgba = NDArray[np.uint8]

MODES: tuple[Mode, ...] = get_args(Mode)
COLORS = np.array(
    [(20, 20, 30), (230, 230, 220), (200, 60, 50), (60, 140, 70), (70, 90, 190), (240, 190, 60), (0, 0, 0)]
)

pictures = arrays(np.uint8, st.tuples(st.integers(1, 20), st.integers(1, 20), st.just(4)))


def drawn(columns: int, rows: int, multiplier: int = 7) -> NDArray[np.intp]:
    """Which of the colors every pixel has: edges everywhere, the same ones on every machine."""
    y, x = np.mgrid[:rows, :columns]
    return (x * x * multiplier + y * y * 3 + x * y * 5 + (x // 3) * (y // 2)) % 97 % len(COLORS)


def art(columns: int, rows: int) -> Rgba:
    """True pixels."""
    return np.dstack([COLORS[drawn(columns, rows)], np.full((rows, columns, 1), 255)]).astype(np.uint8)


def enlarged(picture: Rgba, factor: int) -> Rgba:
    return picture.repeat(factor, axis=0).repeat(factor, axis=1)


def soft(picture: Rgba, widths: list[int]) -> Rgba:
    """Cells of these widths in turn, blurred three times by a box of 3, with noise; in whole numbers."""
    rows, columns = (np.resize(widths, side) for side in picture.shape[:2])
    large = picture.repeat(rows, axis=0).repeat(columns, axis=1).astype(np.int64)
    for axis in (0, 1):
        for _ in range(3):
            padded = np.pad(large, [(1, 1) if axis == each else (0, 0) for each in range(3)], mode="edge")
            before, after = (np.delete(padded, gone, axis=axis) for gone in ([-1, -2], [0, 1]))
            large = (before + large + after + 1) // 3
    y, x, channel = np.indices((*large.shape[:2], 3))
    mixed = (x * 73856093 ^ y * 19349663 ^ channel * 83492791) * 2654435761 % (1 << 32)
    large[..., :3] += (mixed >> 8) % 13 - 6
    return large.clip(0, 255).astype(np.uint8)


def names(rgba: Rgba) -> NDArray[np.intp]:
    """The nearest of the colors of every pixel."""
    return ((rgba[..., None, :3].astype(int) - COLORS) ** 2).sum(axis=-1).argmin(axis=-1)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("factor", [2, 5, 16])
def test_enlarged_pixels_come_back_as_they_were(mode: Mode, factor: int) -> None:
    pixels = art(16, 13)
    pixels[3:6, 2:9] = 0
    assert np.array_equal(pixelate(enlarged(pixels, factor), mode=mode), pixels)
    assert np.array_equal(pixelate(enlarged(pixels, factor), (16, 13), mode), pixels)


def test_partial_alpha_comes_back_too() -> None:
    pixels = np.random.default_rng(0).integers(1, 256, (12, 12, 4), np.uint8)
    assert np.array_equal(pixelate(enlarged(pixels, 9)), pixels)


@pytest.mark.parametrize("widths", [[16], [13], [12, 13, 12], [11, 12], [16, 18, 14, 15, 17, 13, 18, 16, 19]])
def test_soft_pixels_are_recovered(widths: list[int]) -> None:
    found = pixelate(soft(art(24, 24), widths))
    assert found.shape == (24, 24, 4)
    assert np.array_equal(names(found), drawn(24, 24))


@pytest.mark.parametrize("mode", MODES)
def test_soft_pixels_are_recovered_in_every_mode(mode: Mode) -> None:
    picture = soft(art(24, 20), [14, 15])
    for found in (pixelate(picture, mode=mode), pixelate(picture, (24, 20), mode)):
        assert np.mean(names(found) == drawn(24, 20)) > 0.97


def test_blur_and_noise_are_undone() -> None:
    picture = soft(art(24, 24), [9, 10])
    left = {mode: np.abs(pixelate(picture, mode=mode).astype(int) - art(24, 24)).mean() for mode in ("auto", "median")}
    assert left["auto"] < 0.8 * left["median"]


def test_bytes_are_the_same_everywhere() -> None:
    """Golden: made by this test; they change only with `Finish.version`."""
    pictures = [soft(art(24, 20), widths) for widths in ([16], [12, 13], [16, 18, 14, 15, 17, 13, 18, 16, 19], [7, 8])]
    digests = {
        mode: hashlib.sha256(b"".join(pixelate(picture, mode=mode).tobytes() for picture in pictures)).hexdigest()[:16]
        for mode in MODES
    }
    told = hashlib.sha256(b"".join(pixelate(picture, (21, 21)).tobytes() for picture in pictures)).hexdigest()[:16]
    assert digests | {"told": told} == {
        "auto": "3aeec2d237193ee4",
        "nearest": "fc1654efad8d900a",
        "median": "906222cc66b8d217",
        "mode": "8888255375ae4a93",
        "kcentroid": "641baa3b2ff0d54e",
        "told": "aa88832ca8eae0a1",
    }


@given(pictures, st.sampled_from(MODES))
def test_a_second_time_changes_nothing(picture: Rgba, mode: Mode) -> None:
    once = pixelate(picture, mode=mode)
    assert np.array_equal(pixelate(once, mode=mode), once)


@settings(max_examples=25)
@given(arrays(np.uint8, (7, 5, 4)), st.integers(2, 9), st.sampled_from(MODES))
def test_what_is_enlarged_by_a_whole_factor_loses_nothing(pixels: Rgba, factor: int, mode: Mode) -> None:
    pixels[pixels[..., 3] == 0] = 0
    found = pixelate(enlarged(pixels, factor), mode=mode)
    back = enlarged(found, pixels.shape[0] * factor // found.shape[0])
    assume(found.shape[0] * back.shape[1] == found.shape[1] * back.shape[0])
    assert np.array_equal(back, enlarged(pixels, factor))


@given(pictures, st.integers(1, 24), st.integers(1, 24), st.sampled_from(MODES))
def test_a_told_size_is_met_on_one_side_and_the_aspect_kept(picture: Rgba, across: int, down: int, mode: Mode) -> None:
    height, width = picture.shape[:2]
    assume(across <= width or down <= height)
    rows, columns = pixelate(picture, (across, down), mode).shape[:2]
    assert columns <= across
    assert rows <= down
    assert columns == across or rows == down
    cell = max(width / across, height / down)
    assert abs(columns - max(1, width / cell)) <= 0.5
    assert abs(rows - max(1, height / cell)) <= 0.5


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", [(1, 1), (1, 4096), (4096, 1), (3, 2), (31, 33)])
def test_pictures_without_a_grid_stay_as_they_are(size: tuple[int, int], mode: Mode) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (*size, 4), np.uint8)
    for picture in (noise, np.full((*size, 4), 77, np.uint8), np.zeros((*size, 4), np.uint8)):
        found = pixelate(picture, mode=mode)
        assert np.array_equal(found, picture)
        assert found is not picture
        assert pixelate(picture, (1, 1), mode).shape == (1, 1, 4)


def test_the_largest_picture_is_taken_down() -> None:
    assert np.array_equal(pixelate(enlarged(art(256, 256), 16)), art(256, 256))
    assert pixelate(enlarged(art(32, 32), 128)[:, :-1], (32, 32)).shape == (32, 32, 4)


@pytest.mark.parametrize(
    ("size", "says"), [((0, 4), "0x4 is less than 1x1"), ((17, 17), "17x17 is larger than the picture, 16x16")]
)
def test_a_size_that_cannot_be_is_an_error(size: tuple[int, int], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        pixelate(art(16, 16), size)


def test_another_mode_is_an_error() -> None:
    with pytest.raises(ValueError, match="'mean'"):
        pixelate(art(4, 4), mode="mean")  # type: ignore[arg-type]


def test_the_color_of_a_cell_is_that_of_what_is_visible_in_it() -> None:
    picture = np.full((8, 8, 4), (200, 100, 50, 255), np.uint8)
    picture[:, 5:] = (0, 255, 0, 0)
    line = np.array([0, 8 * PIXEL])
    for way in (cells.median, cells.mode, cells.kcentroid, deblur.sharp):
        assert way(picture, line, line).tolist() == [[[200, 100, 50, 255]]]
    picture[:, 2:] = (0, 255, 0, 0)
    for way in (cells.median, cells.mode, cells.kcentroid, deblur.sharp):
        assert way(picture, line, line).tolist() == [[[0, 0, 0, 0]]]


def test_a_soft_edge_in_alpha_becomes_hard_or_nearly_so() -> None:
    pixels = art(20, 20)
    pixels[..., 3] = 255 * (drawn(20, 20, 4) % 2)
    pixels[pixels[..., 3] == 0] = 0
    found = pixelate(soft(pixels, [15]))
    assert found.shape == pixels.shape
    assert np.abs(found[..., 3].astype(int) - pixels[..., 3]).max() < 16


def test_clusters_are_told_apart_by_alpha_first() -> None:
    picture = np.zeros((6, 6, 4), np.uint8)
    picture[:4] = (0, 0, 0, 255)
    line = np.array([0, 6 * PIXEL])
    assert cells.kcentroid(picture, line, line).tolist() == [[[0, 0, 0, 255]]]


def test_many_cells_are_looked_at_some_rows_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = soft(art(24, 20), [14, 15])
    whole = pixelate(picture)
    monkeypatch.setattr(cells, "AT_ONCE", 4000)
    assert np.array_equal(pixelate(picture), whole)


@needs_sprites
def test_true_pixels_stay_as_they_are() -> None:
    for path in sorted((SPRITES / "mon").rglob("*.png"))[::9]:
        rgba = png.read(path)
        assert np.array_equal(pixelate(rgba), rgba), path
