"""`spritebuild watch` as a process: what it tells as JSON lines, and what it leaves; knows no test."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

from projects import Project

from spritebuild import digest, lock

PATIENCE = 30  # seconds; a loaded machine is slow, and no test waits that long where all is well

# An accelerator stage that notes which process drew, and how often this process had loaded what it draws with.
LOADED = '''
"""A flat picture, drawn by a process that loads something first."""

import os
from pathlib import Path

from spritebuild.stage import Outputs, Params, Stage


class LoadedParams(Params):
    prompt: str = ""
    shade: int = 0


class LoadedOutputs(Outputs):
    image: Path = Path("image.png")


class Loaded(Stage):
    version = 1
    device = "accelerator"
    Params = LoadedParams
    Outputs = LoadedOutputs

    def platform(self, context):
        return {"device": "cpu"}

    def run(self, action, context):
        import numpy as np

        from spritebuild_stages.images import png

        with open(Path(__file__).parents[1] / "drawn.txt", "a") as notes:
            notes.write(f"{os.getpid()} {action.params.prompt}\\n")
        color = (len(action.params.prompt), action.params.shade, 7, 255)
        png.write(action.outputs.image, np.full((8, 8, 4), color, np.uint8))
'''

# A stage that takes as long as it is told: until a file of that name is there.
GATED = '''
"""A picture that is finished when the project has a file of a given name."""

import time
from pathlib import Path

from spritebuild.stage import Outputs, Params, Stage


class GatedParams(Params):
    prompt: str = ""
    until: str = ""


class GatedOutputs(Outputs):
    image: Path = Path("image.png")


class Gated(Stage):
    version = 1
    Params = GatedParams
    Outputs = GatedOutputs

    def run(self, action, context):
        import numpy as np

        from spritebuild_stages.images import png

        gate = Path(__file__).parents[1] / action.params.until
        while action.params.until and not gate.exists():
            time.sleep(0.01)
        png.write(action.outputs.image, np.full((8, 8, 4), (*action.params.prompt.encode()[:3], 255), np.uint8))
'''


class Watching:
    """A watch that runs."""

    def __init__(self, project: Project, *arguments: str, **environment: str) -> None:
        self.project = project
        self.process = subprocess.Popen(
            [sys.executable, "-m", "spritebuild", "watch", "--no-browser", "--json", *arguments],
            cwd=project.root,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            env={**os.environ, **environment},
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        self.events: list[dict[str, Any]] = []
        self.seen = 0  # of the events, by `until`
        self.heard = threading.Condition()
        self.over = False
        threading.Thread(target=self._hear, daemon=True).start()

    def _hear(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self.heard:
                self.events.append(json.loads(line))
                self.heard.notify_all()
        with self.heard:
            self.over = True
            self.heard.notify_all()

    def until(self, event: str, **said: Any) -> dict[str, Any]:
        """The next event of that name that says so, after those that were waited for before."""
        with self.heard:
            while True:
                for number in range(self.seen, len(self.events)):
                    found = self.events[number]
                    if found["event"] == event and said.items() <= found.items():
                        self.seen = number + 1
                        return found
                assert not self.over, self.process.stderr and self.process.stderr.read()
                assert self.heard.wait(PATIENCE), self.events[self.seen :]

    def between(self) -> list[dict[str, Any]]:
        """All events so far."""
        with self.heard:
            return [*self.events]

    @property
    def address(self) -> str:
        return str(next(event["address"] for event in self.between() if event["event"] == "watching"))

    def end(self, by: int = signal.SIGINT) -> tuple[int, str]:
        """Its exit code and what it said to people."""
        self.process.send_signal(by)
        code = self.process.wait(PATIENCE)
        assert self.process.stderr is not None
        return code, self.process.stderr.read()


@contextlib.contextmanager
def watching(project: Project, *arguments: str, **environment: str) -> Iterator[Watching]:
    """A watch whose first build is over."""
    started = Watching(project, *arguments, **environment)
    try:
        started.until("watching")
        yield started
    finally:
        started.process.kill()
        started.process.wait()
        for stream in (started.process.stdout, started.process.stderr):
            assert stream is not None
            stream.close()


def is_whole(project: Project) -> bool:
    """Whether every file of every locked asset is installed with the bytes that the lock says."""
    installed = [pair for entry in lock.read(project.root).values() for pair in entry.installed().items()]
    return all(digest.of_file(project.root / path) == name for path, name in installed) and bool(installed)


def like_clean(project: Project, to: Project) -> bool:
    """Whether the assets are those of a build from nothing."""
    to.build()
    return project.assets() == to.assets()
