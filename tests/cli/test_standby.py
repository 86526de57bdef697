"""The process that stands by: what it runs is what the command would have run, and it is nobody's but its user's."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from projects import ISLAND, PAINT, Project

from spritebuild import standby

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a process stands by on Linux only")

HELD = '''
"""A picture that is not finished before a file is gone, made in a worker."""

from pathlib import Path

from spritebuild.stage import Outputs, Params, Stage


class HeldParams(Params):
    prompt: str = ""
    seed: int = 0
    size: tuple[int, int] = (8, 8)


class HeldOutputs(Outputs):
    image: Path = Path("image.png")


class Held(Stage):
    version = 1
    device = "accelerator"
    Params = HeldParams
    Outputs = HeldOutputs

    def platform(self, context):
        return {"device": "cpu"}

    def run(self, action, context):
        import os
        import time

        import numpy as np

        from spritebuild_stages.images import png

        Path(os.environ["HELD"] + ".pid").write_text(str(os.getpid()))
        while os.path.exists(os.environ["HELD"]):
            time.sleep(0.01)
        png.write(action.outputs.image, np.full((8, 8, 4), 255, np.uint8))
'''


class Terminal:
    """Somebody who works on a project, in an environment where a process may stand by."""

    def __init__(self, project: Project, folder: Path) -> None:
        self.project = project
        self.folder = folder
        self.said = folder / "said"
        self.environment = {"XDG_RUNTIME_DIR": str(folder), standby.MINUTES: "1"}

    def say(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return self.project.cli(*arguments, **{**self.environment, **environment})

    def begin(self, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
        """Start a command; what it says goes to `said`."""
        with self.said.open("wb") as said:
            return subprocess.Popen(
                [sys.executable, "-m", "spritebuild", *arguments],
                cwd=self.project.root,
                stdout=said,
                stderr=said,
                env={**os.environ, **self.environment, **environment},
            )

    def sockets(self) -> list[Path]:
        return [path for path in self.folder.glob("spritebuild/*") if path.suffix != ".lock"]

    def pids(self) -> list[int]:
        """The processes that stand by."""
        found = [int(path.read_text()) for path in self.folder.glob("spritebuild/*.lock") if path.stat().st_size]
        return [pid for pid in found if state(pid) not in ("", "Z")]

    def leave_one(self) -> int:
        """Have a process stand by; returns its pid."""
        self.say("build", "--rebuild")
        until(self.sockets)
        (pid,) = self.pids()
        return pid

    def holder(self) -> int:
        """The process that held the project's lock last."""
        return int((self.project.root / ".spritebuild/lock").read_text().split()[1])


@pytest.fixture
def terminal(island: Project) -> Iterator[Terminal]:
    usual = {signal.SIGHUP: signal.SIG_DFL, signal.SIGINT: signal.default_int_handler}  # whatever runs the tests says
    before = {number: signal.signal(number, handler) for number, handler in usual.items()}
    with tempfile.TemporaryDirectory(prefix="run-") as folder:  # a socket's name must be short
        made = Terminal(island, Path(folder))
        yield made
        for pid in made.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    for number, handler in before.items():
        signal.signal(number, handler)


def until(found: Callable[[], object], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.01)


