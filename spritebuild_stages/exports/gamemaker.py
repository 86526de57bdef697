"""GameMaker: a sprite for every tag, and for every frame without one, as strip images or as `.yy` files.

In GameMaker a sprite is an animation, and its frames are all of one size: smaller ones are laid on each other by their
pivots. A sprite is called `spr_hero_walk`, after the sheet and the tag, or `spr_hero_0`, after the frame.

- `format = "strip"` writes `spr_hero_walk_strip4.png`: dragged into the IDE, it becomes the sprite `spr_hero_walk` of
  four frames. A strip says nothing else. `sprites.gml` is a script whose function `sprites_setup()` sets origins,
  speeds and nine-slices when the game starts. A frame that is shown longer stands several times in a row.
- `format = "sprites"` writes `sprites/spr_hero_walk/spr_hero_walk.yy` with its pictures, for the project's folder, and
  `resources.txt`: the lines for `resources` in the project's `.yyp`. Here frames have their own times.

Sources: "Strip Images" in GameMaker's manual; sprites of YoYoGames/GM-TestFramework at 2dde983 (GameMaker 2024) for
the `.yy`, whose resourceVersion is 2.0.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field, field_validator, model_validator

from spritebuild.errors import StageError
from spritebuild_stages.exports import gamemaker_files, sheet, texts
from spritebuild_stages.exports.animations import Animation, of_tags, untagged
from spritebuild_stages.exports.gamemaker_files import Picture, Sprite
from spritebuild_stages.exports.nine_slice import centers
from spritebuild_stages.exports.sheet import Sheet, refuse_mirrored
from spritebuild_stages.sheets.layout import Frame, Rectangle

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from spritebuild_stages.images.png import Rgba

MAX_STRIP = 256  # frames, all of which GameMaker keeps as pictures of their own
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Options(sheet.Options):
    """GameMaker 2024."""

    kind: Literal["gamemaker"]
    format: Literal["strip", "sprites"] = Field("strip", description="Strip images, or .yy files for a project.")
    prefix: str = Field("spr_", description="What the names of all sprites begin with.")
    project: str = Field("", description="The project's name, as its .yyp is called; of .yy files.")

    @field_validator("prefix")
    @classmethod
    def _begins_a_name(cls, prefix: str) -> str:
        if prefix and not NAME.fullmatch(prefix):
            raise ValueError(f"a name in GameMaker is of letters, digits and underscores, and {prefix!r} is not")
        return prefix

    @field_validator("project")
    @classmethod
    def _is_a_file_name(cls, project: str) -> str:
        if re.search(r'["\\/\x00-\x1f]', project):
            raise ValueError(f"{project!r} is not the name of a .yyp")
        return project.removesuffix(".yyp")

    @model_validator(mode="after")
    def _knows_the_project(self) -> Options:
        if self.format == "sprites" and not self.project:
            raise ValueError('format = "sprites" needs the name of the project')
        return self


@dataclass(frozen=True)
class _Shown:
    """A sprite with its pictures, all of its size, by the frames' names."""

    sprite: Sprite
    animation: Animation
    pictures: dict[str, Rgba]


def write(sheets: Sequence[Sheet], folder: Path, options: Options) -> None:
    """Write strips by category and a script, or the sprites of a project.

    Raises StageError for a frame that is stored mirrored, for two sprites of one name, and for pictures
    that are too large.
    """
    seen: dict[str, str] = {}
    script, resources = [], []
    for one in sheets:
        refuse_mirrored(one.layout.frames, "GameMaker")
        for shown in _shown(one, options.prefix):
            name = shown.sprite.name
            if name in seen:
                raise StageError(
                    f"two sprites would be called {name!r}, which is one for the whole project",
                    facts=[("of the sheets", f"{seen[name]}, {one.layout.name}")],
                    hint="rename a sheet, a tag or a frame",
                )
            seen[name] = one.layout.name
            if options.format == "strip":
                script.append(_strip(shown, folder / one.category))
            else:
                resources.append(_project_sprite(shown, folder, options.project))
    if options.format == "strip":
        texts.write(folder / "sprites.gml", gamemaker_files.script(script))
    else:
        texts.write(folder / "resources.txt", "".join(resources))


def _shown(one: Sheet, prefix: str) -> Iterator[_Shown]:
    """Its sprites: one pass of every tag, as GameMaker repeats all of them, and the frames that no tag shows."""
    layout = one.layout
    numbers = {frame.name: number for number, frame in enumerate(layout.frames)}
    pictures, cut = one.pictures(), centers(layout)
    once = layout.model_copy(update={"tags": tuple(tag.model_copy(update={"repeat": 0}) for tag in layout.tags)})
    named = [(f"{layout.name}_{animation.name}", animation) for animation in of_tags(once)]
    named += [(frame.name, Animation(frame.name, (frame,), loop=True)) for frame in untagged(layout)]
    for name, animation in named:
        origin, size = _canvas(name, animation.frames)
        laid = {frame.name: _laid(frame, pictures[numbers[frame.name]], origin, size) for frame in animation.frames}
        first = animation.frames[0]
        center = cut.get(numbers[first.name])
        if center:
            x, y = (origin[axis] - _pivot(first)[axis] + first.box[axis] + center[axis] for axis in (0, 1))
            center = (x, y, center[2], center[3])
        sprite = Sprite(_name(prefix + name), *size, origin, center)
        yield _Shown(sprite, animation, laid)


