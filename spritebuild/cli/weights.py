"""`spritebuild lock` and `fetch`: the pins of models, LoRAs and datasets."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from spritebuild.cli.options import find, spritefile_option
from spritebuild.cli.progress import PlainStatus, say
from spritebuild.errors import UsageError
from spritebuild.pinned import catalogue
from spritebuild.spritefile import load
from spritebuild.spritefile.mistakes import alternatives

if TYPE_CHECKING:
    from spritebuild.pinned.remote import Declaration
    from spritebuild.project import Project


def chosen(patterns: Sequence[str], wanted: Iterable[str]) -> list[str]:
    """The names that patterns mean, in the order of the spritefile; every one of them means something."""
    names = list(wanted)
    for pattern in patterns:
        if not fnmatch.filter(names, pattern):
            raise UsageError(f"nothing is called {pattern!r}", hint=alternatives(pattern, names, "pins"))
    return [name for name in names if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)]


def repin(project: Project, wanted: Mapping[str, Declaration], names: Sequence[str]) -> None:
    """Pin those names as they are now, and say of every pin what it is."""
    for name, declaration in wanted.items():
        old = project.pins[name]
        new = project.remote.pin(name, declaration) if name in names else old
        change = f"  was {old.digest[:12]}" if old.digest != new.digest else "  unchanged" if name in names else ""
        at = f" at {new.revision[:12]}" if new.revision else ""
        native = "x".join(map(str, catalogue.of(declaration).get("native", ())))
        said = f"licence {new.licence or 'unknown'}" + (f", made for pictures of {native}" if native else "")
        say(f"{name}  {new.digest[:12]}{at}  {new.size / 1e6:.1f} MB, {said}{change}")


@click.command()
@spritefile_option
@click.option("-u", "--update", multiple=True, metavar="NAME", help="Pin NAME (models.mini, or a glob) as it is now.")
@click.option("--check", is_flag=True, help="Change nothing; exit code 3 unless pins and lock are true.")
def lock(file: Path | None, update: tuple[str, ...], check: bool) -> None:
    """Pin every model, LoRA and dataset that is not pinned yet: lockfiles/models/NAME.dvc."""
    from spritebuild.build import require_locked
    from spritebuild.project import declarations, held, opened

    path = find(file)
    if check:
        with opened(path, locked=True) as project:
            require_locked(project)
        say("the lock is true")
        return
    wanted = declarations(load(path))
    names = chosen(update, wanted)
    with held(path, PlainStatus()) as project:
        repin(project, wanted, names)


@click.command()
@click.argument("names", nargs=-1)
@spritefile_option
@click.option("--all", "everything", is_flag=True, help="Fetch every pin, needed or not.")
def fetch(names: tuple[str, ...], file: Path | None, everything: bool) -> None:
    """Bring pinned models, LoRAs and datasets here and verify every byte: those that stale actions need, or NAMES."""
    from spritebuild.project import declarations, held

    path = find(file)
    wanted = declarations(load(path))
    named = list(wanted) if everything else chosen(names, wanted)
    with held(path, PlainStatus(), locked=True) as project:
        if not names and not everything:
            named = [name for name in wanted if name in _needed(project)]
            if not named:
                say("nothing that is stale needs a pin")
        for name in named:
            place = project.remote.fetch(project.pins[name], wanted[name])
            say(f"{name}  {project.pins[name].digest[:12]}  verified in {place}")


def _needed(project: Project) -> set[str]:
    """What the actions of a build would read: also those that wait for others to say whether they run."""
    from spritebuild import plan as planning

    decided = planning.plan(project.graph, project.known, planning.targets(project.graph, ()))
    running = [decision.action for decision in decided.decisions.values() if decision.verdict != "reuse"]
    return {source.name for id in running for _, source in project.graph.actions[id].sources()}
