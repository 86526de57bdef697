"""What the review server answers to each address; knows a session, and neither sockets nor who asks."""

from __future__ import annotations

import contextlib
import gzip
import json
import mimetypes
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from spritebuild import digest
from spritebuild.errors import (
    IntegrityError,
    LockError,
    PolicyError,
    RegressionError,
    SpritebuildError,
    UsageError,
)
from spritebuild.files import machine_errors
from spritebuild.review.guard import Refused
from spritebuild.review.session import MOST_ITEMS, Session
from spritebuild.store import Damaged

PAGE = Path(__file__).parent / "page"
STATIC = re.compile(r"/[A-Za-z0-9_][A-Za-z0-9._-]*\.(?:js|css|svg|png|ico|woff2|txt)")
PIXELS = re.compile(r"/pixels/([0-9a-f]{64})(?:\.png)?")
JSON = "application/json; charset=utf-8"
HTML = "text/html; charset=utf-8"
TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".html": HTML}
MOST_DAMAGED = 100  # files of the store that one answer may meet
WORTH_PACKING = 1400  # bytes; less fits a packet
STATUS = {UsageError: 422, LockError: 409, RegressionError: 409, IntegrityError: 409, PolicyError: 403}


@dataclass(frozen=True)
class Reply:
    """What is sent. `tag` names the bytes, for caches; `forever` says that its address never has others."""

    status: int
    body: bytes = b""
    type: str = JSON
    tag: str = ""
    forever: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    stream: Iterable[bytes] | None = None  # what is sent instead of a body, piece by piece, until the visitor goes

    def packed(self) -> bytes | None:
        """The body, smaller; None where that does not pay."""
        if len(self.body) < WORTH_PACKING or not self.type.startswith(("text/", "application/json", "image/svg")):
            return None
        return gzip.compress(self.body, 4, mtime=0)


def of_json(value: Any, status: int = 200) -> Reply:
    """JSON of pure ASCII: nothing in it ends a script or a line of any kind."""
    return Reply(status, json.dumps(value, separators=(",", ":")).encode())


def of_refusal(error: Refused) -> Reply:
    """The answer to what is refused."""
    return of_json({"error": str(error), "hint": error.hint}, error.status)


def of_error(error: SpritebuildError) -> Reply:
    """The answer to what failed, in the words of the command line."""
    status = next((status for kind, status in STATUS.items() if isinstance(error, kind)), 500)
    message = f"{error.where}: {error.message}" if error.where else error.message
    facts = [[name, value] for name, value in error.facts]
    return of_json({"error": message, "hint": error.hint or "", "facts": facts}, status)


def static(page: Path, name: str) -> Reply:
    """A file of the page. Raises Refused where there is none of that name."""
    place = page / name
    if place.is_symlink() or not place.is_file():
        raise Refused(404, "nothing is here")
    data = place.read_bytes()
    guessed = TYPES.get(place.suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    return Reply(200, data, guessed, digest.of_bytes(data))


def bytes_at(path: str, page: Path, pixels: Callable[[str], bytes | None]) -> Reply:
    """What else is served, bytes as they are: pixels by their digest, files of the page. Raises Refused."""
    if found := PIXELS.fullmatch(path):
        data = pixels(found[1])
        if data is None:
            raise Refused(404, "no such picture here")
        return Reply(200, data, "image/png", found[1], forever=True)
    if STATIC.fullmatch(path):
        with machine_errors():
            return static(page, path[1:])
    raise Refused(404, "nothing is here")


class Answers(Protocol):
    """What a server serves."""

    def read(self, path: str, query: Mapping[str, str]) -> Reply: ...

    def write(self, path: str, body: bytes) -> Reply: ...


class Routes:
    """The addresses of one review."""

    def __init__(self, session: Session, page: Path = PAGE) -> None:
        self.session = session
        self.page = page
        self._reading: Mapping[str, Callable[[Mapping[str, str]], Reply]] = {
            "/": lambda query: static(self.page, "index.html"),
            "/api/project": lambda query: of_json(session.project()),
            "/api/cases": lambda query: self._cases(),
            "/api/case": lambda query: of_json(session.case(_text(query, "path"))),
            "/api/steps": lambda query: of_json({"steps": session.steps_of(_text(query, "path"))}),
            "/api/decisions": lambda query: self._decisions(),
        }
        self._writing: Mapping[str, Callable[[Mapping[str, Any]], Reply]] = {
            "/api/decide": self._decide,
            "/api/save": lambda body: of_json(session.save()),
            "/api/pick": self._pick,
            "/api/refresh": self._refresh,
        }

    def read(self, path: str, query: Mapping[str, str]) -> Reply:
        """The answer to a GET. Raises Refused."""
        if path in self._reading:
            for _ in range(MOST_DAMAGED):
                with (
                    contextlib.suppress(Damaged),
                    machine_errors(),
                ):  # what it showed is set aside, and counts as missing from now on
                    return self._reading[path](query)
            raise Refused(500, "the store is damaged", "spritebuild doctor")
        if path in self._writing:
            raise Refused(405, "asked for by POST")
        return bytes_at(path, self.page, self.session.pixels)

    def write(self, path: str, body: bytes) -> Reply:
        """The answer to a POST. Raises Refused."""
        if path not in self._writing:
            raise Refused(405 if path in self._reading else 404, "nothing is done here")
        try:
            value = json.loads(body) if body else {}
        except (ValueError, RecursionError):
            raise Refused(400, "not JSON") from None
        if not isinstance(value, dict):
            raise Refused(400, "not a JSON object")
        with machine_errors():
            return self._writing[path](value)

    def _cases(self) -> Reply:
        revision, body = self.session.cases()
        return Reply(200, body, JSON, f"{self.session.name}-{revision}")

    def _decisions(self) -> Reply:
        headers = {"Content-Disposition": 'attachment; filename="decisions.json"'}
        return Reply(200, self.session.decided().encode(), JSON, headers=headers)

    def _decide(self, body: Mapping[str, Any]) -> Reply:
        items = body.get("items")
        if not isinstance(items, list) or len(items) > MOST_ITEMS:
            raise Refused(400, f"items is a list of up to {MOST_ITEMS:,}")
        done, rows = self.session.decide(items)
        answer = {"items": rows, "unsaved": self.session.unsaved}
        if done:
            return of_json(answer)
        words = "not what was looked at any more" if rows else "no longer there"
        return of_json({"error": words, "hint": "look again, and decide anew", **answer}, 409)

    def _pick(self, body: Mapping[str, Any]) -> Reply:
        target, seed, name = body.get("target"), body.get("seed"), body.get("digest")
        if not isinstance(target, str) or type(seed) is not int or not isinstance(name, str):
            raise Refused(400, "a pick has a target, a seed and a digest")
        return of_json({"candidates": self.session.pick(target, seed, name)})

    def _refresh(self, body: Mapping[str, Any]) -> Reply:
        self.session.refresh()
        return of_json(self.session.project())


def _text(query: Mapping[str, str], name: str) -> str:
    if name not in query:
        raise Refused(400, f"no {name} was given")
    return query[name]
