"""The page of a watch in a real browser: what is shown of real builds, to whom, and how it is used."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from projects import ISLAND, Project
from visits import Visitor, chromium, raw

from spritebuild import lock
from spritebuild.approve import Choice, approve
from spritebuild.build import Request
from spritebuild.errors import SpritebuildError
from spritebuild.review.server import Server
from spritebuild.run import Options
from spritebuild.status import Status
from spritebuild.watch.follow import Watch
from spritebuild.watch.routes import Routes
from spritebuild.watch.saves import Saves
from spritebuild.watch.sheet import Sheet
from spritebuild_stages.images import png

DOCUMENTED = Path(__file__).parents[2] / "docs/watch.md"
HOSTILE = '<img src=x onerror="window.hit=1">'


class Quiet:
    """Hears a watch in this process, and ends it."""

    def building(self) -> contextlib.AbstractContextManager[Status]:
        return contextlib.nullcontext(Status())

    def saved(self, paths: Any) -> None: ...

    def failed(self, error: SpritebuildError) -> None: ...

    def waiting(self) -> None: ...

    def note(self, text: str) -> None: ...


class Ending(Saves):
    """Saves that can be told that nobody waits for them any more."""

    over = False

    def taken(self) -> list[str]:
        if self.over:
            raise KeyboardInterrupt
        return super().taken()

    def end(self) -> None:
        self.over = True
        self.pending.set()


@dataclass
class Shown:
    """An open page, its server, and the project that is watched."""

    project: Project
    sheet: Sheet
    server: Server
    page: Any
    asked: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def tile(self, name: str) -> Any:
        return self.page.locator(f'[data-name="{name}"]')

    def wait(self, expression: str, argument: Any = None) -> None:
        self.page.wait_for_function(expression, arg=argument)

    def states(self) -> dict[str, str]:
        rows = self.page.locator("[data-name]").evaluate_all("all => all.map(e => [e.dataset.name, e.dataset.state])")
        return dict(rows)

    def picture(self, name: str) -> str:
        return str(self.tile(name).get_attribute("data-picture"))


@contextlib.contextmanager
def served(sheet: Sheet) -> Iterator[Server]:
    with Server(Routes(sheet)) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            sheet.end()
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def watched(project: Project, **options: Any) -> Iterator[tuple[Watch, Server]]:
    """A watch in a thread of this process, with its page served."""
    request = Request(options=Options(2, keep_going=True))
    watch = Watch(project.path, request, Quiet(), saves=Ending(**options))

    def run() -> None:
        with contextlib.suppress(KeyboardInterrupt):
            watch.run()

    with served(watch.sheet) as server:
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        try:
            yield watch, server
        finally:
            watch.saves.end()  # type: ignore[attr-defined]
            thread.join(30)


def visit(browser: Any, project: Project, sheet: Sheet, server: Server, **options: Any) -> Shown:
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, "color_scheme": "dark", **options})
    context.set_default_timeout(30_000)
    page = context.new_page()
    shown = Shown(project, sheet, server, page)
    page.on("request", lambda request: shown.asked.append(request.url))
    page.on(
        "console",
        lambda said: said.type in ("error", "warning") and shown.complaints.append(f"{said.text} {said.location}"),
    )
    page.on("pageerror", lambda error: shown.complaints.append(str(error)))
    page.goto(server.address())
    page.wait_for_selector("[data-name]")
    return shown


def approve_all(project: Project) -> None:
    entries = lock.read(project.root).values()
    approve(project.path, [Choice(entry.path, entry.digest, "approve") for entry in entries], Status())


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def opened(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    """A watch of an approved project, and its page."""
    project = Project(tmp_path_factory.mktemp("watch") / "island").write(ISLAND)
    project.edit("sprites.shield", {"style": "base", "prompt": HOSTILE})
    project.build()
    approve_all(project)
    with watched(project) as (watch, server):
        shown = visit(browser, project, watch.sheet, server)
        yield shown
        assert shown.complaints == []


@pytest.fixture
def shown(opened: Shown) -> Shown:
    opened.page.keyboard.press("Escape")
    opened.page.keyboard.press("1")
    return opened


def test_every_sprite_has_a_card_with_the_pixels_that_are_installed(shown: Shown) -> None:
    assert shown.states() == dict.fromkeys(
        ("sprites.potion", "sprites.sword", "sprites.shield", "sheets.items"), "final"
    )
    for name, path in (("sprites.potion", "assets/potion.png"), ("sprites.sword", "assets/sword.png")):
        assert shown.picture(name) == shown.project.lock()[path].digest
        image = shown.tile(name).locator("img")
        shown.wait("name => document.querySelector(`[data-name='${name}'] img`).naturalWidth > 0", name)
        look = image.evaluate(
            "e => [getComputedStyle(e).imageRendering, e.naturalWidth, e.getBoundingClientRect().width]"
        )
        width = png.read(shown.project.root / path).shape[1]
        assert look[:2] == ["pixelated", width]
        assert look[2] % width == 0, "a whole zoom"
        drawn = image.evaluate(PIXELS)
        assert np.array_equal(np.array(drawn, np.uint8).reshape(-1, width, 4), png.read(shown.project.root / path))


# How many cards lie side by side.
ACROSS = "new Set([...document.querySelectorAll('[data-name]')].map(e => e.style.transform.split(',')[0])).size"

PIXELS = """
image => {
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
  const context = canvas.getContext('2d', { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  return [...context.getImageData(0, 0, canvas.width, canvas.height).data];
}
"""


def test_a_save_changes_the_picture_without_anybody_asking(shown: Shown) -> None:
    before = shown.picture("sprites.potion")
    shown.project.edit("sprites.potion.prompt", "blue potion")
    shown.wait("old => document.querySelector('[data-name=\"sprites.potion\"]').dataset.picture !== old", before)
    shown.wait("() => document.querySelector('[data-mood=watching]')")
    assert shown.picture("sprites.potion") == shown.project.lock()["assets/potion.png"].digest
    assert "changed" in str(shown.tile("sprites.potion").get_attribute("aria-label"))
    assert "as approved" in str(shown.tile("sprites.sword").get_attribute("aria-label"))
    shown.tile("sprites.potion").click()
    shown.page.keyboard.press("Enter")
    dialog = shown.page.locator("dialog")
    assert 'sprites.potion.prompt "red potion" -> "blue potion"' in dialog.inner_text()
    assert dialog.locator("figcaption").all_inner_texts() == ["approved", "now"]
    sources = dialog.locator("img").evaluate_all("all => all.map(e => e.getAttribute('src'))")
    assert sources == [f"/pixels/{before}.png", f"/pixels/{shown.picture('sprites.potion')}.png"]
    shown.page.keyboard.press("Escape")
    shown.wait("() => !document.querySelector('dialog')")


def test_an_approval_elsewhere_is_seen(shown: Shown) -> None:
    shown.project.edit("sprites.sword.prompt", "a new sword")
    label = "document.querySelector('[data-name=\"sprites.sword\"]').getAttribute('aria-label')"
    shown.wait(f"() => {label}.endsWith('changed')")
    shown.wait("() => document.querySelector('[data-mood=watching]')")
    approve_all(shown.project)
    shown.wait(f"() => {label}.endsWith('as approved')")


def test_a_mistake_is_shown_with_its_line_and_remedy_and_the_pictures_stay(shown: Shown) -> None:
    before = shown.picture("sprites.potion")
    text = shown.project.path.read_text()
    shown.project.path.write_text(text.replace("prompt = ", "<b>promt = ", 1))
    shown.page.wait_for_selector(".trouble")
    assert re.search(r"spritefile\.toml:\d+:\d+", shown.page.locator(".trouble .place").first.inner_text())
    assert "<b>promt" in shown.page.locator(".trouble pre").first.inner_text()
    assert "^" in shown.page.locator(".trouble pre").first.inner_text()
    shown.project.path.write_text(text.replace("prompt = ", "promt = ", 1))
    shown.wait("() => document.querySelector('.trouble')?.innerText.includes('did you mean \"prompt\"')")
    assert shown.picture("sprites.potion") == before
    assert shown.page.title().startswith("(!) ")
    shown.project.path.write_text(text)
    shown.wait("() => !document.querySelector('.trouble')")


def test_a_sprite_that_fails_says_why_and_keeps_its_last_picture(shown: Shown) -> None:
    before = shown.picture("sprites.potion")
    prompt = shown.project.declared["sprites"]["potion"]["prompt"]
    shown.project.edit("sprites.potion.prompt", "fail")
    shown.wait("() => document.querySelector('[data-name=\"sprites.potion\"]').dataset.state === 'failed'")
    assert shown.states()["sheets.items"] == "failed", "what is made of it"
    assert shown.states()["sprites.sword"] == "final"
    assert shown.picture("sprites.potion") == before
    shown.page.keyboard.press("6")
    assert [*shown.states()] == ["sprites.potion", "sheets.items"]
    shown.page.keyboard.press("Home")
    shown.page.keyboard.press("Enter")
    assert "the paint is dry" in shown.page.locator("dialog pre.error").inner_text()
    shown.page.keyboard.press("Escape")
    shown.project.edit("sprites.potion.prompt", prompt)
    shown.wait("() => !document.querySelector('[data-state=failed]')")


def test_sprites_come_and_go_with_their_declarations(shown: Shown) -> None:
    shown.project.edit("sprites.ring", {"style": "base", "prompt": "ring"})
    shown.wait("() => document.querySelector('[data-name=\"sprites.ring\"]')?.dataset.picture")
    shown.project.edit("sprites.ring", None)
    shown.wait("() => !document.querySelector('[data-name=\"sprites.ring\"]')")


def test_hostile_words_are_words(shown: Shown) -> None:
    assert shown.page.evaluate("window.hit") is None
    assert shown.page.locator("img[src='x']").count() == 0


def test_no_request_leaves_the_machine(shown: Shown) -> None:
    assert shown.asked
    assert {re.sub(r"(//[^/]*).*", r"\1", url) for url in shown.asked} == {
        f"http://127.0.0.1:{shown.server.server_port}"
    }


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_nothing_serious_is_said_by_axe(browser: Any, opened: Shown, theme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    opened.project.path.write_text(opened.project.path.read_text().replace("prompt = ", "promt = ", 1))
    shown = visit(browser, opened.project, opened.sheet, opened.server, color_scheme=theme)
    try:
        shown.page.wait_for_selector(".trouble")
        for keys in ((), ("?",), ("Escape", "Home", "Enter")):
            for key in keys:
                shown.page.keyboard.press(key)
            shown.page.wait_for_timeout(400)
            found = axe.run(shown.page).response["violations"]
            assert [each["id"] for each in found if each["impact"] in ("serious", "critical")] == [], found
    finally:
        shown.page.context.close()
        opened.project.write(opened.project.declared)
        opened.page.wait_for_function("() => !document.querySelector('.trouble')")


def test_the_keys_are_those_that_are_documented(shown: Shown) -> None:
    shown.page.keyboard.press("?")
    rows = shown.page.locator(".shortcuts dd").all_inner_texts()
    shown.page.keyboard.press("Escape")
    documented = re.findall(r"^\| `.*\| (.+) \|$", DOCUMENTED.read_text("utf-8"), re.MULTILINE)
    assert rows == documented


# Many, and states that pass quickly


def large(project: Project, count: int) -> Sheet:
    """A sheet of many sprites, of which none is built."""
    sprites = {f"s{number:04}": {"stage": "paint", "prompt": f"{number}"} for number in range(count)}
    project.write({"project": {"name": "many", "stages": "stages"}, "sprites": sprites})
    sheet = Sheet()
    from spritebuild.project import opened as read

    with read(project.path) as found:
        sheet.lay(found, {f"sprites.{name}" for name in sprites})
    return sheet


def test_a_thousand_sprites_are_as_many_elements_as_are_in_sight(browser: Any, project: Project) -> None:
    sheet = large(project, 1000)
    with served(sheet) as server:
        shown = visit(browser, project, sheet, server)
        assert shown.page.locator("#shelf").get_attribute("aria-label") == "1000 of 1000 sprites"
        assert shown.page.locator("[data-name]").count() < 150
        shown.page.keyboard.press("End")
        shown.page.wait_for_selector('[data-name="sprites.s0999"][aria-selected=true]')
        assert shown.page.locator("[data-name]").count() < 150
        shown.page.keyboard.press("ArrowUp")
        chosen = shown.page.locator("[aria-selected=true]")
        across = shown.page.evaluate(
            "new Set([...document.querySelectorAll('[data-name]')].map(e => e.style.transform.split(',')[0])).size"
        )
        assert chosen.get_attribute("data-name") == f"sprites.s{999 - across:04}"
        shown.page.keyboard.press("/")
        shown.page.keyboard.type("s0500")
        shown.wait("() => document.querySelectorAll('[data-name]').length === 1")
        sheet.expected("sprites.s0500:paint", "new")
        sheet.started("sprites.s0500:paint", "paint", "new")
        shown.page.wait_for_selector('[data-name="sprites.s0500"][data-state=drawing]')
        shown.page.context.close()


def test_drafts_are_told_from_what_is_final(browser: Any, island: Project) -> None:
    island.build()
    before = island.lock()["assets/potion.png"].digest
    island.edit("sprites.potion.prompt", "a draft")
    other = island.clone(island.root.parent / "other")
    other.build()
    draft = other.lock()["assets/potion.png"].digest
    (name,) = (path for digest, path in other.blobs().items() if digest == draft)
    kept = island.root / ".spritebuild/blobs" / draft[:2] / draft[2:]
    kept.parent.mkdir(exist_ok=True)
    kept.write_bytes(name.read_bytes())
    sheet = Sheet()
    from spritebuild.project import opened as read

    with read(island.path) as found, served(sheet) as server:
        sheet.lay(found, {"sprites.potion", "sprites.sword"})
        shown = visit(browser, island, sheet, server)
        assert shown.picture("sprites.potion") == before
        sheet.drafting(True)
        sheet.expected("sprites.potion:paint", "its prompt")
        sheet.started("sprites.potion:paint", "paint", "its prompt")
        shown.page.wait_for_selector('[data-name="sprites.potion"][data-state=drawing]')
        sheet.made("assets/potion.png", draft)
        shown.page.wait_for_selector('[data-name="sprites.potion"][data-state=draft]')
        assert shown.picture("sprites.potion") == draft
        shown.page.keyboard.press("3")
        shown.wait("() => document.querySelectorAll('[data-name]').length === 1")
        sheet.drafting(False)
        sheet.expected("sprites.potion:paint", "its prompt")
        assert shown.states() == {"sprites.potion": "draft"}, "until the final one is there"
        sheet.made("assets/potion.png", before)
        shown.wait("() => document.querySelectorAll('[data-name]').length === 0")
        shown.page.context.close()


def test_the_page_says_that_the_watch_has_ended(browser: Any, island: Project) -> None:
    with watched(island) as (watch, server):
        shown = visit(browser, island, watch.sheet, server)
        shown.page.wait_for_selector("[data-state=final]")
    shown.page.wait_for_selector("text=The watch has ended")
    assert shown.page.locator("[data-name]").count() == 3, "what was shown stays"
    shown.page.context.close()


# Who is answered


def test_strangers_get_nothing(island: Project) -> None:
    island.build()
    with watched(island) as (_, server):
        stranger, friend = Visitor(server.server_port), Visitor(server.server_port)
        for path in ("/", "/api/events", "/watch.js", f"/pixels/{'0' * 64}.png"):
            assert stranger.get(path).status == 401
        assert stranger.get("/", Host="example.com").status == 421
        assert stranger.get("/api/events", Sec_Fetch_Site="cross-site").status == 403
        assert friend.open(server.address()).status == 303
        page = friend.get("/")
        assert page.status == 200
        assert "default-src 'none'" in page.headers["Content-Security-Policy"]
        digest = island.lock()["assets/potion.png"].digest
        deadline = time.monotonic() + 30
        while friend.get(f"/pixels/{digest}.png").status == 404 and time.monotonic() < deadline:
            time.sleep(0.05)
        picture = friend.get(f"/pixels/{digest}.png")
        assert picture.body == (island.root / "assets/potion.png").read_bytes()
        assert friend.get(f"/pixels/{'0' * 64}.png").status == 404
        assert friend.get("/../spritefile.toml").status == 404
        assert friend.post("/api/events", {}).status == 405
        assert raw(server.server_port, ("GET /api/events HTTP/1.1", "Host: evil")).startswith(b"HTTP/1.1 421")
        for visitor in (stranger, friend):
            visitor.connection.close()


def test_only_pictures_of_the_sheet_are_given_out_and_only_with_their_own_bytes(island: Project) -> None:
    island.build()
    secret = island.file("assets/secret.png", b"\x89PNG\r\n\x1a\n secret")
    sheet = Sheet()
    from spritebuild.project import opened as read

    with read(island.path) as found:
        sheet.lay(found, {"sprites.potion"})
    digest = island.lock()["assets/potion.png"].digest
    assert sheet.pixels(digest) == (island.root / "assets/potion.png").read_bytes()
    for blob in island.blobs().values():
        blob.chmod(0o644)
        blob.write_bytes(b"\x89PNG\r\n\x1a\n something else")
    (island.root / "assets/potion.png").write_bytes(secret.read_bytes())
    assert sheet.pixels(digest) is None


def test_who_comes_late_is_told_everything_and_then_what_changes(island: Project) -> None:
    island.build()
    with watched(island) as (_, server):
        visitor = Visitor(server.server_port)
        visitor.open(server.address())
        stream = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
        stream.request("GET", "/api/events", headers=visitor.cookie)
        answer = stream.getresponse()
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        order: list[str] = []
        first: dict[str, Any] = {}
        while len(first) < 3 or {card["state"] for card in first.values()} != {"final"}:
            said = _told(answer)
            order = said.get("order", order)
            first |= {card["name"]: card for card in said.get("cards", ())}
        assert order == ["sprites.potion", "sprites.sword", "sheets.items"]
        island.edit("sprites.potion.prompt", "blue")
        then = dict(first)
        while then["sprites.potion"]["picture"] == first["sprites.potion"]["picture"]:
            then |= {card["name"]: card for card in _told(answer).get("cards", [])}
        assert then["sprites.sword"] == first["sprites.sword"]
        stream.close()
        visitor.connection.close()


def _told(answer: Any) -> dict[str, Any]:
    for line in answer:
        if line.startswith(b"data: {"):
            return dict(json.loads(line[6:]))
    raise AssertionError("the stream has ended")


GATED = '''
"""A picture of as many bright pixels as there are steps; that of many steps waits until the project has a file `go`."""

import time
from pathlib import Path

from spritebuild.stage import Outputs, Params, Stage


class SlowParams(Params):
    prompt: str = ""
    steps: int = 20


class SlowOutputs(Outputs):
    image: Path = Path("image.png")


class Slow(Stage):
    version = 1
    Params = SlowParams
    Outputs = SlowOutputs

    def run(self, action, context):
        import numpy as np

        from spritebuild_stages.images import png

        while action.params.steps >= 20 and not (Path(__file__).parents[1] / "go").exists():
            time.sleep(0.01)
        rgba = np.zeros((8, 8, 4), np.uint8)
        rgba.reshape(-1, 4)[: action.params.steps] = (*action.params.prompt.encode()[:3], 255)
        png.write(action.outputs.image, rgba)
'''


def test_a_draft_is_shown_while_the_final_one_is_made_and_touches_nothing(browser: Any, project: Project) -> None:
    project.stage("slow", GATED)
    project.file("go", "")
    sprites = {"orb": {"stage": "slow", "prompt": "red"}, "gem": {"stage": "slow", "prompt": "gem"}}
    project.write({"project": {"name": "slow", "stages": "stages"}, "sprites": sprites}).build()
    (project.root / "go").unlink()
    assets, locked = project.assets(), project.lock_text()
    with watched(project) as (watch, server):
        shown = visit(browser, project, watch.sheet, server)
        shown.page.wait_for_selector("[data-mood=watching]")
        project.edit("sprites.orb.prompt", "blue")
        shown.page.wait_for_selector('[data-name="sprites.orb"][data-state=draft]')
        draft = Visitor(server.server_port)
        draft.open(server.address())
        picture = project.root / "draft.png"
        picture.write_bytes(draft.get(f"/pixels/{shown.picture('sprites.orb')}.png").body)
        draft.connection.close()
        assert (png.read(picture)[..., 3] > 0).sum() == 8, "four tenths of the steps"
        assert shown.states()["sprites.gem"] == "final", "what is not stale has no draft"
        assert (project.assets(), project.lock_text()) == (assets, locked)
        project.file("go", "")
        shown.page.wait_for_selector('[data-name="sprites.orb"][data-state=final]')
        shown.page.wait_for_selector("[data-mood=watching]")
        installed = png.read(project.root / "assets/orb.png")
        assert (installed[..., 3] > 0).sum() == 20
        assert shown.picture("sprites.orb") == project.lock()["assets/orb.png"].digest
        shown.page.context.close()
