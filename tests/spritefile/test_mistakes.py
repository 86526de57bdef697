"""Plain words for what pydantic finds, in the spritefile and in the params of stages."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from spritebuild.spritefile.mistakes import Mistake, alternatives, say, stage_mistake


class Outline(BaseModel):
    model_config = ConfigDict(extra="forbid")

    op: Literal["outline"]
    width: int = Field(1, ge=1, lt=9)
    side: Literal["inner", "outer"] = "outer"
    offset: tuple[int, int] = (0, 0)

    @field_validator("width")
    @classmethod
    def _odd(cls, width: int) -> int:
        if width % 2 == 0:
            raise ValueError("even widths have no middle")
        return width


class Trim(BaseModel):
    op: Literal["trim"]


class Params(BaseModel):
    op: Annotated[Outline | Trim, Field(discriminator="op")]


def mistake(model: type[BaseModel], values: dict[str, Any]) -> Mistake:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(values)
    (problem,) = caught.value.errors()
    return stage_mistake(problem, ("styles", "ruins", "finish", 0, *problem["loc"]), list(model.model_fields))


@pytest.mark.parametrize(
    ("values", "message", "hint"),
    [
        ({"width": 0}, "width must be at least 1, not 0", None),
        ({"width": 9}, "width must be less than 9, not 9", None),
        ({"width": "wide"}, 'width must be a whole number, not "wide"', None),
        ({"width": 2}, "width: even widths have no middle", None),
        ({"side": "iner"}, 'side must be "inner" or "outer", not "iner"', 'did you mean "inner"?'),
        ({"offset": (1, None)}, "every item of offset must be a whole number, not nothing", None),
        ({"offset": (1,)}, "offset must hold more values", None),
        ({"widht": 1}, 'unknown key "widht"', 'did you mean "width"?'),
        ({"zzz": 1}, 'unknown key "zzz"', "keys: op, width, side, offset"),
    ],
)
def test_wrong_param_of_a_stage_is_said_in_plain_words(values: dict[str, Any], message: str, hint: str | None) -> None:
    found = mistake(Outline, {"op": "outline", **values})
    assert (found.message, found.hint) == (message, hint)


def test_missing_param_is_named() -> None:
    assert mistake(Outline, {}).message == '"op" is missing'


def test_unknown_op_is_a_mistake_of_its_value() -> None:
    found = mistake(Params, {"op": {"op": "outlines"}})
    assert (found.path[-1], found.key) == ("op", False)
    assert found.message == 'unknown op "outlines"'
    assert found.hint == 'did you mean "outline"? ops: outline, trim'


def test_values_are_said_short_and_printable() -> None:
    assert say("\x1b[31m\u202e") == '"\\u001b[31m\\u202e"'
    assert say("x" * 100) == f'"{"x" * 57}..."'
    assert [say(value) for value in (True, 1, 0.5, [1], {})] == ["true", "1", "0.5", "a list", "a table"]


def test_alternatives_name_the_nearest_and_all_there_are() -> None:
    assert alternatives("ruin", ["ruins", "forest"], "styles") == 'did you mean "ruins"? styles: ruins, forest'
    assert alternatives("zzz", ["ruins"], "styles") == "styles: ruins"
    assert alternatives("zzz", [], "styles") is None
