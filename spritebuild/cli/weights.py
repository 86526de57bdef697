"""`spritebuild lock` and `fetch`: the pins of models and LoRAs."""

from __future__ import annotations

import fnmatch
from pathlib import Path

import click

from spritebuild.cli.options import find, spritefile_option
from spritebuild.cli.progress import PlainStatus, say
from spritebuild.errors import LockError, UsageError
from spritebuild.mistakes import alternatives


@click.command()
@spritefile_option
@click.option("-u", "--update", multiple=True, metavar="NAME", help="Pin NAME (models.mini, or a glob) as it is now.")
@click.option("--check", is_flag=True, help="Change nothing; exit code 3 unless pins and lock are true.")
def lock(file: Path | None, update: tuple[str, ...], check: bool) -> None:
    """Pin every model and LoRA that is not pinned yet: lockfiles/models/NAME.dvc."""
    from spritebuild.build import require_locked
    from spritebuild.project import alone, opened, pinning

    path = find(file)
    if check:
        with opened(path, locked=True) as project:
            require_locked(project)
        say("the lock is true")
        return
    with alone(path.absolute().parent.resolve(), PlainStatus()), pinning(path) as (remote, declarations):
        pinned = remote.read(declarations)
        chosen = {name for pattern in update for name in fnmatch.filter(declarations, pattern)}
        for pattern in update:
            if not fnmatch.filter(declarations, pattern):
                raise UsageError(f"nothing is called {pattern!r}", hint=alternatives(pattern, declarations, "pins"))
        for name, declaration in declarations.items():
            old = pinned.get(name)
            if old is not None and name not in chosen:
                say(f"{name}  {old.digest[:12]}  kept")
                continue
            new = remote.pin(name, declaration)
            change = "pinned" if old is None else "unchanged" if old.digest == new.digest else f"was {old.digest[:12]}"
            say(f"{name}  {new.digest[:12]}  {new.size / 1e6:.1f} MB, licence {new.licence or 'unknown'}  {change}")


@click.command()
@click.argument("names", nargs=-1)
@spritefile_option
def fetch(names: tuple[str, ...], file: Path | None) -> None:
    """Bring the pinned models and LoRAs here (all, or NAMES such as models.mini) and verify every byte."""
    from spritebuild.project import alone, pinning

    path = find(file)
    with alone(path.absolute().parent.resolve(), PlainStatus()), pinning(path) as (remote, declarations):
        pinned = remote.read(declarations)
        for name in names or declarations:
            if name not in declarations:
                raise UsageError(f"nothing is called {name!r}", hint=alternatives(name, declarations, "pins"))
            if name not in pinned:
                raise LockError(f"{name} is not pinned", hint="spritebuild lock")
            place = remote.fetch(pinned[name], declarations[name])
            say(f"{name}  {pinned[name].digest[:12]}  verified in {place}")
