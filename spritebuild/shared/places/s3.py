"""Files in a bucket that speaks S3, by requests that are signed here (AWS Signature Version 4); knows no DVC.

An object is put by one request, whole or not at all, and the server compares its sha256 with what was sent.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import hmac
import http.client
import os
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree

from spritebuild.shared.places import TIMEOUT, File, Place, unreachable

UNDERSTOOD = {"url", "endpointurl", "region", "access_key_id", "secret_access_key", "session_token"}
MOST = 4 << 30  # bytes that one request may put
CHUNK = 1 << 20
TRIES = 4  # of a request that the server could not answer
EMPTY = hashlib.sha256(b"").hexdigest()
ELSEWHERE = ("AWS_PROFILE", "AWS_ROLE_ARN", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3")
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
OWN = {"127.0.0.1", "localhost", "::1"}  # which no proxy leads to


_errors = functools.partial(unreachable, "s3", OSError, ValueError, http.client.HTTPException, ElementTree.ParseError)


def at(said: Mapping[str, str], otherwise: Callable[[], Place]) -> S3 | None:
    """The place of a remote; None where it, the environment or AWS's own files say what is not understood here.

    `otherwise` is a place for files that are too large for one request.
    """
    url = urlsplit(said["url"])
    environ = os.environ
    region = said.get("region") or environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION")
    if said.keys() - UNDERSTOOD or url.query or not url.netloc or not region or any(map(environ.get, ELSEWHERE)):
        return None
    if os.path.exists(os.path.expanduser(environ.get("AWS_CONFIG_FILE", "~/.aws/config"))):
        return None
    key, secret = said.get("access_key_id"), said.get("secret_access_key")
    token = said.get("session_token")
    if not (key or secret or token):
        key, secret = environ.get("AWS_ACCESS_KEY_ID"), environ.get("AWS_SECRET_ACCESS_KEY")
        token = environ.get("AWS_SESSION_TOKEN")
    if not (key and secret):
        return None
    if said.get("endpointurl"):
        endpoint = urlsplit(said["endpointurl"])
        base = f"{endpoint.path.rstrip('/')}/{url.netloc}"
    elif "." in url.netloc:
        return None  # a name that a certificate does not cover
    else:
        endpoint = urlsplit(f"https://{url.netloc}.s3.{region}.amazonaws.com")
        base = ""
    if endpoint.scheme not in ("http", "https") or not endpoint.hostname or endpoint.username:
        return None
    if endpoint.hostname not in OWN and any(map(environ.get, PROXIES)):
        return None
    return S3(
        endpoint.scheme, endpoint.netloc, base, url.path.strip("/"), (key, secret, token or "", region), otherwise
    )


class S3:
    """A folder of a bucket. Connections are kept, and used by whichever thread asks next."""

    jobs = 16

    def __init__(
        self,
        scheme: str,
        host: str,
        base: str,
        root: str,
        signer: tuple[str, str, str, str],
        otherwise: Callable[[], Place],
    ) -> None:
        self.otherwise = otherwise
        self.scheme, self.host, self.base, self.root = scheme, host, base, root
        self.key, self.secret, self.token, self.region = signer
        self._free: list[http.client.HTTPConnection] = []
        self._lock = threading.Lock()
        self._tls = ssl.create_default_context(cafile=os.environ.get("AWS_CA_BUNDLE")) if scheme == "https" else None

    def files(self, folder: str) -> dict[str, File]:
        found: dict[str, File] = {}
        for page in self._pages(folder):
            for row in page.iterfind("{*}Contents"):
                name = _text(row, "Key").rpartition("/")[2]
                since = datetime.fromisoformat(_text(row, "LastModified").replace("Z", "+00:00"))
                found[name] = File(int(_text(row, "Size")), since.timestamp())
        return found

    def folders(self, folder: str) -> list[str]:
        pages = self._pages(folder)
        rows = [row for page in pages for row in page.iterfind("{*}CommonPrefixes")]
        return [_text(row, "Prefix").rstrip("/").rpartition("/")[2] for row in rows]

    def read(self, path: str) -> bytes:
        with _errors():
            return self._ask("GET", self._object(path))

    def get(self, path: str, file: str) -> None:
        with _errors(), open(file, "wb") as target:

            def take(answer: http.client.HTTPResponse) -> None:
                target.seek(0)
                target.truncate()
                length = answer.length
                while data := answer.read(CHUNK):
                    target.write(data)
                if length is not None and target.tell() != length:
                    raise http.client.IncompleteRead(b"")

            self._ask("GET", self._object(path), take=take)

    def put(self, file: str, path: str) -> None:
        with _errors(), open(file, "rb") as source:
            digest = hashlib.sha256()
            while data := source.read(CHUNK):
                digest.update(data)
            size = source.tell()
            if size > MOST:
                self.otherwise().put(file, path)
                return
            self._ask("PUT", self._object(path), body=source, size=size, sha256=digest.hexdigest())

    def remove(self, path: str) -> None:
        with _errors(), contextlib.suppress(FileNotFoundError):
            self._ask("DELETE", self._object(path))

    def _pages(self, folder: str) -> Iterator[ElementTree.Element]:
        prefix = f"{self.root}/{folder}/".lstrip("/")
        query = {"delimiter": "/", "list-type": "2", "prefix": prefix}
        with _errors():
            while True:
                page = ElementTree.fromstring(self._ask("GET", f"{self.base}/", query))
                yield page
                if _text(page, "IsTruncated") != "true":
                    return
                query = {**query, "continuation-token": _text(page, "NextContinuationToken")}

    def _object(self, path: str) -> str:
        return f"{self.base}/{self.root}/{path}" if self.root else f"{self.base}/{path}"

    # How it is asked

    def _ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        size: int = 0,
        sha256: str = EMPTY,
        take: Callable[[http.client.HTTPResponse], None] | None = None,
    ) -> bytes:
        """The answer's body, unless it is taken otherwise. What the server could not answer is asked again."""
        for number in range(TRIES):
            if number:
                time.sleep(0.2 * 2**number)
            connection = self._connection()
            try:
                if body is not None:
                    body.seek(0)
                target, headers = self._signed(method, path, query or {}, sha256)
                if method == "PUT":
                    headers["Content-Length"] = str(size)
                connection.request(method, target, body=body, headers=headers)
                answer = connection.getresponse()
                if answer.status < 300 and take is not None:
                    take(answer)
                    data = b""
                else:
                    data = answer.read()
            except (http.client.HTTPException, ConnectionError) as error:
                connection.close()
                if number == TRIES - 1:
                    raise OSError(f"{type(error).__name__}: {error}") from error
                continue
            except BaseException:
                connection.close()
                raise
            if answer.will_close:
                connection.close()
            else:
                with self._lock:
                    self._free.append(connection)
            if answer.status < 300:
                return data
            if answer.status == 404 and b"NoSuchBucket" not in data:
                raise FileNotFoundError(path)
            if answer.status < 500 and answer.status != 429:
                break
        raise OSError(f"{answer.status} {_fault(data) or answer.reason}")

    def _connection(self) -> http.client.HTTPConnection:
        with self._lock:
            if self._free:
                return self._free.pop()
        if self._tls is not None:
            return http.client.HTTPSConnection(self.host, timeout=TIMEOUT, context=self._tls, blocksize=CHUNK)
        return http.client.HTTPConnection(self.host, timeout=TIMEOUT, blocksize=CHUNK)

    def __del__(self) -> None:
        for connection in self._free:
            connection.close()

    def _signed(self, method: str, path: str, query: Mapping[str, str], sha256: str) -> tuple[str, dict[str, str]]:
        """What is asked for and the headers of a request (docs: AWS, Signing AWS API requests)."""
        now = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        headers = {"host": self.host, "x-amz-content-sha256": sha256, "x-amz-date": now}
        if self.token:
            headers["x-amz-security-token"] = self.token
        place = quote(path, safe="/-_.~")
        asked = "&".join(f"{quote(name, safe='-_.~')}={quote(query[name], safe='-_.~')}" for name in sorted(query))
        names = ";".join(sorted(headers))
        lines = [method, place, asked, *(f"{name}:{headers[name]}" for name in sorted(headers)), "", names, sha256]
        scope = f"{now[:8]}/{self.region}/s3/aws4_request"
        summary = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(chr(10).join(lines).encode()).hexdigest()}"
        key = f"AWS4{self.secret}".encode()
        for part in scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        signature = hmac.digest(key, summary.encode(), "sha256").hex()
        headers["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={self.key}/{scope}, SignedHeaders={names}, Signature={signature}"
        )
        return f"{place}?{asked}" if asked else place, headers


def _text(row: ElementTree.Element, name: str) -> str:
    return row.findtext(f"{{*}}{name}") or ""


def _fault(data: bytes) -> str:
    with contextlib.suppress(ElementTree.ParseError):
        page = ElementTree.fromstring(data)
        return f"{_text(page, 'Code')}: {_text(page, 'Message')}".strip(": ")
    return ""
