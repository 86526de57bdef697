"""A Godot 4 project as one file, its pictures imported as Godot's editor would; knows nothing of sheets.

Sources: core/io/file_access_pack.cpp (format 3), scene/resources/compressed_texture.cpp (GST2) of Godot 4.6.
"""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path

from spritebuild_stages.images import png

RELATIVE, HEADER, RGBA8 = 2, 112, 5


def write(path: Path, project: Path) -> None:
    """Pack a project's folder; its PNGs become textures, and are not in the pack themselves."""
    files = {".godot/global_script_class_cache.cfg": b"list=[]\n"}
    for file in sorted(project.rglob("*")):
        name = file.relative_to(project).as_posix()
        if file.suffix == ".png":
            imported = f".godot/imported/{hashlib.md5(name.encode()).hexdigest()}.ctex"
            files[imported] = _texture(file)
            files[f"{name}.import"] = (
                f'[remap]\n\nimporter="texture"\ntype="CompressedTexture2D"\npath="res://{imported}"\n'
            ).encode()
        elif file.is_file():
            files[name] = file.read_bytes()
    at, entries = 0, struct.pack("<I", len(files))
    for name, data in files.items():
        padded = name.encode() + b"\0" * (-len(name.encode()) % 4)
        entries += struct.pack("<I", len(padded)) + padded + struct.pack("<QQ", at, len(data))
        entries += hashlib.md5(data).digest() + struct.pack("<I", 0)
        at += len(data)
    head = b"GDPC" + struct.pack("<IIIIIQQ", 3, 4, 6, 0, RELATIVE, HEADER, HEADER + at)
    path.write_bytes(head.ljust(HEADER, b"\0") + b"".join(files.values()) + entries)


def _texture(file: Path) -> bytes:
    """A lossless texture without mipmaps, its pixels as they are."""
    rgba = png.read(file)
    height, width = rgba.shape[:2]
    head = b"GST2" + struct.pack("<IIIIiIII", 1, width, height, 0, 0, 0, 0, 0)
    return head + struct.pack("<IHHII", 0, width, height, 0, RGBA8) + rgba.tobytes()
