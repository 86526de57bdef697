"""Decisions in the review: kept, undone, saved, and refused where something else is there by now."""

from __future__ import annotations

import threading
from typing import Any

from projects import Project
from reviews import HOSTILE, POTION, SHEET
from visits import Visitor

from spritebuild import approve
from spritebuild.approve import Choice
from spritebuild.review.decisions import NAME
from spritebuild.status import Status

# Deciding


def test_a_decision_is_on_the_disk_when_it_is_answered(changed: Project, review: Any) -> None:
    visitor = review(changed).visit()
    answer = visitor.decide((POTION, "approve"), ("assets/shield.png", "reject"), comment=HOSTILE)
    assert answer.status == 200
    assert answer.json["unsaved"] == 1
    assert [(row["path"], row["decision"], row["comment"]) for row in answer.json["items"]] == [
        (POTION, "approve", HOSTILE),
        ("assets/shield.png", "reject", HOSTILE),
    ]
    choices = approve.read_choices(changed.root / ".spritebuild" / NAME)
    assert [(choice.path, choice.decision, choice.comment) for choice in choices] == [
        (POTION, "approve", HOSTILE),
        ("assets/shield.png", "reject", HOSTILE),
    ]
    assert visitor.rows()[POTION]["decision"] == "approve"


def test_a_decision_is_undone(changed: Project, review: Any) -> None:
    visitor = review(changed).visit()
    visitor.decide((POTION, "approve"))
    assert visitor.decide((POTION, "")).json["unsaved"] == 0
    assert visitor.rows()[POTION]["decision"] == ""
    assert approve.read_choices(changed.root / ".spritebuild" / NAME) == []


def test_a_comment_alone_decides_nothing_and_is_kept(changed: Project, review: Any) -> None:
    started = review(changed)
    assert started.visit().decide((POTION, ""), comment="too red").json["unsaved"] == 0
    started.end()
    assert approve.read_choices(changed.root / ".spritebuild" / NAME) == []
    assert review(changed).visit().rows()[POTION]["comment"] == "too red"


def test_decisions_are_downloaded_as_approve_reads_them(changed: Project, review: Any) -> None:
    visitor = review(changed).visit()
    visitor.decide((POTION, "approve"))
    answer = visitor.get("/api/decisions")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="decisions.json"'
    assert approve.read_choices(changed.file("decisions.json", answer.body)) == [
        Choice(POTION, changed.lock()[POTION].digest, "approve")
    ]


def test_saving_approves_exactly_what_was_looked_at(changed: Project, review: Any) -> None:
    visitor = review(changed).visit()
    visitor.decide((POTION, "approve"), ("assets/ring.png", "approve"), ("assets/sword.png", "reject"))
    saved = visitor.post("/api/save", {})
    assert saved.json == {
        "approved": 2,
        "rejected": [{"path": "assets/sword.png", "comment": ""}],
        "lock": "lockfiles/sprites.lock",
    }
    entries = changed.lock()
    assert entries[POTION].approved == entries[POTION].digest
    assert "assets/ring.png" not in entries
    assert entries["assets/sword.png"].approved != entries["assets/sword.png"].digest
    rows = visitor.rows()
    assert (rows[POTION]["kind"], rows[POTION]["decision"]) == ("same", "")
    assert "assets/ring.png" not in rows
    assert rows["assets/sword.png"]["decision"] == "reject"
    said = visitor.get("/api/project").json
    assert (said["unsaved"], said["stale"], said["notes"]) == (0, False, [])


def test_the_command_line_saves_what_the_page_did_not(changed: Project, review: Any) -> None:
    started = review(changed)
    started.visit().decide((POTION, "approve"))
    started.end()
    changed.cli("approve", "--from", f".spritebuild/{NAME}", CI="")
    assert changed.lock()[POTION].approved == changed.lock()[POTION].digest
    assert review(changed).visit().get("/api/project").json["unsaved"] == 0


