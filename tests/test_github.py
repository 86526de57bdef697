"""The example's workflow and the action, step by step as a shell runs them, on a clone with a history."""

from __future__ import annotations

import html
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

pytest.importorskip("torch")
pytestmark = pytest.mark.diffusion

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples/github"
WORKFLOW = EXAMPLE / ".github/workflows/sprites.yml"

# Stands for GitHub's command line, which has nothing to talk to here: keeps what it is told.
GH = """#!/usr/bin/env bash
printf '%s\\n' "$@" > "$GH_SAID"
"""


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example as a team has it: built, approved, committed."""
    folder = tmp_path_factory.mktemp("github") / "game"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("assets", ".spritebuild", "report"))
    git(folder, "init", "-q", "-b", "main")
    run(folder, "spritebuild build && spritebuild approve --all --in-ci")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "sprites")
    return folder


def git(folder: Path, *arguments: str) -> None:
    said = ["-c", "user.name=somebody", "-c", "user.email=somebody@example.com", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *said, *arguments], cwd=folder, check=True, capture_output=True)


def run(folder: Path, script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    given = {**os.environ, "PATH": path, "SPRITEBUILD_THREADS": "1", **environment}
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
        cwd=folder,
        env=given,
        capture_output=True,
        text=True,
        check=False,
    )


def steps(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The names and scripts of the steps that are scripts."""
    runs = document["runs"] if "runs" in document else document["jobs"]["sprites"]
    for step in runs["steps"]:
        if "run" in step:
            yield step["name"], step["run"]


def ran(folder: Path, document: Mapping[str, Any], **environment: str) -> dict[str, subprocess.CompletedProcess[str]]:
    """Every step but the installation, run whether or not those before it failed."""
    summary, said = folder.parent / f"{folder.name}-summary.md", folder.parent / f"{folder.name}-gh.txt"
    tools = folder.parent / "tools"
    tools.mkdir(exist_ok=True)
    (tools / "gh").write_text(GH)
    (tools / "gh").chmod(0o755)
    given = {
        "GITHUB_STEP_SUMMARY": str(summary),
        "GH_SAID": str(said),
        "NUMBER": "7",
        "CI": "true",
        "PATH": f"{tools}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        **environment,
    }
    return {name: run(folder, script, **given) for name, script in steps(document) if name != "Install"}


def cloned(repository: Path, to: Path) -> Path:
    subprocess.run(["git", "clone", "-q", str(repository), str(to)], check=True)
    return to


def test_every_step_of_the_workflow_passes_on_what_is_committed(repository: Path, tmp_path: Path) -> None:
    clone = cloned(repository, tmp_path / "clone")
    done = ran(clone, yaml.safe_load(WORKFLOW.read_text()))
    assert {name: each.returncode for name, each in done.items()} == dict.fromkeys(
        ("Build", "Verify a sample", "Check", "Comment"), 0
    ), {name: each.stderr for name, each in done.items()}
    assert (clone / "report/page/index.html").is_file()
    suites = ElementTree.parse(clone / "report/junit.xml").getroot()
    assert {case.get("name") for case in suites.iter("testcase")} >= {"assets/sword.png", "assets/potion-red.png"}
    assert (tmp_path / "clone-summary.md").read_text()
    assert "--body-file\nreport/comment.md" in (tmp_path / "clone-gh.txt").read_text()


def test_pull_request_that_changes_a_sprite_is_red_until_somebody_approves_it(repository: Path, tmp_path: Path) -> None:
    clone = cloned(repository, tmp_path / "clone")
    spritefile = clone / "spritefile.toml"
    spritefile.write_text(spritefile.read_text().replace('prompt = "long sword"', 'prompt = "golden sword"'))
    run(clone, "spritebuild build")
    git(clone, "commit", "-qam", "a golden sword")
    other = cloned(clone, tmp_path / "ci")
    checked = ran(other, yaml.safe_load(WORKFLOW.read_text()))["Check"]
    assert checked.returncode == 1
    assert "::error " in checked.stdout
    assert "assets/sword.png" in html.unescape((other / "report/comment.md").read_text())
    assert len([*(other / "report/page/pictures").glob("*.png")]) >= 2, "before and after, from the history"
    assert run(clone, "spritebuild approve --all", CI="").returncode == 0
    git(clone, "commit", "-qam", "approved")
    assert ran(cloned(clone, tmp_path / "again"), yaml.safe_load(WORKFLOW.read_text()))["Check"].returncode == 0


def test_action_runs_as_the_workflow_does(repository: Path, tmp_path: Path) -> None:
    action = yaml.safe_load((ROOT / "action.yml").read_text())
    inputs = {name: said.get("default", "") for name, said in action["inputs"].items()}
    clone = cloned(repository, tmp_path / "clone")
    done = ran(
        clone, action, LOCKED=inputs["locked"], SAMPLE=inputs["sample"], REPORT=inputs["report"], WHAT="", OWN=str(ROOT)
    )
    assert {name: each.returncode for name, each in done.items()} == dict.fromkeys(
        ("Build", "Verify", "Check", "Comment"), 0
    ), {name: each.stderr for name, each in done.items()}
    assert (clone / "sprite-report/page/index.html").is_file()


def test_a_forks_pull_request_can_write_nowhere() -> None:
    workflow = yaml.safe_load(WORKFLOW.read_text())
    assert workflow["permissions"] == {"contents": "read"}
    assert "pull_request_target" not in workflow[True]  # YAML reads `on` as a truth
    by_name = {step["name"]: step for step in workflow["jobs"]["sprites"]["steps"] if "name" in step}
    assert "github.event_name == 'push'" in by_name["Keep the store"]["if"]
    assert "head.repo.full_name == github.repository" in by_name["Comment"]["if"]
    scripts = "\n".join(script for _, script in steps(workflow))
    assert "${{" not in scripts, "what a stranger wrote is never part of a script"


def test_hooks_name_commands_that_there_are() -> None:
    from spritebuild.cli import COMMANDS

    for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text()):
        program, command, *_ = hook["entry"].split()
        assert program == "spritebuild"
        assert command in COMMANDS
