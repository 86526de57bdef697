"""Who may ask a server of ours for something: a one-time token, then a cookie; Host and Origin. Knows no server."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Sequence
from email.message import Message

MARK = "X-Spritebuild"  # a header that no form and no foreign script can send without asking first
NEW_ADDRESS = "In the terminal where spritebuild runs, press Enter: it prints a new address. Or start it again."


class Refused(Exception):  # noqa: N818 - it is an answer, with its HTTP status
    """A request that gets nothing."""

    def __init__(self, status: int, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.hint = hint


class Guard:
    """The rules of one server on one port. Secrets leave it in `invite` and `admitted` alone."""

    def __init__(self, port: int) -> None:
        self.hosts = (f"127.0.0.1:{port}", f"localhost:{port}")
        self.cookie = f"spritebuild-{secrets.token_hex(4)}"  # cookies know no ports: another server's is another one
        self._secret = secrets.token_urlsafe(32)
        self._token = ""
        self._changing = threading.Lock()

    def invite(self) -> str:
        """A token that is good for one visit; one that was not used before is so no longer."""
        with self._changing:
            self._token = secrets.token_urlsafe(32)
            return self._token

    def admitted(self, token: str) -> str:
        """The `Set-Cookie` header for a visitor with that token, which is used up. Raises Refused."""
        with self._changing:
            if not self._token or not _equal(token, self._token):
                raise Refused(403, "this address was used before, or was never given out", NEW_ADDRESS)
            self._token = ""
        return f"{self.cookie}={self._secret}; Path=/; HttpOnly; SameSite=Strict"

    def check(self, method: str, path: str, headers: Message) -> None:
        """Raise Refused for a request that another site, another name or another program may have made."""
        host = _only(headers, "Host")
        if host not in self.hosts:
            raise Refused(421, "this server is asked by its own address alone")
        site = headers.get("Sec-Fetch-Site", "same-origin")
        followed = method in ("GET", "HEAD") and path == "/" and headers.get("Sec-Fetch-Mode") == "navigate"
        if site not in ("same-origin", "none") and not followed:
            raise Refused(403, "asked from another site")
        if method == "POST":
            if _only(headers, "Origin") != f"http://{host}":
                raise Refused(403, "asked from another site")
            if headers.get(MARK) != "1":
                raise Refused(403, f"no header {MARK}: 1")

    def check_visitor(self, headers: Message) -> None:
        """Raise Refused for a request without the cookie."""
        given = (part.strip().partition("=") for line in headers.get_all("Cookie", ()) for part in line.split(";"))
        if not any(_equal(value, self._secret) for name, _, value in given if name == self.cookie):
            raise Refused(401, "the address was not opened with its token, or the server was started anew", NEW_ADDRESS)


def _only(headers: Message, name: str) -> str:
    """The value of a header that is there once; empty otherwise."""
    values: Sequence[str] = headers.get_all(name, ())
    return values[0] if len(values) == 1 else ""


def _equal(given: str, secret: str) -> bool:
    return secrets.compare_digest(given.encode("utf-8", "surrogatepass"), secret.encode())
