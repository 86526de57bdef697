"""`spritebuild build`."""

from __future__ import annotations

import os
import time
from pathlib import Path

import click

from spritebuild import idle
from spritebuild.cli.options import find, json_option, spritefile_option


@click.command()
@click.argument("targets", nargs=-1)
@spritefile_option
@click.option("-j", "--jobs", type=click.IntRange(1), default=os.cpu_count() or 1, help="Actions run side by side.")
@click.option("-k", "--keep-going", is_flag=True, help="Build whatever does not depend on what failed.")
@click.option("--rebuild", is_flag=True, help="Run the targets' actions again, whatever is known of them.")
@click.option("--locked", is_flag=True, help="Fail, exit code 3, unless the lock says what the spritefile says.")
@click.option("--offline", is_flag=True, help="Fetch nothing: fail, exit code 5, where that would be needed.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors.")
@json_option
def build(
    targets: tuple[str, ...],
    file: Path | None,
    jobs: int,
    keep_going: bool,
    rebuild: bool,
    locked: bool,
    offline: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Build TARGETS, such as sprites.potion-* or sheets.items; everything unless some are named."""
    started = time.monotonic()
    path = find(file)
    root = path.absolute().parent.resolve()
    seen = idle.read(root, path.name) if not targets and not rebuild else None
    if seen is not None and not seen.changed:
        summary = {"ran": 0, "installed": 0, "removed": 0, "seconds": round(time.monotonic() - started, 3)}
        if as_json:
            from spritebuild.cli.progress import emit

            emit(event="ended", **summary)
        if not quiet:
            click.echo("nothing to do", err=True)
        return
    from spritebuild.build import Request
    from spritebuild.build import build as run_build
    from spritebuild.cli.progress import status_for
    from spritebuild.run import Options

    threads = int(os.environ.get("SPRITEBUILD_THREADS", "1"))
    with status_for(quiet=quiet, as_json=as_json) as status:
        request = Request(targets, rebuild, locked, Options(jobs, keep_going, threads), offline=offline)
        status.ended(run_build(path, request, status, seen))
