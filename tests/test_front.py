"""A build that looks only at what changes touch gives what a build that looks at everything gives."""

from __future__ import annotations

import copy
import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from projects import Project, Recorder

from spritebuild import front, idle
from spritebuild.build import Request, build
from spritebuild.digest import Files
from spritebuild.errors import SpritebuildError
from spritebuild.status import Status

EXAMPLES = 400 if os.environ.get("SPRITEBUILD_FAULTS") == "all" else 12
GRAY, WARM = "000000\n888888\nffffff\n", "200000\nff8800\nffff00\n"

HARBOR: dict[str, Any] = {
    "project": {"name": "harbor", "stages": "stages"},
    "palettes": {"gray": {"file": "gray.hex"}, "warm": {"file": "warm.hex"}, "two": {"colors": ["#000000", "#ffffff"]}},
    "styles": {
        "plain": {"stage": "paint", "steps": 20},
        "dreamt": {"stage": "dream"},
        "base": {
            "stage": "paint",
            "finish": [{"op": "alpha", "threshold": 128}, {"op": "quantize", "palette": "gray"}],
        },
        "warm": {"extends": "base", "finish": [{"stage": "invert"}, {"op": "quantize", "palette": "warm"}]},
    },
    "sprites": {
        "boat": {"style": "base", "prompt": "boat"},
        "buoy": {"style": "plain", "prompt": "buoy", "seed": 3},
        "crab": {"style": "warm", "prompt": "{color} crab", "matrix": {"color": ["red", "blue"]}},
        "gull": {"style": "warm", "prompt": "gull"},
        "hook": {"style": "plain", "prompt": "hook", "seeds": [1, 2]},
        "mast": {"style": "base", "prompt": "mast", "category": "wood"},
        "net": {"style": "base", "prompt": "net"},
        "net-torn": {"style": "warm", "prompt": "net"},  # the same picture before it is finished
    },
    "sheets": {"all": {"sprites": ["*"], "columns": 3}, "crabs": {"sprites": ["crab-*"], "category": "wood"}},
    "exports": {"web": {"kind": "plain", "sheets": ["crabs"], "path": "game/web"}},
}


@pytest.fixture
def harbor(tmp_path: Path) -> Project:
    return _harbor(tmp_path / "harbor")


def _harbor(root: Path) -> Project:
    project = Project(root)
    project.file("gray.hex", GRAY)
    project.file("warm.hex", WARM)
    project.write(HARBOR).build()
    assert project.idle()
    return project


def _narrow(project: Project) -> list[str] | None:
    """The actions that a build would look at; None where it would look at all."""
    seen = idle.read(project.root)
    assert seen is not None
    with front.narrowed(project.path, seen, Status(), offline=False) as found:
        return list(found.graph.actions) if found is not None else None


def _built(project: Project, *, whole: bool) -> tuple[Recorder, str]:
    told = Recorder()
    try:
        told.summary = build(project.path, Request(), told, None if whole else idle.read(project.root))
    except SpritebuildError as error:
        return told, str(error).replace(str(project.root), "")
    return told, ""


def _state(project: Project) -> dict[str, Any]:
    """Everything that a build leaves and that does not name the place or the time."""
    state: dict[str, Any] = {}
    for folder in ("assets", "game", "lockfiles"):
        found = sorted(path for path in (project.root / folder).rglob("*") if path.is_file())
        state |= {path.relative_to(project.root).as_posix(): path.read_bytes() for path in found}
    database = sqlite3.connect(project.root / ".spritebuild/traces.db")
    for query in ("SELECT key, action, outputs FROM traces", "SELECT * FROM described", "SELECT * FROM installed"):
        state[query] = sorted(database.execute(query))
    if project.idle():
        state["uses"] = sorted(database.execute("SELECT * FROM front_uses"))
        state["rows"] = sorted(database.execute("SELECT * FROM front WHERE name <> 'front'"))
        state["head"] = {key: value for key, value in _head(database).items() if key != "token"}
        seen = idle.read(project.root)
        assert seen is not None
        assert seen.token == _head(database).get("token", seen.token)
        state["files"] = [path.removeprefix(str(project.root)) for path in seen.paths]
        copies = (project.root / ".spritebuild/front").glob("*")
        state["copies"] = sorted((path.name, path.read_bytes()) for path in copies)
    database.close()
    return state


