"""Deciding on the review page in a real browser: 1,000 of 1,000, one at a time and all alike, and what may go wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pytest
from browser import WALK, Review, exhibition
from gallery import CHOICE, HOSTILE, SHEET, Gallery

from spritebuild import digest, lock


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Review]:
    with exhibition(tmp_path_factory.mktemp("review") / "gallery") as review:
        yield review


@pytest.fixture
def review(opened: Review) -> Review:
    """The page that all tests share, with everything listed and nothing in the way."""
    opened.fresh()
    return opened


@pytest.fixture
def made(opened: Review) -> Gallery:
    return opened.made


# Deciding


def test_a_decision_goes_on_to_the_next_undecided_and_is_undone(review: Review, made: Gallery) -> None:
    path, other = made.new[4], made.new[5]
    review.choose(path)
    review.press("y")
    assert review.chosen == other
    review.press("n")
    assert review.decisions() == {path: ("approve", ""), other: ("reject", "")}
    assert review.page.locator(".unsaved").inner_text() == "1 unsaved approval"
    review.press("u")
    assert review.chosen == other
    assert review.decisions()[path] == ("approve", "")
    assert review.decisions().get(other, ("", ""))[0] == ""
    review.press("Control+z")
    assert review.chosen == path
    review.press("Shift+U", "Control+y")
    assert review.decisions() == {path: ("approve", ""), other: ("reject", "")}
    review.choose(path)
    review.press("i")
    assert review.decisions().get(path, ("", ""))[0] == ""
    review.choose(other)
    review.page.get_by_role("button", name="Approve").click()
    assert review.decisions()[other] == ("approve", "")
    review.press("u", "u", "u", "u")
    assert not any(decision for decision, _ in review.decisions().values())


def test_a_comment_is_kept_with_the_decision(review: Review, made: Gallery) -> None:
    path = made.new[7]
    review.choose(path)
    review.press("c")
    review.page.keyboard.type("<b>y</b> is not n")
    review.press("Control+Enter", "y")
    assert review.decisions()[path] == ("approve", "<b>y</b> is not n")
    review.choose(path)
    assert review.page.locator("#comment").input_value() == "<b>y</b> is not n"
    assert review.page.locator("main b, aside b, nav b").count() == 0
    review.press("u", "u")
    assert review.decisions().get(path, ("", "")) == ("", "")


def test_a_group_is_decided_at_once_and_undone_at_once(review: Review, made: Gallery) -> None:
    group = max(review.session.snapshot.groups.values(), key=len)
    review.choose(group[0])
    if "nested" in review.page.locator('[aria-selected="true"]').get_attribute("class"):
        review.press("x")
    review.press("y")
    assert {path for path, (decision, _) in review.decisions().items() if decision} == {*group}
    review.press("u")
    assert not any(decision for decision, _ in review.decisions().values())
    review.choose(group[1])
    review.press("Shift+N")
    assert {path for path, (decision, _) in review.decisions().items() if decision == "reject"} == {*group}
    review.press("u")
    assert not any(decision for decision, _ in review.decisions().values())


def test_what_is_approved_already_is_not_decided(review: Review, made: Gallery) -> None:
    review.choose(made.same[0])
    assert review.page.get_by_role("button", name="Approve").is_disabled()
    review.press("y")
    assert review.chosen == made.same[0]
    assert made.same[0] not in review.decisions()


def test_candidates_are_side_by_side_and_one_is_picked(review: Review, made: Gallery) -> None:
    review.choose(CHOICE)
    review.press("a")
    review.page.wait_for_selector(".candidates canvas")
    cards = review.page.locator(".candidates > li")
    assert cards.count() == 3
    assert [text.split(".")[0] for text in cards.locator("strong").all_inner_texts()] == ["1", "2", "3"]
    cards.nth(1).get_by_role("button").click()
    review.page.wait_for_selector(".candidates .picked")
    assert cards.nth(1).get_by_role("button").inner_text() == "Picked"
    picked = [one["picked"] for one in sorted(review.session.case(CHOICE)["candidates"], key=lambda one: one["rank"])]
    assert picked == [False, True, False]
    made.project.build()
    review.page.reload()
    review.page.wait_for_selector('[data-shown]:not([data-shown=""])')


# What may go wrong


def test_hostile_names_and_prompts_are_text(review: Review) -> None:
    for path in (*HOSTILE, CHOICE):
        review.choose(path)
        assert review.page.evaluate("window.hit") is None
        assert review.page.locator("#app script, #app img[src=x]").count() == 0
        assert review.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert review.page.evaluate("document.documentElement.scrollHeight <= innerHeight")
        heights = {line.bounding_box()["height"] for line in review.page.get_by_role("option").all()}
        assert heights == {44}
        shown = review.page.locator("[aria-selected=true] .path")
        assert shown.bounding_box()["width"] < 292
        assert not re.search(r"[\u202a-\u202e\n\t]", shown.get_attribute("title"))
    review.choose(HOSTILE[0])
    assert review.page.locator("[aria-selected=true] .path").get_attribute("title") == HOSTILE[0]
    review.choose(HOSTILE[3])
    assert review.page.locator("[aria-selected=true] .path").get_attribute("title") == HOSTILE[3]


def test_a_project_that_changed_offers_to_be_read_again(review: Review, made: Gallery) -> None:
    review.choose(made.changed[0])
    file = made.project.root / lock.PATH
    file.write_bytes(file.read_bytes())
    review.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    review.page.get_by_role("button", name="Read it again").click()
    review.wait("() => !document.querySelector('.banner button')")
    assert review.chosen == made.changed[0]


def test_what_the_server_refuses_is_said_and_taken_back(review: Review, made: Gallery) -> None:
    review.choose(made.new[9])
    answer = {"error": "the disk is full", "hint": "make room"}
    review.page.route("**/api/decide", lambda route: route.fulfill(status=507, json=answer))
    review.press("y")
    review.page.get_by_role("alert").get_by_text("the disk is full").wait_for()
    assert "make room" in review.page.get_by_role("alert").inner_text()
    review.page.unroute("**/api/decide")
    review.page.get_by_role("button", name="Dismiss").click()
    assert review.page.locator(".filter.undecided .count").inner_text() == "1,000"
    review.choose(made.new[9])
    assert review.page.locator(".decide .approve").get_attribute("aria-pressed") == "false"
    review.complaints[:] = [words for words in review.complaints if not words.endswith("/api/decide")]


def test_axe_finds_nothing_serious_in_either_theme(review: Review, made: Gallery) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python").Axe()

    def serious() -> list[str]:
        found = axe.run(review.page).response["violations"]
        return [
            f"{one['id']}: {one['nodes'][0]['html'][:160]}: {one['nodes'][0]['failureSummary'][:200]}"
            for one in found
            if one["impact"] in ("serious", "critical")
        ]

    for _ in range(2):
        review.fresh()
        review.choose(SHEET)
        assert serious() == []
        review.choose(made.changed[1])
        review.press("d")
        assert serious() == []
        review.press("y", "o")
        assert serious() == []
        review.press("u", "?")
        assert serious() == []
        review.press("Escape", "Control+s")
        assert serious() == []
        review.press("Escape")
        review.choose(CHOICE)
        review.press("a")
        review.page.wait_for_selector(".candidates canvas")
        assert serious() == []
        review.press("Shift+T")


# All of it


def test_what_is_approved_is_what_was_looked_at_1000_of_1000(review: Review, made: Gallery) -> None:
    review.page.reload()
    review.page.wait_for_selector('[data-shown]:not([data-shown=""])')
    review.page.get_by_role("button", name="Group", exact=True).click()
    review.press("2", "Home")
    review.page.set_viewport_size({"width": 800, "height": 480})  # less to paint, a thousand times
    review.page.evaluate("window.seen = window.seen.slice(-1)")
    steps = review.page.evaluate(WALK, ["y", 999, False])
    assert len(steps) == 999
    reviewed = {one["path"]: one["digest"] for one in review.page.evaluate("window.seen")}
    review.press("y")
    assert len(review.decisions()) == 1000
    wanted = made.digests()
    assert {*reviewed} == {*made.changed, *made.new, *made.deleted}
    assert len(reviewed) == 1000
    assert all(wanted[path] == digest for path, digest in reviewed.items())
    assert review.page.locator(".unsaved").inner_text() == "1,000 unsaved approvals"
    review.press("Control+s")
    dialog = review.page.get_by_role("dialog")
    assert "1,000 approvals" in dialog.inner_text()
    assert "502 baselines changed, 300 new, 198 removed" in dialog.inner_text()
    review.page.get_by_role("button", name="Save", exact=True).click()
    dialog.get_by_text("are in lockfiles/sprites.lock").wait_for(timeout=60_000)
    review.press("Escape")
    entries = lock.read(made.project.root)
    approved = {path: entries[path].approved if path in entries else "" for path in reviewed}
    assert approved == reviewed
    for path in made.changed[:500]:
        assert digest.of_file(made.project.root / path) == approved[path]
    assert review.page.locator(".filter.undecided .count").inner_text() == "0"
    assert review.page.locator(".unsaved").count() == 0


def test_the_former_baseline_stays_visible(review: Review, made: Gallery) -> None:
    path = made.dotted[1]
    review.choose(path)
    review.press("f")
    review.page.wait_for_selector('[data-layer="Former baseline"]')
    assert review.captions() == ["Former baseline", "New"]
    assert np.array_equal(review.drawn("Former baseline"), review.asset(path, "former"))
    review.press("f")


def test_no_request_left_the_machine_and_nothing_was_complained_of(review: Review) -> None:
    assert len(review.asked) > 1000
    assert all(url.startswith(f"http://127.0.0.1:{review.server.server_port}/") for url in review.asked)
    assert review.complaints == []
