"""How the spritefile is saved here: as most editors do, another file in its place, so that nobody reads half of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from projects import Project


@pytest.fixture(autouse=True)
def saved_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    write = Project.write

    def saved(self: Project, declared: str | Mapping[str, Any]) -> Project:
        path = self.path
        self.path = path.with_name(".spritefile.toml.new")
        try:
            write(self, declared)
            self.path.replace(path)
        finally:
            self.path = path
        return self

    monkeypatch.setattr(Project, "write", saved)
