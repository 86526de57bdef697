"""The `project` fixture, and how Hypothesis runs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from projects import ISLAND, Project, safetensors

from spritebuild import ci, standby

settings.register_profile("here", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("here"), derandomize=True, print_blob=True)
settings.load_profile("ci" if ci.is_ci(os.environ) else "here")
for name in ci.VARIABLES:
    os.environ.pop(name, None)  # what people do is tested on build servers too
os.environ[standby.MINUTES] = "0"  # every command runs in the process that is started for it


LONG = (
    *("faults", "review", "test_cluster", "test_examples", "test_shared_servers", "test_trainings", "test_github"),
    "test_verify",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long comes first, so that no worker is left with it alone in the end."""
    items.sort(key=lambda item: not any(part.removesuffix(".py") in LONG for part in item.path.parts))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """An empty project."""
    return Project(tmp_path / "island")


@pytest.fixture
def island(project: Project) -> Project:
    """Two sprites, a palette, a style and a sheet; nothing is built."""
    return project.write(ISLAND)


@pytest.fixture
def pressed(project: Project) -> Project:
    """A sprite that depends on a small model in the project's folder; nothing is pinned or built."""
    project.file("weights/unet/model.safetensors", safetensors())
    project.file("weights/unet/config.json", "{}")
    return project.write(
        {
            "project": {"name": "island", "stages": "stages"},
            "models": {"mine": {"path": "weights", "licence": "CC0-1.0"}},
            "sprites": {"potion": {"stage": "press", "model": "mine", "prompt": "red potion"}},
        }
    )
