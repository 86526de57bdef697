"""Weights in git repositories: at a revision, by Git-LFS, and what is refused of them."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from loopback import Site, serving
from projects import Project, safetensors

from spritebuild import digest
from spritebuild.pinned import pins

PIN = "lockfiles/models/mine.dvc"
WEIGHTS = safetensors(bytes(range(256)) * 40)
OID = digest.of_bytes(WEIGHTS)


def git(folder: Path, *arguments: str) -> str:
    identity = {f"GIT_{who}_{what}": "x" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    config = ["-c", "filter.lfs.smudge=", "-c", "filter.lfs.clean=", "-c", "filter.lfs.required=false"]
    ended = subprocess.run(
        ["git", *config, *arguments], cwd=folder, check=True, env={**os.environ, **identity}, capture_output=True
    )
    return ended.stdout.decode().strip()


def pointer(data: bytes) -> str:
    oid = digest.of_bytes(data)
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {len(data)}\n"


def commit(root: Path, message: str = "weights") -> str:
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", message)
    return git(root, "rev-parse", "HEAD")


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    """A repository as model hubs have them: small files in git, weights by LFS, a pickle nobody wants."""
    root = tmp_path / "hub"
    (root / "unet").mkdir(parents=True)
    git(root, "init", "-q", "-b", "main")
    git(root, "config", "uploadpack.allowAnySHA1InWant", "true")
    (root / ".gitattributes").write_text("*.safetensors filter=lfs diff=lfs merge=lfs -text\n")
    (root / "unet/config.json").write_text('{"cross_attention_dim": 768}')
    (root / "unet/model.safetensors").write_text(pointer(WEIGHTS))
    (root / "unet/model.bin").write_bytes(b"a pickle")
    stored = root / ".git/lfs/objects" / OID[:2] / OID[2:4] / OID
    stored.parent.mkdir(parents=True)
    stored.write_bytes(WEIGHTS)
    commit(root)
    return root


@pytest.fixture
def pulled(pressed: Project, hub: Path) -> Project:
    shutil.rmtree(pressed.root / "weights")
    source = {"repo": str(hub), "rev": "main", "exclude": ["*.bin"]}
    return pressed.edit("models.mine", {"git": source, "licence": "MIT"})


@pytest.fixture
def site(hub: Path, tmp_path: Path) -> Iterator[Site]:
    """The hub over http: git's own server, and the LFS batch API. The objects are nowhere else."""
    git(tmp_path, "clone", "-q", "--bare", str(hub), str(tmp_path / "served/hub.git"))
    git(tmp_path / "served/hub.git", "config", "uploadpack.allowAnySHA1InWant", "true")
    shutil.rmtree(hub / ".git/lfs")
    with serving(Site(objects={OID: WEIGHTS}, repositories=str(tmp_path / "served"))) as served:
        yield served


def kept(project: Project) -> Path:
    return project.root / ".spritebuild/models" / pins.read(project.root / PIN).digest


def test_lfs_object_of_a_local_repository_is_pinned_and_not_its_pointer(pulled: Project, hub: Path) -> None:
    assert pulled.build().ran == ["sprites.potion:press"]
    pin = pins.read(pulled.root / PIN)
    assert pin.files == (
        ("unet/config.json", 28, digest.of_bytes(b'{"cross_attention_dim": 768}')),
        ("unet/model.safetensors", len(WEIGHTS), OID),
    )
    assert pin.revision == git(hub, "rev-parse", "HEAD")
    assert (pin.licence, pin.family) == ("MIT", "sd15")
    assert (kept(pulled) / "unet/model.safetensors").read_bytes() == WEIGHTS
    assert not list((pulled.root / ".spritebuild/models").glob("arriving-*"))


@pytest.mark.parametrize("kind", ["clone", "bare"])
def test_file_address_gives_the_content(pulled: Project, hub: Path, tmp_path: Path, kind: str) -> None:
    where = f"file://{hub}"
    if kind == "bare":
        git(tmp_path, "clone", "-q", "--bare", str(hub), str(tmp_path / "bare.git"))
        shutil.copytree(hub / ".git/lfs", tmp_path / "bare.git/lfs")
        where = f"file://{tmp_path}/bare.git"
    assert pulled.edit("models.mine.git.repo", where).cli("lock").returncode == 0
    assert (kept(pulled) / "unet/model.safetensors").read_bytes() == WEIGHTS


