"""The process that stands by: it loads the engine, then forks for every command that is asked of it (`standby.py`).

    python -m spritebuild.cli.standby SOCKET MINUTES

It holds no project, no lock and no file of a command; it ends after some minutes without one, or when what it loaded is
no longer what is installed.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import gc
import importlib
import io
import json
import os
import pkgutil
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any, NoReturn

from spritebuild import cli, sockets, standby
from spritebuild.check.looks import looks_of
from spritebuild.stage import BUILT_IN, Stages

ENGINE = ("build", "check", "inspect", "progress")  # of the command line; they load the rest
STAGES = ("images", "ops", "sheets", "exports")  # packages of what stages do in this process
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489"
    "0000000b49444154789c6360000200000500017a5eab3f0000000049454e44ae426082"
)


def main() -> None:
    """Stand by."""
    place, minutes = sys.argv[1], float(sys.argv[2])
    if sockets.place(standby.likeness()) != place:
        return
    lock = os.open(f"{place}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return  # there is one
    os.ftruncate(lock, 0)
    os.pwrite(lock, str(os.getpid()).encode(), 0)
    _load()
    loaded = _signatures()
    signal.signal(signal.SIGCHLD, _reap)
    gc.collect()
    gc.freeze()
    with socket.socket(socket.AF_UNIX) as listener, contextlib.suppress(TimeoutError):
        Path(place).unlink(missing_ok=True)
        listener.bind(place)
        listener.listen(16)
        listener.settimeout(minutes * 60)
        while True:
            connection, _ = listener.accept()
            with connection:
                if loaded != _signatures():
                    break
                if os.fork() == 0:
                    try:
                        listener.close()
                        os.close(lock)
                        _serve(connection)
                    finally:
                        os._exit(1)  # who asked has gone already
    for gone in (place, f"{place}.lock"):  # in this order: who finds no lock may listen
        Path(gone).unlink(missing_ok=True)


def _load() -> None:
    """Load what a build needs before it has looked at a project, and no library that starts threads."""
    for name in ENGINE:
        importlib.import_module(f"spritebuild.cli.{name}")
    for name in ("build", "compare", "front", "plan"):
        importlib.import_module(f"spritebuild.{name}")
    stages = Stages()
    for stage in map(stages.__getitem__, stages.kinds()):
        if stage.device == "cpu":
            for model in (stage.Params, stage.Inputs, stage.Outputs):
                model.model_rebuild()
    for package in STAGES:
        found = importlib.import_module(f"{BUILT_IN}.{package}")
        for module in pkgutil.iter_modules(found.__path__, f"{found.__name__}."):
            with contextlib.suppress(ImportError):  # of an extra that is not installed
                importlib.import_module(module.name)
    list(looks_of([PIXEL]))


def _signatures() -> dict[str, tuple[int, int, int] | None]:
    """What tells, by inequality, that a loaded module's file is another one by now."""
    files = {getattr(module, "__file__", None) for module in tuple(sys.modules.values())}
    return {file: _signature(file) for file in files if file}


def _signature(file: str) -> tuple[int, int, int] | None:
    try:
        found = Path(file).stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _reap(number: int, frame: Any) -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


# In a process of its own, for one command


def _serve(connection: socket.socket) -> NoReturn:
    """Become what asked, as far as that goes, run its command, tell the exit code and end."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.setpgid(0, 0)
    connection.sendall(b"%d\n" % os.getpid())
    head, files, _, _ = socket.recv_fds(connection, 4, 4)
    with connection.makefile("rb") as stream:
        said = json.loads(stream.read(int.from_bytes(head, "big")))
    *streams, folder = files
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.stdin, sys.stdout, sys.stderr = (_opened(n, old) for n, old in enumerate((sys.stdin, sys.stdout, sys.stderr)))
    os.fchdir(folder)
    os.close(folder)
    os.environ.clear()
    os.environ.update(said["environ"])
    time.tzset()
    sys.path[:] = said["path"]
    sys.argv = [said["program"], *said["arguments"]]
    threading.Thread(target=_die_with, args=(connection,), daemon=True).start()
    code = _run(said["arguments"])
    with contextlib.suppress(OSError):
        connection.sendall(b"%d\n" % code)
    os._exit(code)  # to take down all that is loaded would be to copy it first


def _run(arguments: list[str]) -> int:
    """Run a command to the end of its threads, as the interpreter would; the exit code."""
    try:
        code = cli.run(arguments)
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        sys.stderr.flush()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except KeyboardInterrupt as stop:
        code = 143 if isinstance(stop, cli.Terminated) else 130
    except Exception:
        sys.excepthook(*sys.exc_info())
        code = 1
    for number in standby.HANDED_ON:
        signal.signal(number, signal.SIG_IGN)  # it has ended
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
    return code


def _opened(number: int, old: Any) -> Any:
    """A stream of this process, opened as Python does."""
    buffered = 0 if old.write_through and number else -1
    raw: Any = os.fdopen(number, "rb" if number == 0 else "wb", buffered, closefd=False)
    lines = number == 2 or os.isatty(number)
    return io.TextIOWrapper(raw, old.encoding, old.errors, line_buffering=lines, write_through=old.write_through)


def _die_with(connection: socket.socket) -> None:
    """End at once, with all children, when who asked is gone."""
    with contextlib.suppress(OSError):
        while connection.recv(1):
            pass
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
