"""Pictures that a stage is given: what cannot be read is said with a remedy."""

from __future__ import annotations

from pathlib import Path

from spritebuild.errors import StageError
from spritebuild_stages.images import png
from spritebuild_stages.images.png import Rgba


def read(path: Path, hint: str) -> Rgba:
    """The pixels of a PNG, as `png.read` gives them. Raises StageError, with the hint, where it raises PngError."""
    try:
        return png.read(path)
    except png.PngError as error:
        raise StageError(str(error), hint=hint) from error
