"""Earlier revisions: what git has of them, and what becomes of assets since."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from projects import ISLAND, Project

from spritebuild import lock
from spritebuild.compare import compare
from spritebuild.errors import UsageError
from spritebuild.history import History
from spritebuild.project import opened

POTION = "assets/potion.png"


def git(project: Project, *arguments: str) -> str:
    said = ["-c", "user.name=somebody", "-c", "user.email=somebody@example.com", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *said, *arguments], cwd=project.root, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.fixture
def committed(project: Project) -> Project:
    """An island whose sprites are approved and committed, built again with another potion."""
    project.write(ISLAND).build()
    project.file(".gitignore", ".spritebuild/\n")
    assert project.cli("approve", "--all").returncode == 0
    git(project, "init", "-q")
    git(project, "add", ".")
    git(project, "commit", "-qm", "built")
    project.edit("sprites.potion.prompt", "blue potion").build()
    return project


def test_baseline_that_the_store_lost_is_found_in_the_history(committed: Project, tmp_path: Path) -> None:
    git(committed, "add", ".")
    git(committed, "commit", "-qm", "another potion")
    subprocess.run(["git", "clone", "-q", str(committed.root), str(tmp_path / "clone")], check=True)
    clone = Project(tmp_path / "clone")
    with opened(clone.path) as project:
        found = {case.path: case.kind for case in compare(project).checked.cases}
    assert found == {"assets/items*": "different", "assets/potion.png": "different", "assets/sword.png": "same"}


def test_hook_of_git_finds_the_baselines_of_a_project_in_a_folder(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    game = Project(project.root / "game").write(ISLAND)
    game.build()
    assert game.cli("approve", "--all").returncode == 0
    git(project, "init", "-q")
    git(project, "add", "game/assets", "game/lockfiles")
    git(project, "commit", "-qm", "built")
    game.edit("sprites.potion.prompt", "blue potion").build()
    game.blobs()[lock.parse(git(project, "show", "HEAD:game/lockfiles/sprites.lock").encode())[POTION].digest].unlink()
    monkeypatch.setenv("GIT_DIR", str(project.root / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", ".git/index")
    with opened(game.path) as found:
        assert {case.path: case.kind for case in compare(found).checked.cases}[POTION] == "different"


def test_check_looks_again_once_a_shallow_clone_is_deepened(committed: Project, tmp_path: Path) -> None:
    git(committed, "add", ".")
    git(committed, "commit", "-qm", "another potion")
    origin = f"file://{committed.root}"
    subprocess.run(["git", "clone", "-q", "--depth", "1", origin, str(tmp_path / "clone")], check=True)
    clone = Project(tmp_path / "clone")
    clone.build()
    assert "the baseline's pixels are not here" in " ".join(clone.cli("check").stdout.split())
    git(clone, "fetch", "-q", "--unshallow")
    assert "2 different" in clone.cli("check").stdout


def test_diff_says_what_became_of_assets_since_a_revision(committed: Project) -> None:
    assert committed.cli("approve", "--all").returncode == 0
    done = committed.cli("diff", "HEAD", "potion", "--exit-code")
    assert done.returncode == 1
    assert "assets/potion.png" in done.stdout
    assert committed.cli("diff", "HEAD", "sword", "--exit-code").returncode == 0


def test_diff_tells_what_is_new_and_gone(committed: Project) -> None:
    committed.edit("sprites.sword", None)
    committed.edit("sprites.shield", {"style": "base", "prompt": "round shield"}).build()
    with opened(committed.path) as project:
        found = {case.path: case.kind for case in compare(project, revision="HEAD").checked.cases}
    assert found["assets/sword.png"] == "deleted"
    assert found["assets/shield.png"] == "new"


@pytest.mark.parametrize("revision", ["nothing", "--help", "HEAD~9", ""])
def test_revision_that_there_is_not_is_refused(committed: Project, revision: str) -> None:
    with pytest.raises(UsageError, match="no revision is called"):
        History(committed.root).lock_of(revision)


def test_without_a_repository_nothing_is_found(island: Project) -> None:
    island.build()
    with opened(island.path) as project:
        history = History(island.root)
        history.recover(project.store, ["0" * 64])
        assert not project.store.has("0" * 64)
        with pytest.raises(UsageError):
            history.lock_of("HEAD")


def test_git_shows_the_pixels_that_changed(committed: Project) -> None:
    import sys

    committed.file(".gitattributes", "*.png diff=sprite\n")
    git(committed, "config", "diff.sprite.textconv", f"{sys.executable} -m spritebuild diff --textconv")
    shown = git(committed, "diff", "--", "assets/potion.png")
    assert any(line.startswith(("-", "+")) and len(line) == 9 for line in shown.splitlines())
    assert "Binary files" not in shown


def test_baseline_that_git_lfs_keeps_is_found(committed: Project, tmp_path: Path) -> None:
    baseline = committed.lock()["assets/potion.png"].approved
    kept = Path(committed.blobs()[baseline]).read_bytes()
    large = committed.root / ".git/lfs/objects" / baseline[:2] / baseline[2:4]
    large.mkdir(parents=True)
    (large / baseline).write_bytes(kept)
    with opened(committed.path) as project:
        committed.blobs()[baseline].unlink()
        history = History(committed.root)
        history._unread = iter(())  # no revision has it: what is committed is a pointer
        history.recover(project.store, [baseline])
        assert project.store.has(baseline)
