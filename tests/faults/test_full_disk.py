"""A disk that is too small, and one that is read-only, as file systems of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fault_deeds import few, there
from fault_project import BUILD, FIRST, SECOND, Servers, State, copied, damage, delivered, spritebuild, unhealed, write
from fault_strace import Point, inject

ALL = os.environ.get("SPRITEBUILD_FAULTS") == "all"
SIZES = [48, 64, 90, 120, 200, 300, 500, 700, 1000, 1400, 1900, 2400] if ALL else [64, 120, 300, 700, 1400, 2400]
SQLITE = "disk I/O error"  # all that SQLite says when its shared memory does not fit


def mounts() -> bool:
    """Whether this process may mount."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return False
    tried = ["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"]
    try:
        return subprocess.run(tried, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


pytestmark = pytest.mark.skipif(not mounts(), reason="needs the right to mount a tmpfs")
Mount = Callable[[str], Path]


@pytest.fixture
def disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Mount]:
    """Mount a tmpfs with options, or change its options."""
    folder = tmp_path.resolve() / getattr(request, "param", "disk")
    folder.mkdir(parents=True)

    def mount(options: str) -> Path:
        options = f"remount,{options}" if folder.is_mount() else options
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "spritebuild-test", str(folder)], check=True)
        return folder

    yield mount
    if folder.is_mount():
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("kibibytes", SIZES)
def test_a_full_disk_ends_the_build_cleanly_and_room_lets_the_next_one_complete(
    kibibytes: int, disk: Mount, servers: Servers, states: dict[str, State]
) -> None:
    project = write(disk(f"size={kibibytes}k") / "isle", FIRST)
    state = State("first", project, {}, states["edited"].former)
    ended = spritebuild(project, *BUILD)
    assert ended.code in (0, 5), ended
    assert "Traceback" not in ended.talk
    if ended.code:
        assert "no space left on the disk" in ended.talk or SQLITE in ended.talk
        assert "hint: " in ended.talk
    assert ended.code == 5 or kibibytes > 1200
    assert not damage(state, project)
    disk("size=64m")
    assert not unhealed(servers, state, project)


@pytest.mark.parametrize("spare", [0, 40, 1100])
def test_a_disk_that_fills_up_during_an_edit_keeps_every_asset_whole(
    spare: int, disk: Mount, servers: Servers, states: dict[str, State], bench: Path
) -> None:
    top = disk("size=64m")
    project = write(copied(bench / "built-first", top / "isle"), SECOND)
    state = states["edited"]
    used = os.statvfs(top)
    disk(f"size={(used.f_blocks - used.f_bfree) * used.f_frsize // 1024 + spare}k")
    ended = spritebuild(project, *BUILD)
    assert ended.code in (0, 5), ended
    assert "Traceback" not in ended.talk
    if ended.code:
        assert "no space left on the disk" in ended.talk or SQLITE in ended.talk
        assert "hint: " in ended.talk
    assert not damage(state, project)
    disk("size=64m")
    assert not unhealed(servers, state, project)


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
@pytest.mark.parametrize("number", [4, 5, 6])
@pytest.mark.parametrize("disk", ["isle/assets"], indirect=True)
def test_a_kill_leaves_no_temporary_file_among_assets_on_another_file_system(
    number: int, disk: Mount, servers: Servers, states: dict[str, State], tmp_path: Path
) -> None:
    disk("size=64m")
    project = write(tmp_path.resolve() / "isle", FIRST)
    state = State("first", project, {}, states["edited"].former)
    killed = inject(servers, project, tmp_path / "log", "KILL", Point("rename", number, "assets"))
    assert killed.ended.code in (0, -9)
    assert not unhealed(servers, state, project)


def test_a_read_only_project_that_is_up_to_date_says_so(disk: Mount, states: dict[str, State]) -> None:
    project = write(disk("size=64m") / "isle", FIRST)
    assert spritebuild(project, *BUILD).code == 0
    disk("ro")
    ended = spritebuild(project, *BUILD)
    assert (ended.code, ended.talk) == (0, "nothing to do\n")
    assert delivered(project) == states["edited"].former


def test_a_read_only_project_that_is_stale_fails_and_says_why(disk: Mount) -> None:
    project = write(disk("size=64m") / "isle", FIRST)
    assert spritebuild(project, *BUILD).code == 0
    write(project, SECOND)
    disk("ro")
    ended = spritebuild(project, *BUILD)
    assert ended.code == 5, ended
    assert "hint: check who owns the project folder and its store" in ended.talk


def test_a_read_only_shared_store_gives_what_it_has_and_refuses_a_push(disk: Mount, tmp_path: Path) -> None:
    top = disk("size=64m")
    (top / "shared").mkdir()
    text = str(few()["spritefile.toml"]).replace("../shared", str(top / "shared"))
    project = write(tmp_path / "isle", {**few(), "spritefile.toml": text})
    for command in (BUILD, ("push",)):
        assert spritebuild(project, *command).code == 0
    before = there(top / "shared")
    disk("ro")
    clone = copied(project, tmp_path / "clone")
    for left in ("assets", ".spritebuild"):
        shutil.rmtree(clone / left)
    ended = spritebuild(clone, *BUILD)
    assert ended.code == 0, ended
    assert "from the shared store: " in ended.talk and "ran " not in ended.talk
    assert delivered(clone) == delivered(project)
    write(clone, {"spritefile.toml": text.replace("color = 1 }", "color = 2 }")})
    ended = spritebuild(clone, *BUILD)
    assert ended.code == 0, ended
    assert "1 slab" in ended.talk
    refused = spritebuild(clone, "push")
    assert refused.code == 5, refused
    assert "Read-only file system" in refused.talk and "hint: " in refused.talk
    assert there(top / "shared") == before
