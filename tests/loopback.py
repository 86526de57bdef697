"""An http server on the loopback that serves files by ranges, fails as it is told to, and keeps what it was asked."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Site:
    """What the server has by path, and which faults the next requests meet, in their order.

    A fault is a status code, `("cut", n)`: the connection ends after n bytes, `("reset",)`: it ends before any answer,
    `("stall", n)`: it falls silent after n bytes, or `("damage",)`: as many bytes as there should be, but others.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    faults: list[Any] = field(default_factory=list)
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)  # method, path, headers
    objects: dict[str, bytes] = field(default_factory=dict)  # of Git LFS, by oid
    ranges: bool = True
    etags: bool = True
    url: str = ""
    wait: str | None = None  # of Retry-After
    repositories: str = ""  # the folder whose bare git repositories are served below /git/

    def ranges_asked(self) -> list[str | None]:
        return [headers.get("Range") for method, _, headers in self.asked if method == "GET"]


@contextlib.contextmanager
def serving(site: Site) -> Iterator[Site]:
    """Serve a site while the block runs."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:
            """Tests look at `asked`."""

        def do_GET(self) -> None:
            site.asked.append(("GET", self.path, dict(self.headers)))
            if self.path.startswith("/git/"):
                self._git(b"")
                return
            fault = site.faults.pop(0) if site.faults else None
            if isinstance(fault, int):
                self.send_response(fault)
                if site.wait is not None:
                    self.send_header("Retry-After", site.wait)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            if fault == ("reset",):
                self.close_connection = True
                return
            if isinstance(fault, tuple) and fault[0] == "redirect":
                self.send_response(302)
                self.send_header("Location", fault[1])
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            path = self.path.removeprefix("/objects/")
            data = site.objects.get(path) if self.path.startswith("/objects/") else site.files.get(self.path)
            if data is None:
                self.send_error(404)
                return
            self._answer(data, fault)

        def _answer(self, data: bytes, fault: Any) -> None:
            etag = f'"{hashlib.md5(data).hexdigest()}"'
            asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
            start = int(asked[1]) if asked and site.ranges else 0
            if self.headers.get("If-Range") not in (None, etag):
                start = 0
            if self.headers.get("If-None-Match") == etag:
                self.send_response(304)
                self.end_headers()
                return
            if start and start >= len(data):
                self.send_response(416)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
            if site.etags:
                self.send_header("ETag", etag)
            body = data[start:]
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if fault == ("damage",):
                body = bytes(byte ^ 1 for byte in body)
            if isinstance(fault, tuple) and fault[0] == "cut":
                self.wfile.write(body[: fault[1]])
                self.close_connection = True
                return
            if isinstance(fault, tuple) and fault[0] == "stall":
                self.wfile.write(body[: fault[1]])
                self.wfile.flush()
                self.connection.recv(1)  # until the client goes away
                self.close_connection = True
                return
            self.wfile.write(body)

        def do_POST(self) -> None:
            site.asked.append(("POST", self.path, dict(self.headers)))
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path.endswith("/git-upload-pack"):
                self._git(body)
                return
            request = json.loads(body)
            rows = []
            for each in request["objects"]:
                if each["oid"] in site.objects:
                    action = {"href": f"{site.url}/objects/{each['oid']}", "header": {"Authorization": "Basic eDp5"}}
                    rows.append({**each, "actions": {"download": action}})
                else:
                    rows.append({**each, "error": {"code": 404, "message": "Object does not exist"}})
            reply = json.dumps({"transfer": "basic", "objects": rows, "hash_algo": "sha256"}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/vnd.git-lfs+json")
            self.send_header("Content-Length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        def _git(self, body: bytes) -> None:
            """What `git http-backend` answers."""
            path, _, query = self.path.removeprefix("/git").partition("?")
            about = {
                "GIT_PROJECT_ROOT": site.repositories,
                "GIT_HTTP_EXPORT_ALL": "1",
                "REQUEST_METHOD": self.command,
                "PATH_INFO": path,
                "QUERY_STRING": query,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "CONTENT_LENGTH": str(len(body)),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "HTTP_GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            }
            ended = subprocess.run(
                ["git", "http-backend"], input=body, env={**os.environ, **about}, stdout=subprocess.PIPE, check=True
            )
            head, _, reply = ended.stdout.partition(b"\r\n\r\n")
            rows = [line.split(": ", 1) for line in head.decode().splitlines()]
            headers = dict(rows)
            self.send_response(int(headers.pop("Status", "200").split()[0]))
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

    class Server(http.server.ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            if not isinstance(sys.exc_info()[1], ConnectionError):  # clients that are killed say nothing
                super().handle_error(request, client_address)

    server = Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    site.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
