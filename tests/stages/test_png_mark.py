"""What says in a PNG that a trained model made it: as other programs read it, and from the stages that write it."""

from __future__ import annotations

import hashlib
import io
import re
import struct
import zlib
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from drawn_sheets import HERO_SLICES, HERO_TAGS, drawing, grid, hero, trimmed
from PIL import Image

from spritebuild.stage import BoundAction, Context
from spritebuild_stages.export import Export
from spritebuild_stages.exports import apng
from spritebuild_stages.exports.sheet import Sheet
from spritebuild_stages.finish import Finish
from spritebuild_stages.images import png
from spritebuild_stages.sheet import Sheet as SheetStage
from spritebuild_stages.sheets import layout

RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
IPTC = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}"
MADE_BY_A_MODEL = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
KEYWORD = b"XML:com.adobe.xmp"


def said(data: bytes) -> list[str | None]:
    """The source types that an XML parser finds in the XMP that Pillow finds."""
    with Image.open(io.BytesIO(data)) as image:
        xmp = image.info["xmp"]
    packet = re.fullmatch(
        rb'<\?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"\?>(.*)<\?xpacket end="r"\?>', xmp
    )
    assert packet
    described = ElementTree.fromstring(packet[1]).findall(f"./{RDF}RDF/{RDF}Description")
    assert [one.get(f"{RDF}about") for one in described] == [""]
    return [value.text for one in described for value in one.iter(f"{IPTC}DigitalSourceType")]


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (90, 70)])
def test_the_mark_changes_no_pixel_and_is_read_by_others(size: tuple[int, int], tmp_path: Path) -> None:
    rgba = drawing(1, *size)
    png.write(tmp_path / "marked.png", rgba, mark=True)
    data = (tmp_path / "marked.png").read_bytes()
    assert said(data) == [MADE_BY_A_MODEL]
    assert np.array_equal(png.read(tmp_path / "marked.png"), rgba)
    with Image.open(tmp_path / "marked.png") as image:
        assert np.array_equal(np.array(image.convert("RGBA")), rgba)


def test_the_mark_stands_behind_the_header_and_is_the_same_everywhere() -> None:
    plain, marked = png.encode(drawing(1)), png.encode(drawing(1), mark=True)
    mark = marked[33 : 33 + len(marked) - len(plain)]
    assert marked == plain[:33] + mark + plain[33:]
    assert mark[4:8] == b"iTXt"
    assert mark[8:].startswith(KEYWORD + b"\0" + bytes(4))
    assert struct.unpack(">I", mark[:4])[0] == len(mark) - 12
    assert struct.unpack(">I", mark[-4:])[0] == zlib.crc32(mark[4:-4])
    assert hashlib.sha256(mark).hexdigest() == "4b31e75f22462c257cac98dffaf93220a16c2b40e076104ac6d3cf8016e1313d"


def test_a_png_is_marked_once() -> None:
    plain, marked = png.encode(drawing(1)), png.encode(drawing(1), mark=True)
    assert not png.marked(plain)
    assert png.marked(marked)
    assert png.with_mark(plain) == png.with_mark(marked) == marked


def test_an_animation_keeps_its_frames() -> None:
    frames = [drawing(number) for number in range(3)]
    data = apng.encode(frames, [70, 80, 90])
    assert not png.marked(data)
    assert said(png.with_mark(data)) == [MADE_BY_A_MODEL]
    with Image.open(io.BytesIO(png.with_mark(data))) as image:
        for number, frame in enumerate(frames):
            image.seek(number)
            assert np.array_equal(np.array(image.convert("RGBA")), frame)
            assert image.info["duration"] == 70 + 10 * number


@pytest.mark.parametrize("text", [b"made by trainedAlgorithmicMedia", KEYWORD + b"\0\0\0\0\0<x:xmpmeta/>", KEYWORD])
def test_other_texts_are_no_mark(text: bytes) -> None:
    chunk = struct.pack(">I", len(text)) + b"iTXt" + text + struct.pack(">I", zlib.crc32(b"iTXt" + text))
    data = png.encode(drawing(1))
    assert not png.marked(data[:33] + chunk + data[33:])


def test_the_mark_of_another_program_counts() -> None:
    text = KEYWORD + b'\0\0\0\0\0<rdf:Description Iptc4xmpExt:DigitalSourceType="%b"/>' % MADE_BY_A_MODEL.encode()
    chunk = struct.pack(">I", len(text)) + b"iTXt" + text + struct.pack(">I", zlib.crc32(b"iTXt" + text))
    data = png.encode(drawing(1))
    assert png.marked(data[:-12] + chunk + data[-12:])


@pytest.mark.parametrize("data", [b"", b"\x89PNG\r\n\x1a\n", b"GIF89a" + KEYWORD, MADE_BY_A_MODEL.encode()])
def test_what_is_no_png_is_not_marked(data: bytes) -> None:
    assert not png.marked(data)


