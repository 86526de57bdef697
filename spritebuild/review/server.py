"""The server of our pages: HTTP/1.1 on the loopback address, for whoever has the cookie; knows no case."""

from __future__ import annotations

import re
import socketserver
import sys
import traceback
from collections.abc import Iterable
from dataclasses import replace
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

from spritebuild.errors import SpritebuildError
from spritebuild.review.guard import Guard, Refused
from spritebuild.review.routes import HTML, Answers, Reply, of_error, of_json, of_refusal

LOOPBACK = "127.0.0.1"
LARGEST_BODY = 32 << 20  # bytes; 100,000 decisions
LARGEST_PASSED_OVER = 1 << 16
IDLE = 60  # seconds after which a connection that says nothing is closed
FIELDS = 8  # of a query
NUMBER = re.compile(r"[0-9]{1,12}")
POLICY = (
    "default-src 'none'; img-src 'self' blob: data:; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
ALWAYS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Server(ThreadingHTTPServer):
    """Serves answers on a port of the loopback address; a free one for port 0. Raises OSError for one in use."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, routes: Answers, port: int = 0) -> None:
        super().__init__((LOOPBACK, port), Handler)
        self.guard = Guard(self.server_port)
        self.routes = routes

    def server_bind(self) -> None:
        """As a TCP server does: no name is looked up for the address."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]

    def address(self) -> str:
        """An address that opens the page once."""
        return f"http://{LOOPBACK}:{self.server_port}/?t={self.guard.invite()}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Who hangs up is no error of ours; of others nothing is told but the place in the code."""
        if not isinstance(sys.exception(), OSError):
            traceback.print_exc()


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: Server
    protocol_version = "HTTP/1.1"
    server_version = "spritebuild"
    sys_version = ""
    timeout = IDLE
    wbufsize = 1 << 16
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        try:
            reply = self._reply()
        except Refused as refused:
            reply = self._refusal(refused)
        except SpritebuildError as error:
            reply = of_error(error)
        except OSError:
            raise
        except Exception as error:
            traceback.print_exc()
            reply = of_json({"error": f"{type(error).__name__}", "hint": "the terminal says where"}, 500)
        self._send(reply)

    def _reply(self) -> Reply:
        path, _, query = self.path.partition("?")
        length = self._length()
        try:
            self.server.guard.check(self.command, path, self.headers)
            said = _query(query)
            if self.command == "GET" and path == "/" and "t" in said:
                cookie = self.server.guard.admitted(said["t"])
                return Reply(303, type=HTML, headers={"Location": "/", "Set-Cookie": cookie})
            self.server.guard.check_visitor(self.headers)
        except Refused:
            self._pass_over(length)
            raise
        body = self._body(length)
        return self.server.routes.write(path, body) if self.command == "POST" else self.server.routes.read(path, said)

    def _length(self) -> int:
        """How long the body is that comes. The connection is closed after what cannot be told or is too much."""
        given = self.headers.get_all("Content-Length", ["0"] if self.command != "POST" else [])
        if "Transfer-Encoding" in self.headers or len(given) != 1 or not NUMBER.fullmatch(given[0]):
            self.close_connection = True
            raise Refused(411, "a body has a Content-Length")
        if int(given[0]) > LARGEST_BODY:
            self.close_connection = True
            raise Refused(413, f"a body has at most {LARGEST_BODY:,} bytes")
        return int(given[0])

    def _pass_over(self, length: int) -> None:
        """Leave out the body of a refused request, so that the next one begins after it."""
        if length > LARGEST_PASSED_OVER or len(self.rfile.read(length)) != length:
            self.close_connection = True

    def _body(self, length: int) -> bytes:
        body = self.rfile.read(length)
        if len(body) != length:
            self.close_connection = True
            raise Refused(400, "the body is cut off")
        if self.command == "POST" and self.headers.get_content_type() != "application/json":
            raise Refused(415, "a body is application/json")
        return body

    def _refusal(self, refused: Refused) -> Reply:
        """JSON for programs; a page for who opened the address."""
        if self.path.partition("?")[0] != "/":
            return of_refusal(refused)
        text = "".join(f"<p>{escape(words)}</p>" for words in (f"Refused: {refused}.", refused.hint) if words)
        again = '<p><a href="/">Open the page</a></p>'
        page = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>spritebuild</title>{text}{again}</html>'
        return Reply(refused.status, page.encode(), HTML)

    def _send(self, reply: Reply) -> None:
        if reply.stream is not None:
            self._send_stream(reply, reply.stream)
            return
        tag = f'"{reply.tag}"' if reply.tag else ""
        if tag and reply.status == 200 and tag in (self.headers.get("If-None-Match") or ""):
            reply = Reply(304, tag=reply.tag, forever=reply.forever, type=reply.type)
        packed = reply.packed() if _takes_gzip(self.headers.get("Accept-Encoding") or "") else None
        self.send_response(reply.status)
        for name, value in {**ALWAYS, **reply.headers}.items():
            self.send_header(name, value)
        if tag:
            self.send_header("ETag", tag)
        lasts = "private, max-age=31536000, immutable" if reply.forever else "no-cache" if tag else "no-store"
        self.send_header("Cache-Control", lasts)
        if reply.status != 304:
            self.send_header("Content-Type", reply.type)
            self.send_header("Vary", "Accept-Encoding")
            if packed is not None:
                self.send_header("Content-Encoding", "gzip")
            self.send_header("Content-Length", str(len(reply.body if packed is None else packed)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD" and reply.status != 304:
            self.wfile.write(reply.body if packed is None else packed)

    def _send_stream(self, reply: Reply, pieces: Iterable[bytes]) -> None:
        """Send pieces as they come; the connection ends with them."""
        self.close_connection = True
        self.send_response(reply.status)
        for name, value in {**ALWAYS, **reply.headers, "Content-Type": reply.type, "Cache-Control": "no-store"}.items():
            self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            for piece in pieces:
                self.wfile.write(piece)
                self.wfile.flush()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What http.server itself refuses: it says so without a word of the request, and closes."""
        self.close_connection = True
        self.command = getattr(self, "command", None) or "GET"
        if not hasattr(self, "headers"):
            self.headers = self.MessageClass()
        status = 405 if code == 501 else code
        reply = of_json({"error": "not a request that is answered here", "hint": ""}, status)
        self._send(replace(reply, headers={"Allow": "GET, HEAD, POST"} if status == 405 else {}))

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: addresses hold tokens, and names of assets."""


def _query(text: str) -> dict[str, str]:
    """The fields of a query; the last of equal names counts. Raises Refused."""
    try:
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=FIELDS, errors="strict"))
    except ValueError:
        raise Refused(400, "not a query") from None


def _takes_gzip(accepted: str) -> bool:
    for part in accepted.lower().split(","):
        name, _, weight = part.partition(";")
        if name.strip() == "gzip":
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
