"""What a training set is on the disk, and the sheet to look at."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sets import OPAQUE, sprite

from spritebuild.errors import UsageError
from spritebuild_stages.datasets import artifact, contact_sheet
from spritebuild_stages.images import png

# The artifact


def example(number: int, **told: Any) -> artifact.Example:
    return artifact.Example(
        **{"name": f"{number}.png", "captions": ("a", "b"), "pixels": sprite(number, 4 + number), **told}
    )


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    examples = (example(0), example(1, repeats=3, weight=0.1, held_out=True, labels={"view": "left"}))
    files = tmp_path / "images", tmp_path / "manifest"
    artifact.write(*files, artifact.Dataset(examples, ("t",)), skipped=[artifact.Skipped("x.png", "why")])
    read = artifact.read(*files)
    assert read.triggers == ("t",)
    for before, after in zip(examples, read.examples, strict=True):
        assert np.array_equal(before.pixels, after.pixels)
        assert after.pixels.dtype == np.uint8
        assert {**vars(before), "pixels": 0} == {**vars(after), "pixels": 0}
    assert json.loads(files[1].read_bytes())["skipped"] == [{"name": "x.png", "reason": "why"}]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images_sha256": "0" * 64}, "the pictures are not those of the manifest"),
        ({"version": 2}, "not the manifest of a training set of version 1"),
        ({"pictures": []}, "pictures that are not in the manifest: 2"),
        ({"pictures": [{}, {}, {}]}, "no training set"),
        ({"pictures": [{"name": "a"}, {}]}, "no training set"),
    ],
)
def test_files_that_are_no_set_are_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    files = tmp_path / "images", tmp_path / "manifest"
    artifact.write(*files, artifact.Dataset((example(0), example(1))))
    files[1].write_text(json.dumps(json.loads(files[1].read_bytes()) | change))
    with pytest.raises(UsageError, match=message) as caught:
        artifact.read(*files)
    assert caught.value.hint == "take both files from one run of the dataset stage"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("size", [9, 9]),
        ("captions", []),
        ("repeats", 0),
        ("weight", -1),
        ("weight", float("nan")),
        ("size", 3),
        ("labels", 3),
    ],
)
def test_entry_that_says_what_cannot_be_is_refused(tmp_path: Path, key: str, value: Any) -> None:
    files = tmp_path / "images", tmp_path / "manifest"
    artifact.write(*files, artifact.Dataset((example(0),)))
    manifest = json.loads(files[1].read_bytes())
    manifest["pictures"][0][key] = value
    files[1].write_text(json.dumps(manifest))
    with pytest.raises(UsageError, match="no training set"):
        artifact.read(*files)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff"])
def test_manifest_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "images").write_bytes(b"")
    (tmp_path / "manifest").write_bytes(content)
    with pytest.raises(UsageError):
        artifact.read(tmp_path / "images", tmp_path / "manifest")


# The contact sheet


def shown(sheet: NDArray[np.uint8], picture: NDArray[np.uint8]) -> bool:
    """Whether a picture without transparent pixels is somewhere on the sheet."""
    height, width = picture.shape[:2]
    corners = np.argwhere((sheet[: 1 - height or None, : 1 - width or None] == picture[0, 0]).all(axis=2))
    return any(np.array_equal(sheet[y : y + height, x : x + width], picture) for y, x in corners)


def test_sheet_shows_small_pictures_enlarged_and_translucent_ones_on_a_checkered_ground() -> None:
    picture = sprite(1, 32, 32) | OPAQUE
    empty = np.zeros((32, 32, 4), np.uint8)
    examples = (example(0, pixels=picture), example(1, pixels=empty))
    sheet = contact_sheet.contact_sheet(artifact.Dataset(examples), "two")
    assert (sheet[..., 3] == 255).all()
    assert shown(sheet, picture.repeat(4, 0).repeat(4, 1))
    checker = [np.full((8, 8, 4), (*color, 255), np.uint8) for color in contact_sheet.CHECKER]
    assert shown(sheet, np.hstack([np.vstack(checker), np.vstack(checker[::-1])]))


def test_sheet_frames_what_is_held_out_and_shows_at_most_120() -> None:
    many = artifact.Dataset(tuple(example(0, held_out=number == 0) for number in range(500)))
    sheet = contact_sheet.contact_sheet(many, "many")
    frame = (sheet[..., :3] == contact_sheet.HELD_OUT).all(axis=2)
    assert np.count_nonzero(frame) == 132**2 - 128**2
    assert sheet.shape == (36 + 12 + 15 * (128 + 2 * 12 + 12), 12 + 8 * 140, 4)


@pytest.mark.parametrize("side", [200, 256, 700])
def test_sheet_of_large_pictures_is_within_the_limit(side: int) -> None:
    picture = np.tile(sprite(1, 8, 8) | OPAQUE, (side // 8, side // 8, 1))
    sheet = contact_sheet.contact_sheet(
        artifact.Dataset((example(0, pixels=picture, captions=("ä " * 99 + "字",)),) * 130), "many"
    )
    png.check_size(sheet.shape[1], sheet.shape[0])
    assert shown(sheet, picture[:: -(-side // 256), :: -(-side // 256)])
