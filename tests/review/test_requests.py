"""What of HTTP the review server speaks, and what it makes of requests that are none."""

from __future__ import annotations

import gzip
from typing import Any

import pytest
from projects import Project
from reviews import POTION
from visits import raw

from spritebuild.review.decisions import NAME
from spritebuild.review.server import LARGEST_BODY


def test_json_is_packed_for_who_takes_it(changed: Project, review: Any) -> None:
    visitor = review(changed).visit()
    plain, packed = visitor.get("/api/cases"), visitor.get("/api/cases", Accept_Encoding="br, gzip")
    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.body) == plain.body
    assert "Content-Encoding" not in visitor.get("/api/cases", Accept_Encoding="gzip;q=0").headers


def test_pictures_are_kept_by_browsers_and_lists_are_asked_for_again(changed: Project, review: Any) -> None:
    visitor = review(changed).visit()
    url = visitor.case(POTION)["pictures"]["now"]
    picture = visitor.get(url)
    assert picture.headers["Cache-Control"] == "private, max-age=31536000, immutable"
    again = visitor.get(url, If_None_Match=picture.headers["ETag"])
    assert (again.status, again.body) == (304, b"")
    rows = visitor.get("/api/cases")
    assert visitor.get("/api/cases", If_None_Match=rows.headers["ETag"]).status == 304
    visitor.decide((POTION, "approve"))
    assert visitor.get("/api/cases", If_None_Match=rows.headers["ETag"]).status == 200
    assert visitor.get("/api/project").headers["Cache-Control"] == "no-store"


def test_one_connection_carries_everything(changed: Project, review: Any) -> None:
    visitor = review(changed).visit()
    assert visitor.get("/api/project").status == 200
    kept = visitor.connection.sock
    assert visitor.get("/nothing").status == 404
    assert visitor.ask("HEAD", "/api/cases").body == b""
    assert visitor.post("/api/decide", {"items": []}).status == 200
    assert visitor.post("/api/decide", {"items": []}, Origin="http://evil.example").status == 403
    assert visitor.get("/api/cases").status == 200
    assert visitor.connection.sock is kept


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[]", 400),
        (b"null", 400),
        (b"\xff", 400),
        (b"[" * 100_000, 400),
        (b'{"items": 1}', 400),
        (b'{"items": [1]}', 400),
        (b'{"items": [{}]}', 400),
        (b'{"items": [{"path": 1, "digest": "", "decision": ""}]}', 400),
        (b'{"items": [{"path": "assets/potion.png", "digest": "", "decision": "delete"}]}', 400),
        (b'{"items": [{"path": "assets/potion.png", "digest": "", "decision": "", "comment": 1}]}', 400),
        (b'{"items": [{"path": "assets/potion.png", "digest": "", "decision": "", "comment": "\\ud800"}]}', 400),
        (b'{"items": [{"path": "../spritefile.toml", "digest": "", "decision": "approve"}]}', 404),
        (b'{"items": [{"path": "assets/potion.png", "digest": "", "decision": "approve"}]}', 409),
    ],
)
def test_what_is_no_decision_decides_nothing(changed: Project, review: Any, body: bytes, status: int) -> None:
    visitor = review(changed).visit()
    answer = visitor.post("/api/decide", body)
    assert answer.status == status
    assert answer.json["error"]
    assert not (changed.root / ".spritebuild" / NAME).exists()


def test_a_comment_of_any_length_is_refused(changed: Project, review: Any) -> None:
    answer = review(changed).visit().decide((POTION, "reject"), comment="x" * 10_001)
    assert answer.status == 400
    assert "10,000 characters" in answer.json["error"]


def test_a_body_is_json_of_known_and_bounded_length(changed: Project, review: Any) -> None:
    visitor = review(changed).visit()
    start = (
        "POST /api/decide HTTP/1.1",
        f"Host: {visitor.host}",
        f"Cookie: {visitor.cookie['Cookie']}",
        f"Origin: http://{visitor.host}",
        "X-Spritebuild: 1",
    )
    json_type = "Content-Type: application/json"
    assert visitor.post("/api/decide", {"items": []}, Content_Type="text/plain").status == 415
    assert visitor.post("/api/decide", {"items": []}, Content_Type="").status == 415
    assert raw(visitor.port, (*start, json_type)).startswith(b"HTTP/1.1 411 ")
    chunked = (*start, json_type, "Transfer-Encoding: chunked")
    assert raw(visitor.port, chunked, b"2\r\n{}\r\n0\r\n\r\n").startswith(b"HTTP/1.1 411 ")
    both = (*start, json_type, "Content-Length: 2", "Content-Length: 40")
    assert raw(visitor.port, both, b"{}").startswith(b"HTTP/1.1 411 ")
    large = (*start, json_type, f"Content-Length: {LARGEST_BODY + 1}")
    assert raw(visitor.port, large).startswith(b"HTTP/1.1 413 ")
    for length in ("-1", "+2", "2_0", "9" * 5000, "x", "\u0661"):
        assert raw(visitor.port, (*start, json_type, f"Content-Length: {length}"), b"{}").startswith(b"HTTP/1.1 411 ")


def test_a_second_request_within_a_refused_body_is_not_heard(changed: Project, review: Any) -> None:
    visitor = review(changed).visit()
    hidden = "\r\n".join(
        (
            "POST /api/save HTTP/1.1",
            f"Host: {visitor.host}",
            f"Cookie: {visitor.cookie['Cookie']}",
            f"Origin: http://{visitor.host}",
            "X-Spritebuild: 1",
            "Content-Type: application/json",
            "Content-Length: 2",
            "",
            "{}",
        )
    ).encode()
    for first in (f"Content-Length: {len(hidden)}", "Transfer-Encoding: chunked", ""):
        lines = ("POST /api/decide HTTP/1.1", f"Host: {visitor.host}", *([first] if first else []))
        answer = raw(visitor.port, lines, hidden)
        assert answer.count(b"HTTP/1.1 ") == 1
        assert b'"approved"' not in answer


@pytest.mark.parametrize("lines", [("nonsense",), ("GET / HTTP/9.9",), ("GET",), ("BREW / HTTP/1.1", "Host: x"), ("",)])
def test_what_is_no_request_gets_no_page_of_ours(changed: Project, review: Any, lines: tuple[str, ...]) -> None:
    visitor = review(changed).visit()
    answer = raw(visitor.port, lines)
    assert b"<" not in answer
    assert b"nonsense" not in answer
    assert visitor.get("/api/project").status == 200
