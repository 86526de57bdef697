"""A check as a page that needs no network, no server and no script: one file, or a folder with its pictures.

Filters, the ground and the view are radio buttons that the style sheet reads. The page forbids itself everything but
its own style and pictures. A template engine escapes all text.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spritebuild.check.cases import Case, Checked, Part
from spritebuild.check.reports.alike import Alike, alike, worth_telling
from spritebuild.check.reports.pictures import Rgba, Shelf, Source, colors, difference, read
from spritebuild.check.reports.text import KINDS, PLURALS, VERDICTS, measured, more, plain, sentence, tally
from spritebuild.digest import FILE
from spritebuild.files import write_atomic

if TYPE_CHECKING:
    from jinja2 import Template

MOST = 1000  # changes that are shown in pictures
MOST_PARTS = 8  # of a folder
MOST_THUMBNAILS = 24  # of equal changes
MOST_COLORS = 64  # of a strip
SIDE = 256  # that a picture is enlarged to, about
THUMBNAIL = 64
LARGE = 512  # pixels of a side beyond which a picture is scrolled
HEADINGS = {"fail": "Fails", "notice": "To look at", "pass": "Passes"}
PATH = 1024  # characters


def html(checked: Checked, pictures: Source, out: Path, *, single: bool) -> list[Path]:
    """Write the page and return its files: `out` itself if `single`, else `index.html` and `pictures/` below it.

    Of a former report in the same folder the pictures that are no longer shown are removed. Raises OSError.
    """
    folder = None if single else out / "pictures"
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    shelf = Shelf(folder)
    page = out if single else out / "index.html"
    style = _read("page.css")
    values = _Pages(pictures, shelf).values(checked)
    text = _template().render(values, style=style, policy=_policy(style, single))
    page.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(page, text.encode())
    if folder is None:
        return [page]
    for old in sorted(folder.glob("*.png")):
        if old.name not in shelf.used and FILE.fullmatch(old.stem):
            old.unlink()
    return [page, *(folder / name for name in sorted(shelf.used))]


def _policy(style: str, single: bool) -> str:
    """What the page may do; `file:` because browsers differ on whether a page opened from a disk is its own origin."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    sources = "data:" if single else "'self' file:"
    return f"default-src 'none'; img-src {sources}; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def _read(name: str) -> str:
    return resources.files("spritebuild.check.reports").joinpath(name).read_text("utf-8")


@cache
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined

    engine = Environment(autoescape=True, undefined=StrictUndefined)
    engine.trim_blocks = engine.lstrip_blocks = engine.keep_trailing_newline = True
    engine.filters.update(plain=plain, sentence=sentence, name=lambda text: plain(text, PATH))
    return engine.from_string(_read("page.html"))


@dataclass(frozen=True, slots=True)
class Shot:
    """A picture at an integer zoom, or `words` in its place."""

    side: str
    url: str = ""
    width: int = 0
    height: int = 0
    zoom: int = 1
    words: str = ""

    @property
    def large(self) -> bool:
        return max(self.width, self.height) > LARGE


@dataclass(frozen=True, slots=True)
class Strip:
    """Colors of one state, such as added; `left` are too many to show."""

    state: str
    colors: Sequence[str]
    left: int = 0


@dataclass(frozen=True, slots=True)
class Look:
    """A picture before, after, and what differs."""

    shots: Sequence[Shot]
    strips: Sequence[Strip] = ()


@dataclass(frozen=True, slots=True)
class Section:
    """Assets of one verdict and kind: as cards with pictures, and beyond their limit as lines."""

    verdict: str
    kind: str
    count: int
    cards: Sequence[Card]
    lines: Sequence[Alike]

    @property
    def heading(self) -> str:
        return HEADINGS[self.verdict]


@dataclass(frozen=True, slots=True)
class Card:
    """An asset on the page; `look` is None for a folder, whose files have theirs, and where pictures are too many."""

    case: Case
    anchor: str
    look: Look | None
    measures: Sequence[tuple[str, str]]
    recolored: Sequence[tuple[str, str, int]]
    files: Sequence[tuple[Part, Look | None]] = ()
    files_left: str = ""
    others: Sequence[tuple[Case, Look | None]] = ()
    others_left: str = ""
    others_all: str = ""


