"""strace: counts the system calls of a command that touch a folder, and makes any one of them fail or kill."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fault_project import BUILD, PATIENCE, Ended, Servers

MUTATING = (
    *("openat", "write", "pwrite64", "fsync", "syncfs", "fdatasync", "ftruncate", "fallocate", "ioctl"),
    *("rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat", "unlink", "unlinkat"),
    *("mkdir", "mkdirat", "rmdir", "fchmod", "fchmodat", "chmod", "fchown", "utimensat", "sendfile", "copy_file_range"),
)
READING = ("read", "pread64", "readlink", "statx", "newfstatat", "getdents64")
FAULTS = {
    "ENOSPC": "error=ENOSPC",
    "EIO": "error=EIO",
    "KILL": "signal=KILL",
    "READ": "error=EIO",
    "TERM": "signal=TERM",
    "INT": "signal=INT",
}
CALLS = {fault: READING if fault == "READ" else MUTATING for fault in FAULTS}
CALL = re.compile(r"^(\d+) +(\w+)\((.*)")
HERE = re.compile(r"(?<=AT_FDCWD)<[^>]*>")  # a call that has it need not touch the folder that we are in
FICLONE = "0x40049409"


@dataclass(frozen=True, order=True)
class Point:
    """The `number`th call of that name in any thread of the command; `path` is what it touched when counted."""

    call: str
    number: int
    path: str


@dataclass(frozen=True)
class Run:
    """A command, and the project that it is run in, below the folder that is watched."""

    arguments: tuple[str, ...] = BUILD
    project: str = "."


@dataclass(frozen=True)
class Injected:
    """How an injected command ended, and the calls that failed."""

    ended: Ended
    hit: tuple[str, ...]


def points(servers: Servers, folder: Path, log: Path, calls: Sequence[str] = MUTATING, of: Run = Run()) -> list[Point]:
    """Run a command; every one of its calls that touches the folder, by the number that strace will count.

    strace counts the calls of each thread apart, so one number may mean a call in several threads.
    """
    ended = _traced(servers, of, folder, log, ",".join(calls))
    assert ended.code == 0, ended
    counted: Counter[tuple[str, str]] = Counter()
    found: dict[tuple[str, int], Point] = {}
    for line in log.read_text("utf-8", "replace").splitlines():
        if match := CALL.match(line):
            thread, call, rest = match.groups()
            counted[thread, call] += 1
            path = _touched(folder, call, rest)
            if path is not None:
                number = counted[thread, call]
                found.setdefault((call, number), Point(call, number, path))
    return sorted(found.values())


def inject(servers: Servers, folder: Path, log: Path, fault: str, point: Point, of: Run = Run()) -> Injected:
    """Run a command with that fault at that call."""
    what = f"inject={point.call}:{FAULTS[fault]}:when={point.number}"
    ended = _traced(servers, of, folder, log, point.call, "-e", what)
    text = HERE.sub("", log.read_text("utf-8", "replace")).splitlines()
    if fault in ("TERM", "INT"):
        return Injected(ended, tuple(line for line in text if f"--- SIG{fault} " in line))
    if fault != "KILL":
        return Injected(ended, tuple(line for line in text if "(INJECTED)" in line))
    # A build that ends well has killed its idle worker itself.
    return Injected(ended, tuple(line for line in text if ended.code != 0 and "killed by SIGKILL" in line))


def _traced(servers: Servers, of: Run, folder: Path, log: Path, calls: str, *options: str) -> Ended:
    """Run under strace, attached after the imports: a module that cannot be read is not the command's to survive."""
    tracers: list[subprocess.Popen[bytes]] = []

    def attach(pid: int) -> None:
        stopped = Path(f"/proc/{pid}/status")
        _until(lambda: "State:\tT" in stopped.read_text())
        strace = ["strace", "-f", "-qq", "-y", "-o", str(log), "-e", f"trace={calls}", *options]
        tracers.append(subprocess.Popen([*strace, "-p", str(pid)], stderr=subprocess.DEVNULL))
        _until(lambda: "TracerPid:\t0\n" not in stopped.read_text())
        os.kill(pid, signal.SIGCONT)

    ended = servers.forked(folder / of.project, *of.arguments, attach=attach)
    for tracer in tracers:
        tracer.wait(PATIENCE)
    return ended


def _until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def _touched(folder: Path, call: str, rest: str) -> str | None:
    """The file below the folder that a call is about."""
    if call == "ioctl" and "FICLONE" not in rest and FICLONE not in rest:
        return None
    arguments = HERE.sub("", rest)
    match = re.search(rf'["<]{re.escape(str(folder))}/([^">]*)', arguments)
    return match[1] if match else None
