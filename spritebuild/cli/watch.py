"""`spritebuild watch`: builds on every save, and a page that shows what came of it."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import click

from spritebuild.cli.options import find, json_option, spritefile_option
from spritebuild.errors import SpritebuildError
from spritebuild.status import Status

MOST_NAMED = 3  # files that one line names


@click.command()
@click.argument("targets", nargs=-1)
@spritefile_option
@click.option("-j", "--jobs", type=click.IntRange(1), default=os.cpu_count() or 1, help="Actions run side by side.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="The port to listen on; a free one unless given."
)
@click.option("--no-browser", is_flag=True, help="Print the address and open no browser.")
@click.option(
    "--poll", is_flag=True, help="Look at the files now and then, where the system gives no notices of saves."
)
@click.option("--offline", is_flag=True, help="Fetch nothing.")
@json_option
def watch(
    targets: tuple[str, ...],
    file: Path | None,
    jobs: int,
    port: int,
    no_browser: bool,
    poll: bool,
    offline: bool,
    as_json: bool,
) -> None:
    """Build TARGETS, such as sprites.potion-*, now and whenever something is saved; everything unless some are named.

    What the spritefile says and reads is watched: includes, palettes, pictures, weights and stages of the project. The
    page shows every sprite as it becomes; it is served on this machine alone, at an address that is good for one
    visit. Ctrl-C ends the watch.
    """
    from spritebuild.build import Request
    from spritebuild.cli.pages import announce, opened_at
    from spritebuild.cli.progress import emit
    from spritebuild.run import Options
    from spritebuild.watch.follow import Watch
    from spritebuild.watch.routes import Routes
    from spritebuild.watch.saves import Saves
    from spritebuild.watch.sheet import Sheet

    path = find(file)
    options = Options(jobs, keep_going=True, threads=int(os.environ.get("SPRITEBUILD_THREADS", "1")))
    sheet = Sheet()
    with opened_at(Routes(sheet), port) as server:
        if as_json:
            emit(event="watching", address=server.address())
        else:
            announce(server, f"watching {path.name}", "Ctrl-C ends the watch", browser=not no_browser)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            Watch(path, Request(targets, options=options, offline=offline), Terminal(as_json), sheet, Saves(poll)).run()
        finally:
            server.shutdown()


class Terminal:
    """Says on the terminal what a watch has to say."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json

    def building(self) -> AbstractContextManager[Status]:
        from spritebuild.cli.progress import status_for

        return status_for(quiet=False, as_json=self.as_json)

    def saved(self, paths: Sequence[str]) -> None:
        from spritebuild.cli import harmless
        from spritebuild.cli.progress import emit, say

        if self.as_json:
            emit(event="saved", paths=[*paths])
            return
        more = f" and {len(paths) - MOST_NAMED} more" if len(paths) > MOST_NAMED else ""
        say(f"saved: {harmless(', '.join(paths[:MOST_NAMED]))}{more}")

    def failed(self, error: SpritebuildError) -> None:
        from spritebuild.cli import report

        report(error, ["--json"] if self.as_json else ())

    def waiting(self) -> None:
        from spritebuild.cli.progress import emit

        if self.as_json:
            emit(event="waiting")

    def note(self, text: str) -> None:
        from spritebuild.cli.progress import emit, say

        if self.as_json:
            emit(event="message", text=text)
        else:
            say(text)
