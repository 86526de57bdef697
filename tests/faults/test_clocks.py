"""Wrong clocks, and edits that leave no mark in size and time: `nothing to do` is never said wrongly."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from fault_deeds import builds_without_running
from fault_processes import lines
from fault_project import BUILD, FIRST, SECOND, Servers, State, delivered, store_damage, write

IDLE = "nothing to do\n"
YEARS = 365.25 * 86400
CLOCKS = [10 * YEARS, -10 * YEARS]


def clock(shift: float) -> dict[str, str]:
    """The environment of a command whose clock is wrong; the file system's stays right."""
    return {"FAULTS_CLOCK": str(shift)}


@pytest.mark.parametrize("shift", CLOCKS)
@pytest.mark.parametrize("after", [0, *CLOCKS])
def test_a_clock_that_is_wrong_changes_nothing(
    shift: float, after: float, island: Path, servers: Servers, states: dict[str, State], tmp_path: Path
) -> None:
    first, second = states["edited"].former, states["edited"].reference
    assert servers.forked(island, *BUILD, **clock(shift)).talk == IDLE
    write(island, SECOND)
    ended = servers.forked(island, *BUILD, **clock(shift), FAULTS_RUNS=str(tmp_path / "runs"))
    assert ended.code == 0, ended
    assert lines(tmp_path / "runs") == ["slab 2"]
    assert delivered(island) == second
    assert servers.forked(island, *BUILD, **clock(after)).talk == IDLE
    write(island, FIRST)
    ended = servers.forked(island, *BUILD, **clock(after), FAULTS_RUNS=str(tmp_path / "again"))
    assert ended.code == 0, ended
    assert lines(tmp_path / "again") == []
    assert delivered(island) == first
    assert servers.forked(island, *BUILD, **clock(shift)).talk == IDLE
    assert not store_damage(island)


@pytest.mark.parametrize("shift", CLOCKS)
def test_gc_by_a_wrong_clock_removes_nothing_that_is_needed(
    shift: float, island: Path, servers: Servers, states: dict[str, State]
) -> None:
    assert servers.forked(island, "gc", **clock(shift)).code == 0
    assert not builds_without_running(servers, island, states["edited"].former)


def other_sprite(text: bytes) -> bytes:
    return text.replace(b"color = 40", b"color = 41")


def other_color(text: bytes) -> bytes:
    return text.replace(b"200000", b"200010")


def other_pixel(data: bytes) -> bytes:
    return data[:-5] + bytes([data[-5] ^ 1]) + data[-4:]


@pytest.mark.parametrize(
    ("path", "edit"),
    [
        ("spritefile.toml", other_sprite),
        ("palettes/cave.hex", other_color),
        ("assets/foes/imp.png", other_pixel),
        ("assets/slab.bin", other_pixel),
        ("lockfiles/sprites.lock", lambda data: data.replace(b'"digest":"', b'"digest":"0', 1).replace(b'0"', b'"', 1)),
    ],
)
@pytest.mark.parametrize("renamed", [False, True])
def test_an_edit_that_keeps_size_and_time_is_noticed(
    path: str, edit: Callable[[bytes], bytes], renamed: bool, island: Path, servers: Servers
) -> None:
    """In place, and by a file of the same time that takes its place."""
    assert servers.forked(island, *BUILD).talk == IDLE
    file = island / path
    before = file.stat()
    old = file.read_bytes()
    new = edit(old)
    assert old != new
    file.chmod(0o644)
    if renamed:
        (island / "new").write_bytes(new)
        (island / "new").replace(file)
    else:
        file.write_bytes(new)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    ended = servers.forked(island, *BUILD)
    assert ended.talk != IDLE
    if path.startswith("assets"):
        assert ended.code == 0, ended
        assert file.read_bytes() == old
    assert not store_damage(island)
