"""Frames as they are read, trimmed and compared."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from spritebuild.errors import StageError
from spritebuild_stages.images import png
from spritebuild_stages.images.png import Rgba
from spritebuild_stages.sheets import frames
from spritebuild_stages.sheets.frames import Cut, read, share

values = st.sampled_from((0, 0, 7, 128, 255))
pictures = arrays(np.uint8, st.tuples(st.integers(1, 5), st.integers(1, 5), st.just(4)), elements=values)


def cut(name: str, rgba: Rgba, **companions: Rgba) -> Cut:
    height, width = rgba.shape[:2]
    return Cut(name, (width, height), (0, 0, width, height), rgba, companions)


def noise(seed: int = 0, width: int = 3, height: int = 2) -> Rgba:
    rgba = np.random.default_rng(seed).integers(1, 256, (height, width, 4), np.uint8)
    rgba[..., 3] = 255
    return rgba


def save(path: Path, rgba: Rgba) -> Path:
    png.write(path, rgba)
    return path


@settings(deadline=None)  # writes files
@given(pictures, st.integers(0, 3), st.integers(0, 3))
def test_the_kept_box_holds_all_that_is_visible_and_its_companions_alike(
    tmp_path_factory: pytest.TempPathFactory, rgba: Rgba, left: int, top: int
) -> None:
    folder = tmp_path_factory.getbasetemp()
    whole = np.pad(rgba, ((top, 1), (left, 0), (0, 0)))
    glow = noise(1, whole.shape[1], whole.shape[0])
    paths = [save(folder / "frame.png", whole)], {"emissive": [save(folder / "glow.png", glow)]}
    (one,) = read(["a"], *paths, trim=True)
    x, y, width, height = one.box
    back = np.zeros_like(whole)
    back[y : y + height, x : x + width] = one.kept
    assert np.array_equal(back[..., 3], whole[..., 3])
    assert np.array_equal(one.companions["emissive"], glow[y : y + height, x : x + width])
    visible = one.kept[..., 3] > 0
    if visible.any():
        assert all(edge.any() for edge in (visible[0], visible[-1], visible[:, 0], visible[:, -1]))
    else:
        assert one.box == (0, 0, 1, 1)
    (untrimmed,) = read(["a"], *paths, trim=False)
    assert np.array_equal(untrimmed.kept, whole)
    assert untrimmed.box == (0, 0, *untrimmed.source)


def test_equal_frames_are_stored_once_and_the_first_by_name_is() -> None:
    shared = share([cut("c", noise()), cut("b", noise(1)), cut("a", noise())], duplicates=True, mirrors=False)
    assert (shared.stored, shared.shown_by, shared.mirrored) == ((2, 1), (2, 1, 2), (False, False, False))


def test_a_mirror_image_is_stored_once_if_asked_for() -> None:
    cuts = [cut("a", noise()), cut("b", noise()[:, ::-1])]
    assert share(cuts, duplicates=True, mirrors=False).stored == (0, 1)
    shared = share(cuts, duplicates=True, mirrors=True)
    assert (shared.stored, shared.shown_by, shared.mirrored) == ((0,), (0, 0), (False, True))


def test_a_symmetric_frame_is_equal_and_not_mirrored() -> None:
    rgba = np.concatenate([noise(), noise()[:, ::-1]], axis=1)
    shared = share([cut("a", rgba), cut("b", rgba)], duplicates=True, mirrors=True)
    assert (shared.stored, shared.mirrored) == ((0,), (False, False))


def test_mirrors_alone_leave_equal_frames_apart() -> None:
    cuts = [cut("a", noise()), cut("b", noise()), cut("c", noise()[:, ::-1])]
    shared = share(cuts, duplicates=False, mirrors=True)
    assert (shared.stored, shared.shown_by) == ((0, 1), (0, 1, 0))


def test_frames_of_different_companions_are_different() -> None:
    cuts = [cut("a", noise(), normal=noise(1)), cut("b", noise(), normal=noise(2))]
    assert share(cuts, duplicates=True, mirrors=True).stored == (0, 1)
    same = [cut("a", noise(), normal=noise(1)), cut("b", noise(), normal=noise(1))]
    assert share(same, duplicates=True, mirrors=True).stored == (0,)


def test_colors_under_alpha_0_and_the_place_in_the_source_do_not_count() -> None:
    rgba, other = noise(), noise()
    rgba[0, 0], other[0, 0] = (9, 9, 9, 0), 0
    moved = Cut("b", (9, 9), (4, 5, 3, 2), other, {})
    assert share([cut("a", rgba), moved], duplicates=True, mirrors=False).stored == (0,)


def test_pictures_of_equal_bytes_and_another_shape_are_different() -> None:
    rgba = noise(width=4, height=2)
    cuts = [cut("a", rgba), cut("b", rgba.reshape(4, 2, 4))]
    assert share(cuts, duplicates=True, mirrors=True).stored == (0, 1)


@given(st.lists(pictures, min_size=1, max_size=6), st.booleans(), st.booleans())
def test_every_frame_can_be_shown_by_what_is_stored(some: list[Rgba], duplicates: bool, mirrors: bool) -> None:
    cuts = [cut(f"f{number}", rgba) for number, rgba in enumerate([*some, some[0], some[-1][:, ::-1]])]
    shared = share(cuts, duplicates, mirrors)
    for number, one in enumerate(cuts):
        kept = cuts[shared.shown_by[number]].kept
        shown = kept[:, ::-1] if shared.mirrored[number] else kept
        assert np.array_equal(shown[..., 3], one.kept[..., 3])
        assert np.array_equal(shown[shown[..., 3] > 0], one.kept[shown[..., 3] > 0])
    assert not any(shared.mirrored) or mirrors
    assert set(shared.shown_by) == set(shared.stored)


# Broken files


def test_an_animated_png_is_an_error_that_says_so(tmp_path: Path) -> None:
    stills = [Image.fromarray(noise(seed)) for seed in range(2)]
    stills[0].save(tmp_path / "a.png", save_all=True, append_images=stills[1:])
    with pytest.raises(StageError, match=r"a\.png: an animation, .*: save each of its frames as a PNG"):
        read(["a"], [tmp_path / "a.png"], {}, trim=False)


def test_cmyk_is_no_png(tmp_path: Path) -> None:
    Image.new("CMYK", (2, 2)).save(tmp_path / "a.png", format="JPEG")
    with pytest.raises(StageError, match=r"a\.png: not a PNG but a JPEG\n\nhint: a sheet holds PNGs of 8 bits"):
        read(["a"], [tmp_path / "a.png"], {}, trim=False)


def test_a_damaged_png_is_an_error(tmp_path: Path) -> None:
    data = save(tmp_path / "a.png", noise(width=20, height=20)).read_bytes()
    (tmp_path / "a.png").write_bytes(data[: len(data) // 2])
    with pytest.raises(StageError, match=r"a\.png: damaged PNG"):
        read(["a"], [tmp_path / "a.png"], {}, trim=False)


def test_a_palette_with_alpha_is_read_exactly(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([1, 2, 3, 4, 5, 6])
    image.putpixel((1, 0), 1)
    image.save(tmp_path / "a.png", transparency=bytes([128, 7]))
    (one,) = read(["a"], [tmp_path / "a.png"], {}, trim=False)
    assert one.kept.tolist() == [[[1, 2, 3, 128], [4, 5, 6, 7]]]


def test_a_companion_of_another_size_is_named(tmp_path: Path) -> None:
    paths = [save(tmp_path / "a.png", noise())], {"normal": [save(tmp_path / "n.png", noise(width=4))]}
    with pytest.raises(StageError, match=r"n\.png: the normal picture of 'a' has another size") as caught:
        read(["a"], *paths, trim=True)
    assert caught.value.facts == (("frame", "3x2"), ("normal", "4x2"))


def test_more_pixels_than_memory_should_hold_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "MAX_ALL_PIXELS", 11)
    path = save(tmp_path / "a.png", noise())
    with pytest.raises(StageError, match="the first 2 frames alone are"):
        read(["a", "b", "c"], [path] * 3, {}, trim=False)


def test_every_frame_needs_each_companion() -> None:
    paths = {"normal-0": Path("n0"), "normal-1": Path("n1"), "the-glow-0": Path("g0"), "the-glow-1": Path("g1")}
    assert frames.by_role(paths, 2) == {
        "normal": [Path("n0"), Path("n1")],
        "the-glow": [Path("g0"), Path("g1")],
    }
    with pytest.raises(StageError, match="2 normal pictures for 3 frames"):
        frames.by_role(paths, 3)


@pytest.mark.parametrize("key", ["normal", "-0", "7-0", "normal-x"])
def test_a_companion_that_is_called_otherwise_is_an_error(key: str) -> None:
    with pytest.raises(StageError):
        frames.by_role({key: Path("a")}, 1)
