"""`spritebuild licenses` and `provenance`: what assets come from, for people, for programs and for who gets them."""

from __future__ import annotations

import itertools
import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from spritebuild.cli.options import find, json_option, spritefile_option
from spritebuild.errors import UsageError

if TYPE_CHECKING:
    from spritebuild.licences import Component, Offence, Origins
    from spritebuild.project import Project

FOLDERS = 6  # that a line of the table names
OWN = "the project's own"


@click.command()
@spritefile_option
@click.option("-v", "--verbose", is_flag=True, help="List every asset.")
@json_option
def licenses(file: Path | None, verbose: bool, as_json: bool) -> None:
    """Say under which licences the assets are: those of the models, LoRAs and data that they come from.

    Exit code 4 if the spritefile's policy refuses one of them.
    """
    from spritebuild.cli import report
    from spritebuild.licences import offences, origins, refusal
    from spritebuild.project import opened

    with opened(find(file)) as project:
        flow = origins(project.spritefile, project.graph, project.pins)
        against = offences(project.spritefile, project.graph, flow)
        if as_json:
            click.echo(json.dumps(_data(project, flow, against), indent=1))
        else:
            click.echo("\n".join(_lines(project, flow, verbose)))
            _say_notes(flow)
    if against and as_json:
        sys.exit(report(refusal(project.spritefile, against)))  # on stderr alone: stdout has its one document
    if against:
        raise refusal(project.spritefile, against)


licences = licenses


def _lines(project: Project, flow: Origins, verbose: bool) -> Iterator[str]:
    from spritebuild.errors import printable

    folders = Counter(path.rpartition("/")[0] for path in flow.assets)
    rows: list[tuple[str, ...]] = [("licences", "number", "assets")]
    for names, paths in sorted(flow.by_licences().items(), key=lambda group: sorted(group[0])):
        said = ",\n".join(map(_said, sorted(names))).split("\n") if names else [OWN]
        shown = paths if verbose else list(_folded(paths, folders))
        rows += itertools.zip_longest(said, [str(len(paths))], map(printable, shown), fillvalue="")
    yield from _table(rows)
    if flow.components:
        yield ""
        rows = [("component", "licence", "source", "digest")]
        for component in flow.components.values():
            rows += _rows(component)
        yield from _table([tuple(printable(cell) for cell in row) for row in rows])


def _folded(paths: Sequence[str], folders: Counter[str]) -> Iterator[str]:
    """Assets by folder: a line each, but for those of many folders."""
    found: dict[str, list[str]] = {}
    for path in paths:
        found.setdefault(path.rpartition("/")[0], []).append(path)
    for number, (folder, some) in enumerate(found.items()):
        if number == FOLDERS and len(found) > FOLDERS + 1:
            rest = list(found.values())[FOLDERS:]
            yield f"{sum(map(len, rest))} in {len(rest)} more folders"
            return
        below = f"{folder}/*" if folder else "*"
        if len(some) == 1:
            yield some[0]
        elif len(some) == folders[folder]:
            yield f"{below}  ({len(some)})"
        else:
            yield f"{below}  ({len(some)} of {folders[folder]})"


def _rows(component: Component) -> Iterator[tuple[str, ...]]:
    own = [_said(component.licence)] if component.licence else []
    inherited = [f"{_said(name)} (inherited)" for name in sorted(component.licences - {component.licence})]
    made = f"recipe {component.training.recipe[:12]}" if component.training is not None else "not pinned yet"
    said = [[component.name], [*own, *inherited], [component.source], [component.digest[:12] or made]]
    return itertools.zip_longest(*said, fillvalue="")


def _said(licence: str) -> str:
    from spritebuild.licences import UNKNOWN

    return "unknown" if licence == UNKNOWN else licence


def _table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Rows in columns; the first is the head."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for number, row in enumerate(rows):
        line = "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        yield click.style(line, bold=True) if number == 0 else line


