"""Unity: pages with the `.meta` files that slice them into sprites, and an AnimationClip for every tag.

Copy the export's folder into `Assets`. Of a sheet `hero` it writes:

- `hero.png` and `hero.png.meta`: sprites called as the frames are, point filtered and uncompressed, with their pivots,
  and with borders where they are nine-slices. Companions are secondary textures: `normal` is `_NormalMap`.
- `hero.clips/hero_walk.anim` and its meta: the sprites of a SpriteRenderer beside the Animator, at their times.

Unity cannot give a trimmed sprite its size back. Its pivot is the same point of the untrimmed picture instead, which
may lie outside of the sprite, so that frames stay where they belong. GUIDs and IDs are hashes of paths and names: they
stay the same when other sprites come or go, and scenes keep their references.

Sources: the TextureImporter and AnimationClip that Unity 2021.3 writes, and Unity's ScriptReference for the names.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Literal

from pydantic import Field

from spritebuild.errors import StageError
from spritebuild_stages.exports import animations, sheet, texts, unity_files
from spritebuild_stages.exports.animations import Animation
from spritebuild_stages.exports.nine_slice import centers
from spritebuild_stages.exports.sheet import Sheet, refuse_mirrored
from spritebuild_stages.exports.texts import number
from spritebuild_stages.sheets.layout import Frame, Page, Rectangle

MAX_SIZE = 16384  # of a texture that Unity imports without scaling it down
SPRITE, TEXTURE = 213, 2800000  # Unity's class ID of sprites, and the file ID of a texture
SHEET = "5e97eb03825dee720800000000000000"  # the sprite ID that Unity gives the sheet itself
PLAIN = re.compile(r"(?!(?:true|false|yes|no|on|off|null|y|n)\Z)[A-Za-z_][\w-]*", re.IGNORECASE | re.ASCII)


class Options(sheet.Options):
    """Unity 2021.3 and later."""

    apart = ("root",)  # two files of one GUID are none to Unity
    kind: Literal["unity"]
    root: str = Field(
        "Assets/Sprites",
        description="The export's folder in the Unity project. GUIDs are made of it, so that two exports of one "
        "project have to differ in it; keep it once scenes refer to the sprites.",
    )
    pixels_per_unit: float = Field(100, gt=0, le=1e6, description="Pixels of a sprite that are one unit of the world.")
    clips: bool = Field(True, description="Write an AnimationClip for every tag.")


def write(sheets: Sequence[Sheet], folder: Path, options: Options) -> None:
    """Write the pages, their metas and the clips by category.

    Raises StageError for a frame that is stored mirrored, and for a page that Unity would scale down.
    """
    folders: dict[PurePosixPath, None] = {}  # in the order of the sheets
    for one in sheets:
        refuse_mirrored(one.layout.frames, "Unity")
        layout, place = one.layout, PurePosixPath(one.category)
        folders.update(dict.fromkeys([*reversed(place.parents), place]))
        one.copy_pages(folder / place)
        for page, given in enumerate(layout.pages):
            texts.write(folder / place / f"{given.image}.meta", texture_meta(one, page, options))
            for role, name in given.companions.items():
                texts.write(folder / place / f"{name}.meta", companion_meta(one, page, role, options))
        if options.clips and layout.tags:
            clips = place / f"{layout.name}.clips"
            folders[clips] = None
            for animation in animations.of_tags(layout):
                path = clips / f"{layout.name}_{animation.name}.anim"
                texts.write(folder / path, clip(one, animation, options))
                meta = unity_files.CLIP_META.substitute(guid=_path_guid(options, path))
                texts.write(folder / f"{path}.meta", meta)
    for path in folders:
        if path.name:
            meta = unity_files.FOLDER_META.substitute(guid=_path_guid(options, path))
            texts.write(folder / f"{path}.meta", meta)


def texture_meta(one: Sheet, page: int, options: Options) -> str:
    """The meta of a page: how Unity imports it, and its sprites."""
    layout, given = one.layout, one.layout.pages[page]
    guid, cut = _guid(options, one, given.image), centers(layout)
    ids, names, sprites = "", "", ""
    for index, frame in enumerate(layout.frames):
        if frame.page == page:
            identity = _sprite_id(guid, frame.name)
            ids += f"\n  - first:\n      {SPRITE}: {identity}\n    second: {_yaml(frame.name)}"
            names += f"\n      {_yaml(frame.name)}: {identity}"
            sprites += "\n" + _sprite(frame, given.height, identity, cut.get(index))
    secondary = "".join(
        f"\n    - texture: {{fileID: {TEXTURE}, guid: {_guid(options, one, name)}, type: 3}}\n      name: {_role(role)}"
        for role, name in sorted(given.companions.items())
    )
    return unity_files.TEXTURE.substitute(
        guid=guid,
        ids=ids or " []",
        srgb=1,
        size=_max_size(given),
        mode=2,  # multiple sprites
        unit=number(options.pixels_per_unit),
        transparency=1,
        kind=8,  # sprite
        sprites=sprites or " []",
        sprite_id=SHEET,
        secondary=secondary or " []",
        names=names or " {}",
    )


def companion_meta(one: Sheet, page: int, role: str, options: Options) -> str:
    """The meta of a companion of a page, which is a texture without sprites."""
    given = one.layout.pages[page]
    normal = role == "normal"
    return unity_files.TEXTURE.substitute(
        guid=_guid(options, one, given.companions[role]),
        ids=" []",
        srgb=int(not normal),
        size=_max_size(given),
        mode=0,
        unit=number(options.pixels_per_unit),
        transparency=0,
        kind=int(normal),  # normal map or plain texture
        sprites=" []",
        sprite_id="",
        secondary=" []",
        names=" {}",
    )


def clip(one: Sheet, animation: Animation, options: Options) -> str:
    """An AnimationClip that shows the sprites of a SpriteRenderer.

    Unity's clip ends a sample after its last key. One more key holds the last sprite where it is shown for longer.
    """
    unit = animation.unit
    at, keys = 0, []
    for frame, duration in zip(animation.frames, animation.durations, strict=True):
        guid = _guid(options, one, one.layout.pages[frame.page].image)
        keys.append((at, f"{{fileID: {_sprite_id(guid, frame.name)}, guid: {guid}, type: 3}}"))
        at += duration
    if keys[-1][0] != at - unit:
        keys.append((at - unit, keys[-1][1]))
    return unity_files.CLIP.substitute(
        name=_yaml(f"{one.layout.name}_{animation.name}"),
        curve="\n".join(f"    - time: {number(time / 1000)}\n      value: {sprite}" for time, sprite in keys),
        rate=number(1000 / unit),
        mapping="\n".join(f"    - {sprite}" for _, sprite in keys),
        stop=number(at / 1000),
        loop=int(animation.loop),
    )


def _sprite(frame: Frame, page_height: int, identity: int, center: Rectangle | None) -> str:
    """A sprite: Unity counts from the bottom of the page, and in parts of the sprite for its pivot."""
    left, top, width, height = frame.box
    if width < 1 or height < 1:
        raise StageError(f"frame {frame.name!r} keeps no pixel", hint="keep at least one pixel of a trimmed frame")
    across, down = frame.pivot or (frame.source[0] / 2, frame.source[1] / 2)
    x, y, wide, high = center or (0, 0, width, height)
    return unity_files.SPRITE.substitute(
        name=_yaml(frame.name),
        x=frame.x,
        y=page_height - frame.y - height,
        width=width,
        height=height,
        across=number((across - left) / width),
        up=number((top + height - down) / height),
        left=x,
        bottom=height - y - high,
        right=width - x - wide,
        top=y,
        sprite_id=_hash(f"{identity}", frame.name),
        internal_id=identity,
    )


def _max_size(page: Page) -> int:
    longest = max(page.width, page.height)
    if longest > MAX_SIZE:
        raise StageError(
            f"page {page.image} is {longest:,} pixels long, and Unity's textures at most {MAX_SIZE:,}",
            hint="say a smaller max_size in the sheet",
        )
    return max(2048, 1 << (longest - 1).bit_length())


def _guid(options: Options, one: Sheet, name: str) -> str:
    return _path_guid(options, PurePosixPath(one.category) / name)


def _path_guid(options: Options, path: PurePosixPath) -> str:
    return _hash(options.root.strip("/"), path.as_posix())


def _sprite_id(guid: str, name: str) -> int:
    """A signed number of 64 bits, as Unity has for sprites; never 0, which would be none."""
    return int.from_bytes(bytes.fromhex(_hash(guid, name))[:8], "big", signed=True) or 1


def _hash(*parts: str) -> str:
    """32 hexadecimal digits of the sha256 of some names."""
    return hashlib.sha256("\0".join(("spritebuild", *parts)).encode()).hexdigest()[:32]


def _role(role: str) -> str:
    """A secondary texture's name: Unity's own for normal maps and masks."""
    return {"normal": "_NormalMap", "mask": "_MaskTex"}.get(role, f"_{role[:1].upper()}{role[1:]}Map")


def _yaml(text: str) -> str:
    """A YAML scalar that is a string to every reader."""
    if PLAIN.fullmatch(text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
