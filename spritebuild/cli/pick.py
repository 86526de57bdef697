"""`spritebuild pick`: which of a sprite's candidates the game gets."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from spritebuild.cli.options import find, json_option, spritefile_option
from spritebuild.errors import UsageError

if TYPE_CHECKING:
    from spritebuild.candidates import Candidate


@click.command()
@click.argument("name")
@click.argument("seed", type=click.IntRange(0), required=False)
@spritefile_option
@click.option("--clear", is_flag=True, help="Forget what was picked: the first candidate is installed again.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors.")
@json_option
def pick(name: str, seed: int | None, file: Path | None, clear: bool, quiet: bool, as_json: bool) -> None:
    """Use the candidate of SEED for the sprite NAME; without SEED, list the candidates, the best first.

    The pick is written into the lock, to be committed.
    """
    if clear and seed is not None:
        raise UsageError("say a seed or --clear, not both")
    from spritebuild import candidates
    from spritebuild.cli.progress import say, status_for
    from spritebuild.project import opened
    from spritebuild.run import Options

    path = find(file)
    options = Options(threads=int(os.environ.get("SPRITEBUILD_THREADS", "1")))
    with opened(path) as project:
        target = candidates.named(project, name)
    with status_for(quiet=quiet or as_json, as_json=False) as status:  # what is on stdout is one JSON value
        if clear:
            was = candidates.clear(path, target, status, options)
            said = f"forgot what was picked for {target}" if was else f"nothing was picked for {target}"
        elif seed is not None:
            candidates.pick(path, target, seed, status, options=options)
            said = f"picked seed {seed} for {target}: commit the lock"
        else:
            said = ""
            candidates.rank(path, status, [target], options)
    with opened(path, checks=True) as project:
        found = candidates.candidates(project, target)
        decided = target not in candidates.undecided(project)
    if as_json:
        rows = [dataclasses.asdict(one) for one in found]
        click.echo(json.dumps({"target": target, "undecided": not decided, "candidates": rows}, indent=1))
    elif not said:
        _print(target, found, decided)
    elif not quiet:
        say(said)


def _print(target: str, found: list[Candidate], decided: bool) -> None:
    picked = next((str(one.seed) for one in found if one.picked), "")
    state = f"seed {picked} is picked" if decided else "undecided"
    click.echo(f"{target}: {len(found)} candidates, {state}")
    rows: list[tuple[str, ...]] = [("rank", "seed", "score", "")]
    for one in found:
        words = one.words if one.digest else "not here"
        score = "" if one.score is None else f"{one.score:.2f}"
        shown: Any = str(one.rank) if one.score is not None else "-"
        rows.append((shown, str(one.seed), score, f"{'* ' if one.picked else '  '}{words}"))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        cells = [cell.rjust(width) for cell, width in zip(row, widths, strict=False)]
        click.echo("  ".join([*cells, row[3]]).rstrip())
    if any(not one.digest for one in found):
        click.echo(f"not all are here: spritebuild build {target}", err=True)
