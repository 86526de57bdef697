"""Frames and animations as the documents beside pictures tell of them, of any tool."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spritebuild.review.frames import DURATION, Animation, Frame, Tag, read

FILES = {"hero.png": "1", "hero-1.png": "2", "pages/hero.png": "3", "hero.json": "4"}


def rectangle(x: int, y: int, width: int, height: int) -> dict[str, int]:
    return {"x": x, "y": y, "w": width, "h": height}


def document(frames: Any, image: str = "hero.png", **meta: Any) -> bytes:
    return json.dumps({"frames": frames, "meta": {"image": image, **meta}}).encode()


def tag(name: str, first: int, last: int) -> dict[str, Any]:
    return {"name": name, "from": first, "to": last, "direction": "pingpong"}


def test_a_trimmed_frame_lies_somewhere_in_its_source() -> None:
    frame = {
        "frame": rectangle(8, 4, 5, 6),
        "spriteSourceSize": rectangle(1, 2, 5, 6),
        "sourceSize": {"w": 16, "h": 12},
        "duration": 40,
    }
    found = read({"hero.json": document({"walk-0": frame})}, FILES)
    assert found.frames == (Frame("walk-0", "hero.png", (8, 4, 5, 6), (1, 2), (16, 12), 40),)


def test_a_frame_of_which_little_is_said_is_whole_and_lasts_as_long_as_usual() -> None:
    found = read({"hero.json": document([{"filename": "a", "frame": rectangle(0, 0, 3, 2)}])}, FILES)
    assert found.frames == (Frame("a", "hero.png", (0, 0, 3, 2), (0, 0), (3, 2), DURATION),)


def test_the_tags_of_a_second_page_count_on_from_the_first() -> None:
    one = [{"filename": name, "frame": rectangle(0, 0, 1, 1)} for name in "ab"]
    documents = {
        "hero-1.json": document(one, "hero-1.png", frameTags=[tag("run", 0, 1)]),
        "hero.json": document(one, frameTags=[tag("walk", 1, 1)]),
    }
    found = read(documents, FILES)
    assert [frame.image for frame in found.frames] == ["hero-1.png", "hero-1.png", "hero.png", "hero.png"]
    assert found.tags == (Tag("run", 0, 1, "pingpong"), Tag("walk", 3, 3, "pingpong"))


def test_of_two_documents_of_a_picture_the_one_with_animations_is_heard() -> None:
    plain = [{"filename": "0", "frame": rectangle(0, 0, 1, 1)}]
    told = [{"filename": "walk", "frame": rectangle(0, 0, 1, 1), "duration": 70}]
    documents = {"a.json": document(plain), "b.json": document(told, frameTags=[tag("w", 0, 0)])}
    found = read(documents, FILES)
    assert [(frame.name, frame.duration) for frame in found.frames] == [("walk", 70)]


def test_a_picture_is_looked_for_beside_its_document() -> None:
    frames = [{"filename": "0", "frame": rectangle(0, 0, 1, 1)}]
    assert [f.image for f in read({"pages/a.json": document(frames)}, FILES).frames] == ["pages/hero.png"]
    assert read({"elsewhere/a.json": document(frames)}, FILES) == Animation()
    assert read({"a.json": document(frames, "../hero.png")}, FILES) == Animation()


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"\xff",
        b"[]",
        b"[" * 100_000,
        b'{"frames": {}, "meta": []}',
        b'{"frames": 1, "meta": {"image": "hero.png"}}',
        b'{"frames": [1], "meta": {"image": "hero.png"}}',
        document({"a": {"frame": rectangle(-1, 0, 1, 1)}}),
        document({"a": {"frame": rectangle(0, 0, 1 << 17, 1)}}),
        document({"a": {"frame": {"x": 0, "y": 0, "w": True, "h": 1}}}),
        document({"a": {"frame": rectangle(0, 0, 1, 1)}}, frameTags=[1]),
        document({"a": {"frame": rectangle(0, 0, 1, 1)}}, "other.png"),
    ],
)
def test_what_is_no_such_document_is_passed_over(text: bytes) -> None:
    assert read({"a.json": text}, FILES) == Animation()


@pytest.mark.parametrize("span", [(0, 2), (-1, 0), (1, 0), ("0", 1), (None, None), (True, True)])
def test_a_tag_beyond_the_frames_is_left_out(span: tuple[Any, Any]) -> None:
    frames = [{"filename": name, "frame": rectangle(0, 0, 1, 1)} for name in "ab"]
    found = read({"a.json": document(frames, frameTags=[tag("bad", *span), tag("good", 0, 1)])}, FILES)
    assert [each.name for each in found.tags] == ["good"]


@pytest.mark.parametrize("duration", [0, -5, 1.5, "100", None, 1 << 40])
def test_a_duration_that_is_none_counts_as_the_usual_one(duration: Any) -> None:
    frames = [{"filename": "a", "frame": rectangle(0, 0, 1, 1), "duration": duration}]
    assert read({"a.json": document(frames)}, FILES).frames[0].duration == DURATION


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.just("hero.png"),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["frames", "meta", "image", "frame", "filename", "frameTags", "x", "y", "w", "h", "from"]
                ),
                inner,
                max_size=5,
            )
        ),
    )
)
def test_no_document_raises(value: Any) -> None:
    for frame in read({"a.json": json.dumps(value).encode()}, FILES).frames:
        assert frame.image in FILES
