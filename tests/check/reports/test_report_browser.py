"""The page in a browser: its pictures, filters and keys work, and nothing in it runs."""

from __future__ import annotations

import html as escaping
import io
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest
from PIL import Image
from reported import HOSTILE, Kept, a_check, checked_of, compared, filled

from spritebuild.check.cases import Checked, Violation
from spritebuild.check.reports.html import html

CHROMIUM = shutil.which("chromium")
in_chromium = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")


def browser(page: Path, tmp_path: Path, *told: str) -> str:
    """What Chromium prints."""
    command = [
        *(str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=1280,1600"),
        *(f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=3000", *told, page.as_uri()),
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


def seen(page: Path, tmp_path: Path) -> set[object]:
    """The colors that Chromium shows."""
    browser(page, tmp_path, f"--screenshot={tmp_path / 'shot.png'}")
    found = Image.open(tmp_path / "shot.png").convert("RGB").getcolors(1 << 24)
    assert found
    return {color for _, color in found}


@in_chromium
@pytest.mark.parametrize("single", [True, False])
def test_a_page_from_an_artifact_shows_its_pictures(tmp_path: Path, single: bool) -> None:
    kept = Kept(tmp_path / "kept")
    checked = Checked("p", [compared(kept, "a.png"), compared(kept, "b.png", "new")])
    files = html(checked, kept, tmp_path / ("page.html" if single else "report"), single=single)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for file in files:
            archive.write(file, file.relative_to(tmp_path))
    with zipfile.ZipFile(stream) as archive:
        archive.extractall(tmp_path / "unpacked")
    found = seen(tmp_path / "unpacked" / files[0].relative_to(tmp_path), tmp_path)
    assert {(20, 180, 40), (230, 10, 20), (255, 0, 255)} <= found


@in_chromium
def test_a_filter_and_a_ground_work_without_a_script(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "kept")
    cases = [compared(kept, "a.png"), compared(kept, "b.png", "new", "notice")]
    kept.keep("now", "b.png", filled((7, 77, 177)))
    (page,) = html(Checked("p", cases), kept, tmp_path / "page.html", single=True)
    assert {(230, 10, 20), (7, 77, 177)} <= seen(page, tmp_path)
    text = page.read_text()
    for chosen in ("show-new", "ground-green"):
        text = text.replace(f'id="{chosen}"', f'id="{chosen}" checked')
    page.write_text(text)
    found = seen(page, tmp_path)
    assert (7, 77, 177) in found
    assert (0x4B, 0x7A, 0x3C) in found
    assert (230, 10, 20) not in found


@in_chromium
def test_no_script_runs(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "kept")
    cases = [case for text in HOSTILE for case in checked_of(text, kept).cases]
    (page,) = html(Checked(HOSTILE[0], cases, list(HOSTILE)), kept, tmp_path / "page.html", single=True)
    assert "data-owned=" not in browser(page, tmp_path, "--dump-dom").partition("<head")[0]
    # The same names do run in a page that neither escapes nor forbids anything: the browser would have shown it.
    page.write_text(f"<!doctype html><html><head></head><body>{escaping.unescape(HOSTILE[0])}</body></html>")
    assert "data-owned=" in browser(page, tmp_path, "--dump-dom").partition("<head")[0]


@in_chromium
def test_the_policy_alone_stops_a_script(tmp_path: Path) -> None:
    (page,) = html(Checked("p", []), Kept(tmp_path), tmp_path / "page.html", single=True)
    page.write_text(page.read_text().replace("<body>", f"<body>{''.join(HOSTILE[:2])}"))
    shown = browser(page, tmp_path, "--dump-dom")
    assert "<script>" in shown
    assert "data-owned=" not in shown.partition("<head")[0]


@in_chromium
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_and_keys_filter(tmp_path: Path, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    playwright = pytest.importorskip("playwright.sync_api")
    kept = Kept(tmp_path / "kept")
    checked = a_check(kept)
    big = compared(kept, "big.png", measures={"colors": [["#000000", "#ffffff", n] for n in range(64)]})
    kept.keep("now", "big.png", filled((9, 99, 199), 1500, 1200))
    broken = compared(kept, "broken.png", violations=(Violation("size", "32x32, not 16x16"),), why=("a -> b",))
    alike = [compared(kept, f"alike/{n}.png", group="g") for n in range(30)]
    (page,) = html(Checked("p", [*checked.cases, big, broken, *alike], ["n"]), kept, tmp_path / "a.html", single=True)
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        tab = chromium.new_context(bypass_csp=True, color_scheme=scheme).new_page()
        asked: list[str] = []
        tab.on("request", lambda request: asked.append(request.url))
        tab.goto(page.as_uri())
        tab.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
        found = axe.Axe().run(tab)
        assert found.violations_count == 0, found.generate_report()
        assert [url for url in asked if not url.startswith("data:")] == [page.as_uri()]
        tab.keyboard.press("Tab")
        tab.keyboard.press("ArrowRight")
        assert tab.evaluate("document.activeElement.id") == "show-fail"
        shown = tab.locator("section:visible")
        assert shown.count() == len({case.kind for case in checked.failed} | {"edit"})
        assert all(each.get_attribute("data-verdict") == "fail" for each in shown.all())
        for width in (320, 1280):
            tab.set_viewport_size({"width": width, "height": 800})
            assert tab.evaluate("document.documentElement.scrollWidth") == width
        chromium.close()
