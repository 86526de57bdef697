"""Draws the smallest picture there is, one pixel that depends on the seed: as little work as a stage can do."""

import zlib
from pathlib import Path

from spritebuild.stage import BoundAction, Context, Outputs, Params, Stage

HEADER = (
    b"\x89PNG\r\n\x1a\n"
    b"\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\6\0\0\0\x1f\x15\xc4\x89"  # 1x1, 8 bits, RGBA
)
END = b"\0\0\0\0IEND\xaeB`\x82"


class DrawParams(Params):
    seed: int
    prompt: str = ""


class DrawOutputs(Outputs):
    image: Path = Path("image.png")


class Draw(Stage):
    version = 1
    Params = DrawParams
    Outputs = DrawOutputs

    def run(self, action: BoundAction, context: Context) -> None:
        pixel = action.params.seed.to_bytes(4, "big")
        action.outputs.image.write_bytes(HEADER + _chunk(b"IDAT", zlib.compress(b"\0" + pixel)) + END)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")
