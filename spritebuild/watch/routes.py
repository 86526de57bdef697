"""What the page of a watch is answered: itself, its pictures, and a stream of what changes; changes nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from spritebuild.review.guard import Refused
from spritebuild.review.routes import PAGE, Reply, bytes_at, static
from spritebuild.watch.sheet import Sheet

EVENTS = "text/event-stream; charset=utf-8"
BREATH = 10.0  # seconds without a change after which a line says that somebody is there
TOGETHER = 0.03  # seconds in which further changes wait for each other


@dataclass(frozen=True)
class Routes:
    """The addresses of one watch."""

    sheet: Sheet
    page: Path = PAGE

    def read(self, path: str, query: Mapping[str, str]) -> Reply:
        """The answer to a GET. Raises Refused."""
        if path == "/":
            return static(self.page, "watch.html")
        if path == "/api/events":
            return Reply(200, type=EVENTS, stream=self._events())
        return bytes_at(path, self.page, self.sheet.pixels)

    def write(self, path: str, body: bytes) -> Reply:
        """Nothing is done by asking."""
        raise Refused(405 if path in ("/", "/api/events") else 404, "nothing is done here")

    def _events(self) -> Iterator[bytes]:
        """Server-sent events: everything at first, then what changed."""
        seen = 0
        while True:
            try:
                seen, said = self.sheet.after(seen, BREATH)
            except EOFError:
                yield b"event: end\ndata: {}\n\n"
                return
            yield b": still here\n\n" if said is None else b"data: " + said + b"\n\n"
            time.sleep(TOGETHER)
