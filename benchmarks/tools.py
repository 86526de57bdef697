"""The same project for spritebuild and its peers: per sprite `draw` and `polish`, then one sheet of all of them.

Every sprite has a seed of its own, and all of them depend on one file of declarations, `sprites.txt`; so the graph has
2N+1 actions. Each tool gets it in the form that its manual recommends and that is cheap for it. Actions are trivial.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from measure import Case, run

from spritebuild import standby

SPEC = "sprites.txt"
DRAWN = "drawn"
ASSETS = "assets"
SHEET = f"{ASSETS}/all.png"


def seeds(sprites: int, changes: int = 0) -> Iterator[tuple[str, int]]:
    """Names and seeds; each count of `changes` gives the first sprite another seed."""
    for number in range(sprites):
        yield f"s{number:05}", number if number or not changes else sprites + changes


def _which(program: str) -> str | None:
    found = shutil.which(program)
    return str(Path(found).absolute()) if found else None


class Tool(ABC):
    """A build tool with the project of `sprites` sprites in `folder`. An environment variable NAME says where it is."""

    name: str

    def __init__(self, folder: Path, sprites: int) -> None:
        self.folder = folder
        self.sprites = sprites

    @classmethod
    def found(cls) -> str | None:
        """The tool's program: what its environment variable says, or else the one on the PATH."""
        return _which(os.environ.get(cls.name.upper(), cls.name))

    @property
    def program(self) -> str:
        return self.found() or self.name

    def case(self, *arguments: str, says: str = "") -> Case:
        """A run of the tool in its project."""
        return Case([self.program, *arguments], self.folder, says)

    @abstractmethod
    def declare(self, changes: int = 0) -> None:
        """Write the project; each count of `changes` gives the first sprite another seed."""

    @abstractmethod
    def complete(self) -> None:
        """Bring the project into the state `everything is up to date`, by a full build or by writing that state."""

    @abstractmethod
    def idle(self) -> Case:
        """A build that has nothing to do."""

    @abstractmethod
    def plan(self) -> Case:
        """The question what a build would do, where that is nothing."""

    @abstractmethod
    def change(self) -> Case:
        """A build after one sprite has changed: three actions."""

    def start(self) -> None:
        """Declare the project in an empty folder."""
        for folder in (self.folder, self.folder / DRAWN, self.folder / ASSETS):
            folder.mkdir(parents=True, exist_ok=True)
        (self.folder / SPEC).write_text("the declarations of all sprites\n")
        self.declare()

    def _seeds(self, changes: int = 0) -> Iterator[tuple[str, int]]:
        return seeds(self.sprites, changes)

    def _assets(self) -> list[str]:
        return [f"{ASSETS}/{name}.png" for name, _ in self._seeds()]

    def _changed(self, case: Case) -> Case:
        """The case, with another seed for the first sprite every time."""
        changes = iter(range(1, 1000))
        return Case(case.command, case.folder, case.says, before=lambda: self.declare(next(changes)))

    def _removed(self, case: Case) -> Case:
        """The case, for tools that do not notice another seed: the first sprite's files are missing instead."""

        def remove() -> None:
            for path in (f"{DRAWN}/s00000.png", f"{ASSETS}/s00000.png", SHEET):
                (self.folder / path).unlink(missing_ok=True)

        return Case(case.command, case.folder, case.says, before=remove)

    def _write_outputs(self) -> None:
        drawn = [f"{DRAWN}/{name}.png" for name, _ in self._seeds()]
        for path in [*drawn, *self._assets(), SHEET]:
            (self.folder / path).write_bytes(b"")


class Spritebuild(Tool):
    name = "spritebuild"

    @classmethod
    def found(cls) -> str | None:
        beside = str(Path(sys.executable).with_name(cls.name))
        return _which(os.environ.get(cls.name.upper(), beside)) or super().found()

    def declare(self, changes: int = 0) -> None:
        write_spritefile(self.folder, self.sprites, changes)

    def complete(self) -> None:
        run(self.case("build", "--quiet"))

    def idle(self) -> Case:
        return self.case("build", says="nothing to do")

    def plan(self) -> Case:
        return self.case("plan", says="nothing to do")

    def change(self) -> Case:
        return self._changed(self.case("build", says="ran 1 draw, 1 polish, 1 sheet"))