@pytest.mark.parametrize("keep", range(8, 520, 37))
def test_what_is_cut_off_is_not_marked_unless_the_mark_is_whole(keep: int) -> None:
    data = png.encode(drawing(1), mark=True)
    end = len(data) - len(png.encode(drawing(1))) + 33
    assert png.marked(data[:keep]) == (keep >= end)


def marks(folder: Path) -> dict[str, bool]:
    found = {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.png"))}
    assert found
    assert all(data.count(KEYWORD) <= 1 for data in found.values())
    return {name: png.marked(data) for name, data in found.items()}


def test_unmarked_params_are_those_of_before() -> None:
    for stage in (Finish, SheetStage, Export):
        assert stage.Params.model_fields["mark"].default is False


def test_finishing_marks_if_told_to(tmp_path: Path) -> None:
    png.write(tmp_path / "in.png", drawing(1), mark=True)
    for mark in (False, True):
        params = Finish.Params.model_validate({"ops": [], "mark": mark})
        outputs = Finish.Outputs(image=tmp_path / "out" / f"{mark}.png")
        outputs.image.parent.mkdir(exist_ok=True)
        Finish().run(BoundAction(params, Finish.Inputs(image=tmp_path / "in.png"), outputs), Context(memory=tmp_path))
    assert marks(tmp_path / "out") == {"False.png": False, "True.png": True}
    assert np.array_equal(png.read(tmp_path / "out/False.png"), png.read(tmp_path / "out/True.png"))


def sheet(folder: Path, **told: Any) -> Path:
    """A packed sheet of two pages with companions."""
    (folder / "in").mkdir(parents=True)
    frames, companions = [], {}
    for number in range(6):
        frames.append(folder / "in" / f"{number}.png")
        companions[f"normal-{number}"] = folder / "in" / f"n{number}.png"
        for path in (frames[-1], companions[f"normal-{number}"]):
            png.write(path, drawing(number))
    room = {"layout": "packed", "max_size": 20, "multipack": True, "trim": False}
    params = SheetStage.Params.model_validate({"names": tuple("abcdef"), "name": "hero", **room, **told})
    inputs = SheetStage.Inputs(frames=tuple(frames), companions=companions)
    outputs = SheetStage.Outputs(files=folder / "files", layout=folder / "layout.json")
    SheetStage().run(BoundAction(params, inputs, outputs), Context(memory=folder))
    return folder


def test_a_marked_sheet_has_the_mark_on_every_page_and_companion(tmp_path: Path) -> None:
    plain, marked = marks(sheet(tmp_path / "a") / "files"), marks(sheet(tmp_path / "b", mark=True) / "files")
    assert len(plain) == 4
    assert set(plain.values()) == {False}
    assert marked == dict.fromkeys(plain, True)
    for name in ("layout.json", "files/hero-0.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def export(folder: Path, options: dict[str, Any], sheets: list[Sheet], **told: Any) -> Path:
    folder.mkdir()
    described = []
    for number, one in enumerate(sheets):
        described.append(folder / f"{number}.json")
        layout.write(described[-1], one.layout)
    params = Export.Params.model_validate({"options": options, **told})
    inputs = Export.Inputs(layouts=tuple(described), pages=tuple(one.pages for one in sheets))
    outputs = Export.Outputs(files=folder / "files")
    Export().run(BoundAction(params, inputs, outputs), Context(memory=folder))
    return outputs.files


@pytest.mark.parametrize(
    "options",
    [
        {"kind": "aseprite"},
        {"kind": "bevy"},
        {"kind": "gamemaker"},
        {"kind": "gamemaker", "format": "sprites", "project": "game"},
        {"kind": "godot"},
        {"kind": "ldtk"},
        {"kind": "phaser"},
        {"kind": "pixi"},
        {"kind": "plain"},
        {"kind": "previews"},
        {"kind": "pygame"},
        {"kind": "tiled"},
        {"kind": "unity"},
    ],
    ids=lambda options: "-".join(options.values()),
)
def test_a_marked_export_has_the_mark_on_every_png(options: dict[str, Any], tmp_path: Path) -> None:
    one = grid(tmp_path / "sheet", hero(), tags=HERO_TAGS, slices=HERO_SLICES)
    plain = export(tmp_path / "plain", options, [one])
    marked = export(tmp_path / "marked", options, [one], mark=True)
    assert set(marks(plain).values()) == {False}
    assert marks(marked) == dict.fromkeys(marks(plain), True)
    for path in sorted(plain.rglob("*")):
        other = marked / path.relative_to(plain)
        if path.is_file():
            data = path.read_bytes()
            assert other.read_bytes() == (png.with_mark(data) if path.suffix == ".png" else data)


def test_pages_that_are_marked_already_are_not_marked_twice(tmp_path: Path) -> None:
    made = sheet(tmp_path / "sheet", mark=True)
    pages = Sheet(layout.read(made / "layout.json"), made / "files")
    files = export(tmp_path / "out", {"kind": "plain"}, [pages, trimmed(tmp_path / "other", name="other")], mark=True)
    assert set(marks(files).values()) == {True}
    for path in (made / "files").glob("*.png"):
        assert (files / path.name).read_bytes() == path.read_bytes()
