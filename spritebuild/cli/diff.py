"""`spritebuild diff`: what became of the assets since a revision, or between two PNGs, as git asks for it."""

from __future__ import annotations

from pathlib import Path

import click

from spritebuild.cli.options import find, json_option, spritefile_option


@click.command()
@click.argument("revision", default="HEAD")
@click.argument("targets", nargs=-1)
@spritefile_option
@click.option("--exit-code", is_flag=True, help="Exit code 1 if anything differs.")
@click.option("--textconv", is_flag=True, help="REVISION is a PNG: print it as text, for a diff driver of git.")
@json_option
def diff(
    revision: str, targets: tuple[str, ...], file: Path | None, exit_code: bool, textconv: bool, as_json: bool
) -> None:
    """Say how TARGETS differ from those of REVISION; HEAD and everything unless said.

    To read changed sprites in `git diff` and `git log -p`: `*.png diff=sprite` in .gitattributes, and
    `git config diff.sprite.textconv "spritebuild diff --textconv"`.
    """
    if textconv:
        from spritebuild.check.drawing import drawing

        click.echo(drawing(Path(revision)), nl=False)
        return
    from spritebuild.check.reports import text_of
    from spritebuild.check.reports.terminal import terminal
    from spritebuild.compare import compare
    from spritebuild.project import opened

    with opened(find(file)) as project:
        checked = compare(project, targets, revision=revision).checked
    if as_json:
        click.echo(text_of(checked, "json"), nl=False)
    else:
        click.echo(terminal(checked), nl=False)
    if exit_code and any(case.kind != "same" for case in checked.cases):
        raise click.exceptions.Exit(1)
