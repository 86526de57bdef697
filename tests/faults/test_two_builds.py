"""Two builds of one project at once: the second waits and says so, nothing is run twice."""

from __future__ import annotations

import signal
from contextlib import ExitStack
from pathlib import Path

from fault_processes import Holding, Running, eventually, lines, running
from fault_project import BUILD, spritebuild, store_damage

WAITING = "another build is running here (pid "


def both(stack: ExitStack, holding: Holding, folder: Path) -> tuple[Running, Running]:
    """A build that is held, and one that waits for it."""
    first = stack.enter_context(running(holding.folder, folder / "first", **holding.environment))
    assert eventually(holding.waits), first.talk.read_text()
    second = stack.enter_context(running(holding.folder, folder / "second", **holding.environment))
    assert eventually(lambda: WAITING in second.talk.read_text()), second.talk.read_text()
    assert second.process.poll() is None
    return first, second


def nothing_was_run_twice(holding: Holding) -> None:
    assert sorted(lines(holding.runs)) == ["ponder 10", "ponder 20", "ponder 30"]
    assert not store_damage(holding.folder)
    assert spritebuild(holding.folder, *BUILD).talk == "nothing to do\n"


def test_the_second_of_two_builds_says_whom_it_waits_for_and_finds_everything_done(
    holding: Holding, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        first, second = both(stack, holding, tmp_path)
        assert f"(pid {first.process.pid} on " in second.talk.read_text()
        holding.release()
        assert first.ended().code == 0
        waited = second.ended()
        assert waited.code == 0, waited
        assert waited.talk.endswith("nothing to do\n")
    nothing_was_run_twice(holding)


def test_a_waiting_build_goes_on_when_the_one_before_it_is_killed(holding: Holding, tmp_path: Path) -> None:
    with ExitStack() as stack:
        first, second = both(stack, holding, tmp_path)
        first.process.kill()
        first.process.wait()
        holding.release()
        waited = second.ended()
        assert waited.code == 0, waited
        assert not first.left()
    runs = sorted(lines(holding.runs))
    assert runs == ["ponder 10", "ponder 20", "ponder 30", "ponder 30"]  # the last was lost with its builder
    assert not store_damage(holding.folder)
    assert spritebuild(holding.folder, *BUILD).talk == "nothing to do\n"


def test_ctrl_c_ends_a_waiting_build_and_leaves_the_other_alone(holding: Holding, tmp_path: Path) -> None:
    with ExitStack() as stack:
        first, second = both(stack, holding, tmp_path)
        second.process.send_signal(signal.SIGINT)
        waited = second.ended()
        assert waited.code == 130, waited
        assert "Traceback" not in waited.talk
        assert first.process.poll() is None
        holding.release()
        assert first.ended().code == 0
    nothing_was_run_twice(holding)


def test_commands_that_remove_wait_for_a_build(holding: Holding, tmp_path: Path) -> None:
    with ExitStack() as stack:
        first = stack.enter_context(running(holding.folder, tmp_path / "first", **holding.environment))
        assert eventually(holding.waits), first.talk.read_text()
        collecting = stack.enter_context(
            running(holding.folder, tmp_path / "gc", arguments=("gc", "--keep-days", "0"), **holding.environment)
        )
        assert eventually(lambda: WAITING in collecting.talk.read_text()), collecting.talk.read_text()
        holding.release()
        assert first.ended().code == 0
        collected = collecting.ended()
        assert collected.code == 0, collected
        assert "removed 0 blobs" in collected.talk
    nothing_was_run_twice(holding)
