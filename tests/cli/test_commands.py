"""What the commands print, on which stream, and how they exit; whole transcripts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from projects import ISLAND, Project

from spritebuild import __version__
from spritebuild.schema import full_schema

REPOSITORY = Path(__file__).parents[2]

HELP = """\
Usage: spritebuild [OPTIONS] COMMAND [ARGS]...

  make for sprites: declare sprites in spritefile.toml, build what is stale,
  commit the lock.

Options:
  --version   Show the version and exit.
  -h, --help  Show this message and exit.

Commands:
  init        Write a small working spritefile.
  build       Build what is stale, and install it.
  watch       Build again on every save, and show what comes of it in the
              browser.
  check       Compare assets with their approved baselines and declared
              limits.
  review      Look at what changed, in the browser, and approve it.
  approve     Make what was looked at the baseline.
  pick        Choose one of a sprite's candidates.
  verify      Run actions again and compare: is every stage reproducible?
  diff        Say how assets differ from those of another revision.
  train-lora  Train one LoRA, of the spritefile or of a folder of pictures.
  loras       List and show LoRAs.
  plan        Say what a build would do, and why.
  why         Say how a target is made, and why it would be made again.
  graph       Print the graph of actions.
  licenses    List the licences that assets are under, and why.
  provenance  Say what assets were made from: SLSA provenance, or a CycloneDX
              ML-BOM.
  lock        Pin models and LoRAs.
  fetch       Bring pinned models and LoRAs here, and verify them.
  models      List, show, verify and update pinned models, LoRAs and datasets.
  push        Put what was built into the shared store.
  pull        Bring what the shared store has here.
  store-key   Make a pair of keys that traces are signed with.
  bench       Measure the sprites per second of the project's models on this
              machine.
  stats       Say what the store holds, what it saves, and what took how long.
  gc          Remove from the store what nothing needs.
  clean       Remove the installed assets.
  doctor      Examine the device, the versions, the store and the determinism
              of models.
  schema      Print the JSON schema of the spritefile, for editors.
"""


@pytest.fixture
def built(island: Project) -> Project:
    island.build()
    return island


def said(result: subprocess.CompletedProcess[str]) -> tuple[int, str, str]:
    return result.returncode, result.stdout, result.stderr


# Usage


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_lists_the_commands(project: Project, option: str) -> None:
    assert said(project.cli(option)) == (0, HELP, "")


def test_version_is_that_of_the_package(project: Project) -> None:
    assert said(project.cli("--version")) == (0, f"spritebuild, version {__version__}\n", "")


@pytest.mark.parametrize(
    "arguments",
    [
        ["bild"],
        ["build", "--jobs", "0"],
        ["plan", "--fast"],
        ["graph", "--format", "x"],
    ],
)
def test_wrong_usage_exits_2(island: Project, arguments: list[str]) -> None:
    before = island.listing()
    code, out, err = said(island.cli(*arguments))
    assert (code, out) == (2, "")
    assert err.startswith("Usage: spritebuild ")
    assert island.listing() == before


def test_misspelled_command_is_suggested(project: Project) -> None:
    assert project.cli("bild").stderr.endswith("Error: No such command 'bild'. Did you mean 'build'?\n")


def test_no_spritefile_anywhere_exits_2(project: Project) -> None:
    error = "error: no spritefile.toml here or in a folder above\n\nhint: write one: spritebuild init\n"
    assert said(project.cli("plan")) == (2, "", error)
    error = "error: nowhere.toml: no such spritefile\n\nhint: write one: spritebuild init\n"
    assert said(project.cli("build", "-f", "nowhere.toml")) == (2, "", error)
    assert project.listing() == []


def test_spritefile_is_found_upward(built: Project) -> None:
    below = built.root / "stages"
    assert said(Project(below).cli("build")) == (0, "", "nothing to do\n")
    assert said(built.cli("build", "--file", str(built.root))) == (0, "", "nothing to do\n")


# init, plan, why, graph


def test_init_writes_a_spritefile_that_plans(project: Project) -> None:
    assert said(project.cli("init", "isle")) == (0, "", "wrote isle/spritefile.toml; now: spritebuild build\n")
    isle = Project(project.root / "isle")
    assert isle.listing() == [".gitignore", "spritefile.toml"]
    plan = """\
