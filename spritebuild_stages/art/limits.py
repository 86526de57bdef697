"""The limits that a style may declare for its sprites; measures nothing, and imports no NumPy."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from spritebuild_stages.ops.declared import Color, Side

Share = Annotated[float, Field(ge=0, le=1)]


class Limits(BaseModel):
    """What a sprite must keep to. A measure with a limit is judged by that alone, one without by the references."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    size: tuple[Side, Side] | None = Field(None, description="The canvas, width and height in pixels.")
    max_colors: int | None = Field(None, ge=1, le=65536, description="The most distinct visible colors.")
    palette: tuple[Color, ...] = Field((), max_length=256, description="The colors that a visible pixel may have.")
    palette_violations: int = Field(0, ge=0, description="The most visible pixels whose color is not in the palette.")
    orphans: Share | None = Field(None, description="The most visible pixels, as a share, that touch no equal one.")
    scale: int | None = Field(None, ge=1, le=64, description="How many pixels of the file a pixel of the art is wide.")
    mixels: Share | None = Field(None, description="The most color changes, as a share, off the grid of the others.")
    detail: Share | None = Field(None, description="The least share of visible pixels finer than 2x2 of one color.")
    soft_alpha: Share | None = Field(None, description="The most visible pixels, as a share, that are not opaque.")
    banding: Share | None = Field(None, description="The most color changes, as a share, that are banded.")
    outline: Share | None = Field(None, description="The least share of the border that carries an outline.")
    silhouette: Share | None = Field(
        None, description="The least share of the border that stands out, on a dark and on a light ground."
    )
    seam: Share | None = Field(
        None, description="The most that a tile's seam may be newer than its inside: 0.5 is seamless, 1 is torn."
    )
    distinct: Share | None = Field(
        None, description="The least distance from the nearest other silhouette, unless the colors are told apart."
    )
