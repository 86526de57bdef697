"""`spritebuild build`."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from spritebuild import idle
from spritebuild.cli.options import expensive_option, find, json_option, quality_option, spritefile_option
from spritebuild.errors import UsageError

if TYPE_CHECKING:
    from spritebuild.executor import Executor
    from spritebuild.project import Project
    from spritebuild.spritefile.tiers import Quality


@click.command()
@click.argument("targets", nargs=-1)
@spritefile_option
@click.option("-j", "--jobs", type=click.IntRange(1), default=os.cpu_count() or 1, help="Actions run side by side.")
@click.option("-k", "--keep-going", is_flag=True, help="Build whatever does not depend on what failed.")
@click.option("--rebuild", is_flag=True, help="Run the targets' actions again, whatever is known of them.")
@click.option("--locked", is_flag=True, help="Fail, exit code 3, unless the lock says what the spritefile says.")
@click.option("--offline", is_flag=True, help="Fetch nothing: fail, exit code 5, where that would be needed.")
@expensive_option
@quality_option
@click.option(
    "--profile", type=click.Path(path_type=Path, dir_okay=False), help="Write what took how long, for Perfetto."
)
@click.option(
    "--executor",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="Where actions run: on this machine, or on an existing Ray cluster.",
)
@click.option("--ray-address", help="The cluster, as HOST:PORT; RAY_ADDRESS or the one of this machine unless given.")
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
    yes_expensive: bool,
    quality: Quality | None,
    profile: Path | None,
    executor: str,
    ray_address: str | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Build TARGETS, such as sprites.potion-* or sheets.items; everything unless some are named."""
    started = time.monotonic()
    path = find(file)
    root = path.absolute().parent.resolve()
    plain = not targets and not rebuild and quality is None and profile is None
    seen = idle.read(root, path.name) if plain else None
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
    from spritebuild.files import machine_errors
    from spritebuild.run import Options
    from spritebuild.spans import Spans

    threads = int(os.environ.get("SPRITEBUILD_THREADS", "1"))
    spans = Spans() if profile is not None else None
    with status_for(quiet=quiet, as_json=as_json) as status:
        elsewhere = _on_ray(ray_address, keep_going, threads, offline) if executor == "ray" else None
        options = Options(jobs, keep_going, threads, spans=spans)
        request = Request(
            targets,
            rebuild,
            locked,
            options,
            offline=offline,
            expensive=yes_expensive,
            quality=quality,
            elsewhere=elsewhere,
        )
        try:
            status.ended(run_build(path, request, status, seen))
        finally:
            if spans is not None and profile is not None:
                with machine_errors():
                    spans.write(profile)


def _on_ray(address: str | None, keep_going: bool, threads: int, offline: bool) -> Callable[[Project], Executor]:
    """What runs actions on a cluster; -j, where it was given, is the most workers of each kind."""
    if offline:
        raise UsageError("--offline and --executor ray contradict each other")
    from spritebuild.elsewhere.cluster import ADDRESS, OnRay

    context = click.get_current_context()
    said = context.get_parameter_source("jobs") == click.core.ParameterSource.COMMANDLINE
    limit = context.params["jobs"] if said else None
    where = address or os.environ.get(ADDRESS) or "auto"
    return lambda project: OnRay(project, where, limit, keep_going, threads)
