"""GIFs, decoded again by Pillow."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from animated import decoded, hard, patterns, same, stacks, times
from hypothesis import given
from hypothesis import strategies as st

from spritebuild_stages.exports import gif
from spritebuild_stages.exports.previews import merged
from spritebuild_stages.images.png import Rgba


@given(stacks, st.data())
def test_a_gif_has_the_pixels_and_the_times(stack: Rgba, data: st.DataObject) -> None:
    frames, durations = merged(list(hard(stack)), [data.draw(times) for _ in stack])
    seen, delays, _ = decoded(gif.encode(frames, durations))
    assert same(seen, frames)
    assert abs(sum(delays) - sum(durations)) <= 5 or len(frames) == 1
    for count in range(1, len(frames) + 1):
        assert abs(10 * sum(gif.delays(durations)[:count]) - sum(durations[:count])) <= 5
    if len(frames) > 1:
        assert delays == [10 * delay for delay in gif.delays(durations)]


def test_a_gif_carries_what_it_rounds_off() -> None:
    assert gif.delays([83] * 6) == [8, 9, 8, 8, 9, 8]
    assert gif.delays([16] * 4) == [2, 2, 2, 2]  # never less than browsers show
    assert gif.delays([33, 33, 34]) == [3, 4, 3]
    with pytest.raises(ValueError, match=r"at most 655\.35 s, not 700\.0"):
        gif.delays([700_000])


@given(st.integers(2, 8), st.data())
def test_lzw_is_what_pillow_reads(bits: int, data: st.DataObject) -> None:
    width = data.draw(st.integers(1, 90))
    height = data.draw(st.integers(1, 90))
    seed = data.draw(st.integers(0, 2**32))
    colors = data.draw(st.integers(1, (1 << bits) - 1))
    rng = np.random.default_rng(seed)
    frame = np.zeros((height, width, 4), np.uint8)
    frame[..., 0] = rng.integers(0, colors, (height, width))
    frame[..., 3] = 255
    (seen,), _, _ = decoded(gif.encode([frame], [100]))
    assert np.array_equal(seen, frame)


def test_lzw_starts_a_new_table_when_the_old_one_is_full() -> None:
    frame = np.full((200, 200, 4), 255, np.uint8)
    frame[..., 0] = np.random.default_rng(0).integers(0, 255, (200, 200))
    (seen,), _, _ = decoded(gif.encode([frame], [100]))
    assert np.array_equal(seen, frame)


def test_colors_beyond_255_get_a_palette_for_each_frame() -> None:
    frames = [np.full((15, 17, 4), 255, np.uint8) for _ in range(2)]
    for number, frame in enumerate(frames):
        frame[..., 0] = np.arange(255).reshape(15, 17)
        frame[..., 1] = number
    seen, _, _ = decoded(gif.encode(frames, [100, 100]))
    assert same(seen, frames)


def test_a_gif_says_what_it_cannot_show() -> None:
    many = np.full((16, 16, 4), 255, np.uint8)
    many[..., 0] = np.arange(256).reshape(16, 16)
    with pytest.raises(ValueError, match="at most 255 colors a frame, not 256"):
        gif.encode([many], [100])
    with pytest.raises(ValueError, match="no partial alpha, and 256 pixels have some"):
        gif.encode([np.full((16, 16, 4), 128, np.uint8)], [100])
    with pytest.raises(ValueError, match="at most 65535 pixels a side, not 65536x1"):
        gif.encode([np.zeros((1, 65536, 4), np.uint8)], [100])


def test_the_bytes_are_the_same_everywhere() -> None:
    digest = hashlib.sha256(gif.encode(patterns(), [83] * 3)).hexdigest()
    assert digest == "b2fe916d87e542f42e0301dd3182362167c040424c682e590e9470038f6165d2"
