"""Cases, their pictures, and names that would like to do something, for the tests of reports."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from spritebuild.check.cases import Case, Checked, Part, Violation
from spritebuild.check.reports.text import KINDS, VERDICTS

Rgba = NDArray[np.uint8]
OWN = "document.documentElement.setAttribute('data-owned','1')"
HOSTILE = (
    f"<script>{OWN}</script>",
    f'"><img src=x onerror="{OWN}">',
    f"</style></title></textarea></details>--><svg onload={OWN}>",
    f"' autofocus onfocus={OWN} x='",
    f"javascript:{OWN}",
    "a\n::error::owned",
    "::error file=a.py,line=1::owned",
    "b\r::add-mask::owned",
    "c ##[error]owned ##vso[task.complete]",
    "%0A::error::owned",
    "\x1b[2J\x1b]0;owned\x07\x9b31m",
    "\u202egnp.exe\u2066\u200f\u200b\ufeff",
    "line\u2028separator\u2029 and \x85 and \x0b\x0c",
    "x" * 10_000,
    "../../../etc/passwd",
    "..\\..\\windows",
    "/etc/passwd",
    "]]><!-- & &lt; &#60; -->",
    "{{ 7 * 7 }}{% raw %}{# x #}",
    "a|b `c` *d* _e_ ~~f~~ [g](javascript:alert(1)) ![h](http://evil.example/i.png) <b>",
    "@octocat #1 http://evil.example www.evil.example :smile:",
    "\ud800 lone \udcff",
    "\x00\x01\x08\ufffe\uffff",
    "",
    "מלך/ملك.png",
    "王/勇者.png",
    "\n\n# heading\n\n- item\n\n```\n",
    "e\u0301\u0301\u0301\u0301",
)


@dataclass(frozen=True)
class Kept:
    """Pictures in a folder, as those of a project are found."""

    folder: Path

    def now(self, path: str, file: str = "") -> Path | None:
        return self._at("now", path, file)

    def baseline(self, path: str, file: str = "") -> Path | None:
        return self._at("baseline", path, file)

    def former(self, path: str, file: str = "") -> Path | None:
        return self._at("former", path, file)

    def keep(self, side: str, path: str, rgba: Rgba, file: str = "") -> str:
        """Keep a picture, and give its digest."""
        target = self.folder / side / self._name(path, file)
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rgba).save(target, "PNG")
        return hashlib.sha256(target.read_bytes()).hexdigest()

    def _at(self, side: str, path: str, file: str) -> Path | None:
        found = self.folder / side / self._name(path, file)
        return found if found.is_file() else None

    def _name(self, path: str, file: str) -> str:
        return hashlib.sha256(f"{path}\0{file}".encode("utf-8", "surrogatepass")).hexdigest()


def filled(color: tuple[int, int, int], width: int = 4, height: int = 4) -> Rgba:
    """A picture of one color but for its first pixel, which is transparent."""
    rgba = np.zeros((height, width, 4), np.uint8)
    rgba[...] = (*color, 255)
    rgba[0, 0] = 0
    return rgba


def compared(kept: Kept | None, path: str, kind: str = "edit", verdict: str = "fail", **told: Any) -> Case:
    """A case, with its pictures if they are to be kept: green before, and now with a red pixel."""
    baseline, digest = "" if kind == "new" else "b" * 64, "" if kind == "deleted" else "d" * 64
    if kept is not None:
        old, new = filled((20, 180, 40)), filled((20, 180, 40))
        new[2, 2] = (230, 10, 20, 255)
        baseline = baseline and kept.keep("baseline", path, old)
        digest = digest and kept.keep("now", path, old if kind == "same" else new)
    facts = {"words": f"it is {kind}", "size": (4, 4), "file": "spritefile.toml", "line": 3, **told}
    return Case(path, kind, verdict, digest=digest, baseline=baseline, **facts)  # type: ignore[arg-type]


def checked_of(text: str, kept: Kept | None = None) -> Checked:
    """A case of every kind, with `text` in every place that may hold one."""
    measures: Mapping[str, Any] = {"pixels": 2, text: text, "colors": [(text, text, 2)], "box": [text], "by": text}
    told: dict[str, Any] = {
        "words": text,
        "target": text,
        "declared": text,
        "file": text,
        "measures": measures,
        "violations": (Violation(text, text),),
        "why": (text, text),
        "platform": text,
    }
    cases = []
    for place, kind in enumerate(KINDS):
        path, verdict = f"{text}{place}", ("fail", "notice", "pass")[place % 3]
        parts = (Part(text, "edit", text, text, text),) if kind == "other" else ()
        cases.append(compared(kept, path, kind, verdict, parts=parts, **told))
        if place % 2:
            equal = [compared(kept, f"{path}{letter}", kind, verdict, group=text or "g", **told) for letter in "ab"]
            cases += equal
    return Checked(text, cases, [text])


def a_check(kept: Kept) -> Checked:
    """A sprite of every kind and a folder."""
    cases = [compared(kept, f"assets/{kind}.png", kind, VERDICTS[n % 3]) for n, kind in enumerate(KINDS)]
    for file, color in (("page-1.png", (1, 2, 3)), ("page-2.png", (4, 5, 6))):
        kept.keep("baseline", "game/*", filled((9, 9, 9)), file)
        kept.keep("now", "game/*", filled(color), file)
    parts = [Part(f"page-{n}.png", "edit", f"page {n} differs", "d" * 64, "b" * 64) for n in (1, 2)]
    return Checked("dungeon", [*cases, Case("game/*", "edit", "fail", "2 files differ", parts=parts)], ["a note"])
