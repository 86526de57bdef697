"""Every example is built as a user would build it, by the real model on the CPU."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spritebuild.spritefile import load
from spritebuild_stages.ops.palette import parse

pytest.importorskip("torch")
pytestmark = pytest.mark.diffusion

ROOT = Path(__file__).parents[1]
EXAMPLES = {"quickstart": 6, "items": 64, "custom-stage": 2, "lora": 16, "engines": 13}


def spritebuild(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "spritebuild", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module", params=EXAMPLES)
def example(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone of an example, with its lock and without assets or store, built once."""
    folder = tmp_path_factory.mktemp("example") / str(request.param)
    shutil.copytree(
        ROOT / "examples" / str(request.param), folder, ignore=shutil.ignore_patterns("assets", "game", ".spritebuild")
    )
    done = spritebuild(folder, "build")
    assert done.returncode == 0, done.stderr
    return folder


def sprites(folder: Path) -> list[Path]:
    sheets = load(folder / "spritefile.toml").sheets
    return [path for path in sorted(folder.glob("assets/**/*.png")) if path.stem not in sheets]


def test_example_makes_every_sprite_it_declares(example: Path) -> None:
    assert len(sprites(example)) == EXAMPLES[example.name]


def test_example_is_true_to_its_committed_lock(example: Path) -> None:
    committed = ROOT / "examples" / example.name / "lockfiles" / "sprites.lock"
    assert (example / "lockfiles" / "sprites.lock").read_text() == committed.read_text()


def test_example_has_only_palette_colors_and_hard_alpha(example: Path) -> None:
    palettes = [*load(example / "spritefile.toml").palettes.values()]
    if len(palettes) != 1:
        pytest.skip("this example has no palette, or several")
    (palette,) = palettes
    if palette.file:
        allowed = set(parse(example / palette.file))
    else:
        allowed = {tuple(bytes.fromhex(color[1:])) for color in palette.colors or ()}
    for path in sprites(example):
        pixels = np.asarray(Image.open(path).convert("RGBA")).reshape(-1, 4)
        assert set(np.unique(pixels[:, 3])) <= {0, 255}, path
        used = {tuple(map(int, pixel[:3])) for pixel in np.unique(pixels[pixels[:, 3] > 0], axis=0)}
        assert used <= allowed, path
        assert used, f"{path} is empty"


def test_example_built_again_has_nothing_to_do(example: Path) -> None:
    done = spritebuild(example, "build")
    assert (done.returncode, done.stderr) == (0, "nothing to do\n")


def test_lora_that_is_committed_is_not_trained_again(example: Path) -> None:
    if example.name != "lora":
        pytest.skip("this example has no lora")
    lora = Path("loras/styles/dusk.safetensors")
    assert (example / lora).read_bytes() == (ROOT / "examples" / "lora" / lora).read_bytes()
    said = spritebuild(example, "build", "--rebuild", "sprites.dusk-turtle")
    assert "train-lora" not in said.stderr
    assert said.returncode == 0, said.stderr


def test_training_as_a_stage_of_a_dvc_pipeline(tmp_path: Path) -> None:
    pytest.importorskip("dvc")
    folder = tmp_path / "pipeline"
    ignored = shutil.ignore_patterns("assets", ".spritebuild", "loras", "lockfiles", "spritefile.toml")
    shutil.copytree(ROOT / "examples" / "lora", folder, ignore=ignored)
    pipeline = folder / "dvc.yaml"
    shorter, found = re.subn(r"--steps \d+", "--steps 2", pipeline.read_text())
    assert found == 1, "else the whole training would run, twice"
    pipeline.write_text(shorter)
    environment = {**os.environ, "DVC_NO_ANALYTICS": "1", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    for command in (["git", "init", "-q"], ["dvc", "init", "-q"], ["dvc", "repro", "-q"]):
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    assert {"lora.safetensors", "card.json", "samples.png"} <= {path.name for path in (folder / "out/dusk").iterdir()}
    first = (folder / "dvc.lock").read_text()
    shutil.rmtree(folder / "out")
    done = subprocess.run(["dvc", "repro", "-q", "-f"], cwd=folder, env=environment, capture_output=True, check=False)
    assert done.returncode == 0
    assert (folder / "dvc.lock").read_text() == first


def test_sheet_of_the_items_holds_each_of_them(example: Path) -> None:
    if not (example / "assets" / "items.json").exists():
        pytest.skip("this example has no sheet")
    frames = json.loads((example / "assets" / "items.json").read_text())["frames"]
    sheet = Image.open(example / "assets" / "items.png").convert("RGBA")
    assert len(frames) == EXAMPLES[example.name]
    for name, frame in frames.items():
        place = frame["frame"]
        box = (place["x"], place["y"], place["x"] + place["w"], place["y"] + place["h"])
        (path,) = example.glob(f"assets/**/{name.removesuffix('.png')}.png")
        assert sheet.crop(box).tobytes() == Image.open(path).convert("RGBA").tobytes(), name


def test_one_project_is_exported_to_many_engines_and_recolors_are_generated_once(example: Path) -> None:
    if example.name != "engines":
        pytest.skip("of that example alone")
    exports = load(example / "spritefile.toml").exports
    assert len(exports) >= 6
    for export in exports.values():
        assert any(path.is_file() for path in (example / export.path).rglob("*")), export.path
    said = json.loads(spritebuild(example, "graph", "--format", "json").stdout)
    actions = [row["id"] for row in (said if isinstance(said, list) else said["actions"])]
    assert [id for id in actions if id.startswith("sprites.slime") and id.endswith(":generate")] == [
        "sprites.slime-moss-bottom:generate"
    ]
