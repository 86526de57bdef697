"""PixiJS 8: a spritesheet JSON for every page, with animations, their frame times, anchors and nine-slice borders.

    await Assets.init({ basePath: "assets", manifest: "assets/manifest.json" });
    const { hero } = await Assets.loadBundle("default");      // or Assets.load("assets/hero.json")
    const textures = Object.assign({}, ...[hero, ...hero.linkedSheets].map((page) => page.textures));
    const { frames, loop } = hero.data.timelines.walk;
    new AnimatedSprite({
      textures: frames.map(({ texture, time }) => ({ texture: textures[texture], time })), loop, updateAnchor: true,
    });

`animations` is Pixi's own, one pass of each tag without times, and holds what lies on a single page: Pixi looks there
and nowhere else. `timelines`, in the JSON of the first page, has every animation with the time of each frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from spritebuild_stages.exports import animations, aseprite, documents, sheet
from spritebuild_stages.exports.animations import Animation
from spritebuild_stages.exports.nine_slice import centers
from spritebuild_stages.exports.sheet import Sheet, refuse_mirrored
from spritebuild_stages.sheets.layout import Frame, Layout, Rectangle


class Options(sheet.Options):
    """PixiJS 8."""

    kind: Literal["pixi"]
    prefix: bool = Field(
        False,
        description="Put the sheet's name and a slash before the names of its frames: Pixi keeps those of all sheets "
        "in one cache.",
    )
    manifest: bool = Field(True, description="Write manifest.json, a bundle for every category, for `Assets.init`.")
    scale_mode: Literal["nearest", "linear"] = Field(
        "nearest", description="How Pixi scales what it loads by that manifest."
    )


def write(sheets: Sequence[Sheet], folder: Path, options: Options) -> None:
    """Write the pages and their JSON by category, and the manifest.

    Raises StageError for a frame that is stored mirrored, for two tags of one name, for an animation of more than 4,096
    frames in all its repeats, and for a sheet that is called like the manifest.
    """
    for one in sheets:
        refuse_mirrored(one.layout.frames, "PixiJS")
        one.copy_pages(folder / one.category)
        layout = _prefixed(one.layout) if options.prefix else one.layout
        for page in range(len(layout.pages)):
            documents.write(folder / one.category / aseprite.file_name(layout, page), document(layout, page))
    if options.manifest:
        documents.write(folder / "manifest.json", _manifest(sheets, options.scale_mode))


def document(layout: Layout, page: int) -> dict[str, Any]:
    """The spritesheet JSON of a page.

    Source: https://pixijs.com/8.x/guides/components/assets/spritesheets, and pixi.js/src/spritesheet/Spritesheet.ts
    """
    content = aseprite.document(layout, page, "hash")
    for number, center in centers(layout).items():
        frame = layout.frames[number]
        if frame.page == page:
            content["frames"][frame.name]["borders"] = _borders(frame, center)
    content["animations"] = {
        tag.name: [frame.name for frame in layout.of_tag(tag)]
        for tag in layout.tags
        if all(frame.page == page for frame in layout.of_tag(tag))
    }
    if page == 0:
        content["timelines"] = {
            animation.name: {"loop": animation.loop, "frames": _times(animation)}
            for animation in animations.of_tags(layout)
        }
    return content


def _prefixed(layout: Layout) -> Layout:
    frames = tuple(frame.model_copy(update={"name": f"{layout.name}/{frame.name}"}) for frame in layout.frames)
    return layout.model_copy(update={"frames": frames})


def _borders(frame: Frame, center: Rectangle) -> dict[str, int]:
    x, y, width, height = center
    return {"left": x, "top": y, "right": frame.box[2] - x - width, "bottom": frame.box[3] - y - height}


def _times(animation: Animation) -> list[dict[str, Any]]:
    times = zip(animation.frames, animation.durations, strict=True)
    return [{"texture": frame.name, "time": duration} for frame, duration in times]


def _manifest(sheets: Sequence[Sheet], scale_mode: str) -> dict[str, Any]:
    bundles: dict[str, list[dict[str, Any]]] = {}
    for one in sheets:
        place = f"{one.category}/" if one.category else ""
        bundles.setdefault(one.category or "default", []).append(
            {
                "alias": one.layout.name,
                "src": place + aseprite.file_name(one.layout, 0),
                "data": {"textureOptions": {"scaleMode": scale_mode}},
            }
        )
    return {"bundles": [{"name": name, "assets": assets} for name, assets in bundles.items()]}
