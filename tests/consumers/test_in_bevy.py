"""What serde makes of files for Bevy, in types that serialize as Bevy's do; Bevy itself is not run."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import drawn_sheets
import pytest

from spritebuild_stages.exports import bevy
from spritebuild_stages.exports.sheet import Sheet

CRATE = Path(__file__).with_name("bevy")
SOURCES = Path("/usr/share/cargo/registry")  # of Debian's librust packages

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        shutil.which("cargo") is None or not list(SOURCES.glob("ron-*")) or not list(SOURCES.glob("serde_json-*")),
        reason="needs cargo and Debian's librust-ron-dev and librust-serde-json-dev",
    ),
]


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, built once."""
    folder = tmp_path_factory.mktemp("crate")
    shutil.copytree(CRATE, folder, dirs_exist_ok=True)
    replaced = ('source.crates-io.replace-with="debian"', f'source.debian.directory="{SOURCES}"')
    words = [word for one in replaced for word in ("--config", one)]
    done = subprocess.run(
        ["cargo", "build", "--offline", *words], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert done.returncode == 0, done.stdout
    return folder / "target" / "debug" / "bevy-files"


def test_serde_reads_layouts_indices_and_assets(tmp_path: Path, reader: Path) -> None:
    sheet = drawn_sheets.trimmed(tmp_path / "sheet")
    frames = tuple(frame.model_copy(update={"mirrored": False}) for frame in sheet.layout.frames)
    sheets = [
        Sheet(sheet.layout.model_copy(update={"frames": frames}), sheet.pages, "characters"),
        drawn_sheets.grid(tmp_path / "grid", drawn_sheets.hero(), name="tiles", margin=1, spacing=2),
        drawn_sheets.grid(tmp_path / "plain", drawn_sheets.hero(), name="plain", tags=drawn_sheets.HERO_TAGS),
    ]
    folder = tmp_path / "out"
    folder.mkdir()
    bevy.write(sheets, folder, bevy.Options(kind="bevy", root="art"))
    paths = sorted(path for path in folder.rglob("*") if path.suffix in {".ron", ".json"})
    done = subprocess.run([reader, *paths], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
    found: dict[str, Any] = {
        path.relative_to(folder).as_posix(): json.loads(line)
        for path, line in zip(paths, done.stdout.splitlines(), strict=True)
    }
    assert len(found) == 15
    for name, value in found.items():
        if name.endswith(".json"):
            assert found[name.removesuffix("json") + "ron"] == value
            if ".layout" in name:
                assert json.loads((folder / name).read_text()) == value
    assert found["characters/hero-1.layout.ron"] == {"size": [7, 5], "textures": [{"min": [6, 4], "max": [7, 5]}]}
    assert found["sprites.assets.ron"]["tiles.layout"] == {
        "TextureAtlasLayout": {
            "tile_size_x": 8,
            "tile_size_y": 8,
            "columns": 3,
            "rows": 2,
            "padding_x": 2,
            "padding_y": 2,
            "offset_x": 1,
            "offset_y": 1,
        }
    }
    assert found["sprites.assets.ron"]["plain.layout"]["TextureAtlasLayout"]["padding_x"] is None
    assert found["sprites.assets.ron"]["characters/hero-0"] == {
        "Image": {"path": "art/characters/hero-0.png", "sampler": "Nearest"}
    }
