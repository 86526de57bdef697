"""Builds and `gc` of one project at the same time, killed ones among them: nothing is run twice, nothing live is lost.

SPRITEBUILD_FAULTS=all has 8 builders for 200 rounds and 500 races of `gc`; otherwise a few.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fault_deeds import blobs, builds_without_running
from fault_processes import lines, traces
from fault_project import (
    BUILD,
    FIRST,
    HEAD,
    SECOND,
    STAGES,
    Ended,
    Servers,
    State,
    copied,
    delivered,
    store_damage,
    write,
)

ALL = os.environ.get("SPRITEBUILD_FAULTS") == "all"
BUILDERS = 8 if ALL else 3
ROUNDS = 200 if ALL else 3
RACES = 500 if ALL else 6
COLLECT = ("gc", "--keep-days", "0")


def crowd(generation: int) -> dict[str, str | bytes]:
    """A project of nine sprites, whose colors no other generation has had."""
    sprites = "".join(
        f'\n[sprites.s{n}]\nstage = "paint"\nparams = {{ color = {n + 9 * (generation % 25)} }}\n' for n in range(9)
    )
    text = f'{HEAD}{sprites}\n[sprites.slab]\nstage = "slab"\nparams = {{ color = {generation % 250} }}\n'
    return {**STAGES, "spritefile.toml": text}


def at_once(servers: Servers, project: Path, folder: Path, chance: random.Random) -> tuple[int, list[Ended]]:
    """Builders that start together, one of which is killed at some moment; which, and how they ended.

    It is any of them, or the one that builds while the others wait.
    """
    barrier = threading.Barrier(BUILDERS)
    victim = chance.randrange(BUILDERS)
    building = chance.random() < 0.7
    moment = chance.uniform(0, 0.08 if building else 0.4)
    pids: dict[int, int] = {}
    over = threading.Event()

    def kill() -> None:
        nonlocal victim
        begun: list[Path] = []
        while building and not begun and not over.wait(0.001):
            begun = list(folder.iterdir())
        if building and begun:
            victim = int(begun[0].name)
        if not over.wait(moment):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pids[victim], signal.SIGKILL)

    killer = threading.Thread(target=kill)

    def builder(number: int) -> Ended:
        def started(pid: int) -> None:
            while "State:\tT" not in Path(f"/proc/{pid}/status").read_text():
                time.sleep(0.001)
            pids[number] = pid
            if barrier.wait(60) == 0:
                killer.start()
            os.kill(pid, signal.SIGCONT)

        return servers.forked(project, *BUILD, attach=started, FAULTS_RUNS=str(folder / str(number)))

    with ThreadPoolExecutor(BUILDERS) as pool:
        ended = list(pool.map(builder, range(BUILDERS)))
    over.set()
    killer.join()
    return victim, ended


def test_of_builders_at_once_each_key_is_computed_once_though_one_is_killed(
    servers: Servers, bench: Path, tmp_path: Path
) -> None:
    chance = random.Random(8)
    project = bench / "crowd"
    killed = again = 0
    for generation in range(ROUNDS):
        write(project, crowd(generation))
        shutil.rmtree(project / ".spritebuild", ignore_errors=True) if generation % 25 == 0 else None
        folder = tmp_path / str(generation)
        folder.mkdir()
        victim, ended = at_once(servers, project, folder, chance)
        where = f"round {generation}, victim {victim}"
        assert [one.code for n, one in enumerate(ended) if n != victim] == [0] * (BUILDERS - 1), (where, ended)
        assert ended[victim].code in (0, -9), (where, ended[victim])
        runs = {n: Counter(lines(folder / str(n))) for n in range(BUILDERS)}
        survivors = sum((runs[n] for n in runs if n != victim), Counter[str]())
        assert all(count == 1 for count in survivors.values()), (where, survivors)
        everything = survivors + runs[victim]
        assert len(everything) == 10, (where, everything)
        if ended[victim].code == 0:
            assert all(count == 1 for count in everything.values()), (where, everything)
        killed += ended[victim].code == -9
        again += everything.total() - len(everything)
        assert not store_damage(project), where
        assert servers.forked(project, *BUILD).talk == "nothing to do\n", where
    print(f"{ROUNDS} rounds of {BUILDERS} builders, {killed} killed, {again} actions lost with them and run again")
    shutil.rmtree(project)


@pytest.fixture
def island(states: dict[str, State], bench: Path) -> Path:
    """A project that is built and up to date."""
    return copied(bench / "built-first", bench / "raced")


def test_gc_beside_builds_never_deletes_what_they_need(
    island: Path, servers: Servers, states: dict[str, State]
) -> None:
    chance = random.Random(500)
    references = [states["edited"].former, states["edited"].reference]
    removed = 0
    for race in range(RACES):
        edited = race % 2 == 0
        write(island, SECOND if edited else FIRST)
        if chance.random() < 0.3:
            shutil.rmtree(island / "assets", ignore_errors=True)
        pauses = [chance.uniform(0, 0.15) for _ in range(3)]

        def later(pause: float, arguments: tuple[str, ...]) -> Ended:
            time.sleep(pause)
            return servers.forked(island, *arguments)

        before = blobs(island)
        with ThreadPoolExecutor(3) as pool:
            ended = list(pool.map(later, pauses, [BUILD, COLLECT, COLLECT]))
        where = f"race {race}, pauses {pauses}"
        assert [one.code for one in ended] == [0, 0, 0], (where, ended)
        removed += len(before - blobs(island))
        assert delivered(island) == references[edited], where
        assert not store_damage(island), where
        assert traces(island) > 0
        if race % 10 == 5:
            assert not builds_without_running(servers, island, references[edited]), where
        else:
            assert servers.forked(island, *BUILD).talk == "nothing to do\n", where
    print(f"{RACES} races of a build with two gc, {removed} blobs removed")
    assert removed or RACES < 4
    shutil.rmtree(island)