def write_spritefile(folder: Path, sprites: int, changes: int = 0, *, polish: bool = True, sheet: bool = True) -> None:
    """A spritefile and its stages, with or without the second action of every sprite and the sheet of all."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copytree(Path(__file__).with_name("stages"), folder / "stages", dirs_exist_ok=True)
    with (folder / "spritefile.toml").open("w") as file:
        file.write('[project]\nname = "benchmark"\nstages = "stages"\n\n[styles.plain]\nstage = "draw"\n')
        file.write('finish = [{ stage = "polish" }]\n' if polish else "")
        for name, seed in seeds(sprites, changes):
            file.write(f'\n[sprites.{name}]\nstyle = "plain"\nseed = {seed}\n')
            file.write(f'prompt = "a small glass potion, number {name}, seen from the side"\n')
        file.write('\n[sheets.all]\nsprites = ["*"]\n' if sheet else "")


@contextlib.contextmanager
def standing_by(case: Case) -> Iterator[Callable[[Case], Case]]:
    """Have spritebuild leave a process that stands by; gives what lets it run a case and counts its CPU time there."""
    with tempfile.TemporaryDirectory(prefix="run-") as folder:
        environment = {"XDG_RUNTIME_DIR": folder, standby.MINUTES: "60"}
        run(replace(case, environment=environment))
        while len(found := sorted(Path(folder).glob("spritebuild/*"))) < 2:  # its socket, and a file with its pid
            time.sleep(0.01)
        pid = int(found[1].read_text())
        try:
            yield lambda case: replace(case, environment=environment, helper=lambda: _cpu(pid))
        finally:
            os.kill(pid, signal.SIGTERM)


def _cpu(pid: int) -> float:
    """Seconds of CPU of a process and of its children that have ended."""
    ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15]
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


class Ninja(Tool):
    name = "ninja"

    def declare(self, changes: int = 0) -> None:
        with (self.folder / "build.ninja").open("w") as file:
            file.write("rule draw\n  command = : $seed > $out\nrule make\n  command = : > $out\n")
            for name, seed in self._seeds(changes):
                file.write(f"build {DRAWN}/{name}.png: draw {SPEC}\n  seed = {seed}\n")
                file.write(f"build {ASSETS}/{name}.png: make {DRAWN}/{name}.png\n")
            file.write(f"build {SHEET}: make {' '.join(self._assets())}\n")

    def complete(self) -> None:
        run(self.case())

    def idle(self) -> Case:
        return self.case(says="no work to do")

    def plan(self) -> Case:
        return self.case("-n", says="no work to do")

    def change(self) -> Case:
        return self._changed(self.case(says="[3/3]"))


class Make(Tool):
    name = "make"

    def declare(self, changes: int = 0) -> None:
        with (self.folder / "Makefile").open("w") as file:
            file.write(f"{SHEET}: {' '.join(self._assets())}\n\t: > $@\n")
            for name, seed in self._seeds(changes):
                file.write(f"{DRAWN}/{name}.png: {SPEC}\n\t: {seed} > $@\n")
                file.write(f"{ASSETS}/{name}.png: {DRAWN}/{name}.png\n\t: > $@\n")

    def complete(self) -> None:
        self._write_outputs()

    def idle(self) -> Case:
        return self.case("-r", says="up to date")

    def plan(self) -> Case:
        return self.case("-r", "-n", says="up to date")

    def change(self) -> Case:
        return self._removed(self.case("-r", says=f": > {SHEET}"))


class Doit(Tool):
    name = "doit"

    def declare(self, changes: int = 0) -> None:
        (self.folder / "dodo.py").write_text(
            f"""
from pathlib import Path
from doit.tools import config_changed

DOIT_CONFIG = {{"backend": "sqlite3", "dep_file": ".doit.db", "reporter": "executed-only"}}
SPRITES = [f"s{{number:05}}" for number in range({self.sprites})]
SEEDS = {{name: number for number, name in enumerate(SPRITES)}}
SEEDS["s00000"] += {changes}

def write(path, seed):
    Path(path).write_text(f"{{path}} {{seed}}")

def task_draw():
    for name in SPRITES:
        path, seed = f"{DRAWN}/{{name}}.png", SEEDS[name]
        yield {{"name": name, "actions": [(write, [path, seed])], "file_dep": ["{SPEC}"], "targets": [path],
               "uptodate": [config_changed(str(seed))]}}

