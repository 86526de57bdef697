"""Sheets: frames side by side in a grid, and an atlas in Aseprite's JSON format that says where each of them is."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator

from spritebuild.errors import StageError
from spritebuild.stage import BoundAction, Context, Inputs, Outputs, Params, Stage

if TYPE_CHECKING:
    from spritebuild_stages.images.png import Rgba

DURATION = 100  # ms, what Aseprite gives a new frame


class SheetParams(Params):
    names: tuple[str, ...] = Field(min_length=1, description="The frames' names, one each, all different.")
    image_name: str = Field(min_length=1, description="The sheet's file name, as the atlas gives it to the game.")
    columns: int | None = Field(None, ge=1, le=4096, description="Frames in a row; none: as square as can be.")
    spacing: int = Field(0, ge=0, le=1024, description="Transparent pixels between cells.")
    margin: int = Field(0, ge=0, le=1024, description="Transparent pixels around the whole.")
    format: Literal["hash", "array"] = Field("hash", description="Frames as an object by name, or as a list.")

    @field_validator("names")
    @classmethod
    def _all_different(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if twice := [name for name, count in Counter(names).items() if count > 1]:
            raise ValueError(f"more than one frame is named {twice[0]!r}")
        return names


class SheetInputs(Inputs):
    frames: tuple[Path, ...]


class SheetOutputs(Outputs):
    image: Path = Path("sheet.png")
    atlas: Path = Path("sheet.json")


class Sheet(Stage):
    """Cells are as large as the widest and the highest frame; a smaller frame sits at the top left of its cell.

    The atlas gives each frame's own rectangle, not its cell. With fewer frames than columns the sheet is narrower.
    """

    version = 1
    Params = SheetParams
    Inputs = SheetInputs
    Outputs = SheetOutputs

    def run(self, action: BoundAction, context: Context) -> None:
        import numpy as np

        from spritebuild_stages.images import png

        params: SheetParams = action.params
        if len(params.names) != len(action.inputs.frames):
            raise StageError(
                f"{len(params.names)} names for {len(action.inputs.frames)} frames", hint="give each frame one name"
            )
        try:
            frames = _read(action.inputs.frames)
            width, height, corners = _grid([frame.shape[1::-1] for frame in frames], params)
            png.check_size(width, height)
        except png.PngError as error:
            raise StageError(str(error), hint="a sheet holds PNGs, at most 16 Mpx in all: split it") from error
        sheet = np.zeros((height, width, 4), np.uint8)
        rectangles = []
        for frame, (x, y) in zip(frames, corners, strict=True):
            h, w = frame.shape[:2]
            sheet[y : y + h, x : x + w] = frame
            rectangles.append((x, y, w, h))
        png.write(action.outputs.image, sheet)
        text = json.dumps(_atlas(params, rectangles, (width, height)), indent=1, ensure_ascii=False)
        action.outputs.atlas.write_text(text + "\n", encoding="utf-8", newline="\n")


def _read(paths: tuple[Path, ...]) -> list[Rgba]:
    """The frames' pixels; raises PngError as soon as they cannot fit into one sheet."""
    from spritebuild_stages.images import png

    frames = []
    area = 0
    for path in paths:
        frames.append(png.read(path))
        area += frames[-1].size // 4
        if area > png.MAX_PIXELS:
            raise png.PngError(f"the first {len(frames)} frames alone are {area / 1e6:.1f} Mpx")
    return frames


def _grid(sizes: list[tuple[int, int]], params: SheetParams) -> tuple[int, int, list[tuple[int, int]]]:
    """The sheet's width and height, and the top left corner (x, y) of every frame's cell, row by row."""
    columns = min(params.columns or math.isqrt(len(sizes) - 1) + 1, len(sizes))
    rows = -(-len(sizes) // columns)
    step_x = max(width for width, _ in sizes) + params.spacing
    step_y = max(height for _, height in sizes) + params.spacing
    corners = [
        (params.margin + place % columns * step_x, params.margin + place // columns * step_y)
        for place in range(len(sizes))
    ]
    around = 2 * params.margin - params.spacing
    return columns * step_x + around, rows * step_y + around, corners


def _atlas(params: SheetParams, rectangles: list[tuple[int, int, int, int]], size: tuple[int, int]) -> dict[str, Any]:
    """The atlas as Aseprite writes it: https://www.aseprite.org/docs/cli/#format, order of frames kept."""
    frames = [
        {
            "frame": {"x": x, "y": y, "w": w, "h": h},
            "rotated": False,
            "trimmed": False,
            "spriteSourceSize": {"x": 0, "y": 0, "w": w, "h": h},
            "sourceSize": {"w": w, "h": h},
            "duration": DURATION,
        }
        for x, y, w, h in rectangles
    ]
    named = zip(params.names, frames, strict=True)
    return {
        "frames": dict(named) if params.format == "hash" else [{"filename": name} | frame for name, frame in named],
        "meta": {
            "app": "spritebuild",
            "version": "1",
            "image": params.image_name,
            "format": "RGBA8888",
            "size": {"w": size[0], "h": size[1]},
            "scale": "1",
        },
    }