run    sprites.potion-red:generate    new
wait   sprites.potion-red:finish      new
run    sprites.potion-blue:generate   new
wait   sprites.potion-blue:finish     new
run    sprites.potion-green:generate  new
wait   sprites.potion-green:finish    new
run    sprites.sword:generate         new
wait   sprites.sword:finish           new
wait   sheets.items:sheet             new
"""
    assert said(isle.cli("plan")) == (0, plan, "4 run, 5 wait\n")
    assert isle.listing() == [".gitignore", "spritefile.toml"]
    error = "error: spritefile.toml: there is one already\n\nhint: edit it, or name another folder\n"
    assert said(isle.cli("init")) == (2, "", error)


def test_init_adds_to_a_gitignore_that_is_there(project: Project) -> None:
    project.file(".gitignore", "*.blend")
    project.cli("init")
    assert (project.root / ".gitignore").read_text() == "*.blend\n.spritebuild/\n"


def test_plan_of_a_built_project_has_nothing_to_do(built: Project) -> None:
    assert said(built.cli("plan")) == (0, "", "nothing to do\n")
    reused = """\
reuse  sprites.potion:finish
reuse  sprites.sword:finish
reuse  sheets.items:sheet
"""
    assert said(built.cli("plan", "--verbose")) == (0, reused, "3 reuse\n")


def test_plan_says_what_changed(built: Project) -> None:
    built.edit("styles.base.steps", 28)
    plan = """\
run    sprites.potion:paint   styles.base.steps 20 -> 28
wait   sprites.potion:finish  waits for sprites.potion:paint
"""
    assert said(built.cli("plan", "potion")) == (0, plan, "1 run, 1 wait\n")


def test_plan_in_json_holds_every_decision(built: Project) -> None:
    built.edit("styles.base.steps", 28)
    code, out, err = said(built.cli("plan", "--json"))
    rows = json.loads(out)
    assert (code, err) == (0, "")
    assert [row["verdict"] for row in rows] == ["run", "wait", "run", "wait", "wait"]
    assert rows[0]["reason"] == "styles.base.steps 20 -> 28"
    assert len(rows[0]["key"]) == 64


def test_why_says_how_a_target_is_made(island: Project) -> None:
    text = """\
sprites.potion:paint  run: new
  stage   paint version 1
  prompt  "red potion"  (sprites.potion.prompt)
