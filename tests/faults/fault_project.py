"""A small project that builds in a second, its states, and what has to be true of it after any fault."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import queue
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

BUILD = ("build", "-j1")
PATIENCE = 120.0  # seconds before a test gives up; never how long anything should take
SECRET = base64.b64encode(bytes(range(32))).decode()  # that traces are signed with
ENVIRONMENT = {
    **os.environ,
    "NO_COLOR": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "COLUMNS": "200",
    "SPRITEBUILD_STORE_KEY": SECRET,
}
Tree = Mapping[str, bytes]

# Every run of a stage leaves a line in the file that FAULTS_RUNS names; `hold` waits while FAULTS_HOLD exists.
NOTING = """
import os
import struct
import time
import zlib
from pathlib import Path

from spritebuild.stage import Outputs, Params, Stage


def note(kind, params):
    if "FAULTS_RUNS" in os.environ:
        with open(os.environ["FAULTS_RUNS"], "a") as log:
            log.write(f"{kind} {params.color}\\n")


def hold():
    deadline = time.monotonic() + 60
    while os.path.exists(os.environ.get("FAULTS_HOLD", "")) and time.monotonic() < deadline:
        time.sleep(0.02)


def png(color):
    rows = b"".join(b"\\0" + b"".join(bytes((color, 30 * x, 30 * y, 255)) for x in range(8)) for y in range(8))

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", 8, 8, 8, 6, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\\x89PNG\\r\\n\\x1a\\n" + parts
"""

PAINT = f'''"""A picture in one color and two gradients."""
{NOTING}

class PaintParams(Params):
    color: int = 0
    held: bool = False


class PaintOutputs(Outputs):
    image: Path = Path("image.png")


class Paint(Stage):
    version = 1
    Params = PaintParams
    Outputs = PaintOutputs

    def run(self, action, context):
        note("paint", action.params)
        if action.params.held:
            hold()
        action.outputs.image.write_bytes(png(action.params.color))
'''

SLAB = f'''"""More than a MiB, so that it is installed by a link."""
{NOTING}

class SlabParams(Params):
    color: int = 0


class SlabOutputs(Outputs):
    image: Path = Path("image.bin")


class Slab(Stage):
    version = 1
    Params = SlabParams
    Outputs = SlabOutputs

    def run(self, action, context):
        note("slab", action.params)
        action.outputs.image.write_bytes(bytes([action.params.color]) * ((1 << 20) + 7))
'''

PONDER = f'''"""What `paint` does, in a worker process."""
{NOTING}

class PonderParams(Params):
    color: int = 0
    held: bool = False
    broken: bool = False


class PonderOutputs(Outputs):
    image: Path = Path("image.png")


class Ponder(Stage):
    version = 1
    device = "accelerator"
    Params = PonderParams
    Outputs = PonderOutputs

    def platform(self, context):
        return {{"device": "abacus"}}

    def run(self, action, context):
        note("ponder", action.params)
        if action.params.held:
            hold()
        if action.params.broken:
            raise ValueError("this one never works")
        action.outputs.image.write_bytes(png(action.params.color))
'''

STAGES = {"stages/paint.py": PAINT, "stages/slab.py": SLAB, "stages/ponder.py": PONDER}

HEAD = """[project]
name = "isle"
stages = "stages"
"""

SPRITEFILE = f"""{HEAD}
[palettes.cave]
file = "palettes/cave.hex"

[styles.flat]
stage = "paint"
finish = [{{ op = "quantize", palette = "cave" }}]

[sprites.imp]
style = "flat"
category = "foes"
params = {{ color = 40 }}

[sprites.gem]
style = "flat"
params = {{ color = 250 }}

[sprites.slab]
stage = "slab"
params = {{ color = 1 }}

[sheets.all]
sprites = ["imp", "gem"]
"""

RELIC = """
[sprites.relic]
stage = "paint"
category = "old/ruins"
params = { color = 7 }
"""

FIRST = {**STAGES, "palettes/cave.hex": b"200000\nf0f0f0\n", "spritefile.toml": SPRITEFILE + RELIC}
# The palette and a param are edited, and a sprite is no longer declared.
SECOND = {
    **FIRST,
    "palettes/cave.hex": b"200010\nf0e0f0\n",
    "spritefile.toml": SPRITEFILE.replace("color = 1 }", "color = 2 }"),
}
WORKER = {
    **STAGES,
    "spritefile.toml": f"""{HEAD}
[sprites.sage]
stage = "ponder"
params = {{ color = 10 }}

[sprites.owl]
stage = "ponder"
params = {{ color = 20 }}
""",
}
# Enough pictures for one flush of the file system to be cheaper than one of every file.
MANY = {
    **STAGES,
    "spritefile.toml": HEAD
    + "".join(f'\n[sprites.s{color}]\nstage = "paint"\nparams = {{ color = {color} }}\n' for color in range(9)),
}


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it said to the user."""

    code: int
    talk: str


@dataclass(frozen=True)
class State:
    """A project about to be built: its folder, what was installed before, and what a build from nothing gives."""

    name: str
    folder: Path
    former: Tree
    reference: Tree


