"""The kinds of values that a spritefile's keys take, with what makes each of them wrong; knows no table."""

from __future__ import annotations

import math
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    Strict,
    WithJsonSchema,
)

MOST_COMBINATIONS = 10_000
PALETTE_FILES = (".hex", ".gpl", ".pal", ".act", ".png", ".aseprite", ".ase")
RESERVED_AXES = ("prompt", "name", "seed")


class Table(BaseModel):
    """A table of the spritefile: types are not coerced, unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)


def _color(text: str) -> str:
    digits = text[1:].lower()
    return "#" + (digits if len(digits) == 6 else "".join(digit * 2 for digit in digits))


def _axis(name: str) -> str:
    if name in RESERVED_AXES:
        raise ValueError(f'an axis may not be named "{name}"')
    return name


def _axis_value(value: object) -> str | int:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError("an axis holds text and whole numbers only")
    return value


def _axis_values(values: tuple[str | int, ...]) -> tuple[str | int, ...]:
    if len({str(value) for value in values}) < len(values):
        raise ValueError("an axis holds every value once")
    return values


def _matrix(axes: dict[str, tuple[str | int, ...]]) -> dict[str, tuple[str | int, ...]]:
    count = math.prod(len(values) for values in axes.values())
    if count > MOST_COMBINATIONS:
        raise ValueError(f"matrix makes {count:,} combinations, more than {MOST_COMBINATIONS:,}")
    return axes


def _finish_entry(entry: dict[str, Any]) -> dict[str, Any]:
    said = [key for key in ("op", "stage") if key in entry]
    if len(said) != 1:
        raise ValueError("a finish entry needs one of op and stage" + (", not both" if said else ""))
    if not isinstance(entry[said[0]], str):
        raise ValueError(f"{said[0]} must be text")
    return entry


def _size(value: Any) -> Any:
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise ValueError("size must be [width, height]")
    return value


def palette_file(path: str) -> str:
    if not path.lower().endswith(PALETTE_FILES):
        raise ValueError(f"a palette file ends in {', '.join(PALETTE_FILES)}")
    return path


def gpl_file(path: str) -> str:
    if not path.lower().endswith(".gpl"):
        raise ValueError("a palette is saved as a .gpl file")
    return path


def weights_file(path: str) -> str:
    if not path.lower().endswith(".safetensors"):
        raise ValueError("weights are a .safetensors file; other formats can run code and are refused")
    return path


def specifier(text: str) -> str:
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        SpecifierSet(text)
    except InvalidSpecifier:
        raise ValueError('requires must be a version specifier such as ">=0.1"') from None
    return text


Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=100)]
AxisName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=100), AfterValidator(_axis)]
AxisValue = Annotated[str | int, PlainValidator(_axis_value, json_schema_input_type=str | int)]
AxisValues = Annotated[tuple[AxisValue, ...], Strict(False), Field(min_length=1), AfterValidator(_axis_values)]
Matrix = Annotated[dict[AxisName, AxisValues], AfterValidator(_matrix)]
RelativePath = Annotated[str, Field(min_length=1)]
Seed = Annotated[int, Field(ge=0, le=2**63 - 1)]
Count = Annotated[int, Field(ge=1)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Texts = Annotated[tuple[str, ...], Strict(False)]
Size = Annotated[tuple[Count, Count], Strict(False), BeforeValidator(_size, json_schema_input_type=tuple[Count, Count])]
Color = Annotated[str, Field(pattern=r"^#([0-9A-Fa-f]{3}|[0-9A-Fa-f]{6})$"), AfterValidator(_color)]
FinishEntry = Annotated[
    dict[str, Any],
    AfterValidator(_finish_entry),
    WithJsonSchema(
        {
            "type": "object",
            "properties": {
                "op": {"type": "string", "title": "Op", "description": "A built-in operation on the picture."},
                "stage": {"type": "string", "title": "Stage", "description": "The kind of a stage of your own."},
            },
            "oneOf": [{"required": ["op"]}, {"required": ["stage"]}],
            "additionalProperties": True,
        }
    ),
]