def task_polish():
    for name in SPRITES:
        path, source = f"{ASSETS}/{{name}}.png", f"{DRAWN}/{{name}}.png"
        yield {{"name": name, "actions": [(polish, [path, source])], "file_dep": [source], "targets": [path]}}

def polish(path, source):
    Path(path).write_text(Path(source).read_text() + " polished")

def task_sheet():
    frames = [f"{ASSETS}/{{name}}.png" for name in SPRITES]
    return {{"actions": [(write, ["{SHEET}", 0])], "file_dep": frames, "targets": ["{SHEET}"]}}
"""
        )

    def complete(self) -> None:
        run(self.case())

    def idle(self) -> Case:
        return self.case()

    def plan(self) -> Case:
        return self.case("list", "--all", "--status", says="U draw:s00000")

    def change(self) -> Case:
        return self._changed(self.case(says="sheet"))


class Snakemake(Tool):
    name = "snakemake"

    def declare(self, changes: int = 0) -> None:
        (self.folder / "Snakefile").write_text(
            f"""
SPRITES = [f"s{{number:05}}" for number in range({self.sprites})]

rule sheet:
    input: expand("{ASSETS}/{{name}}.png", name=SPRITES)
    output: "{SHEET}"
    shell: ": > {{output}}"

rule polish:
    input: "{DRAWN}/{{name}}.png"
    output: "{ASSETS}/{{name,s[0-9]+}}.png"
    shell: ": > {{output}}"

rule draw:
    input: "{SPEC}"
    output: "{DRAWN}/{{name}}.png"
    shell: ": > {{output}}"
"""
        )

    def complete(self) -> None:
        self._write_outputs()

    def idle(self) -> Case:
        return self.case("--cores", "1", says="Nothing to be done")

    def plan(self) -> Case:
        return self.case("--dry-run", says="Nothing to be done")

    def change(self) -> Case:
        return self._removed(self.case("--cores", "1", says="3 of 3 steps"))


class Dvc(Tool):
    name = "dvc"

    def declare(self, changes: int = 0) -> None:
        with (self.folder / "dvc.yaml").open("w") as file:
            file.write("stages:\n")
            for stage, command, reads, writes in self._stages(changes):
                deps = "".join(f"    - {path}\n" for path in reads)
                # Outputs are kept out of DVC's cache, which saves it work.
                file.write(f"  {stage}:\n    cmd: {command}\n    deps:\n{deps}")
                file.write(f"    outs:\n    - {writes}:\n        cache: false\n")

    def complete(self) -> None:
        (self.folder / ".dvc").mkdir()
        core = {"analytics": "false", "no_scm": "True", "site_cache_dir": self.folder / "site"}
        lines = [f"{name} = {value}\n" for name, value in core.items()]
        (self.folder / ".dvc" / "config").write_text("[core]\n" + "".join(lines))
        self._write_outputs()
        with (self.folder / "dvc.lock").open("w") as file:
            file.write("schema: '2.0'\nstages:\n")
            for stage, command, reads, writes in self._stages():
                deps = "".join(map(self._locked, reads))
                file.write(f"  {stage}:\n    cmd: {command}\n    deps:\n{deps}    outs:\n{self._locked(writes)}")
        run(self.plan())  # so that it knows the digests of all files

    def _locked(self, path: str) -> str:
        """A file in the lock: every file but the declarations is empty."""
        data = (self.folder / path).read_bytes() if path == SPEC else b""
        md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
        return f"    - path: {path}\n      hash: md5\n      md5: {md5}\n      size: {len(data)}\n"

    def _stages(self, changes: int = 0) -> Iterator[tuple[str, str, list[str], str]]:
        """Stages with command, inputs and output."""
        for name, seed in self._seeds(changes):
            drawn, asset = f"{DRAWN}/{name}.png", f"{ASSETS}/{name}.png"
            yield f"draw-{name}", f"true {seed} > {drawn}", [SPEC], drawn
            yield f"polish-{name}", f"true > {asset}", [drawn], asset
        yield "sheet", f"true > {SHEET}", self._assets(), SHEET

    def idle(self) -> Case:
        return self.case("repro", says="up to date")

    def plan(self) -> Case:
        return self.case("status", says="up to date")

    def change(self) -> Case:
        return self._changed(self.case("repro", says="Running stage 'draw-s00000'"))


TOOLS: dict[str, type[Tool]] = {tool.name: tool for tool in (Spritebuild, Ninja, Make, Doit, Snakemake, Dvc)}
