"""Takes the pictures of docs/watch.md: `python docs/watch.py ../shared/data/dcss docs` (needs playwright, Chromium).

It watches the small game of docs/review.py as a person would, changes it as an artist would, and makes a mistake.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from projects import Project
from review import ART, after, before

from spritebuild import lock
from spritebuild.approve import Choice, approve
from spritebuild.status import Status


def take(page: Page, place: Path) -> None:
    page.wait_for_timeout(800)
    page.screenshot(path=place)
    with Image.open(place) as taken:
        opaque = taken.convert("RGB")
    opaque.save(place, optimize=True)


def main(art: Path, folder: Path) -> None:
    with tempfile.TemporaryDirectory() as name, sync_playwright() as browsers:
        project = Project(Path(name) / "dungeon")
        shutil.copytree(art, project.root / "art")
        project.stage("art", ART)
        declared = before()
        project.write(declared).build(jobs=2)
        entries = lock.read(project.root).values()
        approve(project.path, [Choice(entry.path, entry.digest, "approve") for entry in entries], Status())
        command = [sys.executable, "-m", "spritebuild", "watch", "--no-browser"]
        watch = subprocess.Popen(command, cwd=project.root, stdout=subprocess.PIPE, text=True)
        assert watch.stdout is not None
        browser = browsers.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_context(viewport={"width": 1280, "height": 800}, color_scheme="dark").new_page()
        page.goto(watch.stdout.readline().strip())
        page.wait_for_selector("[data-mood=watching]")
        project.write(after(declared))
        page.wait_for_selector('[data-name="sprites.staff-2"][data-state=final]')
        page.wait_for_selector("[data-mood=watching]")
        take(page, folder / "watch-dark.png")
        page.locator('[data-name="sprites.dragon-golden"]').click()
        page.keyboard.press("Enter")
        take(page, folder / "watch-large.png")
        page.keyboard.press("Escape")
        page.keyboard.press("Escape")
        page.keyboard.press("Shift+T")
        project.path.write_text(project.path.read_text().replace("prompt = ", "promt = ", 1))
        page.wait_for_selector(".trouble")
        take(page, folder / "watch-mistake.png")
        browser.close()
        watch.terminate()
        watch.wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
