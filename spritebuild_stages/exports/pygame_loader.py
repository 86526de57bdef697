"""Sheets for pygame and pygame-ce: PNGs, Aseprite's JSON, and a loader in Python; never imports pygame."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from spritebuild_stages.exports import aseprite, documents, sheet, texts
from spritebuild_stages.exports.sheet import Sheet
from spritebuild_stages.sheets.layout import Layout

LOADER = Path(__file__).with_name("pygame_sprites.py")


class Options(sheet.Options):
    """A JSON for each sheet beside its pages, and one loader for all of them."""

    kind: Literal["pygame"]
    loader: str = Field(
        "sprites.py", pattern=r"^([A-Za-z_][A-Za-z0-9_]*\.py)?$", description="The loader's file; empty for none."
    )


def write(sheets: Sequence[Sheet], folder: Path, options: Options) -> None:
    """Write every sheet by its category, and the loader into the folder itself."""
    for one in sheets:
        place = folder / one.category
        one.copy_pages(place)
        documents.write(place / f"{one.layout.name}.json", _document(one.layout))
    if options.loader:
        texts.write(folder / options.loader, LOADER.read_text("utf-8"))


def _document(layout: Layout) -> dict[str, Any]:
    """Aseprite's JSON, frames as a list; of all pages in one, so that a tag or a slice may span them.

    Where there is more than one page, `meta.pages` has them all, and each frame says its `page`.
    """
    flat = layout.model_copy(
        update={
            "pages": layout.pages[:1],
            "frames": tuple(frame.model_copy(update={"page": 0}) for frame in layout.frames),
        }
    )
    document = aseprite.document(flat, 0, "array")
    if len(layout.pages) == 1:
        return document
    for entry, frame in zip(document["frames"], layout.frames, strict=True):
        entry["page"] = frame.page
    for name in ("image", "size", "companions"):
        document["meta"].pop(name, None)
    document["meta"]["pages"] = [
        {"image": page.image, "size": {"w": page.width, "h": page.height}, "companions": dict(page.companions)}
        for page in layout.pages
    ]
    return document
