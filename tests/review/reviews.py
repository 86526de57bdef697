"""A review that runs in this process, and browsers that visit it over real HTTP."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
from pathlib import Path
from typing import Any
from urllib.parse import quote

from projects import Project

from spritebuild import approve
from spritebuild.approve import Choice
from spritebuild.review.routes import Routes
from spritebuild.review.server import Server
from spritebuild.review.session import Session
from spritebuild.status import Status

HOSTILE = "<script>alert(1)</script>\n::error::\u202e../../etc/passwd"
POTION, SHEET = "assets/potion.png", "assets/items*"


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


class Review:
    """A review that runs in threads of this process."""

    def __init__(self, session: Session, page: Path) -> None:
        self.session = session
        self.server = Server(Routes(session, page))
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()
        self.visitors: list[Visitor] = []

    def stranger(self) -> Visitor:
        """Somebody without a cookie."""
        self.visitors.append(Visitor(self.server.server_port))
        return self.visitors[-1]

    def visit(self) -> Visitor:
        visitor = self.stranger()
        assert visitor.open(self.server.address()).status == 303
        return visitor

    def end(self) -> None:
        for visitor in self.visitors:
            visitor.connection.close()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
        self.session.close()


def approve_all(project: Project) -> None:
    """Make everything as it is the baseline."""
    choices = [Choice(path, entry.digest, "approve") for path, entry in project.lock().items()]
    approve.approve(project.path, choices, Status())


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
