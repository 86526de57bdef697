"""Exports: sheets as a game engine loads them, a folder of files for it; how each engine has them is in exports/."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from spritebuild.errors import StageError
from spritebuild.stage import BoundAction, Context, Folder, Inputs, Outputs, Params, Stage
from spritebuild_stages.exports import (
    aseprite,
    bevy,
    gamemaker,
    godot,
    ldtk,
    phaser,
    pixi,
    plain,
    previews,
    pygame_loader,
    tiled,
    unity,
)

ENGINES = {
    "aseprite": aseprite,
    "bevy": bevy,
    "gamemaker": gamemaker,
    "godot": godot,
    "ldtk": ldtk,
    "phaser": phaser,
    "pixi": pixi,
    "plain": plain,
    "previews": previews,
    "pygame": pygame_loader,
    "tiled": tiled,
    "unity": unity,
}
AnyOptions = Annotated[
    aseprite.Options
    | bevy.Options
    | gamemaker.Options
    | godot.Options
    | ldtk.Options
    | phaser.Options
    | pixi.Options
    | plain.Options
    | previews.Options
    | pygame_loader.Options
    | tiled.Options
    | unity.Options,
    Field(discriminator="kind"),
]


class ExportParams(Params):
    options: AnyOptions = Field(description="The engine, and what may be told of its files.")
    categories: tuple[str, ...] = Field((), description="The folder of each sheet below the assets; none: no folders.")
    mark: bool = Field(False, description="Say in every PNG (XMP) that a trained model made it.")


class ExportInputs(Inputs):
    layouts: tuple[Path, ...]
    pages: tuple[Path, ...]

    @model_validator(mode="after")
    def _paired(self) -> ExportInputs:
        if len(self.layouts) != len(self.pages):
            raise ValueError(f"{len(self.layouts)} layouts for {len(self.pages)} folders of pages")
        return self


class ExportOutputs(Outputs):
    files: Folder = Path("files")


class Export(Stage):
    """Equal sheets give equal files; nothing of the machine, and no date, is in them."""

    version = 2
    Params = ExportParams
    Inputs = ExportInputs
    Outputs = ExportOutputs

    def run(self, action: BoundAction, context: Context) -> None:
        from spritebuild_stages.exports.sheet import Sheet
        from spritebuild_stages.images import png
        from spritebuild_stages.sheets import layout

        params: ExportParams = action.params
        categories = params.categories or ("",) * len(action.inputs.layouts)
        if len(categories) != len(action.inputs.layouts):
            raise StageError(f"{len(categories)} categories for {len(action.inputs.layouts)} sheets")
        sheets = [
            Sheet(layout.read(described), pages, category)
            for described, pages, category in zip(action.inputs.layouts, action.inputs.pages, categories, strict=True)
        ]
        action.outputs.files.mkdir()
        ENGINES[params.options.kind].write(sheets, action.outputs.files, params.options)
        if params.mark:
            for path in action.outputs.files.rglob("*.png"):
                path.write_bytes(png.with_mark(path.read_bytes()))
