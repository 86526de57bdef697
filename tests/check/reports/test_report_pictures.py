"""What differs is drawn pixel by pixel, and nothing but pixels gets into a report."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from PIL import Image, PngImagePlugin
from reported import Rgba, filled

from spritebuild.check.reports.pictures import CHANGED, MAX_SIDE, Shelf, colors, difference, read

PICTURES = npst.arrays(np.uint8, st.tuples(st.integers(1, 5), st.integers(1, 5), st.just(4)))


@given(PICTURES)
def test_equal_pictures_have_no_difference(rgba: Rgba) -> None:
    drawn = difference(rgba, rgba)
    assert (drawn[..., :3] == rgba[..., :3]).all()
    assert (drawn[..., 3] == rgba[..., 3] // 4).all()


@given(PICTURES, PICTURES)
def test_every_pixel_that_differs_is_magenta_and_no_other(old: Rgba, new: Rgba) -> None:
    drawn = difference(old, new)
    assert drawn.shape == (*np.maximum(old.shape[:2], new.shape[:2]), 4)
    for (y, x), _ in np.ndenumerate(drawn[..., 0]):
        one, other = (
            tuple(each[y, x].tolist()) if y < each.shape[0] and x < each.shape[1] else (0,) * 4 for each in (old, new)
        )
        if one != other:
            assert tuple(drawn[y, x].tolist()) == CHANGED
        else:
            assert drawn[y, x, 3] == other[3] // 4


def test_colors_are_those_that_are_visible() -> None:
    rgba = filled((1, 2, 255))
    rgba[3, 3] = (9, 9, 9, 1)
    assert colors(rgba) == {"#0102ff", "#090909"}
    assert colors(np.zeros((1, 1, 4), np.uint8)) == set()


def test_color_under_alpha_0_is_no_difference(tmp_path: Path) -> None:
    hidden = np.zeros((2, 2, 4), np.uint8)
    hidden[..., 0] = 200
    Image.fromarray(hidden).save(tmp_path / "a.png")
    rgba = read(tmp_path / "a.png")
    assert rgba is not None
    assert not rgba.any()


@pytest.mark.parametrize(
    "data",
    [b"", b"\x89PNG\r\n\x1a\n", b"<svg onload=alert(1)>", b"GIF89a" + bytes(40), b"\x89PNG\r\n\x1a\n" + b"x" * 99],
)
def test_what_is_no_picture_is_not_shown(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.png").write_bytes(data)
    assert read(tmp_path / "a.png") is None


def test_what_is_not_there_is_not_shown(tmp_path: Path) -> None:
    assert read(None) is None
    assert read(tmp_path / "gone.png") is None
    assert read(tmp_path) is None


def test_a_damaged_or_huge_picture_is_not_shown(tmp_path: Path) -> None:
    Image.fromarray(filled((1, 2, 3), 64, 64)).save(tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(data[: len(data) // 2])
    assert read(tmp_path / "a.png") is None
    Image.new("1", (MAX_SIDE + 1, 1)).save(tmp_path / "b.png")
    assert read(tmp_path / "b.png") is None
    Image.new("1", (8000, 8000)).save(tmp_path / "c.png")
    assert read(tmp_path / "c.png") is None


def test_a_palette_a_gray_and_an_animated_picture_are_read(tmp_path: Path) -> None:
    for mode in ("P", "L", "1", "LA", "RGB", "I;16"):
        Image.new(mode, (3, 2)).save(tmp_path / "a.png")
        rgba = read(tmp_path / "a.png")
        assert rgba is not None
        assert rgba.shape == (2, 3, 4)
    frames = [Image.fromarray(filled((n, 0, 0))) for n in (10, 200)]
    frames[0].save(tmp_path / "b.png", save_all=True, append_images=frames[1:])
    rgba = read(tmp_path / "b.png")
    assert rgba is not None
    assert colors(rgba) == {"#0a0000"}


def test_nothing_but_pixels_gets_into_a_report(tmp_path: Path) -> None:
    notes = PngImagePlugin.PngInfo()
    notes.add_text("prompt", "a secret")
    Image.fromarray(filled((1, 2, 3))).save(tmp_path / "a.png", pnginfo=notes)
    rgba = read(tmp_path / "a.png")
    assert rgba is not None
    url = Shelf(tmp_path).url(rgba, "a" * 64)
    assert url == f"{tmp_path.name}/{'a' * 64}.png"
    written = (tmp_path / f"{'a' * 64}.png").read_bytes()
    assert b"secret" not in written
    again = read(tmp_path / f"{'a' * 64}.png")
    assert again is not None
    assert (again == rgba).all()


def test_a_picture_of_no_digest_is_called_by_its_bytes(tmp_path: Path) -> None:
    names = [Shelf(tmp_path).url(filled((n, 2, 3)), "../../x") for n in (1, 1, 2)]
    assert names[0] == names[1] != names[2]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted({Path(name).name for name in names})
