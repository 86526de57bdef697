"""The contract that a stage implements, and how stages are found; knows no stage in particular.

A stage is one file with one class. The file's name is its kind with underscores: `train-lora` is `train_lora.py`.
Importing a stage must be cheap: torch, diffusers, numpy and Pillow are imported inside its functions.
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from spritebuild.errors import UsageError

BUILT_IN = "spritebuild_stages"
KIND = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")

Device = Literal["cpu", "accelerator"]
Notes = Mapping[str, Any]
Folder = Annotated[Path, "folder"]  # the type of an output that is a folder of files


class Params(BaseModel):
    """What a stage is told. Values that equal their defaults stay out of the key, so adding one changes no key."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class Inputs(BaseModel):
    """What a stage reads: fields of type `Path` (a file or folder), `tuple[Path, ...]` or `dict[str, Path]`."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class Outputs(BaseModel):
    """What a stage writes: fields of type `Path` (one file) or `Folder`, whose defaults are the names written to."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


@dataclass(frozen=True)
class BoundAction:
    """An action ready to run: params validated, inputs in place (read-only), outputs to be written, all absolute.

    A resumable stage has two folders more, which it makes where it wants them: `kept` belongs to this very work, and
    survives a kill until its outputs are stored; `watched` is for what people look at meanwhile.
    """

    params: Any
    inputs: Any
    outputs: Any
    kept: Path | None = None
    watched: Path | None = None


@dataclass(frozen=True)
class Context:
    """What a stage may know of the machine. `threads` is for CPU kernels whose bits depend on their number.

    `memory` is a folder for facts about this platform that are dear to find (a determinism probe's verdict); losing
    it costs time and changes no byte. `spent` is told what took how long where somebody asked for a profile: what,
    and from when to when on the monotonic clock; a stage that computes on a device waits for it before it tells.
    """

    memory: Path
    threads: int = 1
    say: Callable[[str], None] = field(default=lambda _: None)
    spent: Callable[[str, float, float], None] | None = None


class Stage:
    """A kind of work. Subclass it, set `version`, `Params`, `Inputs` and `Outputs`, and write `run` or `run_batch`.

    `version` is bumped by hand whenever equal params and inputs may give other bytes: every action then runs again.
    """

    kind: ClassVar[str]
    version: ClassVar[int]
    device: ClassVar[Device] = "cpu"
    resumable: ClassVar[bool] = False
    Params: ClassVar[type[Params]] = Params
    Inputs: ClassVar[type[Inputs]] = Inputs
    Outputs: ClassVar[type[Outputs]] = Outputs

    def affinity(self, params: Any, inputs: Mapping[str, str]) -> Hashable:
        """Actions of equal affinity go to `run_batch` together; `inputs` are digests by name. Never changes bytes.

        Of a tuple, the first is the dearest to change: a worker goes on with what has most of it in common.
        """
        return None

    def together(self, params: Any) -> int:
        """How many actions of one affinity are made at once: groups are multiples of it. Never changes bytes."""
        return 1

    def run(self, action: BoundAction, context: Context) -> Notes | None:
        """Read `action.inputs`, write every file of `action.outputs`; return notes for the trace, such as warnings."""
        raise NotImplementedError(f"{type(self).__name__} defines neither run nor run_batch")

    def run_batch(self, actions: Sequence[BoundAction], context: Context) -> Iterator[tuple[int, Notes | None]]:
        """Run actions of one affinity; yield the index of each as soon as its outputs are complete."""
        for index, action in enumerate(actions):
            yield index, self.run(action, context)

    def foreseen(self, params: Any, inputs: Mapping[str, Path]) -> str:
        """What a run will be, in a few words for `plan`; `inputs` are those that are here already. Loads no library."""
        return ""

    def platform(self, context: Context) -> Mapping[str, str]:
        """What of this machine the bytes may depend on (device architecture, versions, threads); empty for pure work.

        A `device` of "cpu" says that several workers may run side by side.
        """
        return {}


class Stages:
    """The stages that a build can run: the built-in ones and those of the project's own folder, loaded when named."""

    def __init__(self, own: Path | None = None) -> None:
        self.own = own
        self._loaded: dict[str, Stage] = {}

    def kinds(self) -> list[str]:
        """Every kind there is, sorted; loads nothing."""
        found = {path.stem for path in self._built_in_folder().glob("*.py")}
        if self.own:
            found |= {path.stem for path in self.own.glob("*.py")}
        return sorted(stem.replace("_", "-") for stem in found if not stem.startswith("_"))

    def __getitem__(self, kind: str) -> Stage:
        """The stage of that kind. Raises KeyError for an unknown kind and UsageError for a broken file."""
        if kind not in self._loaded:
            self._loaded[kind] = self._load(kind)
        return self._loaded[kind]

    def files(self) -> list[Path]:
        """The source files whose edit may change what a stage declares."""
        own = sorted(self.own.glob("*.py")) if self.own else []
        return [*sorted(self._built_in_folder().rglob("*.py")), *own]

    @staticmethod
    def _built_in_folder() -> Path:
        return Path(importlib.import_module(BUILT_IN).__path__[0])

    def _load(self, kind: str) -> Stage:
        stem = kind.replace("-", "_")
        if not KIND.fullmatch(kind):
            raise KeyError(kind)
        built_in = (self._built_in_folder() / f"{stem}.py").is_file()
        own = self.own / f"{stem}.py" if self.own else None
        if own is not None and own.is_file():
            if built_in:
                raise UsageError(
                    f"stage {kind!r} is built in and cannot be replaced", where=str(own), hint="rename the file"
                )
            module = self._import_own(own)
        elif built_in:
            module = importlib.import_module(f"{BUILT_IN}.{stem}")
        else:
            raise KeyError(kind)
        return self._instance(kind, module)

    @staticmethod
    def _import_own(path: Path) -> ModuleType:
        # A name of its own: the game's `stages` package must not shadow, or be shadowed by, anything importable.
        name = f"spritebuild_own_{path.stem}"
        module = ModuleType(name)
        module.__file__ = str(path)
        sys.modules[name] = module
        try:
            # never from bytecode: that goes by whole seconds, and would land in the game's repository
            exec(compile(path.read_bytes(), str(path), "exec"), vars(module))
        except Exception as error:
            del sys.modules[name]
            line = next((f":{f.lineno}" for f in reversed(inspect.trace()) if f.filename == str(path)), "")
            raise UsageError(f"cannot be imported: {type(error).__name__}: {error}", where=f"{path}{line}") from error
        return module

    @staticmethod
    def _instance(kind: str, module: ModuleType) -> Stage:
        classes = [
            value
            for value in vars(module).values()
            if isinstance(value, type) and issubclass(value, Stage) and value.__module__ == module.__name__
        ]
        if len(classes) != 1:
            raise UsageError(
                f"a stage file defines exactly one Stage class, this one {len(classes)}",
                where=module.__file__,
                hint="class MyStage(Stage): version = 1 ...",
            )
        (cls,) = classes
        if not isinstance(getattr(cls, "version", None), int):
            raise UsageError(f"{cls.__name__} has no version", where=module.__file__, hint="add `version = 1`")
        cls.kind = kind
        return cls()
