"""What `verify` finds and what it does not accuse; every fact on a project that the command line has built."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from projects import DREAM, ISLAND, PAINT, Project

from spritebuild.graph import Action, Graph, Output, Source
from spritebuild.verification.sample import sample

HEAD = '''
"""A small picture that is not the same every time."""

from pathlib import Path

from spritebuild.stage import Outputs, Params, Stage


class FaultyParams(Params):
    seed: int = 0


class FaultyOutputs(Outputs):
    image: Path = Path("image.png")


class Faulty(Stage):
    version = 1
    Params = FaultyParams
    Outputs = FaultyOutputs

    def write(self, action, data, **notes):
        import numpy as np
        from PIL import Image
        from PIL.PngImagePlugin import PngInfo

        info = PngInfo()
        for name, text in notes.items():
            info.add_text(name, text)
        pixels = np.frombuffer(bytes([action.params.seed]) + data.ljust(255, b"."), np.uint8).reshape(8, 8, 4)
        Image.fromarray(pixels).save(action.outputs.image, pnginfo=info)
'''

TIME_STAMP = """
    def run(self, action, context):
        import time

        self.write(action, b"a clock", Creation=str(time.time_ns()))
"""
NOISE = """
    def run(self, action, context):
        import numpy as np

        self.write(action, np.random.default_rng().bytes(200))
"""
SET_ORDER = """
    def run(self, action, context):
        words = {"red", "green", "blue", "gold", "gray", "white", "black", "brown", "pink", "teal"}
        self.write(action, " ".join(words).encode())
"""
THREADED_SUM = """
    def run(self, action, context):
        import numpy as np

        numbers = np.random.default_rng(1).random(100_003, np.float32)
        parts = [np.cumsum(part, dtype=np.float32)[-1] for part in np.array_split(numbers, context.threads)]
        self.write(action, np.float32(sum(parts)).tobytes())
"""
VARIABLE = """
    def run(self, action, context):
        import os

        self.write(action, os.environ.get("ART_STYLE", "plain").encode())
"""
LOCALE = """
    def run(self, action, context):
        import locale

        self.write(action, "caf\\u00e9".encode(locale.getencoding(), "replace"))
"""
PATH = """
    def run(self, action, context):
        self.write(action, b"somewhere", Source=str(action.outputs.image))
