"""The texts of GameMaker's files: a sprite's `.yy`, its line in the project, a script; knows no sheet.

GameMaker's JSON has a comma after the last entry of everything, and keys in an order of its own.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from string import Template

from spritebuild_stages.exports.texts import number
from spritebuild_stages.sheets.layout import Rectangle

TOP_LEFT, CUSTOM = 0, 9  # GameMaker's numbers for origins


@dataclass(frozen=True)
class Picture:
    """A frame of a sprite: its UUID, and for how many units of time it is shown."""

    name: str
    length: int


@dataclass(frozen=True)
class Sprite:
    """What a sprite is beside its pictures. `center` is the part of a nine-slice that stretches."""

    name: str
    width: int
    height: int
    origin: tuple[int, int]
    center: Rectangle | None = None

    @property
    def borders(self) -> tuple[int, int, int, int] | None:
        """Left, top, right and bottom of a nine-slice."""
        if self.center is None:
            return None
        x, y, width, height = self.center
        return x, y, self.width - x - width, self.height - y - height


def identity(sprite: str, part: str) -> str:
    """A UUID, always the same for the same part of a sprite."""
    digest = hashlib.sha256(f"spritebuild\0{sprite}\0{part}".encode()).digest()
    return str(uuid.UUID(bytes=digest[:16], version=4))


def yy(sprite: Sprite, pictures: Sequence[Picture], layer: str, bounds: Rectangle, speed: float, project: str) -> str:
    """The `.yy` of a sprite; `speed` is in frames a second, `bounds` are left, top, right and bottom, inclusive."""
    path = f"sprites/{sprite.name}/{sprite.name}.yy"
    keys, at = "", 0
    for picture in pictures:
        keys += KEY.substitute(
            frame=picture.name, path=path, key=identity(sprite.name, f"key {at}"), at=at, length=picture.length
        )
        at += picture.length
    borders = sprite.borders
    nine = dict(zip(("left", "top", "right", "bottom"), borders or (), strict=borders is not None))
    return SPRITE.substitute(
        name=sprite.name,
        path=path,
        left=bounds[0],
        top=bounds[1],
        right=bounds[2],
        bottom=bounds[3],
        frames="".join(FRAME.substitute(frame=picture.name) for picture in pictures),
        height=sprite.height,
        width=sprite.width,
        layer=layer,
        nine=NINE_SLICE.substitute(nine) if borders else "null",
        origin=TOP_LEFT if sprite.origin == (0, 0) else CUSTOM,
        project=project,
        length=at,
        speed=_float(speed),
        keys=keys,
        x=sprite.origin[0],
        y=sprite.origin[1],
    )


def resource(name: str) -> str:
    """A sprite's line in the `resources` of a project."""
    return f'    {{"id":{{"name":"{name}","path":"sprites/{name}/{name}.yy",}},}},\n'


def setup(sprite: Sprite, speed: float | None) -> str:
    """The lines of a script that set what a strip cannot say; no speed for a single picture."""
    lines = [f"    sprite_set_offset({sprite.name}, {sprite.origin[0]}, {sprite.origin[1]});"]
    if speed is not None:
        lines.append(f"    sprite_set_speed({sprite.name}, {number(speed)}, spritespeed_framespersecond);")
    if sprite.borders:
        lines += ["    _slice = sprite_nineslice_create();", "    _slice.enabled = true;"]
        for side, size in zip(("left", "top", "right", "bottom"), sprite.borders, strict=True):
            lines.append(f"    _slice.{side} = {size};")
        lines.append(f"    sprite_set_nineslice({sprite.name}, _slice);")
    return "".join(f"{line}\n" for line in lines)


def script(parts: Sequence[str]) -> str:
    """A script of those lines, in GML."""
    head = "/// Origins, speeds and nine-slices of the strips beside this file: call it once when the game starts.\n"
    slices = "    var _slice;\n" if any("_slice = " in part for part in parts) else ""
    return f"{head}function sprites_setup() {{\n{slices}{''.join(parts)}}}\n"


def _float(value: float) -> str:
    text = number(value)
    return text if "." in text else f"{text}.0"


FRAME = Template(
    """\
    {"$$GMSpriteFrame":"","%Name":"$frame","name":"$frame","resourceType":"GMSpriteFrame",\
"resourceVersion":"2.0",},
"""
)

