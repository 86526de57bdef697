"""Tiny datasets, and trainings that are killed; for the tests of the training stages."""

from __future__ import annotations

import itertools
import json
import os
import signal
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from spritebuild.stage import BoundAction, Context
from spritebuild_stages.datasets import artifact
from spritebuild_stages.datasets.artifact import Dataset, Example
from spritebuild_stages.training import loop
from spritebuild_stages.training.loop import TrainingStage

COLORS = {"red": (200, 30, 30), "blue": (40, 60, 200), "green": (50, 160, 50), "yellow": (230, 200, 60)}


def block(index: int, side: int = 16) -> NDArray[np.uint8]:
    """A block of one of four colors with a light window, at one of a few places."""
    pixels = np.zeros((side, side, 4), np.uint8)
    color = tuple(COLORS.values())[index % 4]
    pixels[3 : side - 3, 2 + index // 4 % 3 : side - 4] = (*color, 255)
    pixels[4:6, 6 + index % 3 : 8 + index % 3] = (250, 250, 250, 255)
    return pixels


def example(index: int, side: int = 16, **changes: Any) -> Example:
    """A block with two captions and two labels."""
    color = tuple(COLORS)[index % 4]
    said: dict[str, Any] = {
        "pixels": block(index, side),
        "captions": (f"{color} block", f"a {color} box"),
        "labels": {"class": color, "direction": "left" if index % 3 else "right"},
    }
    return Example(f"{index}.png", **{**said, **changes})


def dataset(folder: Path, *examples: Example) -> dict[str, Path]:
    """Write a set; returns it as inputs of a stage."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = {"images": folder / "images.safetensors", "manifest": folder / "manifest.json"}
    artifact.write(paths["images"], paths["manifest"], Dataset(examples))
    return paths


def blocks(folder: Path) -> dict[str, Path]:
    """Twelve blocks to learn from, and two that are held out."""
    return dataset(folder, *(example(index, held_out=index >= 12) for index in range(14)))


def everything(folder: Path) -> Mapping[str, bytes]:
    """The bytes of every file below a folder, by its path there."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@dataclass
class Workshop:
    """Runs a training stage with some params and inputs, each time into a folder of its own."""

    stage: TrainingStage
    folder: Path
    inputs: Mapping[str, Path]
    params: Mapping[str, Any]
    numbers: Iterator[int] = field(default_factory=itertools.count)
    said: list[str] = field(default_factory=list)
    notes: dict[str, Any] = field(default_factory=dict)

    def action(self, kept: Path | None = None, inputs: Mapping[str, Path] | None = None, **params: Any) -> BoundAction:
        """A training; `inputs` and `params` say what of it is different from the others."""
        out = self.folder / f"out{next(self.numbers)}"
        out.mkdir()
        stage = self.stage
        return BoundAction(
            stage.Params(**{**self.params, **params}),
            stage.Inputs(**{**self.inputs, **(inputs or {})}),
            stage.Outputs(**{name: out / str(info.default) for name, info in stage.Outputs.model_fields.items()}),
            kept,
        )

    def train(self, action: BoundAction) -> Path:
        """Run it; returns the folder of its outputs."""
        self.notes = dict(self.stage.run(action, Context(self.folder / "memory", say=self.said.append)) or {})
        return Path(action.outputs.log.parent)


def log(out: Path) -> list[dict[str, float]]:
    """What a training logged."""
    return [json.loads(line) for line in (out / "log.jsonl").read_text("utf-8").splitlines()]


# Killing. Forked rather than started: importing the libraries again would take longer than all of the training. That
# is safe here, as one thread computes.


def killed(run: Callable[[], object], *, step: int, when: str) -> None:
    """Run in another process, which is killed in a step (counted from 0): before it, after it, or as it is saved.

    Or, `done`, when all steps are, and the results are about to be written.
    """
    import torch

    torch.set_num_threads(1)
    child = os.fork()
    if not child:
        torch.set_num_threads = lambda _: None  # its thread pool is not that of the process that forked
        try:
            _die(step, when)
            run()
        except BaseException:  # nobody else would say why
            traceback.print_exc()
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "it ended by itself"
    assert os.WTERMSIG(status) == signal.SIGKILL


def _die(at: int, when: str) -> None:
    import safetensors.torch

    step, write = loop.Training._step, safetensors.torch.save_file
    if when == "done":
        loop.write_log = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
    reached = False

    def stepping(self: Any, number: int, losses: Any) -> Any:
        nonlocal reached
        reached = number == at
        if reached and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        record = step(self, number, losses)
        if reached and when == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return record

    def writing(tensors: Any, path: Any, *rest: Any, **named: Any) -> None:
        write(tensors, path, *rest, **named)
        if reached and when == "saving":
            with Path(path).open("r+b") as file:
                file.truncate(Path(path).stat().st_size // 2)
            os.kill(os.getpid(), signal.SIGKILL)

    loop.Training._step = stepping  # type: ignore[method-assign]
    safetensors.torch.save_file = writing


@pytest.fixture(autouse=True)
def cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the CPU, and saved after every step."""
    monkeypatch.setenv("SPRITEBUILD_DEVICE", "cpu")
    monkeypatch.setattr(loop, "SAVE_SECONDS", 0.0)
    monkeypatch.setattr(loop, "SAVE_SHARE", 0)
