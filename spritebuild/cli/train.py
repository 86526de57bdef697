"""`spritebuild train-lora` and `loras`."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from spritebuild.cli.options import expensive_option, find, json_option, spritefile_option
from spritebuild.errors import UsageError

SHORT = {"rank": int, "alpha": float, "steps": int, "epochs": int, "batch": int, "learning-rate": float, "seed": int}


def _with_short(command: Any) -> Any:
    for name, kind in reversed(SHORT.items()):
        command = click.option(f"--{name}", type=kind, help=f"The param {name.replace('-', '_')}.")(command)
    return command


@click.command("train-lora")
@click.argument("name", required=False)
@spritefile_option
@click.option("--model", help="Without NAME: a built-in model, or a folder in the diffusers layout.")
@click.option("--dataset", type=click.Path(path_type=Path), help="Without NAME: a folder of PNGs with .txt captions.")
@click.option("--out", type=click.Path(path_type=Path), help="A folder for the LoRA, its card, log and samples.")
@click.option("--trigger", "triggers", multiple=True, help="A word that every caption gets; may be repeated.")
@_with_short
@click.option("--param", "params", multiple=True, metavar="KEY=VALUE", help="A param of train-lora, as TOML.")
@click.option("--data", "data", multiple=True, metavar="KEY=VALUE", help="A param of dataset, as TOML.")
@click.option("--rebuild", is_flag=True, help="Train again, whatever is known.")
@expensive_option
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors.")
@json_option
def train_lora(
    name: str | None,
    file: Path | None,
    model: str | None,
    dataset: Path | None,
    out: Path | None,
    triggers: tuple[str, ...],
    params: tuple[str, ...],
    data: tuple[str, ...],
    rebuild: bool,
    yes_expensive: bool,
    quiet: bool,
    as_json: bool,
    **short: Any,
) -> None:
    """Train the LoRA NAME of the spritefile; or, without NAME, one for --model on --dataset into --out.

    A training that was killed goes on where it was when the command is repeated, and ends in the same bytes.
    """
    from spritebuild.build import Request
    from spritebuild.cli.progress import status_for
    from spritebuild.run import Options
    from spritebuild.train import Alone, alone, declared

    said = {key: value for key, value in short.items() if value is not None}
    threads = int(os.environ.get("SPRITEBUILD_THREADS", "1"))
    with status_for(quiet=quiet, as_json=as_json) as status:
        if name is not None:
            if said or model or dataset or triggers or params or data:
                raise UsageError(
                    f"loras.{name} is declared: its params are in the spritefile",
                    hint="edit the spritefile; or leave NAME out, and say --model, --dataset and --out",
                )
            target = name.removeprefix("loras.")
            options = Options(1, threads=threads)
            request = Request((f"loras.{target}",), rebuild, options=options, expensive=yes_expensive)
            summary = declared(find(file), target, request, status, out)
        else:
            if model is None or dataset is None or out is None:
                raise UsageError(
                    "train what?", hint="spritebuild train-lora NAME, or --model MODEL --dataset FOLDER --out FOLDER"
                )
            told = {**said, **_table(params, "--param")}
            if "steps" not in told and "epochs" not in told:
                raise UsageError("how long?", hint="say --steps or --epochs")
            described = {**({"triggers": list(triggers)} if triggers else {}), **_table(data, "--data")}
            summary = alone(Alone(model, dataset, out, described, told), threads, status)
    files = summary.pop("files")
    if as_json:
        click.echo(json.dumps({"files": files, **summary}))
    else:
        click.echo(files["lora.safetensors"])


def _table(settings: Iterable[str], option: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        try:
            if not equals:
                raise ValueError
            found |= tomllib.loads(f"{key} = {value}")
        except (ValueError, tomllib.TOMLDecodeError):
            raise UsageError(
                f"{option} {setting}: not KEY=VALUE in TOML",
                hint=f"{option} 'dora=true', {option} 'schedule=\"cosine\"'",
            ) from None
    return found


@click.group()
def loras() -> None:
    """List and show LoRAs."""


@loras.command("list")
@spritefile_option
@json_option
def list_loras(file: Path | None, as_json: bool) -> None:
    """Every LoRA of the spritefile, where it is from, and whether it is here."""
    from spritebuild.project import opened
    from spritebuild.train import cards

    with opened(find(file)) as project:
        found = cards(project)
    if as_json:
        click.echo(json.dumps(found))
        return
    for name, card in found.items():
        where = card.get("source") or (
            f"trained on {card['dataset']['size']} pictures" if "steps" in card else "not trained yet"
        )
        words = ", ".join(card.get("trigger_words", ()))
        click.echo("  ".join(part for part in (name, where, words and f"triggers: {words}") if part))


@loras.command("show")
@click.argument("name")
@spritefile_option
def show_lora(name: str, file: Path | None) -> None:
    """The card of one LoRA, as JSON."""
    from spritebuild.project import opened
    from spritebuild.spritefile.mistakes import alternatives
    from spritebuild.train import cards

    with opened(find(file)) as project:
        found = cards(project)
    if name not in found:
        raise UsageError(f"no lora is called {name!r}", hint=alternatives(name, found, "loras"))
    click.echo(json.dumps(found[name], indent=2, sort_keys=True))