KEY = Template(
    """\
            {"$$Keyframe<SpriteFrameKeyframe>":"","Channels":{
                "0":{"$$SpriteFrameKeyframe":"","Id":{"name":"$frame","path":"$path",},\
"resourceType":"SpriteFrameKeyframe","resourceVersion":"2.0",},
              },"Disabled":false,"id":"$key","IsCreationKey":false,"Key":$at.0,"Length":$length.0,\
"resourceType":"Keyframe<SpriteFrameKeyframe>","resourceVersion":"2.0","Stretch":false,},
"""
)

NINE_SLICE = Template(
    """\
{
    "$$GMNineSliceData":"",
    "bottom":$bottom,
    "enabled":true,
    "guideColour":[4294902015,4294902015,4294902015,4294902015,],
    "highlightColour":1728023040,
    "highlightStyle":0,
    "left":$left,
    "resourceType":"GMNineSliceData",
    "resourceVersion":"2.0",
    "right":$right,
    "tileMode":[0,0,0,0,0,],
    "top":$top,
  }"""
)

SPRITE = Template(
    """\
{
  "$$GMSprite":"",
  "%Name":"$name",
  "bboxMode":0,
  "bbox_bottom":$bottom,
  "bbox_left":$left,
  "bbox_right":$right,
  "bbox_top":$top,
  "collisionKind":1,
  "collisionTolerance":0,
  "DynamicTexturePage":false,
  "edgeFiltering":false,
  "For3D":false,
  "frames":[
$frames  ],
  "gridX":0,
  "gridY":0,
  "height":$height,
  "HTile":false,
  "layers":[
    {"$$GMImageLayer":"","%Name":"$layer","blendMode":0,"displayName":"default","isLocked":false,"name":"$layer",\
"opacity":100.0,"resourceType":"GMImageLayer","resourceVersion":"2.0","visible":true,},
  ],
  "name":"$name",
  "nineSlice":$nine,
  "origin":$origin,
  "parent":{
    "name":"$project",
    "path":"$project.yyp",
  },
  "preMultiplyAlpha":false,
  "resourceType":"GMSprite",
  "resourceVersion":"2.0",
  "sequence":{
    "$$GMSequence":"",
    "%Name":"$name",
    "autoRecord":true,
    "backdropHeight":768,
    "backdropImageOpacity":0.5,
    "backdropImagePath":"",
    "backdropWidth":1366,
    "backdropXOffset":0.0,
    "backdropYOffset":0.0,
    "events":{
      "$$KeyframeStore<MessageEventKeyframe>":"",
      "Keyframes":[],
      "resourceType":"KeyframeStore<MessageEventKeyframe>",
      "resourceVersion":"2.0",
    },
    "eventStubScript":null,
    "eventToFunction":{},
    "length":$length.0,
    "lockOrigin":false,
    "moments":{
      "$$KeyframeStore<MomentsEventKeyframe>":"",
      "Keyframes":[],
      "resourceType":"KeyframeStore<MomentsEventKeyframe>",
      "resourceVersion":"2.0",
    },
    "name":"$name",
    "playback":1,
    "playbackSpeed":$speed,
    "playbackSpeedType":0,
    "resourceType":"GMSequence",
    "resourceVersion":"2.0",
    "showBackdrop":true,
    "showBackdropImage":false,
    "timeUnits":1,
    "tracks":[
      {"$$GMSpriteFramesTrack":"","builtinName":0,"events":[],"inheritsTrackColour":true,"interpolation":1,\
"isCreationTrack":false,"keyframes":{"$$KeyframeStore<SpriteFrameKeyframe>":"","Keyframes":[
$keys          ],"resourceType":"KeyframeStore<SpriteFrameKeyframe>","resourceVersion":"2.0",},"modifiers":[],\
"name":"frames","resourceType":"GMSpriteFramesTrack","resourceVersion":"2.0","spriteId":null,"trackColour":0,\
"tracks":[],"traits":0,},
    ],
    "visibleRange":null,
    "volume":1.0,
    "xorigin":$x,
    "yorigin":$y,
  },
  "swatchColours":null,
  "swfPrecision":2.525,
  "textureGroupId":{
    "name":"Default",
    "path":"texturegroups/Default",
  },
  "type":0,
  "VTile":false,
  "width":$width,
}
"""
)
