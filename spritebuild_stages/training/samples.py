"""Pictures that are made while a model is trained: a row for every time, kept through a kill, shown to who looks."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spritebuild_stages.images import png
from spritebuild_stages.images.grid import grid

Rgba = NDArray[np.uint8]
TAG = "samples/generated"


class Samples:
    """Rows of pictures by step. `draw` makes one; a resumed training reads those that it made before."""

    def __init__(
        self, when: Sequence[int], draw: Callable[[], list[Rgba]], kept: Path | None, watched: Path | None
    ) -> None:
        self._when, self._draw, self._watched = frozenset(when), draw, watched
        self._kept = None if kept is None else kept / "samples"
        self._rows: dict[int, list[Rgba]] = {}

    def __call__(self, step: int) -> None:
        """Make the row of a step, if it has one."""
        if step not in self._when:
            return
        self._rows[step] = self._draw()
        for number, picture in enumerate(self._rows[step]):
            self._keep(f"{step}-{number}.png", picture)
        self._show(step)

    def write(self, path: Path) -> None:
        """Write all rows as one picture, the earliest first."""
        png.write(path, grid([self._rows.get(step) or self._read(step) for step in sorted(self._when)]))

    def _keep(self, name: str, picture: Rgba) -> None:
        if self._kept is None:
            return
        self._kept.mkdir(parents=True, exist_ok=True)
        temporary = self._kept / f"{name}.tmp"
        png.write(temporary, picture)
        with temporary.open("rb") as file:  # before a checkpoint says that the step is done
            os.fsync(file.fileno())
        temporary.replace(self._kept / name)

    def _read(self, step: int) -> list[Rgba]:
        assert self._kept is not None
        found = sorted(self._kept.glob(f"{step}-*.png"), key=lambda path: int(path.stem.partition("-")[2]))
        return [png.read(path) for path in found]

    def _show(self, step: int) -> None:
        """A file to look at, and for TensorBoard where that is installed; nothing is read from either."""
        if self._watched is None:
            return
        row = grid([self._rows[step]])
        self._watched.mkdir(parents=True, exist_ok=True)
        png.write(self._watched / f"step-{step:06}.png", row)
        with contextlib.suppress(ImportError):
            from torch.utils.tensorboard import SummaryWriter

            with SummaryWriter(str(self._watched)) as writer:
                writer.add_image(TAG, row[..., :3], step, dataformats="HWC")
