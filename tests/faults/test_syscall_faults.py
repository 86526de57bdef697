"""A disk error, a full disk or a kill at any system call of a build: nothing is half-written, the next build heals.

SPRITEBUILD_FAULTS=all visits every call; otherwise a sample of them, every kind of call included.
"""

from __future__ import annotations

import itertools
import os
import shutil
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fault_project import FIRST, Ended, Servers, State, copied, damage, unhealed
from fault_strace import FAULTS, Point, inject, points

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")

ALL = os.environ.get("SPRITEBUILD_FAULTS") == "all"
SAMPLE = 8  # points of a state and a fault in an ordinary run
LANES = 1 if "PYTEST_XDIST_WORKER" in os.environ else 2
KILLED = {-9, 137}
MISSED = 1000  # in place of the exit status where threads shared the work otherwise than when counted


@pytest.fixture(scope="module")
def visited(servers: Servers, states: dict[str, State], bench: Path) -> dict[str, list[Point]]:
    """The calls of each state's build that touch its project."""
    found = {}
    for name, state in states.items():
        folder = copied(state.folder, bench / f"counted-{name}")
        found[name] = points(servers, folder, bench / f"counted-{name}.log")
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
        chosen += [calls[(2 * place + 1) * len(calls) // (2 * count)] for place in range(count)]
    return chosen


def faults_at(servers: Servers, state: State, fault: str, point: Point, folder: Path) -> tuple[int, list[str]]:
    """The exit status of a build with a fault at a point, and everything that is wrong afterwards."""
    copied(state.folder, folder)
    log = folder.with_suffix(".log")
    injected = inject(servers, folder, log, fault, point)
    wrong = damage(state, folder) + unhealed(servers, state, folder)
    if not injected.hit:
        wrong += ["not hit, and yet: " + injected.ended.talk] * (injected.ended.code != 0)
    elif all(str(folder) in hit for hit in injected.hit) or fault == "KILL":  # else it was kept from speaking as well
        wrong += ill_said(fault, point, injected.ended)
    shutil.rmtree(folder)
    log.unlink()
    return (injected.ended.code if injected.hit else MISSED), [*wrong, *injected.hit] if wrong else []


def ill_said(fault: str, point: Point, ended: Ended) -> list[str]:
    """What is wrong with the exit status and the words of a build that met a fault."""
    unreadable = {2} if point.path in FIRST else set[int]()  # what the user wrote could not be read
    expected = {5} | (KILLED if fault == "KILL" else {0} | unreadable)
    wrong = [] if ended.code in expected else [f"exit status {ended.code}: {ended.talk}"]
    if ended.code in (2, 5) and "error: " not in ended.talk:
        wrong.append(f"no error: {ended.talk}")
    if ended.code == 5 and "hint: " not in ended.talk:
        wrong.append(f"no hint: {ended.talk}")
    if "Traceback" in ended.talk or "Exception ignored" in ended.talk:
        wrong.append(f"a traceback: {ended.talk}")
    return wrong


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", ["first", "edited", "worker", "many"])
def test_a_fault_at_any_system_call_leaves_a_store_that_verifies_and_the_next_build_completes(
    name: str, fault: str, servers: Servers, states: dict[str, State], visited: dict[str, list[Point]], bench: Path
) -> None:
    chosen = sample(visited[name])
    assert {"openat", "write", "pwrite64", "fsync", "rename", "mkdir"} <= {point.call for point in chosen}
    assert name != "many" or "syncfs" in {point.call for point in chosen}  # few files may have none

    def outcome(numbered: tuple[int, Point]) -> tuple[int, list[str]]:
        number, point = numbered
        code, wrong = faults_at(servers, states[name], fault, point, bench / f"{name}-{fault}-{number}")
        return code, [f"{fault} at {point}: {what}" for what in wrong]

    with ThreadPoolExecutor(LANES) as lanes:
        outcomes = list(lanes.map(outcome, enumerate(chosen)))
    missed = sum(code == MISSED for code, _ in outcomes)
    assert missed <= len(outcomes) / 4
    print(f"{name} {fault}: {len(outcomes)} points, exit statuses {dict(Counter(code for code, _ in outcomes))}")
    if faulty := [what for _, wrong in outcomes for what in wrong]:
        pytest.fail("\n\n".join(faulty), pytrace=False)
