"""The spritefile's reference in Markdown, made from its schema."""

from __future__ import annotations

import json
from typing import Any

from spritebuild.schema import TRAINED, full_schema


def reference() -> str:
    """The text of docs/spritefile.md."""
    schema = full_schema()
    definitions = schema["$defs"]
    parts = [_INTRODUCTION]
    for table, title in _TABLES.items():
        definition = definitions[title]
        heading = _HEADINGS.get(table, f"[{table}.NAME]")
        parts.append(f"## `{heading}`\n\n{definition['description']}\n\n{_keys(definition, definitions)}")
        if title in TRAINED:
            params = definition["properties"]["train"]
            parts.append(f"### `[{table}.NAME.train]`\n\n{params['description']}\n\n{_keys(params, definitions)}")
        for kind in definition.get("anyOf", []):
            keys = {name: value for name, value in kind["properties"].items() if name not in definition["properties"]}
            rows = _keys({**kind, "properties": keys}, definitions)
            parts.append(f'### `kind = "{kind["properties"]["kind"]["const"]}"`\n\n{kind["description"]}\n\n{rows}')
    parts.append(
        '## Finishing ops\n\nEntries of `finish`, applied in order. An entry `{ stage = "..." }` runs a stage of '
        "your own instead, with its own keys."
    )
    for op in schema["$defs"]["Style"]["properties"]["finish"]["items"]["anyOf"][:-1]:
        definition = definitions[op["$ref"].rpartition("/")[2]]
        keys = {name: value for name, value in definition["properties"].items() if name != "op"}
        table = _keys({**definition, "properties": keys}, definitions)
        parts.append(f"### `{definition['properties']['op']['const']}`\n\n{definition['description']}\n\n{table}")
    return "\n\n".join(part.strip() for part in parts) + "\n"


_TABLES = {
    "project": "Project",
    "datasets": "Dataset",
    "vaes": "Vae",
    "classifiers": "Classifier",
    "evaluations": "Evaluation",
    "models": "Model",
    "loras": "Lora",
    "palettes": "Palette",
    "styles": "Style",
    "sprites": "Sprite",
    "sheets": "Sheet",
    "exports": "Export",
    "quality": "Tier",
    "store": "SharedStore",
    "cost": "Cost",
    "budget": "Budget",
}
_HEADINGS = {
    "project": "[project]",
    "store": "[store]",
    "cost": "[cost]",
    "budget": "[budget]",
    "quality": "[quality.draft]` and `[quality.high]",
}
_INTRODUCTION = """\
# The spritefile

Made from the schema by `spritebuild schema --markdown`.

`spritefile.toml` is TOML. At its top may stand `version = 1` and `include = ["sprites/*.toml"]`; included files may
hold every table but `[project]`. Names are lower-case letters, digits, `-` and `_`. Unknown keys are errors. Paths are
relative to the spritefile and stay in its folder.

A sprite's prompt is put into its style's at `{prompt}`; both may use the names of the sprite's matrix, such as
`{color}`. A sprite with a matrix or several seeds is one sprite for each combination, called `{name}-{color}-{seed}`
unless `name` says otherwise. Texts of a finishing list may use the words of the matrix, too: `palette = "{ramp}"`."""


def _keys(definition: dict[str, Any], definitions: dict[str, Any]) -> str:
    rows = ["| key | is | unless said | |", "|---|---|---|---|"]
    required = definition.get("required", [])
    for name, value in definition["properties"].items():
        if name == "license":
            continue
        default = "**required**" if name in required else _code(value["default"]) if "default" in value else ""
        rows.append(f"| `{name}` | {_kind(value, definitions)} | {default} | {value.get('description', '')} |")
    return "\n".join(rows) if len(rows) > 2 else "No keys."


def _kind(value: dict[str, Any], definitions: dict[str, Any]) -> str:
    """A type in a few words: `text`, `a whole number, 1..255`, `one of hash, array`."""
    if "$ref" in value:
        name = value["$ref"].rpartition("/")[2]
        return "table of " + ", ".join(f"`{key}`" for key in definitions[name]["properties"])
    if "enum" in value:
        return "one of " + ", ".join(_code(choice) for choice in value["enum"])
    if "anyOf" in value:
        # A choice may be left to a word of the matrix: the introduction says so.
        kinds = dict.fromkeys(_kind(each, definitions) for each in value["anyOf"] if "pattern" not in each)
        return "op or stage" if len(kinds) > 3 else " or ".join(kinds)
    kind = value.get("type")
    if kind == "array":
        if "prefixItems" in value:
            return f"list of {len(value['prefixItems'])} numbers"
        return f"list: {_kind(value.get('items', {}), definitions)}"
    if kind in ("integer", "number"):
        low, high = value.get("minimum"), value.get("maximum")
        bounds = (
            f", {'' if low is None else low}..{'' if high is None else high}" if (low, high) != (None, None) else ""
        )
        return ("whole number" if kind == "integer" else "number") + bounds
    if kind == "object":
        return "table"
    return {"string": "text", "boolean": "true or false"}.get(str(kind), "")


def _code(value: Any) -> str:
    return f"`{json.dumps(value, ensure_ascii=False)}`"
