"""What commands that serve a page have in common: the port, the address that is printed, and the browser."""

from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING

import click

from spritebuild.cli.progress import say
from spritebuild.errors import MachineError

if TYPE_CHECKING:
    from spritebuild.review.routes import Answers
    from spritebuild.review.server import Server


def opened_at(routes: Answers, port: int) -> Server:
    """A server on that port of this machine; on a free one for 0. Raises MachineError for one that is taken."""
    from spritebuild.review.server import Server

    try:
        return Server(routes, port)
    except OSError as error:
        hint = "leave --port away, and a free one is found"
        raise MachineError(f"port {port}: {error.strerror}", hint=hint) from error


def announce(server: Server, what: str, end: str, *, browser: bool) -> None:
    """Print the address and open it; another one for every Enter, as the first is good for one visit."""
    address = server.address()
    click.echo(address)
    sys.stdout.flush()
    asked = _is_at_terminal()
    enter = "; Enter prints another address" if asked else ""
    say(f"{what}{enter}; {end}")
    if browser and _has_display():
        import webbrowser

        threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
    if asked:
        threading.Thread(target=_addresses, args=(server,), daemon=True).start()


def _addresses(server: Server) -> None:
    for _ in sys.stdin:
        click.echo(server.address())
        sys.stdout.flush()


def _is_at_terminal() -> bool:
    """Whether somebody can press Enter: a job in the background that reads its terminal would be stopped."""
    try:
        return sys.stdin.isatty() and os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError, AttributeError):
        return False


def _has_display() -> bool:
    """Whether a browser has a window to open, and does not take over the terminal."""
    if sys.platform in ("darwin", "win32"):
        return "SSH_CONNECTION" not in os.environ
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
