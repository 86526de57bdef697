"""Options that commands share, and where the spritefile is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from spritebuild.errors import UsageError

NAME = "spritefile.toml"
F = TypeVar("F", bound=Callable[..., Any])


def spritefile_option(command: F) -> F:
    """`--file PATH`: the spritefile; otherwise the nearest one upward from here."""
    return click.option(
        "-f",
        "--file",
        "file",
        type=click.Path(path_type=Path),
        help="The spritefile; the nearest spritefile.toml upward from here unless given.",
    )(command)


def json_option(command: F) -> F:
    """`--json`: data for programs on stdout."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")(command)


def expensive_option(command: F) -> F:
    """`--yes-expensive`: whatever the budget says."""
    return click.option("--yes-expensive", is_flag=True, help="Build although it will cost more than [budget] allows.")(
        command
    )


def quality_option(command: F) -> F:
    """`--quality Q`: all sprites in that quality, whatever is declared."""
    return click.option(
        "--quality",
        type=click.Choice(["draft", "standard", "high"]),
        help="All sprites in this quality, apart from the project's own assets, in .spritebuild/quality.",
    )(command)


def find(file: Path | None) -> Path:
    """The spritefile meant by `--file`, or the nearest one upward from the current folder."""
    if file is not None:
        if file.is_dir():
            file = file / NAME
        if not file.is_file():
            raise UsageError("no such spritefile", where=str(file), hint="write one: spritebuild init")
        return file
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / NAME).is_file():
            return folder / NAME
    raise UsageError(f"no {NAME} here or in a folder above", hint="write one: spritebuild init")
