"""The palette stage."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from spritebuild.errors import StageError
from spritebuild.stage import BoundAction, Context, Stages
from spritebuild_stages.images import png
from spritebuild_stages.ops.eras import ERAS
from spritebuild_stages.ops.palette import parse
from spritebuild_stages.palette import PaletteStage


def picture(seed: int, size: int = 12) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (size, size, 4), np.uint8)


def palette(folder: Path, *pictures: NDArray[np.uint8], **told: Any) -> Path:
    """Run the stage; the palette's file, beside which lies the swatch."""
    for number, rgba in enumerate(pictures):
        png.write(folder / f"{number}.png", rgba)
    return run(folder, tuple(folder / f"{number}.png" for number in range(len(pictures))), **told)


def run(folder: Path, images: tuple[Path, ...], **told: Any) -> Path:
    outputs = PaletteStage.Outputs(palette=folder / "palette.gpl", swatch=folder / "swatch.png")
    action = BoundAction(PaletteStage.Params(**told), PaletteStage.Inputs(images=images), outputs)
    assert PaletteStage().run(action, Context(memory=folder)) == {"colors": len(parse(outputs.palette))}
    return outputs.palette


def test_the_stage_is_found_by_its_kind() -> None:
    stage = Stages()["palette"]
    assert (stage.kind, stage.version, stage.device) == ("palette", 2, "cpu")


def test_importing_the_stage_imports_no_numpy() -> None:
    code = "import spritebuild_stages.palette, sys; print({'numpy', 'PIL', 'deflate'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "set()\n"


def test_the_eras_are_those_that_there_are() -> None:
    (era, _) = PaletteStage.Params.model_json_schema()["properties"]["era"]["anyOf"]
    assert era["enum"] == list(ERAS)


def test_the_palette_is_read_back_and_the_swatch_shows_it(tmp_path: Path) -> None:
    file = palette(tmp_path, picture(1), picture(2), colors=20)
    colors = parse(file)
    assert len(colors) == 20
    assert parse(tmp_path / "swatch.png") == colors
    swatch = png.read(tmp_path / "swatch.png")
    assert swatch.shape == (32, 256, 4)
    assert not swatch[16:, 64:].any()


def test_the_order_of_pictures_changes_no_byte(tmp_path: Path) -> None:
    first = palette(tmp_path, picture(1), picture(2), picture(3)).read_bytes()
    assert palette(tmp_path, picture(3), picture(1), picture(2)).read_bytes() == first


def test_few_colors_are_written_as_they_are(tmp_path: Path) -> None:
    rgba = np.array([[(255, 128, 1, 255), (0, 0, 0, 1), (9, 9, 9, 0)]], np.uint8)
    text = palette(tmp_path, rgba).read_text()
    assert text == "GIMP Palette\nName: 2 colors\nColumns: 16\n#\n  0   0   0\t000000\n255 128   1\tff8001\n"


@pytest.mark.parametrize(("era", "most"), [("8bit", 15), ("16bit", 15), ("32bit", 255)])
def test_an_era_limits_colors_and_levels(era: str, most: int, tmp_path: Path) -> None:
    colors = parse(palette(tmp_path, picture(1, 40), colors=256, era=era))
    assert len(colors) == most
    assert all(ERAS[era].fit(color) == color for color in colors)


def test_a_broken_picture_is_named(tmp_path: Path) -> None:
    png.write(tmp_path / "good.png", picture(1))
    (tmp_path / "bad.png").write_bytes((tmp_path / "good.png").read_bytes()[:60])
    with pytest.raises(StageError) as caught:
        run(tmp_path, (tmp_path / "good.png", tmp_path / "bad.png"))
    assert str(tmp_path / "bad.png") in caught.value.message
    assert caught.value.hint == "a palette is extracted from PNGs of at most 16 Mpx each"


def test_pictures_without_a_visible_pixel_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(StageError) as caught:
        palette(tmp_path, np.zeros((2, 2, 4), np.uint8), np.zeros((1, 1, 4), np.uint8))
    assert caught.value.message == "no visible pixel in any picture: there is nothing to take colors from"
    assert caught.value.facts == (("pictures", "2"), ("first", str(tmp_path / "0.png")))


def test_no_picture_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="no visible pixel"):
        run(tmp_path, ())


@pytest.mark.parametrize("told", [{"colors": 0}, {"colors": 257}, {"era": "64bit"}, {"colours": 4}])
def test_other_params_are_refused(told: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PaletteStage.Params(**told)
