"""`spritebuild check`: what of the finished art is against its limits, or unlike its references."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import click

from spritebuild.cli.options import find, json_option, spritefile_option
from spritebuild.errors import RegressionError, UsageError


@click.command()
@click.argument("checks", nargs=-1)
@spritefile_option
@click.option("--art", is_flag=True, help="Measure every sprite as pixel art.")
@click.option("-v", "--verbose", is_flag=True, help="Say what is in order as well.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing of how the sprites are made meanwhile.")
@click.option("-j", "--jobs", type=click.IntRange(1), default=os.cpu_count() or 1, help="Actions run side by side.")
@json_option
def check(
    checks: tuple[str, ...], file: Path | None, art: bool, verbose: bool, quiet: bool, jobs: int, as_json: bool
) -> None:
    """Check the sprites of styles, such as styles.base; of all unless some are named.

    Exit code 1 if a limit is broken. Sprites that are not finished yet are finished first, and not installed.
    """
    if not art:
        raise UsageError("nothing was said to check", hint="spritebuild check --art")
    path = find(file)
    stage, reports = _reports(path, checks, jobs, quiet or as_json)
    if as_json:
        click.echo(json.dumps(reports, indent=1, ensure_ascii=False))
    else:
        for report in reports.values():
            click.echo("\n".join(stage.lines(report, verbose)))
    broken = sum(report["summary"]["violations"] for report in reports.values())
    if broken:
        raise RegressionError(
            f"{broken} limit{'s are' if broken > 1 else ' is'} broken",
            hint="change the sprite or its finishing, or the limit in the style's `art`",
        )


def _reports(path: Path, checks: tuple[str, ...], jobs: int, quiet: bool) -> tuple[Any, dict[str, Any]]:
    """The stage that checks, and its reports by name, made now where they are not known."""
    from spritebuild import plan as planning
    from spritebuild.assemblies import ART_CHECK
    from spritebuild.build import Request, build
    from spritebuild.cli.progress import status_for
    from spritebuild.project import opened
    from spritebuild.run import Options

    patterns = tuple(f"checks.{name}" for name in checks) or ("checks.*",)
    threads = int(os.environ.get("SPRITEBUILD_THREADS", "1"))
    with status_for(quiet=quiet, as_json=False) as status:
        build(path, Request(patterns, options=Options(jobs, threads=threads), checks=True), status)
    with opened(path, checks=True) as project:
        decided = planning.plan(project.graph, project.known, planning.targets(project.graph, patterns))
        return project.stages[ART_CHECK], {
            id.removeprefix("checks.").partition(":")[0]: json.loads(
                Path(project.store.checked(decided.outputs[id]["report"])).read_bytes()
            )
            for id in project.graph.actions
            if id in decided.targets
        }
