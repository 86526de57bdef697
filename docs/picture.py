"""Enlarges a sheet on a plain ground: `python docs/picture.py assets/dungeon.png docs/quickstart.png`."""

import sys

from PIL import Image

GROUND, SCALE = (58, 62, 74, 255), 3


def main(source: str, target: str) -> None:
    """Write `source`, `SCALE` times as large, to `target`."""
    sheet = Image.open(source).convert("RGBA")
    picture = Image.new("RGBA", sheet.size, GROUND)
    picture.alpha_composite(sheet)
    size = (sheet.width * SCALE, sheet.height * SCALE)
    picture.convert("RGB").resize(size, Image.Resampling.NEAREST).save(target, optimize=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
