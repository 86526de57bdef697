"""`spritebuild lock` and `fetch`: the pins of models and LoRAs."""

from __future__ import annotations

import fnmatch
from pathlib import Path

import click

from spritebuild.cli.options import find, spritefile_option
from spritebuild.cli.progress import PlainStatus, say
from spritebuild.errors import UsageError
from spritebuild.spritefile import load
from spritebuild.spritefile.mistakes import alternatives


@click.command()
@spritefile_option
@click.option("-u", "--update", multiple=True, metavar="NAME", help="Pin NAME (models.mini, or a glob) as it is now.")
@click.option("--check", is_flag=True, help="Change nothing; exit code 3 unless pins and lock are true.")
def lock(file: Path | None, update: tuple[str, ...], check: bool) -> None:
    """Pin every model and LoRA that is not pinned yet: lockfiles/models/NAME.dvc."""
    from spritebuild.build import require_locked
    from spritebuild.project import declarations, held, opened

    path = find(file)
    if check:
        with opened(path, locked=True) as project:
            require_locked(project)
        say("the lock is true")
        return
    wanted = declarations(load(path))
    chosen = {name for pattern in update for name in fnmatch.filter(wanted, pattern)}
    for pattern in update:
        if not fnmatch.filter(wanted, pattern):
            raise UsageError(f"nothing is called {pattern!r}", hint=alternatives(pattern, wanted, "pins"))
    with held(path, PlainStatus()) as project:
        for name, declaration in wanted.items():
            old = project.pins[name]
            new = project.remote.pin(name, declaration) if name in chosen else old
            change = f"  was {old.digest[:12]}" if old.digest != new.digest else "  unchanged" if name in chosen else ""
            say(f"{name}  {new.digest[:12]}  {new.size / 1e6:.1f} MB, licence {new.licence or 'unknown'}{change}")


@click.command()
@click.argument("names", nargs=-1)
@spritefile_option
def fetch(names: tuple[str, ...], file: Path | None) -> None:
    """Bring the pinned models and LoRAs here (all, or NAMES such as models.mini) and verify every byte."""
    from spritebuild.project import declarations, held

    path = find(file)
    wanted = declarations(load(path))
    for name in names:
        if name not in wanted:
            raise UsageError(f"nothing is called {name!r}", hint=alternatives(name, wanted, "pins"))
    with held(path, PlainStatus(), locked=True) as project:
        for name in names or wanted:
            place = project.remote.fetch(project.pins[name], wanted[name])
            say(f"{name}  {project.pins[name].digest[:12]}  verified in {place}")
