"""`spritebuild approve`: what was looked at becomes the baseline."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from spritebuild.check.reports.text import NAME, plain
from spritebuild.ci import is_ci
from spritebuild.cli.options import find, json_option, spritefile_option
from spritebuild.errors import PolicyError, RegressionError, UsageError

if TYPE_CHECKING:
    from spritebuild.approve import Choice

WHOLE = 10_000  # characters of a path, which is data


@click.command()
@click.argument("targets", nargs=-1)
@spritefile_option
@click.option("--all", "everything", is_flag=True, help="Approve everything that is not.")
@click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="DECISIONS",
    help="Approve what a decisions.json of `spritebuild review` approves.",
)
@click.option("-n", "--dry-run", is_flag=True, help="Say what would be approved, and approve nothing.")
@click.option("--in-ci", is_flag=True, help="Do it even where the environment says CI.")
@json_option
def approve(
    targets: tuple[str, ...],
    file: Path | None,
    everything: bool,
    source: Path | None,
    dry_run: bool,
    in_ci: bool,
    as_json: bool,
) -> None:
    """Approve TARGETS, such as potion or assets/items/*, as they are now: their bytes, by digest, in the lock.

    Nothing is made anew. The former baseline stays in the lock beside the new one.
    """
    if sum(map(bool, (targets, everything, source))) != 1:
        hint = "name some, such as 'potion-*', or say --all, or --from decisions.json"
        raise UsageError("say what to approve, in one way", hint=hint)
    if is_ci(os.environ) and not in_ci and not dry_run:
        raise PolicyError(
            "approvals are for people, and this is CI",
            facts=[("CI", plain(os.environ["CI"], NAME))],
            hint="approve where you work and commit the lock; --in-ci if a machine is to do it",
        )
    from spritebuild.approve import approve as write
    from spritebuild.approve import read_choices
    from spritebuild.cli.progress import status_for

    path = find(file)
    choices = read_choices(source) if source is not None else _chosen(path, targets)
    if dry_run:
        rejected: Sequence[Choice] = [choice for choice in choices if choice.decision == "reject"]
        approved: Sequence[str] = [choice.path for choice in choices if choice.decision == "approve"]
        already: Sequence[str] = ()
    else:
        with status_for(quiet=True, as_json=False) as status:
            done = write(path, choices, status)
        approved, already, rejected = done.approved, done.already, done.rejected
    if as_json:
        rows = [{"path": choice.path, "comment": choice.comment} for choice in rejected]
        click.echo(json.dumps({"approved": [*approved], "already": [*already], "rejected": rows}, indent=1))
    else:
        for one in approved:
            click.echo(plain(one, WHOLE))
        verb = "would be approved" if dry_run else "approved"
        click.echo(f"{len(approved):,} {verb}" + (f", {len(already):,} were already" if already else ""), err=True)
    if rejected:
        facts = [(plain(choice.path, NAME), plain(choice.comment) or "rejected") for choice in rejected[:20]]
        raise RegressionError(
            f"{len(rejected)} rejected", facts=facts, hint="change their declarations and build again"
        )


def _chosen(path: Path, targets: Sequence[str]) -> list[Choice]:
    """The assets that are not approved as they are, of those that targets name."""
    from spritebuild.approve import Choice
    from spritebuild.compare import compare
    from spritebuild.project import opened

    with opened(path) as project:
        cases = compare(project, targets).checked.cases
    lost = [case.path for case in cases if case.kind == "missing"]
    if lost:
        assets = f"{len(lost):,} assets are" if len(lost) > 1 else "1 asset is"
        raise RegressionError(
            f"{assets} not installed as the lock says; nothing was approved",
            facts=[("", plain(one, NAME)) for one in lost[:20]],
            hint="spritebuild build, and look at them",
        )
    return [
        Choice(case.path, case.digest, "approve")
        for case in cases
        if case.kind == "deleted" or (case.digest and case.digest != case.baseline)
    ]