@pytest.mark.parametrize("ending", [".git", ""])
def test_hub_over_http_is_pinned_by_the_batch_api(pulled: Project, site: Site, tmp_path: Path, ending: str) -> None:
    if not ending:
        (tmp_path / "served/hub").symlink_to(tmp_path / "served/hub.git")
    result = pulled.edit("models.mine.git.repo", f"{site.url}/git/hub{ending}").cli("lock")
    assert result.returncode == 0, result.stderr
    assert (kept(pulled) / "unet/model.safetensors").read_bytes() == WEIGHTS
    assert [path for method, path, _ in site.asked if path.endswith("/batch")] == [
        "/git/hub.git/info/lfs/objects/batch"
    ]
    assert next(headers for _, path, headers in site.asked if path.startswith("/objects/"))["Authorization"]


def test_lfs_server_may_be_another_one(pulled: Project, hub: Path, site: Site) -> None:
    (hub / ".lfsconfig").write_text(f"[lfs]\n\turl = {site.url}/elsewhere\n")
    commit(hub)
    assert pulled.cli("lock").returncode == 0
    assert [path for method, path, _ in site.asked if method == "POST"] == ["/elsewhere/objects/batch"]


def test_flaky_lfs_server_is_asked_again_and_the_download_resumed(pulled: Project, site: Site) -> None:
    pulled.edit("models.mine.git.repo", f"{site.url}/git/hub.git").cli("lock")
    shutil.rmtree(pulled.root / ".spritebuild")
    site.faults, site.asked = [("cut", 5000), 503], []
    result = pulled.cli("fetch", "models.mine")
    assert result.returncode == 0, result.stderr
    ranges = [headers.get("Range") for _, path, headers in site.asked if path.startswith("/objects/")]
    assert ranges == [None, "bytes=5000-", "bytes=5000-"]
    assert (kept(pulled) / "unet/model.safetensors").read_bytes() == WEIGHTS


@pytest.mark.parametrize("how", ["same size", "truncated"])
def test_damaged_lfs_object_is_refused(pulled: Project, hub: Path, how: str) -> None:
    stored = hub / ".git/lfs/objects" / OID[:2] / OID[2:4] / OID
    stored.write_bytes(WEIGHTS[:-1] + b"x" if how == "same size" else WEIGHTS[:-1])
    result = pulled.cli("lock")
    assert result.returncode == 4
    assert "model.safetensors: its LFS object is damaged" in result.stderr
    assert not (pulled.root / PIN).exists()


def test_damaged_lfs_object_over_http_is_refused(pulled: Project, site: Site) -> None:
    site.objects[OID] = bytes(len(WEIGHTS))
    result = pulled.edit("models.mine.git.repo", f"{site.url}/git/hub.git").cli("lock")
    assert result.returncode == 4
    assert "model.safetensors is not what it should be" in result.stderr


def test_lfs_object_that_nobody_has_is_told(pulled: Project, hub: Path, site: Site) -> None:
    site.objects.clear()
    result = pulled.edit("models.mine.git.repo", f"{site.url}/git/hub.git").cli("lock")
    assert result.returncode == 5
    assert "Object does not exist" in result.stderr
    result = pulled.edit("models.mine.git.repo", str(hub)).cli("lock")
    assert result.returncode == 5
    assert "where the LFS objects of the repository are is not known" in result.stderr


def test_pickle_is_refused_before_anything_is_downloaded(pulled: Project, site: Site) -> None:
    pulled.edit("models.mine.git", {"repo": f"{site.url}/git/hub.git"})
    result = pulled.cli("lock")
    assert result.returncode == 4
    assert "pickled weights can run code" in result.stderr
    assert not [path for _, path, _ in site.asked if path.startswith("/objects/")]


def test_link_in_a_repository_is_refused(pulled: Project, hub: Path) -> None:
    (hub / "unet/more.json").symlink_to("/etc/passwd")
    commit(hub)
    result = pulled.cli("lock")
    assert result.returncode == 4
    assert "unet/more.json is a link, which is refused" in result.stderr


