"""`spritebuild check`: what differs from its approved baseline, what breaks its limits, what is unlike its style."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from spritebuild import idle
from spritebuild.cli.options import find, json_option, spritefile_option
from spritebuild.errors import RegressionError, UsageError

STDOUT = Path("/dev/stdout")
REMEMBERED = "checked.json"  # what the last check said, for as long as nothing changes
HINT = "look at them: spritebuild review; take them as they are: spritebuild approve"


@click.command()
@click.argument("targets", nargs=-1)
@spritefile_option
@click.option("--art", is_flag=True, help="Measure every sprite as pixel art; TARGETS are styles, such as styles.base.")
@click.option(
    "--report",
    "reports",
    multiple=True,
    metavar="FORM[=PATH]",
    help="Report as well: html=FILE.html or FOLDER, junit=, json=, sarif=, summary= or comment=FILE; "
    "annotations for GitHub need no path. May be said several times.",
)
@click.option("--locked", is_flag=True, help="Fail, exit code 3, unless the lock says what the spritefile says.")
@click.option("--offline", is_flag=True, help="Fetch nothing.")
@click.option("-v", "--verbose", is_flag=True, help="Say what is in order as well.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing of how things are made meanwhile.")
@click.option("-j", "--jobs", type=click.IntRange(1), default=os.cpu_count() or 1, help="Actions run side by side.")
@json_option
def check(
    targets: tuple[str, ...],
    file: Path | None,
    art: bool,
    reports: tuple[str, ...],
    locked: bool,
    offline: bool,
    verbose: bool,
    quiet: bool,
    jobs: int,
    as_json: bool,
) -> None:
    """Compare TARGETS, such as potion or assets/items/*, with their approved baselines; all unless some are named.

    Exit code 1 if one changed more than the project allows, or breaks a declared limit. Nothing is installed.
    """
    path = find(file)
    making = _Making(path, jobs, quiet=quiet or as_json, locked=locked, offline=offline)
    if art:
        if reports:
            raise UsageError("the measures of the art have no report", hint="spritebuild check --art --json")
        _check_art(making, targets, verbose, as_json)
        return
    whole = not (targets or reports or verbose or as_json)
    if whole and (known := _remembered(path)) is not None:
        text, failed = known["text"], known["failed"]
    else:
        text, failed = _compare(making, targets, reports, verbose, as_json)
    if whole:
        _remember(path, text, failed)
    click.echo(text)
    if failed:
        count = f"{failed:,} assets fail" if failed > 1 else "1 asset fails"
        if as_json:  # one document, whatever is in it
            click.echo(f"error: {count}", err=True)
            raise click.exceptions.Exit(RegressionError.exit_code)
        raise RegressionError(count, hint=HINT)


class _Making:
    """How what a check needs is made, where it is not there yet."""

    def __init__(self, path: Path, jobs: int, *, quiet: bool, locked: bool, offline: bool) -> None:
        self.path, self.jobs, self.quiet, self.locked, self.offline = path, jobs, quiet, locked, offline

    def build(self, patterns: Sequence[str]) -> None:
        """Run the actions of checks, and what they wait for."""
        from spritebuild.build import Request, build
        from spritebuild.cli.progress import status_for
        from spritebuild.run import Options

        threads = int(os.environ.get("SPRITEBUILD_THREADS", "1"))
        with status_for(quiet=self.quiet, as_json=False) as status:
            options = Options(self.jobs, threads=threads)
            request = Request(tuple(patterns), options=options, checks=True, offline=self.offline)
            build(self.path, request, status)


# Beside the baseline


def _compare(
    making: _Making, targets: Sequence[str], reports: Sequence[str], verbose: bool, as_json: bool
) -> tuple[str, int]:
    """What a check says on stdout, and how many assets fail; writes the reports."""
    from spritebuild.build import require_locked
    from spritebuild.check.reports import write
    from spritebuild.check.reports.terminal import terminal
    from spritebuild.compare import Comparison, compare
    from spritebuild.limits import measuring
    from spritebuild.plan import plan
    from spritebuild.project import Project, opened

    wanted = [_report(report) for report in reports]

    def found(project: Project) -> Comparison:
        comparison = compare(project, targets)
        for form, place in wanted:
            try:
                write(comparison.checked, comparison.pictures, form, place)
            except OSError as error:
                raise UsageError(f"cannot be written: {error.strerror}", where=str(place)) from None
            if place != STDOUT:
                click.echo(f"wrote {place}", err=True)
        return comparison

    with opened(making.path, locked=making.locked, checks=True) as project:
        if making.locked:
            require_locked(project)
        checks = measuring(project)
        todo = {decision.action for decision in plan(project.graph, project.known, checks).to_run()}
        comparison = found(project) if not todo or todo - checks else None
    if comparison is None:  # what is to be measured is all there
        making.build(sorted({project.graph.actions[id].target for id in checks}))
        with opened(making.path, checks=True) as project:
            comparison = found(project)
    elif todo:
        click.echo("note: the limits of the art are not checked before everything is built", err=True)
    for note in comparison.checked.notes:
        click.echo(f"note: {note}", err=True)
    if as_json:
        text = json.dumps(comparison.checked.as_json(), indent=1, ensure_ascii=False)
    else:
        text = terminal(comparison.checked, verbose=verbose).rstrip("\n")
    return text, len(comparison.checked.failed)


def _report(said: str) -> tuple[str, Path]:
    """The form and the place of a report, as `html=report/`."""
    from spritebuild.check.reports import FORMS

    form, _, place = said.partition("=")
    if form not in FORMS:
        hint = f"forms: {', '.join(FORMS)}"
        raise UsageError(f"no form of report is called {form!r}", where="--report", hint=hint)
    if not place and form != "annotations":
        raise UsageError(f"{form} needs a path", where="--report", hint=f"--report {form}=PATH")
    return form, Path(place) if place else STDOUT


def _remembered(path: Path) -> dict[str, Any] | None:
    """What the last check said, if nothing has changed since: neither declarations nor lock nor assets."""
    root = path.absolute().parent.resolve()
    state = idle.state_folder(root)
    try:
        known: dict[str, Any] = json.loads((state / REMEMBERED).read_bytes())
        if known["of"] == (state / idle.NAME).stat().st_mtime_ns and idle.unchanged(root):
            return known if isinstance(known["text"], str) and isinstance(known["failed"], int) else None
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return None


def _remember(path: Path, text: str, failed: int) -> None:
    from spritebuild.files import machine_errors, write_atomic

    root = path.absolute().parent.resolve()
    state = idle.state_folder(root)
    if idle.unchanged(root):
        said = {"of": (state / idle.NAME).stat().st_mtime_ns, "text": text, "failed": failed}
        with machine_errors():
            write_atomic(state / REMEMBERED, json.dumps(said).encode())


# As pixel art


def _check_art(making: _Making, checks: Sequence[str], verbose: bool, as_json: bool) -> None:
    from spritebuild.assemblies import ART_CHECK
    from spritebuild.limits import art_reports
    from spritebuild.plan import targets
    from spritebuild.project import opened

    patterns = tuple(f"checks.{name}" for name in checks) or ("checks.*",)
    making.build(patterns)
    with opened(making.path, checks=True) as project:
        reports = art_reports(project, sorted(targets(project.graph, patterns)))
        stage: Any = project.stages[ART_CHECK]
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
