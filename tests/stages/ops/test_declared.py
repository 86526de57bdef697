"""What a finishing list may say."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from spritebuild_stages.finish import HINTS, Finish
from spritebuild_stages.ops import declared

REFERENCE = Path(__file__).parents[3] / "docs/finishing.md"
NAMES = {name for op in declared.AnyOp.__origin__.__args__ for name in op.model_fields["op"].annotation.__args__}


def params(*ops: dict[str, Any]) -> Any:
    return Finish.Params.model_validate({"ops": ops})


@pytest.mark.parametrize(("written", "normal"), [("#FA0", "#ffaa00"), ("#FfAa00", "#ffaa00"), ("#000", "#000000")])
def test_colors_have_one_spelling(written: str, normal: str) -> None:
    (outline, quantize) = params(
        {"op": "outline", "color": written}, {"op": "quantize", "palette": "p", "colors": [written]}
    ).ops
    assert (outline.color, quantize.colors) == (normal, (normal,))


def test_an_operation_keeps_its_name_where_defaults_are_left_out() -> None:
    dumped = params({"op": "alpha"}, {"op": "trim", "margin": 0}, {"op": "outline"}).model_dump(exclude_defaults=True)
    assert dumped == {"ops": ({"op": "alpha"}, {"op": "trim"}, {"op": "outline"})}


@pytest.mark.parametrize(
    "op",
    [
        {"op": "blur"},
        {},
        {"op": "alpha", "treshold": 3},
        {"op": "alpha", "threshold": 0},
        {"op": "trim", "margin": -1},
        {"op": "pad"},
        {"op": "pad", "size": [8]},
        {"op": "pad", "size": [8, 0]},
        {"op": "pad", "size": [8, 8], "anchor": "middle"},
        {"op": "scale"},
        {"op": "scale", "factor": 1},
        {"op": "scale", "factor": 65},
        {"op": "quantize"},
        {"op": "quantize", "palette": "p", "colors": ["red"]},
        {"op": "quantize", "palette": "p", "colors": ["#fff"] * 257},
        {"op": "outline", "color": "#ffff"},
        {"op": "outline", "color": "#fff\n"},
        {"op": "outline", "thickness": 0},
        {"op": "outline", "side": "both"},
        {"op": "outline", "selective": True, "shade": 101},
        {"op": "pixelate", "size": [0, 8]},
        {"op": "pixelate", "mode": "mean"},
        {"op": "cutout", "tolerance": 256},
        {"op": "cutout", "grow": 5},
        {"op": "cutout", "color": "#fff"},
        {"op": "cutout", "mode": "key", "holes": True},
        {"op": "sharpen", "radius": 9},
        {"op": "sharpen", "percent": 501},
        {"op": "quantize", "palette": "p", "dither": "noise"},
        {"op": "swap", "palette": "p"},
        {"op": "swap", "to": "p"},
        {"op": "despeckle", "size": 1},
        {"op": "despeckle", "contrast": 0},
        {"op": "jaggies", "color": "black"},
        {"op": "symmetry", "axis": "z"},
        {"op": "symmetry", "keep": "top"},
        {"op": "symmetry", "axis": "y", "keep": "left"},
        {"op": "align", "at": "top", "point": [1, 1]},
        {"op": "align", "point": [-1, 1]},
        {"op": "nine-slice", "size": [8, 8]},
        {"op": "nine-slice", "size": [8, 8], "margins": [1, 1]},
        {"op": "scale", "factor": 5, "mode": "epx"},
    ],
)
def test_what_no_operation_means_is_refused(op: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        params(op)


@pytest.mark.parametrize(
    "before",
    [
        [{"op": "quantize", "palette": "p"}],
        [{"op": "alpha"}, {"op": "swap", "palette": "p", "to": "q"}, {"op": "outline"}],
        [{"op": "sharpen"}, {"op": "quantize", "palette": "p"}],
    ],
)
def test_sharpening_what_is_quantized_is_refused_at_its_place(before: list[dict[str, Any]]) -> None:
    with pytest.raises(ValidationError) as caught:
        params(*before, {"op": "sharpen"}, {"op": "trim"})
    (error,) = caught.value.errors()
    assert error["loc"] == ("ops", len(before), "sharpen")
    assert "lacks: put it before" in str(error["ctx"]["error"])


def test_sharpening_comes_before_quantizing() -> None:
    assert len(params({"op": "sharpen"}, {"op": "quantize", "palette": "p"}).ops) == 2


def test_every_operation_has_a_hint() -> None:
    assert set(HINTS) == NAMES


def test_the_reference_has_every_operation_with_examples_that_are_valid() -> None:
    text = REFERENCE.read_text("utf-8")
    examples = [
        tomllib.loads(f"op = {line}")["op"] for line in re.findall(r"^ *(\{ op = .*?\}),?(?: +#.*)?$", text, re.M)
    ]
    assert {example["op"] for example in examples} == NAMES
    assert set(re.findall(r"^### (\S+)$", text, re.M)) == NAMES
    for example in examples:
        params(example)


def test_the_reference_has_every_key_of_an_operation() -> None:
    sections = re.split(r"^### (\S+)$", REFERENCE.read_text("utf-8"), flags=re.M)
    for name, section in zip(sections[1::2], sections[2::2], strict=True):
        (op,) = (o for o in declared.AnyOp.__origin__.__args__ if name in o.model_fields["op"].annotation.__args__)
        keys = set(op.model_fields) - {"op", "colors", "to_colors"}
        assert {key for key in keys if key not in section} == set(), name