def test_pinned_commit_is_fetched_though_the_branch_moved_on(pulled: Project, hub: Path) -> None:
    pulled.cli("lock")
    before = pins.read(pulled.root / PIN)
    (hub / "unet/config.json").write_text('{"cross_attention_dim": 1024}')
    after = commit(hub, "more")
    shutil.rmtree(pulled.root / ".spritebuild")
    assert pulled.cli("fetch").returncode == 0
    assert (kept(pulled) / "unet/config.json").read_text() == '{"cross_attention_dim": 768}'
    assert pulled.cli("models", "update", "models.mine").returncode == 0
    now = pins.read(pulled.root / PIN)
    assert (now.revision, now.family) == (after, "sd2")
    assert now.digest != before.digest


@pytest.mark.parametrize("kind", ["branch", "tag", "annotated", "commit", "head"])
def test_every_kind_of_revision_is_a_commit_in_the_pin(pulled: Project, hub: Path, kind: str) -> None:
    first = git(hub, "rev-parse", "HEAD")
    git(hub, "tag", "light")
    git(hub, "tag", "-a", "heavy", "-m", "x")
    git(hub, "branch", "side")
    if kind != "head":
        (hub / "more.json").write_text("{}")
        commit(hub)
    source = {"repo": str(hub), "exclude": ["*.bin"]}
    names = {"branch": "side", "tag": "light", "annotated": "heavy", "commit": first}
    pulled.edit("models.mine.git", {**source, "rev": names[kind]} if kind in names else source)
    assert pulled.cli("lock").returncode == 0
    assert pins.read(pulled.root / PIN).revision == first


@pytest.mark.parametrize("place", ["file", "folder"])
def test_lora_is_a_file_of_a_repository(pulled: Project, hub: Path, place: str) -> None:
    name = "glow.safetensors" if place == "file" else "loras/glow.safetensors"
    (hub / name).parent.mkdir(exist_ok=True)
    (hub / name).write_bytes(safetensors(b"glow"))
    commit(hub)
    pulled.edit("loras", {"glow": {"git": {"repo": str(hub), "path": name}}})
    assert pulled.cli("lock").returncode == 0
    pin = pins.read(pulled.root / "lockfiles/loras/glow.dvc")
    assert (pin.folder, pin.digest) == (False, digest.of_bytes(safetensors(b"glow")))
    shutil.rmtree(pulled.root / ".spritebuild")
    assert pulled.cli("fetch", "loras.glow").returncode == 0


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("rev", "v9", "no revision 'v9'"),
        ("rev", "0" * 40, "no commit 000000000000"),
        ("rev", "--upload-pack=touch /tmp/owned", "no revision"),
        ("path", "nowhere", "nothing is at nowhere"),
        ("repo", "/nowhere", "git ls-remote"),
    ],
)
def test_what_is_not_there_is_told(pulled: Project, key: str, value: str, said: str) -> None:
    result = pulled.edit(f"models.mine.git.{key}", value).cli("lock")
    assert result.returncode == 5
    assert said in result.stderr
    assert "check the repository, its path and revision" in result.stderr
    assert not (pulled.root / PIN).exists()


def test_offline_build_fetches_nothing(pulled: Project) -> None:
    result = pulled.cli("build", "--offline")
    assert result.returncode == 5
    assert "nothing may be fetched" in result.stderr
    assert not (pulled.root / PIN).exists()


def test_damaged_file_alone_is_fetched_again_and_set_aside(pulled: Project, site: Site) -> None:
    pulled.edit("models.mine.git.repo", f"{site.url}/git/hub.git").cli("lock")
    weights = kept(pulled) / "unet/model.safetensors"
    weights.write_bytes(bytes(len(WEIGHTS)))
    (kept(pulled) / "unet/extra.json").write_text("{}")
    before = (kept(pulled) / "unet/config.json").stat().st_ino
    assert pulled.cli("models", "verify").returncode == 4
    assert pulled.cli("fetch", "models.mine").returncode == 0
    assert weights.read_bytes() == WEIGHTS
    assert (kept(pulled) / "unet/config.json").stat().st_ino == before
    aside = pulled.root / ".spritebuild/quarantine"
    assert sorted(path.name for path in aside.rglob("*") if path.is_file()) == ["extra.json", "model.safetensors"]
    assert pulled.cli("models", "verify").returncode == 0


def test_pinned_revision_that_is_here_is_not_fetched_again(pulled: Project, site: Site) -> None:
    pulled.edit("models.mine.git.repo", f"{site.url}/git/hub.git").cli("lock")
    site.asked = []
    result = pulled.cli("lock", "--update", "models.mine")
    assert "unchanged" in result.stderr
    assert not [path for _, path, _ in site.asked if path.startswith("/objects/")]
