"""Shows a build's events: a live line on a terminal, plain lines elsewhere, JSON lines for programs."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import click

from spritebuild.status import Status


def emit(**event: Any) -> None:
    """One event as a JSON line on stdout."""
    sys.stdout.write(json.dumps(event, separators=(",", ":")) + "\n")
    sys.stdout.flush()


@contextlib.contextmanager
def status_for(*, quiet: bool, as_json: bool) -> Iterator[Status]:
    """The Status for this terminal and these options."""
    if as_json:
        yield JsonStatus()
    elif quiet:
        yield QuietStatus()
    elif sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        live = LiveStatus()
        try:
            yield live
        finally:
            live.close()
    else:
        yield PlainStatus()


def say(text: str, *, mark: str = "", color: str | None = None) -> None:
    """A line for people, on stderr."""
    prefix = click.style(mark, fg=color, bold=True) + " " if mark else ""
    click.echo(f"{prefix}{text}", err=True, color=False if os.environ.get("NO_COLOR") else None)


def summary_line(summary: Mapping[str, Any], ran: Counter[str]) -> str:
    """`ran 24 generate, 24 finish; installed 24 assets in 12.3 s`, or `nothing to do`."""
    parts = []
    if ran:
        parts.append("ran " + ", ".join(f"{count} {stage}" for stage, count in ran.items()))
    if summary["installed"]:
        parts.append(f"installed {summary['installed']} asset{'s' * (summary['installed'] > 1)}")
    if summary["removed"]:
        parts.append(f"removed {summary['removed']} stale")
    return f"{'; '.join(parts)} in {summary['seconds']:.1f} s" if parts else "nothing to do"


class QuietStatus(Status):
    """Warnings only: errors are reported by who catches them."""

    def warning(self, text: str) -> None:
        say(text, mark="warning:", color="yellow")


class PlainStatus(QuietStatus):
    """A line for every finished action: for logs."""

    def __init__(self) -> None:
        self.ran: Counter[str] = Counter()
        self.count = self.total = 0
        self.started_at = time.monotonic()

    def message(self, text: str) -> None:
        say(text)

    def planned(self, to_run: Mapping[str, int]) -> None:
        self.total = sum(to_run.values())
        if self.total:
            say("to run: " + ", ".join(f"{count} {stage}" for stage, count in to_run.items()))

    def reused(self, action: str, stage: str) -> None:
        self.total -= 1

    def finished(self, action: str, stage: str, seconds: float) -> None:
        self.ran[stage] += 1
        self.count += 1
        sys.stderr.write(f"[{self.count}/{self.total}] {action}  {seconds:.2f} s\n")  # `say` looks at the terminal

    def failed(self, action: str, stage: str, error: str) -> None:
        say(error, mark="failed:", color="red")

    def removed(self, path: str) -> None:
        say(f"removed {path}, which nothing declares any more")

    def ended(self, summary: Mapping[str, Any]) -> None:
        say(summary_line(summary, self.ran))


class LiveStatus(PlainStatus):
    """One live line: what is done, the rate and the time left."""

    def __init__(self) -> None:
        super().__init__()
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(compact=True),
            console=Console(stderr=True),
            transient=True,
            refresh_per_second=8,
        )
        self.tasks: dict[str, Any] = {}
        self.done: Counter[str] = Counter()

    def close(self) -> None:
        self.progress.stop()

    def message(self, text: str) -> None:
        self.progress.console.print(text, markup=False, highlight=False)

    def warning(self, text: str) -> None:
        self.progress.console.print(f"[bold yellow]warning:[/] {_escaped(text)}", highlight=False)

    def planned(self, to_run: Mapping[str, int]) -> None:
        if to_run:
            self.progress.start()
        for stage, count in to_run.items():
            self.tasks[stage] = self.progress.add_task(stage, total=count, rate="")

    def reused(self, action: str, stage: str) -> None:
        if stage in self.tasks:
            self.progress.advance(self.tasks[stage])

    def finished(self, action: str, stage: str, seconds: float) -> None:
        self.ran[stage] += 1
        if stage in self.tasks:
            rate = self.ran[stage] / max(time.monotonic() - self.started_at, 0.1)
            self.progress.update(self.tasks[stage], advance=1, rate=f"{rate:.1f}/s")

    def failed(self, action: str, stage: str, error: str) -> None:
        self.progress.console.print(f"[bold red]failed:[/] {_escaped(error)}", highlight=False)

    def removed(self, path: str) -> None:
        self.message(f"removed {path}, which nothing declares any more")

    def ended(self, summary: Mapping[str, Any]) -> None:
        self.progress.stop()
        super().ended(summary)


def _escaped(text: str) -> str:
    from rich.markup import escape

    return escape(text)


class JsonStatus(Status):
    """Every event as a JSON line on stdout."""

    def message(self, text: str) -> None:
        emit(event="message", text=text)

    def warning(self, text: str) -> None:
        emit(event="warning", text=text)

    def planned(self, to_run: Mapping[str, int]) -> None:
        emit(event="planned", to_run=dict(to_run))

    def started(self, action: str, stage: str, reason: str) -> None:
        emit(event="started", action=action, stage=stage, reason=reason)

    def finished(self, action: str, stage: str, seconds: float) -> None:
        emit(event="finished", action=action, stage=stage, seconds=round(seconds, 4))

    def reused(self, action: str, stage: str) -> None:
        emit(event="reused", action=action, stage=stage)

    def failed(self, action: str, stage: str, error: str) -> None:
        emit(event="failed", action=action, stage=stage, error=error)

    def installed(self, path: str) -> None:
        emit(event="installed", path=path)

    def removed(self, path: str) -> None:
        emit(event="removed", path=path)

    def ended(self, summary: Mapping[str, Any]) -> None:
        emit(event="ended", **summary)
