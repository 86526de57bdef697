"""What of a build took how long, in the Chrome trace format, which Perfetto and chrome://tracing open; knows no stage.

Times are of the monotonic clock, which all processes of a machine share.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Span:
    """What was done, by whom (a thread or a worker), from when to when, and on what."""

    what: str
    who: str
    started: float
    ended: float
    about: str = ""


class Spans:
    """Collects spans from any thread."""

    def __init__(self) -> None:
        self.found: list[Span] = []

    def add(self, what: str, who: str, started: float, ended: float, about: str = "") -> None:
        """Something was done."""
        self.found.append(Span(what, who, started, ended, about))

    def write(self, path: Path) -> None:
        """Write all of them as a trace."""
        path.write_text(json.dumps(trace(self.found), separators=(",", ":")), "utf-8")


@contextmanager
def timed(spans: Spans | None, what: str, about: str = "") -> Iterator[None]:
    """A span of this thread around what happens inside; nothing where no spans are collected."""
    if spans is None:
        yield
        return
    started = time.monotonic()
    try:
        yield
    finally:
        spans.add(what, threading.current_thread().name, started, time.monotonic(), about)


def trace(spans: list[Span]) -> dict[str, Any]:
    """The spans in the Chrome trace format: complete events in microseconds, a named lane for each who.

    Source: "Trace Event Format" (Google, 2016), JSON object format.
    """
    begin = min((span.started for span in spans), default=0.0)
    lanes = {who: number for number, who in enumerate(dict.fromkeys(span.who for span in spans), 1)}
    process = os.getpid()
    events: list[dict[str, Any]] = [
        {"ph": "M", "name": "process_name", "pid": process, "tid": 0, "args": {"name": "spritebuild"}}
    ]
    for who, lane in lanes.items():
        events.append({"ph": "M", "name": "thread_name", "pid": process, "tid": lane, "args": {"name": who}})
    events.extend(
        {
            "ph": "X",
            "name": span.what,
            "cat": "spritebuild",
            "pid": process,
            "tid": lanes[span.who],
            "ts": round((span.started - begin) * 1e6, 1),
            "dur": round((span.ended - span.started) * 1e6, 1),
            "args": {"action": span.about} if span.about else {},
        }
        for span in sorted(spans, key=lambda span: (span.started, -span.ended))
    )
    return {"traceEvents": events, "displayTimeUnit": "ms"}
