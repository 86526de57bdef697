"""Has a command run by a process that has the engine loaded, if there is one; loads none of the engine itself.

Loading the engine takes several times as long as building one changed sprite. So the first build in a terminal leaves a
process behind that has loaded it (`cli/standby.py`) and forks for every later command: each runs in a process of its
own, with the files, folder and environment of whoever asked, and nothing of the one before. It ends by itself.

Only a process that is like this one in whatever cannot be handed over may stand in: `likeness` is in its socket's name.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys

from spritebuild import __version__, ci, sockets

TYPE_CHECKING = False  # as typing's, which takes time to load
if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

MINUTES = "SPRITEBUILD_STANDBY"  # how long the process stays after the last command; 0 for not at all
USUAL_MINUTES = 10.0  # where somebody works at a terminal
COMMANDS = ("build", "check", "plan", "why")
INHERITED = ("PYTHON", "LC_", "LD_", "MALLOC_", "GLIBC_", "OMP_", "OPENBLAS_", "MKL_")  # read when a process starts
FORGOTTEN = (signal.SIGINT, signal.SIGQUIT)  # shells ignore them in what runs in the background
ANSWER = 2.0  # seconds within which a process that stands by says that it is there
OPENED = ("/dev/fd/", "/dev/std", "/dev/tty", "/proc/self/")  # what is another thing in another process
HANDED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def minutes(environ: Mapping[str, str], *, terminal: bool) -> float:
    """How long a process may stand by, from its variable, else from who builds. Raises UsageError on nonsense."""
    said = environ.get(MINUTES, "").strip()
    if not said:
        return USUAL_MINUTES if terminal and not ci.is_ci(environ) else 0.0
    try:
        found = float(said)
    except ValueError:
        found = -1.0
    if not 0 <= found <= 24 * 60:
        from spritebuild.errors import UsageError

        raise UsageError(f"{MINUTES}={said!r} is no number of minutes", hint="say 0 for no process that stands by")
    return found


def likeness() -> str:
    """What a process has from its start and keeps: who it is, what it may use, and how Python was started."""
    import resource

    environ = {name: value for name, value in os.environ.items() if name == "LANG" or name.startswith(INHERITED)}
    flags = str(sys.flags).replace("safe_path=True", "safe_path=False")  # only sys.path shows it, which is handed over
    python = [__version__, os.path.dirname(__file__), sys.executable, sys.prefix, flags, sys.warnoptions, sys._xoptions]
    umask = os.umask(0o077)
    os.umask(umask)
    rights = [os.getresuid(), os.getresgid(), os.getgroups(), umask]
    limits = [resource.getrlimit(getattr(resource, name)) for name in dir(resource) if name.startswith("RLIMIT_")]
    share = [limits, os.getpriority(os.PRIO_PROCESS, 0), os.sched_getscheduler(0), sorted(os.sched_getaffinity(0))]
    place = [os.readlink(f"/proc/self/ns/{name}") for name in sorted(os.listdir("/proc/self/ns"))]
    for name in ("cgroup", "oom_score_adj"):
        with open(f"/proc/self/{name}") as file:
            place.append(file.read())
    with open("/proc/self/status") as file:
        told = dict(line.split(":", 1) for line in file)
    ignored = int(told["SigIgn"], 16) & ~sum(1 << number - 1 for number in FORGOTTEN)
    kept = [told.get(name) for name in ("SigBlk", "NoNewPrivs", "Seccomp", "CapEff", "CapPrm", "CapBnd")]
    return json.dumps([python, sorted(environ.items()), rights, share, place, ignored, kept])


def ask(arguments: Sequence[str]) -> int | None:
    """Have these arguments run by the process that stands by; returns the exit code, or None where there is none.

    Signals that this process gets are handed on. If it dies, so does what runs for it, at once.
    """
    if not _may(arguments):
        return None
    import socket

    with contextlib.ExitStack() as stack:
        connection = stack.enter_context(socket.socket(socket.AF_UNIX))
        answers = stack.enter_context(connection.makefile("rb"))
        try:
            connection.settimeout(ANSWER)
            connection.connect(sockets.place(likeness()))
            pid = int(answers.readline())
            folder = os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            stack.callback(os.close, folder)
        except (OSError, ValueError):
            return None  # there is none, or it has just ended, or it does not answer
        code = b""
        with _handed_on(pid) as signals, contextlib.suppress(OSError):
            connection.settimeout(None)
            _hand_over(connection, arguments, folder)
            code = answers.readline()
            answers.read()  # until it has ended
    if code:
        return int(code)
    if signals:
        return 128 + signals[-1]
    from spritebuild.errors import MachineError

    raise MachineError("the process that stood by was killed", hint="run the command again")


def _hand_over(connection: socket.socket, arguments: Sequence[str], folder: int) -> None:
    """Send what a command is run with: this process's streams, its folder as a descriptor, and the rest as JSON."""
    from socket import send_fds

    said = {"arguments": list(arguments), "program": sys.argv[0], "path": sys.path, "environ": dict(os.environ)}
    data = json.dumps(said).encode()
    send_fds(connection, [len(data).to_bytes(4, "big")], [0, 1, 2, folder])
    connection.sendall(data)


def start(arguments: Sequence[str]) -> None:
    """Leave a process that stands by for the next command, if somebody works here and one would serve these."""
    import subprocess

    if not _may(arguments) or not (stay := minutes(os.environ, terminal=sys.stderr.isatty())):
        return
    with contextlib.suppress(OSError):
        place = sockets.place(likeness(), make=True)
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "spritebuild.cli.standby", place, str(stay)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
        )
        process.returncode = 0  # it is nobody's to wait for


def _may(arguments: Sequence[str]) -> bool:
    """Whether a command is one that another process can run; that needs all three streams."""
    if not arguments or arguments[0] not in COMMANDS or sys.platform != "linux":
        return False
    if None in (sys.stdin, sys.stdout, sys.stderr) or any(name in word for word in arguments for name in OPENED):
        return False
    return minutes(os.environ, terminal=True) > 0


@contextlib.contextmanager
def _handed_on(pid: int) -> Iterator[list[int]]:
    """Hand signals on to a process and, where they stop this one, to its group; gives those that ended it, perhaps."""
    ended: list[int] = []

    def hand_on(number: int, frame: Any) -> None:
        ended.append(number)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
            os.killpg(pid, signal.SIGCONT)

    def stop(number: int, frame: Any) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGSTOP)
            os.kill(os.getpid(), signal.SIGSTOP)
            os.killpg(pid, signal.SIGCONT)

    handlers = {**dict.fromkeys(HANDED_ON, hand_on), signal.SIGTSTP: stop}
    before = {number: signal.getsignal(number) for number in handlers}
    for number, handler in handlers.items():
        if before[number] is not signal.SIG_IGN:
            signal.signal(number, handler)
    try:
        yield ended
    finally:
        for number, old in before.items():
            signal.signal(number, old)
