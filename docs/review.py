"""Takes the pictures of docs/review.md: `python docs/review.py ../shared/data/dcss docs` (needs playwright, Chromium).

It builds a small game of sprites that people drew, approves it, changes what an artist would change, and looks at that.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Page, sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from projects import Project

from spritebuild import lock
from spritebuild.approve import Choice, approve
from spritebuild.review.routes import Routes
from spritebuild.review.server import Server
from spritebuild.review.session import Session
from spritebuild.run import Options
from spritebuild.status import Status

ART = '''
"""A picture that somebody drew: the seed chooses among those that the prompt describes."""

from pathlib import Path

from spritebuild.stage import Outputs, Params, Stage


class ArtParams(Params):
    prompt: str = ""
    seed: int = 0
    art: str = ""


class ArtOutputs(Outputs):
    image: Path = Path("image.png")


class Art(Stage):
    version = 1
    Params = ArtParams
    Outputs = ArtOutputs

    def run(self, action, context):
        from spritebuild_stages.images import png

        found = sorted((Path(__file__).parents[1] / "art").glob(action.params.art))
        png.write(action.outputs.image, png.read(found[action.params.seed % len(found)]))
'''

REDS = ["#1a0a0c", "#5a1014", "#a81c1c", "#e2502c", "#f7a86a", "#fff0dc"]
WINES = ["#160a1c", "#3c1450", "#7a2496", "#b652c8", "#e4a0e8", "#fdeaff"]
MOSSES = ["#0c160e", "#1c4022", "#3c7a30", "#76b446", "#bce07a", "#f6ffdc"]
OUTLINE = {"op": "outline", "color": "#0d0b10"}
PAD = {"op": "pad", "size": [34, 34]}
SWAP = [{"op": "quantize", "palette": "red"}, {"op": "swap", "palette": "red", "to": "{dye}"}, PAD, OUTLINE]

FOLDERS = {"drawn": "monsters", "item": "items", "elixir": "items", "flying": "monsters", "ground": "ground"}


def drawn(art: str, prompt: str, style: str = "drawn", **more: Any) -> dict[str, Any]:
    """A sprite that shows a picture of the set."""
    return {"style": style, "prompt": prompt, "params": {"art": art}, "category": FOLDERS[style], **more}


def before() -> dict[str, Any]:
    """The game as it was approved."""
    dragons = ("golden", "ice", "quicksilver", "shadow", "storm", "swamp")
    weapons = ("club", "dagger", "flail1", "mace1", "rapier1", "scimitar1", "scythe1", "spear1", "hand_axe1")
    robes = ("ruby", "orange", "brown", "murky", "bubbly", "cloudy", "fizzy", "golden")
    sprites = {
        **{f"dragon-{name}": drawn(f"mon/dragons/{name}_dragon.png", f"{name} dragon") for name in dragons},
        **{
            name.rstrip("1").replace("_", "-"): drawn(f"item/weapon/{name}.png", name.rstrip("1"), "item")
            for name in weapons
        },
        **{
            f"elixir-{name}": drawn(
                f"item/potion/{name}.png", f"{name} elixir", "elixir", matrix={"dye": ["red"]}, name="{name}"
            )
            for name in robes
        },
        "scroll": drawn("item/scroll/scroll.png", "rolled scroll", "item"),
        "scroll-old": drawn("item/scroll/scroll-brown.png", "torn brown scroll", "item"),
        **{
            f"butterfly-{number}": drawn(
                "mon/animals/butterfly?.png", f"butterfly, step {number}", "flying", seed=number
            )
            for number in range(6)
        },
        "wall": drawn("dngn/wall/brick_brown0.png", "brown brick wall", "ground"),
    }
    return {
        "project": {"name": "dungeon", "stages": "stages"},
        "palettes": {"red": {"colors": REDS}, "wine": {"colors": WINES}, "moss": {"colors": MOSSES}},
        "styles": {
            "drawn": {"stage": "art", "finish": [{"op": "alpha"}, PAD, OUTLINE]},
            "item": {"stage": "art", "finish": [{"op": "alpha"}, PAD]},
            "elixir": {"stage": "art", "finish": [{"op": "alpha"}, *SWAP]},
            "flying": {"stage": "art", "finish": [{"op": "alpha"}]},
            "ground": {"stage": "art"},
        },
        "sprites": sprites,
        "sheets": {
            "butterflies": {
                "sprites": ["butterfly-*"],
                "columns": 3,
                "category": "sheets",
            }
        },
        "exports": {"phaser": {"kind": "phaser", "path": "game/phaser"}},
    }


def after(declared: dict[str, Any]) -> dict[str, Any]:
    """The same after a day's work."""
    sprites, styles = declared["sprites"], declared["styles"]
    styles["drawn"]["finish"][-1] = {"op": "outline", "selective": True, "shade": 40}
    for name in [name for name in sprites if name.startswith("elixir-")]:
        sprites[name]["matrix"] = {"dye": ["wine"]}
    sprites["mace"] = drawn("item/weapon/mace2.png", "mace with a golden head", "item")
    sprites["dagger"] = drawn("item/weapon/dagger3.png", "curved dagger", "item")
    sprites["spear"]["finish"] = [{"op": "alpha"}, {"op": "pad", "size": [34, 34], "anchor": "bottom"}]
    sprites["club"]["finish"] = [{"op": "alpha"}, PAD, {"op": "despeckle", "size": 2}]
    del sprites["scroll-old"]
    for number in range(3):
        sprites[f"staff-{number}"] = drawn(f"item/staff/staff0{number}.png", f"wizard's staff {number}", "item")
    for number in (2, 5):
        sprites[f"butterfly-{number}"]["finish"] = [
            {"op": "alpha"},
            {"op": "despeckle", "size": 3, "contrast": 20},
            OUTLINE,
        ]
    sprites["wyvern"] = drawn("mon/dragons/hydra*.png", "hydra", candidates=5)
    return declared


