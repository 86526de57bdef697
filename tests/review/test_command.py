"""`spritebuild review` as a process: what it prints, whom it lets in, how it ends; and candidates that are picked."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from projects import Project
from reviews import POTION
from visits import Visitor

from spritebuild import approve, lock
from spritebuild.errors import UsageError
from spritebuild.review.decisions import NAME, Decisions, Mark, alone
from spritebuild.review.session import Session
from spritebuild.run import Options


class Process:
    """The command, run as a person would."""

    def __init__(self, project: Project, *arguments: str, **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "spritebuild", "review", *arguments],
            cwd=project.root,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            env={**os.environ, "DISPLAY": "", "WAYLAND_DISPLAY": "", **environment},
        )
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().rstrip("\n")

    def visit(self) -> Visitor:
        found = re.fullmatch(r"http://127\.0\.0\.1:(\d+)/\?t=[\w-]{43}", self.address)
        assert found, self.address
        visitor = Visitor(int(found[1]))
        assert visitor.open(self.address).status == 303
        return visitor

    def end(self, by: int = signal.SIGINT) -> tuple[int, str, str]:
        self.process.send_signal(by)
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out, err


@contextlib.contextmanager
def running(project: Project, *arguments: str, **environment: str) -> Iterator[Process]:
    started = Process(project, *arguments, **environment)
    try:
        yield started
    finally:
        if started.process.poll() is None:
            started.process.kill()
        started.process.communicate()


def test_one_address_is_printed_and_ctrl_c_says_what_is_not_saved(changed: Project) -> None:
    with running(changed, "--no-browser") as started:
        visitor = started.visit()
        page = visitor.get("/")
        assert page.status == 200
        assert b"/app.js" in page.body
        assert visitor.get("/app.js").status == visitor.get("/app.css").status == 200
        visitor.decide((POTION, "approve"), ("assets/sword.png", "reject"))
        visitor.connection.close()
        code, out, err = started.end()
    assert (code, out) == (0, "")
    assert err.splitlines() == [
        "5 assets to review; Ctrl-C ends the review",
        "",
        f"1 approval is not saved and 1 asset is rejected: .spritebuild/{NAME}",
        f"spritebuild approve --from .spritebuild/{NAME} saves them, and the next review goes on from there",
    ]
    assert [choice.path for choice in approve.read_choices(changed.root / ".spritebuild" / NAME)] == [
        POTION,
        "assets/sword.png",
    ]


def test_nothing_is_said_at_the_end_where_everything_is_saved(changed: Project) -> None:
    with running(changed, "--no-browser", "potion") as started:
        visitor = started.visit()
        visitor.decide((POTION, "approve"))
        assert visitor.post("/api/save", {}).json["approved"] == 1
        visitor.connection.close()
        assert started.end() == (0, "", "1 asset to review; Ctrl-C ends the review\n\n")
    assert changed.lock()[POTION].approved == changed.lock()[POTION].digest


def test_a_supervisor_ends_it_as_it_ends_others(changed: Project) -> None:
    with running(changed, "--no-browser") as started:
        started.visit().connection.close()
        code, _, err = started.end(signal.SIGTERM)
    assert code == 143
    assert "terminated" in err


def test_a_second_review_of_a_project_may_only_look_on(changed: Project) -> None:
    with running(changed, "--no-browser"):
        second = changed.cli("review", "--no-browser")
        assert (second.returncode, second.stdout) == (2, "")
        assert "another review is open here (pid " in second.stderr
        with running(changed, "--no-browser", "--read-only") as other:
            visitor = other.visit()
            assert visitor.get("/api/project").json["read_only"] is True
            visitor.connection.close()


def test_a_port_that_is_taken_is_refused_with_a_remedy(changed: Project) -> None:
    with running(changed, "--no-browser") as started:
        visitor = started.visit()
        visitor.connection.close()
        second = changed.cli("review", "--no-browser", "--read-only", "--port", str(visitor.port))
    assert second.returncode == 5
    assert f"port {visitor.port}: Address already in use" in second.stderr


def test_a_pattern_that_names_nothing_is_refused(changed: Project) -> None:
    refused = changed.cli("review", "--no-browser", "poton")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "no asset is called 'poton'" in refused.stderr
    assert "potion" in refused.stderr


def test_the_browser_is_opened_where_there_is_a_display(changed: Project, tmp_path: Path) -> None:
    told = tmp_path / "told"
    browser = changed.file("browser.sh", f'#!/bin/sh\nprintf %s "$1" > "{told}.new"; mv "{told}.new" "{told}"\n')
    browser.chmod(0o755)
    for options, display, expected in (((), ":9", True), (("--no-browser",), ":9", False), ((), "", False)):
        told.unlink(missing_ok=True)
        with running(changed, *options, DISPLAY=display, BROWSER=str(browser)) as started:
            for _ in range(100 if expected else 10):
                if told.exists():
                    break
                time.sleep(0.05)
            assert told.exists() == expected
            if expected:
                assert told.read_text() == started.address


def test_enter_in_its_terminal_prints_another_address(changed: Project) -> None:
    command = [sys.executable, "-m", "spritebuild", "review", "--no-browser", "-f", str(changed.path)]
    child, terminal = pty.fork()
    if child == 0:
        os.execv(sys.executable, command)
    found: list[str] = []
    try:
        said, pressed = b"", False
        while len(found) < 2:
            assert select.select([terminal], [], [], 60)[0], said
            said += os.read(terminal, 4096)
            if not pressed and b"Ctrl-C ends" in said:
                pressed = os.write(terminal, b"\n") == 1
            found = re.findall(r"http://[\d.:]+/\?t=[\w-]{43}(?=\r)", said.decode())
        assert b"Enter prints another address" in said
        for address, status in zip(found, (403, 303), strict=True):
            visitor = Visitor(int(found[0].split(":")[2].partition("/")[0]))
            assert visitor.open(address).status == status
            visitor.connection.close()
    finally:
        os.kill(child, signal.SIGINT)
        os.waitpid(child, 0)
        os.close(terminal)


# The file of decisions


def test_a_damaged_file_of_decisions_is_named(changed: Project) -> None:
    changed.file(f".spritebuild/{NAME}", "{")
    with pytest.raises(UsageError, match="cannot be read"):
        Session(changed.path)


def test_comments_and_odd_rows_do_not_keep_approve_from_reading(project: Project) -> None:
    decisions = Decisions(project.root)
    decisions.put([Mark("a.png", "1", "", 'hm "\u202e\n'), Mark("b.png", "2", "reject", "no")])
    assert [choice.path for choice in approve.read_choices(decisions.path)] == ["b.png"]
    assert Decisions(project.root).marks == decisions.marks
    text = decisions.path.read_text("utf-8")
    decisions.path.write_text(text.replace('"comments": [', '"comments": [1, {"path": 2},'), "utf-8")
    assert Decisions(project.root).marks == decisions.marks
    decisions.put([Mark("b.png", "2", "")])
    assert approve.read_choices(decisions.path) == []


def test_the_lock_of_a_review_is_free_when_it_ended(project: Project) -> None:
    with alone(project.root), pytest.raises(UsageError, match=f"pid {os.getpid()}"), alone(project.root):
        pass
    with alone(project.root):
        pass


# What is measured, and candidates


def test_limits_are_measured_and_candidates_ranked_before_they_are_shown(island: Project, review: Any) -> None:
    island.edit("styles.base.art", {"max_colors": 2, "orphans": 0})
    island.edit("sprites.potion.candidates", 3)
    island.build()
    assert review(island).visit().rows()[POTION]["violations"] == 0
    visitor = review(island, options=Options()).visit()
    case = visitor.case(POTION)
    assert visitor.rows()[POTION]["violations"] == len(case["violations"]) > 0
    assert visitor.rows()[POTION]["candidates"] == 3
    assert [one["rank"] for one in case["candidates"]] == [1, 2, 3]
    assert all(one["score"] is not None and one["words"] for one in case["candidates"])


def test_a_candidate_is_picked_and_installed(island: Project, review: Any) -> None:
    island.edit("sprites.potion.candidates", 3)
    island.build()
    visitor = review(island).visit()
    assert visitor.get("/api/project").json["candidates"] == ["sprites.potion"]
    several = visitor.case(POTION)["candidates"]
    chosen = next(one for one in several if one["digest"] != visitor.rows()[POTION]["digest"])
    assert visitor.get(chosen["url"]).status == 200
    picked = visitor.post(
        "/api/pick", {"target": "sprites.potion", "seed": chosen["seed"], "digest": chosen["digest"]}
    ).json
    assert [one["seed"] for one in picked["candidates"] if one["picked"]] == [chosen["seed"]]
    assert lock.read(island.root)[POTION].pick == {"seed": chosen["seed"], "digest": chosen["digest"]}
    assert (island.root / POTION).read_bytes() == visitor.get(chosen["url"]).body
    assert visitor.rows()[POTION]["digest"] == chosen["digest"]
    assert visitor.get("/api/project").json["candidates"] == []


def test_a_candidate_that_is_not_what_was_looked_at_is_not_picked(island: Project, review: Any) -> None:
    island.edit("sprites.potion.candidates", 3)
    island.build()
    visitor = review(island).visit()
    before = island.lock_text()
    seeds = [one["seed"] for one in visitor.case(POTION)["candidates"]]
    for target, seed, name, status in (
        ("sprites.potion", seeds[1], "0" * 64, 409),
        ("sprites.potion", 10_000, "0" * 64, 422),
        ("sprites.sword", 0, "0" * 64, 422),
        ("../sprites.potion", 0, "0" * 64, 422),
        ("sprites.potion", True, "0" * 64, 400),
        ("sprites.potion", seeds[1], None, 400),
    ):
        assert visitor.post("/api/pick", {"target": target, "seed": seed, "digest": name}).status == status
    assert island.lock_text() == before
