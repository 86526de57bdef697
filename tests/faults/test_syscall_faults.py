"""A disk error, a full disk or a kill at any system call of a command: nothing is half-written, the next run heals.

SPRITEBUILD_FAULTS=all visits every call; otherwise a sample of them: of a build, every kind of call; of the other
commands and of what is read, a few.
"""

from __future__ import annotations

import itertools
import os
import shutil
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import pytest
from fault_deeds import Deed, of_build
from fault_processes import at_work_in, eventually
from fault_project import Ended, Servers, State, copied
from fault_strace import CALLS, FAULTS, Point, inject, points

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")

ALL = os.environ.get("SPRITEBUILD_FAULTS") == "all"
SAMPLE = 8  # points of a build and a fault in an ordinary run
FEW = 4  # points of any other command
LANES = int(os.environ.get("SPRITEBUILD_FAULT_LANES", "1" if "PYTEST_XDIST_WORKER" in os.environ else "2"))
ENDED = {"KILL": {-9, 137}, "TERM": {143, 0}, "INT": {130, 0}}  # 0: it came when all was done
DISK = ("ENOSPC", "EIO", "KILL")
SIGNALS = ("TERM", "INT")
MISSED = 1000  # in place of the exit status where threads shared the work otherwise than when counted
BUILDS = ("first", "edited", "worker", "many")
OTHERS = ("approve", "gc", "push", "push-packs", "pull", "pull-packs", "supply", "lock", "fetch")
WRITTEN = (".toml", ".py", ".hex")  # what users write
T = TypeVar("T")


@pytest.fixture(scope="module")
def deeds(states: dict[str, State], commands: dict[str, Deed]) -> dict[str, Deed]:
    """Everything that is made to fail, by name."""
    return {name: of_build(state) for name, state in states.items()} | commands


@pytest.fixture(scope="module")
def visited(servers: Servers, deeds: dict[str, Deed], bench: Path) -> dict[tuple[str, str], list[Point]]:
    """The calls of each command that touch its folder, by what it is and the fault that they may meet."""
    found = {}
    for name, deed in deeds.items():
        for calls in {*CALLS.values()}:
            folder = copied(deed.folder, bench / f"counted-{name}")
            counted = points(servers, folder, bench / f"counted-{name}.log", calls, deed.run)
            found |= {(name, fault): counted for fault in FAULTS if CALLS[fault] == calls}
            shutil.rmtree(folder)
    return found


def sample(every: list[Point]) -> list[Point]:
    """All points, or some: evenly spaced ones of every kind of call, at least one each."""
    if ALL:
        return every
    chosen = []
    for _, group in itertools.groupby(every, key=lambda point: point.call):
        calls = list(group)
        count = max(1, round(SAMPLE * len(calls) / len(every)))
        chosen += spaced(calls, count)
    return chosen