@dataclass
class _Pages:
    """Makes what the template shows."""

    pictures: Source
    shelf: Shelf
    left: int = MOST
    unseen: int = field(default=0)

    def values(self, checked: Checked) -> Mapping[str, Any]:
        rows = alike(checked.cases)
        sections = [
            self.section(verdict, kind, list(part))
            for (verdict, kind), part in groupby(rows, lambda row: (row.case.verdict, row.case.kind))
        ]
        quiet = [case for case in checked.cases if not worth_telling(case)]
        loud = [case for case in checked.cases if worth_telling(case)]
        verdicts = {verdict: sum(case.verdict == verdict for case in loud) for verdict in VERDICTS}
        kinds = {kind: sum(case.kind == kind for case in loud) for kind in KINDS}
        return {
            "checked": checked,
            "tally": tally(checked),
            "failed": len(checked.failed),
            "sections": sections,
            "quiet": quiet,
            "unseen": self.unseen,
            "most": MOST,
            "full": self.shelf.full,
            "verdicts": [(name, HEADINGS[name], count) for name, count in verdicts.items() if count],
            "kinds": [(name, PLURALS.get(name, name), count) for name, count in kinds.items() if count],
            "limits": sum(bool(case.violations) for case in loud),
            "told": len(loud),
        }

    def section(self, verdict: str, kind: str, rows: Sequence[Alike]) -> Section:
        cards = [self.card(row) for row in rows if self.room]
        lines = rows[len(cards) :]
        self.unseen += sum(1 + len(row.others) for row in lines)
        return Section(verdict, kind, sum(1 + len(row.others) for row in rows), cards, lines)

    @property
    def room(self) -> bool:
        """Whether the page takes more pictures."""
        return self.left > 0 and not self.shelf.full

    def card(self, row: Alike) -> Card:
        case = row.case
        changed = [part for part in case.parts if part.kind != "same"]
        return Card(
            case,
            anchor=_anchor(case),
            look=None if changed else self.look(case),
            measures=measured(case.measures),
            recolored=[pair for pair in case.measures.get("colors", ()) if _is_pair(pair)][:MOST_COLORS],
            files=[(part, self.look(case, part)) for part in changed[:MOST_PARTS]],
            files_left=_left(len(changed) - MOST_PARTS, "file", "files"),
            others=[(other, self.look(other, side=THUMBNAIL)) for other in row.others[:MOST_THUMBNAILS]],
            others_all=_left(len(row.others), "alike", "alike"),
            others_left=_left(len(row.others) - MOST_THUMBNAILS, "alike", "alike"),
        )

    def look(self, case: Case, part: Part | None = None, side: int = SIDE) -> Look | None:
        """The pictures of an asset, or of a file of a folder; None where there are too many already."""
        if not self.room:
            self.unseen += 1
            return None
        self.left -= 1
        file, about = (part.file, part) if part else ("", case)
        old = read(self.pictures.baseline(case.path, file)) if about.baseline else None
        new = read(self.pictures.now(case.path, file)) if about.kind not in ("deleted", "missing") else None
        shots = [
            self.shot("before", old, about.baseline, side, _without(about, old, "before")),
            self.shot("after", new, about.digest, side, _without(about, new, "after")),
        ]
        if about.kind == "same" and new is not None:
            return Look([self.shot("now", new, about.digest, side, "")], tuple(_strips(None, new)))
        if old is not None and new is not None and side == SIDE:
            shots.append(self.shot("difference", difference(old, new), "", side, ""))
        return Look(shots, tuple(_strips(old, new)) if side == SIDE else ())

    def shot(self, side: str, rgba: Rgba | None, digest: str, about: int, words: str) -> Shot:
        if rgba is None:
            return Shot(side, words=words)
        height, width = rgba.shape[:2]
        zoom = max(1, about // max(height, width))
        return Shot(side, self.shelf.url(rgba, digest), width * zoom, height * zoom, zoom)


def _left(count: int, one: str, many: str) -> str:
    return more(count, one, many) if count > 0 else ""


def _is_pair(pair: object) -> bool:
    return isinstance(pair, list | tuple) and len(pair) == 3 and isinstance(pair[2], int)


def _anchor(case: Case) -> str:
    return "asset-" + hashlib.sha256(case.path.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _without(about: Case | Part, rgba: Rgba | None, side: str) -> str:
    """Why there is no picture of a side."""
    if rgba is not None:
        return ""
    if side == "before":
        return "no pixels here" if about.baseline else "nothing"
    return "nothing" if about.kind in ("deleted", "missing") else "no picture"


def _strips(old: Rgba | None, new: Rgba | None) -> Iterator[Strip]:
    """Colors that came, went and stayed."""
    before, after = (set() if rgba is None else colors(rgba) for rgba in (old, new))
    both = (("added", after - before), ("removed", before - after), ("kept", before & after))
    for state, found in both if old is not None and new is not None else (("colors", before | after),):
        shown = sorted(found, key=_lightness)
        if shown:
            yield Strip(state, shown[:MOST_COLORS], max(0, len(shown) - MOST_COLORS))


def _lightness(color: str) -> tuple[int, str]:
    """Dark to light (luma of ITU-R BT.601, in integers), for a strip that reads as a ramp."""
    red, green, blue = (int(color[place : place + 2], 16) for place in (1, 3, 5))
    return 299 * red + 587 * green + 114 * blue, color
