"""Animations for engines that know neither directions nor repeats: every shown frame in order; knows no game engine."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

from spritebuild.errors import StageError
from spritebuild_stages.sheets.layout import Frame, Layout

MAX_SHOWN = 4096  # frames of an animation that is written out, so that a large repeat cannot fill the disk


@dataclass(frozen=True)
class Animation:
    """The frames in the order in which they are shown, all passes of a finite one. `loop`: then again, forever."""

    name: str
    frames: tuple[Frame, ...]
    loop: bool

    @property
    def durations(self) -> tuple[int, ...]:
        """How long each frame is shown, in milliseconds."""
        return tuple(frame.duration for frame in self.frames)

    @property
    def unit(self) -> int:
        """The longest time, in milliseconds, of which every frame is shown a whole number."""
        return math.gcd(*self.durations)

    @property
    def usual(self) -> int:
        """The duration that most frames have, the shortest of equals."""
        counts = Counter(self.durations)
        return min(counts, key=lambda duration: (-counts[duration], duration))

    def held(self, engine: str, hint: str, most: int = MAX_SHOWN) -> tuple[Frame, ...]:
        """The frames for an engine without durations: each as often in a row as it is shown units of time.

        Raises StageError for more than `most` frames.
        """
        times = [duration // self.unit for duration in self.durations]
        if sum(times) > most:
            raise StageError(
                f"{engine} shows every frame of an animation for the same time, and {self.name!r} would need "
                f"{sum(times):,} of them, more than {most:,}",
                facts=[("durations", f"{', '.join(f'{duration}' for duration in sorted(set(self.durations)))} ms")],
                hint=hint,
            )
        return tuple(frame for frame, count in zip(self.frames, times, strict=True) for _ in range(count))


def of_tags(layout: Layout) -> tuple[Animation, ...]:
    """The animation of every tag, in their order. Raises StageError for two of one name, and for too many frames."""
    found: dict[str, Animation] = {}
    for tag in layout.tags:
        if tag.name in found:
            raise StageError(f"sheet {layout.name!r} has two tags {tag.name!r}", hint="rename one of them")
        frames, passes = layout.of_tag(tag), max(1, tag.repeat)
        if len(frames) * passes > MAX_SHOWN:
            raise StageError(
                f"tag {tag.name!r} shows {len(frames) * passes:,} frames in all its repeats, more than {MAX_SHOWN:,}",
                hint="say repeat = 0 for an animation without an end",
            )
        found[tag.name] = Animation(tag.name, frames * passes, loop=tag.repeat == 0)
    return tuple(found.values())


def untagged(layout: Layout) -> tuple[Frame, ...]:
    """The frames that no tag shows."""
    tagged = {number for tag in layout.tags for number in range(tag.first, tag.last + 1)}
    return tuple(frame for number, frame in enumerate(layout.frames) if number not in tagged)
