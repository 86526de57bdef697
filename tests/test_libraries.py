"""Which versions of which libraries are said to have been at work."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy
import pytest

from spritebuild.libraries import Libraries
from spritebuild_stages import finish

FILES = {
    "gamestage/__init__.py": "",
    "gamestage/paint.py": """
        import os, numpy as np
        from . import brush
        from gamestage.deep import (
            color,  # a comment
            shade as other,
        )
    """,
    "gamestage/brush.py": "def run():\n    from bristles import soft; import neverloaded\n",
    "gamestage/deep/__init__.py": "",
    "gamestage/deep/color.py": "from ..brush import run\n",
    "gamestage/deep/shade.py": "import shadows.long as s\n",
    "bristles.py": "__version__ = '3.1'\nimport hidden\nsoft = 1\n",
    "hidden.py": "__version__ = '9'\n",
    "neverloaded.py": "__version__ = '1'\n",
    "shadows/__init__.py": "",
    "shadows/long.py": "",
    "shadows-2.5.dist-info/METADATA": "Metadata-Version: 2.1\nName: shadows\nVersion: 2.5\n",
}


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A stage's module whose code is in several files; loaded, but for what its functions import."""
    for path, text in FILES.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text.replace("\n        ", "\n"))
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    importlib.import_module("gamestage.paint")
    yield "gamestage.paint"
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_libraries_are_found_through_all_of_a_stages_own_code(stage: str) -> None:
    assert Libraries().of(stage) == {
        "numpy": numpy.__version__,
        "python": sys.version.split()[0],
        "shadows": "2.5",
    }


def test_import_inside_a_function_counts_once_it_was_done(stage: str) -> None:
    libraries = Libraries()
    assert "bristles" not in libraries.of(stage)
    importlib.import_module("bristles")
    found = libraries.of(stage)
    assert found["bristles"] == "3.1"
    assert not {"hidden", "neverloaded"} & found.keys()


def test_a_built_in_stage_names_what_its_bytes_depend_on() -> None:
    importlib.import_module("spritebuild_stages.images.given")
    importlib.import_module("spritebuild_stages.ops.applied")
    assert {"PIL", "deflate", "numpy", "python"} <= Libraries().of(finish.__name__).keys()


def test_module_without_a_file_has_python_alone() -> None:
    assert list(Libraries().of("sys")) == ["python"]
