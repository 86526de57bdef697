"""Animations to look at, in a browser, a chat or a pull request: GIF, APNG and WebP with the right frame times.

A file for every tag, `hero-walk.gif`, or one of all frames where a sheet has no tags. Frames lie upon each other by
their pivots if all of an animation have one, else by their top left corners. Equal frames that follow each other become
one of their times' sum. APNG and WebP count milliseconds; GIF hundredths of a second, so what is rounded off a frame is
carried to the next, and the total is right within 5 ms. GIFs and APNGs have the same bytes on every machine; those of a
WebP are libwebp's, the same for the same version. Files are called `.gif`, `.png` (an APNG is one) and `.webp`.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from spritebuild.errors import StageError
from spritebuild_stages.exports import sheet
from spritebuild_stages.exports.sheet import Sheet
from spritebuild_stages.sheets.layout import Frame, Layout

if TYPE_CHECKING:
    from spritebuild_stages.images.png import Rgba

Format = Literal["gif", "apng", "webp"]

MAX_PIXELS = 1 << 25  # of all frames: 128 MiB, and several times that while they are encoded
MAX_WEBP_SIDE = 16383
MAX_WEBP_PLAYS = (1 << 16) - 1
SUFFIXES = {"gif": ".gif", "apng": ".png", "webp": ".webp"}
UNFIT = re.compile(r'[/\\:*?"<>|\x00-\x1f]')  # for a file's name, on one system or another
HINTS = {
    "gif": "finish the sprites with alpha and quantize, say a smaller scale, or leave gif out",
    "apng": "say a smaller scale in the export, or leave apng out of the formats",
    "webp": "say a smaller scale in the export, or leave webp out of the formats",
}


class Options(sheet.Options):
    """Animated previews."""

    kind: Literal["previews"]
    formats: Annotated[tuple[Format, ...], Field(min_length=1)] = Field(
        ("apng",), description="What to write. A GIF has no partial alpha and at most 255 colors a frame."
    )
    scale: int = Field(1, ge=1, le=64, description="The side in pixels that every pixel becomes.")


def write(sheets: Sequence[Sheet], folder: Path, options: Options) -> None:
    """Write a file for every tag and format, by category.

    Raises StageError where a format cannot show an animation exactly, and for a tag that cannot be a file's name.
    """
    for one in sheets:
        place = folder / one.category
        place.mkdir(parents=True, exist_ok=True)
        pictures = dict(zip((frame.name for frame in one.layout.frames), one.pictures(), strict=True))
        for name, frames, plays in _animations(one.layout):
            for format in dict.fromkeys(options.formats):
                try:
                    cells = laid([(frame, pictures[frame.name]) for frame in frames])
                    shown, durations = merged(cells, [frame.duration for frame in frames])
                    data = encode(format, _scaled(shown, options.scale), durations, plays)
                except ValueError as error:
                    raise StageError(str(error), facts=[("animation", name)], hint=HINTS[format]) from error
                _put(place, name + SUFFIXES[format], data)


def laid(frames: Sequence[tuple[Frame, Rgba]]) -> list[Rgba]:
    """Pictures (H, W, 4) on canvases of one size, what is hidden under alpha 0 cleared.

    They lie upon each other by their pivots, rounded to whole pixels, if all have one; else by their top left corners.
    Raises ValueError for pivots so far apart that the canvas would have more than 16 Mpx.
    """
    import numpy as np

    from spritebuild_stages.images import png
    from spritebuild_stages.ops.alpha import clear_hidden

    pivots = [frame.pivot for frame, _ in frames if frame.pivot]
    if len(pivots) < len(frames):
        pivots = [(0.0, 0.0)] * len(frames)
    anchors = [(math.floor(x + 0.5), math.floor(y + 0.5)) for x, y in pivots]
    left, top = max(x for x, _ in anchors), max(y for _, y in anchors)
    boxes = [(left - x, top - y, *picture.shape[1::-1]) for (x, y), (_, picture) in zip(anchors, frames, strict=True)]
    size = max(y + height for _, y, _, height in boxes), max(x + width for x, _, width, _ in boxes)
    png.check_size(size[1], size[0])
    cells = []
    for (x, y, width, height), (_, picture) in zip(boxes, frames, strict=True):
        cell = np.zeros((*size, 4), np.uint8)
        cell[y : y + height, x : x + width] = clear_hidden(picture)
        cells.append(cell)
    return cells


def merged(frames: Sequence[Rgba], durations: Sequence[int]) -> tuple[list[Rgba], list[int]]:
    """The frames without those that equal the one before, which lasts the longer for it."""
    import numpy as np

    shown: list[Rgba] = []
    times: list[int] = []
    for frame, duration in zip(frames, durations, strict=True):
        if shown and np.array_equal(shown[-1], frame):
            times[-1] += duration
        else:
            shown.append(frame)
            times.append(duration)
    return shown, times


def encode(format: Format, frames: Sequence[Rgba], durations: Sequence[int], plays: int) -> bytes:
    """The file of an animation, of which no two frames are equal that follow each other; `plays` 0 is forever.

    Raises ValueError where the format cannot show it exactly.
    """
    from spritebuild_stages.exports import apng, gif

    match format:
        case "gif":
            return gif.encode(frames, durations, plays)
        case "apng":
            return apng.encode(frames, durations, plays)
        case "webp":
            return _webp(frames, durations, plays)


def _webp(frames: Sequence[Rgba], durations: Sequence[int], plays: int) -> bytes:
    """A lossless WebP; a single frame gives a still one, which has no time."""
    from PIL import Image

    height, width = frames[0].shape[:2]
    if max(width, height) > MAX_WEBP_SIDE:
        raise ValueError(f"a WebP has at most {MAX_WEBP_SIDE} pixels a side, not {width}x{height}")
    first, *others = [Image.fromarray(frame) for frame in frames]
    file = io.BytesIO()
    told = {"duration": list(durations), "loop": min(plays, MAX_WEBP_PLAYS)} if others else {}
    first.save(file, "WEBP", save_all=True, append_images=others, lossless=True, **told)
    return file.getvalue()


def _animations(layout: Layout) -> list[tuple[str, tuple[Frame, ...], int]]:
    """The files' names, the frames in the order in which they are shown, and how often."""
    if not layout.tags:
        return [(layout.name, layout.frames, 0)]
    return [(f"{layout.name}-{tag.name}", layout.of_tag(tag), tag.repeat) for tag in layout.tags]


def _scaled(frames: Sequence[Rgba], factor: int) -> list[Rgba]:
    from spritebuild_stages.ops.scale import nearest

    height, width = frames[0].shape[:2]
    pixels = len(frames) * height * width * factor**2
    if pixels > MAX_PIXELS:
        raise ValueError(
            f"{len(frames)} frames of {width * factor}x{height * factor} are {pixels / 1e6:.1f} Mpx, "
            f"more than {MAX_PIXELS / 1e6:.1f}"
        )
    return [nearest(frame, factor) for frame in frames]


def _put(folder: Path, name: str, data: bytes) -> None:
    if UNFIT.search(name):
        raise StageError(f"{name!r} cannot be the name of a file everywhere", hint="rename the tag")
    try:
        with (folder / name).open("xb") as file:
            file.write(data)
    except FileExistsError as error:
        message = f"two previews would be called {name}"
        raise StageError(message, hint="rename a tag or a sheet") from error
