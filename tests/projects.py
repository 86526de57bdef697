"""A project on the disk, with cheap stages of its own, which tests write, edit, build and look into."""

from __future__ import annotations

import copy
import json
import os
import re
import shutil
import struct
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spritebuild import idle, lock
from spritebuild.build import Request, build
from spritebuild.graph import Graph
from spritebuild.plan import Plan, plan, targets
from spritebuild.project import opened
from spritebuild.run import Options
from spritebuild.status import Status

PAINT = '''
"""A small picture that depends on every param but `note`."""

from pathlib import Path

from spritebuild.errors import StageError
from spritebuild.stage import Outputs, Params, Stage


class PaintParams(Params):
    prompt: str = ""
    seed: int = 0
    steps: int = 20
    size: tuple[int, int] = (8, 8)
    note: str = ""


class PaintOutputs(Outputs):
    image: Path = Path("image.png")


class Paint(Stage):
    version = 1
    Params = PaintParams
    Outputs = PaintOutputs

    def run(self, action, context):
        import hashlib

        import numpy as np

        from spritebuild_stages.images import png

        params = action.params
        if "fail" in params.prompt:
            raise StageError("the paint is dry")
        width, height = params.size
        seed = f"{params.prompt}/{params.seed}/{params.steps}".encode()
        noise = hashlib.shake_256(seed).digest(width * height * 4)
        png.write(action.outputs.image, np.frombuffer(noise, np.uint8).reshape(height, width, 4))
'''

# Its bytes depend on the machine, as those of an accelerator do: DREAM_PLATFORM is what it says of itself, DREAM_NOISE
# changes one pixel, DREAM_SHAPE the whole picture.
DREAM = '''
"""A smooth picture, made in a worker, that is not the same everywhere."""

import os
from pathlib import Path

from spritebuild.stage import Outputs, Params, Stage


class DreamParams(Params):
    prompt: str = ""
    seed: int = 0
    steps: int = 20
    size: tuple[int, int] = (32, 32)


class DreamOutputs(Outputs):
    image: Path = Path("image.png")


class Dream(Stage):
    version = 1
    device = "accelerator"
    Params = DreamParams
    Outputs = DreamOutputs

    def affinity(self, params, inputs):
        return params.steps

    def platform(self, context):
        return {"device": "cpu", "driver": os.environ.get("DREAM_PLATFORM", "one")}

    def run(self, action, context):
        import hashlib

        import numpy as np

        from spritebuild_stages.images import png

        params = action.params
        if "die" in params.prompt:
            os._exit(9)
        if "fail" in params.prompt:
            raise ValueError("a nightmare")
        width, height = params.size
        name = params.prompt + os.environ.get("DREAM_SHAPE", "")
        waves = hashlib.sha256(f"{name}/{params.seed}/{params.steps}".encode()).digest()
        y, x = np.mgrid[:height, :width] / 8
        rgba = np.empty((height, width, 4), np.uint8)
        for channel in range(3):
            a, b, c = waves[3 * channel : 3 * channel + 3]
            rgba[..., channel] = 128 + 120 * np.sin(a * x / 128 + b * y / 128 + c)
        rgba[..., 3] = 255 * ((x - x.mean()) ** 2 + (y - y.mean()) ** 2 < 3)
        rgba[height // 2, width // 2, 0] ^= int(os.environ.get("DREAM_NOISE", "0"))
        png.write(action.outputs.image, rgba)
'''

INVERT = '''
"""A picture in the opposite colors."""

from pathlib import Path

from spritebuild.stage import Inputs, Outputs, Params, Stage


class InvertParams(Params):
    amount: int = 255


class InvertInputs(Inputs):
    image: Path


class InvertOutputs(Outputs):
    image: Path = Path("image.png")


class Invert(Stage):
    version = 1
    Params = InvertParams
    Inputs = InvertInputs
    Outputs = InvertOutputs

    def run(self, action, context):
        from spritebuild_stages.images import png

        rgba = png.read(action.inputs.image)
        rgba[..., :3] = action.params.amount - rgba[..., :3]
        png.write(action.outputs.image, rgba)
'''