def state(pid: int) -> str:
    """How Linux says what a process does: "T" for stopped, "Z" for dead and not yet asked after, "" for none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_what_it_builds_is_what_a_process_of_its_own_builds(terminal: Terminal, tmp_path: Path) -> None:
    stands = terminal.leave_one()
    terminal.project.edit("sprites.potion.prompt", "blue potion")
    alone = terminal.project.clone(tmp_path / "alone", assets=True, store=True)
    result, expected = terminal.say("build"), alone.cli("build")
    assert (result.returncode, result.stdout) == (expected.returncode, expected.stdout)
    steps = [
        [line.split()[1] for line in each.stderr.splitlines() if line.startswith("[")] for each in (result, expected)
    ]
    assert steps[0] == steps[1] and len(steps[0]) == 3
    assert terminal.project.assets() == alone.assets()
    assert terminal.project.lock_text() == alone.lock_text()
    assert terminal.pids() == [stands]
    assert "nothing to do" in terminal.say("build").stderr


def test_command_is_run_by_a_child_of_it(terminal: Terminal, tmp_path: Path) -> None:
    stands = terminal.leave_one()
    flag = hold(terminal, tmp_path)
    process = terminal.begin("build", HELD=str(flag))
    until((tmp_path / "flag.pid").exists)
    runs = terminal.holder()
    assert runs != process.pid and parent(runs) == stands
    flag.unlink()
    assert process.wait(60) == 0
    until(lambda: not state(runs))


def test_folder_environment_and_arguments_are_those_of_who_asks(terminal: Terminal, tmp_path: Path) -> None:
    stands = terminal.leave_one()
    other = terminal.project.clone(tmp_path / "other")
    other.build()
    asked = Terminal(other, tmp_path / "unused")
    asked.environment = {**terminal.environment, "DREAM_PLATFORM": "two"}
    other.edit("sprites", {"moon": {"stage": "dream", "prompt": "moon"}}).edit("sheets", {})
    assert asked.say("build", "--json").stdout.startswith("{")
    assert asked.say("build", "-q").stderr == ""
    assert other.lock()["assets/moon.png"].platform != ""
    assert "two" in (other.root / "lockfiles/toolchain.lock").read_text()
    assert terminal.pids() == [stands]


def test_errors_and_exit_codes_are_the_same(terminal: Terminal) -> None:
    terminal.leave_one()
    terminal.project.edit("sprites.potion.prompt", "a failed potion")
    for arguments in (
        ["build"],
        ["build", "sprites.none"],
        ["build", "--no-such-option"],
        ["plan", "--help"],
        ["check"],
    ):
        theirs, own = terminal.say(*arguments), terminal.say(*arguments, **{standby.MINUTES: "0"})
        assert (theirs.returncode, theirs.stdout, theirs.stderr) == (own.returncode, own.stdout, own.stderr)


def hold(terminal: Terminal, folder: Path) -> Path:
    """A sprite that is not finished before this file is gone."""
    terminal.project.stage("held", HELD)
    terminal.project.edit("sprites.held", {"stage": "held", "prompt": "held"})
    flag = folder / "flag"
    flag.touch()
    return flag


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_signals_are_handed_on(terminal: Terminal, tmp_path: Path, number: signal.Signals, code: int) -> None:
    terminal.leave_one()
    flag = hold(terminal, tmp_path)
    process = terminal.begin("build", HELD=str(flag))
    until((tmp_path / "flag.pid").exists)
    process.send_signal(number)
    assert process.wait(60) == code
    assert number == signal.SIGHUP or "everything finished so far is stored" in terminal.said.read_text()
    flag.unlink()
    assert terminal.say("build", HELD=str(flag)).returncode == 0


def test_what_runs_for_a_killed_process_dies_with_its_workers(terminal: Terminal, tmp_path: Path) -> None:
    stands = terminal.leave_one()
    flag = hold(terminal, tmp_path)
    process = terminal.begin("build", HELD=str(flag))
    until((tmp_path / "flag.pid").exists)
    runs, worker = terminal.holder(), int((tmp_path / "flag.pid").read_text())
    process.kill()
    process.wait()
    until(lambda: not state(runs) and not state(worker))
    flag.unlink()
    assert terminal.say("build", HELD=str(flag)).returncode == 0
    assert terminal.pids() == [stands]


def test_stopping_a_command_stops_what_runs_for_it(terminal: Terminal, tmp_path: Path) -> None:
    terminal.leave_one()
    flag = hold(terminal, tmp_path)
    process = terminal.begin("build", HELD=str(flag))
    until((tmp_path / "flag.pid").exists)
    all = [process.pid, terminal.holder(), int((tmp_path / "flag.pid").read_text())]
    process.send_signal(signal.SIGTSTP)
    until(lambda: [state(pid) for pid in all] == ["T"] * 3)
    process.send_signal(signal.SIGCONT)
    until(lambda: "T" not in map(state, all))
    flag.unlink()
    assert process.wait(60) == 0


def test_death_of_what_runs_is_told(terminal: Terminal, tmp_path: Path) -> None:
    terminal.leave_one()
    flag = hold(terminal, tmp_path)
    process = terminal.begin("build", HELD=str(flag))
    until((tmp_path / "flag.pid").exists)
    os.kill(terminal.holder(), signal.SIGKILL)
    assert process.wait(60) == 5
    assert "run the command again" in terminal.said.read_text()


def test_it_ends_when_what_it_loaded_is_installed_anew(terminal: Terminal, tmp_path: Path) -> None:
    loaded = tmp_path / "path" / "sitecustomize.py"
    loaded.parent.mkdir()
    loaded.write_text("")
    terminal.environment["PYTHONPATH"] = str(loaded.parent)
    stands = terminal.leave_one()
    loaded.write_text("# another version\n")
    terminal.project.edit("sprites.potion.prompt", "blue potion")
    result = terminal.say("build")
    assert result.returncode == 0 and "ran 1 paint" in result.stderr
    until(lambda: terminal.pids() not in ([], [stands]))  # and another one is there for the next


def test_only_what_is_alike_is_asked(terminal: Terminal) -> None:
    stands = terminal.leave_one()
    terminal.project.edit("sprites.potion.prompt", "blue potion")
    assert terminal.say("build", LC_ALL="C").returncode == 0
    until(lambda: len(terminal.pids()) == 2 and len(terminal.sockets()) == 2)
    assert stands in terminal.pids()


def test_it_ends_by_itself(terminal: Terminal) -> None:
    terminal.environment[standby.MINUTES] = "0.01"
    terminal.say("build")
    until(terminal.sockets)
    until(lambda: not list(terminal.folder.glob("spritebuild/*")))
    assert terminal.say("build").returncode == 0


def test_none_is_left_unless_somebody_works_at_a_terminal(terminal: Terminal) -> None:
    for environment in ({standby.MINUTES: "0"}, {standby.MINUTES: ""}, {standby.MINUTES: "", "CI": "true"}):
        assert terminal.say("build", "--rebuild", **environment).returncode == 0
        assert not (terminal.folder / "spritebuild").exists()
    assert standby.minutes({}, terminal=True) == standby.USUAL_MINUTES
    assert standby.minutes({"CI": "1"}, terminal=True) == 0


def test_one_is_left_at_a_terminal(terminal: Terminal) -> None:
    master, slave = pty.openpty()
    try:
        command = [sys.executable, "-m", "spritebuild", "build", "--quiet"]
        environment = {**os.environ, **terminal.environment, standby.MINUTES: ""}
        assert subprocess.run(command, cwd=terminal.project.root, stderr=slave, env=environment).returncode == 0
        until(terminal.sockets)
    finally:
        os.close(master)
        os.close(slave)


def test_nonsense_for_minutes_is_refused(terminal: Terminal) -> None:
    for said in ("soon", "-1", "nan", "1e9"):
        result = terminal.say("build", **{standby.MINUTES: said})
        assert result.returncode == 2 and standby.MINUTES in result.stderr and "Traceback" not in result.stderr


def test_folder_that_others_may_write_to_is_not_used(terminal: Terminal) -> None:
    shared = terminal.folder / "spritebuild"
    shared.mkdir()
    shared.chmod(0o777)
    assert terminal.say("build").returncode == 0
    assert not list(shared.iterdir())


def test_two_that_start_at_once_leave_one(terminal: Terminal) -> None:
    processes = [terminal.begin("build", "--rebuild") for _ in range(3)]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    until(terminal.sockets)
    time.sleep(0.5)
    assert len(terminal.sockets()) == 1 and len(terminal.pids()) == 1


def test_asking_loads_nothing_of_the_engine(terminal: Terminal) -> None:
    code = (
        "import sys, spritebuild.__main__\n"
        "print(sorted({'click', 'pydantic', 'dataclasses', 'pathlib'} & set(sys.modules)))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True).stdout
    assert loaded == "[]\n"


POOL = """
    def run(self, action, context):
        global POOL
        from concurrent.futures import ThreadPoolExecutor

        POOL = ThreadPoolExecutor(2)
        POOL.submit(int, "3").result()
