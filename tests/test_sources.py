"""Weights by address, in a folder outside the project, and tracked by the project's own DVC."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from loopback import Site, serving
from projects import Project, safetensors

from spritebuild import digest
from spritebuild.pinned import pins

PIN = "lockfiles/models/mine.dvc"
WEIGHTS = safetensors(bytes(20_000))


@pytest.fixture
def site() -> Iterator[Site]:
    files = {
        "/m/unet/model.safetensors": WEIGHTS,
        "/m/unet/config.json": b"{}",
        "/glow.safetensors": safetensors(b"glow"),
        "/api/download/models/12": safetensors(b"glow"),
    }
    with serving(Site(files)) as served:
        yield served


@pytest.fixture
def linked(pressed: Project, site: Site) -> Project:
    """A model of files below an address."""
    shutil.rmtree(pressed.root / "weights")
    files = ["unet/config.json", "unet/model.safetensors"]
    return pressed.edit("models.mine", {"url": f"{site.url}/m", "files": files, "licence": "MIT"})


def kept(project: Project) -> Path:
    return project.root / ".spritebuild/models" / pins.read(project.root / PIN).digest


# Addresses


def test_model_of_several_addresses_is_pinned_and_built_with(linked: Project) -> None:
    assert linked.build().ran == ["sprites.potion:press"]
    pin = pins.read(linked.root / PIN)
    assert [name for name, _, _ in pin.files] == ["unet/config.json", "unet/model.safetensors"]
    assert (kept(linked) / "unet/model.safetensors").read_bytes() == WEIGHTS
    assert sorted(p.name for p in kept(linked).rglob("*") if p.is_file()) == ["config.json", "model.safetensors"]


def test_address_that_gives_other_bytes_is_refused(linked: Project, site: Site) -> None:
    linked.cli("lock")
    before = (linked.root / PIN).read_bytes()
    shutil.rmtree(linked.root / ".spritebuild")
    site.files["/m/unet/model.safetensors"] = safetensors(bytes(19_999) + b"x")
    result = linked.cli("build")
    assert result.returncode == 4
    assert "model.safetensors is not what it should be" in result.stderr
    assert (linked.root / PIN).read_bytes() == before
    assert linked.cli("models", "update", "models.mine").returncode == 0
    assert linked.cli("build").returncode == 0


def test_killed_fetch_goes_on(linked: Project, site: Site) -> None:
    linked.cli("lock")
    shutil.rmtree(linked.root / ".spritebuild")
    site.faults = [None, ("cut", 7000), 404]
    assert linked.cli("fetch").returncode == 5
    site.asked = []
    assert linked.cli("fetch").returncode == 0
    assert [(path, headers.get("Range")) for _, path, headers in site.asked] == [
        ("/m/unet/model.safetensors", "bytes=7000-")
    ]
    assert (kept(linked) / "unet/model.safetensors").read_bytes() == WEIGHTS


@pytest.mark.parametrize("path", ["/glow.safetensors", "/api/download/models/12"])
def test_lora_of_an_address_is_a_safetensors_file(linked: Project, site: Site, path: str) -> None:
    linked.edit("loras", {"glow": {"url": f"{site.url}{path}", "licence": "CC0-1.0"}})
    linked.edit("sprites.potion.loras", ["glow"]).build()
    pin = pins.read(linked.root / "lockfiles/loras/glow.dvc")
    assert pin.files == (("glow.safetensors", len(safetensors(b"glow")), digest.of_bytes(safetensors(b"glow"))),)
    assert dict(linked.graph().actions["sprites.potion:press"].inputs)["loras.glow"].digest == pin.digest


def test_pickle_behind_an_address_that_names_no_file_is_refused(linked: Project, site: Site) -> None:
    site.files["/api/download/models/12"] = b"PK\x03\x04" + bytes(100)
    linked.edit("loras", {"glow": {"url": f"{site.url}/api/download/models/12"}})
    result = linked.cli("lock")
    assert result.returncode == 4
    assert "it is a pickle under another name" in result.stderr
    assert not list((linked.root / ".spritebuild/models").glob("arriving-*"))


def test_absent_plugin_is_told_with_its_remedy(linked: Project) -> None:
    pytest.importorskip("dvc")
    linked.edit("models.mine", {"url": "gs://bucket/model"})
    result = linked.cli("lock")
    assert result.returncode == 5
    assert 'hint: pip install "spritebuild[gs]"' in result.stderr


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ({"url": "https://h/m"}, "http does not list folders: say files"),
        ({"url": "ftp://h/m", "files": ["a"]}, "url begins with https://"),
        ({"url": "https://me:secret@h/m", "files": ["a"]}, "a password does not belong into a spritefile"),
        ({"git": {"repo": "https://me:secret@h/m"}}, "a password does not belong into a spritefile"),
        ({"url": "https://h/m", "files": ["../a"]}, "files are below the address"),
        ({"path": "weights", "files": ["a"]}, "files is for what is below an address"),
        ({"git": {"repo": "x", "revision": "y"}}, "unknown key"),
        ({"path": "weights", "known": "tiny-ds"}, "did you mean tiny-sd"),
    ],
)
def test_what_cannot_be_meant_is_a_fault(pressed: Project, declared: dict[str, object], said: str) -> None:
    result = pressed.edit("models.mine", declared).cli("plan")
    assert result.returncode == 2
    assert said in result.stderr


def test_fetch_brings_what_stale_actions_need(linked: Project, site: Site) -> None:
    linked.edit("loras", {"glow": {"url": f"{site.url}/glow.safetensors"}}).build()
    shutil.rmtree(linked.root / ".spritebuild/models")
    site.asked = []
    assert "nothing that is stale needs a pin" in linked.cli("fetch").stderr
    linked.edit("sprites.potion.prompt", "blue potion")
    assert linked.cli("fetch").returncode == 0
    assert {path for _, path, _ in site.asked} == {"/m/unet/config.json", "/m/unet/model.safetensors"}
    assert linked.cli("fetch", "--all").returncode == 0
    assert site.asked[-1][1] == "/glow.safetensors"


# Outside the project


@pytest.mark.parametrize("relative", [False, True])
def test_folder_outside_the_project_is_pinned_and_no_part_of_the_key(pressed: Project, relative: bool) -> None:
    keys = []
    for name in ("one", "two"):
        folder = pressed.root.parent / name
        shutil.copytree(pressed.root / "weights", folder)
        pressed.edit("models.mine", {"folder": f"../{name}" if relative else str(folder), "licence": "MIT"})
        pressed.build()
        keys.append(pressed.planned(rebuild=True).keys["sprites.potion:press"])
    assert keys[0] == keys[1]
    assert pressed.last.ran == []
    (pressed.root.parent / "two/unet/config.json").write_text("[]")
    result = pressed.edit("sprites.potion.prompt", "blue").cli("build")
    assert result.returncode == 4
    assert "unet/config.json is not what was pinned" in result.stderr
    shutil.rmtree(pressed.root.parent / "two")
    assert pressed.cli("build").returncode == 4


def test_lora_file_outside_the_project_is_pinned(pressed: Project) -> None:
    (pressed.root.parent / "glow.safetensors").write_bytes(safetensors(b"glow"))
    pressed.edit("loras", {"glow": {"file": "../glow.safetensors"}})
    pressed.edit("sprites.potion.loras", ["glow"]).build()
    assert pins.read(pressed.root / "lockfiles/loras/glow.dvc").source == "folder:../glow.safetensors"


def test_pointer_in_a_folder_is_never_taken_for_the_content(pressed: Project) -> None:
    said = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 12\n"
    pressed.file("weights/vocab.txt", said)
    result = pressed.cli("lock")
    assert result.returncode == 4
    assert "a Git-LFS pointer lies where the file itself should" in result.stderr


# The project's own DVC


def run(folder: Path, *command: str) -> None:
    identity = {f"GIT_{who}_{what}": "x" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environment = {**os.environ, **identity, "DVC_NO_ANALYTICS": "1"}
    subprocess.run(command, cwd=folder, check=True, env=environment, capture_output=True)


@pytest.fixture
def tracked(pressed: Project, tmp_path: Path) -> Project:
    """A model that the project's own DVC tracks, pinned; neither it nor DVC's cache is here any more."""
    pytest.importorskip("dvc")
    root = pressed.root
    run(root, "git", "init", "-q", "-b", "main")
    run(root, sys.executable, "-m", "dvc", "init", "-q")
    run(root, sys.executable, "-m", "dvc", "remote", "add", "-q", "-d", "store", str(tmp_path / "remote"))
    run(root, sys.executable, "-m", "dvc", "add", "-q", "weights")
    run(root, sys.executable, "-m", "dvc", "push", "-q")
    pressed.cli("lock")
    shutil.rmtree(root / "weights")
    shutil.rmtree(root / ".dvc/cache")
    return pressed


def test_path_that_own_dvc_tracks_is_pulled_when_it_is_missing(tracked: Project) -> None:
    assert tracked.cli("fetch", "models.mine").returncode == 0
    assert (tracked.root / "weights/unet/model.safetensors").read_bytes() == safetensors()
    assert tracked.build().ran == ["sprites.potion:press"]


def test_path_that_own_dvc_tracks_is_pulled_to_be_pinned(tracked: Project) -> None:
    (tracked.root / PIN).unlink()
    assert tracked.build().ran == ["sprites.potion:press"]


def test_wrong_bytes_that_dvc_takes_for_true_are_refused(tracked: Project, tmp_path: Path) -> None:
    for path in (tmp_path / "remote").rglob("*"):
        if path.is_file() and path.read_bytes() == safetensors():
            path.chmod(0o644)
            path.write_bytes(safetensors(b"tampered"))
            path.chmod(0o444)  # as `dvc push` leaves it: DVC hashes no such file again
    result = tracked.cli("fetch", "models.mine")
    assert result.returncode == 4
    assert "unet/model.safetensors is not what was pinned" in result.stderr


def test_missing_path_that_nobody_tracks_is_a_fault(pressed: Project) -> None:
    shutil.rmtree(pressed.root / "weights")
    assert pressed.cli("plan").returncode == 2


def test_dvc_tracked_path_of_a_git_source_is_fetched(tracked: Project, tmp_path: Path) -> None:
    run(tracked.root, "git", "add", "-A")
    run(tracked.root, "git", "commit", "-q", "-m", "x")
    other = Project(tmp_path / "other")
    shutil.copytree(tracked.root / "stages", other.root / "stages")
    document = {**tracked.declared, "models": {"mine": {"git": {"repo": str(tracked.root), "path": "weights"}}}}
    assert other.write(document).build().ran == ["sprites.potion:press"]
    assert pins.read(other.root / PIN).digest == pins.read(tracked.root / PIN).digest
    shutil.rmtree(other.root / ".spritebuild")
    assert other.cli("fetch", "models.mine").returncode == 0
