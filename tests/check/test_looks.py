"""Fingerprints: what they say of a picture, whatever its file is like."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import imagehash
import numpy as np
import pytest
import scipy.fft
from PIL import Image
from sets import SPRITES

import spritebuild.check.looks as looks_module
from spritebuild.check.looks import BATCH, looks, looks_of, same_looks


def saved(path: Path, rgba: np.ndarray, **options: object) -> Path:
    Image.fromarray(rgba).save(path, **options)
    return path


@pytest.mark.skipif(not SPRITES.is_dir(), reason="needs the shared sprites")
def test_hashes_are_those_of_imagehash() -> None:
    for path in sorted(SPRITES.rglob("*.png"))[::40]:
        image = Image.open(path).convert("RGBA")
        ground = Image.new("RGBA", image.size, (128, 128, 128, 255))
        flat = Image.alpha_composite(ground, image).convert("RGB")
        seen = looks(path)
        assert (seen["phash"], seen["dhash"]) == (str(imagehash.phash(flat)), str(imagehash.dhash(flat))), path


def test_pixels_are_named_whatever_is_hidden_and_however_they_are_encoded(tmp_path: Path) -> None:
    rgba = np.zeros((4, 4, 4), np.uint8)
    rgba[1, 1] = (200, 0, 0, 255)
    first = looks(saved(tmp_path / "a.png", rgba, compress_level=9))
    rgba[0, 0, :3] = 77
    assert looks(saved(tmp_path / "b.png", rgba, compress_level=0)) == first
    rgba[2, 2] = (200, 0, 0, 255)
    assert looks(saved(tmp_path / "c.png", rgba))["pixels"] != first["pixels"]
    assert looks(saved(tmp_path / "d.png", rgba.reshape(2, 8, 4)))["pixels"] != looks(tmp_path / "c.png")["pixels"]


def test_palette_is_listed_sorted_unless_it_is_long(tmp_path: Path) -> None:
    rgba = np.zeros((9, 9, 4), np.uint8)
    rgba[0, :3] = [(9, 8, 7, 255), (1, 2, 3, 255), (1, 2, 3, 100)]
    seen = looks(saved(tmp_path / "few.png", rgba))
    assert (seen["colors"], seen["palette"], seen["soft"]) == (2, "010203090807", 1)
    rgba[..., 0] = np.arange(81).reshape(9, 9)
    rgba[..., 3] = 255
    seen = looks(saved(tmp_path / "many.png", rgba))
    assert (seen["colors"], seen.get("palette"), seen.get("soft")) == (81, None, None)


@pytest.mark.parametrize("data", [b"", b"{}", b"GIMP Palette\n", b"\x89PNG\r\n\x1a\n and no more"])
def test_what_is_no_picture_has_none(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "file").write_bytes(data)
    assert looks(tmp_path / "file") == {}
    assert not same_looks({}, {})


def test_many_together_are_seen_as_each_alone(tmp_path: Path) -> None:
    numbers = np.random.default_rng(7)
    paths = []
    for number in range(2 * BATCH + 1):
        height, width = numbers.integers(1, 40, 2) if number % 3 else (8, 6)
        rgba = numbers.integers(0, 256, (height, width, 4), np.uint8)
        rgba[..., 3] = np.where(rgba[..., 3] > 99, 255, rgba[..., 3] * (number % 2))
        paths.append(saved(tmp_path / f"{number}.png", rgba // 64 * 64 if number % 5 else np.zeros_like(rgba)))
        if number % 50 == 0:
            paths.append(tmp_path / f"{number}.json")
            paths[-1].write_bytes(b"{}")
    assert list(looks_of(paths)) == [looks(path) for path in paths]
    assert list(looks_of([])) == []


def test_the_dct_is_scipy_s_wherever_it_lies(monkeypatch: pytest.MonkeyPatch) -> None:
    grays = np.random.default_rng(0).random((3, 32, 32))
    expected = scipy.fft.dct(grays, axis=1)
    assert (looks_module._dct()(grays, 1) == expected).all()
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr("importlib.util.spec_from_file_location", lambda *_: None)
        assert (looks_module._dct.__wrapped__()(grays, 1) == expected).all()
    check = "import sys; import spritebuild.check.looks as looks; looks._dct(); print('scipy.fft' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], capture_output=True, text=True).stdout.strip() == "False"
