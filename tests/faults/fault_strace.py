"""strace: counts the system calls of a build that touch its project, and makes any one of them fail or kill."""

from __future__ import annotations

import re
import subprocess
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

from fault_project import BUILD, ENVIRONMENT, Ended, command

MUTATING = (
    *("openat", "write", "pwrite64", "fsync", "fdatasync", "ftruncate", "fallocate", "ioctl"),
    *("rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat", "unlink", "unlinkat"),
    *("mkdir", "mkdirat", "rmdir", "fchmod", "fchmodat", "chmod", "fchown", "utimensat", "sendfile", "copy_file_range"),
)
FAULTS = {"ENOSPC": "error=ENOSPC", "EIO": "error=EIO", "KILL": "signal=KILL"}
CALL = re.compile(r"^(\d+) +(\w+)\((.*)")
FICLONE = "0x40049409"


@dataclass(frozen=True, order=True)
class Point:
    """The `number`th call of that name in any thread of the build."""

    call: str
    number: int
    touches: str


@dataclass(frozen=True)
class Injected:
    """How an injected build ended, and the calls that failed."""

    ended: Ended
    hit: tuple[str, ...]


def _traced(folder: Path, log: Path, calls: str, *options: str) -> Ended:
    strace = ["strace", "-f", "-qq", "-y", "-s", "400", "--seccomp-bpf", "-o", str(log), "-e", f"trace={calls}"]
    done = subprocess.run(
        [*strace, *options, *command(*BUILD)], cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, timeout=120
    )
    return Ended(done.returncode, done.stderr)


def points(folder: Path, log: Path) -> list[Point]:
    """Build a project; every one of its calls that touches the project, by the number that strace will count."""
    ended = _traced(folder, log, ",".join(MUTATING))
    assert ended.code == 0, ended
    counted: Counter[tuple[str, str]] = Counter()
    found: dict[tuple[str, int], list[str]] = defaultdict(list)
    for line in log.read_text("utf-8", "replace").splitlines():
        if match := CALL.match(line):
            thread, call, rest = match.groups()
            counted[thread, call] += 1
            path = _touched(folder, call, rest)
            if path is not None:
                found[call, counted[thread, call]].append(path)
    return sorted(Point(call, number, " and ".join(paths)) for (call, number), paths in found.items())


def _touched(folder: Path, call: str, rest: str) -> str | None:
    """The file of the project that a call is about."""
    if call == "ioctl" and "FICLONE" not in rest and FICLONE not in rest:
        return None
    arguments = re.sub(r"AT_FDCWD<[^>]*>", "", rest)
    match = re.search(rf'["<]{re.escape(str(folder))}/([^">]*)', arguments)
    return match[1] if match else None


def inject(folder: Path, log: Path, fault: str, point: Point) -> Injected:
    """Build a project with that fault at that call."""
    ended = _traced(folder, log, point.call, "-e", f"inject={point.call}:{FAULTS[fault]}:when={point.number}")
    text = log.read_text("utf-8", "replace").splitlines()
    return Injected(ended, tuple(line for line in text if "(INJECTED)" in line))
