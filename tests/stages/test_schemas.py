"""The interface of every built-in stage, against a snapshot: a default changes no key unless its version is bumped."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from spritebuild.stage import Stages

SNAPSHOT = Path(__file__).with_name("schemas.json")
HINT = (
    "a stage's interface changed. If equal params may now give other bytes (a default counts, for it stays out of the "
    "key), bump the stage's `version`. Then: python tests/stages/test_schemas.py"
)


def interfaces() -> dict[str, Any]:
    """Version, device and schemas of every built-in stage by kind; descriptions left out."""
    stages = Stages()
    return {kind: _interface(stages, kind) for kind in stages.kinds()}


def _interface(stages: Stages, kind: str) -> dict[str, Any]:
    stage = stages[kind]
    schemas = {part: _bare(getattr(stage, part).model_json_schema()) for part in ("Params", "Inputs", "Outputs")}
    return {"version": stage.version, "device": stage.device, **schemas}


def _bare(schema: Any, names: bool = False) -> Any:
    """A schema without what says nothing to a machine; `names` where the keys are names of fields."""
    if isinstance(schema, dict):
        kept = {key: value for key, value in schema.items() if names or key not in ("description", "title")}
        return {key: _bare(value, key in ("properties", "$defs") and not names) for key, value in kept.items()}
    return [_bare(value) for value in schema] if isinstance(schema, list) else schema


def text() -> str:
    return json.dumps(interfaces(), indent=1, sort_keys=True) + "\n"


def test_every_stage_is_as_in_the_snapshot() -> None:
    assert json.loads(text()) == json.loads(SNAPSHOT.read_text("utf-8")), HINT


@pytest.mark.parametrize("kind", Stages().kinds())
def test_changed_default_needs_another_version(kind: str) -> None:
    snapshot, now = json.loads(SNAPSHOT.read_text("utf-8"))[kind], interfaces()[kind]
    before, after = dict(defaults(snapshot["Params"])), dict(defaults(now["Params"]))
    changed = sorted(path for path in before.keys() & after.keys() if before[path] != after[path])
    assert not changed or now["version"] > snapshot["version"], f"{changed}: bump {kind}'s version"


def defaults(schema: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every default of a schema, as JSON, by its path."""
    for key, value in schema.items():
        if key == "default":
            yield path, json.dumps(value, sort_keys=True)
        elif isinstance(value, dict):
            yield from defaults(value, f"{path}/{key}")


def test_the_built_in_stages_are_these() -> None:
    pictures = [
        "art-check",
        "export",
        "finish",
        "generate",
        "matte",
        "palette",
        "rank",
        "sheet",
        "unpack-checkpoint",
        "upscale",
    ]
    trainings = ["caption", "dataset", "evaluate", "lora-card"]
    trainings += ["train-classifier", "train-diffusion", "train-lora", "train-vae"]
    assert Stages().kinds() == sorted(pictures + trainings)


@pytest.mark.parametrize("kind", Stages().kinds())
def test_every_param_is_described_for_editors(kind: str) -> None:
    schema = Stages()[kind].Params.model_json_schema()
    assert [name for name, field in schema["properties"].items() if not field.get("description")] == []


if __name__ == "__main__":
    SNAPSHOT.write_text(text(), "utf-8")
