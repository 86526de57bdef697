"""The JSON schema of a spritefile with the built-in stages' own params in it, for editors."""

from __future__ import annotations

import json
from typing import Any

from spritebuild.resolution.assemblies import ART_CHECK, EXPORT, SHEET
from spritebuild.resolution.resolve import GENERATE, SHARED
from spritebuild.resolution.styles import FINISH
from spritebuild.resolution.trainings import DATASET, EVALUATE, TRAIN_CLASSIFIER, TRAIN_DIFFUSION, TRAIN_LORA, TRAIN_VAE
from spritebuild.spritefile import TomlSchema, json_schema
from spritebuild.stage import Stages

# Whose `train` is the params of a stage.
TRAINED = {"Vae": TRAIN_VAE, "Classifier": TRAIN_CLASSIFIER, "Model": TRAIN_DIFFUSION, "Lora": TRAIN_LORA}
# Whose other keys are the params of a stage, less those that are said in another way.
OPEN = {
    "Dataset": (DATASET, {"include", "exclude"}),
    "Evaluation": (EVALUATE, {"names", "labels", "colors"}),
    "Sheet": (SHEET, {"names", "name", "mark"}),
}


def full_schema() -> dict[str, Any]:
    """JSON schema, draft 2020-12. Finishing ops and schedulers are those of the built-in stages."""
    schema = json_schema()
    stages = Stages()
    finish = stages[FINISH].Params.model_json_schema(ref_template="#/$defs/{model}")
    generate = stages[GENERATE].Params.model_json_schema()
    definitions = schema["$defs"]
    definitions |= finish["$defs"]
    own = {
        "type": "object",
        "properties": {"stage": {"type": "string", "description": "The kind of a stage of your own."}},
        "required": ["stage"],
    }
    for op in finish["properties"]["ops"]["items"]["oneOf"]:
        known = definitions[op["$ref"].rpartition("/")[2]]["properties"]
        known |= {key: _or_slot(value) for key, value in known.items() if key != "op"}
    entry = {"anyOf": [*finish["properties"]["ops"]["items"]["oneOf"], own]}
    for look in ("Style", "Sprite"):
        properties = definitions[look]["properties"]
        properties["finish"]["items"] = entry
        properties["scheduler"]["enum"] = generate["properties"]["scheduler"]["enum"]
        for name in SHARED:
            default = json.dumps(generate["properties"][name]["default"])
            properties[name]["description"] += f" Unless said: {default}."
    definitions["Tier"]["properties"]["scheduler"]["enum"] = generate["properties"]["scheduler"]["enum"]
    for table, kind in TRAINED.items():
        definitions[table]["properties"]["train"] |= _params(stages, kind, definitions)
    for table, (kind, otherwise) in OPEN.items():
        known = _params(stages, kind, definitions)["properties"]
        params = {key: value for key, value in known.items() if key not in otherwise}
        definitions[table]["properties"] |= params
        definitions[table]["additionalProperties"] = False
    for look in ("Style", "Sprite"):
        limits = _params(stages, ART_CHECK, definitions)["properties"]["limits"]
        references = {"type": "array", "items": {"type": "string"}, "description": "Globs of pictures of the style."}
        known = definitions[limits["$ref"].rpartition("/")[2]]["properties"]
        definitions[look]["properties"]["art"]["properties"] = {"references": references, **known}
    _exports(stages, definitions)
    return schema


def _or_slot(value: dict[str, Any]) -> dict[str, Any]:
    """The schema of a choice of texts, which a word of the sprite's matrix may make: `{anchor}`."""
    if not any(isinstance(choice, str) for choice in value.get("enum", ())):
        return value
    rest = {key: said for key, said in value.items() if key not in ("enum", "type")}
    return {"anyOf": [{"enum": value["enum"]}, {"type": "string", "pattern": r"\{.+\}"}], **rest}


def _exports(stages: Stages, definitions: dict[str, Any]) -> None:
    """An export is one of its kinds, each with options of its own."""
    own = definitions["Export"]["properties"]
    options = _params(stages, EXPORT, definitions)["properties"]["options"]
    kinds = {}
    for kind, ref in sorted(options["discriminator"]["mapping"].items()):
        known = definitions[ref.rpartition("/")[2]]
        kinds[kind] = {
            "type": "object",
            "title": f"Export of {kind}",
            "description": known.get("description", "").partition("\n\n")[0],
            "properties": {**own, **known["properties"]},
            "required": definitions["Export"]["required"],
            "additionalProperties": False,
        }
    definitions["Export"] |= {
        "anyOf": list(kinds.values()),
        "properties": {**own, "kind": {**own["kind"], "enum": list(kinds)}},
    }


def _params(stages: Stages, kind: str, definitions: dict[str, Any]) -> dict[str, Any]:
    """The schema of a stage's params; what it refers to goes into the definitions."""
    schema = stages[kind].Params.model_json_schema(ref_template="#/$defs/{model}", schema_generator=TomlSchema)
    definitions |= schema.pop("$defs", {})
    return {key: schema[key] for key in ("type", "properties", "additionalProperties")}
