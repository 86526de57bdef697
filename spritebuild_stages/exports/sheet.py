"""A sheet as exports take it: its layout and the folder of its pages; knows no game engine."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import BaseModel, ConfigDict

from spritebuild.errors import StageError
from spritebuild_stages.sheets.layout import Frame, Layout

if TYPE_CHECKING:
    from spritebuild_stages.images.png import Rgba


class Options(BaseModel):
    """What an export may be told. Each engine's has a `kind` of its own, without a default.

    `apart` are the keys that no two exports of that kind may agree in.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    apart: ClassVar[tuple[str, ...]] = ()


@dataclass(frozen=True)
class Sheet:
    """A sheet of the project. `category` is its folder below the assets, or empty; `pages` holds its pictures."""

    layout: Layout
    pages: Path
    category: str = ""

    def page(self, number: int) -> Rgba:
        """The pixels of a page."""
        from spritebuild_stages.images import png

        return png.read(self.pages / self.layout.pages[number].image)

    def copy_pages(self, folder: Path) -> None:
        """Copy all pages and their companions, byte for byte, into `folder`, which is made.

        Raises StageError where another sheet's page is called so.
        """
        folder.mkdir(parents=True, exist_ok=True)
        for page in self.layout.pages:
            for name in (page.image, *page.companions.values()):
                if (folder / name).exists():
                    hint = "give one of them another name or category"
                    raise StageError(f"two sheets have a page {name}", facts=[("sheet", self.layout.name)], hint=hint)
                shutil.copyfile(self.pages / name, folder / name)

    def pictures(self) -> tuple[Rgba, ...]:
        """Every frame's own picture, (H, W, 4) of its source's size: untrimmed, and flipped where it is mirrored."""
        import numpy as np

        pages = [self.page(number) for number in range(len(self.layout.pages))]
        found = []
        for frame in self.layout.frames:
            left, top, width, height = frame.box
            kept = pages[frame.page][frame.y : frame.y + height, frame.x : frame.x + width]
            picture = np.zeros((frame.source[1], frame.source[0], 4), np.uint8)
            picture[top : top + height, left : left + width] = kept[:, ::-1] if frame.mirrored else kept
            found.append(picture)
        return tuple(found)


def refuse_mirrored(frames: tuple[Frame, ...], engine: str) -> None:
    """Raise StageError where a frame is stored as another's mirror image, which the engine's format cannot say."""
    mirrored = [frame.name for frame in frames if frame.mirrored]
    if mirrored:
        raise StageError(
            f"{engine} cannot mirror a frame of an atlas, and {len(mirrored)} frames are stored mirrored",
            facts=[("", name) for name in mirrored[:5]],
            hint="say mirrors = false in the sheet",
        )
