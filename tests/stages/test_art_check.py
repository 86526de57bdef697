"""The art-check stage."""

from __future__ import annotations

import json
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
from spritebuild_stages.art_check import ArtCheck
from spritebuild_stages.images import png

SPRITES = Path(__file__).parents[2] / "../shared/data/dcss"
Rgba = NDArray[np.uint8]

GOLDEN = """\
violation  hero: 3 colors; at most 2 is allowed
violation  hero: 4 of 29 visible pixels have colors outside the palette, most often \
#ff0000 (3 pixels, nearest is #c81e28) and #00ff00 (1 pixel, nearest is #c81e28); none is allowed
notice     hero: 1 of 29 visible pixels (3.4 %) are neither opaque nor transparent
1 sprite: 2 violations and 1 notice
"""


def hero() -> Rgba:
    rgba = np.zeros((8, 8, 4), np.uint8)
    rgba[1:6, 1:6] = (200, 30, 40, 255)
    rgba[2, 2:5] = (255, 0, 0, 255)
    rgba[4, 4] = (0, 255, 0, 255)
    rgba[6, 1:5] = (200, 30, 40, 255)
    rgba[6, 4, 3] = 77
    return rgba


def check(
    folder: Path, images: dict[str, Rgba], references: list[Rgba] | None = None, **told: Any
) -> tuple[dict[str, Any], Any]:
    paths: dict[str, Path] = {}
    for name, rgba in [*images.items(), *((f"reference {n}", rgba) for n, rgba in enumerate(references or []))]:
        paths[name] = folder / f"{name}.png"
        png.write(paths[name], rgba)
    palettes = told.pop("palettes", {})
    params = ArtCheck.Params.model_validate(
        {"names": told.pop("names", tuple(images)), "tiles": told.pop("tiles", {}), "limits": told}
    )
    inputs = ArtCheck.Inputs(
        images=tuple(paths[name] for name in images),
        references=tuple(path for name, path in paths.items() if name not in images),
        palettes=palettes,
    )
    outputs = ArtCheck.Outputs(report=folder / "art.json")
    notes = ArtCheck().run(BoundAction(params, inputs, outputs), Context(memory=folder))
    return json.loads(outputs.report.read_bytes()), notes


def test_the_stage_is_found_by_its_kind() -> None:
    stage = Stages()["art-check"]
    assert (stage.kind, stage.version, stage.device) == ("art-check", 1, "cpu")


def test_importing_the_stage_imports_no_numpy() -> None:
    code = "import spritebuild_stages.art_check, sys; print({'numpy', 'PIL', 'deflate'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "set()\n"


def test_the_sentences_are_those(tmp_path: Path) -> None:
    report, notes = check(tmp_path, {"hero": hero()}, max_colors=2, palette=("#c81e28",))
    assert "".join(f"{line}\n" for line in ArtCheck.lines(report)) == GOLDEN
    assert notes == {}


def test_a_palette_file_says_which_colors_are_allowed(tmp_path: Path) -> None:
    (tmp_path / "game.hex").write_text("c81e28\nff0000\n00ff00\n")
    report, _ = check(tmp_path, {"hero": hero()}, palettes={"game": tmp_path / "game.hex"})
    entry = next(entry for entry in report["sprites"][0]["findings"] if entry["measure"] == "palette")
    assert (entry["verdict"], entry["value"], entry["most"], entry["worst"]) == ("ok", 0, 0, [])


def test_colors_of_limits_and_of_all_files_are_allowed(tmp_path: Path) -> None:
    (tmp_path / "a.hex").write_text("c81e28\n")
    (tmp_path / "b.hex").write_text("ff0000\n")
    files = {"a": tmp_path / "a.hex", "b": tmp_path / "b.hex"}
    report, _ = check(tmp_path, {"hero": hero()}, palettes=files, palette=("#0f0",))
    assert report["sprites"][0]["findings"][2]["value"] == 0


