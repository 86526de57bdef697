"""`spritebuild push`, `pull` and `store-key`: the store that a team shares."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from spritebuild.cli.options import find, json_option, spritefile_option
from spritebuild.cli.progress import PlainStatus, emit, say
from spritebuild.errors import MachineError, UsageError

if TYPE_CHECKING:
    from spritebuild.project import Project
    from spritebuild.shared.store import Shared
    from spritebuild.shared.transport import Unreachable
    from spritebuild.spritefile import SharedStore


@click.command()
@click.argument("targets", nargs=-1)
@spritefile_option
@json_option
def push(targets: tuple[str, ...], file: Path | None, as_json: bool) -> None:
    """Put into the shared store what TARGETS (everything unless some are named) and all they are made of gave.

    Nothing is built, and nothing there is overwritten. Exit code 4 where this build may not write.
    """
    from spritebuild.files import machine_errors
    from spritebuild.plan import plan
    from spritebuild.plan import targets as chosen_by
    from spritebuild.project import held
    from spritebuild.shared.supply import require_writing, share
    from spritebuild.shared.transport import Unreachable

    started = time.monotonic()
    with held(find(file), PlainStatus()) as project, machine_errors():
        said = shared_of(project)
        require_writing(said)
        todo = plan(project.graph, project.known, chosen_by(project.graph, targets))
        try:
            shared = share(project, todo, said, PlainStatus())
        except Unreachable as why:
            raise unreachable(said, why) from None
    _tell("pushed", shared, started, as_json)


@click.command()
@click.argument("targets", nargs=-1)
@spritefile_option
@json_option
def pull(targets: tuple[str, ...], file: Path | None, as_json: bool) -> None:
    """Bring here what a build of TARGETS (everything unless some are named) would take from the shared store.

    Every byte is verified; exit code 4 where something there is wrong. Nothing is installed: the next build does that.
    """
    from spritebuild.files import machine_errors

    started = time.monotonic()
    path = find(file)
    if not targets and (shared := _pulled_quickly(path)):
        _tell("pulled", shared, started, as_json, to_run=0)
        shared.raise_faults()
        return

    from spritebuild.plan import plan
    from spritebuild.plan import targets as chosen_by
    from spritebuild.project import held
    from spritebuild.shared.supply import bring, opened
    from spritebuild.shared.transport import Unreachable

    with held(path, PlainStatus()) as project, machine_errors():
        said = shared_of(project)
        chosen = chosen_by(project.graph, targets)
        project.store.fresh_scratch()
        shared = opened(project, said)
        try:
            todo = bring(
                project,
                plan(project.graph, project.known, chosen),
                lambda: plan(project.graph, project.known, chosen),
                shared,
            )
            if todo.to_run() and not shared.count.asked:
                shared.place.folders("")  # whether it is there at all
        except Unreachable as why:
            raise unreachable(said, why) from None
        project.store.settle()
        left = len(todo.to_run())
    _tell("pulled", shared, started, as_json, to_run=left)
    if left and not as_json:
        say(f"{left} action{'s' * (left > 1)} that it does not have would still run")
        if said.traces == "signed" and not said.trusted:
            say("no trace was looked for, since [store] trusted names no key: spritebuild store-key makes one")
    shared.raise_faults()


@click.command("store-key")
@json_option
def store_key(as_json: bool) -> None:
    """Print a new private key, which belongs into the secret SPRITEBUILD_STORE_KEY, and its public key."""
    from spritebuild.shared.signed import new_key

    private, public = new_key()
    if as_json:
        emit(private=private, public=public)
        return
    click.echo(f"SPRITEBUILD_STORE_KEY={private}")
    say(f'to the spritefile:\n[store]\ntrusted = ["{public}"]')


def _pulled_quickly(path: Path) -> Shared | None:
    """What came without loading the project, where that was all; None where the whole pull has to look."""
    from spritebuild.files import machine_errors
    from spritebuild.shared import quick
    from spritebuild.shared.transport import Unreachable

    try:
        with machine_errors():
            return quick.pull(path, PlainStatus())
    except Unreachable:
        return None


def shared_of(project: Project) -> SharedStore:
    """The declared shared store. Raises UsageError."""
    from spritebuild.shared.supply import declared

    said = declared(project)
    if said is None:
        hint = 'say [store] and url = "..." in the spritefile, or set SPRITEBUILD_STORE'
        raise UsageError("this project has no shared store", hint=hint)
    return said


def unreachable(said: SharedStore, why: Unreachable) -> MachineError:
    """The error for a command that is for nothing without the store."""
    hint = "check the address, the network and the credentials; what was moved already stays"
    return MachineError(f"the shared store cannot be reached: {why}", where=said.url, hint=hint)


def _tell(verb: str, shared: Shared, started: float, as_json: bool, **more: Any) -> None:
    seconds = round(time.monotonic() - started, 3)
    if as_json:
        rate = round(shared.count.bytes / seconds) if seconds else None
        emit(event=verb, **shared.count.summary(), **more, seconds=seconds, bytes_per_second=rate)
    else:
        say(f"{verb} {shared.count.words()}, in {seconds:.1f} s")
