"""The pictures and palettes that a stage is given to measure, read and measured; judges nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from spritebuild.errors import StageError
from spritebuild_stages.art import measured as measuring
from spritebuild_stages.art.limits import Limits
from spritebuild_stages.art.measured import Measured
from spritebuild_stages.images import given
from spritebuild_stages.ops import palette as palettes
from spritebuild_stages.ops.quantize import Palette


def measured(paths: Iterable[Path], palette: Palette, axes: Iterable[str]) -> Iterator[Measured]:
    """Each picture measured; `axes` are those along which it is to meet itself."""
    for path, meeting in zip(paths, axes, strict=False):
        rgba = given.read(path, "sprites and references are PNGs of at most 16 Mpx")
        yield measuring.measured(rgba, palette, meeting)


def palette(limits: Limits, files: Mapping[str, Path]) -> Palette:
    """The colors of the limits and of all files, each once. Raises StageError for a file that is no palette."""
    colors = [(int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)) for color in limits.palette]
    for name, path in sorted(files.items()):
        try:
            colors += palettes.parse(path)
        except palettes.PaletteError as error:
            hint = "a palette is a file of 1 to 256 colors, such as .hex, .gpl, .pal or .png"
            raise StageError(str(error), facts=[("palette", name)], hint=hint) from error
    return tuple(dict.fromkeys(colors))
