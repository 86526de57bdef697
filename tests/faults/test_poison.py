"""Poison in a store: bytes that pass for others. Each is made for real, refused with exit status 4 and named.

DVC, measured beside us, takes the first of them for the true one even where it verifies.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from fault_deeds import few, weighed, weights
from fault_project import BUILD, ENVIRONMENT, HEAD, STAGES, Ended, Servers, copied, delivered, store_damage, write
from fault_project import SECRET as OURS
from loopback import Site, serving
from projects import safetensors

from spritebuild import digest, lock
from spritebuild.shared import signed

# Two blocks of the same md5, by X. Wang, D. Feng, X. Lai and H. Yu, "Collisions for Hash Functions" (2004).
ONE = bytes.fromhex(
    "d131dd02c5e6eec4693d9a0698aff95c2fcab58712467eab4004583eb8fb7f8955ad340609f4b30283e488832571415a"
    "085125e8f7cdc99fd91dbdf280373c5bd8823e3156348f5bae6dacd436c919c6dd53e2b487da03fd02396306d248cda0"
    "e99f33420f577ee8ce54b67080a80d1ec69821bcb6a8839396f9652b6ff72a70"
)
OTHER = bytes.fromhex(
    "d131dd02c5e6eec4693d9a0698aff95c2fcab50712467eab4004583eb8fb7f8955ad340609f4b30283e4888325f1415a"
    "085125e8f7cdc99fd91dbd7280373c5bd8823e3156348f5bae6dacd436c919c6dd53e23487da03fd02396306d248cda0"
    "e99f33420f577ee8ce54b67080280d1ec69821bcb6a8839396f965ab6ff72a70"
)
STRANGER, _ = signed.new_key()
needs_dvc = pytest.mark.skipif(importlib.util.find_spec("dvc") is None, reason="needs DVC")


def test_the_blocks_collide() -> None:
    assert ONE != OTHER
    assert hashlib.md5(ONE).digest() == hashlib.md5(OTHER).digest()
    assert hashlib.md5(ONE + b"the same end").digest() == hashlib.md5(OTHER + b"the same end").digest()


def refused(ended: Ended, named: str) -> None:
    """Exit status 4, an error that names the poison, and a remedy."""
    assert ended.code == 4, ended
    assert ended.talk.split("error: ")[1:], ended
    assert named in ended.talk, ended
    assert "hint: " in ended.talk, ended
    assert "Traceback" not in ended.talk, ended


# A file of the same md5, where a project's weights are tracked by its own DVC


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True)


@pytest.fixture(scope="module")
def poisoned(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose weights DVC tracks, pinned and pushed; the remote is verified and then holds the other block."""
    tmp_path = tmp_path_factory.mktemp("tracked")
    model = '\n[models.mine]\npath = "weights"\nlicence = "MIT"\n\n[sprites.stone]\nstage = "press"\nmodel = "mine"\n'
    files = {**STAGES, "stages/press.py": weighed("")["stages/press.py"], "spritefile.toml": HEAD + model}
    project = write(tmp_path / "isle", {**files, "weights/block.dat": ONE, "weights/m.safetensors": safetensors(b"m")})
    dvc = (sys.executable, "-m", "dvc")
    for command in (
        ("git", "init", "-q"),
        (*dvc, "init", "-q"),
        (*dvc, "config", "core.analytics", "false"),
        (*dvc, "remote", "add", "-q", "-d", "store", str(tmp_path / "remote")),
        (*dvc, "remote", "modify", "store", "verify", "true"),
        (*dvc, "add", "-q", "weights"),
        (*dvc, "push", "-q"),
    ):
        done = run(project, *command)
        assert done.returncode == 0, done
    assert servers.forked(project, "lock").code == 0
    shutil.rmtree(project / "weights")
    shutil.rmtree(project / ".dvc" / "cache")
    found = hashlib.md5(ONE).hexdigest()
    held = tmp_path / "remote" / "files" / "md5" / found[:2] / found[2:]
    assert held.read_bytes() == ONE
    held.chmod(0o644)
    held.write_bytes(OTHER)
    held.chmod(0o444)
    return project


@pytest.fixture
def tracked(poisoned: Path, tmp_path: Path) -> Path:
    """A copy of that project."""
    return copied(poisoned, tmp_path / "isle")


@needs_dvc
def test_dvc_accepts_a_file_of_the_same_md5_though_it_verifies(tracked: Path) -> None:
    done = run(tracked, sys.executable, "-m", "dvc", "pull", "-q")
    assert done.returncode == 0, done
    assert (tracked / "weights/block.dat").read_bytes() == OTHER
    assert "up to date" in run(tracked, sys.executable, "-m", "dvc", "status").stdout


@needs_dvc
@pytest.mark.parametrize("command", [("build",), ("fetch", "--all")])
def test_a_file_of_the_same_md5_is_refused(tracked: Path, servers: Servers, command: tuple[str, ...]) -> None:
    refused(servers.forked(tracked, *command), "block.dat is not what was pinned")
    assert not (tracked / "assets").exists()


# A shared store


@dataclass(frozen=True)
class Team:
    """What was pushed, and a clone that has nothing yet."""

    shared: Path
    clone: Path

    def blob(self, name: str) -> Path:
        return self.shared / "blobs" / name[:2] / name[2:]

    def traces(self) -> list[Path]:
        return sorted(self.shared.glob("traces/*/*"))

    def forget_lock(self) -> None:
        shutil.rmtree(self.clone / "lockfiles")


