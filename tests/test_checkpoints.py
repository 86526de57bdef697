"""Models of one file in a project: declared, pinned, unpacked once, and drawn with."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from projects import Project

from spritebuild.errors import IntegrityError, PolicyError, SpritefileError

sys.path.insert(0, str(Path(__file__).parent / "stages"))

import checkpoints
import tiny_models

LOOK = {"size": [16, 16], "steps": 2, "guidance": 1.0}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.sd15(tmp_path_factory.mktemp("sd15") / "model")


@pytest.fixture(scope="module")
def checkpoint(model: Path) -> Path:
    return checkpoints.of_folder(model, model.with_name("tiny.safetensors"))


@pytest.fixture
def tiny(project: Project, model: Path, checkpoint: Path) -> Project:
    """A sprite of a model that is one file outside the project."""
    shutil.copytree(model, project.root / "config", ignore=shutil.ignore_patterns("*.safetensors"))
    return declared(project, {"file": str(checkpoint), "config": "config"})


def declared(project: Project, model: dict[str, Any]) -> Project:
    return project.write(
        {
            "project": {"name": "island", "mark": False},
            "models": {"tiny": {**model, "licence": "CC0-1.0"}},
            "styles": {"base": {"model": "tiny", **LOOK}},
            "sprites": {"potion": {"style": "base", "prompt": "red potion"}},
        }
    )


def test_checkpoint_draws_what_the_model_draws_that_it_was_written_from(tiny: Project, model: Path) -> None:
    tiny.cli("lock")
    assert sorted(tiny.build().ran) == ["models.tiny:unpack-checkpoint", "sprites.potion:generate"]
    assert tiny.build().ran == []
    drawn = tiny.assets()
    pin = (tiny.root / "lockfiles/models/tiny.dvc").read_text()
    assert "folder: false" in pin
    declared(tiny, {"folder": str(model)}).cli("lock")
    tiny.build()
    assert tiny.assets() == drawn

    declared(tiny, {"file": str(model.with_name("tiny.safetensors")), "config": "config"}).cli("lock")
    assert tiny.build().ran == []
    scheduler = tiny.root / "config/scheduler/scheduler_config.json"
    scheduler.write_text(scheduler.read_text().replace("scaled_linear", "linear"))
    assert sorted(tiny.build().ran) == ["models.tiny:unpack-checkpoint", "sprites.potion:generate"]
    assert tiny.assets() != drawn


def test_other_bytes_than_the_pinned_ones_are_refused(tiny: Project, checkpoint: Path, tmp_path: Path) -> None:
    own = Path(shutil.copy(checkpoint, tmp_path / "own.safetensors"))
    declared(tiny, {"file": str(own), "config": "config"}).cli("lock")
    data = bytearray(own.read_bytes())
    data[-1] ^= 1
    own.write_bytes(data)
    with pytest.raises(IntegrityError, match="is not what was pinned"):
        tiny.build()


def test_pickle_under_the_name_of_a_checkpoint_is_refused(tiny: Project, tmp_path: Path) -> None:
    own = tmp_path / "own.safetensors"
    own.write_bytes(b"\x80\x04\x95 and more")
    declared(tiny, {"file": str(own), "config": "config"})
    with pytest.raises(PolicyError, match="pickle"):
        tiny.build()


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ({"file": "/m/x.safetensors"}, "needs config"),
        ({"path": "config/x.safetensors"}, "needs config"),
        ({"file": "/m/x.ckpt", "config": "config"}, "other formats can run code"),
        ({"folder": "/m", "config": "config"}, "take out folder"),
        ({"builtin": "sprite-mini", "config": "config"}, "take out builtin"),
        ({"file": "/m/x.safetensors", "config": "nowhere"}, "nowhere"),
        ({"url": "https://h/m"}, "config if it is one file"),
    ],
)
def test_what_is_said_wrongly_of_a_checkpoint_is_told(tiny: Project, said: dict[str, str], fault: str) -> None:
    with pytest.raises(SpritefileError, match=fault):
        declared(tiny, said).build()


def test_folder_without_an_index_is_no_configuration(tiny: Project) -> None:
    (tiny.root / "config/model_index.json").unlink()
    with pytest.raises(SpritefileError, match=r"config has no model_index\.json"):
        tiny.build()