PRESS = '''
"""A picture that depends on the bytes of a model, and of LoRAs."""

from pathlib import Path

from spritebuild.stage import Inputs, Outputs, Params, Stage


class PressParams(Params):
    prompt: str = ""
    loras: tuple[dict, ...] = ()


class PressInputs(Inputs):
    model: Path
    loras: dict[str, Path] = {}


class PressOutputs(Outputs):
    image: Path = Path("image.png")


class Press(Stage):
    version = 1
    Params = PressParams
    Inputs = PressInputs
    Outputs = PressOutputs

    def run(self, action, context):
        import hashlib

        import numpy as np

        from spritebuild_stages.images import png

        read = hashlib.shake_256(action.params.prompt.encode())
        for path in sorted(action.inputs.model.rglob("*")):
            read.update(path.read_bytes() if path.is_file() else b"")
        for path in action.inputs.loras.values():
            read.update(path.read_bytes())
        png.write(action.outputs.image, np.frombuffer(read.digest(256), np.uint8).reshape(8, 8, 4))
'''

STAGES = {"paint": PAINT, "dream": DREAM, "invert": INVERT, "press": PRESS}

# Two sprites, a palette, a style and a sheet: what most tests edit.
ISLAND: dict[str, Any] = {
    "project": {"name": "island", "stages": "stages"},
    "palettes": {"gray": {"colors": ["#000000", "#888888", "#ffffff"]}},
    "styles": {
        "base": {
            "stage": "paint",
            "steps": 20,
            "finish": [{"op": "alpha", "threshold": 128}, {"op": "quantize", "palette": "gray"}],
        }
    },
    "sprites": {
        "potion": {"style": "base", "prompt": "red potion"},
        "sword": {"style": "base", "prompt": "long sword"},
    },
    "sheets": {"items": {"sprites": ["*"], "columns": 2}},
}


def safetensors(data: bytes = bytes(8), name: str = "weight") -> bytes:
    """A safetensors file of one tensor of bytes."""
    header = json.dumps({name: {"dtype": "U8", "shape": [len(data)], "data_offsets": [0, len(data)]}}).encode()
    return struct.pack("<Q", len(header)) + header + data


