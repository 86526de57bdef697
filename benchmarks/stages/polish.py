"""Adds a constant comment to a PNG: other bytes, same pixels."""

import zlib
from pathlib import Path

from spritebuild.stage import BoundAction, Context, Inputs, Outputs, Stage

TEXT = b"tEXtComment\0polished"
COMMENT = (len(TEXT) - 4).to_bytes(4, "big") + TEXT + zlib.crc32(TEXT).to_bytes(4, "big")
END = 12  # bytes of the chunk that ends a PNG


class PolishInputs(Inputs):
    image: Path


class PolishOutputs(Outputs):
    image: Path = Path("image.png")


class Polish(Stage):
    version = 1
    Inputs = PolishInputs
    Outputs = PolishOutputs

    def run(self, action: BoundAction, context: Context) -> None:
        data = action.inputs.image.read_bytes()
        action.outputs.image.write_bytes(data[:-END] + COMMENT + data[-END:])
