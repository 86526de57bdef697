"""What a shared store keeps, what goes, and that nobody who pushes meanwhile loses anything."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from projects import ISLAND, Project
from shared_races import race
from test_shared import PUBLIC, SECRET, STORE, blobs, push, traces

from spritebuild.errors import LockError, MachineError, PolicyError
from spritebuild.shared import leases, signed, supply
from spritebuild.shared.places.folder import Folder

DAY = 86400


@pytest.fixture(autouse=True)
def who_may_write(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(supply.URL, raising=False)
    monkeypatch.setenv(supply.WRITE, "1")
    monkeypatch.setenv(supply.KEY, SECRET)


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    folder = tmp_path / "shared"
    folder.mkdir()
    return folder


@pytest.fixture
def pushed(island: Project, shared: Path) -> Project:
    """The island, built, committed, and all of it in the shared store."""
    island.write({**ISLAND, "store": STORE}).build()
    git(island, "init", "-q", "-b", "main")
    commit(island)
    push(island)
    return island


def git(project: Project, *arguments: str) -> None:
    who = ("-c", "user.name=Artist", "-c", "user.email=artist@example.com")
    subprocess.run(["git", *who, *arguments], cwd=project.root, check=True, capture_output=True)


def commit(project: Project) -> None:
    git(project, "add", "spritefile.toml", "lockfiles", "stages")
    git(project, "commit", "-q", "-m", "as it is")


def gc(project: Project, *options: str, **environment: str) -> dict[str, int]:
    finished = project.cli("gc", "--shared", "--json", *options, **environment)
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout)


def age(shared: Path, days: float, *folders: str) -> None:
    """Make everything there older."""
    then = time.time() - days * DAY
    for folder in folders or ("blobs", "packs", "traces", "trace-packs", "leases", "rosters"):
        for path in (shared / folder).rglob("*"):
            if path.is_file():
                os.utime(path, (then, then))


NOW = ("--grace-days", "0")


def test_what_a_lock_of_any_branch_names_stays_however_old(pushed: Project, shared: Path, tmp_path: Path) -> None:
    before = pushed.assets()
    git(pushed, "switch", "-q", "-c", "other")
    pushed.edit("sprites.potion.prompt", "another potion").build()
    push(pushed)
    commit(pushed)
    git(pushed, "switch", "-q", "main")
    age(shared, 400)
    told = gc(pushed, *NOW)
    assert told["refs"] == 2 and told["removed"] > 0
    for branch in ("main", "other"):
        git(pushed, "switch", "-q", branch)
        clone = pushed.clone(tmp_path / branch)
        assert clone.build().ran == []
        assert (clone.assets() == before) == (branch == "main")


def test_what_nothing_names_goes_with_its_traces(pushed: Project, shared: Path) -> None:
    pushed.edit("sprites.potion.prompt", "tried and forgotten").build()
    push(pushed)
    pushed.edit("sprites.potion.prompt", "a potion").build()
    age(shared, 400)
    count = len(traces(shared))
    told = gc(pushed, *NOW)
    assert told["removed"] > 0 and told["removed_traces"] > 0
    assert len(traces(shared)) == count - told["removed_traces"]
    for path in traces(shared).values():
        for name in json.loads(json.loads(path.read_text())["trace"])["outputs"].values():
            assert name.rstrip("/") in blobs(shared)
    assert gc(pushed, *NOW)["removed"] == 0


def test_the_young_and_the_leased_stay(pushed: Project, shared: Path) -> None:
    pushed.edit("sprites.potion.prompt", "not committed yet").build()
    push(pushed)
    git(pushed, "checkout", "-q", "--", "spritefile.toml", "lockfiles")
    count = len(blobs(shared))
    assert gc(pushed, *NOW)["doomed"] == 0  # young
    age(shared, 400, "blobs", "traces")
    assert gc(pushed, *NOW)["doomed"] == 0  # leased
    assert len(blobs(shared)) == count
    age(shared, 400, "leases")
    assert gc(pushed, *NOW)["removed"] > 0
    assert not [*(shared / "leases").iterdir()]


def test_first_it_is_marked_and_later_it_goes_unless_it_is_wanted_again(pushed: Project, shared: Path) -> None:
    pushed.edit("sprites.potion.prompt", "tried").build()
    push(pushed)
    git(pushed, "checkout", "-q", "--", "spritefile.toml", "lockfiles")
    pushed.build()
    age(shared, 400)
    count = len(blobs(shared))
    first = gc(pushed)
    assert first["removed"] == 0 and first["doomed"] > 0 and len(blobs(shared)) == count
    (mark,) = (shared / "doomed").iterdir()
    rows = {name: since - 2 * DAY for name, since in json.loads(mark.read_text()).items()}
    mark.write_text(json.dumps(rows))
    wanted = sorted(rows)[0]
    line = json.loads((pushed.root / "lockfiles/sprites.lock").read_text().splitlines()[0])
    other = pushed.root / "other.lock"
    other.write_text(json.dumps({**line, "digest": wanted}) + "\n")
    second = gc(pushed, "--lock", str(other))
    assert second["removed"] == first["doomed"] - 1 and second["doomed"] == 0
    assert wanted in blobs(shared)


def test_a_dry_run_changes_nothing(pushed: Project, shared: Path) -> None:
    pushed.edit("sprites.potion.prompt", "tried").build()
    push(pushed)
    git(pushed, "checkout", "-q", "--", "spritefile.toml", "lockfiles")
    age(shared, 400)
    before = {path: path.stat().st_mtime_ns for path in shared.rglob("*")}
    told = gc(pushed, "--dry-run", *NOW)
    assert told["removed"] > 0 and told["dry_run"] and told["bytes"] == sum(told["ages"].values())
    assert {path: path.stat().st_mtime_ns for path in shared.rglob("*")} == before
    assert gc(pushed, "--dry-run", *NOW, **{supply.WRITE: "0"})["removed"] == told["removed"]
    assert gc(pushed, *NOW)["removed"] == told["removed"]


def test_packs_of_which_little_is_needed_are_written_anew(island: Project, shared: Path, tmp_path: Path) -> None:
    island.write({**ISLAND, "store": STORE})
    island.edit("sprites.coin", {"style": "base", "prompt": "coin", "seeds": list(range(40))}).build()
    push(island)
    (index,) = shared.glob("packs/*.index")
    whole = index.with_suffix("").stat().st_size
    island.edit("sprites.coin", {"style": "base", "prompt": "coin", "seeds": [0, 1, 2]}).build()
    push(island)
    age(shared, 400)
    assert gc(island, *NOW)["removed"] > 0
    (left,) = shared.glob("packs/*.index")
    assert left != index and left.with_suffix("").stat().st_size < whole / 2
    clone = island.clone(tmp_path / "clone", locked=False)
    assert clone.build().ran == [] and clone.assets() == island.assets()


def test_a_lock_that_cannot_be_read_stops_it(pushed: Project, shared: Path) -> None:
    bad = pushed.root / "bad.lock"
    bad.write_text("<<<<<<< ours\n")
    finished = pushed.cli("gc", "--shared", "--lock", str(bad))
    assert finished.returncode == LockError.exit_code and "conflict" in finished.stderr


def test_who_may_not_write_may_not_collect(pushed: Project, shared: Path) -> None:
    finished = pushed.cli("gc", "--shared", **{supply.WRITE: "0"})
    assert finished.returncode == PolicyError.exit_code and "read-only" in finished.stderr


def test_who_pushes_waits_for_who_sweeps_but_not_for_the_dead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Folder(tmp_path)
    (tmp_path / "sweeping").mkdir()
    (tmp_path / "sweeping/one").write_text("{}")

    def put(data: bytes, path: str) -> None:
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(data)

    looks = []
    monkeypatch.setattr(time, "sleep", lambda seconds: (looks.append(seconds), age(tmp_path, 1, "sweeping")))
    leases.take(place, ["a" * 64], put)
    assert len(looks) == 1
    assert leases.read(place, time.time())[0] == {"a" * 64}
    assert leases.read(place, time.time() + 15 * DAY) == (
        set(),
        [path.name for path in (tmp_path / "leases").iterdir()],
    )
    put(b"junk", "leases/junk")
    with pytest.raises(MachineError, match="no lease"):
        leases.read(place, time.time())


@pytest.mark.parametrize("seed", range(2))
def test_pushers_and_a_collector_at_once_lose_nothing(tmp_path: Path, seed: int) -> None:
    (tmp_path / "there").mkdir()
    removed, lost = race(lambda: Folder(tmp_path / "there"), tmp_path, pushers=3, rounds=4, seed=seed)
    assert removed > 0 and lost == 0


# What a roster spares


def test_a_fresh_clone_pulls_without_its_spritefile_being_resolved(pushed: Project, tmp_path: Path) -> None:
    clone = pushed.clone(tmp_path / "clone")
    trace = clone.cli("pull", "--json", PYTHONPROFILEIMPORTTIME="1")
    told = json.loads(trace.stdout.splitlines()[-1])
    assert told["to_run"] == 0 and told["blobs"] == told["asked"] == told["found"] > 0
    assert "pydantic" not in trace.stderr
    assert clone.build().ran == [] and clone.assets() == pushed.assets()


def test_a_tree_that_differs_is_looked_at_as_a_whole(pushed: Project, tmp_path: Path) -> None:
    clone = pushed.clone(tmp_path / "edited").edit("sprites.potion.prompt", "another")
    assert json.loads(clone.cli("pull", "--json").stdout)["to_run"] > 0
    clone = pushed.clone(tmp_path / "stage")
    (clone.root / "stages/more.py").write_text((clone.root / "stages/paint.py").read_text())
    assert "pydantic" in clone.cli("pull", "--json", PYTHONPROFILEIMPORTTIME="1").stderr
    clone = pushed.clone(tmp_path / "unlocked", locked=False)
    assert json.loads(clone.cli("pull", "--json").stdout)["traces"] > 0


def test_what_a_roster_promises_and_is_not_there_is_told(pushed: Project, tmp_path: Path, shared: Path) -> None:
    name = pushed.lock()["assets/potion.png"].digest
    blobs(shared)[name].unlink()
    shutil.rmtree(shared / "traces")
    assert json.loads(pushed.clone(tmp_path / "clone").cli("pull", "--json").stdout)["to_run"] > 0


def test_no_roster_is_left_where_the_lock_says_something_else(island: Project, shared: Path) -> None:
    island.write({**ISLAND, "store": {**STORE, "trusted": [PUBLIC]}}).build()
    island.edit("sprites.potion.prompt", "not built yet")
    push(island)
    assert not (shared / "rosters").exists()
    assert signed.public_of(SECRET) == PUBLIC


def test_a_store_that_is_not_there_is_an_error_even_if_nothing_can_be_asked_for(
    island: Project, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    finished = island.cli("pull", SPRITEBUILD_STORE=str(store))
    assert finished.returncode == 5 and "no such folder" in finished.stderr
    store.mkdir()
    finished = island.cli("pull", SPRITEBUILD_STORE=str(store))
    assert finished.returncode == 0 and "[store] trusted names no key" in finished.stderr
