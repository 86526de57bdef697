"""`spritebuild watch` as a person runs it: a real process, real files that are saved, what is installed in the end."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from projects import Project
from watching import GATED, LOADED, Watching, is_whole, like_clean, watching


@pytest.fixture
def started(island: Project) -> Iterator[Watching]:
    """A watch of two sprites and their sheet, built once."""
    with watching(island) as watch:
        watch.until("waiting")
        yield watch


def clean(project: Project, tmp_path: Path) -> Project:
    return project.clone(tmp_path / "clean", locked=False)


def test_a_save_is_built_and_installed(started: Watching, tmp_path: Path) -> None:
    project = started.project
    before = project.assets()
    project.edit("sprites.potion.prompt", "blue potion")
    assert started.until("saved")["paths"] == ["spritefile.toml"]
    assert started.until("ended")["ran"] == 3
    started.until("waiting")
    assert project.assets()["assets/potion.png"] != before["assets/potion.png"]
    assert project.assets()["assets/sword.png"] == before["assets/sword.png"]
    assert is_whole(project)
    assert like_clean(project, clean(project, tmp_path))
    code, said = started.end()
    assert code == 130
    assert "Traceback" not in said


def test_many_saves_at_once_are_fewer_builds_of_the_last(started: Watching, tmp_path: Path) -> None:
    project = started.project
    for number in range(40):
        project.edit("sprites.potion.prompt", f"potion {number}")
    project.edit("sprites.potion.prompt", "the last potion")
    deadline = time.monotonic() + 30
    while not like_last(project, tmp_path) and time.monotonic() < deadline:
        started.until("waiting")
    assert sum(event["event"] == "saved" for event in started.between()) < 20
    assert is_whole(project)


def like_last(project: Project, tmp_path: Path) -> bool:
    return like_clean(project, project.clone(tmp_path / f"clean-{time.monotonic_ns()}", locked=False))


def test_files_are_followed_however_they_are_saved(project: Project) -> None:
    project.file("art/gray.hex", "000000\n888888\nffffff\n")
    project.file("parts/sword.toml", '[sprites.sword]\nstyle = "base"\nprompt = "sword"\n')
    text = """
