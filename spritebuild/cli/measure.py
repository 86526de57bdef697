"""`spritebuild bench` and `stats`: how fast this project's models are here, and what its store holds and saves."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from spritebuild.cli.options import find, json_option, spritefile_option
from spritebuild.cli.progress import PlainStatus


@click.command()
@click.argument("models", nargs=-1)
@spritefile_option
@click.option("-n", "--sprites", type=click.IntRange(1), help="How many of each look; three batches unless said.")
@json_option
def bench(models: tuple[str, ...], file: Path | None, sprites: int | None, as_json: bool) -> None:
    """Measure the sprites per second of MODELS, or of all that sprites are made by; what is made is thrown away."""
    from spritebuild.bench import measure
    from spritebuild.project import held

    status = PlainStatus()
    threads = int(os.environ.get("SPRITEBUILD_THREADS", "1"))
    with held(find(file), status) as project:
        rows = measure(project, status, models=models, count=sprites, threads=threads)
    if as_json:
        click.echo(json.dumps(rows, indent=1))
        return
    headings = ["model", "like", "device", "batch", "load s", "first s", "sprites/s", "seconds of a sprite"]
    _print_table(
        headings,
        [
            [
                row["model"],
                row["like"],
                row["device"],
                str(row["batch"]),
                f"{row['load_seconds']:.2f}",
                f"{row['first_seconds']:.2f}",
                f"{row['sprites_per_second']:.2f}" if row["sprites_per_second"] else "-",
                ", ".join(f"{what} {seconds:.3f}" for what, seconds in row["seconds_per_sprite"].items()),
            ]
            for row in rows
        ],
    )
    for text in dict.fromkeys(warning for row in rows for warning in row["warnings"]):
        status.warning(text)


@click.command()
@spritefile_option
@json_option
def stats(file: Path | None, as_json: bool) -> None:
    """Say what the store holds, what of it a build uses, and what took how long when it was made."""
    from spritebuild.project import opened
    from spritebuild.statistics import measure

    with opened(find(file)) as project:
        found = measure(project)
    if as_json:
        click.echo(json.dumps(found, indent=1))
        return
    store, actions = found["store"], found["actions"]
    click.echo(f"store   {store['blobs']} blobs, {_size(store['bytes'])}; {store['traces']} traces; {store['folder']}")
    for name, words in (("model_bytes", "models"), ("quality_bytes", "other qualities")):
        if store[name]:
            click.echo(f"        {_size(store[name])} of {words}")
    click.echo(f"known   {actions['known']} of {actions['declared']} actions, {_time(found['saved_seconds'])} of work")
    if found["stages"]:
        click.echo("")
        _print_table(
            ["stage", "runs", "total", "median s", "slowest s"],
            [
                [row["stage"], str(row["runs"]), _time(row["seconds"]), f"{row['median']:.3f}", f"{row['slowest']:.3f}"]
                for row in found["stages"]
            ],
        )
        click.echo("")
        _print_table(["slowest", "s"], [[row["action"], f"{row['seconds']:.3f}"] for row in found["slowest"]])


def _print_table(headings: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    lines = [headings, *rows]
    widths = [max(len(str(line[n])) for line in lines) for n in range(len(headings))]
    for line in lines:
        click.echo("  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip())


def _size(count: int) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


def _time(seconds: float) -> str:
    if seconds >= 7200:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 60:.1f} min" if seconds >= 120 else f"{seconds:.2f} s"
