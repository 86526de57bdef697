"""Godot 4 and 3: SpriteFrames, AtlasTextures and TileSets as text resources beside their pages.

    $AnimatedSprite2D.sprite_frames = load("res://sprites/hero.frames.tres")
    $AnimatedSprite2D.play("walk")

Of a sheet `hero` it writes:

- `hero.frames.tres`: a SpriteFrames with an animation for every tag, and `default` of the frames without one. Godot 4
  has a duration for every frame. Godot 3 does not: there a frame that is shown longer stands several times in a row.
- `hero.textures/NAME.tres`, if they are asked for: an AtlasTexture for every frame.
- `hero.tiles.tres`, of a grid: a TileSet. In Godot 4 the tiles are an atlas, in Godot 3 one tile for every frame,
  called by its name.

A companion `normal` is the normal map of a page in Godot 4, as a CanvasTexture; Godot 3 takes those from a node alone.
The margin of an AtlasTexture gives a trimmed frame its size back, so that pivots and offsets stay what they are. The
files have no uid: Godot gives them one when it first saves them, and says nothing about those that have none.

Sources: scene/resources/sprite_frames.cpp, atlas_texture.cpp, tile_set.cpp and resource_format_text.cpp of Godot.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from spritebuild.errors import StageError
from spritebuild_stages.exports import animations, sheet, texts
from spritebuild_stages.exports.animations import Animation
from spritebuild_stages.exports.sheet import Sheet, refuse_mirrored
from spritebuild_stages.sheets.layout import Frame, Layout

DEFAULT = "default"  # the animation that Godot's nodes start with


class Options(sheet.Options):
    """Godot 4 and 3."""

    kind: Literal["godot"]
    version: Literal[4, 3] = Field(4, description="Godot 4 (any 4.x), or Godot 3.")
    root: str = Field(
        "",
        description="The export's folder in the Godot project, such as res://sprites. If it is empty, the files name "
        "each other by relative paths, and the export may lie anywhere.",
    )
    textures: bool = Field(False, description="Write an AtlasTexture for every frame, too.")
    tilesets: bool = Field(True, description="Write a TileSet for every sheet that is a grid.")

    @field_validator("root")
    @classmethod
    def _is_a_resource_path(cls, root: str) -> str:
        if root and not root.startswith("res://"):
            raise ValueError(f"a folder of a Godot project starts with res://, and {root!r} does not")
        return root if root == "res://" else root.rstrip("/")


def write(sheets: Sequence[Sheet], folder: Path, options: Options) -> None:
    """Write the pages and their resources by category.

    Raises StageError for a frame that is stored mirrored, and for an animation that Godot 3 cannot show.
    """
    for one in sheets:
        refuse_mirrored(one.layout.frames, "Godot")
        layout, place = one.layout, folder / one.category
        one.copy_pages(place)
        base = _base(options.root, one.category)
        texts.write(place / f"{layout.name}.frames.tres", sprite_frames(layout, base, options.version))
        if options.tilesets and layout.grid:
            texts.write(place / f"{layout.name}.tiles.tres", tile_set(layout, base, options.version))
        if options.textures:
            for frame in layout.frames:
                text = atlas_texture(layout, frame, base or "../", options.version)
                texts.write(place / f"{layout.name}.textures" / f"{frame.name}.tres", text)


def sprite_frames(layout: Layout, base: str, version: Literal[4, 3]) -> str:
    """A SpriteFrames resource; `base` stands before the names of pages, and ends in a slash unless it is empty."""
    file = _File(layout, base, version)
    places = {_place(frame): frame for frame in layout.frames}  # equal frames share a texture
    numbers = {place: number for number, place in enumerate(places, 1)}
    parts = []
    for place, number in numbers.items():
        identity = f'"AtlasTexture_{number}"' if version == 4 else f"{number}"
        parts.append("\n".join([f'[sub_resource type="AtlasTexture" id={identity}]', *file.region(places[place])]))

    def texture(frame: Frame) -> str:
        number = numbers[_place(frame)]
        return f'SubResource("AtlasTexture_{number}")' if version == 4 else f"SubResource( {number} )"

    shown = _shown(layout)
    if version == 4:
        listed = ", ".join(_animation(animation, [texture(frame) for frame in animation.frames]) for animation in shown)
        content = f"animations = [{listed}]"
    else:
        hint = "make the durations multiples of a longer time, or export for Godot 4"
        listed = ", ".join(
            _animation3(animation, [texture(frame) for frame in animation.held("Godot 3", hint)]) for animation in shown
        )
        content = f"animations = [ {listed} ]"
    return file.text("SpriteFrames", parts, [content])


def atlas_texture(layout: Layout, frame: Frame, base: str, version: Literal[4, 3]) -> str:
    """An AtlasTexture resource of one frame."""
    pages = (layout.pages[frame.page],)
    file = _File(layout.model_copy(update={"pages": pages}), base, version)
    return file.text("AtlasTexture", [], file.region(frame.model_copy(update={"page": 0})))


def tile_set(layout: Layout, base: str, version: Literal[4, 3]) -> str:
    """A TileSet resource of a sheet that is a grid."""
    if layout.grid is None:
        raise ValueError(f"sheet {layout.name!r} is no grid")
    grid, file = layout.grid, _File(layout, base, version)
    if version == 3:
        return file.text("TileSet", [], [line for tile in enumerate(layout.frames) for line in file.tile(*tile)])
    width, height = grid.cell
    source = [
        '[sub_resource type="TileSetAtlasSource" id="TileSetAtlasSource_1"]',
        f"texture = {file.page(0)}",
        f"margins = Vector2i({grid.margin}, {grid.margin})",
        f"separation = Vector2i({grid.spacing}, {grid.spacing})",
        f"texture_region_size = Vector2i({width}, {height})",
        *(f"{number % grid.columns}:{number // grid.columns}/0 = 0" for number in range(len(layout.frames))),
    ]
    content = [f"tile_size = Vector2i({width}, {height})", 'sources/0 = SubResource("TileSetAtlasSource_1")']
    return file.text("TileSet", ["\n".join(source)], content)


class _File:
    """What the resources of one sheet have in common: their pages, and how their version writes values."""

    def __init__(self, layout: Layout, base: str, version: Literal[4, 3]) -> None:
        self.layout, self.base, self.version = layout, base, version
        self.normals = {
            number: page.companions["normal"]
            for number, page in enumerate(layout.pages)
            if version == 4 and "normal" in page.companions
        }

    def text(self, kind: str, parts: list[str], content: list[str]) -> str:
        """The file: what it needs, its parts, and itself."""
        images = [page.image for page in self.layout.pages] + list(self.normals.values())
        parts = [self._canvas(page) for page in self.normals] + parts
        outside = "\n".join(self._outside(number, image) for number, image in enumerate(images, 1))
        steps = len(images) + len(parts) + 1
        head = f"[gd_resource type={_quoted(kind)} load_steps={steps} format={3 if self.version == 4 else 2}]"
        return "\n\n".join([head, outside, *parts, "\n".join(["[resource]", *content])]) + "\n"

    def page(self, number: int) -> str:
        """A page as a texture, with its normal map if it has one."""
        if number in self.normals:
            return f'SubResource("CanvasTexture_{number + 1}")'
        return self._reference(number + 1)

    def rectangle(self, *numbers: int) -> str:
        listed = ", ".join(map(str, numbers))
        return f"Rect2({listed})" if self.version == 4 else f"Rect2( {listed} )"

    def region(self, frame: Frame) -> list[str]:
        """The properties of a frame's AtlasTexture; `filter_clip` keeps neighbors out where textures are filtered."""
        left, top, width, height = frame.box
        if width < 1 or height < 1:
            # To Godot a region without a size is the whole page.
            raise StageError(f"frame {frame.name!r} keeps no pixel", hint="keep at least one pixel of a trimmed frame")
        lines = [f"atlas = {self.page(frame.page)}", f"region = {self.rectangle(*frame.rectangle)}"]
        if frame.trimmed:
            rest = (frame.source[0] - width, frame.source[1] - height)
            lines.append(f"margin = {self.rectangle(left, top, *rest)}")
        return [*lines, "filter_clip = true"]

    def tile(self, number: int, frame: Frame) -> list[str]:
        """The properties of a tile in Godot 3."""
        return [
            f"{number}/name = {_quoted(frame.name)}",
            f"{number}/texture = {self.page(frame.page)}",
            f"{number}/tex_offset = Vector2( {frame.box[0]}, {frame.box[1]} )",
            f"{number}/modulate = Color( 1, 1, 1, 1 )",
            f"{number}/region = {self.rectangle(*frame.rectangle)}",
            f"{number}/tile_mode = 0",
            f"{number}/z_index = 0",
        ]

    def _canvas(self, page: int) -> str:
        """The sub-resource of a page with a normal map."""
        normal = len(self.layout.pages) + list(self.normals).index(page) + 1
        lines = [
            f'[sub_resource type="CanvasTexture" id="CanvasTexture_{page + 1}"]',
            f"diffuse_texture = {self._reference(page + 1)}",
            f"normal_texture = {self._reference(normal)}",
        ]
        return "\n".join(lines)

    def _reference(self, number: int) -> str:
        return f'ExtResource("{number}")' if self.version == 4 else f"ExtResource( {number} )"

    def _outside(self, number: int, image: str) -> str:
        path = _quoted(self.base + image)
        if self.version == 4:
            return f'[ext_resource type="Texture2D" path={path} id="{number}"]'
        return f'[ext_resource path={path} type="Texture" id={number}]'