def build(root: Path, art: Path) -> Project:
    """The game, approved once and then changed."""
    project = Project(root)
    shutil.copytree(art, root / "art")
    project.stage("art", ART)
    declared = before()
    project.write(declared).build(jobs=2)
    entries = lock.read(root).values()
    approve(project.path, [Choice(entry.path, entry.digest, "approve") for entry in entries], Status())
    project.write(after(declared)).build(jobs=2)
    return project


def take(page: Page, folder: Path, views: Mapping[str, Callable[[Page], None]]) -> None:
    """One picture for every view."""
    for name, prepare_view in views.items():
        prepare_view(page)
        page.wait_for_timeout(400)
        place = folder / f"review-{name}.png"
        page.screenshot(path=place)
        with Image.open(place) as taken:
            opaque = taken.convert("RGB")
        opaque.save(place, optimize=True)


def choose(page: Page, path: str) -> None:
    """Choose an asset as its address does."""
    page.wait_for_timeout(300)  # until the address tells what is shown
    page.evaluate("path => { location.hash = encodeURIComponent(path) }", path)
    page.wait_for_selector(f'[data-shown="{path}"]')


def main(art: Path, folder: Path) -> None:
    with tempfile.TemporaryDirectory() as name, sync_playwright() as browsers:
        project = build(Path(name) / "dungeon", art)
        with Server(Routes(Session(project.path, options=Options(2)))) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            browser = browsers.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
            context = browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme="dark")
            page = context.new_page()
            page.goto(server.address())
            page.wait_for_selector('[data-shown]:not([data-shown=""])')
            take(page, folder, VIEWS)
            browser.close()
            server.shutdown()


def keys(path: str, *pressed: str) -> Callable[[Page], None]:
    """A view of an asset that keys lead to."""

    def press(page: Page) -> None:
        page.keyboard.press("Escape")
        choose(page, path)
        for key in pressed:
            page.keyboard.press(key)

    return press


def all_decided(page: Page) -> None:
    """What saving is going to write."""
    page.keyboard.press("Shift+T")
    page.keyboard.press("Home")
    for key in "yyyyyynyyyyyyyyyyyyyy":
        page.keyboard.press(key)
    page.wait_for_timeout(300)
    page.keyboard.press("Control+s")


def light(page: Page) -> None:
    """The other theme, what differs place by place."""
    page.keyboard.press("Shift+T")
    keys("assets/monsters/dragon-storm.png", "s", "k", "k")(page)


VIEWS: dict[str, Callable[[Page], None]] = {
    "side": keys("assets/items/elixir-brown.png"),
    "swipe": keys("assets/items/mace.png", "w"),
    "difference": keys("assets/monsters/dragon-golden.png", "d"),
    "frames": keys("assets/sheets/butterflies*", "o", ".", ".", "."),
    "steps": keys("assets/items/elixir-brown.png", "s", "e"),
    "candidates": keys("assets/monsters/wyvern.png", "a"),
    "light": light,
    "save": all_decided,
}

if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