"""


def test_threads_that_wait_for_work_do_not_keep_it(terminal: Terminal) -> None:
    terminal.project.stage("paint", PAINT.replace("    def run(self, action, context):", POOL, 1))
    terminal.leave_one()
    assert terminal.say("build", "--rebuild").returncode == 0


def test_a_stage_that_exits_ends_the_command_as_it_would(terminal: Terminal) -> None:
    terminal.leave_one()
    exits = PAINT.replace(
        "    def run(self, action, context):", "    def run(self, action, context):\n        raise SystemExit(7)"
    )
    terminal.project.stage("paint", exits)
    theirs, own = terminal.say("build"), terminal.say("build", **{standby.MINUTES: "0"})
    assert theirs.returncode == own.returncode and "stood by" not in theirs.stderr


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_output_that_has_no_place_is_an_error(terminal: Terminal, unbuffered: str) -> None:
    terminal.environment["PYTHONUNBUFFERED"] = unbuffered
    terminal.leave_one()
    command = [sys.executable, "-m", "spritebuild", "plan", "--rebuild"]
    for minutes in ("1", "0"):
        environment = {**os.environ, **terminal.environment, standby.MINUTES: minutes}
        with Path("/dev/full").open("wb") as full:
            told = subprocess.run(
                command, cwd=terminal.project.root, env=environment, stdout=full, stderr=subprocess.PIPE
            )
        assert told.returncode == 5 and b"stdout cannot be written to" in told.stderr


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-"])
def test_a_stream_that_is_closed_is_no_matter(terminal: Terminal, closed: str) -> None:
    terminal.leave_one()
    command = f"exec {sys.executable} -m spritebuild build --rebuild -q {closed}"
    codes = []
    for minutes in ("1", "0"):
        environment = {**os.environ, **terminal.environment, standby.MINUTES: minutes}
        told = subprocess.run(
            command, cwd=terminal.project.root, env=environment, shell=True, capture_output=True, timeout=60
        )
        codes.append(told.returncode)
    assert codes[0] == codes[1]


def test_one_that_does_not_answer_is_not_waited_for(terminal: Terminal) -> None:
    stands = terminal.leave_one()
    os.kill(stands, signal.SIGSTOP)
    terminal.project.edit("sprites.potion.prompt", "blue potion")
    assert "ran 1 paint" in terminal.say("build").stderr
    os.kill(stands, signal.SIGCONT)
    assert "nothing to do" in terminal.say("build").stderr


def test_files_by_number_are_this_process_own(terminal: Terminal) -> None:
    terminal.leave_one()
    command = f"{sys.executable} -m spritebuild build --rebuild -q --profile >(wc -c)"
    told = subprocess.run(
        ["bash", "-c", f"{command}; wait"],
        cwd=terminal.project.root,
        env={**os.environ, **terminal.environment},
        capture_output=True,
    )
    assert told.returncode == 0 and int(told.stdout) > 100


def test_who_ignores_hangups_is_not_alike(terminal: Terminal) -> None:
    stands = terminal.leave_one()
    environment = {**os.environ, **terminal.environment}
    command = f"trap '' HUP; exec {sys.executable} -m spritebuild build --rebuild -q"
    assert subprocess.run(["bash", "-c", command], cwd=terminal.project.root, env=environment).returncode == 0
    until(lambda: len(terminal.pids()) == 2)
    assert stands in terminal.pids()


def test_projects_are_the_same_to_it(terminal: Terminal, tmp_path: Path) -> None:
    stands = terminal.leave_one()
    for number in range(3):
        project = Project(tmp_path / str(number)).write(ISLAND)
        asked = Terminal(project, tmp_path / f"unused-{number}")
        asked.environment = terminal.environment
        assert asked.say("build").returncode == 0
        assert project.assets() == terminal.project.assets()
    assert terminal.pids() == [stands]
