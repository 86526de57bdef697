"""Downloads over http that go on where they were cut off, and are tried again with growing, random pauses."""

from __future__ import annotations

import contextlib
import http.client
import json
import random
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from spritebuild import __version__, digest
from spritebuild.errors import IntegrityError, MachineError
from spritebuild.pinned.sources import NETWORK

AGAIN = (408, 425, 429, 500, 502, 503, 504)  # answers that may be others in a moment
LONGEST_WISH = 60.0  # seconds of Retry-After that are granted
PIECE = 1 << 20
MOST_JSON = 32 << 20
HINT = "check the address and the network; what has arrived is kept, and the next try goes on from there"
OTHER_BYTES = "the source gives other bytes than were promised: use another, or pin it again"

T = TypeVar("T")


class _CutOff(Exception):  # noqa: N818 - it is no error until every try was in vain
    """A try that may do better if it is repeated."""

    def __init__(self, why: str, wait: float | None = None) -> None:
        super().__init__(why)
        self.wait = wait


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to http and https only, never back to http, and takes no secret to another host."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        old, new = urlsplit(req.full_url), urlsplit(newurl)
        if new.scheme not in NETWORK or (old.scheme == "https" and new.scheme == "http"):
            raise urllib.error.HTTPError(req.full_url, code, f"redirected to {new.scheme}", headers, fp)
        request = super().redirect_request(req, fp, code, msg, headers, newurl)
        if request is not None and new.netloc != old.netloc:
            request.headers = {k: v for k, v in request.headers.items() if k.lower() not in ("authorization", "cookie")}
        return request


