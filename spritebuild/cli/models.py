"""`spritebuild models`: what is pinned, what is known of it, and whether it is here and true."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from spritebuild import digest
from spritebuild.cli.options import find, json_option, spritefile_option
from spritebuild.cli.progress import PlainStatus
from spritebuild.cli.weights import chosen, repin
from spritebuild.errors import IntegrityError, SpritebuildError, UsageError
from spritebuild.pinned import catalogue, families, pins
from spritebuild.spritefile import load
from spritebuild.spritefile.mistakes import alternatives

if TYPE_CHECKING:
    from spritebuild.pinned.pins import Pin
    from spritebuild.pinned.remote import Declaration
    from spritebuild.project import Project

UNKNOWN = "unknown"
FACTS = ("kind", "source", "family", "native", "parameters_m", "size_mb", "licence", "triggers", "note")


@click.group()
def models() -> None:
    """List, show, verify and update pinned models, LoRAs and datasets."""


@models.command("list")
@spritefile_option
@click.option("--known", is_flag=True, help="List the catalogue instead: models that are known by name.")
@click.option("--kind", metavar="KIND", help="With --known: only image, lora, control, motion or llm.")
@json_option
def list_(file: Path | None, known: bool, kind: str | None, as_json: bool) -> None:
    """List what the spritefile declares, with pins, or the catalogue."""
    if known or kind is not None:
        _list_known(kind, as_json)
        return
    from spritebuild.project import opened

    with opened(find(file)) as project:
        rows = [_row(project, name, declared) for name, declared in project.declarations().items()]
    if as_json:
        click.echo(json.dumps(rows, indent=1))
        return
    width = max((len(row["name"]) for row in rows), default=0)
    for row in rows:
        said = [
            f"{row['sha256'][:12]}  {row['size'] / 1e6:.1f} MB" if row["sha256"] else "not pinned",
            families.words(row["family"] or UNKNOWN),
            f"licence {row['licence'] or UNKNOWN}",
            "here" if row["here"] else "elsewhere",
            row["source"],
        ]
        click.echo(f"{row['name']:<{width}}  {'  '.join(said)}")


@models.command()
@click.argument("name")
@spritefile_option
@json_option
def show(name: str, file: Path | None, as_json: bool) -> None:
    """Show the pin of NAME, such as models.mini, or what the catalogue knows of NAME, such as tiny-sd."""
    if (entry := catalogue.find(name, None)) is not None:
        _print({"name": name, **{key: entry.get(key, UNKNOWN) for key in FACTS}}, as_json)
        return
    from spritebuild.project import opened

    with opened(find(file)) as project:
        wanted = project.declarations()
        if name not in wanted:
            raise UsageError(
                f"nothing is called {name!r}", hint=alternatives(name, [*wanted, *catalogue.entries()], "pins")
            )
        row = _row(project, name, wanted[name])
        pin = project.pins[name]
        row["files"] = [{"path": path, "size": size, "sha256": sha256} for path, size, sha256 in pin.files]
        row["known"] = dict(catalogue.of(wanted[name]))
    _print(row, as_json)


@models.command()
@click.argument("names", nargs=-1)
@spritefile_option
@json_option
def verify(names: tuple[str, ...], file: Path | None, as_json: bool) -> None:
    """Hash every byte that is here again (of NAMES, or of all pins); exit code 4 unless it is what was pinned."""
    from spritebuild.project import opened

    rows: list[dict[str, str]] = []
    failures: list[SpritebuildError] = []
    with opened(find(file), locked=True) as project:
        for name in chosen(names or ("*",), project.declarations()):
            verdict, error = _verdict(project, project.pins[name])
            rows.append({"name": name, "verdict": verdict, "sha256": project.pins[name].digest})
            failures += [error] if error else []
    if as_json:
        click.echo(json.dumps(rows, indent=1))
    else:
        for row in rows:
            click.echo(f"{row['name']}  {row['sha256'][:12]}  {row['verdict']}")
    if failures:
        raise failures[0]


@models.command()
@click.argument("names", nargs=-1, required=True)
@spritefile_option
def update(names: tuple[str, ...], file: Path | None) -> None:
    """Pin NAMES (models.mini, or globs) as their sources are now: `lock --update` for each."""
    from spritebuild.project import declarations, held

    path = find(file)
    wanted = declarations(load(path))
    some = chosen(names, wanted)
    with held(path, PlainStatus()) as project:
        repin(project, {name: wanted[name] for name in some}, some)


def _verdict(project: Project, pin: Pin) -> tuple[str, SpritebuildError | None]:
    place = project.remote.place(pin)
    if not place.exists():
        return "not here", None
    try:
        pins.verify(pin, place, digest.Files({}))  # nothing that was remembered counts
    except SpritebuildError as error:
        return ("damaged" if isinstance(error, IntegrityError) else "refused"), error
    return "verified", None


def _row(project: Project, name: str, declared: Declaration) -> dict[str, Any]:
    from spritebuild.pinned.remote import source_of
    from spritebuild.resolution.fits import family

    pin = project.pins[name]
    known = catalogue.of(declared)
    pinned = bool(pin.files)
    return {
        "name": name,
        "source": source_of(declared),
        "revision": pin.revision,
        "sha256": pin.digest if pinned else None,
        "size": pin.size if pinned else None,
        "licence": declared.licence or pin.licence or known.get("licence"),
        "family": family(declared, pin)[0],
        "native": known.get("native"),
        "here": pinned and project.remote.place(pin).exists(),
    }


def _list_known(kind: str | None, as_json: bool) -> None:
    kinds = sorted({entry["kind"] for entry in catalogue.entries().values()})
    if kind is not None and kind not in kinds:
        raise UsageError(f"no kind {kind!r}", hint=f"kinds: {', '.join(kinds)}")
    some = {name: entry for name, entry in catalogue.entries().items() if kind in (None, entry["kind"])}
    if as_json:
        click.echo(json.dumps([{"name": name, **entry} for name, entry in some.items()], indent=1))
        return
    width = max(map(len, some))
    for name, entry in some.items():
        size = f"{entry['size_mb']} MB" if "size_mb" in entry else "size unknown"
        native = "x".join(map(str, entry["native"])) if "native" in entry else "native size unknown"
        said = [entry["kind"], entry.get("family", "family unknown"), native, size]
        said += [f"licence {entry.get('licence', UNKNOWN)}", entry.get("source", "source unknown")]
        click.echo(f"{name:<{width}}  {'  '.join(said)}")


def _print(row: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(row, indent=1))
        return
    width = max(map(len, row))
    for key, value in row.items():
        if key == "files":
            say_files = [f"{each['path']}  {each['size']} bytes  {each['sha256']}" for each in value]
            click.echo("\n".join([f"{key:<{width}}  {len(value)}", *(f"  {line}" for line in say_files)]))
        else:
            click.echo(f"{key:<{width}}  {_text(value)}")


def _text(value: Any) -> str:
    match value:
        case None | "":
            return UNKNOWN
        case bool():
            return "yes" if value else "no"
        case dict():
            return "; ".join(f"{key} {_text(each)}" for key, each in value.items()) or "nothing"
        case list():
            return " x ".join(map(str, value))
        case _:
            return str(value)