def _canvas(name: str, frames: Sequence[Frame]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Where the pivot lies in the smallest picture that holds all frames laid on each other; that picture's size."""
    from spritebuild_stages.images import png

    pivots = [_pivot(frame) for frame in frames]
    x, y = max(pivot[0] for pivot in pivots), max(pivot[1] for pivot in pivots)
    width = max(x - pivot[0] + frame.source[0] for pivot, frame in zip(pivots, frames, strict=True))
    height = max(y - pivot[1] + frame.source[1] for pivot, frame in zip(pivots, frames, strict=True))
    try:
        png.check_size(width, height)
    except png.PngError as error:
        message = f"the frames of {name!r} laid on each other by their pivots are too large: {error}"
        raise StageError(message, hint="give the frames pivots at the same place of the sprite") from error
    return (x, y), (width, height)


def _pivot(frame: Frame) -> tuple[int, int]:
    """In whole pixels, as GameMaker's origins are: the one that the pivot lies in."""
    across, down = frame.pivot or (frame.source[0] / 2, frame.source[1] / 2)
    return math.floor(across), math.floor(down)


def _laid(frame: Frame, picture: Rgba, origin: tuple[int, int], size: tuple[int, int]) -> Rgba:
    import numpy as np

    x, y = (origin[axis] - _pivot(frame)[axis] for axis in (0, 1))
    whole = np.zeros((size[1], size[0], 4), np.uint8)
    whole[y : y + frame.source[1], x : x + frame.source[0]] = picture
    return whole


def _strip(shown: _Shown, folder: Path) -> str:
    """Write a sprite's strip; gives the lines of the script that set the rest."""
    import numpy as np

    from spritebuild_stages.images import png

    name = shown.sprite.name
    hint = 'make the durations multiples of a longer time, or say format = "sprites"'
    frames = shown.animation.held("a strip", hint, MAX_STRIP)
    # A single picture needs no number, unless its name would be taken for a strip's.
    alone = len(frames) == 1 and not re.search(r"_strip\d+\Z", name)
    try:
        png.check_size(len(frames) * shown.sprite.width, shown.sprite.height)
    except png.PngError as error:
        raise StageError(f"the strip of {name!r} is too large: {error}", hint='say format = "sprites"') from error
    strip = np.concatenate([shown.pictures[frame.name] for frame in frames], axis=1)
    folder.mkdir(parents=True, exist_ok=True)
    png.write(folder / f"{name}{'' if alone else f'_strip{len(frames)}'}.png", strip)
    return gamemaker_files.setup(shown.sprite, 1000 / shown.animation.unit if len(frames) > 1 else None)


def _project_sprite(shown: _Shown, folder: Path, project: str) -> str:
    """Write a sprite's folder; gives its line for the project."""
    import numpy as np

    from spritebuild_stages.images import png

    name, animation = shown.sprite.name, shown.animation
    place, layer = folder / "sprites" / name, gamemaker_files.identity(name, "layer")
    files = {frame: png.encode(picture) for frame, picture in shown.pictures.items()}
    pictures = []
    for number, (frame, duration) in enumerate(zip(animation.frames, animation.durations, strict=True)):
        picture = Picture(gamemaker_files.identity(name, f"frame {number}"), duration // animation.unit)
        pictures.append(picture)
        layers = place / "layers" / picture.name
        layers.mkdir(parents=True)
        for path in (place / f"{picture.name}.png", layers / f"{layer}.png"):
            path.write_bytes(files[frame.name])
    highest = np.maximum.reduce([picture[..., 3] for picture in shown.pictures.values()])
    speed = 1000 / animation.unit
    texts.write(
        place / f"{name}.yy", gamemaker_files.yy(shown.sprite, pictures, layer, _bounds(highest), speed, project)
    )
    return gamemaker_files.resource(name)


def _bounds(alpha: NDArray[np.uint8]) -> Rectangle:
    """Left, top, right and bottom of the visible pixels, inclusive; of all pixels where none is visible."""
    import numpy as np

    height, width = alpha.shape
    rows, columns = np.flatnonzero(alpha.any(axis=1)), np.flatnonzero(alpha.any(axis=0))
    if not len(rows):
        return 0, 0, width - 1, height - 1
    return int(columns[0]), int(rows[0]), int(columns[-1]), int(rows[-1])


def _name(text: str) -> str:
    """A name as GameMaker takes it: letters, digits and underscores, no digit first."""
    plain = re.sub(r"[^A-Za-z0-9_]", "_", text)
    return plain if NAME.fullmatch(plain) else f"_{plain}"