def _say_notes(flow: Origins) -> None:
    """What wants doing, and what is to be known, on stderr."""
    from spritebuild.cli.progress import say
    from spritebuild.licences import UNKNOWN, remedy

    for component in flow.components.values():
        if component.licence == UNKNOWN:
            say(f"the licence of {component.name} is unknown", mark="warning:", color="yellow")
            say(f"  hint: {remedy(component)}")
    restricted = [component.name for component in flow.components.values() if component.restricted]
    if restricted:
        names = ", ".join(restricted)
        say(f"{names}: the licence limits what may be done with it, and with what derives from it", mark="note:")


def _data(project: Project, flow: Origins, against: Sequence[Offence]) -> dict[str, Any]:
    from spritebuild.licences import UNKNOWN, combined, remedy

    return {
        "assets": [
            {
                "licences": sorted(names),
                "expression": combined(names) if names else None,
                "assets": sorted(paths),
            }
            for names, paths in sorted(flow.by_licences().items(), key=lambda group: sorted(group[0]))
        ],
        "components": [
            {
                "name": component.name,
                "licence": component.licence or None,
                "licences": sorted(component.licences),
                "restricts_use": component.restricted,
                "source": component.source,
                "sha256": component.digest or None,
                "recipe": component.training.recipe if component.training is not None else None,
                "needs": sorted(component.needs),
                **({"remedy": remedy(component)} if component.licence == UNKNOWN else {}),
            }
            for component in flow.components.values()
        ],
        "offences": [
            {
                "component": offence.component.name,
                "licence": offence.component.licence,
                "rule": "deny" if offence.denied else "allow",
                "made": list(offence.made),
            }
            for offence in against
        ],
    }


@click.command()
@click.argument("targets", nargs=-1)
@spritefile_option
@click.option(
    "--format",
    "form",
    type=click.Choice(["slsa", "ml-bom"]),
    default="slsa",
    show_default=True,
    help="An in-toto statement with SLSA provenance, or a CycloneDX bill of materials.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Where to write it, instead of stdout.")
@click.option("--builder", help="The URI of who vouches for the build, such as that of a CI workflow.")
@click.option("--c2pa", "signed", is_flag=True, help="Write signed copies of generated PNGs into the folder -o.")
@click.option("--cert", type=click.Path(path_type=Path), help="With --c2pa: the signer's certificates (PEM chain).")
@click.option("--key", type=click.Path(path_type=Path), help="With --c2pa: the signer's private key (PEM).")
def provenance(
    targets: tuple[str, ...],
    file: Path | None,
    form: str,
    output: Path | None,
    builder: str | None,
    signed: bool,
    cert: Path | None,
    key: Path | None,
) -> None:
    """Say what the installed assets are, what they were made of, and by what.

    It follows from the repository alone, and gives no time but that of SOURCE_DATE_EPOCH.
    """
    from spritebuild.files import write_atomic
    from spritebuild.project import opened
    from spritebuild.provenance import mlbom, slsa
    from spritebuild.provenance.release import release, source_date

    if not signed and (cert or key):
        raise UsageError("--cert and --key are for --c2pa")
    with opened(find(file), locked=True) as project:
        released = release(project, targets)
        if signed:
            if cert is None or key is None or output is None:
                raise UsageError("--c2pa needs --cert FILE, --key FILE and -o FOLDER")
            _sign(released, cert, key, output)
            return
        when = source_date()
        document = slsa.statement(released, builder, when) if form == "slsa" else mlbom.bill(released, when)
        text = json.dumps(document, indent=1) + "\n"
        if output is None:
            click.echo(text, nl=False)
        else:
            write_atomic(output.absolute(), text.encode())


def _sign(released: Any, cert: Path, key: Path, folder: Path) -> None:
    from spritebuild.cli.progress import say
    from spritebuild.provenance import c2pa

    copies = c2pa.sign(released, cert, key, folder)
    say(f"{len(copies)} signed {'copies' if len(copies) > 1 else 'copy'} in {folder}")
