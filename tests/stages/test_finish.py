"""The finish stage."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from spritebuild.errors import StageError
from spritebuild.stage import BoundAction, Context, Stages
from spritebuild_stages.finish import Finish
from spritebuild_stages.images import png

SPRITES = Path(__file__).parents[2] / "../shared/data/dcss"
PALETTE = ("#000000", "#4a2c2a", "#8a5a3c", "#d9a066", "#e8e0d0", "#5a6e3a", "#3a5a8a", "#8a2a3a")

pictures = arrays(np.uint8, st.tuples(st.integers(1, 8), st.integers(1, 8), st.just(4)))


def params(*ops: dict[str, Any]) -> Any:
    return Finish.Params.model_validate({"ops": ops})


def finish(folder: Path, rgba: NDArray[np.uint8], *ops: dict[str, Any], **palettes: Path) -> NDArray[np.uint8]:
    png.write(folder / "in.png", rgba)
    inputs = Finish.Inputs(image=folder / "in.png", palettes=palettes)
    outputs = Finish.Outputs(image=folder / "out.png")
    Finish().run(BoundAction(params(*ops), inputs, outputs), Context(memory=folder))
    return png.read(folder / "out.png")


def ball(size: int = 16) -> NDArray[np.uint8]:
    """A shaded ball with a soft edge, and color hidden around it."""
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    inside = np.clip((size * 0.4 - np.hypot(x, y)) * 128, 0, 255)
    return np.stack([150 - x * 9, 110 - y * 9, 90 + x * 4, inside], axis=2).astype(np.uint8)


def test_the_stage_is_found_by_its_kind() -> None:
    stage = Stages()["finish"]
    assert (stage.kind, stage.version, stage.device) == ("finish", 2, "cpu")


def test_importing_the_stage_imports_no_numpy() -> None:
    code = "import spritebuild_stages.finish, sys; print({'numpy', 'PIL', 'deflate'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "set()\n"


def test_no_operations_clear_hidden_color_alone(tmp_path: Path) -> None:
    result = finish(tmp_path, ball())
    visible = ball()[..., 3] > 0
    assert np.array_equal(result[visible], ball()[visible])
    assert not result[~visible].any()


def test_operations_run_in_their_order(tmp_path: Path) -> None:
    alpha, trim, scale = {"op": "alpha"}, {"op": "trim", "margin": 1}, {"op": "scale", "factor": 3}
    trimmed_first = finish(tmp_path, ball(), alpha, trim, scale)
    scaled_first = finish(tmp_path, ball(), alpha, scale, trim)
    assert trimmed_first.shape == (3 * 12, 3 * 12, 4)
    assert scaled_first.shape == (3 * 10 + 2, 3 * 10 + 2, 4)


def test_a_whole_line_gives_a_hard_sprite_in_palette_colors(tmp_path: Path) -> None:
    ops = (
        {"op": "alpha", "threshold": 100},
        {"op": "trim"},
        {"op": "pad", "size": [24, 20], "anchor": "bottom"},
        {"op": "quantize", "palette": "earth", "colors": PALETTE},
        {"op": "outline", "color": "#F0F", "corners": True},
    )
    result = finish(tmp_path, ball(), *ops)
    assert result.shape == (20, 24, 4)
    allowed = {(*bytes.fromhex(color[1:]), 255) for color in PALETTE} | {(255, 0, 255, 255), (0, 0, 0, 0)}
    found = {tuple(pixel) for pixel in result.reshape(-1, 4).tolist()}
    assert found <= allowed
    assert {(255, 0, 255, 255), (0, 0, 0, 0)} < found


@settings(deadline=None)  # writes files
@given(pictures)
def test_finishing_twice_changes_nothing(tmp_path_factory: pytest.TempPathFactory, rgba: NDArray[np.uint8]) -> None:
    folder = tmp_path_factory.getbasetemp()
    ops = ({"op": "alpha"}, {"op": "quantize", "palette": "p", "colors": PALETTE}, {"op": "trim", "margin": 2})
    once = finish(folder, rgba, *ops)
    first = (folder / "out.png").read_bytes()
    finish(folder, once, *ops)
    assert (folder / "out.png").read_bytes() == first


def test_bytes_are_those_of_every_machine(tmp_path: Path) -> None:
    y, x = np.mgrid[:128, :128]
    rgba = np.stack([x * 2, y * 2, (x + y), (x * y) % 256], axis=2).astype(np.uint8)
    finish(tmp_path, rgba, {"op": "alpha"}, {"op": "quantize", "palette": "p", "colors": PALETTE}, {"op": "outline"})
    digest = hashlib.sha256((tmp_path / "out.png").read_bytes()).hexdigest()
    assert digest == "d5149620167ef1bd287aea962dca7f17970f0a1e32595b2c5ab799c5556cc0e6"


def test_a_palette_file_is_as_good_as_its_colors(tmp_path: Path) -> None:
    (tmp_path / "earth.hex").write_text("\n".join(color[1:] for color in PALETTE))
    inline = finish(tmp_path, ball(), {"op": "quantize", "palette": "earth", "colors": PALETTE})
    named = finish(tmp_path, ball(), {"op": "quantize", "palette": "earth"}, earth=tmp_path / "earth.hex")
    assert np.array_equal(inline, named)


def test_an_operation_that_cannot_be_done_is_an_error_with_a_hint(tmp_path: Path) -> None:
    with pytest.raises(StageError) as caught:
        finish(tmp_path, ball(16), {"op": "alpha"}, {"op": "pad", "size": [12, 40]})
    assert str(caught.value) == (
        "the picture is 16x16, larger than 12x40\n"
        "  operation  2. pad\n"
        "  picture    16x16\n"
        "\n"
        'hint: give a larger size, or put { op = "trim" } before it'
    )
    assert not (tmp_path / "out.png").exists()


EVERY: tuple[dict[str, Any], ...] = (
    {"op": "pixelate", "mode": "median"},
    {"op": "cutout"},
    {"op": "cutout", "mode": "key", "color": "#102030", "grow": 1},
    {"op": "alpha"},
    {"op": "sharpen", "percent": 150},
    {"op": "quantize", "palette": "p", "colors": PALETTE, "dither": "bayer4"},
    {"op": "swap", "palette": "p", "colors": PALETTE[:2], "to": "q", "to_colors": ["#123", "#456"]},
    {"op": "despeckle", "size": 3, "contrast": 90},
    {"op": "jaggies"},
    {"op": "jaggies", "color": "#000"},
    {"op": "outline", "side": "inner"},
    {"op": "outline", "selective": True, "shade": 40},
    {"op": "symmetry"},
    {"op": "symmetry", "axis": "y", "keep": "top", "about": "sprite"},
    {"op": "trim"},
    {"op": "pad", "size": [80, 80]},
    {"op": "align", "pivot": "center"},
    {"op": "align", "point": [40, 48], "size": [80, 80]},
    {"op": "nine-slice", "margins": [0, 0, 0, 0], "size": [20, 24], "fill": "stretch"},
    {"op": "scale", "factor": 2},
    {"op": "scale", "factor": 3, "mode": "epx"},
)

# The first 16 digits of the sha256 of what each makes of one picture, by its place in EVERY.
BYTES = {
    "1 cutout": "486916af6994d51f",
    "2 cutout": "486916af6994d51f",
    "3 alpha": "486916af6994d51f",
    "4 sharpen": "750b766ddf8ab2d2",
    "6 swap": "486916af6994d51f",
    "7 despeckle": "486916af6994d51f",
    "8 jaggies": "486916af6994d51f",
    "9 jaggies": "486916af6994d51f",
    "10 outline": "350195ff104faefa",
    "11 outline": "ba1b0ea4d5c08601",
    "12 symmetry": "25677a174b24d0f7",
    "13 symmetry": "bb564a5b58ecc76e",
    "14 trim": "c3ee5de02264b25f",
    "15 pad": "cac2535e09cb0d46",
    "16 align": "3450e073c711e332",
    "17 align": "864d02fdc54df555",
    "18 nine-slice": "5f3d629b8a228ec8",
    "19 scale": "4a6860f18904af40",
    "20 scale": "1b5c78e7867eaba7",
}


@settings(deadline=None, max_examples=12)
@given(rgba=pictures)
@pytest.mark.parametrize("op", EVERY, ids=lambda op: "-".join(str(value) for value in list(op.values())[:2]))
def test_every_operation_takes_every_small_picture(
    op: dict[str, Any], rgba: NDArray[np.uint8], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp()
    result = finish(folder, rgba, op)
    assert result.dtype == np.uint8
    assert not result[result[..., 3] == 0].any()
    finish(folder, rgba, op)
    assert np.array_equal(png.read(folder / "out.png"), result)


@pytest.mark.parametrize("op", EVERY, ids=lambda op: "-".join(str(value) for value in list(op.values())[:2]))
def test_every_operation_takes_pictures_of_one_pixel_and_of_none_visible(op: dict[str, Any], tmp_path: Path) -> None:
    finish(tmp_path, np.full((1, 1, 4), 200, np.uint8), op)
    assert not finish(tmp_path, np.full((5, 3, 4), (9, 9, 9, 0), np.uint8), op).any()


def test_the_bytes_of_every_operation_are_those_of_every_machine(tmp_path: Path) -> None:
    y, x = np.mgrid[:48, :40]
    rgba = np.stack([x * 6, y * 5, (x * y) % 256, 255 * (abs(x - 20) + abs(y - 24) < 20)], axis=2).astype(np.uint8)
    digests = {}
    for number, op in enumerate(EVERY):
        if op["op"] not in ("pixelate", "quantize"):  # their tests hold them
            finish(tmp_path, rgba, op)
            digests[f"{number} {op['op']}"] = hashlib.sha256((tmp_path / "out.png").read_bytes()).hexdigest()[:16]
    assert digests == BYTES


def test_a_swap_gives_the_colors_of_the_other_palette(tmp_path: Path) -> None:
    (tmp_path / "ice.hex").write_text("001122\nddeeff\n")
    quantized = {"op": "quantize", "palette": "fire", "colors": ["#400000", "#ffcc00"]}
    swapped = {"op": "swap", "palette": "fire", "colors": ["#400000", "#ffcc00"], "to": "ice"}
    before = finish(tmp_path, ball(), quantized)
    after = finish(tmp_path, ball(), quantized, swapped, ice=tmp_path / "ice.hex")
    assert np.array_equal(after[..., 3], before[..., 3])
    for old, new in (((0x40, 0, 0), (0, 0x11, 0x22)), ((255, 0xCC, 0), (0xDD, 0xEE, 255))):
        assert np.array_equal(
            (before[..., :3] == old).all(axis=2) & (before[..., 3] > 0), (after[..., :3] == new).all(axis=2)
        )


def test_a_soft_picture_on_a_ground_becomes_a_sprite(tmp_path: Path) -> None:
    clean = finish(tmp_path, ball(), {"op": "alpha"}, {"op": "quantize", "palette": "p", "colors": PALETTE})
    ground = np.where(clean[..., 3:] > 0, clean, np.array((250, 250, 245, 255))).astype(np.uint8)
    large = finish(tmp_path, ground, {"op": "scale", "factor": 16})
    result = finish(tmp_path, large, {"op": "pixelate"}, {"op": "cutout", "tolerance": 20})
    assert result.shape == clean.shape
    assert np.array_equal(result, clean)


@pytest.mark.parametrize(
    ("size", "op", "message"),
    [
        ((64, 8200), {"op": "scale", "factor": 64}, "4096x524800 is 2149.6 Mpx, more than 16.8"),
        ((1, 9000), {"op": "trim", "margin": 1024}, "2049x11048 is 22.6 Mpx, more than 16.8"),
        ((2, 2), {"op": "quantize", "palette": "lost"}, "palette 'lost' has neither colors nor a file"),
        (
            (2, 2),
            {"op": "swap", "palette": "p", "colors": ["#000"], "to": "q"},
            "palette 'q' has neither colors nor a file",
        ),
        ((2050, 2050), {"op": "scale", "factor": 2, "mode": "epx"}, "4100x4100 is 16.8 Mpx, more than 16.8"),
        (
            (9, 9),
            {"op": "align", "size": [8, 9]},
            "the sprite of 9x9 would leave the canvas of 8x9: its corner goes to -1, 0",
        ),
        (
            (9, 9),
            {"op": "nine-slice", "margins": [3, 3, 3, 3], "size": [5, 9]},
            "margins of 3 and 3 do not fit into a width of 5",
        ),
    ],
)
def test_what_would_not_fit_or_is_not_there_is_an_error(
    size: tuple[int, int], op: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(StageError, match="\nhint: ") as caught:
        finish(tmp_path, np.full((size[1], size[0], 4), 255, np.uint8), op)
    assert caught.value.message == message


def test_a_broken_palette_file_is_an_error_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "p.hex").write_text("000000\nblue\n")
    with pytest.raises(StageError, match=r"p\.hex:2: 'blue' is not RRGGBB"):
        finish(tmp_path, ball(), {"op": "quantize", "palette": "p"}, p=tmp_path / "p.hex")


def test_what_is_no_png_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "in.png").write_text("GIF89a")
    action = BoundAction(params(), Finish.Inputs(image=tmp_path / "in.png"), Finish.Outputs(image=tmp_path / "out.png"))
    with pytest.raises(StageError, match=r"in\.png: not a PNG but a GIF\n\nhint: "):
        Finish().run(action, Context(memory=tmp_path))


@pytest.mark.skipif(not SPRITES.is_dir(), reason="the CC0 sprites are not here")
def test_real_sprites_come_out_in_palette_colors(tmp_path: Path) -> None:
    allowed = {(*bytes.fromhex(color[1:]), 255) for color in PALETTE} | {(0, 0, 0, 0)}
    for path in sorted(SPRITES.rglob("*.png"))[::100]:
        ops = {"op": "alpha"}, {"op": "quantize", "palette": "earth", "colors": PALETTE}, {"op": "outline"}
        result = finish(tmp_path, png.read(path), *ops)
        assert {tuple(pixel) for pixel in result.reshape(-1, 4).tolist()} <= allowed