def spaced(every: Sequence[T], count: int) -> list[T]:
    """So many of them, evenly spaced."""
    return [every[(2 * place + 1) * len(every) // (2 * count)] for place in range(count)]


def faults_at(servers: Servers, deed: Deed, fault: str, point: Point, folder: Path) -> tuple[int, list[str]]:
    """The exit status of a command with a fault at a point, and everything that is wrong afterwards."""
    copied(deed.folder, folder)
    log = folder.with_suffix(".log")
    injected = inject(servers, folder, log, fault, point, deed.run)
    wrong = [] if eventually(lambda: not at_work_in(folder)) else [f"{at_work_in(folder)} go on without it"]
    wrong += deed.damaged(folder)
    if injected.ended.code == 0:
        wrong += [f"it said that all went well, and yet: {what}" for what in deed.undone(folder)]
    wrong += [f"the next run: {what}" for what in deed.healed(servers, folder)]
    if not injected.hit:
        wrong += ["not hit, and yet: " + injected.ended.talk] * (injected.ended.code != 0)
    elif all(str(folder) in hit for hit in injected.hit) or fault in ENDED:  # else it was kept from speaking as well
        wrong += ill_said(fault, point, injected.ended)
    shutil.rmtree(folder)
    log.unlink()
    return (injected.ended.code if injected.hit else MISSED), [*wrong, *injected.hit] if wrong else []


def ill_said(fault: str, point: Point, ended: Ended) -> list[str]:
    """What is wrong with the exit status and the words of a command that met a fault."""
    unread = point.path.endswith(WRITTEN) or "Input/output error" in ended.talk  # what the user wrote
    unreadable = {2} if unread else set[int]()
    expected = ENDED[fault] if fault in SIGNALS else {5} | ENDED.get(fault, {0} | unreadable)
    if "the worker process died" in ended.talk:  # it was the one that got the signal
        expected = {5}
    wrong = [] if ended.code in expected else [f"exit status {ended.code}: {ended.talk}"]
    if ended.code in (2, 5, 130, 143) and "error: " not in ended.talk:
        wrong.append(f"no error: {ended.talk}")
    if ended.code == 5 and "hint: " not in ended.talk:
        wrong.append(f"no hint: {ended.talk}")
    if "Traceback" in ended.talk or "Exception ignored" in ended.talk:
        wrong.append(f"a traceback: {ended.talk}")
    return wrong


def sweep(servers: Servers, deed: Deed, chosen: Sequence[tuple[str, Point]], bench: Path) -> None:
    """Fail if anything is wrong after any of these faults; says how commands ended."""

    def outcome(numbered: tuple[int, tuple[str, Point]]) -> tuple[str, int, list[str]]:
        number, (fault, point) = numbered
        code, wrong = faults_at(servers, deed, fault, point, bench / f"{deed.name}-{fault}-{number}")
        return fault, code, [f"{deed.name}: {fault} at {point}: {what}" for what in wrong]

    with ThreadPoolExecutor(LANES) as lanes:
        outcomes = list(lanes.map(outcome, enumerate(chosen)))
    missed = sum(code == MISSED for _, code, _ in outcomes)
    for fault in sorted({fault for fault, _, _ in outcomes}):
        codes = Counter(code for kind, code, _ in outcomes if kind == fault)
        print(f"{deed.name} {fault}: {codes.total()} points, exit statuses {dict(sorted(codes.items()))}")
    if faulty := [what for _, _, wrong in outcomes for what in wrong]:
        pytest.fail("\n\n".join(faulty), pytrace=False)
    assert missed <= len(outcomes) / 4 or len(outcomes) < 8


@pytest.mark.parametrize("fault", DISK)
@pytest.mark.parametrize("name", BUILDS)
def test_a_fault_at_any_system_call_leaves_a_store_that_verifies_and_the_next_build_completes(
    name: str,
    fault: str,
    servers: Servers,
    deeds: dict[str, Deed],
    visited: dict[tuple[str, str], list[Point]],
    bench: Path,
) -> None:
    chosen = sample(visited[name, fault])
    assert {"openat", "write", "pwrite64", "fsync", "rename", "mkdir"} <= {point.call for point in chosen}
    assert name != "many" or "syncfs" in {point.call for point in chosen}  # few files may have none
    sweep(servers, deeds[name], [(fault, point) for point in chosen], bench)


@pytest.mark.parametrize("name", OTHERS)
def test_a_fault_at_any_system_call_of_another_command_loses_nothing_and_the_next_run_completes(
    name: str, servers: Servers, deeds: dict[str, Deed], visited: dict[tuple[str, str], list[Point]], bench: Path
) -> None:
    every = [(fault, point) for fault in DISK for point in visited[name, fault]]
    sweep(servers, deeds[name], every if ALL else spaced(every, FEW), bench)


@pytest.mark.parametrize("name", ["approve", "lock"])
def test_a_kill_before_a_rename_leaves_nothing_beside_the_lock(
    name: str, servers: Servers, deeds: dict[str, Deed], visited: dict[tuple[str, str], list[Point]], bench: Path
) -> None:
    last = [point for point in visited[name, "KILL"] if point.call == "rename" and "scratch" in point.path]
    assert last
    sweep(servers, deeds[name], [("KILL", point) for point in last], bench)


@pytest.mark.parametrize("name", BUILDS + OTHERS)
def test_a_signal_at_any_system_call_ends_a_command_with_its_exit_status_and_leaves_no_process(
    name: str, servers: Servers, deeds: dict[str, Deed], visited: dict[tuple[str, str], list[Point]], bench: Path
) -> None:
    every = [(fault, point) for fault in SIGNALS for point in visited[name, fault]]
    sweep(servers, deeds[name], every if ALL else spaced(every, 2), bench)


@pytest.mark.parametrize("name", BUILDS + OTHERS)
def test_what_cannot_be_read_is_an_error_and_never_taken_for_something_else(
    name: str, servers: Servers, deeds: dict[str, Deed], visited: dict[tuple[str, str], list[Point]], bench: Path
) -> None:
    every = [("READ", point) for point in visited[name, "READ"]]
    sweep(servers, deeds[name], every if ALL else spaced(every, 2), bench)


@pytest.mark.parametrize("name", ["edited", "gc", "pull"])
def test_a_spritefile_that_cannot_be_looked_for_is_an_error(
    name: str, servers: Servers, deeds: dict[str, Deed], visited: dict[tuple[str, str], list[Point]], bench: Path
) -> None:
    looks = [point for point in visited[name, "READ"] if point.path.endswith("spritefile.toml")]
    sweep(servers, deeds[name], [("READ", point) for point in looks[:3]], bench)