sprites.potion:finish  wait: new
  stage  finish version 2
  ops    [{"op": "alpha"}, {"op": "quantize", "palette": "gray", "colors": ["#000000", "#888888", "#ffffff...\
  (styles.base.finish)
  image  from sprites.potion:paint
  image  assets/potion.png  \n"""
    assert said(island.cli("why", "potion")) == (0, text, "")


def test_why_of_a_built_target_says_when_it_was_made(built: Project) -> None:
    code, out, err = said(built.cli("why", "sprites.potion", "--json"))
    assert (code, err) == (0, "")
    first, last = json.loads(out)
    assert first["params"] == {"prompt": ["red potion", "sprites.potion.prompt"]}
    assert last["verdict"] == "reuse"
    assert last["installs"] == {"image": "assets/potion.png"}
    assert last["outputs"] == {"image": built.lock()["assets/potion.png"].digest}
    assert last["made"]["seconds"] >= 0


def test_why_of_an_unknown_target_suggests_one(island: Project) -> None:
    error = "error: no target is called 'swrod'\n\nhint: did you mean \"sword\"? targets: potion, sword, items\n"
    assert said(island.cli("why", "swrod")) == (2, "", error)


def test_graph_for_graphviz(pressed: Project) -> None:
    text = """\
digraph spritebuild {
  rankdir=LR;
  node [shape=box, fontname=Helvetica];
  "models.mine" [shape=cylinder];
  "sprites.potion:press" [style=bold];
  "models.mine" -> "sprites.potion:press";
}
"""
    assert said(pressed.cli("graph")) == (0, text, "")


def test_graph_for_mermaid(pressed: Project) -> None:
    text = """\
flowchart LR
  n0[("models.mine")]
  n1["sprites.potion:press"]
  n0 --> n1
"""
    assert said(pressed.cli("graph", "--format", "mermaid")) == (0, text, "")


def test_graph_in_json(pressed: Project) -> None:
    code, out, err = said(pressed.cli("graph", "--format", "json"))
    (row,) = json.loads(out)
    assert (code, err) == (0, "")
    assert len(row.pop("recipe")) == len(row["inputs"]["model"].pop("digest")) == 64
    assert row == {
        "id": "sprites.potion:press",
        "stage": "press",
        "version": 1,
        "params": {"prompt": "red potion"},
        "inputs": {"model": {"source": "models.mine"}},
        "installs": {"image": "assets/potion.png"},
    }


# lock, fetch, schema, doctor


def test_lock_check_of_a_true_lock_exits_0(built: Project) -> None:
    assert said(built.cli("lock", "--check")) == (0, "", "the lock is true\n")


def test_lock_check_of_a_stale_lock_exits_3(built: Project) -> None:
    built.edit("sprites.potion.prompt", "blue potion")
    error = """\
error: lockfiles/sprites.lock: the lock is stale
  assets/potion.png: its declaration changed
  assets/items*: its declaration changed

hint: run `spritebuild build` and commit the lock
"""
    code, out, err = said(built.cli("lock", "--check"))
    assert (code, out) == (3, "")
    assert [line.strip() for line in err.splitlines()] == [line.strip() for line in error.splitlines()]


def test_lock_check_of_a_missing_pin_exits_3(pressed: Project) -> None:
    error = "error: models.mine is not pinned\n\nhint: spritebuild lock, and commit lockfiles/\n"
    before = pressed.listing()
    assert said(pressed.cli("lock", "--check")) == (3, "", error)
    assert said(pressed.cli("fetch")) == (3, "", error)
    assert [path for path in pressed.listing() if not path.startswith(".spritebuild")] == before


def test_unknown_pin_is_refused_with_a_suggestion(pressed: Project) -> None:
    error = "error: nothing is called 'models.mini'\n\nhint: did you mean \"models.mine\"? pins: models.mine\n"
    assert said(pressed.cli("lock", "--update", "models.mini")) == (2, "", error)
    assert said(pressed.cli("fetch", "models.mini")) == (2, "", error)


def test_printed_schema_is_the_documented_one(project: Project) -> None:
    documented = (REPOSITORY / "docs/spritefile.schema.json").read_text("utf-8")
    regenerate = "run: spritebuild schema > docs/spritefile.schema.json"
    assert said(project.cli("schema")) == (0, documented, ""), regenerate


def spritefiles() -> list[Path]:
    return sorted(path for path in REPOSITORY.glob("examples/**/spritefile.toml") if ".spritebuild" not in path.parts)


def test_schema_is_valid_and_accepts_every_spritefile_of_ours(project: Project) -> None:
    schema = full_schema()
    validator = jsonschema.Draft202012Validator(schema)
    validator.check_schema(schema)
    project.cli("init")
    for path in [project.path, *spritefiles()]:
        assert list(validator.iter_errors(tomllib.loads(path.read_text("utf-8")))) == [], path


@pytest.mark.parametrize(
    "wrong",
    [
        {"project": {"name": "x"}, "sprite": {"potion": {}}},
        {"project": {"name": "x"}, "sprites": {"potion": {"steps": "many"}}},
        {"project": {"name": "x"}, "styles": {"base": {"finish": [{"op": "blur"}]}}},
        {"project": {"name": "x"}, "styles": {"base": {"finish": [{"op": "scale", "factor": 1}]}}},
        {"project": {"name": "x"}, "styles": {"base": {"scheduler": "magic"}}},
        {"sprites": {}},
    ],
)
def test_schema_refuses_what_the_loader_refuses(project: Project, wrong: dict[str, Any]) -> None:
    assert list(jsonschema.Draft202012Validator(full_schema()).iter_errors(wrong))
    if wrong.get("styles"):
        wrong = {**wrong, "sprites": {"potion": {"style": "base", "prompt": "x", "model": "mini"}}}
        wrong["models"] = {"mini": {"builtin": "sprite-mini"}}
    project.write(wrong)
    assert project.cli("plan").returncode == 2


def test_doctor_reports_the_store(built: Project) -> None:
    code, out, err = said(built.cli("doctor", "--no-probe", "--json"))
    report = json.loads(out)
    assert (code, err) == (0, "")
    assert report["spritebuild"] == __version__
    assert report["store"]


def test_doctor_exits_4_where_a_blob_is_damaged(built: Project) -> None:
    blob = next(iter(built.blobs().values()))
    blob.chmod(0o644)
    blob.write_bytes(b"x")
    code, _, err = said(built.cli("doctor", "--no-probe"))
    assert code == 4
    assert err.startswith("error: 1 damaged blob set aside\n")
    assert said(built.cli("doctor", "--no-probe"))[0] == 0


# build


def test_build_says_what_it_does_on_stderr(island: Project) -> None:
    code, out, err = said(island.cli("build", "-j1"))
    first, *finished, last = err.splitlines()
    assert (code, out) == (0, "")
    assert first == "to run: 2 paint, 2 finish, 1 sheet"
    assert [line.partition(" ")[0] for line in finished] == [f"[{number}/5]" for number in range(1, 6)]
    assert finished[-1].startswith("[5/5] sheets.items:sheet  ")
    assert last.startswith("ran 2 paint, 2 finish, 1 sheet; installed 4 assets in ")


def test_idle_build_has_nothing_to_do(built: Project) -> None:
    assert said(built.cli("build")) == (0, "", "nothing to do\n")
    assert said(built.cli("build", "--quiet")) == (0, "", "")
    (built.root / ".spritebuild/idle").unlink()
    assert said(built.cli("build")) == (0, "", "nothing to do\n")


def test_quiet_build_says_nothing(island: Project) -> None:
    assert said(island.cli("build", "-q")) == (0, "", "")


def test_json_build_emits_json_lines_on_stdout_alone(island: Project) -> None:
    code, out, err = said(island.cli("build", "--json", "-j1"))
    events = [json.loads(line) for line in out.splitlines()]
    assert (code, err) == (0, "")
    assert events[0] == {"event": "planned", "to_run": {"paint": 2, "finish": 2, "sheet": 1}}
    assert {event["event"] for event in events} == {"planned", "started", "finished", "installed", "ended"}
    assert {"event": "started", "action": "sprites.potion:paint", "stage": "paint", "reason": "new"} in events
    assert events[-1]["ran"] == 5
    code, out, err = said(island.cli("build", "--json"))
    (ended,) = map(json.loads, out.splitlines())
    assert (code, ended["event"], ended["ran"]) == (0, "ended", 0)


def test_json_build_emits_its_error_as_an_event(island: Project) -> None:
    island.edit("sprites.sword.prompt", "fail")
    code, out, err = said(island.cli("build", "--json", "sword"))
    error = json.loads(out.splitlines()[-1])
    assert code == 5
    assert (error["event"], error["message"]) == ("error", "the paint is dry")
    assert err.startswith("error: the paint is dry")


def test_failed_action_is_named_with_its_error(island: Project) -> None:
    island.edit("sprites.sword.prompt", "fail")
    code, out, err = said(island.cli("build", "-q", "sword"))
    assert (code, out) == (5, "")
    assert err == "error: the paint is dry\n  action  sprites.sword:paint\n"


def test_no_color_wins_on_a_terminal(island: Project) -> None:
    island.edit("sprites.sword.style", "bse")
    assert on_a_terminal(island, "plan").startswith("\x1b[31m\x1b[1merror:\x1b[0m spritefile.toml:")
    assert on_a_terminal(island, "plan", NO_COLOR="1").startswith("error: spritefile.toml:")


def test_terminal_shows_a_summary_and_no_color_if_asked(island: Project) -> None:
    shown = on_a_terminal(island, "build", NO_COLOR="1", TERM="xterm")
    assert "ran 2 paint, 2 finish, 1 sheet; installed 4 assets in " in shown
    assert "\x1b[3" not in shown


def on_a_terminal(project: Project, *arguments: str, **environment: str) -> str:
    """What a command prints where stderr is a terminal."""
    ours, theirs = os.openpty()
    inherited = {key: value for key, value in os.environ.items() if key != "NO_COLOR"}
    try:
        subprocess.run(
            [sys.executable, "-m", "spritebuild", *arguments],
            cwd=project.root,
            stdout=subprocess.DEVNULL,
            stderr=theirs,
            env={**inherited, **environment},
        )
        return os.read(ours, 100_000).decode()
    finally:
        os.close(ours)
        os.close(theirs)


# Wrong spritefiles

HEAD = '[project]\nname = "island"\nstages = "stages"\n'
SPRITE = '[sprites.potion]\nstage = "paint"\nprompt = "potion"\n'


def symlink_out(project: Project) -> None:
    (project.root / "out").symlink_to("/tmp")


WRONG: dict[str, tuple[str, str, Callable[[Project], None] | None]] = {
    "unknown style": (
        HEAD + '[styles.ruins]\nstage = "paint"\n[sprites.potion]\nstyle = "ruin"\n',
        """\
spritefile.toml:7:9: unknown style "ruin"
  7 | style = "ruin"
    |         ^^^^^^
  hint: did you mean "ruins"? styles: ruins
1 error
""",
        None,
    ),
    "wrong type": (
        HEAD + SPRITE + 'steps = "many"\n',
        """\
spritefile.toml:7:9: steps must be a whole number, not "many"
  7 | steps = "many"
    |         ^^^^^^
1 error
""",
        None,
    ),
    "cycle": (
        HEAD + '[styles.a]\nextends = "b"\n[styles.b]\nextends = "a"\n',
        """\
spritefile.toml:5:11: styles extend each other: a -> b -> a
  5 | extends = "b"
    |           ^^^
  hint: take one extends out
1 error
""",
        None,
    ),
    "duplicate path": (
        HEAD + SPRITE + '[sprites.sword]\nstage = "paint"\nname = "POTION"\n',
        """\
spritefile.toml:7:10: assets/POTION.png is also made by sprites.potion
  7 | [sprites.sword]
    |          ^^^^^
  hint: give one of them another name or category
1 error
""",
        None,
    ),
    "path that leaves": (
        HEAD + '[palettes.gray]\nfile = "../gray.hex"\n',
        """\
spritefile.toml:5:8: file "../gray.hex" contains ".."
  5 | file = "../gray.hex"
    |        ^^^^^^^^^^^^^
  hint: paths are relative to the folder of the spritefile and stay in it
1 error
""",
        None,
    ),
    "absolute path": (
        HEAD.replace("stages =", 'assets = "/etc"\nstages =') + SPRITE,
        """\
spritefile.toml:3:10: assets "/etc" is absolute
  3 | assets = "/etc"
    |          ^^^^^^
  hint: paths are relative to the folder of the spritefile and stay in it
1 error
""",
        None,
    ),
    "symlink escape": (
        HEAD + '[models.mine]\npath = "out"\n',
        """\
spritefile.toml:5:8: path "out" leaves the project through a symlink
  5 | path = "out"
    |        ^^^^^
  hint: paths are relative to the folder of the spritefile and stay in it
1 error
""",
        symlink_out,
    ),
    "missing palette file": (
        HEAD + '[palettes.gray]\nfile = "gray.hex"\n',
        """\
spritefile.toml:5:8: file "gray.hex" does not exist
  5 | file = "gray.hex"
    |        ^^^^^^^^^^
1 error
""",
        None,
    ),
    "endless key": (
        HEAD + "a." * 20_000 + "a = 1\n",
        """\
spritefile.toml:4: a key of more than 16 parts
  hint: a spritefile needs at most six
1 error
""",
        None,
    ),
    "unknown table": (
        HEAD + "[sprite.potion]\n",
        """\
spritefile.toml:4:2: unknown table "sprite"
  4 | [sprite.potion]
    |  ^^^^^^
  hint: did you mean "sprites"?
1 error
""",
        None,
    ),
    "unknown op and param": (
        HEAD + SPRITE + 'finish = [{ op = "blur" }, { op = "alpha", treshold = 3 }]\nsteps = 3\nparams = { nte = 1 }\n',
        """\
spritefile.toml:7:18: unknown op "blur"
  7 | finish = [{ op = "blur" }, { op = "alpha", treshold = 3 }]
    |                  ^^^^^^
  hint: ops: pixelate, cutout, alpha, sharpen, quantize, swap, despeckle, jaggies, ...
spritefile.toml:7:44: unknown key "treshold"
  7 | finish = [{ op = "blur" }, { op = "alpha", treshold = 3 }]
    |                                            ^^^^^^^^
  hint: did you mean "threshold"?
spritefile.toml:9:12: unknown key "nte"
  9 | params = { nte = 1 }
    |            ^^^
  hint: did you mean "note"?
3 errors
""",
        None,
    ),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("command", ["plan", "build"])
def test_wrong_spritefile_is_refused_with_place_and_remedy_and_writes_nothing(
    project: Project, name: str, command: str
) -> None:
    text, error, prepare = WRONG[name]
    project.write(text)
    if prepare:
        prepare(project)
    before = project.listing()
    assert said(project.cli(command)) == (2, "", f"error: {error}")
    assert project.listing() == before


def test_all_mistakes_are_reported_at_once(project: Project) -> None:
    project.write({**ISLAND, "styles": {"base": {"stage": "pant", "finish": [{"op": "blur"}]}}})
    project.edit("sprites.potion.style", "bas").edit("palettes.gray.colors", ["gray"])
    error = project.cli("plan").stderr
    assert 'unknown style "bas"' in error
    assert '"gray" is not a color' in error
    project.edit("sprites.potion.style", "base").edit("palettes.gray.colors", ["#888"])
    error = project.cli("plan").stderr
    assert 'unknown stage "pant"' in error
    assert 'unknown op "blur"' in error


def test_what_a_stage_says_is_no_command_to_a_build_server(project: Project) -> None:
    source = "class Rude(Stage):\n    version = 1\n    Outputs = RudeOutputs\n"
    source += '    def run(self, action, context):\n        raise StageError("no\\n  ::error::yes\\x1b[31m")\n'
    head = "from pathlib import Path\nfrom spritebuild.errors import StageError\n"
    head += "from spritebuild.stage import Outputs, Stage\n"
    head += "class RudeOutputs(Outputs):\n    image: Path = Path('image.png')\n"
    project.stage("rude", head + source)
    project.write({"project": {"name": "x", "stages": "stages"}, "sprites": {"a": {"stage": "rude"}}})
    done = project.cli("build")
    assert done.returncode == 5
    assert "\x1b" not in done.stderr
    assert not any(line.lstrip().startswith("::") for line in done.stderr.splitlines())


def test_stdout_that_takes_nothing_is_an_error_of_the_machine(built: Project) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "spritebuild", "plan", "-v"],
            cwd=built.root,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert (done.returncode, "Traceback" in done.stderr) == (5, False)
    assert "stdout cannot be written to" in done.stderr
