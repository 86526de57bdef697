"""Bevy 0.15 and later: atlas layouts, an index of sprites and animations, and assets for bevy_asset_loader.

Put the export's folder into `assets`. Of a sheet `hero` it writes:

- `hero.layout.ron`: the page's `TextureAtlasLayout`, as Bevy's `serialize` feature reads it. A texture for every
  frame of the page, in the layout's order. `RonAssetPlugin::<TextureAtlasLayout>::new(&["layout.ron"])` of
  bevy_common_assets loads it.
- `hero.sprites.ron`: by a frame's name its page, its index there, its anchor (`Anchor` in Bevy: the pivot, from the
  center of what was kept, in parts of it, y up) and the size it had before it was trimmed; by a tag's name the frames
  of one pass with their times, and how often it is shown.

`sprites.assets.ron`, for bevy_asset_loader's `StandardDynamicAssetCollection`, has an image for every page and its
layout: the four numbers of a grid, or the file of a packed page. Keys are `hero` and `hero.layout`, with the category
before them: `characters/hero`. Layouts and indices are there as JSON, too: `JsonAssetPlugin` reads them.

Sources: bevy_image's texture_atlas.rs, glam's serde (a vector is a tuple) and bevy_asset_loader's
standard_dynamic_asset.rs.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from pydantic import Field, field_validator

from spritebuild.errors import StageError
from spritebuild_stages.exports import documents, ron, sheet, texts
from spritebuild_stages.exports.ron import Struct
from spritebuild_stages.exports.sheet import Sheet, refuse_mirrored
from spritebuild_stages.sheets.layout import Frame, Layout


class Options(sheet.Options):
    """Bevy 0.15 and later."""

    kind: Literal["bevy"]
    root: str = Field("", description="The export's folder below assets, such as sprites; for sprites.assets.ron.")
    formats: tuple[Literal["ron", "json"], ...] = Field(
        ("ron", "json"),
        min_length=1,
        description="Of layouts and indices; sprites.assets.ron names those of the first.",
    )

    @field_validator("root")
    @classmethod
    def _is_below_the_assets(cls, root: str) -> str:
        path = PurePosixPath(root)
        if path.is_absolute() or ".." in path.parts:
            raise ValueError(f"{root!r} is not a folder below assets")
        return "" if path == PurePosixPath(".") else path.as_posix()


def write(sheets: Sequence[Sheet], folder: Path, options: Options) -> None:
    """Write the pages, their layouts and indices by category, and the assets of all.

    Raises StageError for a frame that is stored mirrored.
    """
    assets: dict[str, Struct] = {}
    for one in sheets:
        refuse_mirrored(one.layout.frames, "Bevy")
        layout, place = one.layout, PurePosixPath(one.category)
        one.copy_pages(folder / place)
        for page, given in enumerate(layout.pages):
            stem = place / PurePosixPath(given.image).stem
            _write(folder, f"{stem}.layout", atlas_layout(layout, page), options)
            for name, asset in _assets(one, page, options).items():
                if name in assets:
                    raise StageError(f"two pages would be called {name!r}", hint="give one of the sheets another name")
                assets[name] = asset
        _write(folder, f"{place / layout.name}.sprites", sprites(layout), options)
    texts.write(folder / "sprites.assets.ron", ron.document(assets))


def atlas_layout(layout: Layout, page: int) -> Struct:
    """The `TextureAtlasLayout` of a page: its size, and a rectangle for every frame on it, in the layout's order."""
    given = layout.pages[page]
    textures = []
    for frame in layout.frames:
        if frame.page == page:
            x, y, width, height = frame.rectangle
            textures.append(Struct("", {"min": (x, y), "max": (x + width, y + height)}))
    return Struct("", {"size": (given.width, given.height), "textures": textures})


def sprites(layout: Layout) -> Struct:
    """Where frames are found by their names, and tags by theirs."""
    counts = [0] * len(layout.pages)
    frames: dict[str, Struct] = {}
    for frame in layout.frames:
        frames[frame.name] = Struct(
            "",
            {
                "page": frame.page,
                "index": counts[frame.page],
                "offset": frame.box[:2],
                "source_size": frame.source,
                "anchor": _anchor(frame),
                "milliseconds": frame.duration,
            },
        )
        counts[frame.page] += 1
    tags: dict[str, Struct] = {}
    for tag in layout.tags:
        if tag.name in tags:
            raise StageError(f"sheet {layout.name!r} has two tags {tag.name!r}", hint="rename one of them")
        shown = [
            Struct(
                "",
                {
                    "page": frames[frame.name].fields["page"],
                    "index": frames[frame.name].fields["index"],
                    "milliseconds": frame.duration,
                },
            )
            for frame in layout.of_tag(tag)
        ]
        tags[tag.name] = Struct("", {"repeat": tag.repeat, "frames": shown})
    return Struct("", {"pages": [page.image for page in layout.pages], "frames": frames, "tags": tags})


def _assets(one: Sheet, page: int, options: Options) -> dict[str, Struct]:
    """The entries of a page for bevy_asset_loader, by their keys; a grid's layout needs no file."""
    layout, given, place = one.layout, one.layout.pages[page], PurePosixPath(one.category)
    root, stem = PurePosixPath(options.root), PurePosixPath(given.image).stem
    key = f"{place / stem}"
    found = {key: Struct("Image", {"path": f"{root / place / given.image}", "sampler": Struct("Nearest")})}
    for role, name in sorted(given.companions.items()):
        path = f"{root / place / name}"
        found[f"{key}.{role}"] = Struct("Image", {"path": path, "sampler": Struct("Nearest")})
    grid = layout.grid
    if grid is None or any(frame.box[2:] != grid.cell for frame in layout.frames):
        found[f"{key}.layout"] = Struct("File", {"path": f"{root / place / stem}.layout.{options.formats[0]}"})
        return found
    numbers = {
        "tile_size_x": grid.cell[0],
        "tile_size_y": grid.cell[1],
        "columns": grid.columns,
        "rows": -(-len(layout.frames) // grid.columns),
    }
    if grid.spacing:
        numbers |= {"padding_x": grid.spacing, "padding_y": grid.spacing}
    if grid.margin:
        numbers |= {"offset_x": grid.margin, "offset_y": grid.margin}
    found[f"{key}.layout"] = Struct("TextureAtlasLayout", numbers)
    return found


def _anchor(frame: Frame) -> tuple[float, float]:
    """The pivot, or the center of the source, from the center of the kept pixels in parts of their size, y up."""
    left, top, width, height = frame.box
    if width < 1 or height < 1:
        raise StageError(f"frame {frame.name!r} keeps no pixel", hint="keep at least one pixel of a trimmed frame")
    across, down = frame.pivot or (frame.source[0] / 2, frame.source[1] / 2)
    return round((across - left) / width - 0.5, 7) + 0.0, round(0.5 - (down - top) / height, 7) + 0.0


def _write(folder: Path, name: str, content: Struct, options: Options) -> None:
    if "ron" in options.formats:
        texts.write(folder / f"{name}.ron", ron.document(content))
    if "json" in options.formats:
        documents.write(folder / f"{name}.json", _plain(content))


def _plain(value: Any) -> Any:
    """A value as JSON has it: structures by the names of their fields, tuples as lists."""
    if isinstance(value, Struct):
        return {name: _plain(field) for name, field in value.fields.items()}
    if isinstance(value, dict):
        return {name: _plain(entry) for name, entry in value.items()}
    return [_plain(entry) for entry in value] if isinstance(value, list | tuple) else value