@pytest.fixture(scope="module")
def pushed(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a project, and the shared store that it was pushed to."""
    folder = tmp_path_factory.mktemp("team")
    project = write(folder / "isle", few())
    (folder / "shared").mkdir()
    for command in (BUILD, ("push",)):
        ended = servers.forked(project, *command)
        assert ended.code == 0, ended
    return folder


@pytest.fixture
def team(pushed: Path, tmp_path: Path) -> Team:
    for name in ("isle", "shared"):
        copied(pushed / name, tmp_path / name)
    project = tmp_path / "isle"
    clone = copied(project, tmp_path / "clone")
    for left in ("assets", ".spritebuild"):
        shutil.rmtree(clone / left)
    return Team(tmp_path / "shared", clone)


def nothing_was_taken(servers: Servers, team: Team) -> None:
    """The poison is neither a blob nor an asset; without the shared store, the build is what it should be."""
    assert not store_damage(team.clone)
    ended = servers.forked(team.clone, *BUILD, "--offline")
    assert ended.code == 0, ended
    there = delivered(team.clone.with_name("isle"))
    assert delivered(team.clone) == there


def overwrite(path: Path, data: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(data)
    path.chmod(0o444)


def test_a_swapped_blob_is_refused(team: Team, servers: Servers) -> None:
    entries = lock.read(team.clone)
    imp, gem = entries["assets/foes/imp.png"].digest, entries["assets/gem.png"].digest
    overwrite(team.blob(imp), team.blob(gem).read_bytes())
    refused(servers.forked(team.clone, *BUILD), f"blobs/{imp[:2]}/{imp[2:]}")
    nothing_was_taken(servers, team)


def test_a_blob_of_the_same_md5_is_refused(team: Team, servers: Servers) -> None:
    name = digest.of_bytes(ONE)
    (team.shared / "blobs" / name[:2]).mkdir(parents=True, exist_ok=True)
    team.blob(name).write_bytes(OTHER)
    entries = lock.read(team.clone)
    text = (team.clone / lock.PATH).read_text().replace(entries["assets/gem.png"].digest, name)
    (team.clone / lock.PATH).write_text(text)
    refused(servers.forked(team.clone, "pull"), f"blobs/{name[:2]}/{name[2:]}")
    assert not store_damage(team.clone)


def forged(document: dict[str, str]) -> bytes:
    """Other outputs under the signature of the true ones."""
    trace = json.loads(document["trace"])
    trace["outputs"] = dict.fromkeys(trace["outputs"], digest.of_bytes(OTHER))
    return digest.canonical({**document, "trace": digest.canonical(trace).decode()})


def by_a_stranger(document: dict[str, str]) -> bytes:
    """Signed, by somebody whom the spritefile does not trust."""
    trace = json.loads(document["trace"])
    return signed.write(trace["key"], trace["action"], trace["outputs"], trace["provenance"], STRANGER)


def in_our_name(document: dict[str, str]) -> bytes:
    """A stranger's signature beside our public key."""
    return digest.canonical({**json.loads(by_a_stranger(document)), "by": signed.public_of(OURS)})


def unsigned(document: dict[str, str]) -> bytes:
    return digest.canonical({"trace": document["trace"]})


def cut_short(document: dict[str, str]) -> bytes:
    return digest.canonical(document)[:-9]


@pytest.mark.parametrize("forge", [forged, by_a_stranger, in_our_name, unsigned, cut_short])
def test_a_forged_trace_is_refused(forge: Callable[[dict[str, str]], bytes], team: Team, servers: Servers) -> None:
    team.forget_lock()
    for path in team.traces():
        overwrite(path, forge(json.loads(path.read_bytes())))
    refused(servers.forked(team.clone, *BUILD), "traces/")
    nothing_was_taken(servers, team)


def test_a_trace_for_another_key_is_refused(team: Team, servers: Servers) -> None:
    team.forget_lock()
    paths = team.traces()
    documents = [path.read_bytes() for path in paths]
    for path, data in zip(paths, documents[1:] + documents[:1], strict=True):
        overwrite(path, data)
    refused(servers.forked(team.clone, *BUILD), "is the trace of another key")
    nothing_was_taken(servers, team)


# Weights


@pytest.mark.parametrize("length", [0, 7, 4000, -1])
@pytest.mark.parametrize("where", ["at the source", "here"])
def test_truncated_weights_are_refused_or_fetched_again(
    length: int, where: str, servers: Servers, tmp_path: Path
) -> None:
    """Refused where the source gives them; what was truncated here is set aside and comes again."""
    whole = safetensors(bytes(range(256)) * 40)
    site = Site({"/m/config.json": b"{}", "/m/unet/model.safetensors": whole})
    with serving(site):
        project = write(tmp_path / "isle", weighed(site.url))
        assert servers.forked(project, "lock").code == 0
        if where == "here":
            (path,) = [path for path in weights(project) if path.suffix == ".safetensors"]
            overwrite(path, whole[:length])
            ended = servers.forked(project, *BUILD)
            assert ended.code == 0, ended
            assert path.read_bytes() == whole
            aside = [file for file in (project / ".spritebuild/quarantine").rglob("*") if file.is_file()]
            assert [file.read_bytes() for file in aside] == [whole[:length]]
        else:
            shutil.rmtree(project / ".spritebuild")
            site.files["/m/unet/model.safetensors"] = whole[:length]
            refused(servers.forked(project, *BUILD), "model.safetensors")
            assert not weights(project)
            assert not (project / "assets").exists()
