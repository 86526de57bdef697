"""`spritebuild review`: what changed, on a page in the browser, and what people decide about it."""

from __future__ import annotations

import os
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from spritebuild.cli import Terminated
from spritebuild.cli.options import find, spritefile_option
from spritebuild.cli.pages import announce, opened_at
from spritebuild.cli.progress import say, status_for

if TYPE_CHECKING:
    from spritebuild.review.session import Session


@click.command()
@click.argument("patterns", nargs=-1)
@spritefile_option
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="The port to listen on; a free one unless given."
)
@click.option("--no-browser", is_flag=True, help="Print the address and open no browser.")
@click.option("--read-only", is_flag=True, help="Show everything and let nothing be decided.")
def review(patterns: tuple[str, ...], file: Path | None, port: int, no_browser: bool, read_only: bool) -> None:
    """Review assets in the browser: those that PATTERNS name, as paths, targets or globs of either; all for none.

    The page is served on this machine alone, at an address that is good for one visit. What is decided is kept in
    .spritebuild/review.json until it is saved into the lock. Ctrl-C ends the review.
    """
    from spritebuild.review.decisions import alone
    from spritebuild.review.routes import Routes
    from spritebuild.review.session import Session
    from spritebuild.run import Options

    path = find(file)
    with ExitStack() as stack:
        if not read_only:
            stack.enter_context(alone(path.absolute().parent.resolve()))
        options = Options(os.cpu_count() or 1, threads=int(os.environ.get("SPRITEBUILD_THREADS", "1")))
        with status_for(quiet=False, as_json=False) as status:
            session = Session(path, patterns, read_only, None if read_only else options, status)
        stack.callback(session.close)
        server = stack.enter_context(opened_at(Routes(session), port))
        count = len(session.snapshot.cases)
        assets = f"{count:,} asset{'s' * (count != 1)} to review"
        announce(server, assets, "Ctrl-C ends the review", browser=not no_browser)
        try:
            server.serve_forever()
        except Terminated:
            raise
        except KeyboardInterrupt:
            click.echo(err=True)
        finally:
            _farewell(session)


def _farewell(session: Session) -> None:
    """Say what is not saved, and where it is."""
    decided = Counter(mark.decision for mark in session.decisions.marks.values())
    unsaved, rejected = decided["approve"], decided["reject"]
    if session.read_only or not (unsaved or rejected):
        return
    place = os.path.relpath(session.decisions.path)
    told = []
    if unsaved:
        told.append(f"{unsaved:,} approval{'s are' if unsaved > 1 else ' is'} not saved")
    if rejected:
        told.append(f"{rejected:,} asset{'s are' if rejected > 1 else ' is'} rejected")
    say(f"{' and '.join(told)}: {place}")
    if unsaved:
        say(f"spritebuild approve --from {place} saves them, and the next review goes on from there")