include = ["parts/*.toml"]
[project]
name = "island"
stages = "stages"
[palettes.gray]
file = "art/gray.hex"
[styles.base]
stage = "paint"
finish = [{ op = "alpha" }, { op = "quantize", palette = "gray" }]
[sprites.potion]
style = "base"
prompt = "potion"
"""
    project.write(text)
    with watching(project) as watch:
        watch.until("waiting")

        new = project.file("art/new", "000000\n777777\nffffff\n")  # as most editors save: another file in its place
        new.replace(project.root / "art/gray.hex")
        watch.until("finished", action="sprites.potion:finish")
        watch.until("waiting")

        project.file("art/gray.hex", "000000\n666666\nffffff\n")  # in place, and the one that took its place
        watch.until("finished", action="sprites.potion:finish")
        watch.until("waiting")

        project.file("parts/shield.toml", '[sprites.shield]\nstyle = "base"\nprompt = "shield"\n')
        watch.until("installed", path="assets/shield.png")
        watch.until("waiting")

        (project.root / "parts/sword.toml").unlink()
        watch.until("removed", path="assets/sword.png")
        watch.until("waiting")

        (project.root / "art").rename(project.root / "elsewhere")  # the folder of something
        assert "art/gray.hex" in watch.until("error")["message"]
        watch.until("waiting")
        (project.root / "elsewhere").rename(project.root / "art")
        project.file("art/gray.hex", "000000\n555555\nffffff\n")  # in the folder that came back
        watch.until("finished", action="sprites.potion:finish")
        watch.until("waiting")

        project.bump("paint", 2)
        watch.until("finished", action="sprites.potion:paint")


def test_what_builds_write_and_what_nothing_reads_starts_no_build(started: Watching) -> None:
    project = started.project
    project.file("README.md", "an island")
    project.file("assets/potion.png", b"edited by hand")
    project.file(".spritebuild/scratch/x", "x")
    project.file(".spritefile.toml.swp", "x")
    project.edit("sprites.sword.prompt", "short sword")
    assert started.until("saved")["paths"] == ["spritefile.toml"]
    started.until("waiting")
    project.edit("sprites.sword.prompt", "shorter sword")
    assert started.until("saved")["paths"] == ["spritefile.toml"]
    saved = [event["paths"] for event in started.between() if event["event"] == "saved"]
    assert all(paths == ["spritefile.toml"] for paths in saved)


def test_a_broken_spritefile_is_told_with_its_line_and_the_next_save_mends_it(started: Watching) -> None:
    project = started.project
    before, text = project.assets(), project.path.read_text()
    project.path.write_text(text.replace("prompt = ", "promt = ", 1))
    error = started.until("error")
    started.until("waiting")
    line = next(n for n, row in enumerate(project.path.read_text().splitlines(), 1) if "promt" in row)
    assert f"spritefile.toml:{line}:1: " in error["message"]
    assert 'did you mean "prompt"' in error["message"]
    assert project.assets() == before
    project.path.write_text(text.replace("red potion", "green potion"))
    started.until("waiting")
    assert project.assets()["assets/potion.png"] != before["assets/potion.png"]
    assert started.process.poll() is None


def test_a_watch_may_begin_with_a_broken_spritefile_and_any_file_may_mend_it(project: Project) -> None:
    project.write('include = ["more/*.toml"]\n[project]\nname = "x"\nstages = "stages"\n')
    project.file("more/a.toml", "[sprites.a")
    with watching(project) as watch:
        assert "more/a.toml:1:" in watch.until("error")["message"]
        watch.until("waiting")
        project.file("more/a.toml", '[sprites.a]\nstage = "paint"\nprompt = "a"\n')
        watch.until("installed", path="assets/a.png")


def test_a_failing_sprite_is_told_and_the_others_are_built(started: Watching) -> None:
    project = started.project
    project.edit("sprites.shield", {"style": "base", "prompt": "shield"})
    project.edit("sprites.potion.prompt", "fail")
    failed = started.until("failed")
    assert failed["action"] == "sprites.potion:paint"
    assert "the paint is dry" in failed["error"]
    started.until("waiting")
    assert (project.root / "assets/shield.png").exists()
    assert (project.root / "assets/potion.png").exists(), "the last good one stays"
    project.edit("sprites.potion.prompt", "potion again")
    started.until("waiting")
    assert is_whole(project)


def gates(project: Project) -> Project:
    """Four sprites that wait for a file each, one after the other."""
    project.stage("gated", GATED)
    sprites = {name: {"stage": "gated", "prompt": name, "params": {"until": f"{name}.go"}} for name in ("ab1", "cd2")}
    return project.write({"project": {"name": "gates", "stages": "stages"}, "sprites": sprites})


def test_a_save_while_a_build_runs_takes_its_place(project: Project, tmp_path: Path) -> None:
    gates(project)
    with watching(project, "-j", "1") as watch:
        watch.until("started")
        first = next(event["action"] for event in watch.between() if event["event"] == "started")
        name = first.partition(":")[0].removeprefix("sprites.")
        other = "cd2" if name == "ab1" else "ab1"
        project.edit(f"sprites.{other}", {"stage": "gated", "prompt": "xyz"})
        time.sleep(0.3)  # until the save was heard
        project.file(f"{name}.go", "")
        assert watch.until("saved")["paths"] == ["spritefile.toml"]
        watch.until("waiting")
        finished = [event["action"] for event in watch.between() if event["event"] == "finished"]
        assert sorted(finished) == ["sprites.ab1:gated", "sprites.cd2:gated"], "what had begun is kept, nothing twice"
        assert is_whole(project)
        assert like_clean(project, clean(project, tmp_path))


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_watch_ends_at_once_and_leaves_nothing_half(project: Project, by: int) -> None:
    project.stage("loaded", LOADED.replace("        color =", "        import time; time.sleep(30)\n        color ="))
    project.write(
        {
            "project": {"name": "x", "stages": "stages"},
            "sprites": {"slow": {"stage": "loaded", "prompt": "s"}, "fast": {"stage": "paint", "prompt": "f"}},
        }
    )
    with watching(project) as watch:
        watch.until("finished", action="sprites.fast:paint")
        deadline = time.monotonic() + 30
        notes = project.root / "drawn.txt"
        while not (notes.exists() and notes.read_text()) and time.monotonic() < deadline:
            time.sleep(0.02)
        began = time.monotonic()
        code, said = watch.end(by)
        assert time.monotonic() - began < 15, "not when the picture is finished"
        assert code == {signal.SIGINT: 130, signal.SIGTERM: 143}[by]
        assert "everything finished so far is stored" in said
    worker = int(notes.read_text().split()[0])
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)
    assert [*project.assets()] in ([], ["assets/fast.png"])
    project.stage("loaded", LOADED)
    assert project.build().ran == ["sprites.slow:loaded"]
    assert is_whole(project)


def drawn(project: Project) -> list[list[str]]:
    """Who drew what: rows of a process and a prompt."""
    return [line.split(" ", 1) for line in (project.root / "drawn.txt").read_text().splitlines()]


def test_the_process_that_has_loaded_a_model_draws_again_until_its_stage_changes(project: Project) -> None:
    project.stage("loaded", LOADED)
    project.write(
        {
            "project": {"name": "x", "stages": "stages"},
            "sprites": {"orb": {"stage": "loaded", "prompt": "a"}, "gem": {"stage": "loaded", "prompt": "bb"}},
        }
    )
    with watching(project) as watch:
        watch.until("waiting")
        for prompt in ("ccc", "dddd"):
            project.edit("sprites.orb.prompt", prompt)
            watch.until("waiting")
        rows = drawn(project)
        assert [prompt for _, prompt in rows[2:]] == ["ccc", "dddd"]
        assert len({process for process, _ in rows}) == 1

        project.stage("loaded", LOADED.replace("version = 1", "version = 2").replace("7, 255", "8, 255"))
        watch.until("waiting")
        assert len(drawn(project)) == 6, "both again"
        (last,) = {process for process, _ in drawn(project)[4:]}
        assert last != rows[0][0]

        os.kill(int(last), signal.SIGKILL)  # what the system does where memory is short
        project.edit("sprites.gem.prompt", "eeeee")
        watch.until("waiting")
        assert drawn(project)[-1][1] == "eeeee"
        assert is_whole(project)


def test_without_notices_files_are_looked_at(island: Project) -> None:
    island.edit("palettes.gray", {"file": "gray.hex"})
    island.file("gray.hex", "000000\nffffff\n")
    island.build()
    with watching(island, "--poll") as watch:
        watch.until("waiting")
        island.file("gray.hex", "000000\nfffffe\n")
        assert watch.until("saved")["paths"] == ["gray.hex"]
        watch.until("waiting")
        island.edit("sprites.potion.prompt", "blue")
        assert watch.until("saved")["paths"] == ["spritefile.toml"]
        assert watch.until("ended")["ran"] == 3
        watch.until("waiting")
        assert is_whole(island)


def test_weights_in_the_project_are_watched(pressed: Project) -> None:
    with watching(pressed) as watch:
        watch.until("waiting")
        pressed.file("weights/unet/config.json", '{"changed": true}')
        assert watch.until("saved")["paths"] == ["weights/unet/config.json"]
        pressed.edit("sprites.potion.prompt", "another potion")
        error = watch.until("error")
        assert "models.mine" in f"{error}"
        assert "spritebuild lock" in f"{error}" or "models update" in f"{error}"


def test_only_what_is_named_is_built(island: Project) -> None:
    with watching(island, "sprites.potion") as watch:
        watch.until("waiting")
        island.edit("sprites.sword.prompt", "another sword")
        assert watch.until("ended")["ran"] == 0
        watch.until("waiting")
        assert [*island.assets()] == ["assets/potion.png"]


def test_another_build_in_the_project_is_no_hindrance(started: Watching) -> None:
    project = started.project
    project.edit("sprites.potion.prompt", "blue")
    said = project.cli("build")
    assert said.returncode == 0, said.stderr
    project.edit("sprites.potion.prompt", "green")
    deadline = time.monotonic() + 30
    while project.cli("build", "--locked").returncode and time.monotonic() < deadline:
        time.sleep(0.1)
    assert is_whole(project)
    assert started.process.poll() is None
