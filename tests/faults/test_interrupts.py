"""Ctrl-C, SIGTERM and kill -9: the exit code that is expected, no orphan, nothing finished is lost."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from fault_processes import (
    Holding,
    Running,
    eventually,
    kill_worker,
    lines,
    running,
    to_the_build_alone,
    to_the_group,
)
from fault_project import (
    BUILD,
    FIRST,
    HEAD,
    SECOND,
    Servers,
    State,
    copied,
    damage,
    spritebuild,
    store_damage,
    unhealed,
    write,
)

KILLS = 10
EXIT_CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}


def next_build_completes_and_runs_nothing_again(holding: Holding) -> None:
    assert not store_damage(holding.folder)
    holding.hold.unlink(missing_ok=True)
    before = lines(holding.runs)
    again = spritebuild(holding.folder, *BUILD, **holding.environment)
    assert again.code == 0, again
    finished = {run for run in before if not run.endswith(" 30")}  # the third may have been cut short
    assert finished.isdisjoint(lines(holding.runs)[len(before) :])
    assert spritebuild(holding.folder, *BUILD).talk == "nothing to do\n"


@pytest.mark.parametrize("send", [to_the_group, to_the_build_alone])
@pytest.mark.parametrize("number", EXIT_CODES)
def test_an_interrupted_build_leaves_no_process_and_keeps_what_was_finished(
    number: signal.Signals, send: Callable[[Running, int], None], holding: Holding, tmp_path: Path
) -> None:
    with running(holding.folder, tmp_path / "talk", **holding.environment) as build:
        assert eventually(holding.waits), build.talk.read_text()
        send(build, number)
        ended = build.ended()
        assert ended.code == EXIT_CODES[number], ended
        assert "error: " in ended.talk
        assert "Traceback" not in ended.talk
        assert not build.left()
    next_build_completes_and_runs_nothing_again(holding)


@pytest.mark.parametrize("number", EXIT_CODES)
@pytest.mark.parametrize("holding", ["paint"], indirect=True)
def test_an_interrupted_build_ends_although_a_stage_in_its_own_process_goes_on(
    number: signal.Signals, holding: Holding, tmp_path: Path
) -> None:
    with running(holding.folder, tmp_path / "talk", **holding.environment) as build:
        assert eventually(holding.waits), build.talk.read_text()
        to_the_group(build, number)
        time.sleep(0.5)
        holding.release()
        ended = build.ended()
        assert ended.code == EXIT_CODES[number], ended
        assert "Traceback" not in ended.talk
        assert not build.left()
    next_build_completes_and_runs_nothing_again(holding)


def test_a_killed_build_takes_its_worker_with_it(holding: Holding, tmp_path: Path) -> None:
    with running(holding.folder, tmp_path / "talk", **holding.environment) as build:
        assert eventually(holding.waits), build.talk.read_text()
        assert len(build.left()) == 2
        build.process.kill()
        build.process.wait()
        assert eventually(lambda: not build.left()), build.left()
    next_build_completes_and_runs_nothing_again(holding)


def test_a_killed_worker_is_reported_and_what_it_had_finished_is_kept(holding: Holding, tmp_path: Path) -> None:
    with running(holding.folder, tmp_path / "talk", **holding.environment) as build:
        assert eventually(holding.waits), build.talk.read_text()
        kill_worker(build)
        ended = build.ended()
        assert ended.code == 5, ended
        assert "the worker process died (status -9)" in ended.talk
        assert not build.left()
    next_build_completes_and_runs_nothing_again(holding)


def test_what_was_finished_just_before_a_failure_is_kept(holding: Holding) -> None:
    good = f'{HEAD}\n[sprites.sage]\nstage = "ponder"\nparams = {{ color = 10 }}\n'
    bad = '\n[sprites.wreck]\nstage = "ponder"\nparams = { color = 20, broken = true }\n'
    write(holding.folder, {"spritefile.toml": good + bad})
    ended = spritebuild(holding.folder, *BUILD, **holding.environment)
    assert ended.code == 5, ended
    assert "this one never works" in ended.talk
    write(holding.folder, {"spritefile.toml": good})
    assert spritebuild(holding.folder, *BUILD, **holding.environment).code == 0
    assert lines(holding.runs) == ["ponder 10", "ponder 20"]


def test_builds_killed_at_random_moments_between_edits_end_in_the_same_bytes(
    servers: Servers, states: dict[str, State], bench: Path, tmp_path: Path
) -> None:
    chance = random.Random(20)
    state = states["edited"]
    folder = copied(states["first"].folder, bench / "killed")
    edits = [SECOND, FIRST]
    started = time.monotonic()
    assert spritebuild(folder, *BUILD).code == 0
    longest = time.monotonic() - started
    kills = completed = 0
    while kills < KILLS:
        with running(folder, tmp_path / "talk") as build:
            time.sleep(chance.uniform(0.2, 0.9) * longest)
            if build.process.poll() is None:
                build.process.kill()
                kills += 1
            else:
                completed += 1
            code = build.ended().code
        assert code in (0, -9), build.talk.read_text()
        assert not damage(state, folder)
        if code == 0:
            write(folder, edits[completed % 2])
    write(folder, SECOND)
    assert not unhealed(servers, state, folder)