def _base(root: str, category: str) -> str:
    if not root:
        return ""
    return (root if root.endswith("/") else f"{root}/") + (f"{category}/" if category else "")


def _place(frame: Frame) -> tuple[object, ...]:
    return frame.page, frame.x, frame.y, frame.box, frame.source


def _shown(layout: Layout) -> list[Animation]:
    """Its animations by name, as Godot itself writes them."""
    tagged, rest = animations.of_tags(layout), animations.untagged(layout)
    if not rest:
        return sorted(tagged, key=lambda animation: animation.name)
    if any(animation.name == DEFAULT for animation in tagged):
        raise StageError(
            f"sheet {layout.name!r} has a tag {DEFAULT!r} and frames without a tag, whose animation has that name",
            hint="rename the tag, or give every frame one",
        )
    return sorted([*tagged, Animation(DEFAULT, rest, loop=True)], key=lambda animation: animation.name)


def _animation(animation: Animation, textures: list[str]) -> str:
    """In Godot 4 a frame is shown for duration / speed seconds; the usual one gets the duration 1."""
    usual = animation.usual
    frames = ", ".join(
        f'{{\n"duration": {duration / usual!r},\n"texture": {texture}\n}}'
        for duration, texture in zip(animation.durations, textures, strict=True)
    )
    return (
        f'{{\n"frames": [{frames}],\n"loop": {_boolean(animation.loop)},\n'
        f'"name": &{_quoted(animation.name)},\n"speed": {1000 / usual!r}\n}}'
    )


def _animation3(animation: Animation, textures: list[str]) -> str:
    return (
        f'{{\n"frames": [ {", ".join(textures)} ],\n"loop": {_boolean(animation.loop)},\n'
        f'"name": {_quoted(animation.name)},\n"speed": {1000 / animation.unit!r}\n}}'
    )


def _boolean(value: bool) -> str:
    return "true" if value else "false"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
