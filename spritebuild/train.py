"""`train-lora` for one LoRA of a project, and alone, in a pipeline that knows nothing of spritefiles."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from spritebuild import digest
from spritebuild.build import Request, build
from spritebuild.errors import UsageError
from spritebuild.files import machine_errors
from spritebuild.pinned.pins import of_path
from spritebuild.pinned.remote import shipped
from spritebuild.plan import plan, targets
from spritebuild.project import Project, opened
from spritebuild.resolution.trainings import DATASET, LORA_CARD, TRAIN_LORA
from spritebuild.spritefile.mistakes import stage_mistake
from spritebuild.stage import BoundAction, Context, Stage, Stages
from spritebuild.status import Status

STATE = ".spritebuild-training"  # beside what comes out, until it has


def declared(path: Path, name: str, request: Request, status: Status, out: Path | None) -> dict[str, Any]:
    """Build `loras.NAME` of a spritefile; with `out`, a folder gets copies of all that is here of it.

    In a clone that has the committed LoRA and trained nothing, that is the LoRA and its card.
    """
    summary = build(path, request, status)
    with opened(path) as project:
        target = f"loras.{name}"
        if f"{target}:{TRAIN_LORA}" not in project.graph.actions:
            raise UsageError(f"{target} is not trained here", where=str(path), hint='say dataset = "..."')
        decided = plan(project.graph, project.known, targets(project.graph, [target]))
        files: dict[str, Path] = {}
        for kind in (TRAIN_LORA, LORA_CARD):
            action = project.graph.actions[f"{target}:{kind}"]
            traced = project.store.outputs(decided.keys[action.id]) if action.id in decided.keys else None
            known = {**(traced or {}), **decided.outputs.get(action.id, {})}
            installed = dict(action.installs)
            for output, file in action.outputs:
                if output in known and project.store.has(known[output]):
                    files[file] = Path(project.store.checked(known[output]))
                elif output in installed:
                    files[file] = project.root / installed[output]
        if out is not None:
            with machine_errors():
                _deliver(files, out)
    return {**summary, "files": {file: str(out / file if out else place) for file, place in files.items()}}


def cards(project: Project) -> dict[str, dict[str, Any]]:
    """What is known of every LoRA of a project: the card of what was trained here, the pin of what was not."""
    found: dict[str, dict[str, Any]] = {}
    every = frozenset(id for id in project.graph.actions if id.startswith("loras."))
    decided = plan(project.graph, project.known, every)
    for name, lora in project.spritefile.loras.items():
        if lora.dataset is None:
            pin = project.pins[f"loras.{name}"]
            said = {"source": pin.source, "digest": pin.digest, "licences": [pin.licence] if pin.licence else []}
            found[name] = {"name": name, **said, "trigger_words": list(project.spritefile.triggers(name))}
            continue
        card = decided.outputs.get(f"loras.{name}:{LORA_CARD}", {}).get("card")
        words = list(project.spritefile.triggers(name))
        found[name] = {"name": name, "base_model": {"name": lora.model}, "trigger_words": words}
        if card is not None and project.store.has(card):
            found[name] = json.loads(Path(project.store.checked(card)).read_bytes())
        elif lora.save is not None and (beside := project.root / lora.save).with_suffix(".json").is_file():
            found[name] = json.loads(beside.with_suffix(".json").read_bytes())
    return found


@dataclass(frozen=True)
class Alone:
    """A training that no spritefile declares. `out` is the folder that gets what is made."""

    model: str
    dataset: Path
    out: Path
    data: Mapping[str, Any]
    train: Mapping[str, Any]


def alone(said: Alone, threads: int, status: Status) -> dict[str, Any]:
    """Make the dataset, train, and put the files into `out` together at the end. A killed run goes on when repeated."""
    stages = Stages()
    data = _params(stages[DATASET], said.data, "--data")
    train = _params(stages[TRAIN_LORA], said.train, "--param")
    card = _params(stages[LORA_CARD], {"name": said.out.name, "base": said.model}, "--out")
    model, pinned = _model(said.model)
    files = _files(said.dataset)
    about = {"model": pinned, "files": {name: digest.of_file(path) for name, path in files.items()}}
    about |= {"data": data, "train": train}
    work = said.out.absolute().parent / STATE / digest.of_value(about)[:16]
    context = Context(work / "memory", threads, status.message)

    def run(kind: str, params: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Path]:
        stage = stages[kind]
        folder = work / kind
        found = {name: folder / str(info.default) for name, info in stage.Outputs.model_fields.items()}
        if (folder / "done").exists() and kind != LORA_CARD:
            return found
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        action = BoundAction(
            stage.Params.model_validate(params),
            stage.Inputs.model_validate(inputs),
            stage.Outputs.model_validate(found),
            work / "kept",
            work / "watched",
        )
        for _, notes in stage.run_batch([action], context):
            for warning in (notes or {}).get("warnings", ()):
                status.warning(warning)
        (folder / "done").touch()
        return found

    with machine_errors(), _tidied(work):
        made = run(DATASET, data, {"files": files})
        trained = run(TRAIN_LORA, train, {"model": model, "images": made["images"], "manifest": made["manifest"]})
        carded = run(LORA_CARD, {**card, "base_digest": pinned}, {"lora": trained["lora"]})
        named = {path.name: path for path in (*trained.values(), *carded.values())}
        _deliver({**named, "dataset.png": made["report"], "dataset.json": made["summary"]}, said.out)
        shutil.rmtree(work)
    summary: dict[str, Any] = json.loads((said.out / trained["summary"].name).read_text(encoding="utf-8"))
    return {"steps": summary["steps"], "files": {path.name: str(path) for path in sorted(said.out.iterdir())}}


@contextlib.contextmanager
def _tidied(work: Path) -> Iterator[None]:
    """Remove the folder in which nothing is left to resume."""
    try:
        yield
    finally:
        if work.exists() and not (work / "kept").exists():
            shutil.rmtree(work)
        with contextlib.suppress(OSError):  # another training's is there
            work.parent.rmdir()


def _params(stage: Stage, said: Mapping[str, Any], option: str) -> dict[str, Any]:
    try:
        return stage.Params.model_validate(said).model_dump(mode="json", exclude_defaults=True)
    except ValidationError as error:
        known = list(stage.Params.model_fields)
        mistakes = [stage_mistake(one, one["loc"] or (option,), known) for one in error.errors()]
        first = mistakes[0]
        raise UsageError(
            f"{option}: {first.message}", facts=[("also", other.message) for other in mistakes[1:]], hint=first.hint
        ) from error


def _model(said: str) -> tuple[Path, str]:
    """The folder and digest of a model, given by the name of a built-in one or as a folder. Raises PolicyError."""
    folder = Path(said) if Path(said).is_dir() or os.sep in said else shipped(said)
    if not folder.is_dir():
        raise UsageError(
            "no such folder", where=said, hint="name a built-in model, or a folder in the diffusers layout"
        )
    return folder, of_path(folder, "model", said, None, digest.Files({})).digest


def _files(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise UsageError("no such folder", where=str(folder), hint="--dataset is a folder of pictures with captions")
    found = sorted(path for path in folder.rglob("*") if path.suffix in (".png", ".txt") and path.is_file())
    return {path.relative_to(folder).as_posix(): path for path in found}


def _deliver(files: Mapping[str, Path], out: Path) -> None:
    """Copy files into a folder, each whole or not at all."""
    out.mkdir(parents=True, exist_ok=True)
    for name, source in files.items():
        temporary = out / f".{name}.tmp"
        shutil.copyfile(source, temporary)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(out / name)
