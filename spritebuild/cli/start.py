"""`spritebuild init` and `schema`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from spritebuild.cli.options import NAME
from spritebuild.cli.progress import say
from spritebuild.errors import UsageError


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=".")
def init(folder: Path) -> None:
    """Write a small working spritefile into FOLDER (here unless given)."""
    from spritebuild.template import GITIGNORE, spritefile

    path = folder / NAME
    if path.exists():
        raise UsageError("there is one already", where=str(path), hint="edit it, or name another folder")
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(spritefile(folder.resolve().name), "utf-8")
    ignored = folder / ".gitignore"
    old = ignored.read_text("utf-8") if ignored.exists() else ""
    if GITIGNORE not in old.splitlines():
        ignored.write_text(old + ("\n" if old and not old.endswith("\n") else "") + GITIGNORE + "\n", "utf-8")
    say(f"wrote {path}; now: spritebuild build")


@click.command()
@click.option("--markdown", is_flag=True, help="The reference of every key, to read.")
def schema(markdown: bool) -> None:
    """Print the JSON schema of spritefile.toml. Editors that know TOML schemas complete and check with it."""
    from spritebuild.manual import reference
    from spritebuild.schema import full_schema

    click.echo(reference() if markdown else json.dumps(full_schema(), indent=1), nl=not markdown)
