"""What is built of our pages: from its sources alone, the same bytes each time, within its policy."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BUNDLES = ("app.js", "app.css", "watch.js", "watch.css")
SOURCES, BUILT = ROOT / "review-page", ROOT / "spritebuild/review/page"


def test_the_page_is_built_from_its_sources() -> None:
    names = ["package.json", "package-lock.json", "tsconfig.json", "build.mjs"]
    names += [f"src/{path.name}" for path in (SOURCES / "src").iterdir()]
    told = hashlib.sha256()
    for name in sorted(names):
        told.update(f"{name}\0".encode() + (SOURCES / name).read_bytes() + b"\0")
    for file in BUNDLES:
        assert f"sources sha256:{told.hexdigest()} " in (BUILT / file).read_text("utf-8").partition("\n")[0]
    for page in ("index.html", "watch.html"):
        assert (BUILT / page).read_bytes() == (SOURCES / "src" / page).read_bytes()


def test_the_same_sources_build_the_same_bytes(tmp_path: Path) -> None:
    if not (SOURCES / "node_modules/esbuild").is_dir() or shutil.which("node") is None:
        pytest.skip("needs node and review-page/node_modules: make review-page")
    subprocess.run(["node", "build.mjs", str(tmp_path)], cwd=SOURCES, check=True, timeout=60)
    for name in (*BUNDLES, "index.html", "watch.html", "LICENSES.txt"):
        assert (tmp_path / name).read_bytes() == (BUILT / name).read_bytes(), name


def test_nothing_in_the_page_needs_more_than_its_policy() -> None:
    for name in ("index.html", "watch.html"):
        page = (BUILT / name).read_text("utf-8")
        assert not re.search(r"<script(?![^>]*src=)|<style|\son\w+=|\sstyle=|https?://(?!www\.w3\.org)", page)
    for name in ("app.js", "watch.js"):
        script = (BUILT / name).read_text("utf-8")
        assert not re.search(r"\beval\(|new Function|document\.write|insertAdjacentHTML|localStorage", script)
    assert not any("dangerouslySetInnerHTML" in path.read_text("utf-8") for path in (SOURCES / "src").glob("*.ts*"))
    package = json.loads((SOURCES / "package.json").read_text("utf-8"))
    assert package["dependencies"].keys() == {"preact", "@preact/signals"}
