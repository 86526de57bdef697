"""Who visits our pages: a headless Chromium, and visitors as far as HTTP goes; knows no page and no test."""

from __future__ import annotations

import contextlib
import http.client
import json
import shutil
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Answer:
    """What came back."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Visitor:
    """A browser, as far as HTTP goes: one connection, which is kept, and the cookie."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.host = f"127.0.0.1:{port}"
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self.cookie: dict[str, str] = {}

    def open(self, address: str) -> Answer:
        answer = self.ask("GET", address.partition(self.host)[2])
        if answer.status == 303:
            self.cookie = {"Cookie": answer.headers["Set-Cookie"].partition(";")[0]}
        return answer

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        said = {**self.cookie, **{name.replace("_", "-"): value for name, value in headers.items()}}
        self.connection.request(method, path, body, said)
        return Answer(self.connection.getresponse())

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, **headers)

    def case(self, path: str) -> Any:
        return self.get(f"/api/case?path={quote(path, safe='')}").json

    def rows(self) -> dict[str, Any]:
        return {row["path"]: row for row in self.get("/api/cases").json["cases"]}

    def post(self, path: str, value: Any, **headers: str) -> Answer:
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        said = {"Origin": f"http://{self.host}", "X_Spritebuild": "1", "Content_Type": "application/json", **headers}
        return self.ask("POST", path, body, **{name: value for name, value in said.items() if value or name == "Host"})

    def decide(self, *items: tuple[str, str], comment: str = "") -> Answer:
        rows = self.rows()
        return self.post(
            "/api/decide",
            {
                "items": [
                    {"path": path, "digest": rows[path]["digest"], "decision": decision, "comment": comment}
                    for path, decision in items
                ]
            },
        )


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    """A headless Chromium; skips the test where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
    if CHROMIUM is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        try:
            yield browser
        finally:
            browser.close()


def raw(port: int, lines: tuple[str, ...], body: bytes = b"") -> bytes:
    """What comes back to these very bytes, until nothing more does."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall("".join(f"{line}\r\n" for line in (*lines, "")).encode() + body)
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_WR)
        found = b""
        with contextlib.suppress(ConnectionError):
            while piece := connection.recv(65536):
                found += piece
        return found