class Recorder(Status):
    """Keeps what a build tells."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.reasons: dict[str, str] = {}
        self.reused_late: list[str] = []
        self.installs: list[str] = []
        self.removals: list[str] = []
        self.failures: dict[str, str] = {}
        self.said: list[str] = []
        self.summary: Mapping[str, Any] = {}

    def message(self, text: str) -> None:
        self.said.append(text)

    def warning(self, text: str) -> None:
        self.said.append(text)

    def started(self, action: str, stage: str, reason: str) -> None:
        self.reasons[action] = reason

    def finished(self, action: str, stage: str, seconds: float) -> None:
        self.ran.append(action)

    def reused(self, action: str, stage: str) -> None:
        self.reused_late.append(action)

    def failed(self, action: str, stage: str, error: str) -> None:
        self.failures[action] = error

    def installed(self, path: str) -> None:
        self.installs.append(path)

    def removed(self, path: str) -> None:
        self.removals.append(path)


class Project:
    """A project in a folder. `declared` is its spritefile as a dict, where it was not written as text."""

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self.root = root
        self.path = root / "spritefile.toml"
        self.declared: dict[str, Any] = {}
        self.last = Recorder()

    # Writing

    def write(self, declared: str | Mapping[str, Any]) -> Project:
        """Write the spritefile, and the stages of ours if it names a folder for them."""
        if isinstance(declared, Mapping):
            self.declared = copy.deepcopy(dict(declared))
            declared = toml(self.declared)
        self.path.write_text(declared, "utf-8")
        if 'stages = "stages"' in declared:
            for kind, source in STAGES.items():
                if not (self.root / f"stages/{kind}.py").exists():
                    self.stage(kind, source)
        return self

    def edit(self, dotted: str, value: Any) -> Project:
        """Set a key of the spritefile, such as `styles.base.steps` or `styles.base.finish.0.op`; None takes it out."""
        *path, last = dotted.split(".")
        table: Any = self.declared
        for part in path:
            table = table[int(part)] if isinstance(table, list) else table.setdefault(part, {})
        if isinstance(table, list):
            table[int(last)] = value
        elif value is None:
            del table[last]
        else:
            table[last] = value
        return self.write(self.declared)

    def stage(self, kind: str, source: str) -> None:
        self.file(f"stages/{kind}.py", source)

    def bump(self, kind: str, version: int) -> None:
        """Give a stage of ours another version."""
        text = (self.root / f"stages/{kind}.py").read_text("utf-8")
        self.stage(kind, re.sub(r"version = \d+", f"version = {version}", text))

    def file(self, path: str, content: str | bytes) -> Path:
        """Write any file of the project."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return file

    def clone(self, to: Path, *, assets: bool = False, store: bool = False, locked: bool = True) -> Project:
        """A copy as git would make it: what is declared and locked, and on demand the assets and the store."""
        left = [] if store else [".spritebuild"]
        left += [] if assets else ["assets"]
        left += [] if locked else ["lockfiles"]
        shutil.copytree(self.root, to, ignore=lambda folder, names: left if Path(folder) == self.root else [])
        other = Project(to)
        other.declared = copy.deepcopy(self.declared)
        return other

    # Building

    def build(
        self, *patterns: str, jobs: int = 1, keep_going: bool = False, rebuild: bool = False, locked: bool = False
    ) -> Recorder:
        """Build in this process; `last` keeps what was told even if it fails."""
        self.last = Recorder()
        request = Request(patterns, rebuild, locked, Options(jobs, keep_going))
        self.last.summary = build(self.path, request, self.last)
        return self.last

    def cli(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the command line in the project's folder."""
        return subprocess.run(
            [sys.executable, "-m", "spritebuild", *arguments],
            cwd=self.root,
            capture_output=True,
            encoding="utf-8",
            env={**os.environ, **environment},
            timeout=120,
        )

    # Looking

    def planned(self, *patterns: str, rebuild: bool = False) -> Plan:
        with opened(self.path) as project:
            return plan(project.graph, project.known, targets(project.graph, patterns), rebuild=rebuild)

    def reasons(self, *patterns: str) -> dict[str, str]:
        """Why each action that is not reused has to run."""
        return {decision.action: decision.reason for decision in self.planned(*patterns).to_run()}

    def graph(self) -> Graph:
        with opened(self.path) as project:
            return project.graph

    def assets(self) -> dict[str, bytes]:
        """Every file under the assets folder, by its path in the project."""
        return files(self.root, "assets")

    def lock(self) -> dict[str, lock.Entry]:
        return lock.read(self.root)

    def lock_text(self) -> str:
        return (self.root / lock.PATH).read_text("utf-8")

    def idle(self) -> bool:
        return idle.unchanged(self.root)

    def blobs(self) -> dict[str, Path]:
        """The files of the store's blobs by digest."""
        return {p.parent.name + p.name: p for p in (self.root / ".spritebuild/blobs").glob("*/*")}

    def listing(self) -> list[str]:
        """Every path of the project, to see that nothing was written."""
        return sorted(p.relative_to(self.root).as_posix() for p in self.root.rglob("*"))


def files(root: Path, folder: str) -> dict[str, bytes]:
    """The bytes of all files in a folder of a root, by their path from the root."""
    found = sorted((root / folder).rglob("*"))
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in found if path.is_file()}


SINGLE = ("project", "check", "policy", "store", "cost", "budget")


def toml(document: Mapping[str, Any]) -> str:
    """A spritefile of a dict: [project] and tables such as [sprites.potion]; what is deeper is written inline."""
    lines = []
    for key, value in document.items():
        if not isinstance(value, Mapping):
            lines.append(f"{key} = {_inline(value)}")
    for table, rows in document.items():
        if isinstance(rows, Mapping):
            for name, row in [("", rows)] if table in SINGLE else rows.items():
                lines.append(f"[{table}{name and '.' + name}]")
                lines += [f"{key} = {_inline(value)}" for key, value in row.items()]
    return "\n".join(lines) + "\n"


def _inline(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_inline(inner)}" for key, inner in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_inline, value)) + "]"
    return json.dumps(value, ensure_ascii=False)
