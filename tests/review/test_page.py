"""The review page in a real browser, on 1,000 sprites: every control and key that looks and finds does what it says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from browser import Review, exhibition, visit
from gallery import SHEET, Gallery

DOCUMENTED = Path(__file__).parents[2] / "docs/review.md"


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


# Looking


def test_the_first_picture_is_there_and_its_asset_is_chosen(review: Review) -> None:
    assert review.shown
    assert review.page.title() == "(1000) gallery \u00b7 spritebuild review"
    assert review.page.locator("h1").inner_text().startswith("gallery")


def test_every_mode_has_a_key_and_a_button(review: Review, made: Gallery) -> None:
    review.choose(made.dotted[1])
    modes = [
        ("s", "Side by side", ["Baseline", "New"]),
        ("w", "Swipe", ["Swipe"]),
        ("o", "Onion skin", ["Onion skin"]),
        ("d", "Difference", ["Difference"]),
        ("ArrowLeft", "Baseline", ["Baseline"]),
        ("ArrowRight", "New", ["New"]),
    ]
    tools = review.page.get_by_role("group", name="Mode")
    for key, name, captions in modes:
        for by_key in (True, False):
            review.press("b")
            if by_key:
                review.press(key)
            else:
                tools.get_by_text(name, exact=True).click()
            assert review.captions() == captions
            assert tools.get_by_text(name, exact=True).get_attribute("aria-pressed") == "true"


def test_blink_shows_one_then_the_other(review: Review, made: Gallery) -> None:
    review.choose(made.dotted[1])
    review.press("b")
    for caption in ("Blink: new", "Blink: baseline", "Blink: new"):
        review.wait("words => document.querySelector('figcaption strong').innerText === words", caption)


def test_the_pictures_are_the_assets_pixels(review: Review, made: Gallery) -> None:
    path = made.dotted[2]
    review.choose(path)
    for layer, side in (("Baseline", "baseline"), ("New", "now")):
        assert np.array_equal(review.drawn(layer), review.asset(path, side))


def test_the_heat_map_marks_exactly_what_differs(review: Review, made: Gallery) -> None:
    for path in (made.dotted[3], made.changed[2]):  # some pixels, and one that moved
        review.choose(path)
        review.press("d")
        old, new = (review.asset(path, side) for side in ("baseline", "now"))
        added = (old[..., 3] == 0) & (new[..., 3] > 0)
        removed = (old[..., 3] > 0) & (new[..., 3] == 0)
        changed = (old != new).any(-1) & (old[..., 3] > 0) & (new[..., 3] > 0)
        heat = review.drawn("Heat map of the differences")
        assert np.array_equal((heat == (64, 214, 132, 255)).all(-1), added)
        assert np.array_equal((heat == (92, 156, 255, 255)).all(-1), removed)
        assert np.array_equal(heat[..., 3] == 255, added | removed | changed)
        legend = review.page.locator(".legend").inner_text()
        assert f"{changed.sum()} changed pixel" in legend
        assert f"{added.sum()} added" in legend
        assert f"{removed.sum()} removed" in legend


def test_swipe_is_moved_by_the_slider_and_by_the_pointer(review: Review, made: Gallery) -> None:
    review.choose(made.dotted[1])
    review.press("w")
    clip = "document.querySelector('[data-layer=New]').style.clipPath"
    slider = review.page.get_by_label("Where baseline and new meet")
    slider.focus()
    review.press("Home")
    assert review.page.evaluate(clip).startswith("inset(0")
    assert slider.input_value() == "0"
    box = review.page.locator(".board").bounding_box()
    review.page.mouse.move(box["x"] + 10, box["y"] + 10)
    review.page.mouse.down()
    review.page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + 40)
    review.page.mouse.up()
    assert 72 <= float(slider.input_value()) <= 78
    assert review.page.locator(".divider").count() == 1


def test_onion_skin_mixes_the_two(review: Review, made: Gallery) -> None:
    review.choose(made.dotted[1])
    review.press("o")
    slider = review.page.get_by_label("How much of the new one")
    for key, before, now in (("Home", "1", "0"), ("End", "0", "1")):
        slider.focus()
        review.press(key)
        assert review.page.evaluate("document.querySelector('[data-layer=Baseline]').style.opacity") == before
        assert review.page.evaluate("document.querySelector('[data-layer=New]').style.opacity") == now


def test_zoom_is_whole_from_1_to_32_and_has_a_grid_from_8(review: Review, made: Gallery) -> None:
    review.choose(made.dotted[1])
    zoom = review.page.get_by_label("Zoom", exact=True).locator("output")
    canvas = review.page.locator("[data-layer=New] canvas")
    for _ in range(40):
        review.press("-")
        if zoom.inner_text() == "1\u00d7":
            break
    seen = []
    for _ in range(30):
        seen.append(int(zoom.inner_text().rstrip("\u00d7")))
        assert canvas.evaluate("it => it.clientWidth") == 24 * seen[-1]
        assert review.page.locator(".board .grid").count() == (2 if seen[-1] >= 8 else 0)
        if seen[-1] == 32:
            break
        review.press("+")
    assert seen[0] == 1
    assert seen[-1] == 32
    assert seen == sorted(set(seen))
    assert canvas.evaluate("it => getComputedStyle(it).imageRendering") == "pixelated"
    review.press("Shift+G")
    assert review.page.locator(".board .grid").count() == 0
    review.press("Shift+G")
    review.press("Space")
    assert review.page.get_by_text("Fit", exact=True).get_attribute("aria-pressed") == "true"


def test_the_wheel_zooms_and_dragging_moves_both_panes(review: Review, made: Gallery) -> None:
    review.choose(made.dotted[1])
    boards = review.page.locator(".board")
    box = boards.first.bounding_box()
    review.page.mouse.move(box["x"] + 60, box["y"] + 60)
    review.page.mouse.wheel(0, -100)
    review.wait("width => document.querySelector('.board').getBoundingClientRect().width > width", box["width"])
    before = [boards.nth(n).bounding_box()["x"] for n in range(2)]
    review.page.mouse.down()
    review.page.mouse.move(box["x"] + 100, box["y"] + 60)
    review.page.mouse.up()
    after = [boards.nth(n).bounding_box()["x"] for n in range(2)]
    assert after[0] - before[0] == after[1] - before[1] > 20
    review.press("Shift+ArrowRight")
    assert boards.first.bounding_box()["x"] < after[0]


def test_backgrounds_go_round_and_the_tint_is_chosen(review: Review, made: Gallery) -> None:
    review.choose(made.dotted[1])
    board = review.page.locator(".board").first
    color = "it => getComputedStyle(it).backgroundColor"
    seen = []
    for _ in range(4):
        review.press("v")
        seen.append(board.evaluate("it => it.classList[1]"))
        if seen[-1] == "tint":
            review.page.get_by_label("Color of the tint").evaluate(
                "it => { it.value = '#102030'; it.dispatchEvent(new Event('input', { bubbles: true })) }"
            )
            assert board.evaluate(color) == "rgb(16, 32, 48)"
    assert seen == ["black", "white", "tint", "checker"]
    review.page.get_by_label("white background").click()
    assert board.evaluate(color) == "rgb(255, 255, 255)"
    review.page.get_by_label("checker background").click()


def test_a_tile_is_repeated_three_by_three(review: Review, made: Gallery) -> None:
    review.choose(made.dotted[1])
    review.press("t")
    assert review.page.locator("[data-layer=New] canvas").count() == 9
    review.press("t")
    assert review.page.locator("[data-layer=New] canvas").count() == 1


def test_what_differs_is_marked_and_visited_place_by_place(review: Review, made: Gallery) -> None:
    path = made.dotted[6]
    review.choose(path)
    old, new = (review.asset(path, side) for side in ("baseline", "now"))
    differ = (old != new).any(-1)
    review.press("m")
    assert np.array_equal(review.drawn("Marks")[..., 3] > 0, differ)
    review.press("m", "k")
    box = review.page.locator(".region").first
    first = box.evaluate("it => it.getAttribute('style')")
    places = int(re.search(r"place 1 of (\d+)", review.page.locator(".figures").inner_text())[1])
    assert 1 <= places <= differ.sum()
    review.press(*["k"] * places)
    assert box.evaluate("it => it.getAttribute('style')") == first
    review.press("j", "k")
    assert box.evaluate("it => it.getAttribute('style')") == first


def test_a_color_of_the_palette_shows_its_pixels(review: Review, made: Gallery) -> None:
    path = made.dotted[1]
    review.choose(path)
    pink = review.page.get_by_role("group", name="Colors", exact=True).get_by_label("#ff0080, added")
    pink.hover()
    new = review.asset(path, "now")
    wanted = (new == (255, 0, 128, 255)).all(-1)
    assert review.page.locator('[data-layer="Other colors"]').count() == 2
    assert np.array_equal(review.drawn("Other colors", -1)[..., 3] == 0, wanted)
    assert f"#ff0080: {wanted.sum()} pixel" in review.page.locator(".palette .which").inner_text()
    pink.click()
    review.page.mouse.move(700, 10)
    assert review.page.locator('[data-layer="Other colors"]').count() == 2
    review.press("Escape", "p")
    assert review.page.locator(".palette").count() == 0
    review.press("p")


def test_a_recolor_says_which_color_became_which(review: Review, made: Gallery) -> None:
    path = made.changed[1]
    review.choose(path)
    moves = review.session.case(path)["palette"]["moved"]
    assert moves
    assert review.page.locator(".move").count() == len(moves)
    assert review.page.locator(".move").first.get_attribute("title").startswith(f"{moves[0][0]} became {moves[0][1]}")


def test_the_pixel_under_the_pointer_is_told(review: Review, made: Gallery) -> None:
    path = made.dotted[1]
    review.choose(path)
    box = review.page.locator(".board").last.bounding_box()
    step = box["width"] / 24
    review.page.mouse.move(box["x"] + 6.5 * step, box["y"] + 5.5 * step)
    old = review.asset(path, "baseline")[5, 6]
    told = "#{:02x}{:02x}{:02x}".format(*old[:3]) if old[3] else "nothing"
    assert review.page.locator(".spot").inner_text().split() == ["6,", "5", told, "\u2192", "#ff0080"]


def test_a_sheet_is_opened_to_its_frames_and_played(review: Review, made: Gallery) -> None:
    review.choose(SHEET)
    frames = review.page.get_by_role("group", name="All frames").get_by_role("button")
    assert frames.count() == 4
    labels = [frames.nth(n).get_attribute("aria-label") for n in range(4)]
    assert [label.endswith("the same") for label in labels] == [True, True, False, True]
    old = review.asset(made.changed[500], "baseline")
    new = review.asset(made.changed[500], "now")
    seen = ((old != new) & ((old[..., 3:] > 0) | (new[..., 3:] > 0))).any(-1).sum()
    assert f", {seen} pixels differ" in labels[2]
    review.press(".", ".", ".")
    assert np.array_equal(review.drawn("New"), new)
    review.press(",")
    assert review.page.locator(".frame[aria-pressed=true]").get_attribute("aria-label").startswith("Frame 2,")
    rate = review.page.locator(".player input")
    assert rate.input_value() == "7"  # 150 ms
    review.press("]", "]", "[")
    assert rate.input_value() == "8"
    review.press("r")
    for number in (4, 1, 2):
        review.wait(
            f"() => document.querySelector('.frame[aria-pressed=true]').ariaLabel.startsWith('Frame {number},')"
        )
    review.press("r")
    review.page.get_by_text("Whole sheet").click()
    assert review.drawn("New").shape == (48, 48, 4)
    review.page.get_by_label("Animation").select_option(label="walk")
    assert review.page.locator(".frame[aria-pressed=true]").count() == 1


def test_why_it_changed_is_said_in_the_words_of_the_declaration(review: Review, made: Gallery) -> None:
    path = made.dotted[1]
    review.choose(path)
    case = review.session.case(path)
    about = review.page.get_by_role("complementary", name="About the asset")
    text = about.inner_text()
    assert case["words"] in text
    assert case["why"]
    assert all(words in text for words in case["why"])
    assert "differ visibly" in text
    assert about.locator(".graph > li").count() == len(case["graph"]) == 2
    assert about.locator("ins").first.inner_text() == str(case["measures"]["pixels"])
    assert case["digest"][:16] in text
    assert case["baseline"][:16] in text


def test_the_steps_on_the_way_are_shown(review: Review, made: Gallery) -> None:
    review.choose(made.dotted[1])
    review.press("e")
    review.page.wait_for_selector(".steps canvas")
    assert review.page.locator(".steps li").count() == 2
    assert "creature" in review.page.locator(".steps li").first.inner_text()
    review.press("e")
    assert review.captions() == ["Baseline", "New"]


def test_less_motion_stops_the_blinking(review: Review, made: Gallery) -> None:
    still = visit(review.page.context.browser, review.server, reduced_motion="reduce", color_scheme="light")
    still.choose(made.dotted[1])
    still.press("b")
    still.page.wait_for_timeout(700)
    assert still.captions() == ["Blink: new"]
    still.press("ArrowLeft")
    assert still.captions() == ["Blink: baseline"]
    still.page.get_by_role("button", name="Blink once").click()
    assert still.captions() == ["Blink: new"]
    assert still.page.evaluate("document.documentElement.dataset.theme") == "light"
    still.press("Shift+T")
    assert still.page.evaluate("document.documentElement.dataset.theme") == "dark"
    still.page.context.close()


# Finding


def test_filters_list_what_they_say_and_count_it(review: Review, made: Gallery) -> None:
    wanted = {"all": 1023, "undecided": 1000, "changed": len(made.changed), "new": len(made.new)}
    wanted |= {"deleted": len(made.deleted), "passed": len(made.same), "violations": 0}
    review.page.get_by_role("button", name="Group", exact=True).click()
    lines = review.page.get_by_role("listbox")
    for number, (name, count) in enumerate(wanted.items(), 1):
        button = review.page.locator(f".filter.{name}")
        assert button.inner_text() == f"{name} {count:,}"
        if not count:
            assert button.is_disabled()
            continue
        review.press(str(number))
        assert button.get_attribute("aria-pressed") == "true"
        assert lines.get_attribute("aria-label") == f"{count:,} lines"
        review.press("1")
        button.click()
        assert lines.get_attribute("aria-label") == f"{count:,} lines"
        assert lines.get_by_role("option").count() < 40  # only what is in sight
    review.page.get_by_role("button", name="Group", exact=True).click()


def test_g_and_a_letter_jumps_to_the_next_of_its_kind(review: Review, made: Gallery) -> None:
    sorts = {"c": made.changed, "n": made.new, "d": made.deleted, "p": made.same}
    review.press("Home")
    for letter, paths in sorts.items():
        review.press("g", letter)
        first = review.chosen
        assert first in paths
        review.press("g", letter)
        assert review.chosen in paths
        assert review.chosen != first


def test_keys_go_up_and_down_the_list(review: Review) -> None:
    review.press("1", "Home")
    first = review.chosen
    review.press("ArrowDown", "l", "PageDown")
    far = review.page.locator('[aria-selected="true"]').get_attribute("aria-posinset")
    assert far == "13"
    review.press("ArrowUp", "h", "PageUp")
    assert review.chosen == first
    review.press("End")
    last = review.page.locator('[aria-selected="true"]')
    assert last.get_attribute("aria-posinset") == last.get_attribute("aria-setsize")
    box, lines = last.bounding_box(), review.page.get_by_role("listbox").bounding_box()
    assert lines["y"] <= box["y"] < box["y"] + box["height"] <= lines["y"] + lines["height"] + 1
    assert review.page.get_by_role("listbox").get_attribute("aria-activedescendant") == last.get_attribute("id")


def test_search_finds_by_words_and_keys_are_letters_there(review: Review, made: Gallery) -> None:
    review.press("/")
    review.page.keyboard.type("creature-0007 png")
    assert review.page.get_by_role("listbox").get_attribute("aria-label") == "1 line"
    assert review.chosen == made.changed[7]
    assert not review.decisions()
    review.page.locator("#search").fill("")
    review.press("Escape")
    assert review.chosen == made.changed[7]


def test_identical_changes_are_one_line_that_opens(review: Review, made: Gallery) -> None:
    review.press("3", "Home")
    groups = [paths for paths in review.session.snapshot.groups.values() if len(paths) > 1]
    review.choose(max(groups, key=len)[0])
    members = review.session.case(review.chosen)["same"]
    line = review.page.locator('[aria-selected="true"]')
    assert f"{len(members) + 1} identical changes" in line.get_attribute("aria-label")
    before = int(line.get_attribute("aria-setsize"))
    review.press("x")
    assert int(line.get_attribute("aria-setsize")) == before + len(members) + 1
    review.press("x")
    review.page.get_by_role("region").get_by_role("button").filter(has_text=members[0].rpartition("/")[2]).click()
    review.wait("path => document.querySelector('[data-shown]').dataset.shown === path", members[0])
    assert review.chosen == members[0]


def test_the_help_lists_the_keys_that_are_documented(review: Review) -> None:
    review.press("?")
    review.page.wait_for_selector("dialog[open]")
    keys = [re.sub(r"\s+", " ", text).strip() for text in review.page.locator("dialog dt").all_inner_texts()]
    words = review.page.locator("dialog dd").all_inner_texts()
    review.press("Escape")
    review.page.wait_for_selector("dialog", state="detached")
    rows = re.findall(r"^\| (`.+?`.*?) \| (.+?) \|$", DOCUMENTED.read_text("utf-8"), re.M)
    assert [(key.replace("`", ""), said) for key, said in rows] == list(zip(keys, words, strict=True))
