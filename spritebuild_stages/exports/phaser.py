"""Phaser 3 and 4: a multi-atlas, its animations and a pack that loads everything; the same files serve both.

    preload() { this.load.pack("assets", "assets/pack.json"); }     // `url = "assets"` in the export
    create() { this.add.sprite(0, 0, "hero").play("hero-walk"); }

Of a sheet `hero` it writes:

- `hero.json`: `load.multiatlas("hero", "hero.json")`; of a single page, `load.atlas("hero", "hero.png", "hero.json")`
  too. Pivots become origins, nine-slices `scale9Borders`, and a companion `normal` the multi-atlas' normal map.
- `hero.anims.json`: `load.animation("hero-anims", "hero.anims.json")`, which makes the animations; the texture's key
  has to be the sheet's name.
- `hero.aseprite.json`, of a single page: `load.aseprite("hero", "hero.png", "hero.aseprite.json")`, then
  `anims.createFromAseprite("hero")`. There frames are called by their number, animations by their tag; Phaser reads
  neither repeats nor `pingpong_reverse` from it.

Sprites are exact to the pixel in WebGL with `pixelArt: true`; Phaser's Canvas renderer misses some at frames' borders.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from spritebuild.errors import StageError
from spritebuild_stages.exports import aseprite, documents, sheet
from spritebuild_stages.exports.nine_slice import centers
from spritebuild_stages.exports.sheet import Sheet, refuse_mirrored
from spritebuild_stages.sheets.layout import Layout, Tag


class Options(sheet.Options):
    """Phaser 3 and 4."""

    kind: Literal["phaser"]
    url: str = Field("", description="Where the game serves the export's folder, for pack.json.")
    animation: str = Field(
        "{sheet}-{tag}",
        description="An animation's key in hero.anims.json; keys are unique in the game. {sheet} and {tag} are names.",
    )
    aseprite: bool = Field(True, description="Write the JSON for `load.aseprite` too, of sheets of a single page.")

    @field_validator("animation")
    @classmethod
    def _names_the_tag(cls, animation: str) -> str:
        if "{tag}" not in animation:
            raise ValueError(f"a key of animations has to hold {{tag}}, and {animation!r} does not")
        return animation


def write(sheets: Sequence[Sheet], folder: Path, options: Options) -> None:
    """Write the pages and their JSON by category, and the pack.

    Raises StageError for a frame that is stored mirrored, for two animations of one key, and for a sheet that is called
    like the pack.
    """
    _check_keys(sheets, options.animation)
    for one in sheets:
        refuse_mirrored(one.layout.frames, "Phaser")
        place, layout = folder / one.category, one.layout
        one.copy_pages(place)
        documents.write(place / f"{layout.name}.json", multiatlas(layout))
        if layout.tags:
            documents.write(place / f"{layout.name}.anims.json", animations(layout, options.animation))
        if options.aseprite and len(layout.pages) == 1:
            documents.write(place / f"{layout.name}.aseprite.json", numbered(layout))
    documents.write(folder / "pack.json", _pack(sheets, options.url))


def multiatlas(layout: Layout) -> dict[str, Any]:
    """What `load.multiatlas` reads.

    Source: Phaser's src/loader/filetypes/MultiAtlasFile.js and src/textures/parsers/JSONArray.js
    """
    textures = []
    for number, page in enumerate(layout.pages):
        content = aseprite.document(layout, number, "array")
        texture = {key: content["meta"][key] for key in ("image", "format", "size")} | {"scale": 1}
        if "normal" in page.companions:
            texture["normalMap"] = page.companions["normal"]
        textures.append(texture | {"frames": content["frames"]})
    entries = {entry["filename"]: entry for texture in textures for entry in texture["frames"]}
    for number, center in centers(layout).items():
        entries[layout.frames[number].name]["scale9Borders"] = dict(zip("xywh", center, strict=True))
    return {"textures": textures, "meta": {"app": "spritebuild", "version": "1"}}


def animations(layout: Layout, key: str) -> dict[str, Any]:
    """What `load.animation` reads; `key` is a template of the animations' keys.

    A ping-pong that never ends is Phaser's `yoyo`. One that does is written out: a `yoyo` would end with a frame more.

    Source: Phaser's src/animations/AnimationManager.js (fromJSON) and Animation.js
    """
    anims = []
    for tag in layout.tags:
        yoyo = tag.direction.startswith("pingpong") and tag.repeat == 0
        once = {"pingpong": "forward", "pingpong_reverse": "reverse"}.get(tag.direction, tag.direction)
        frames = layout.of_tag(tag.model_copy(update={"direction": once}) if yoyo else tag)
        anims.append(
            {
                "key": _key(layout, tag, key),
                "type": "frame",
                "frames": [{"key": layout.name, "frame": frame.name, "duration": frame.duration} for frame in frames],
                "duration": sum(frame.duration for frame in frames),
                "repeat": tag.repeat - 1,
                "yoyo": yoyo,
            }
        )
    return {"anims": anims, "globalTimeScale": 1}


def numbered(layout: Layout) -> dict[str, Any]:
    """What `load.aseprite` and `createFromAseprite` read: the first page, its frames called by their numbers."""
    frames = tuple(frame.model_copy(update={"name": str(number)}) for number, frame in enumerate(layout.frames))
    return aseprite.document(layout.model_copy(update={"frames": frames}), 0, "array")


def _key(layout: Layout, tag: Tag, template: str) -> str:
    return template.replace("{sheet}", layout.name).replace("{tag}", tag.name)


def _check_keys(sheets: Sequence[Sheet], template: str) -> None:
    seen: dict[str, str] = {}
    for one in sheets:
        for tag in one.layout.tags:
            key = _key(one.layout, tag, template)
            if key in seen:
                raise StageError(
                    f"two animations would have the key {key!r}, which is one for the whole game",
                    facts=[("of the sheets", f"{seen[key]}, {one.layout.name}")],
                    hint='say animation = "{sheet}-{tag}" in the export, or rename a tag',
                )
            seen[key] = one.layout.name


def _pack(sheets: Sequence[Sheet], url: str) -> dict[str, Any]:
    """A section for every category, as images are sought in the section's `path`."""
    sections: dict[str, dict[str, Any]] = {}
    for one in sheets:
        path = "".join(part if part.endswith("/") else f"{part}/" for part in (url, one.category) if part)
        section = sections.setdefault(one.category or ".", {"path": path} if path else {})
        files, name = section.setdefault("files", []), one.layout.name
        files.append({"type": "multiatlas", "key": name, "url": f"{name}.json"})
        if one.layout.tags:
            files.append({"type": "animation", "key": f"{name}-anims", "url": f"{name}.anims.json"})
    return sections
