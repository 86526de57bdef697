"""The command line: parse, call, print, exit code. Commands are loaded when they are named."""

from __future__ import annotations

import errno
import gc
import importlib
import os
import re
import signal
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from spritebuild import __version__, standby
from spritebuild.errors import Interrupted, MachineError, SpritebuildError, printable

COMMANDS = {
    "init": ("start", "Write a small working spritefile."),
    "build": ("build", "Build what is stale, and install it."),
    "watch": ("watch", "Build again on every save, and show what comes of it in the browser."),
    "check": ("check", "Compare assets with their approved baselines and declared limits."),
    "review": ("review", "Look at what changed, in the browser, and approve it."),
    "approve": ("approve", "Make what was looked at the baseline."),
    "pick": ("pick", "Choose one of a sprite's candidates."),
    "verify": ("verify", "Run actions again and compare: is every stage reproducible?"),
    "diff": ("diff", "Say how assets differ from those of another revision."),
    "train-lora": ("train", "Train one LoRA, of the spritefile or of a folder of pictures."),
    "loras": ("train", "List and show LoRAs."),
    "plan": ("inspect", "Say what a build would do, and why."),
    "why": ("inspect", "Say how a target is made, and why it would be made again."),
    "graph": ("inspect", "Print the graph of actions."),
    "licenses": ("provenance", "List the licences that assets are under, and why."),
    "licences": ("provenance", ""),  # as it is spelled elsewhere; not in the help twice
    "provenance": ("provenance", "Say what assets were made from: SLSA provenance, or a CycloneDX ML-BOM."),
    "lock": ("weights", "Pin models and LoRAs."),
    "fetch": ("weights", "Bring pinned models and LoRAs here, and verify them."),
    "models": ("models", "List, show, verify and update pinned models, LoRAs and datasets."),
    "push": ("share", "Put what was built into the shared store."),
    "pull": ("share", "Bring what the shared store has here."),
    "store-key": ("share", "Make a pair of keys that traces are signed with."),
    "bench": ("measure", "Measure the sprites per second of the project's models on this machine."),
    "stats": ("measure", "Say what the store holds, what it saves, and what took how long."),
    "gc": ("care", "Remove from the store what nothing needs."),
    "clean": ("care", "Remove the installed assets."),
    "doctor": ("care", "Examine the device, the versions, the store and the determinism of models."),
    "schema": ("start", "Print the JSON schema of the spritefile, for editors."),
}


COMMAND = re.compile(r"^(\s*)::", re.MULTILINE)  # how GitHub's runner is told something
GARBAGE = 100_000  # objects made before cycles are looked for


class Commands(click.Group):
    """A group whose help needs none of its commands loaded."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for name, (_, text) in COMMANDS.items() if text]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"spritebuild.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items() if text])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            import difflib

            near = difflib.get_close_matches(args[0], COMMANDS, 1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            ctx.fail(f"No such command {args[0]!r}.{hint}")
        return super().resolve_command(ctx, args)


class Terminated(KeyboardInterrupt):
    """SIGTERM: wherever it comes, as Ctrl-C, but for the exit code, which is what supervisors expect."""


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="spritebuild")
def cli() -> None:
    """make for sprites: declare sprites in spritefile.toml, build what is stale, commit the lock."""


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run the command line; where somebody builds at a terminal, a process that stands by for the next is left."""
    arguments = list(sys.argv[1:] if args is None else args)
    code = run(arguments)
    if "spritebuild.build" in sys.modules:
        standby.start(arguments)
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run a command; every error ends as text on stderr and as the exit code."""
    signal.signal(signal.SIGTERM, _terminate)
    gc.set_threshold(GARBAGE, 50, 50)  # by default a quarter of a large project's loading is looking for garbage
    try:
        ended = cli.main(list(arguments), prog_name="spritebuild", standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()  # while what goes wrong can still be told
        code = ended if isinstance(ended, int) else 0  # click returns what Exit was raised with
    except click.exceptions.Exit as error:
        code = error.exit_code
    except click.ClickException as error:
        error.show()
        code = 2
    except (KeyboardInterrupt, click.Abort) as stop:  # click makes its own of the first
        _hear(signal.SIG_IGN)
        terminated = Terminated in (type(stop), type(stop.__cause__))
        what = "terminated" if terminated else "interrupted"
        code = report(Interrupted(f"{what}; everything finished so far is stored"), arguments)
        code = 143 if terminated else code
        _hear(_leave)
    except SpritebuildError as error:
        code = report(error, arguments)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the reader has gone: nothing is left to say to it
        code = 0
    except OSError as error:
        if error.filename is not None and error.errno in (errno.EIO, errno.EACCES, errno.EPERM):
            from spritebuild.files import of_os_error

            return report(of_os_error(error), arguments)
        if error.filename is not None or error.errno not in (errno.ENOSPC, errno.EIO, errno.EBADF):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is left to say has no place
        code = report(MachineError(f"stdout cannot be written to: {error.strerror}"), arguments)
    return code


def report(error: SpritebuildError, arguments: Sequence[str] = ()) -> int:
    """Print an error where the user looks for it; returns its exit code."""
    if "--json" in arguments:
        from spritebuild.cli.progress import emit

        emit(event="error", message=error.message, where=error.where, facts=dict(error.facts), hint=error.hint)
    click.echo(f"{click.style('error:', fg='red', bold=True)} {harmless(str(error))}", err=True, color=_color())
    for note in getattr(error, "__notes__", ()):
        click.echo(note, err=True)
    return error.exit_code


def harmless(text: str) -> str:
    """Text for a terminal or a log: no control characters but line ends, no line that is a command to GitHub."""
    return COMMAND.sub(r"\1: :", printable(text, keep="\n\t"))


def _color() -> bool | None:
    return False if os.environ.get("NO_COLOR") else None


def _terminate(signum: int, frame: Any) -> NoReturn:
    raise Terminated


def _hear(handler: Any) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handler)


def _leave(signum: int, frame: Any) -> NoReturn:
    os._exit(128 + signum)  # who asks twice does not wait for threads that end by themselves
