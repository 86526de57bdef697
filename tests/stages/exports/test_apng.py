"""APNGs, decoded again by Pillow."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from animated import cleared, decoded, patterns, same, stacks, times
from drawn_sheets import drawing
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from spritebuild_stages.exports import apng
from spritebuild_stages.exports.previews import merged
from spritebuild_stages.images.png import Rgba


@given(stacks, st.data())
def test_an_apng_has_the_pixels_and_the_times(stack: Rgba, data: st.DataObject) -> None:
    frames, durations = merged(list(stack), [data.draw(times) for _ in stack])
    seen, delays, _ = decoded(apng.encode(frames, durations))
    assert same(seen, [cleared(frame.copy()) for frame in frames])
    assert delays == durations


def test_an_apng_of_many_colors_is_true_color() -> None:
    frames = [drawing(number, 40, 30, alphas=tuple(range(256))) for number in range(2)]
    noise = np.random.default_rng(0).integers(0, 256, (2, 30, 40, 4), np.uint8)
    seen, delays, _ = decoded(apng.encode([*frames, *noise], [100, 20, 30, 40]))
    assert np.array_equal(np.stack(seen[2:]), np.stack([cleared(one.copy()) for one in noise]))
    assert same(seen[:2], frames)
    assert delays == [100, 20, 30, 40]


def test_a_frame_longer_than_an_apng_can_say_is_written_twice() -> None:
    frames = [drawing(number) for number in range(2)]
    seen, delays, _ = decoded(apng.encode(frames, [70_000, 10]))
    assert same(seen, [frames[0], frames[0], frames[1]])
    assert delays == [65_535, 4_465, 10]


def test_a_picture_without_animation_is_seen_in_the_first_frame(tmp_path: Path) -> None:
    frames = [drawing(number) for number in range(3)]
    (tmp_path / "a.png").write_bytes(apng.encode(frames, [10, 10, 10]))
    with Image.open(tmp_path / "a.png") as still:
        assert np.array_equal(still.convert("RGBA"), frames[0])


def test_the_bytes_are_the_same_everywhere() -> None:
    digest = hashlib.sha256(apng.encode(patterns(), [83] * 3)).hexdigest()
    assert digest == "6f3862964a436a7510dc26734490a31378061d3f305fb84e1b96e2226c2d8678"
