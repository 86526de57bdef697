"""Aseprite's JSON of a sheet's pages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from spritebuild.errors import StageError
from spritebuild_stages.exports import aseprite
from spritebuild_stages.exports.sheet import Sheet
from spritebuild_stages.sheets.layout import Frame, Layout, Page, Slice, Tag


def frame(name: str, page: int = 0, **told: Any) -> Frame:
    return Frame(**{"name": name, "page": page, "x": 1, "y": 2, "box": (0, 0, 4, 3), "source": (4, 3)} | told)


def of(*frames: Frame, **told: Any) -> Layout:
    pages = max(one.page for one in frames) + 1
    names = ["hero.png"] if pages == 1 else [f"hero-{page}.png" for page in range(pages)]
    return Layout(
        name="hero", pages=tuple(Page(image=name, width=16, height=8) for name in names), frames=frames, **told
    )


def meta(layout: Layout, page: int = 0) -> dict[str, Any]:
    found = aseprite.document(layout, page, "hash")["meta"]
    assert isinstance(found, dict)
    return found


# What Aseprite 1.3 writes for such a sheet (--format json-array --list-tags --list-slices), but for app and version.
AS_ASEPRITE = """
{ "frames": [
   {
    "filename": "hero 0.png",
    "frame": { "x": 1, "y": 2, "w": 5, "h": 6 },
    "rotated": false,
    "trimmed": true,
    "spriteSourceSize": { "x": 3, "y": 4, "w": 5, "h": 6 },
    "sourceSize": { "w": 16, "h": 12 },
    "duration": 120
   },
   {
    "filename": "hero 1.png",
    "frame": { "x": 1, "y": 2, "w": 4, "h": 3 },
    "rotated": false,
    "trimmed": false,
    "spriteSourceSize": { "x": 0, "y": 0, "w": 4, "h": 3 },
    "sourceSize": { "w": 4, "h": 3 },
    "duration": 100
   }
 ],
 "meta": {
  "app": "spritebuild",
  "version": "1",
  "image": "hero.png",
  "format": "RGBA8888",
  "size": { "w": 16, "h": 8 },
  "scale": "1",
  "frameTags": [
   { "name": "walk", "from": 0, "to": 1, "direction": "forward", "color": "#000000ff" },
   { "name": "jump", "from": 1, "to": 1, "direction": "reverse", "repeat": "3", "color": "#000000ff" }
  ],
  "slices": [
   { "name": "body", "color": "#0000ffff", "keys": [{ "frame": 0, "bounds": {"x": 2, "y": 1, "w": 6, "h": 5 }, "center": {"x": 1, "y": 1, "w": 4, "h": 3 } }, { "frame": 1, "bounds": {"x": 0, "y": 0, "w": 4, "h": 3 } }] }
  ]
 }
}
"""  # noqa: E501


def test_frames_tags_and_slices_are_as_aseprite_writes_them() -> None:
    layout = of(
        frame("hero 0.png", box=(3, 4, 5, 6), source=(16, 12), duration=120),
        frame("hero 1.png"),
        tags=(Tag(name="walk", first=0, last=1), Tag(name="jump", first=1, last=1, direction="reverse", repeat=3)),
        slices=(
            Slice(name="body", frame=1, bounds=(0, 0, 4, 3)),
            Slice(name="body", frame=0, bounds=(2, 1, 6, 5), center=(1, 1, 4, 3)),
        ),
    )
    written = aseprite.document(layout, 0, "array")
    assert json.dumps(written) == json.dumps(json.loads(AS_ASEPRITE))  # the order of keys, too


def test_a_hash_has_the_frames_by_their_names_in_their_order() -> None:
    layout = of(frame("b"), frame("a"))
    as_hash, as_array = (aseprite.document(layout, 0, form)["frames"] for form in ("hash", "array"))
    assert list(as_hash) == ["b", "a"]
    assert [{"filename": name} | entry for name, entry in as_hash.items()] == as_array


def test_what_nobody_asked_for_is_left_out() -> None:
    written = aseprite.document(of(frame("a")), 0, "hash")
    assert list(written["meta"]) == ["app", "version", "image", "format", "size", "scale"]
    assert list(written["frames"]["a"])[-1] == "duration"


def test_there_and_back_is_two_repeats() -> None:
    tag = Tag(name="t", first=0, last=0, direction="pingpong_reverse", repeat=2)
    (written,) = meta(of(frame("a"), tags=(tag,)))["frameTags"]
    assert (written["direction"], written["repeat"]) == ("pingpong_reverse", "4")


def test_a_pivot_is_a_part_of_the_source_and_in_a_slice_whole_pixels_from_its_corner() -> None:
    layout = of(
        frame("a", box=(1, 1, 2, 1), pivot=(1.0, 3.0)),
        frame("b", pivot=(-0.5, 1.5)),
        slices=tuple(Slice(name="s", frame=number, bounds=(1, 0, 2, 2)) for number in (0, 1)),
    )
    first, second = aseprite.document(layout, 0, "hash")["frames"].values()
    assert first["pivot"] == first["anchor"] == {"x": 0.25, "y": 1.0}
    assert second["pivot"] == {"x": -0.125, "y": 0.5}
    keys = meta(layout)["slices"][0]["keys"]
    assert [key["pivot"] for key in keys] == [{"x": 0, "y": 3}, {"x": -2, "y": 1}]


def test_a_page_has_its_own_frames_and_counts_them() -> None:
    layout = of(
        frame("a", 1),
        frame("b", 0),
        frame("c", 1),
        frame("d", 1),
        tags=(Tag(name="own", first=2, last=3), Tag(name="split", first=1, last=2), Tag(name="one", first=1, last=1)),
        slices=(Slice(name="s", frame=2, bounds=(0, 0, 1, 1)), Slice(name="other", frame=1, bounds=(0, 0, 1, 1))),
    )
    assert list(aseprite.document(layout, 0, "hash")["frames"]) == ["b"]
    assert list(aseprite.document(layout, 1, "hash")["frames"]) == ["a", "c", "d"]
    assert [(tag["name"], tag["from"], tag["to"]) for tag in meta(layout, 1)["frameTags"]] == [("own", 1, 2)]
    assert [tag["name"] for tag in meta(layout, 0)["frameTags"]] == ["one"]
    assert [(part["name"], part["keys"][0]["frame"]) for part in meta(layout, 1)["slices"]] == [("s", 1)]


def test_a_tag_whose_ends_alone_are_on_the_page_is_not_given() -> None:
    layout = of(frame("a"), frame("b", 1), frame("c"), tags=(Tag(name="t", first=0, last=2),))
    assert "frameTags" not in meta(layout, 0)


def test_pages_name_all_others() -> None:
    layout = of(frame("a"), frame("b", 1), frame("c", 2))
    assert meta(layout, 1)["related_multi_packs"] == ["hero-0.json", "hero-2.json"]


def test_the_export_copies_pages_and_writes_their_json_by_category(tmp_path: Path) -> None:
    layout = of(frame("a"), frame("b", 1))
    (tmp_path / "pages").mkdir()
    for page in layout.pages:
        (tmp_path / "pages" / page.image).write_bytes(page.image.encode())
    options = aseprite.Options(kind="aseprite", format="array")
    (tmp_path / "out").mkdir()
    aseprite.write([Sheet(layout, tmp_path / "pages", "items/all")], tmp_path / "out", options)
    written = {path.name: path.read_bytes() for path in (tmp_path / "out/items/all").iterdir()}
    assert set(written) == {"hero-0.png", "hero-0.json", "hero-1.png", "hero-1.json"}
    assert written["hero-1.png"] == b"hero-1.png"
    assert json.loads(written["hero-1.json"]) == aseprite.document(layout, 1, "array")
    assert written["hero-0.json"].startswith(b'{\n "frames": [\n')


def test_mirrored_frames_are_marked_and_the_export_refuses_them(tmp_path: Path) -> None:
    layout = of(frame("a"), frame("b", mirrored=True))
    assert aseprite.document(layout, 0, "hash")["frames"]["b"]["mirrored"] is True
    with pytest.raises(StageError, match="cannot mirror a frame"):
        aseprite.write([Sheet(layout, tmp_path)], tmp_path, aseprite.Options(kind="aseprite"))