def test_unsaved_decisions_are_there_after_a_restart(changed: Project, review: Any) -> None:
    first = review(changed)
    first.visit().decide((POTION, "approve"), ("assets/sword.png", "reject"), comment="mine")
    first.end()
    visitor = review(changed).visit()
    rows = visitor.rows()
    assert (rows[POTION]["decision"], rows["assets/sword.png"]["decision"]) == ("approve", "reject")
    assert rows[POTION]["comment"] == "mine"
    assert visitor.get("/api/project").json["unsaved"] == 1


def test_a_decision_about_other_bytes_is_dropped_at_the_next_start(changed: Project, review: Any) -> None:
    first = review(changed)
    first.visit().decide((POTION, "approve"), ("assets/sword.png", "approve"))
    first.end()
    changed.edit("sprites.potion.prompt", "green potion")
    changed.build()
    visitor = review(changed).visit()
    rows = visitor.rows()
    assert (rows[POTION]["decision"], rows["assets/sword.png"]["decision"]) == ("", "approve")
    said = visitor.get("/api/project").json
    assert said["unsaved"] == 1
    assert said["notes"] == ["1 decision was about other bytes than are there now, and dropped"]


def test_what_a_narrow_review_does_not_show_stays_decided(changed: Project, review: Any) -> None:
    first = review(changed)
    first.visit().decide((POTION, "approve"), ("assets/sword.png", "approve"))
    first.end()
    narrow = review(changed, "potion")
    visitor = narrow.visit()
    assert visitor.get("/api/project").json["unsaved"] == 1
    assert [row["path"] for row in visitor.get("/api/decisions").json["decisions"]] == [POTION]
    assert visitor.post("/api/save", {}).json["approved"] == 1
    narrow.end()
    assert [c.path for c in approve.read_choices(changed.root / ".spritebuild" / NAME)] == ["assets/sword.png"]


def test_two_browsers_see_each_others_decisions(changed: Project, review: Any) -> None:
    started = review(changed)
    one, other = started.visit(), started.visit()
    one.decide((POTION, "approve"))
    other.decide(("assets/sword.png", "reject"))
    assert one.rows() == other.rows()
    assert {path for path, row in one.rows().items() if row["decision"]} == {POTION, "assets/sword.png"}