class Http:
    """A client: at most `attempts` tries in a row that bring nothing, with pauses of up to `base * 2**n` seconds."""

    def __init__(
        self,
        *,
        attempts: int = 5,
        base: float = 0.5,
        cap: float = 30.0,
        timeout: float = 60.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.attempts, self.base, self.cap, self.timeout, self.sleep = attempts, base, cap, timeout, sleep
        self._opener = urllib.request.build_opener(_Redirects)

    def download(
        self,
        url: str,
        to: Path,
        *,
        size: int | None = None,
        sha256: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Put a file at `to`, whole or not at all. Raises MachineError, and IntegrityError for another sha256."""
        to.parent.mkdir(parents=True, exist_ok=True)
        if sha256 is not None and to.is_file() and digest.of_file(to) == sha256:
            return
        part = to.with_name(f".{to.name}.part")  # hidden: no part of what is pinned
        for fresh in (False, True):
            resumed = self._persist(
                url, lambda: self._piece(url, to, part, size, sha256, headers or {}), lambda: _size(part)
            )
            if resumed is None:  # what is here is still what is there
                return
            found = digest.of_file(part) if sha256 is not None else None
            if found == sha256:
                part.replace(to)
                return
            part.unlink()
            if fresh or not resumed:
                raise IntegrityError(
                    f"{to.name} is not what it should be",
                    where=url,
                    facts=[("expected", f"sha256 {sha256}"), ("found", f"sha256 {found}")],
                    hint=OTHER_BYTES,
                )

    def post(self, url: str, value: Any, kind: str) -> Any:
        """The JSON that a server answers to JSON."""

        def ask() -> Any:
            headers = {"Content-Type": kind, "Accept": kind}
            with self._open(url, headers, json.dumps(value).encode()) as answer:
                text = answer.read(MOST_JSON + 1)
            if len(text) > MOST_JSON:
                raise MachineError("the answer is too long", where=url)
            try:
                return json.loads(text)
            except ValueError:
                raise MachineError("the answer is not JSON", where=url, hint=HINT) from None

        return self._persist(url, ask, lambda: 0)

    def _persist(self, url: str, act: Callable[[], T], gained: Callable[[], int]) -> T:
        """Repeat what may do better; tries that brought bytes here do not count."""
        tried, before = 0, gained()
        while True:
            try:
                return act()
            except _CutOff as cut:
                now = gained()
                tried, before = (1 if now > before else tried + 1), now
                if tried >= self.attempts:
                    raise MachineError(f"gave up after {tried} tries: {cut}", where=url, hint=HINT) from cut
                pause = random.uniform(0, min(self.cap, self.base * 2 ** (tried - 1)))  # full jitter
                self.sleep(max(pause, min(cut.wait or 0.0, LONGEST_WISH)))

    def _piece(
        self, url: str, to: Path, part: Path, size: int | None, sha256: str | None, headers: Mapping[str, str]
    ) -> bool | None:
        """Bring what is missing; says whether that was joined to what was here, None where nothing has changed."""
        mark = Path(f"{part}.from")
        validator = _read_mark(mark, url)
        have = _size(part)
        if have and ((size is not None and have > size) or (validator is None and sha256 is None)):
            part.unlink()
            have = 0
        if have and have == size:
            return True
        asked = {**headers}
        if have:
            asked["Range"] = f"bytes={have}-"
            if validator is not None:
                asked["If-Range"] = validator
        elif sha256 is None and to.is_file() and validator is not None and validator.startswith('"'):
            asked["If-None-Match"] = validator
        try:
            answer = self._open(url, asked)
        except urllib.error.HTTPError as error:
            if error.code == 304:
                return None
            part.unlink(missing_ok=True)
            raise _CutOff(f"HTTP {error.code}") from error
        with answer:
            start = _start(answer) if answer.status == 206 else 0
            if start not in (0, have):
                raise _CutOff("the server sent another range than it was asked for")
            length = answer.headers.get("Content-Length")
            total = start + int(length) if length is not None and length.isdigit() else None
            if size is not None and total is not None and total != size:
                raise IntegrityError(
                    f"{to.name} has another size than was promised",
                    where=url,
                    facts=[("expected", f"{size} bytes"), ("found", f"{total} bytes")],
                    hint=OTHER_BYTES,
                )
            _write_mark(mark, url, answer)
            with part.open("r+b" if part.exists() else "wb") as stream:
                stream.truncate(start)
                stream.seek(start)
                here = self._copy(answer, stream, start, size)
            if here != (size if size is not None else total if total is not None else here):
                raise _CutOff(f"the connection ended after {here:,} of {size or total:,} bytes")
        return start > 0

    def _copy(self, answer: Any, stream: Any, here: int, size: int | None) -> int:
        while True:
            try:
                data = answer.read1(PIECE)
            except (OSError, http.client.HTTPException) as error:
                raise _CutOff(f"{type(error).__name__} after {here:,} bytes") from error
            if not data:
                return here
            here += len(data)
            if size is not None and here > size:
                facts = [("expected", f"{size} bytes")]
                raise IntegrityError("more bytes came than were promised", facts=facts, hint=OTHER_BYTES)
            stream.write(data)

    def _open(self, url: str, headers: Mapping[str, str], data: bytes | None = None) -> Any:
        """An answer; HTTPError for 304 and 416, which are the caller's to judge."""
        said = {"User-Agent": f"spritebuild/{__version__}", "Accept-Encoding": "identity", **headers}
        if urlsplit(url).scheme not in NETWORK:
            raise MachineError("not an address of the web", where=url)
        try:
            return self._opener.open(urllib.request.Request(url, data, said), timeout=self.timeout)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code in (304, 416):
                raise
            if error.code in AGAIN:
                raise _CutOff(f"HTTP {error.code}", _wish(error.headers.get("Retry-After"))) from error
            hint = "it asks for a login, which is not given" if error.code in (401, 403) else HINT
            raise MachineError(f"HTTP {error.code} {error.reason}", where=url, hint=hint) from error
        except (OSError, http.client.HTTPException) as error:  # URLError is an OSError
            raise _CutOff(str(getattr(error, "reason", error) or type(error).__name__)) from error


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _wish(text: str | None) -> float | None:
    return float(text) if text is not None and text.isdigit() else None


def _start(answer: Any) -> int:
    found = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
    return int(found[1]) if found else -1


def _write_mark(mark: Path, url: str, answer: Any) -> None:
    """Remember which version of the file is arriving: a strong ETag, or a date."""
    etag = answer.headers.get("ETag")
    validator = etag if etag is not None and etag.startswith('"') else answer.headers.get("Last-Modified")
    mark.write_text(json.dumps({"url": url, "validator": validator}), "utf-8")


def _read_mark(mark: Path, url: str) -> str | None:
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        said = json.loads(mark.read_text("utf-8"))
        if said["url"] == url and isinstance(said["validator"], str):
            return str(said["validator"])
    return None
