"""What the review server shows of real projects, over real HTTP."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from projects import Project
from reviews import HOSTILE, POTION, SHEET, approve_all

from spritebuild import digest, lock

# What is shown


def test_the_page_opens_once_with_its_token_and_then_with_the_cookie(changed: Project, review: Any) -> None:
    started = review(changed)
    address = started.server.address()
    visitor = started.stranger()
    first = visitor.open(address)
    assert (first.status, first.headers["Location"]) == (303, "/")
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= {
        part.strip() for part in first.headers["Set-Cookie"].split(";")
    }
    shown = visitor.get("/")
    assert shown.status == 200
    assert shown.headers["Content-Type"] == "text/html; charset=utf-8"
    assert visitor.get("/app.js").headers["Content-Type"] == "text/javascript; charset=utf-8"


def test_the_project_is_counted(changed: Project, review: Any) -> None:
    said = review(changed).visit().get("/api/project").json
    assert said["project"] == "island"
    assert said["total"] == 5
    assert sum(said["counts"].values()) == 5
    assert said["counts"]["new"] == said["counts"]["deleted"] == 1
    assert (said["unsaved"], said["stale"], said["read_only"], said["candidates"]) == (0, False, False, [])


def test_rows_are_in_the_order_of_paths_and_say_what_the_lock_says(changed: Project, review: Any) -> None:
    rows = review(changed).visit().rows()
    assert list(rows) == sorted(rows)
    locked = changed.lock()
    assert {path: row["digest"] for path, row in rows.items()} == {p: e.digest for p, e in locked.items()}
    assert rows["assets/ring.png"]["kind"] == "deleted"
    assert rows["assets/shield.png"]["baseline"] == ""
    assert rows[POTION]["size"] == [8, 8]
    assert (rows[SHEET]["folder"], rows[SHEET]["frames"]) == (True, 2)


def test_a_hostile_prompt_comes_back_as_it_is_in_json_of_ascii(changed: Project, review: Any) -> None:
    answer = review(changed).visit().get("/api/case?path=assets/shield.png")
    assert answer.body.isascii()
    prompts = [p["value"] for action in answer.json["graph"] for p in action["params"] if p["name"] == "prompt"]
    assert prompts == [HOSTILE]
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_case_says_why_along_the_graph_in_the_users_words(changed: Project, review: Any) -> None:
    case = review(changed).visit().case(POTION)
    paint, finish = case["graph"]
    assert (paint["action"], paint["stage"], paint["reason"]) == (
        "sprites.potion:paint",
        "paint",
        "styles.base.steps 20 -> 28",
    )
    steps = next(param for param in paint["params"] if param["name"] == "steps")
    assert steps == {"name": "steps", "value": 28, "origin": "styles.base.steps", "was": 20}
    assert finish["reason"].startswith("palettes.gray.colors ")
    assert (case["declared"], case["file"]) == ("sprites.potion", "spritefile.toml")
    assert case["why"]


def test_what_changed_twice_since_the_baseline_is_told_from_the_first(changed: Project, review: Any) -> None:
    changed.edit("styles.base.steps", 32)
    changed.build()
    paint = review(changed).visit().case(POTION)["graph"][0]
    assert paint["reason"] == "styles.base.steps 20 -> 28; styles.base.steps 28 -> 32"
    assert next(param for param in paint["params"] if param["name"] == "steps")["was"] == 20


def test_what_an_edit_will_change_is_told_before_it_is_built(changed: Project, review: Any) -> None:
    changed.edit("sprites.potion.prompt", "blue potion -> green")
    graph = review(changed).visit().case(POTION)["graph"]
    assert graph[0]["verdict"] == "run"
    prompt = next(param for param in graph[0]["params"] if param["name"] == "prompt")
    assert (prompt["value"], prompt["was"]) == ("blue potion -> green", "red potion")


def test_the_pictures_of_a_case_are_its_bytes_now_and_as_approved(changed: Project, review: Any) -> None:
    visitor = review(changed).visit()
    case = visitor.case(POTION)
    now, baseline = (visitor.get(case["pictures"][side]) for side in ("now", "baseline"))
    assert now.body == (changed.root / POTION).read_bytes()
    assert now.headers["Content-Type"] == "image/png"
    assert digest.of_bytes(now.body) == case["digest"]
    assert digest.of_bytes(baseline.body) == case["baseline"] != case["digest"]
    assert visitor.get(f"/pixels/{case['digest']}").body == now.body


def test_the_baseline_before_stays_visible_after_an_approval(changed: Project, review: Any) -> None:
    old = changed.lock()[POTION].approved
    approve_all(changed)
    visitor = review(changed).visit()
    case = visitor.case(POTION)
    assert (case["kind"], case["former"]) == ("same", old)
    assert digest.of_bytes(visitor.get(case["pictures"]["former"]).body) == old


def test_what_is_new_has_no_baseline_and_what_is_gone_no_picture(changed: Project, review: Any) -> None:
    visitor = review(changed).visit()
    assert visitor.case("assets/shield.png")["pictures"]["baseline"] is None
    gone = visitor.case("assets/ring.png")
    assert gone["pictures"]["now"] is None
    assert visitor.get(gone["pictures"]["baseline"]).status == 200
    assert gone["graph"] == []
    assert visitor.get("/api/steps?path=assets/ring.png").json == {"steps": []}


@pytest.mark.parametrize(
    "name", ["<img src=x onerror=alert(1)>", "two\nlines::error::", "\u202egnp", "x" * 5000, "%2e%2e", "a&b=c?d#e"]
)
def test_a_hostile_name_in_the_lock_is_shown_and_decided_on(changed: Project, review: Any, name: str) -> None:
    entries = changed.lock()
    path = f"assets/{name}.png"
    lock.write(changed.root, [*entries.values(), replace(entries["assets/ring.png"], path=path)])
    visitor = review(changed).visit()
    case = visitor.case(path)
    assert (case["path"], case["kind"]) == (path, "deleted")
    assert visitor.get(case["pictures"]["baseline"]).status == 200
    assert visitor.get("/api/cases").body.isascii()
    assert visitor.decide((path, "approve")).json["unsaved"] == 1
    assert visitor.post("/api/save", {}).json["approved"] == 1
    assert path not in changed.lock()


def test_a_damaged_file_of_the_store_counts_as_missing(changed: Project, review: Any) -> None:
    visitor = review(changed).visit()
    baseline = changed.blobs()[changed.lock()[POTION].approved]
    baseline.chmod(0o644)
    baseline.write_bytes(b"damaged")
    case = visitor.case(POTION)
    assert case["pictures"]["baseline"] is None
    assert visitor.get(f"/pixels/{case['baseline']}").status == 404
    assert visitor.post("/api/refresh", {}).status == 200
    assert visitor.rows()[POTION]["kind"] == "other"


def test_an_operation_is_called_by_its_place_in_the_declared_list(island: Project, review: Any) -> None:
    island.edit("styles.base.finish", [{"op": "alpha"}, {"stage": "invert"}, {"op": "despeckle"}, {"op": "trim"}])
    island.build()
    steps = review(island).visit().get(f"/api/steps?path={POTION}").json["steps"]
    assert [step["name"] for step in steps] == ["paint", "1. alpha", "invert", "3. despeckle", "4. trim"]


def test_the_palette_says_which_colors_came_and_went(changed: Project, review: Any) -> None:
    palette = review(changed).visit().case(POTION)["palette"]
    assert palette["now"] == ["#000000", "#888888", "#ff0000", "#ffffff"]
    assert palette["baseline"] == ["#000000", "#888888", "#ffffff"]
    assert (palette["added"], palette["removed"], palette["moved"]) == (["#ff0000"], [], [])


def test_a_recolor_says_which_color_became_which(island: Project, review: Any) -> None:
    island.build()
    approve_all(island)
    island.edit("palettes.sepia.colors", ["#201008", "#a08060", "#fff0d0"])
    finish = island.declared["styles"]["base"]["finish"]
    island.edit("styles.base.finish", [*finish, {"op": "swap", "palette": "gray", "to": "sepia"}])
    island.build()
    visitor = review(island).visit()
    row = visitor.rows()[POTION]
    assert row["kind"] == "recolor"
    moved = {(old, new) for old, new, _ in visitor.case(POTION)["palette"]["moved"]}
    assert moved == {("#000000", "#201008"), ("#888888", "#a08060"), ("#ffffff", "#fff0d0")}
    assert row["group"] == visitor.rows()["assets/sword.png"]["group"] != ""
    assert visitor.case(POTION)["same"] == ["assets/sword.png"]


def test_a_sheet_is_opened_to_its_frames(changed: Project, review: Any) -> None:
    visitor = review(changed).visit()
    case = visitor.case(SHEET)
    assert [frame["name"] for frame in case["frames"]] == ["potion", "sword"]
    assert [frame["duration_ms"] for frame in case["frames"]] == [50, 50]
    assert [frame["now"]["rect"] for frame in case["frames"]] == [[0, 0, 8, 8], [8, 0, 8, 8]]
    assert case["tags"] == [{"name": "spin", "from": 0, "to": 1, "fps": 20.0, "direction": "forward"}]
    urls = {frame[side]["url"] for frame in case["frames"] for side in ("now", "baseline")}
    assert urls == {case["pictures"]["now"], case["pictures"]["baseline"]}
    assert all(visitor.get(url).status == 200 for url in urls)
    assert {page["file"] for page in case["pages"]} == {"items.png"}


def test_a_frame_that_came_has_no_baseline_and_one_that_went_is_last(changed: Project, review: Any) -> None:
    approve_all(changed)
    changed.edit("sheets.items.sprites", ["shield", "sword"])
    changed.build()
    frames = review(changed).visit().case(SHEET)["frames"]
    assert [(f["name"], f["now"] is None, f["baseline"] is None) for f in frames] == [
        ("shield", False, True),
        ("sword", False, False),
        ("potion", True, False),
    ]


def test_the_pictures_on_the_way_are_each_operation_of_finishing(changed: Project, review: Any) -> None:
    from spritebuild_stages.images import png

    visitor = review(changed).visit()
    steps = visitor.get(f"/api/steps?path={POTION}").json["steps"]
    assert [step["name"] for step in steps] == ["paint", "1. alpha", "2. quantize"]
    bodies = [visitor.get(step["url"]).body for step in steps]
    assert bodies[2] == (changed.root / POTION).read_bytes()
    between = changed.file("between.png", bodies[1])
    assert set(png.read(between)[..., 3].ravel()) == {0, 255}
    assert len(set(bodies)) == 3
    (page,) = visitor.get(f"/api/steps?path={quote(SHEET)}").json["steps"]
    assert page == {"name": "sheet: items.png", "url": visitor.case(SHEET)["pictures"]["now"]}


def test_a_palette_file_is_read_for_the_pictures_on_the_way_unless_it_changed(island: Project, review: Any) -> None:
    island.file("palettes/gray.hex", "000000\n888888\nffffff\n")
    island.edit("palettes.gray", {"file": "palettes/gray.hex"})
    island.edit("styles.base.finish", [{"op": "quantize", "palette": "gray"}, {"op": "trim"}])
    island.build()
    steps = f"/api/steps?path={POTION}"
    visitor = review(island).visit()
    assert [step["name"] for step in visitor.get(steps).json["steps"]] == ["paint", "1. quantize", "2. trim"]
    island.file("palettes/gray.hex", "000000\n777777\nffffff\n")
    assert [step["name"] for step in visitor.get(steps).json["steps"]] == ["paint", "2. trim"]


def test_the_pictures_on_the_way_leave_nothing_behind(changed: Project, review: Any) -> None:
    started = review(changed)
    before = changed.listing()
    assert started.visit().get(f"/api/steps?path={POTION}").status == 200
    started.end()
    assert not (changed.root / ".spritebuild/review").exists()
    assert set(changed.listing()) - set(before) <= {".spritebuild/probes"}


def test_what_a_killed_review_left_is_removed_and_what_another_one_uses_is_not(changed: Project, review: Any) -> None:
    killed = changed.file(".spritebuild/review/99999999-abc/a.png", b"").parent
    one = review(changed)
    url = one.visit().get(f"/api/steps?path={POTION}").json["steps"][1]["url"]
    other = review(changed, read_only=True)
    assert other.visit().get(f"/api/steps?path={POTION}").status == 200
    other.end()
    assert one.visit().get(url).status == 200
    assert not killed.exists()


def test_patterns_narrow_the_review(changed: Project, review: Any) -> None:
    assert list(review(changed, "potion").visit().rows()) == [POTION]


def test_a_picture_whose_file_is_gone_comes_from_the_store(changed: Project, review: Any) -> None:
    visitor = review(changed).visit()
    url = visitor.case(POTION)["pictures"]["now"]
    bytes_then = (changed.root / POTION).read_bytes()
    (changed.root / POTION).unlink()
    assert visitor.get(url).body == bytes_then
    changed.blobs()[digest.of_bytes(bytes_then)].unlink()
    assert visitor.get(url).status == 404


def test_a_baseline_whose_bytes_are_nowhere_is_none(changed: Project, review: Any, tmp_path: Path) -> None:
    clone = changed.clone(tmp_path / "clone", assets=True)
    visitor = review(clone).visit()
    case = visitor.case(POTION)
    assert case["pictures"]["baseline"] is None
    assert case["palette"]["baseline"] == ["#000000", "#888888", "#ffffff"]
    assert visitor.get(f"/pixels/{case['baseline']}").status == 404
    assert [step["name"] for step in visitor.get(f"/api/steps?path={POTION}").json["steps"]] == ["2. quantize"]
