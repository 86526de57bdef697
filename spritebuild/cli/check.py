"""`spritebuild check`: what differs from its approved baseline, what breaks its limits, what is unlike its style."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from spritebuild import idle
from spritebuild.cli.options import find, json_option, spritefile_option
from spritebuild.errors import RegressionError, UsageError

if TYPE_CHECKING:
    from spritebuild.check.cases import Checked
    from spritebuild.compare import Comparison

STDOUT = Path("/dev/stdout")
REMEMBERED = "checked.json"  # what the last check said, for as long as nothing changes
HINT = "look at them: spritebuild review; take them as they are: spritebuild approve"
UNMEASURED = "the limits of the art are not checked before everything is built"


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
    shown = _Shown(verbose, as_json)
    known = _remembered(path, shown) if whole else None
    if known is None:
        checked = _compare(making, targets, reports)
        known = shown.text(checked), len(checked.failed)
        if whole and not any(case.kind == "other" for case in checked.cases):  # a baseline may come with a fetch
            _remember(path, shown, *known)
    text, failed = known
    taken = any(_report(said)[1] == STDOUT and not said.startswith("annotations") for said in reports)
    click.echo(text, color=True, err=taken and not as_json)  # stdout has its document
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
            request = Request(tuple(patterns), False, self.locked, options, checks=True, offline=self.offline)
            build(self.path, request, status)


# Beside the baseline


class _Shown:
    """How what was found is shown: as the terminal likes it, or for programs."""

    def __init__(self, verbose: bool, as_json: bool) -> None:
        self.verbose, self.as_json = verbose, as_json
        self.color = sys.stdout is not None and sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        self.width = shutil.get_terminal_size().columns

    def text(self, checked: Checked) -> str:
        from spritebuild.check.reports import text_of
        from spritebuild.check.reports.terminal import terminal

        if self.as_json:
            return text_of(checked, "json").rstrip("\n")
        return terminal(checked, verbose=self.verbose, color=self.color, width=self.width).rstrip("\n")


def _compare(making: _Making, targets: Sequence[str], reports: Sequence[str]) -> Checked:
    """Compare, after what has to be measured for that; writes the reports."""
    from spritebuild.build import require_locked
    from spritebuild.compare import compare
    from spritebuild.limits import measuring
    from spritebuild.plan import plan
    from spritebuild.project import opened

    wanted = [_report(report) for report in reports]
    with opened(making.path, locked=making.locked, checks=True) as project:
        if making.locked:
            require_locked(project)
        checks = measuring(project)
        todo = {decision.action for decision in plan(project.graph, project.known, checks).to_run()}
        comparison: Comparison | None = None
        if not todo or todo - checks:  # else what is to be measured is all there
            comparison = compare(project, targets)
            if todo:
                told = replace(comparison.checked, notes=[*comparison.checked.notes, UNMEASURED])
                comparison = replace(comparison, checked=told)
            _write(comparison, wanted)
    if comparison is None:
        making.build(sorted({project.graph.actions[id].target for id in checks}))
        with opened(making.path, checks=True) as project:
            comparison = compare(project, targets)
            _write(comparison, wanted)
    return comparison.checked


def _write(comparison: Comparison, wanted: Sequence[tuple[str, Path]]) -> None:
    """Write reports, pages first: a summary names the pictures of one."""
    from spritebuild.check.reports import write

    pictures = None
    for form, place in sorted(wanted, key=lambda each: each[0] != "html"):
        try:
            write(comparison.checked, comparison.pictures, form, place, pictures_folder=pictures)
        except OSError as error:
            raise UsageError(f"cannot be written: {error.strerror}", where=str(place)) from None
        if form == "html" and place.is_dir():
            pictures = f"{place}/pictures"
        if place != STDOUT:
            click.echo(f"wrote {place}", err=True)


def _report(said: str) -> tuple[str, Path]:
    """The form and the place of a report, as `html=report/`."""
    from spritebuild.check.reports import FORMS

    form, _, place = said.partition("=")
    if form not in FORMS:
        hint = f"forms: {', '.join(FORMS)}"
        raise UsageError(f"no form of report is called {form!r}", where="--report", hint=hint)
    if not place and form not in ("annotations", "text"):
        raise UsageError(f"{form} needs a path", where="--report", hint=f"--report {form}=PATH")
    if form == "html" and place in ("-", str(STDOUT)):
        raise UsageError("a page goes into a file or a folder, not to stdout", where="--report")
    return form, Path(place) if place not in ("", "-") else STDOUT


def _remembered(path: Path, shown: _Shown) -> tuple[str, int] | None:
    """What the last check said, if nothing has changed since: neither declarations nor lock nor assets."""
    root = path.absolute().parent.resolve()
    state = idle.state_folder(root)
    try:
        known = json.loads((state / REMEMBERED).read_bytes())
        if known["of"] == _state(path, state, shown) and idle.unchanged(root, path.name):
            return str(known["text"]), int(known["failed"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return None


def _remember(path: Path, shown: _Shown, text: str, failed: int) -> None:
    from spritebuild.files import write_atomic

    root = path.absolute().parent.resolve()
    state = idle.state_folder(root)
    if idle.unchanged(root, path.name):
        with contextlib.suppress(OSError):  # a full disk makes the next check slower, and no more
            said = {"of": _state(path, state, shown), "text": text, "failed": failed}
            write_atomic(state / REMEMBERED, json.dumps(said).encode())


def _state(path: Path, state: Path, shown: _Shown) -> list[str | int]:
    return [path.name, (state / idle.NAME).stat().st_mtime_ns, shown.width, shown.color]


# As pixel art


def _check_art(making: _Making, checks: Sequence[str], verbose: bool, as_json: bool) -> None:
    from spritebuild.limits import art_reports
    from spritebuild.plan import targets
    from spritebuild.project import opened
    from spritebuild.resolution.assemblies import ART_CHECK

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
