"""Where weights come from: a git repository with DVC, and what is told where DVC is absent."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from projects import Project, safetensors

from spritebuild.pinned import pins

PIN = "lockfiles/models/mine.dvc"


@pytest.fixture(scope="module")
def first_origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with another repository that holds weights, and its DVC remote: DVC takes seconds to make one."""
    pytest.importorskip("dvc")
    folder = tmp_path_factory.mktemp("elsewhere")
    root = folder / "origin"
    (root / "unet").mkdir(parents=True)
    (root / "unet/model.safetensors").write_bytes(safetensors())
    (root / "unet/config.json").write_text("{}")
    run(root, "git", "init", "-q", "-b", "main")
    run(root, sys.executable, "-m", "dvc", "init", "-q")
    run(root, sys.executable, "-m", "dvc", "remote", "add", "-q", "-d", "store", "../dvc-remote")
    commit(root)
    return folder


@pytest.fixture
def origin(first_origin: Path, tmp_path: Path) -> Path:
    """A repository of the test's own, with its remote beside it."""
    return shutil.copytree(first_origin, tmp_path / "elsewhere") / "origin"


def commit(root: Path) -> None:
    run(root, sys.executable, "-m", "dvc", "add", "-q", "unet")
    run(root, sys.executable, "-m", "dvc", "push", "-q")
    run(root, "git", "add", "-A")
    run(root, "git", "commit", "-q", "-m", "weights")


def run(folder: Path, *command: str) -> None:
    identity = {f"GIT_{who}_{what}": "x" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    subprocess.run(command, cwd=folder, check=True, env={**os.environ, **identity, "DVC_NO_ANALYTICS": "1"})


@pytest.fixture
def pulled(pressed: Project, origin: Path) -> Project:
    """A sprite that depends on a model of the other repository."""
    shutil.rmtree(pressed.root / "weights")
    return pressed.edit("models.mine", {"dvc": {"repo": str(origin), "path": "unet"}, "licence": "CC0-1.0"})


def test_model_of_another_repository_is_fetched_pinned_and_verified(pulled: Project) -> None:
    assert pulled.build().ran == ["sprites.potion:press"]
    pin = pins.read(pulled.root / PIN)
    assert [name for name, _, _ in pin.files] == ["config.json", "model.safetensors"]
    assert "rev_lock" in (pulled.root / PIN).read_text()
    assert (pulled.root / ".spritebuild/models" / pin.digest / "model.safetensors").read_bytes() == safetensors()


def test_pin_stays_while_the_repository_moves_on(pulled: Project, origin: Path) -> None:
    pulled.build()
    before = (pulled.root / PIN).read_bytes()
    (origin / "unet/config.json").write_text("[]")
    commit(origin)
    pulled.edit("sprites.potion.prompt", "blue potion").build()
    assert (pulled.root / PIN).read_bytes() == before
    assert pulled.cli("lock", "--update", "models.mine").returncode == 0
    assert pulled.reasons() == {"sprites.potion:press": "models.mine changed"}


def test_tampered_download_is_refused(pulled: Project, origin: Path, tmp_path: Path) -> None:
    pulled.build()
    clone = pulled.clone(tmp_path / "clone")
    for path in origin.parent.rglob("*"):
        if path.is_file() and path.read_bytes() == safetensors():
            path.chmod(0o644)
            path.write_bytes(safetensors(b"tampered"))
    result = clone.cli("fetch", "models.mine")
    assert result.returncode == 4
    assert "models.mine: model.safetensors is not what was pinned" in result.stderr


def test_damaged_copy_is_fetched_again(pulled: Project) -> None:
    pulled.build()
    pin = pins.read(pulled.root / PIN)
    kept = pulled.root / ".spritebuild/models" / pin.digest / "config.json"
    kept.chmod(0o644)
    kept.write_text("damaged")
    assert pulled.cli("fetch", "models.mine").returncode == 0
    assert kept.read_text() == "{}"


@pytest.mark.parametrize(("key", "value"), [("path", "nowhere"), ("rev", "v9"), ("repo", "/nowhere")])
def test_unreachable_source_is_told_with_its_remedy(pulled: Project, key: str, value: str) -> None:
    result = pulled.edit(f"models.mine.dvc.{key}", value).cli("lock")
    assert result.returncode == 5
    assert "check the repository, its path and revision" in result.stderr
    assert not (pulled.root / PIN).exists()


def test_absent_dvc_is_told_with_its_remedy(pressed: Project, tmp_path: Path) -> None:
    absent = tmp_path / "absent/dvc"
    absent.mkdir(parents=True)
    (absent / "__init__.py").write_text("raise ImportError('absent')")
    pressed.edit("models.mine", {"dvc": {"repo": str(tmp_path), "path": "unet"}})
    result = pressed.cli("lock", PYTHONPATH=str(absent.parent))
    error = 'error: models of another repository need DVC\n\nhint: pip install "spritebuild[dvc]"\n'
    assert (result.returncode, result.stdout, result.stderr) == (5, "", error)
    assert not (pressed.root / PIN).exists()