def write(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    """Put files into a folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def copied(source: Path, target: Path) -> Path:
    """A copy of a project: times, modes and hard links kept."""
    subprocess.run(["cp", "-a", "--", str(source), str(target)], check=True)
    return target


def delivered(folder: Path) -> dict[str, bytes]:
    """Every file under assets/ and lockfiles/, whatever it is called."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for top in ("assets", "lockfiles")
        for path in sorted((folder / top).rglob("*"))
        if not path.is_dir()
    }


# Commands


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "spritebuild", *arguments]


def spritebuild(folder: Path, *arguments: str, **environment: str) -> Ended:
    """Run a command in a process of its own, from the interpreter's start."""
    done = subprocess.run(
        command(*arguments),
        cwd=folder,
        env={**ENVIRONMENT, **environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    return Ended(done.returncode, done.stderr)


class Servers:
    """Processes that fork commands, one for each thread that asks at a time."""

    def __init__(self) -> None:
        self.idle: queue.LifoQueue[subprocess.Popen[str]] = queue.LifoQueue()

    def forked(
        self, folder: Path, *arguments: str, attach: Callable[[int], None] | None = None, **environment: str
    ) -> Ended:
        """Run a command in a process that has its imports already.

        `attach` gets the process's id while it stands still before the command, and lets it go on.
        """
        try:
            server = self.idle.get_nowait()
        except queue.Empty:
            server = self._started()
        assert server.stdin is not None
        assert server.stdout is not None
        with tempfile.NamedTemporaryFile() as talk:
            request = {
                "folder": str(folder),
                "arguments": arguments,
                "environment": environment,
                "talk": talk.name,
                "stop": attach is not None,
            }
            print(json.dumps(request), file=server.stdin, flush=True)
            child = int(server.stdout.readline())
            if attach is not None:
                attach(child)
            alarm = threading.Timer(PATIENCE, os.kill, (child, signal.SIGKILL))
            alarm.start()
            code = int(server.stdout.readline())
            alarm.cancel()
            self.idle.put(server)
            return Ended(code, talk.read().decode())

    def close(self) -> None:
        """End them."""
        while not self.idle.empty():
            with self.idle.get() as server:
                pass
            assert server.returncode == 0

    def _started(self) -> subprocess.Popen[str]:
        server = Path(__file__).with_name("fault_server.py")
        return subprocess.Popen(
            [sys.executable, str(server)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT
        )


# What has to be true


def damage(state: State, folder: Path) -> list[str]:
    """What is wrong with a project right after a fault; nothing may be."""
    return [*store_damage(folder), *_half_written(state, folder)]


def store_damage(folder: Path) -> list[str]:
    """Blobs that are not what their names say, and what SQLite finds in the traces."""
    found = []
    root = folder / ".spritebuild"
    for path in sorted((root / "blobs").glob("*/*")):
        name = path.parent.name + path.name
        if hashlib.sha256(path.read_bytes()).hexdigest() != name:
            found.append(f"blob {name} holds other bytes")
    if (root / "traces.db").exists():
        with tempfile.TemporaryDirectory() as aside:  # opening it would recover it: that is for the next build to do
            for path in root.glob("traces.db*"):
                shutil.copy(path, aside)
            with closing(sqlite3.connect(f"{aside}/traces.db")) as database:
                said = database.execute("PRAGMA integrity_check").fetchall()
                if said != [("ok",)]:
                    found.append(f"traces.db: {said}")
                if database.execute("SELECT count(*) FROM sqlite_master WHERE name='traces'").fetchone()[0]:
                    for (outputs,) in database.execute("SELECT outputs FROM traces"):
                        if not outputs.endswith("}"):
                            found.append(f"traces.db: a trace of {outputs!r}")
    return found


def _half_written(state: State, folder: Path) -> list[str]:
    found = []
    for path, content in delivered(folder).items():
        allowed = [tree[path] for tree in (state.former, state.reference) if path in tree]
        if path.endswith(".lock"):
            lines = {line for text in allowed for line in text.splitlines(keepends=True)}
            if not lines.issuperset(content.splitlines(keepends=True)):
                found.append(f"{path} holds a line of no build")
        elif content not in allowed:
            found.append(f"{path} is half-written or should not be there")
    return found


def unhealed(servers: Servers, state: State, folder: Path) -> list[str]:
    """Build again, and once more; what is not as if there had been no fault."""
    found = []
    again = servers.forked(folder, *BUILD)
    if again.code != 0:
        found.append(f"the next build ended with {again.code}: {again.talk}")
    now = delivered(folder)
    if now != state.reference:
        wrong = sorted(
            path for path in now.keys() | state.reference.keys() if now.get(path) != state.reference.get(path)
        )
        found.append(f"the next build left {wrong} unlike the reference")
    scratch = folder / ".spritebuild" / "scratch"
    if left := sorted(path.name for path in scratch.rglob("*") if path.is_file()):
        found.append(f"the next build left {left} in scratch")
    last = servers.forked(folder, *BUILD)
    if last != Ended(0, "nothing to do\n"):
        found.append(f"the build after it: {last}")
    return [*found, *store_damage(folder)]
