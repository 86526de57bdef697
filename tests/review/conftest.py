"""Projects to review, and reviews of them that end with their test."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from projects import Project
from reviews import HOSTILE, Review, approve_all

from spritebuild.review.session import Session


@pytest.fixture
def page_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "page"
    folder.mkdir()
    (folder / "index.html").write_text("<!doctype html><title>review</title>", "utf-8")
    (folder / "app.js").write_text("'use strict';\n", "utf-8")
    return folder


@pytest.fixture
def review(page_folder: Path) -> Iterator[Callable[..., Review]]:
    """Starts reviews of a project, and ends them."""
    with contextlib.ExitStack() as stack:

        def start(project: Project, *patterns: str, **said: Any) -> Review:
            started = Review(Session(project.path, patterns, **said), page_folder)
            stack.callback(lambda: started.thread.is_alive() and started.end())
            return started

        yield start


@pytest.fixture
def changed(island: Project) -> Project:
    """Two sprites and their sheet, approved and then changed; one more sprite; a sprite that is gone."""
    island.edit("sprites.ring", {"style": "base", "prompt": "ring"})
    island.edit("sheets.items", {"sprites": ["potion", "sword"], "tags": {"spin": {"frames": ["*"], "duration": 50}}})
    island.build()
    approve_all(island)
    island.edit("styles.base.steps", 28)
    island.edit("palettes.gray.colors", ["#000000", "#888888", "#ffffff", "#ff0000"])
    island.edit("sprites.shield", {"style": "base", "prompt": HOSTILE})
    island.edit("sprites.ring", None)
    island.build()
    return island
