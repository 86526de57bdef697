"""Builds in the background: started in a session of their own, watched, signalled; and who of them is left."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from fault_project import BUILD, ENVIRONMENT, HEAD, PATIENCE, STAGES, Ended, command


@dataclass(frozen=True)
class Running:
    """A build in the background, with what it has said so far in a file."""

    process: subprocess.Popen[bytes]
    talk: Path

    def ended(self) -> Ended:
        """Wait for its end."""
        return Ended(self.process.wait(PATIENCE), self.talk.read_text())

    def left(self) -> list[str]:
        """The command lines of its session's processes that are alive."""
        return [line for session, line in _alive() if session == self.process.pid]


@contextmanager
def running(folder: Path, talk: Path, arguments: Sequence[str] = BUILD, **environment: str) -> Iterator[Running]:
    """Start a command; whatever is left of it in the end is killed."""
    with talk.open("wb") as stream:
        process = subprocess.Popen(
            command(*arguments),
            cwd=folder,
            env={**ENVIRONMENT, **environment},
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )
    try:
        yield Running(process, talk)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _alive() -> Iterator[tuple[int, str]]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                state, _, _, session = (folder / "stat").read_text().rpartition(")")[2].split()[:4]
                line = (folder / "cmdline").read_text().replace("\0", " ")
            except (FileNotFoundError, ProcessLookupError):
                continue
            if state != "Z":
                yield int(session), line


def at_work_in(folder: Path) -> list[str]:
    """The command lines of processes that are alive and stand in a folder."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            with contextlib.suppress(OSError):
                if (process / "cwd").readlink().is_relative_to(folder):
                    found.append((process / "cmdline").read_text().replace("\0", " "))
    return found


def eventually(true: Callable[[], bool]) -> bool:
    """Whether something comes true before patience ends."""
    deadline = time.monotonic() + PATIENCE
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def traces(folder: Path) -> int:
    """How many actions the store knows the outputs of."""
    path = folder / ".spritebuild" / "traces.db"
    if not path.exists():
        return 0
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as database:
        try:
            return int(database.execute("SELECT count(*) FROM traces").fetchone()[0])
        except sqlite3.OperationalError:  # not made yet
            return 0


def lines(path: Path) -> list[str]:
    """The runs that stages noted in a file."""
    return path.read_text().splitlines() if path.exists() else []


def held(stage: str) -> dict[str, str]:
    """A project of three sprites; the last one's stage waits while the file that FAULTS_HOLD names exists."""
    sprites = "".join(
        f'\n[sprites.{name}]\nstage = "{stage}"\nparams = {{ color = {color}{", held = true" * (name == "titan")} }}\n'
        for name, color in (("sage", 10), ("owl", 20), ("titan", 30))
    )
    return {**STAGES, "spritefile.toml": HEAD + sprites}


@dataclass(frozen=True)
class Holding:
    """A held project, and the files by which it is held and tells its runs."""

    folder: Path
    hold: Path
    runs: Path

    @property
    def environment(self) -> dict[str, str]:
        return {"FAULTS_HOLD": str(self.hold), "FAULTS_RUNS": str(self.runs)}

    def waits(self) -> bool:
        """Whether the build has come to where it is held, and all that began before is stored."""
        begun = lines(self.runs)
        return any(run.endswith(" 30") for run in begun) and traces(self.folder) == len(begun) - 1

    def release(self) -> None:
        self.hold.unlink()


def to_the_group(build: Running, number: int) -> None:
    """What a terminal does on Ctrl-C, and a supervisor on stop: every process of the build gets the signal."""
    os.killpg(build.process.pid, number)


def to_the_build_alone(build: Running, number: int) -> None:
    """What `kill` does."""
    build.process.send_signal(number)


def kill_worker(build: Running) -> None:
    """What the kernel does to the largest process when memory runs out."""
    (worker,) = Path(f"/proc/{build.process.pid}/task/{build.process.pid}/children").read_text().split()
    os.kill(int(worker), signal.SIGKILL)