def _head(database: sqlite3.Connection) -> dict[str, Any]:
    import json

    row = database.execute("SELECT row FROM front WHERE name = 'front'").fetchone()
    return json.loads(row[0]) if row else {}


def _compare(project: Project) -> None:
    """Build after an edit, in place from what the last build saw, and in a copy from the beginning."""
    other = Project(project.root.with_name("copy"))
    shutil.rmtree(other.root)
    time.sleep(Files.RACY / 1e9)  # what was written this moment is looked at again by the next build, too
    shutil.copytree(project.root, other.root, symlinks=True)
    part, failed = _built(project, whole=False)
    whole, failed_whole = _built(other, whole=True)
    assert failed == failed_whole
    if failed:  # what else got done before depends on the order
        return
    told = [
        (sorted(each.ran), sorted(each.installs), sorted(each.removals), each.reasons, sorted(each.said))
        for each in (part, whole)
    ]
    assert told[0] == told[1]
    ours, theirs = _state(project), _state(other)
    assert ours.keys() == theirs.keys()
    for what in ours:
        assert ours[what] == theirs[what], what
    assert project.idle() == other.idle()


# One edit, that a part is enough for


def _set(dotted: str, value: Any) -> Callable[[Project], object]:
    return lambda project: project.edit(dotted, value)


def _write(path: str, content: str) -> Callable[[Project], object]:
    return lambda project: project.file(path, content)


def _remove(path: str) -> Callable[[Project], object]:
    return lambda project: (project.root / path).unlink()


def _comment(project: Project) -> None:
    text = project.path.read_text()
    project.path.write_text(text.replace("[sprites.crab]", "[sprites.crab]  # walks sideways\n# so it does"))


SMALL: dict[str, tuple[Callable[[Project], object], set[str]]] = {
    "prompt": (_set("sprites.buoy.prompt", "bell buoy"), {"buoy:paint", "all:sheet"}),
    "style": (
        _set("sprites.gull.style", "warm"),
        set(),
    ),
    "seed": (_set("sprites.mast.seed", 7), {"mast:paint", "mast:finish", "all:sheet"}),
    "sprite with a matrix": (
        _set("sprites.crab.prompt", "{color} king crab"),
        {
            *(f"crab-{color}:{stage}" for color in ("red", "blue") for stage in ("paint", "invert", "finish")),
            "all:sheet",
            "crabs:sheet",
            "web:export",
        },
    ),
    "asset deleted": (_remove("assets/gull.png"), {"gull:paint", "gull:invert", "gull:finish"}),
    "asset edited": (_write("assets/boat.png", "mine"), {"boat:paint", "boat:finish"}),
    "comment": (_comment, set()),
    "touched": (lambda project: os.utime(project.path), set()),
    "prompt back and forth": (
        lambda project: project.edit("sprites.boat.prompt", "ship").edit("sprites.boat.prompt", "boat"),
        set(),
    ),
}


@pytest.mark.parametrize("edit", SMALL)
def test_small_edit_is_looked_at_alone(harbor: Project, edit: str) -> None:
    harbor.root.with_name("copy").mkdir()
    change, touched = SMALL[edit]
    change(harbor)
    looked_at = _narrow(harbor)
    assert looked_at is not None
    assert {id.partition(".")[2] for id in looked_at} == touched
    _compare(harbor)


