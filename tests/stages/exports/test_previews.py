"""Animated previews, decoded again by Pillow; tests/consumers decodes them in a browser."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from animated import decoded, same, stacks, times
from drawn_sheets import DURATIONS, HERO_TAGS, drawing, grid, hero, packed, trimmed
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from spritebuild.errors import StageError
from spritebuild_stages.exports import previews
from spritebuild_stages.exports.sheet import Sheet
from spritebuild_stages.images.png import Rgba
from spritebuild_stages.sheets.layout import Tag

FORMATS: tuple[previews.Format, ...] = ("gif", "apng", "webp")
HARD = (0, 255)


def unpivoted(sheet: Sheet) -> Sheet:
    """A sheet whose frames lie upon each other by their corners."""
    frames = tuple(frame.model_copy(update={"pivot": None}) for frame in sheet.layout.frames)
    return Sheet(sheet.layout.model_copy(update={"frames": frames}), sheet.pages)


def export(sheet: Sheet, folder: Path, **told: Any) -> dict[str, bytes]:
    folder.mkdir(exist_ok=True)
    previews.write([sheet], folder, previews.Options.model_validate({"kind": "previews", **told}))
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


@given(stacks, st.data())
def test_a_webp_has_the_pixels_and_the_times(stack: Rgba, data: st.DataObject) -> None:
    visible = stack.copy()
    visible[stack[..., 3] == 0] = 0
    frames, durations = previews.merged(list(visible), [data.draw(times) for _ in stack])
    seen, delays, _ = decoded(previews.encode("webp", frames, durations, 0))
    assert same(seen, frames)
    if len(frames) > 1:
        assert delays == durations


@pytest.mark.parametrize("repeat", (0, 1, 3))
def test_an_animation_is_played_as_often_as_its_tag_says(tmp_path: Path, repeat: int) -> None:
    pictures = [drawing(number, alphas=HARD) for number in range(2)]
    sheet = packed(tmp_path / "sheet", pictures, tags=(Tag(name="walk", first=0, last=1, repeat=repeat),))
    files = export(sheet, tmp_path / "out", formats=FORMATS)
    assert list(files) == ["hero-walk.gif", "hero-walk.png", "hero-walk.webp"]
    assert decoded(files["hero-walk.png"])[2]["loop"] == repeat
    assert decoded(files["hero-walk.webp"])[2]["loop"] == repeat
    # A GIF says how often again, or nothing.
    assert decoded(files["hero-walk.gif"])[2].get("loop") == {0: 0, 1: None, 3: 2}[repeat]


def test_every_direction_is_shown(tmp_path: Path) -> None:
    pictures = [drawing(number, alphas=HARD) for number in range(6)]
    sheet = unpivoted(packed(tmp_path / "sheet", pictures, tags=HERO_TAGS))
    files = export(sheet, tmp_path / "out", formats=("apng", "gif", "webp"))
    shown = {"walk": (0, 1, 2, 3), "turn": (1, 2, 3, 4, 3, 2), "back": (4, 3, 2), "sway": (5, 4, 3, 4), "rest": (5,)}
    for tag, numbers in shown.items():
        for suffix in (".gif", ".png", ".webp"):
            seen, delays, _ = decoded(files[f"hero-{tag}{suffix}"])
            assert same(seen, [pictures[number] for number in numbers])
            if len(numbers) > 1:
                assert delays == [DURATIONS[number] for number in numbers]


def test_equal_frames_in_a_row_become_one_of_their_times_sum(tmp_path: Path) -> None:
    first, second = drawing(0, alphas=HARD), drawing(1, alphas=HARD)
    hidden = first.copy()
    hidden[hidden[..., 3] == 0] = (9, 9, 9, 0)
    tags = (Tag(name="all", first=0, last=4),)
    sheet = unpivoted(grid(tmp_path / "sheet", [first, hidden, second, second, first], tags=tags))
    for data in export(sheet, tmp_path / "out", formats=FORMATS).values():
        seen, delays, _ = decoded(data)
        assert same(seen, [first, second, first])
        assert delays == [DURATIONS[0] + DURATIONS[1], DURATIONS[2] + DURATIONS[3], DURATIONS[4]]


def test_a_sheet_without_tags_is_one_animation_in_its_category(tmp_path: Path) -> None:
    pictures = [drawing(number, 8, 8, HARD) for number in range(3)]
    sheet = packed(tmp_path / "sheet", pictures)
    files = export(Sheet(sheet.layout, sheet.pages, "characters/small"), tmp_path / "out")
    assert list(files) == ["characters/small/hero.png"]
    assert len(decoded(files["characters/small/hero.png"])[0]) == 3


def test_frames_of_other_sizes_lie_upon_each_other_by_their_corners_or_pivots(tmp_path: Path) -> None:
    pictures = [drawing(0, 4, 6), drawing(1, 7, 3)]
    first, second = packed(tmp_path / "sheet", pictures).layout.frames
    first, second = (frame.model_copy(update={"pivot": None}) for frame in (first, second))
    laid = previews.laid([(first, pictures[0]), (second, pictures[1])])
    assert [one.shape for one in laid] == [(6, 7, 4)] * 2
    assert np.array_equal(laid[0][:6, :4], pictures[0]) and np.array_equal(laid[1][:3, :7], pictures[1])
    first, second = first.model_copy(update={"pivot": (2, 6)}), second.model_copy(update={"pivot": (3.5, 2.4)})
    laid = previews.laid([(first, pictures[0]), (second, pictures[1])])
    assert [one.shape for one in laid] == [(7, 7, 4)] * 2
    assert np.array_equal(laid[0][:6, 2:6], pictures[0]) and np.array_equal(laid[1][4:, :], pictures[1])
    far = second.model_copy(update={"pivot": (1e7, 0)})
    with pytest.raises(ValueError, match="Mpx"):
        previews.laid([(first, pictures[0]), (far, pictures[1])])


def test_trimmed_and_mirrored_frames_are_shown_as_they_were(tmp_path: Path) -> None:
    tags = (Tag(name="flip", first=0, last=1),)
    sheet = unpivoted(trimmed(tmp_path / "sheet", tags=tags))
    seen, _, _ = decoded(export(sheet, tmp_path / "out", formats=["apng"])["hero-flip.png"])
    assert same(seen, sheet.pictures()[:2])


@pytest.mark.parametrize("format", FORMATS)
def test_scale_makes_squares_of_pixels(tmp_path: Path, format: previews.Format) -> None:
    pictures = [drawing(number, 5, 7, HARD) for number in range(2)]
    sheet = unpivoted(packed(tmp_path / "sheet", pictures))
    (data,) = export(sheet, tmp_path / "out", formats=[format], scale=3).values()
    seen, _, _ = decoded(data)
    assert same(seen, [picture.repeat(3, axis=0).repeat(3, axis=1) for picture in pictures])


@pytest.mark.parametrize("format", FORMATS)
def test_one_pixel_and_nothing_visible_are_animations_too(tmp_path: Path, format: previews.Format) -> None:
    empty, full = np.zeros((1, 1, 4), np.uint8), np.full((1, 1, 4), 255, np.uint8)
    sheet = unpivoted(packed(tmp_path / "sheet", [empty, full, empty]))
    (data,) = export(sheet, tmp_path / "out", formats=[format]).values()
    assert same(decoded(data)[0], [empty, full, empty])
    (data,) = export(packed(tmp_path / "none", [empty]), tmp_path / "nothing", formats=[format]).values()
    assert same(decoded(data)[0], [empty])


def test_errors_name_the_animation_and_the_remedy(tmp_path: Path) -> None:
    sheet = packed(tmp_path / "sheet", hero(2), tags=(Tag(name="walk", first=0, last=1),))
    with pytest.raises(StageError, match="no partial alpha") as caught:
        export(sheet, tmp_path / "out", formats=["gif"])
    assert caught.value.facts == (("animation", "hero-walk"),)
    assert caught.value.hint == "finish the sprites with alpha and quantize, say a smaller scale, or leave gif out"
    large = packed(tmp_path / "large", [np.zeros((200, 200, 4), np.uint8)])
    with pytest.raises(StageError, match=r"1 frames of 12800x12800 are 163\.8 Mpx, more than 33\.6"):
        export(large, tmp_path / "out", formats=["apng"], scale=64)
    wide = packed(tmp_path / "wide", [np.zeros((1, 16384, 4), np.uint8)])
    with pytest.raises(StageError, match="at most 16383 pixels a side, not 16384x1"):
        export(wide, tmp_path / "out", formats=["webp"])


def test_a_tag_has_to_be_a_file_name_of_its_own(tmp_path: Path) -> None:
    pictures = [drawing(0, alphas=HARD)]
    with pytest.raises(StageError, match="cannot be the name of a file"):
        export(packed(tmp_path / "a", pictures, tags=(Tag(name="../a", first=0, last=0),)), tmp_path / "out")
    twice = packed(tmp_path / "b", pictures, tags=(Tag(name="a", first=0, last=0),) * 2)
    with pytest.raises(StageError, match=r"two previews would be called hero-a\.png"):
        export(twice, tmp_path / "out")


@pytest.mark.parametrize("told", ({"formats": []}, {"formats": ["mp4"]}, {"scale": 0}, {"scale": 65}, {"size": 1}))
def test_options_have_limits(told: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        previews.Options.model_validate({"kind": "previews", **told})


def test_options_are_there_without_what_pixels_need() -> None:
    modules = ", ".join(f"spritebuild_stages.exports.{name}" for name in ("pixi", "phaser", "plain", "previews"))
    code = f"import sys, {modules}; print(sorted({{'numpy', 'PIL', 'deflate'}} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
