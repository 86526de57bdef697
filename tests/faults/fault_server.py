"""A process that has spritebuild's imports done and forks a command whenever asked: a fifth of the time of a start.

It reads a JSON line for each command, answers with the process's id and then with its exit status, and knows no tests.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import sys
import threading
import time

IMPORTS = (
    *("numpy", "imagehash", "PIL.PngImagePlugin", "deflate", "spritebuild_stages.images.png"),
    *("spritebuild.cli.build", "spritebuild.cli.progress", "spritebuild.build"),
    *("spritebuild.check.looks", "spritebuild_stages.sheet", "spritebuild_stages.finish"),
    *("spritebuild_stages.ops.quantize", "spritebuild.cli.approve", "spritebuild.approve", "spritebuild.compare"),
    *("spritebuild.cli.care", "spritebuild.collect", "spritebuild.cli.share", "spritebuild.shared.supply"),
    *("spritebuild.cli.weights", "spritebuild.pinned.sources.url", "spritebuild.pinned.sources.http", "yaml"),
    *("spritebuild_stages.ops.applied", "spritebuild_stages.images.given", "spritebuild_stages.exports.sheet"),
    *("spritebuild_stages.sheets.packing", "spritebuild_stages.sheets.painting"),
    *("cryptography.hazmat.primitives.asymmetric.ed25519", "scipy.fft", "scipy.special"),
)


def serve() -> None:
    """Answer until stdin ends."""
    for name in IMPORTS:
        importlib.import_module(name)
    gc.freeze()  # a command that looked for garbage among all this would copy it
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            os.environ.update(request["environment"])
            _shift_clock(float(os.environ.get("FAULTS_CLOCK", "0")))
            _run(request["folder"], request["arguments"], request["talk"], stop=request["stop"])
        print(child, flush=True)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _shift_clock(seconds: float) -> None:
    """Let this process have a clock that is wrong; libfaketime would make its sleeps fail as well."""
    now, now_ns = time.time, time.time_ns
    time.time = lambda: now() + seconds
    time.time_ns = lambda: now_ns() + int(seconds * 1e9)


def _run(folder: str, arguments: list[str], talk: str, *, stop: bool) -> None:
    from spritebuild.cli import main

    nothing, said = os.open(os.devnull, os.O_RDONLY), os.open(talk, os.O_WRONLY)
    for source, target in ((nothing, 0), (said, 1), (said, 2)):
        os.dup2(source, target)
    os.close(nothing)
    os.close(said)
    os.chdir(folder)
    if stop:
        os.kill(os.getpid(), signal.SIGSTOP)
    try:
        main(arguments)
    except SystemExit as ended:
        threading._shutdown()  # type: ignore[attr-defined]  # as the interpreter would
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(ended.code if isinstance(ended.code, int) else 1)  # to take down the modules costs more than a build


if __name__ == "__main__":
    serve()