def test_what_other_members_of_a_sheet_were_made_on_counts(harbor: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    harbor.root.with_name("copy").mkdir()
    for name in ("boat", "gull"):
        monkeypatch.setenv("DREAM_PLATFORM", name)
        harbor.edit(f"sprites.{name}.style", "dreamt").build()
    assert (
        len({harbor.lock()[f"assets/{name}"].platform for name in ("boat.png", "gull.png", "all*", "wood/mast.png")})
        > 2
    )
    for name in ("mast", "boat"):
        monkeypatch.setenv("DREAM_PLATFORM", "third")
        harbor.edit(f"sprites.{name}.seed", 7)
        assert _narrow(harbor) is not None
        _compare(harbor)
    (harbor.root / "game/web/web.json").unlink(missing_ok=True)
    _compare(harbor)


LARGE: dict[str, Callable[[Project], object]] = {
    "style of all": _set("styles.plain.steps", 21),
    "further sprite": _set("sprites.anchor", {"style": "base", "prompt": "anchor"}),
    "sprite gone": _set("sprites.boat", None),
    "sprite moved": _set("sprites.mast.category", "iron"),
    "matrix": _set("sprites.crab.matrix", {"color": ["red", "green"]}),
    "shares a picture by now": _set("sprites.gull.prompt", "net"),
    "shared a picture before": _set("sprites.net.prompt", "wide net"),
    "sheet": _set("sheets.all.columns", 4),
    "stage": lambda project: project.bump("paint", 2),
    "unknown style": _set("sprites.boat.style", "bare"),
    "lock": lambda project: (project.root / "lockfiles/sprites.lock").write_text(""),
    "palette of several that share a picture": _write("gray.hex", GRAY + "444444\n"),
}


@pytest.mark.parametrize("edit", LARGE)
def test_edit_whose_reach_is_not_certain_is_looked_at_as_a_whole(harbor: Project, edit: str) -> None:
    harbor.root.with_name("copy").mkdir()
    LARGE[edit](harbor)
    assert _narrow(harbor) is None
    _compare(harbor)


def test_palette_file_is_looked_at_with_those_that_read_it(harbor: Project) -> None:
    declared = copy.deepcopy(harbor.declared)
    del declared["sprites"]["net-torn"]
    harbor.write(declared).build()
    harbor.root.with_name("copy").mkdir()
    harbor.file("warm.hex", WARM + "ffffff\n")
    looked_at = _narrow(harbor)
    assert looked_at is not None
    assert {id.partition(":")[0] for id in looked_at} >= {"sprites.crab-red", "sprites.crab-blue", "sprites.gull"}
    assert "sprites.boat:paint" not in looked_at
    _compare(harbor)


def test_broken_table_is_told_as_ever(harbor: Project) -> None:
    text = harbor.path.read_text()
    for broken in ('prompt = "boat', "prompt = [", "prompt = 3", 'prompt = "boat"\nprompt = "ship"', "[sprites.gull]"):
        harbor.path.write_text(text.replace('prompt = "boat"', broken))
        assert _narrow(harbor) is None


def test_store_that_lacks_what_a_sheet_is_made_of_is_looked_at_as_a_whole(harbor: Project) -> None:
    harbor.root.with_name("copy").mkdir()
    digest = harbor.lock()["assets/gull.png"].digest
    harbor.blobs()[digest].unlink()
    harbor.edit("sprites.boat.prompt", "ship")
    assert _narrow(harbor) is None
    _compare(harbor)


def test_failure_is_told_as_ever_and_the_next_build_looks_at_all(harbor: Project) -> None:
    harbor.root.with_name("copy").mkdir()
    harbor.edit("sprites.boat.prompt", "fail")
    assert _narrow(harbor) is not None
    _compare(harbor)
    assert idle.read(harbor.root) is None
    harbor.edit("sprites.boat.prompt", "ship")
    _compare(harbor)


def test_files_that_are_included_are_parts_too(tmp_path: Path) -> None:
    project = Project(tmp_path / "harbor")
    rest = {key: value for key, value in HARBOR.items() if key not in ("project", "sheets", "exports", "sprites")}
    project.write({"include": ["parts/*.toml"], "project": HARBOR["project"], **rest})
    project.file("gray.hex", GRAY)
    project.file("warm.hex", WARM)
    project.file("parts/a.toml", '[sprites.boat]\nstyle = "base"\nprompt = "boat"\n')
    project.file("parts/b.toml", '[sprites.gull]\nstyle = "warm"\nprompt = "gull"\n\n[sheets.all]\nsprites = ["*"]\n')
    project.build()
    project.root.with_name("copy").mkdir()
    project.file("parts/b.toml", '[sprites.gull]\nstyle = "warm"\nprompt = "tern"\n\n[sheets.all]\nsprites = ["*"]\n')
    looked_at = _narrow(project)
    assert looked_at is not None
    assert "sprites.boat:paint" not in looked_at
    _compare(project)
    project.file("parts/c.toml", '[sprites.crab]\nstyle = "warm"\nprompt = "crab"\n')
    _compare(project)


# Many edits, of any kind

WORDS = st.sampled_from(["boat", "ship", "gull", "net", "", "a # b", 'a "b"', "[sprites.boat]", "fail"])
NAMES = st.sampled_from([*HARBOR["sprites"], "oar"])
EDITS = st.one_of(
    st.tuples(st.just("prompt"), NAMES, WORDS),
    st.tuples(st.just("seed"), NAMES, st.integers(0, 3)),
    st.tuples(st.just("style"), NAMES, st.sampled_from(["plain", "base", "warm"])),
    st.tuples(st.just("steps"), NAMES, st.sampled_from([20, 21, True])),
    st.tuples(st.just("finish"), NAMES, st.sampled_from(["gray", "warm", "two", "none"])),
    st.tuples(st.just("category"), NAMES, st.sampled_from(["wood", "iron"])),
    st.tuples(st.just("drop"), NAMES, st.just(0)),
    st.tuples(st.just("palette"), st.sampled_from(["gray", "warm"]), st.sampled_from([GRAY, WARM, "112233\n"])),
    st.tuples(st.just("asset"), st.integers(0, 30), st.sampled_from(["delete", "edit", "touch"])),
    st.tuples(st.just("text"), st.integers(0, 60), st.sampled_from(["\n", "# [sprites.x]\n", "\r\n", '"""'])),
    st.tuples(st.just("table"), NAMES, st.sampled_from(["header", "later"])),
    st.tuples(st.just("blob"), st.integers(0, 30), st.just(0)),
)


def _apply(project: Project, edit: tuple[str, Any, Any]) -> None:
    kind, which, value = edit
    sprites = project.declared["sprites"]
    match kind:
        case "prompt" | "seed" | "style" | "steps" | "category":
            sprites.setdefault(which, {"style": "plain", "prompt": "oar"})[kind] = value
        case "finish":
            sprites.setdefault(which, {"style": "plain", "prompt": "oar"})["finish"] = (
                [{"op": "quantize", "palette": value}] if value != "none" else []
            )
        case "drop":
            sprites.pop(which, None)
        case "palette":
            project.file(f"{which}.hex", value)
            return
        case "asset" | "blob":
            folder = "assets" if kind == "asset" else ".spritebuild/blobs"
            files = sorted(path for path in (project.root / folder).rglob("*") if path.is_file())
            file = files[which % len(files)]
            if value == "edit":
                file.write_bytes(file.read_bytes() + b"mine")
            elif value == "touch":
                os.utime(file)
            else:
                file.unlink()
            return
    project.write(project.declared)
    if kind == "text":
        lines = project.path.read_text().splitlines(keepends=True)
        lines.insert(which % (len(lines) + 1), value)
        project.path.write_text("".join(lines), newline="")
    elif kind == "table" and which in sprites:
        text = project.path.read_text()
        added = f"[sprites.{which}.params]\nnote = 'x'\n"
        header = f"[sprites.{which}]\n"
        if value == "later" or header not in text:
            project.path.write_text(text + added)
        else:
            end = text.find("\n[", text.index(header)) + 1
            project.path.write_text(text[:end] + added + text[end:])


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rounds=st.lists(st.lists(EDITS, min_size=1, max_size=2), min_size=1, max_size=4))
def test_a_part_gives_what_the_whole_gives(rounds: list[list[tuple[str, Any, Any]]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        project = _harbor_copy(Path(folder).resolve() / "harbor")
        project.root.with_name("copy").mkdir()
        for edits in rounds:
            for edit in edits:
                _apply(project, edit)
            _compare(project)


def _harbor_copy(root: Path) -> Project:
    return _harbor(root)
