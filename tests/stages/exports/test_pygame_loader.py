"""What is written for pygame, as files; tests/consumers loads it."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from drawn_sheets import HERO_TAGS, drawing, grid, hero, trimmed
from pydantic import ValidationError

from spritebuild_stages.exports import aseprite, pygame_loader
from spritebuild_stages.exports.sheet import Sheet
from spritebuild_stages.images import png
from spritebuild_stages.sheets.layout import Tag


def export(folder: Path, *sheets: Sheet, **told: Any) -> Path:
    out = folder / "out"
    out.mkdir()
    pygame_loader.write(sheets, out, pygame_loader.Options(kind="pygame", **told))
    return out


def test_a_page_is_described_as_aseprite_does(tmp_path: Path) -> None:
    sheet = grid(tmp_path / "s", hero(), tags=HERO_TAGS)
    out = export(tmp_path, sheet)
    assert json.loads((out / "hero.json").read_bytes()) == aseprite.document(sheet.layout, 0, "array")
    assert (out / "hero.png").read_bytes() == (sheet.pages / "hero.png").read_bytes()


def test_tags_and_slices_may_span_pages(tmp_path: Path) -> None:
    data = json.loads((export(tmp_path, trimmed(tmp_path / "s")) / "hero.json").read_bytes())
    assert [entry["page"] for entry in data["frames"]] == [0, 0, 0, 1]
    assert [entry.get("mirrored", False) for entry in data["frames"]] == [False, True, False, False]
    assert [page["image"] for page in data["meta"]["pages"]] == ["hero-0.png", "hero-1.png"]
    assert "image" not in data["meta"]
    assert [(tag["name"], tag["from"], tag["to"], tag["direction"]) for tag in data["meta"]["frameTags"]] == [
        ("flip", 0, 1, "forward"),
        ("all", 0, 3, "pingpong"),
        ("end", 2, 3, "reverse"),
    ]
    assert [key["frame"] for key in data["meta"]["slices"][0]["keys"]] == [0, 2]


def test_the_loader_is_written_once_and_where_it_is_asked_for(tmp_path: Path) -> None:
    one = grid(tmp_path / "s", hero(1), columns=1)
    two = grid(tmp_path / "t", [drawing(7)], columns=1, name="foe")
    out = export(tmp_path, Sheet(one.layout, one.pages, "people"), Sheet(two.layout, two.pages, "people/bad"))
    files = sorted(path.relative_to(out).as_posix() for path in out.rglob("*.*"))
    assert files == ["people/bad/foe.json", "people/bad/foe.png", "people/hero.json", "people/hero.png", "sprites.py"]
    (out.rename(tmp_path / "first")).touch()
    assert (export(tmp_path, one, loader="art.py") / "art.py").read_bytes() == pygame_loader.LOADER.read_bytes()
    out.rename(tmp_path / "second")
    assert not list(export(tmp_path, one, loader="").glob("*.py"))


def test_companions_are_named_and_copied(tmp_path: Path) -> None:
    sheet = trimmed(tmp_path / "s")
    pages = []
    for page in sheet.layout.pages:
        name = page.image.replace(".png", ".normal.png")
        png.write(sheet.pages / name, drawing(1, page.width, page.height))
        pages.append(page.model_copy(update={"companions": {"normal": name}}))
    out = export(tmp_path, Sheet(sheet.layout.model_copy(update={"pages": tuple(pages)}), sheet.pages))
    data = json.loads((out / "hero.json").read_bytes())
    assert [page["companions"]["normal"] for page in data["meta"]["pages"]] == [
        "hero-0.normal.png",
        "hero-1.normal.png",
    ]
    assert (out / "hero-1.normal.png").is_file()


def test_the_same_sheet_gives_the_same_bytes(tmp_path: Path) -> None:
    sheet = grid(tmp_path / "s", hero(), tags=(Tag(name="é", first=0, last=1),))
    first = {path.name: path.read_bytes() for path in export(tmp_path, sheet).iterdir()}
    (tmp_path / "out").rename(tmp_path / "first")
    assert {path.name: path.read_bytes() for path in export(tmp_path, sheet).iterdir()} == first
    assert all(content.endswith(b"}\n") for name, content in first.items() if name.endswith(".json"))
    assert "é".encode() in first["hero.json"]


def test_the_loader_needs_pygame_alone() -> None:
    tree = ast.parse(pygame_loader.LOADER.read_text("utf-8"))
    modules = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    modules |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name for name in modules if name.partition(".")[0] not in sys.stdlib_module_names} == {"pygame"}


def test_the_export_imports_no_pygame() -> None:
    code = "import sys; import spritebuild_stages.exports.pygame_loader; sys.exit('pygame' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("loader", ["../a.py", "a b.py", "a", "/a.py", ".py"])
def test_the_loader_is_a_module_of_the_folder(loader: str) -> None:
    with pytest.raises(ValidationError):
        pygame_loader.Options(kind="pygame", loader=loader)
