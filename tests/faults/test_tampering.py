"""Blobs and assets that somebody changed: what is damaged is set aside and made again; nobody's file is lost."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from fault_processes import lines
from fault_project import (
    BUILD,
    SECOND,
    SPRITEFILE,
    Servers,
    State,
    delivered,
    spritebuild,
    store_damage,
    unhealed,
    write,
)

SET_ASIDE = "a damaged blob was set aside and will be made again"


def flipped(data: bytes) -> bytes:
    return data[:-5] + bytes([data[-5] ^ 4]) + data[-4:]


def truncated(data: bytes) -> bytes:
    return data[:-5]


def emptied(data: bytes) -> bytes:
    return b""


def blob_of(folder: Path, action: str) -> Path:
    """The blob of an action's only output."""
    with closing(sqlite3.connect(folder / ".spritebuild" / "traces.db")) as database:
        (outputs,) = database.execute("SELECT outputs FROM traces WHERE action=?", (action,)).fetchone()
    (name,) = json.loads(outputs).values()
    return folder / ".spritebuild" / "blobs" / name[:2] / name[2:]


def rewrite(path: Path, change: Callable[[bytes], bytes]) -> bytes:
    """Change a file in place; returns its new bytes."""
    path.chmod(0o644)
    path.write_bytes(change(path.read_bytes()))
    return path.read_bytes()


def files(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()]


@pytest.mark.parametrize("change", [flipped, truncated, emptied])
def test_a_damaged_blob_that_is_needed_is_set_aside_and_made_again(
    change: Callable[[bytes], bytes], island: Path, servers: Servers, states: dict[str, State], tmp_path: Path
) -> None:
    damaged = rewrite(blob_of(island, "sprites.imp:paint"), change)
    write(island, SECOND)
    ended = spritebuild(island, *BUILD, FAULTS_RUNS=str(tmp_path / "runs"))
    assert ended.code == 0, ended
    assert SET_ASIDE in ended.talk
    assert sorted(lines(tmp_path / "runs")) == ["paint 40", "slab 2"]  # what ran before it was noticed is kept
    assert files(island / ".spritebuild" / "quarantine") == [damaged]
    assert not unhealed(servers, states["edited"], island)


def test_a_deleted_blob_that_is_needed_is_made_again(
    island: Path, servers: Servers, states: dict[str, State], tmp_path: Path
) -> None:
    blob_of(island, "sprites.imp:paint").unlink()
    write(island, SECOND)
    ended = spritebuild(island, *BUILD, FAULTS_RUNS=str(tmp_path / "runs"))
    assert ended.code == 0, ended
    assert sorted(lines(tmp_path / "runs")) == ["paint 40", "slab 2"]
    assert not unhealed(servers, states["edited"], island)


@pytest.mark.parametrize("change", [flipped, truncated, emptied])
def test_a_store_of_damaged_blobs_never_reaches_the_assets(
    change: Callable[[bytes], bytes], island: Path, servers: Servers, states: dict[str, State]
) -> None:
    for path in delivered(island):
        if path.startswith("assets/"):
            (island / path).unlink()
    for blob in (island / ".spritebuild" / "blobs").glob("*/*"):
        rewrite(blob, change)
    write(island, SECOND)
    ended = spritebuild(island, *BUILD)
    assert ended.code == 0, ended
    assert delivered(island) == states["edited"].reference
    assert spritebuild(island, "doctor", "--no-probe").code == 4  # those that nothing needed are still there
    assert not unhealed(servers, states["edited"], island)


def test_writing_into_a_linked_asset_does_not_poison_the_store(island: Path, states: dict[str, State]) -> None:
    edited = rewrite(island / "assets" / "slab.bin", flipped)
    blob = blob_of(island, "sprites.slab:slab")
    assert blob.samefile(island / "assets" / "slab.bin"), "the file system shares blocks: this tests a link"
    assert blob.read_bytes() == edited
    ended = spritebuild(island, *BUILD)
    assert ended.code == 0, ended
    assert SET_ASIDE in ended.talk
    assert "is kept as" in ended.talk
    assert files(island / ".spritebuild" / "replaced") == [edited]
    assert delivered(island) == states["edited"].former
    assert not store_damage(island)


def test_an_asset_edited_by_hand_is_kept_aside_before_it_is_replaced(island: Path, states: dict[str, State]) -> None:
    edited = rewrite(island / "assets" / "foes" / "imp.png", flipped)
    ended = spritebuild(island, *BUILD)
    assert ended.code == 0, ended
    assert "assets/foes/imp.png was edited by hand: the edited file is kept as .spritebuild/replaced/" in ended.talk
    assert files(island / ".spritebuild" / "replaced") == [edited]
    assert delivered(island) == states["edited"].former


def test_an_asset_edited_by_hand_stays_when_it_is_no_longer_declared(island: Path) -> None:
    relic = island / "assets" / "old" / "ruins" / "relic.png"
    edited = rewrite(relic, flipped)
    write(island, SECOND)
    ended = spritebuild(island, *BUILD)
    assert ended.code == 0, ended
    assert "it is left in place" in ended.talk
    assert relic.read_bytes() == edited


def test_a_file_of_somebody_else_is_refused_and_nothing_is_changed(island: Path) -> None:
    write(island, {"assets/ghost.png": "mine", "spritefile.toml": f'{SPRITEFILE}\n[sprites.ghost]\nstage = "paint"\n'})
    before = delivered(island)
    ended = spritebuild(island, *BUILD)
    assert ended.code == 4, ended
    assert ended.talk.startswith("error: assets/ghost.png: is in the way")
    assert delivered(island) == before


def test_a_folder_of_somebody_else_is_refused_and_nothing_is_changed(island: Path) -> None:
    write(
        island,
        {"assets/ghost.png/mine.txt": "mine", "spritefile.toml": f'{SPRITEFILE}\n[sprites.ghost]\nstage = "paint"\n'},
    )
    before = delivered(island)
    ended = spritebuild(island, *BUILD)
    assert ended.code == 4, ended
    assert ended.talk.startswith("error: assets/ghost.png: is in the way")
    assert delivered(island) == before


def test_a_damaged_trace_database_is_reported_and_repaired(
    island: Path, servers: Servers, states: dict[str, State]
) -> None:
    (island / ".spritebuild" / "traces.db").write_bytes(b"no database" * 1000)
    write(island, SECOND)
    ended = spritebuild(island, *BUILD)
    assert ended.code == 5, ended
    assert "the trace database is damaged" in ended.talk
    assert "`spritebuild doctor --repair`" in ended.talk
    assert spritebuild(island, "doctor", "--repair", "--no-probe").code == 0
    assert not unhealed(servers, states["edited"], island)
