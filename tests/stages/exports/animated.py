"""Frames that animations are made of, and animated pictures as Pillow reads them; knows no sheets."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from spritebuild_stages.images.png import Rgba

# Few values, so that frames often are equal in part.
values = st.sampled_from((0, 1, 128, 255))
sizes = st.tuples(st.integers(1, 5), st.integers(1, 9), st.integers(1, 9), st.just(4))
stacks = sizes.flatmap(lambda shape: arrays(np.uint8, shape, elements=values, fill=st.just(0)))
times = st.integers(20, 5000)


def hard(stack: Rgba) -> Rgba:
    """The same with alpha 0 or 255, and nothing hidden."""
    result = stack.copy()
    result[..., 3] = np.where(stack[..., 3] > 127, 255, 0)
    result[result[..., 3] == 0] = 0
    return result


def decoded(data: bytes) -> tuple[list[Rgba], list[int], dict[str, Any]]:
    """The frames of a file, their milliseconds, and what it says of itself."""
    with Image.open(io.BytesIO(data)) as image:
        frames, durations = [], []
        for number in range(getattr(image, "n_frames", 1)):
            image.seek(number)
            frames.append(cleared(np.array(image.convert("RGBA"))))
            durations.append(round(image.info.get("duration", 0)))
        return frames, durations, dict(image.info)


def cleared(rgba: Rgba) -> Rgba:
    rgba[rgba[..., 3] == 0] = 0
    return rgba


def same(first: Sequence[Rgba], second: Sequence[Rgba]) -> bool:
    return len(first) == len(second) and all(map(np.array_equal, first, second))


def patterns() -> list[Rgba]:
    """Three frames of three colors and none, by arithmetic alone."""
    place = np.arange(63).reshape(7, 9)
    colors = np.array([(0, 0, 0, 0), (255, 0, 0, 255), (0, 9, 200, 255), (80, 80, 80, 255)], np.uint8)
    return [colors[place * place % (number + 5) % 4] for number in range(3)]