def test_the_same_sprites_give_the_same_bytes_and_another_order_the_same_verdicts(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images = {f"s{n}": rng.integers(0, 256, (9, 9, 4), np.uint8) for n in range(6)}
    references = [hero()] * 3
    first, _ = check(tmp_path, images, references)
    data = (tmp_path / "art.json").read_bytes()
    check(tmp_path, images, references)
    assert (tmp_path / "art.json").read_bytes() == data
    turned, _ = check(tmp_path, dict(reversed(images.items())), references)
    verdicts = {sprite["name"]: sprite["verdict"] for sprite in first["sprites"]}
    assert {sprite["name"]: sprite["verdict"] for sprite in turned["sprites"]} == verdicts


def test_few_references_are_warned_of(tmp_path: Path) -> None:
    assert "1 reference says little" in check(tmp_path, {"hero": hero()}, [hero()])[1]["warnings"][0]
    assert check(tmp_path, {"hero": hero()}, [hero()] * 20)[1] == {"warnings": []}


def test_a_torn_tile_is_noticed_and_a_seamless_one_is_not(tmp_path: Path) -> None:
    cloth = np.random.default_rng(1).integers(0, 256, (48, 48, 3)).astype(float)
    for _ in range(4):  # soft, and around the edges too
        cloth = sum(np.roll(cloth, (dy, dx), (0, 1)) for dy in (-1, 0, 1) for dx in (-1, 0, 1)) / 9
    cloth = (cloth - cloth.min()) / np.ptp(cloth) * 255
    whole = np.dstack([cloth, np.full((48, 48), 255)]).astype(np.uint8)
    torn = whole[:37, :37]
    tiles = {"whole": "both", "torn": "both"}
    report, _ = check(tmp_path, {"whole": whole, "torn": torn}, tiles=tiles)
    found = {one["name"]: [f for f in one["findings"] if f["measure"] == "seam"] for one in report["sprites"]}
    assert [finding["verdict"] for finding in found["whole"] + found["torn"]] == ["ok", "notice"]
    assert "of its inside, where a seamless one is near 50 %" in found["torn"][0]["sentence"]
    report, _ = check(tmp_path, {"whole": whole, "torn": torn}, tiles={"torn": "both"}, seam=0.4)
    assert report["summary"]["measures"]["seam"]["violations"] == 1


def test_names_of_any_script_are_written_as_they_are(tmp_path: Path) -> None:
    check(tmp_path, {"走る": hero()})
    assert "走る: 8x8".encode() in (tmp_path / "art.json").read_bytes()


def test_names_and_images_must_be_as_many(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="2 names for 1 images"):
        check(tmp_path, {"hero": hero()}, names=("a", "b"))


@pytest.mark.parametrize("names", [(), ("a", "a")])
def test_names_are_some_and_all_different(names: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError):
        ArtCheck.Params(names=names)


@pytest.mark.parametrize("field", ["images", "references"])
def test_a_file_that_is_no_png_is_an_error(field: str, tmp_path: Path) -> None:
    png.write(tmp_path / "hero.png", hero())
    (tmp_path / "a.png").write_text("")
    inputs = {"images": (tmp_path / "hero.png",), field: (tmp_path / "a.png",)}
    action = BoundAction(
        ArtCheck.Params(names=("hero",)),
        ArtCheck.Inputs.model_validate(inputs),
        ArtCheck.Outputs(report=tmp_path / "art.json"),
    )
    with pytest.raises(StageError, match=r"a\.png: not a PNG\n\nhint: "):
        ArtCheck().run(action, Context(memory=tmp_path))


def test_a_broken_palette_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "game.hex").write_text("red\n")
    with pytest.raises(StageError, match=r"game\.hex:1: 'red' is not RRGGBB"):
        check(tmp_path, {"hero": hero()}, palettes={"game": tmp_path / "game.hex"})


@pytest.mark.skipif(not SPRITES.is_dir(), reason="needs the sprites")
def test_it_cries_wolf_on_few_sprites_of_the_references_hands_and_sees_what_is_wrong(tmp_path: Path) -> None:
    files = sorted((SPRITES / "item").rglob("*.png"))
    drawn = [rgba for rgba in map(png.read, files) if np.count_nonzero(rgba[..., 3]) >= 60]
    references, rest = drawn[::2], drawn[1::2][:150]
    report, _ = check(tmp_path, {str(n): rgba for n, rgba in enumerate(rest)}, references)
    assert report["summary"]["in_order"] > 0.8 * len(rest)
    stretched = (2 * np.arange(48) + 1) * 32 // 96
    wrong = {str(n): rgba[stretched[:, None], stretched] for n, rgba in enumerate(rest) if rgba.shape[:2] == (32, 32)}
    report, _ = check(tmp_path, wrong, references)
    assert report["summary"]["measures"]["mixels"]["notices"] > 0.97 * len(wrong)
