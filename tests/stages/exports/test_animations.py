"""Animations written out for engines that know neither directions nor repeats."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spritebuild.errors import StageError
from spritebuild_stages.exports import animations, texts
from spritebuild_stages.exports.animations import Animation
from spritebuild_stages.sheets.layout import Direction, Frame, Layout, Page, Tag


def layout(*durations: int, tags: tuple[Tag, ...] = ()) -> Layout:
    frames = tuple(
        Frame(name=f"hero_{number}", page=0, x=number, y=0, box=(0, 0, 1, 1), source=(1, 1), duration=duration)
        for number, duration in enumerate(durations)
    )
    return Layout(name="hero", pages=(Page(image="hero.png", width=99, height=1),), frames=frames, tags=tags)


def of(*durations: int) -> Animation:
    return Animation("walk", layout(*durations).frames, loop=True)


@pytest.mark.parametrize(
    ("direction", "repeat", "shown"),
    [
        ("forward", 0, "123"),
        ("reverse", 2, "321321"),
        ("pingpong", 0, "1232"),
        ("pingpong", 2, "12321232"),
        ("pingpong_reverse", 1, "3212"),
    ],
)
def test_all_passes_are_written_out(direction: Direction, repeat: int, shown: str) -> None:
    tag = Tag(name="walk", first=1, last=3, direction=direction, repeat=repeat)
    (found,) = animations.of_tags(layout(100, 100, 100, 100, 100, tags=(tag,)))
    assert "".join(frame.name.removeprefix("hero_") for frame in found.frames) == shown
    assert found.loop is (repeat == 0)


def test_frames_of_no_tag_are_left_over() -> None:
    tags = (Tag(name="a", first=1, last=2), Tag(name="b", first=2, last=3))
    left = animations.untagged(layout(*[100] * 6, tags=tags))
    assert [frame.name for frame in left] == ["hero_0", "hero_4", "hero_5"]


@given(st.lists(st.integers(1, 200), min_size=1, max_size=8))
def test_frames_are_held_for_exactly_their_time(durations: list[int]) -> None:
    animation = of(*durations)
    held = animation.held("an engine", "hint")
    for frame in animation.frames:
        assert sum(one is frame for one in held) * animation.unit == frame.duration
    assert [frame for n, frame in enumerate(held) if n == 0 or frame is not held[n - 1]] == list(animation.frames)


def test_the_unit_and_the_usual_duration() -> None:
    assert (of(100, 250, 50).unit, of(100, 250, 100).usual, of(90, 80).usual) == (50, 100, 80)


def test_too_many_frames_are_refused() -> None:
    with pytest.raises(StageError, match="'walk' would need 4,097 of them, more than 4,096"):
        of(4096, 1).held("an engine", "hint")
    assert len(of(4095, 1).held("an engine", "hint")) == 4096
    with pytest.raises(StageError, match="shows 4,098 frames in all its repeats"):
        animations.of_tags(layout(1, 1, tags=(Tag(name="walk", first=0, last=1, repeat=2049),)))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (-0.0, "0"),
        (1.0, "1"),
        (0.5, "0.5"),
        (1 / 3, "0.3333333"),
        (-1e-9, "0"),
        (1e6, "1000000"),
        (-2.5, "-2.5"),
    ],
)
def test_numbers_have_the_fewest_digits(value: float, text: str) -> None:
    assert texts.number(value) == text


@given(st.floats(-1e6, 1e6))
def test_numbers_are_near_what_they_stand_for(value: float) -> None:
    assert float(texts.number(value)) == pytest.approx(value, abs=5.1e-8)
    assert "e" not in texts.number(value)
