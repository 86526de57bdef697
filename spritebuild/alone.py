"""The lock that lets one build at a time change a project; knows no spritefile."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from spritebuild import idle
from spritebuild.files import machine_errors
from spritebuild.status import Status


@contextlib.contextmanager
def alone(root: Path, status: Status) -> Iterator[bool]:
    """Hold the project's build lock, which the kernel releases however the holder ends; says whether it had to wait."""
    state = idle.state_folder(root)
    with machine_errors():
        state.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(state / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        waited = False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 200, 0).decode("utf-8", "replace").strip() or "unknown"
            status.message(f"another build is running here ({holder}): waiting for it")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            waited = True
        with contextlib.suppress(OSError):  # who holds it is a courtesy
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"pid {os.getpid()} on {os.uname().nodename}".encode(), 0)
        yield waited
    finally:
        os.close(descriptor)