def test_many_threads_lose_no_decision(changed: Project, review: Any) -> None:
    started = review(changed)
    paths = [POTION, "assets/sword.png", "assets/shield.png", SHEET]
    visitors = [started.visit() for _ in paths]
    failures: list[Any] = []

    def work(visitor: Visitor, path: str) -> None:
        for decision in ("approve", "reject", "", "approve"):
            answer = visitor.decide((path, decision))
            if answer.status != 200:
                failures.append(answer.json)

    threads = [threading.Thread(target=work, args=pair) for pair in zip(visitors, paths, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    choices = approve.read_choices(changed.root / ".spritebuild" / NAME)
    assert {choice.path: choice.decision for choice in choices} == dict.fromkeys(paths, "approve")


# While the project changes


def test_an_asset_that_was_edited_meanwhile_is_not_approved(changed: Project, review: Any) -> None:
    visitor = review(changed).visit()
    looked_at = visitor.rows()
    other = (changed.root / "assets/sword.png").read_bytes()
    (changed.root / POTION).write_bytes(other)
    item = {"path": POTION, "digest": looked_at[POTION]["digest"], "decision": "approve"}
    sword = {"path": "assets/sword.png", "digest": looked_at["assets/sword.png"]["digest"], "decision": "approve"}
    answer = visitor.post("/api/decide", {"items": [item, sword]})
    assert answer.status == 409
    assert [(row["path"], row["kind"]) for row in answer.json["items"]] == [(POTION, "missing")]
    assert not any(row["decision"] for row in visitor.rows().values())
    assert visitor.get(visitor.case(POTION)["pictures"]["now"]).body == other
    assert visitor.post("/api/decide", {"items": [item]}).status == 409


def test_an_asset_that_was_built_anew_meanwhile_is_not_approved(changed: Project, review: Any) -> None:
    visitor = review(changed).visit()
    looked_at = visitor.rows()[POTION]
    changed.edit("sprites.potion.prompt", "green potion")
    changed.build()
    assert visitor.get("/api/project").json["stale"] is True
    answer = visitor.post(
        "/api/decide", {"items": [{"path": POTION, "digest": looked_at["digest"], "decision": "approve"}]}
    )
    assert answer.status == 409
    (row,) = answer.json["items"]
    assert row["digest"] == changed.lock()[POTION].digest != looked_at["digest"]
    assert visitor.get("/api/project").json["stale"] is False
    assert visitor.get(visitor.case(POTION)["pictures"]["now"]).body == (changed.root / POTION).read_bytes()


def test_decisions_that_are_overtaken_before_they_are_saved_approve_nothing(changed: Project, review: Any) -> None:
    visitor = review(changed).visit()
    visitor.decide((POTION, "approve"), ("assets/sword.png", "approve"))
    changed.edit("sprites.potion.prompt", "green potion")
    changed.build()
    before = changed.lock_text()
    answer = visitor.post("/api/save", {})
    assert answer.status == 409
    assert "nothing was approved" in answer.json["error"]
    assert changed.lock_text() == before
    assert [path for path, row in visitor.rows().items() if row["decision"]] == ["assets/sword.png"]


def test_a_refresh_shows_what_was_built_meanwhile(changed: Project, review: Any) -> None:
    visitor = review(changed).visit()
    visitor.decide(("assets/sword.png", "approve"))
    changed.edit("sprites.bow", {"style": "base", "prompt": "bow"})
    changed.build()
    assert "assets/bow.png" not in visitor.rows()
    said = visitor.post("/api/refresh", {}).json
    assert (said["stale"], said["total"], said["unsaved"]) == (False, 6, 1)
    assert visitor.rows()["assets/bow.png"]["kind"] == "new"


def test_a_spritefile_that_is_wrong_meanwhile_leaves_what_was_shown(changed: Project, review: Any) -> None:
    visitor = review(changed).visit()
    rows = visitor.rows()
    changed.path.write_text("[sprites\n", "utf-8")
    assert visitor.get("/api/project").json["stale"] is True
    answer = visitor.post("/api/refresh", {})
    assert answer.status == 422
    assert "spritefile.toml:1" in answer.json["error"]
    assert visitor.rows() == rows
    assert visitor.case(POTION)["pictures"]["now"]


def test_a_save_does_not_wait_for_a_build(changed: Project, review: Any) -> None:
    from spritebuild.alone import alone

    visitor = review(changed).visit()
    visitor.decide((POTION, "approve"))
    with alone(changed.root, Status()):
        answer = visitor.post("/api/save", {})
    assert answer.status == 423
    assert "another build is running" in answer.json["error"]
    assert visitor.post("/api/save", {}).json["approved"] == 1


# Reading alone


def test_a_read_only_review_shows_everything_and_writes_nothing(changed: Project, review: Any) -> None:
    visitor = review(changed, read_only=True).visit()
    before = changed.lock_text()
    assert visitor.get("/api/project").json["read_only"] is True
    for path, value in (
        ("/api/decide", {"items": [{"path": POTION, "digest": "", "decision": "approve"}]}),
        ("/api/save", {}),
        ("/api/pick", {"target": "sprites.potion", "seed": 1, "digest": ""}),
    ):
        assert visitor.post(path, value).status == 403
    assert visitor.post("/api/refresh", {}).status == 200
    assert visitor.case(POTION)["pictures"]["baseline"]
    assert changed.lock_text() == before
    assert not (changed.root / ".spritebuild" / NAME).exists()


def test_a_disk_that_refuses_is_said_and_nothing_counts_as_decided(changed: Project, review: Any) -> None:
    visitor = review(changed).visit()
    (changed.root / ".spritebuild" / NAME).mkdir()
    answer = visitor.decide((POTION, "approve"))
    assert answer.status == 500
    assert NAME in answer.json["error"]
    assert visitor.rows()[POTION]["decision"] == ""
    (changed.root / ".spritebuild" / NAME).rmdir()
    assert visitor.decide((POTION, "approve")).json["unsaved"] == 1
