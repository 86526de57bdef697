"""A review in a headless Chromium: the server in a thread, the page, and what tests ask of them; knows no test."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from gallery import Gallery, gallery
from numpy.typing import NDArray
from visits import chromium

from spritebuild.review.routes import Routes
from spritebuild.review.server import Server
from spritebuild.review.session import Session
from spritebuild_stages.images import png

SHOWN = '[data-shown]:not([data-shown=""])'

# Notes which asset is shown, of which bytes, and when, after every change of the page.
WATCHER = """
window.seen = [];
new MutationObserver(() => {
  const at = document.querySelector('[data-shown]');
  const last = window.seen.at(-1);
  if (at?.dataset.shown && at.dataset.shown !== last?.path) {
    window.seen.push({ path: at.dataset.shown, digest: at.dataset.digest, time: performance.now() });
  }
}).observe(document, { subtree: true, childList: true, attributes: true, attributeFilter: ['data-shown'] });
"""

# The address follows the page a moment later, and says nothing where it is set to what it is.
GO = """
path => {
  location.hash = encodeURIComponent(path);
  window.dispatchEvent(new HashChangeEvent('hashchange'));
}
"""

# Width and height of a layer's canvas, then red, green, blue and alpha of each pixel.
PIXELS = """
([name, pane]) => {
  const canvas = [...document.querySelectorAll(`[data-layer="${name}"] canvas`)].at(pane);
  const { width, height } = canvas;
  return [width, height, ...canvas.getContext('2d').getImageData(0, 0, width, height).data];
}
"""

# Presses a key as often as it leads to another asset, waiting until its picture is drawn, or until the screen shows it,
# too: [milliseconds, ...].
WALK = """
async ([key, times, painted]) => {
  const took = [];
  const { port1, port2 } = new MessageChannel();
  const turn = () => new Promise((next) => { port1.onmessage = next; port2.postMessage(0); });
  for (let n = 0; n < times; n++) {
    const count = window.seen.length;
    const start = performance.now();
    document.body.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
    while (window.seen.length === count) {
      if (performance.now() - start > 3000) return took;
      await turn();
    }
    if (painted) await new Promise((next) => requestAnimationFrame(() => setTimeout(next, 0)));
    took.push(performance.now() - start);
  }
  return took;
}
"""


@dataclass
class Review:
    """An open page and its server. `asked` are the addresses that it asked for, `complaints` what its console said."""

    page: Any
    session: Session
    server: Server
    asked: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    made: Gallery = field(init=False)

    def heard(self, said: Any) -> None:
        """Note what the console says, but for what reading back a canvas, as tests do, gives rise to."""
        if said.type in ("error", "warning") and "willReadFrequently" not in said.text:
            self.complaints.append(f"{said.text} {said.location['url']}")

    def choose(self, path: str) -> None:
        """Choose an asset as its address does, and wait for its picture."""
        self.page.evaluate(GO, path)
        self.page.wait_for_function("path => document.querySelector('[data-shown]')?.dataset.shown === path", arg=path)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def wait(self, expression: str, argument: Any = None) -> None:
        """Wait until an expression of the page is true."""
        self.page.wait_for_function(expression, arg=argument)

    def fresh(self) -> None:
        """All is listed, and shown side by side, as when the page was opened."""
        self.press("Escape", "Escape", "1", "s", "0")

    @property
    def shown(self) -> str:
        """The path of the asset whose picture is on the screen."""
        return str(self.page.evaluate("document.querySelector('[data-shown]')?.dataset.shown ?? ''"))

    @property
    def chosen(self) -> str:
        """The path of the chosen line."""
        return str(self.page.locator('[role=option][aria-selected="true"]').get_attribute("data-path"))

    def captions(self) -> list[str]:
        """What the panes are called."""
        return list(self.page.locator("figcaption strong").all_inner_texts())

    def asset(self, path: str, side: str = "now") -> NDArray[np.uint8]:
        """The pixels of an asset now, or of its baseline, as the engine reads them."""
        return png.read(getattr(self.session.snapshot.comparison.pictures, side)(path))

    def drawn(self, layer: str, pane: int = 0) -> NDArray[np.uint8]:
        """The pixels of a layer's canvas in a pane, (height, width, 4)."""
        width, height, *values = self.page.evaluate(PIXELS, [layer, pane])
        return np.array(values, np.uint8).reshape(height, width, 4)

    def decisions(self) -> dict[str, tuple[str, str]]:
        """Decision and comment by path, as the server has them once all are sent."""
        self.wait("() => document.querySelector('.progress').getAttribute('aria-busy') === 'false'")
        return {path: (mark.decision, mark.comment) for path, mark in self.session.decisions.marks.items()}


@contextlib.contextmanager
def serving(spritefile: Path) -> Iterator[Server]:
    """The review of a project, in a thread."""
    session = Session(spritefile)
    with contextlib.closing(session), Server(Routes(session)) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def visit(browser: Any, server: Server, **options: Any) -> Review:
    """Open the page in a context of its own, and wait for the first picture."""
    context = browser.new_context(**{"viewport": {"width": 1440, "height": 900}, "color_scheme": "dark", **options})
    context.set_default_timeout(10_000)
    page = context.new_page()
    review = Review(page, server.routes.session, server)
    page.on("request", lambda request: review.asked.append(request.url))
    page.on("console", review.heard)
    page.on("pageerror", lambda error: review.complaints.append(str(error)))
    page.add_init_script(WATCHER)
    page.goto(server.address())
    page.wait_for_selector(SHOWN)
    return review


@contextlib.contextmanager
def exhibition(root: Path) -> Iterator[Review]:
    """The page on a gallery of 1,000 sprites to decide on."""
    with chromium() as browser:
        made = gallery(root)
        with serving(made.project.path) as server:
            review = visit(browser, server)
            review.made = made
            yield review