"""
NEIGHBOR = """
    device = "accelerator"

    def run_batch(self, actions, context):
        brightest = max(action.params.seed for action in actions)
        for index, action in enumerate(actions):
            self.write(action, bytes([255 * action.params.seed // brightest]))
            yield index, None
"""
STATE = """
    device = "accelerator"
    steps = 0

    def run_batch(self, actions, context):
        for index, action in enumerate(actions):
            self.write(action, bytes([self.steps]))
            self.steps += action.params.seed
            yield index, None
"""
LIBRARY = """
    def run(self, action, context):
        import shadelib

        self.write(action, shadelib.shade())
"""
LIBRARY_IN_A_WORKER = LIBRARY.replace("    def run", '    device = "accelerator"\n\n    def run')
# By stage: its source, what is said to differ, and what it is said to depend on.
PLANTED = {
    "clock": (TIME_STAMP, "chunk tEXt Creation: ", ["nothing"]),
    "noise": (NOISE, "pixels: ", ["nothing"]),
    "words": (SET_ORDER, "pixels: ", ["hash seed"]),
    "total": (THREADED_SUM, "pixels: 1 of 64 differ, first at (0, 0): ", ["threads"]),
    "mood": (VARIABLE, "pixels: ", ["environment"]),
    "script": (LOCALE, "pixels: ", ["locale"]),
    "track": (PATH, "chunk tEXt Source: ", ["places"]),
    "crowd": (NEIGHBOR, "pixels: 1 of 64 differ, first at (0, 0): ", ["order"]),
    "drift": (STATE, "pixels: 1 of 64 differ, first at (0, 0): ", ["order"]),
    "shade": (LIBRARY, "pixels: ", []),
    "tint": (LIBRARY_IN_A_WORKER, "pixels: ", []),
}


def library(folder: Path, version: str) -> None:
    """A distribution that is called shadelib, whose work depends on its version."""
    shutil.rmtree(folder, ignore_errors=True)
    about = folder / f"shadelib-{version}.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: shadelib\nVersion: {version}\n")
    (folder / "shadelib.py").write_text(f"def shade():\n    return b'shade {version}'\n")


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, subprocess.CompletedProcess[str], Any]:
    """Ten faults, one of them in two stages, and two sound stages, built; what verify says, and its document."""
    project = Project(tmp_path_factory.mktemp("planted") / "island")
    libraries = project.root.parent / "libraries"
    for kind, (source, _, _) in PLANTED.items():
        project.stage(kind, HEAD + source)
    sprites = {kind: {"stage": kind, "seeds": [1, 2]} for kind in [*PLANTED, "paint", "dream"]}
    project.write({"project": {"name": "island", "stages": "stages"}, "sprites": sprites})
    shell = {"ART_STYLE": "bold", "LC_ALL": "C.UTF-8", "PYTHONPATH": str(libraries), "SPRITEBUILD_THREADS": "1"}
    library(libraries, "1.0")
    done = project.cli("build", "-j1", **shell)
    assert done.returncode == 0, done.stderr
    library(libraries, "2.0")
    said = project.cli("verify", "--all", "--json", **shell)
    return project, said, json.loads(said.stdout)


@pytest.mark.parametrize("kind", PLANTED)
def test_planted_fault_is_found_and_its_stage_named(planted: Any, kind: str) -> None:
    _, said, document = planted
    _, difference, depends_on = PLANTED[kind]
    found = [row for row in document["actions"] if row["stage"] == kind and row["outcome"] == "different"]
    assert found, document
    assert kind in document["not_reproducible"]
    assert found[0]["file"] == "image.png"
    assert found[0]["difference"].startswith(difference)
    assert found[0].get("depends_on", []) == depends_on
    assert f"{found[0]['action']}, image.png: {difference}" in said.stderr


def test_nothing_else_is_accused(planted: Any) -> None:
    _, said, document = planted
    assert said.returncode == 1
    assert document["not_reproducible"] == sorted(PLANTED)
    assert {row["outcome"] for row in document["actions"] if row["stage"] in ("paint", "dream")} == {"same"}
    assert "error: 11 stages are not reproducible: clock, crowd, " in said.stderr


@pytest.mark.parametrize("kind", ["shade", "tint"])
def test_library_that_changed_is_named_with_its_versions(planted: Any, kind: str) -> None:
    _, said, document = planted
    (row,) = [row for row in document["actions"] if row["action"] == f"sprites.{kind}-1:{kind}"]
    assert row["versions"] == {"shadelib": ["1.0", "2.0"]}
    assert "shadelib is 2.0, was 1.0 when it was made" in said.stderr


def test_nothing_of_the_project_is_changed(planted: Any) -> None:
    project, _, _ = planted
    assert not [*(project.root / ".spritebuild").glob("verify-*")]
    assert project.idle()


# No false alarm


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Sprites of three kinds, a palette that is chosen from them, a sheet and an export; built once."""
    project = Project(tmp_path_factory.mktemp("built") / "island")
    finish = [{"op": "alpha", "threshold": 128}, {"op": "quantize", "palette": "chosen"}]
    project.write(
        {
            "project": {"name": "island", "stages": "stages"},
            "palettes": {"chosen": {"sprites": ["potion-*", "sword"], "most": 8}},
            "styles": {"base": {"stage": "paint", "finish": finish}},
            "sprites": {
                "potion": {"style": "base", "prompt": "potion", "seeds": [1, 2, 3]},
                "sword": {"style": "base", "prompt": "sword"},
                "ghost": {"stage": "dream", "prompt": "ghost", "seeds": [1, 2]},
            },
            "sheets": {"items": {"sprites": ["potion-*", "sword"], "columns": 2}},
            "exports": {"web": {"kind": "phaser", "path": "web/sprites"}},
        }
    )
    done = project.cli("build")
    assert done.returncode == 0, done.stderr
    return project


@pytest.fixture
def clean(built: Project, tmp_path: Path) -> Project:
    """A copy of that, of which the next build says that there is nothing to do."""
    copy = built.clone(tmp_path / "island", assets=True, store=True)
    assert copy.build().ran == []
    return copy


def test_clean_project_is_verified_byte_for_byte(clean: Project) -> None:
    before = clean.assets(), clean.lock_text(), clean.blobs()
    said = clean.cli("verify", "--all", "-j1")
    assert said.returncode == 0, said.stderr
    kinds = [line.split()[0] for line in said.stdout.splitlines()]
    assert kinds == ["stage", "dream", "export", "finish", "paint", "palette", "sheet"]
    assert "dream    2        byte for byte on device cpu, driver one  2 as before" in said.stdout
    assert "verified 17 actions again, all byte for byte (cpu: 15; dream on device cpu, driver one: 2)" in said.stderr
    for aspect in ("hash seed: 1", "time zone: ", "locale: ", "umask: ", "threads: ", "order: "):
        assert aspect in said.stderr
    assert (clean.assets(), clean.lock_text(), clean.blobs()) == before
    assert clean.idle()


def test_sample_is_some_of_everything(clean: Project) -> None:
    rows = json.loads(clean.cli("verify", "--json").stdout)["actions"]
    assert {row["stage"] for row in rows} == {"dream", "export", "finish", "paint", "palette", "sheet"}
    assert len(rows) < 17
    assert rows == json.loads(clean.cli("verify", "--json", "--sample", "5%").stdout)["actions"]
    assert len(json.loads(clean.cli("verify", "--json", "--sample", "100%").stdout)["actions"]) == 17


def test_targets_are_verified_with_all_that_they_need(clean: Project) -> None:
    rows = json.loads(clean.cli("verify", "ghost-*", "--json").stdout)["actions"]
    assert [(row["action"], row["outcome"]) for row in rows] == [
        ("sprites.ghost-1:dream", "same"),
        ("sprites.ghost-2:dream", "same"),
    ]


def test_threads_that_a_stage_declares_are_those_of_its_class(project: Project) -> None:
    declared = """
    def platform(self, context):
        return {"threads": str(context.threads)}
"""
    project.stage("total", HEAD + declared + THREADED_SUM)
    project.write({"project": {"name": "x", "stages": "stages"}, "sprites": {"potion": {"stage": "total"}}})
    assert project.cli("build", SPRITEBUILD_THREADS="2").returncode == 0
    said = project.cli("verify")
    assert said.returncode == 0, said.stderr
    assert "total  1        byte for byte on threads 2  1 as before" in said.stdout


@pytest.mark.diffusion
def test_generated_images_are_verified_on_their_class_of_machine(project: Project) -> None:
    pytest.importorskip("torch")
    project.write(
        {
            "project": {"name": "island"},
            "models": {"mini": {"builtin": "sprite-mini"}},
            "palettes": {"gray": {"colors": ["#000000", "#888888", "#ffffff"]}},
            "styles": {"base": {"model": "mini", "steps": 4, "finish": [{"op": "quantize", "palette": "gray"}]}},
            "sprites": {"potion": {"style": "base", "prompt": "red potion", "seeds": [1, 2, 3, 4, 5]}},
            "sheets": {"items": {"sprites": ["*"], "columns": 5}},
        }
    )
    done = project.cli("build")
    assert done.returncode == 0, done.stderr
    said = project.cli("verify", "--all")
    assert said.returncode == 0, said.stderr
    assert "verified 11 actions again, all byte for byte (generate on " in said.stderr
    assert "threads 1" in said.stdout


# Across classes of machine


def dreaming(project: Project, **shell: str) -> Project:
    """A dream and a finished one, built in a shell that says what the machine is."""
    project.write({**ISLAND, "styles": {"base": {"stage": "dream", "finish": [{"op": "alpha"}]}}})
    done = project.cli("build", **shell)
    assert done.returncode == 0, done.stderr
    return project


def test_bytes_of_another_class_are_judged_by_their_looks(project: Project) -> None:
    dreaming(project, DREAM_PLATFORM="two", DREAM_NOISE="8")
    said = project.cli("verify", "--all")
    assert said.returncode == 0, said.stderr
    assert "dream   2        same looks: driver two -> one  2 alike" in said.stdout
    assert "verified 5 actions again: 3 byte for byte, 2 alike in looks" in said.stderr


def test_other_picture_of_another_class_is_a_fault(project: Project) -> None:
    dreaming(project, DREAM_PLATFORM="two", DREAM_SHAPE="other")
    said = project.cli("verify", "--all")
    assert said.returncode == 1
    assert "error: 1 stage is not reproducible: dream\n" in said.stderr
    assert "another class of machine: driver two -> one\n" in said.stderr
    assert said.stderr.endswith("hint: compare this machine with lockfiles/toolchain.lock\n")


def test_other_bytes_of_the_same_class_are_a_fault_though_they_look_the_same(project: Project) -> None:
    dreaming(project, DREAM_NOISE="1")
    said = project.cli("verify", "--all")
    assert said.returncode == 1
    assert "sprites.potion:dream, image.png: pixels: 1 of 1,024 differ, first at (16, 16): #" in said.stderr
    assert "with none of what was varied" in said.stderr


# What cannot be verified


def test_damaged_blob_is_its_own_error(island: Project) -> None:
    assert island.cli("build").returncode == 0
    image = island.blobs()[island.lock()["assets/potion.png"].digest]
    image.chmod(0o644)
    image.write_bytes(b"garbage")
    said = island.cli("verify", "--all")
    assert said.returncode == 4
    assert "error: 1 action could not be verified: blobs are damaged\n" in said.stderr
    assert "verified 4 actions again, all byte for byte" in said.stderr  # the sheet, of the installed sprite
    assert "not reproducible" not in said.stderr
    assert island.cli("build").returncode == 0
    assert island.cli("verify", "--all").returncode == 0


def test_clone_without_store_verifies_what_it_can(island: Project, tmp_path: Path) -> None:
    assert island.cli("build").returncode == 0
    bare = island.clone(tmp_path / "bare")
    said = bare.cli("verify", "--all")
    assert said.returncode == 5
    assert "error: nothing could be verified\n" in said.stderr
    assert "  3  its inputs are not in the store\n" in said.stderr
    assert "hint: spritebuild build --rebuild makes all of it here\n" in said.stderr
    with_assets = island.clone(tmp_path / "with_assets", assets=True)
    said = with_assets.cli("verify", "--all")
    assert said.returncode == 0, said.stderr  # the sheet, of installed sprites
    assert "verified 1 action again, all byte for byte (cpu: 1)" in said.stderr
    assert "2 actions could not be verified: its inputs are not in the store\n" in said.stderr


def test_locked_image_is_verified_without_a_trace(project: Project, tmp_path: Path) -> None:
    project.write({"project": {"name": "x", "stages": "stages"}, "sprites": {"ghost": {"stage": "dream"}}})
    assert project.cli("build", DREAM_NOISE="8", DREAM_PLATFORM="two").returncode == 0
    clone = project.clone(tmp_path / "clone")
    said = clone.cli("verify")
    assert said.returncode == 0, said.stderr
    assert "dream  1        same looks: driver two -> one  1 alike" in said.stdout


def test_what_was_never_built_is_not_verified(island: Project) -> None:
    said = island.cli("verify")
    assert said.returncode == 5
    assert "hint: build first: spritebuild build\n" in said.stderr
    assert island.cli("build").returncode == 0
    island.edit("sprites.potion.prompt", "blue potion")
    said = island.cli("verify", "--all")
    assert said.returncode == 0, said.stderr
    assert "not built here as it is declared now" in said.stderr
    assert "verified 2 actions again" in said.stderr


def test_stage_that_fails_where_it_had_worked_is_told_with_its_words(project: Project) -> None:
    project.stage("needy", HEAD + VARIABLE.replace('.get("ART_STYLE", "plain")', '["ART_STYLE"]'))
    project.write({"project": {"name": "x", "stages": "stages"}, "sprites": {"potion": {"stage": "needy"}}})
    assert project.cli("build", ART_STYLE="bold").returncode == 0
    said = project.cli("verify", ART_STYLE="bold")
    assert said.returncode == 5
    assert "sprites.potion:needy: KeyError: 'ART_STYLE'" in said.stderr
    assert "error: 1 action failed that once had worked\n" in said.stderr


def test_trainings_run_again_only_where_they_are_named(project: Project) -> None:
    project.stage("slow", PAINT.replace("    version = 1", "    version = 1\n    resumable = True"))
    sprites = {"potion": {"stage": "slow", "prompt": "potion"}, "sword": {"stage": "paint", "prompt": "sword"}}
    project.write({"project": {"name": "x", "stages": "stages"}, "sprites": sprites})
    assert project.cli("build").returncode == 0

    def verified(*arguments: str) -> list[str]:
        return [row["stage"] for row in json.loads(project.cli("verify", "--json", *arguments).stdout)["actions"]]

    assert verified("--sample", "100%") == ["paint"]
    assert sorted(verified("--all")) == ["paint", "slow"]
    assert verified("potion") == ["slow"]
    assert "1 training left out: name them, or use --all\n" in project.cli("verify").stderr


@pytest.mark.parametrize("arguments", [("--all", "--sample", "5%"), ("--sample", "0%"), ("--sample", "x"), ("nobody",)])
def test_wrong_use_is_refused(island: Project, arguments: tuple[str, ...]) -> None:
    said = island.cli("verify", *arguments)
    assert said.returncode == 2
    assert said.stdout == ""


# Interrupted

HOLD = """
        import os
        import time

        if "again" in os.environ.get("SPRITEBUILD_HOLD", ""):
            (Path(os.environ["SPRITEBUILD_HOLD"])).touch()
            time.sleep(60)
"""


@pytest.fixture(params=["paint", "dream"])
def holding(project: Project, request: pytest.FixtureRequest) -> Project:
    """A built sprite whose stage, in its own process or in a worker, does not end when it is verified."""
    source = {"paint": PAINT, "dream": DREAM}[request.param]
    place = "        import hashlib\n"
    project.stage("held", source.replace(place, HOLD + place))
    project.write({"project": {"name": "x", "stages": "stages"}, "sprites": {"potion": {"stage": "held"}}})
    assert project.cli("build").returncode == 0
    return project


@pytest.fixture
def verifying(holding: Project) -> Iterator[subprocess.Popen[str]]:
    """A verification that waits for the stage, in a session of its own."""
    here = holding.root / "again"
    process = subprocess.Popen(
        [sys.executable, "-m", "spritebuild", "verify"],
        cwd=holding.root,
        env={**os.environ, "SPRITEBUILD_HOLD": str(here)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert eventually(here.exists)
        assert len(members(process.pid)) >= 2
        yield process
    finally:
        for pid in members(process.pid):
            os.kill(pid, signal.SIGKILL)
        process.communicate()


def eventually(true: Any) -> bool:
    deadline = time.monotonic() + 60
    while not true() and time.monotonic() < deadline:
        time.sleep(0.02)
    return bool(true())


def members(session: int) -> list[int]:
    """The processes of a session that are alive."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                state, _, _, its = (folder / "stat").read_text().rpartition(")")[2].split()[:4]
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(its) == session and state != "Z":
                found.append(int(folder.name))
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are counted in /proc")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_verification_leaves_nothing(
    holding: Project, verifying: subprocess.Popen[str], number: signal.Signals, code: int
) -> None:
    os.killpg(verifying.pid, number)
    talk = verifying.communicate(timeout=60)[1]
    assert verifying.returncode == code, talk
    assert "Traceback" not in talk
    assert not members(verifying.pid)
    assert not [*(holding.root / ".spritebuild").glob("verify-*")]
    assert holding.cli("verify").returncode == 0


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are counted in /proc")
def test_killed_verification_leaves_no_process_and_what_it_left_is_swept(
    holding: Project, verifying: subprocess.Popen[str]
) -> None:
    verifying.kill()
    verifying.communicate(timeout=60)
    assert eventually(lambda: not members(verifying.pid))
    assert [*(holding.root / ".spritebuild").glob("verify-*")]
    assert holding.cli("verify").returncode == 0
    assert not [*(holding.root / ".spritebuild").glob("verify-*")]


# Samples


def action(target: str, stage: str, *inputs: str, final: bool = False) -> Action:
    named = tuple((f"images.{n}", Output(id, "image")) for n, id in enumerate(inputs)) or (("model", Source("m", "0")),)
    installs = (("image", f"{target}.png"),) if final else ()
    return Action(f"{target}:{stage}", stage, 1, {}, named, (("image", "image.png"),), "", installs)


def many(count: int) -> Graph:
    """So many sprites, finished, on one sheet; and one of another stage."""
    drawn = [action(f"sprites.s{n}", "paint") for n in range(count)]
    finished = [action(f"sprites.s{n}", "finish", each.id, final=True) for n, each in enumerate(drawn)]
    odd = action("sprites.odd", "dream", final=True)
    sheet = action("sheets.all", "sheet", *(each.id for each in finished), final=True)
    return Graph.of([*drawn, *finished, odd, sheet])


@pytest.mark.parametrize("seed", range(20))
def test_sample_keeps_to_its_share_though_a_sheet_needs_everything(seed: int) -> None:
    graph = many(100)
    found = sample(graph, graph.finals, 0.05, seed)
    kinds = [graph.actions[id].stage for id in found]
    assert set(kinds) == {"paint", "finish", "dream", "sheet"}
    assert 4 <= kinds.count("finish") <= 11
    finished = {id.replace("finish", "paint") for id in found if id.endswith("finish")}
    assert finished <= found
    assert found == sample(graph, graph.finals, 0.05, seed)


def test_sample_is_drawn_by_its_seed_and_stays_as_others_come() -> None:
    graph = many(100)
    assert len({frozenset(sample(graph, graph.finals, 0.05, seed)) for seed in range(5)}) == 5
    more = many(101)
    kept = sample(graph, graph.finals, 10, 3) & sample(more, more.finals, 10, 3)
    assert len([id for id in kept if id.endswith("finish")]) >= 8


def test_sample_by_number_is_that_many_assets() -> None:
    graph = many(50)
    only = [id for id in graph.finals if id.endswith("finish")]
    found = sample(graph, only, 20, 0)
    assert len([id for id in found if id.endswith("finish")]) == 20
    assert sample(graph, only, 1000, 0) == graph.upstream(only)


def test_sample_leaves_out_what_it_is_told_to() -> None:
    graph = many(10)
    assert "sprites.odd:dream" not in sample(graph, graph.finals, 0.9, 0, {"sprites.odd:dream"})
