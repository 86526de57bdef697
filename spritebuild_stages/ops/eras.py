"""Limits of hardware that games were drawn for: how many colors, and which; knows no picture."""

from __future__ import annotations

from dataclasses import dataclass

Color = tuple[int, int, int]


@dataclass(frozen=True)
class Era:
    """One machine's limits for a sprite: colors that are seen at once, and bits of a channel of red, green or blue."""

    name: str
    hardware: str
    colors: int
    bits: int

    @property
    def levels(self) -> tuple[int, ...]:
        """The values of a channel among 0..255: the hardware's, with their bits repeated to fill eight."""
        return tuple(int((f"{level:0{self.bits}b}" * 8)[:8], 2) for level in range(1 << self.bits))

    def fit(self, color: Color) -> Color:
        """The color with every channel at the nearest of the levels, the darker of two that are equally near."""
        red, green, blue = (min(self.levels, key=lambda level: abs(level - value)) for value in color)
        return red, green, blue


# One entry of every palette is the transparent one, and no color.
# Sega Master System: color RAM --BBGGRR, 16 entries for sprites; https://www.smspower.org/maxim/HowToProgram/Palette
# Super NES: CGRAM 0BBBBBGGGGGRRRRR, 16 entries a sprite; https://snes.nesdev.org/wiki/Palettes
# PlayStation: a lookup table of 256 entries, 5 bits a channel; https://wiki.ffrtt.ru/index.php/PSX/TIM_format
ERAS = {
    era.name: era
    for era in (
        Era("8bit", "Sega Master System", 15, 2),
        Era("16bit", "Super NES", 15, 5),
        Era("32bit", "PlayStation", 255, 5),
    )
}
