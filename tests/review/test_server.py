"""Whom the review server refuses: other sites, other names of this machine, and whoever has no cookie."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from projects import Project
from reviews import POTION, SHEET
from visits import raw

from spritebuild import digest


def test_a_token_works_once_and_the_refusal_says_how_to_get_another(changed: Project, review: Any) -> None:
    started = review(changed)
    address = started.server.address()
    assert started.stranger().open(address).status == 303
    second = started.stranger().open(address)
    assert second.status == 403
    assert second.headers["Content-Type"] == "text/html; charset=utf-8"
    assert b"press Enter" in second.body
    assert "Set-Cookie" not in second.headers


def test_a_new_address_takes_back_one_that_nobody_used(changed: Project, review: Any) -> None:
    started = review(changed)
    old, new = started.server.address(), started.server.address()
    assert started.stranger().open(old).status == 403
    assert started.stranger().open(new).status == 303


ADDRESSES = (
    "/",
    "/app.js",
    "/api/project",
    "/api/cases",
    f"/api/case?path={POTION}",
    "/api/decisions",
    "/pixels/DIGEST",
)


@pytest.mark.parametrize("path", ADDRESSES)
@pytest.mark.parametrize("cookie", ["", "spritebuild-00000000=x", "OURS=", "OURS=x", "OURS=VALUEx", "other=VALUE"])
def test_nothing_is_shown_without_the_cookie(changed: Project, review: Any, path: str, cookie: str) -> None:
    visitor = review(changed).visit()
    name, _, value = visitor.cookie["Cookie"].partition("=")
    visitor.cookie = {"Cookie": cookie.replace("OURS", name).replace("VALUE", value)} if cookie else {}
    answer = visitor.get(path.replace("DIGEST", changed.lock()[POTION].digest))
    assert answer.status == 401
    assert value.encode() not in answer.body
    assert POTION.encode() not in answer.body


def test_cookies_of_other_servers_beside_ours_do_no_harm(changed: Project, review: Any) -> None:
    visitor = review(changed).visit()
    visitor.cookie = {"Cookie": 'a="b; c;=; spritebuild-1=x; ' + visitor.cookie["Cookie"] + "; ]=[\u00ff"}
    visitor.cookie["Cookie"] = visitor.cookie["Cookie"].encode("latin-1").decode("latin-1")
    assert visitor.get("/api/project").status == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:PORT", "127.0.0.1", "127.0.0.1:1", "127.0.0.1:PORT.x", ""]
)
def test_a_name_that_was_bound_to_this_address_gets_nothing(changed: Project, review: Any, host: str) -> None:
    visitor = review(changed).visit()
    host = host.replace("PORT", str(visitor.port))
    assert visitor.get("/api/cases", Host=host).status == 421
    assert visitor.post("/api/save", {}, Host=host, Origin=f"http://{host}").status == 421


def test_two_hosts_are_none(changed: Project, review: Any) -> None:
    visitor = review(changed).visit()
    lines = (
        "GET /api/project HTTP/1.1",
        f"Host: {visitor.host}",
        "Host: evil.example",
        f"Cookie: {visitor.cookie['Cookie']}",
    )
    assert raw(visitor.port, lines).startswith(b"HTTP/1.1 421 ")


def test_the_loopback_name_is_as_good_as_its_number(changed: Project, review: Any) -> None:
    visitor = review(changed).visit()
    host = f"localhost:{visitor.port}"
    assert visitor.get("/api/cases", Host=host).status == 200
    assert visitor.post("/api/decide", {"items": []}, Host=host, Origin=f"http://{host}").status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": ""},
        {"Origin": "null"},
        {"Origin": "http://evil.example"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "https://HOST"},
        {"Origin": "http://HOST.evil.example"},
        {"X_Spritebuild": ""},
        {"X_Spritebuild": "2"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
    ],
)
@pytest.mark.parametrize("path", ["/api/decide", "/api/save", "/api/pick", "/api/refresh"])
def test_another_site_writes_nothing(changed: Project, review: Any, path: str, headers: Mapping[str, str]) -> None:
    visitor = review(changed).visit()
    visitor.decide((POTION, "approve"))
    before = changed.lock_text()
    said = {name: value.replace("HOST", visitor.host) for name, value in headers.items()}
    answer = visitor.post(path, {"items": [], "target": "x", "seed": 1, "digest": ""}, **said)
    assert answer.status == 403
    assert changed.lock_text() == before


def test_another_site_reads_nothing_and_embeds_nothing(changed: Project, review: Any) -> None:
    visitor = review(changed).visit()
    picture = visitor.case(POTION)["pictures"]["now"]
    for site in ("cross-site", "same-site"):
        assert visitor.get(picture, Sec_Fetch_Site=site, Sec_Fetch_Mode="no-cors").status == 403
        assert visitor.get("/api/cases", Sec_Fetch_Site=site, Sec_Fetch_Mode="navigate").status == 403
        assert visitor.get("/", Sec_Fetch_Site=site, Sec_Fetch_Mode="navigate").status == 200
        assert visitor.get("/", Sec_Fetch_Site=site, Sec_Fetch_Mode="no-cors").status == 403
    assert visitor.get("/api/cases", Sec_Fetch_Site="same-origin").status == 200


def test_every_answer_says_what_a_browser_may_do_with_it(changed: Project, review: Any) -> None:
    visitor = review(changed).visit()
    picture = visitor.case(POTION)["pictures"]["now"]
    answers = [visitor.get(path) for path in ("/", "/api/cases", picture, "/nothing", "/?t=wrong")]
    answers += [visitor.post("/api/decide", b"{"), visitor.ask("OPTIONS", "/api/save"), visitor.ask("PUT", "/")]
    for answer in answers:
        assert answer.headers["Content-Security-Policy"] == (
            "default-src 'none'; img-src 'self' blob: data:; script-src 'self'; style-src 'self'; connect-src 'self'; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert not [name for name in answer.headers if name.lower().startswith("access-control-")]
    assert [answer.status for answer in answers[-2:]] == [405, 405]


PLACES = (
    "/pixels/../spritefile.toml",
    "/pixels/%2e%2e/spritefile.toml",
    "/pixels/..%2fspritefile.toml",
    "/../spritefile.toml",
    "/..%2f..%2fspritefile.toml",
    "//etc/passwd",
    "/pixels//etc/passwd",
    "/index.html/../../secret.js",
    "/.hidden.js",
    "/secret.js",
    "/server.py",
    "/pixels/",
    "/pixels/OTHER",
    "/pixels/OTHER.png",
    "/pixels/JSON.png",
    "/pixels/POTION.png.png",
    "/pixels/POTION/",
    "/api/case?path=../spritefile.toml",
    "/api/steps?path=../spritefile.toml",
    "/api/case?path=%00",
)


@pytest.mark.parametrize("path", PLACES)
def test_only_pictures_that_cases_speak_of_are_served(
    changed: Project, review: Any, path: str, page_folder: Path
) -> None:
    changed.file("secret.js", "secret")
    (page_folder / "secret.js").symlink_to(changed.root / "secret.js")
    (page_folder / ".hidden.js").write_text("secret", "utf-8")
    other = changed.file("secret.png", (changed.root / POTION).read_bytes() + b"secret")
    stored = next(name for name, place in changed.blobs().items() if place.read_bytes().startswith(b"{"))
    visitor = review(changed).visit()
    for word, name in (
        ("OTHER", digest.of_file(other)),
        ("JSON", stored),
        ("POTION", changed.lock()[POTION].digest),
    ):
        path = path.replace(word, name)
    answer = visitor.get(path)
    assert answer.status == 404
    assert b"secret" not in answer.body


def test_a_file_that_is_no_png_is_not_served_as_one(changed: Project, review: Any) -> None:
    visitor = review(changed).visit()
    (changed.root / POTION).write_bytes(b"<script>alert(1)</script>")
    visitor.post("/api/refresh", {})
    case = visitor.case(POTION)
    assert case["pictures"]["now"] is None
    found = digest.of_bytes(b"<script>alert(1)</script>")
    assert visitor.get(f"/pixels/{found}.png").status == 404
    sheet = changed.lock()[SHEET]
    assert visitor.get(f"/pixels/{sheet.files['items.json']}.png").status == 404


def test_it_listens_on_the_loopback_address_alone(changed: Project, review: Any) -> None:
    started = review(changed)
    assert started.server.socket.getsockname()[0] == "127.0.0.1"


def test_no_secret_and_no_name_is_logged(changed: Project, review: Any, capfd: pytest.CaptureFixture[str]) -> None:
    started = review(changed)
    visitor = started.visit()
    visitor.get("/?t=guess")
    visitor.get("/api/case?path=assets/potion.png")
    visitor.get("/nothing")
    raw(visitor.port, ("nonsense",))
    started.end()
    assert capfd.readouterr() == ("", "")
