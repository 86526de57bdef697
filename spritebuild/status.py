"""What a build tells whoever watches; knows neither terminals nor formats (those are in cli/progress.py)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Status:
    """Receives a build's events. Every method may be left out; none may fail the build. This one says nothing."""

    def message(self, text: str) -> None:
        """Something worth saying once, such as that another build is waited for."""

    def warning(self, text: str) -> None:
        """Something the user should act on, though the build goes on."""

    def planned(self, to_run: Mapping[str, int]) -> None:
        """The build begins: how many actions of each stage will run, as far as is known now."""

    def expected(self, action: str, reason: str) -> None:
        """An action will run, or wait for one that runs, as far as is known now."""

    def started(self, action: str, stage: str, reason: str) -> None:
        """An action goes to an executor."""

    def finished(self, action: str, stage: str, seconds: float) -> None:
        """An action's outputs are in the store."""

    def reused(self, action: str, stage: str) -> None:
        """An action planned as `wait` or `run` turned out to be in the store: early cutoff."""

    def failed(self, action: str, stage: str, error: str) -> None:
        """An action failed; nothing of it was stored."""

    def made(self, path: str, digest: str) -> None:
        """The bytes of an asset are known and in place, or in the store and about to be installed."""

    def installed(self, path: str) -> None:
        """An asset was put into the project."""

    def removed(self, path: str) -> None:
        """A stale asset that an earlier build had installed is gone."""

    def ended(self, summary: Mapping[str, Any]) -> None:
        """The build is over: counts and seconds."""
