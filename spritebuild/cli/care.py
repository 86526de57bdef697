"""`spritebuild gc`, `clean` and `doctor`: the state of a project and of this machine."""

from __future__ import annotations

import importlib.metadata
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import click

from spritebuild import idle
from spritebuild.cli.options import find, json_option, spritefile_option
from spritebuild.cli.progress import PlainStatus, emit, say
from spritebuild.errors import IntegrityError, SpritebuildError

PACKAGES = ("numpy", "pillow", "deflate", "torch", "diffusers", "transformers", "peft", "dvc")


@click.command()
@spritefile_option
@click.option("-n", "--dry-run", is_flag=True, help="Say what would be removed.")
@click.option("--keep-days", type=click.FloatRange(0), help="Keep what is younger: 14, in the shared store 90.")
@click.option("--shared", is_flag=True, help="Collect in the shared store instead.")
@click.option(
    "--grace-days",
    type=click.FloatRange(0),
    default=1.0,
    show_default=True,
    help="With --shared: remove what was found to be unneeded so long ago.",
)
@click.option(
    "--lock",
    "locks",
    type=click.Path(path_type=Path),
    multiple=True,
    help="With --shared: keep what this lock of another project names, too.",
)
@json_option
def gc(
    file: Path | None,
    dry_run: bool,
    keep_days: float | None,
    shared: bool,
    grace_days: float,
    locks: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Remove blobs that neither the lock nor the present spritefile needs and that are older than --keep-days.

    In the shared store (--shared), what the locks of all branches and tags name stays, and what a lease names. The
    rest is marked, and removed by a later run, --grace-days after. Exit code 4 where this build may not write.
    """
    from spritebuild.files import machine_errors
    from spritebuild.project import held

    if shared:
        _gc_shared(file, locks, 90.0 if keep_days is None else keep_days, grace_days, dry_run, as_json)
        return
    from spritebuild.collect import collect

    with held(find(file), PlainStatus()) as project, machine_errors():
        removed, size, kept = collect(project, (14.0 if keep_days is None else keep_days) * 86400, dry_run=dry_run)
    if as_json:
        emit(event="collected", dry_run=dry_run, removed=removed, removed_bytes=size, kept=kept)
        return
    verb = "would remove" if dry_run else "removed"
    say(f"{verb} {removed} blob{'s' * (removed != 1)}, {size / 1e6:.1f} MB; kept {kept}")


def _gc_shared(
    file: Path | None, locks: tuple[Path, ...], days: float, grace: float, dry_run: bool, as_json: bool
) -> None:
    from spritebuild.cli.share import shared_of, unreachable
    from spritebuild.files import machine_errors
    from spritebuild.project import held
    from spritebuild.shared.supply import opened, require_writing
    from spritebuild.shared.transport import Unreachable
    from spritebuild.shared.upkeep import kept, tidy

    with held(find(file), PlainStatus()) as project, machine_errors():
        said = shared_of(project)
        if not dry_run:
            require_writing(said)
        project.store.fresh_scratch()
        there = opened(project, said)
        try:
            stays = kept(project, there, locks)
            told = tidy(project, there, stays, days=days, grace=grace, dry_run=dry_run)
        except Unreachable as why:
            raise unreachable(said, why) from None
        project.store.settle()
    if as_json:
        emit(event="collected", dry_run=dry_run, refs=stays.refs, locks=stays.locks, **told.summary())
        return
    say(
        f"there: {told.blobs:,} blobs, {told.bytes / 1e6:.1f} MB, {told.packs:,} packs, {told.traces:,} traces, "
        f"{told.leases:,} leases"
    )
    say("by age: " + ", ".join(f"{age} {size / 1e6:.1f} MB" for age, size in told.ages.items()))
    say(f"needed: {told.needed:,} blobs, by {stays.refs:,} branches and tags, this folder's lock, traces and leases")
    say(
        f"{'would remove' if dry_run else 'removed'} {told.removed:,} blobs, {told.removed_bytes / 1e6:.1f} MB, and "
        f"{told.removed_traces:,} traces; {told.doomed:,} blobs are marked for later"
    )


@click.command()
@spritefile_option
@click.option("--store", is_flag=True, help="Remove the store as well: the next build runs everything.")
def clean(file: Path | None, store: bool) -> None:
    """Remove the assets that builds installed, unless they were edited by hand."""
    from spritebuild.files import machine_errors
    from spritebuild.install import Installer
    from spritebuild.project import held

    with held(find(file), PlainStatus()) as project, machine_errors():
        idle.forget(project.root)
        installer = Installer(project.root, project.store, project.known.lock, project.known.files)
        locked = (path for entry in project.known.lock.values() for path in entry.installed())
        there = [path for path in {*installer.recorded, *locked} if (project.root / path).exists()]
        gone = [installer.remove(path) for path in sorted(there)]
        if store:
            project.store.close()
            for child in idle.state_folder(project.root).iterdir():  # the lock file stays: it is held
                if child.is_dir() and child.name != "replaced":
                    shutil.rmtree(child)
                elif child.name.startswith("traces.db"):
                    child.unlink()
    removed, left = gone.count(True), gone.count(False)
    say(f"removed {removed} asset{'s' * (removed != 1)}" + (f"; {left} edited by hand left" if left else ""))


@click.command()
@spritefile_option
@click.option("--probe/--no-probe", default=True, help="Load each model and probe its determinism.")
@click.option("--repair", is_flag=True, help="Set a damaged trace database aside and make a new one.")
@json_option
def doctor(file: Path | None, probe: bool, repair: bool, as_json: bool) -> None:
    """Report versions and the device, verify every blob of the store, and probe each model's determinism."""
    from spritebuild import __version__
    from spritebuild.doctor import examine_store, probe_models, repair_traces

    report: dict[str, Any] = {"spritebuild": __version__, "python": sys.version.split()[0]}
    for package in PACKAGES:
        try:
            report[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            report[package] = "absent"
    damaged: list[str] = []
    try:
        path = find(file)
    except SpritebuildError:
        path = None
    if path is not None:
        if repair:
            repair_traces(path)
        report["store"], damaged = examine_store(path)
        if probe and report["torch"] != "absent":
            report["models"] = probe_models(path)
    if as_json:
        click.echo(json.dumps(report, indent=1))
    else:
        for name, value in report.items():
            if isinstance(value, dict):
                click.echo(f"{name}")
                for key, inner in value.items():
                    click.echo(f"  {key:<14} {inner}")
            else:
                click.echo(f"{name:<16} {value}")
    if damaged:
        raise IntegrityError(
            f"{len(damaged)} damaged blob{'s' * (len(damaged) > 1)} set aside",
            facts=[("", name) for name in damaged[:10]],
            hint="spritebuild build makes them again",
        )
