"""Every finding in a sentence: what was measured, and beside what it was judged; judges nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from spritebuild_stages.art.judging import Finding, Range
from spritebuild_stages.art.measured import Value

TENTH = Fraction(1, 10)


def sentence(name: str, finding: Finding) -> str:
    """What was measured, and beside what it was judged."""
    value, measure = finding.value, finding.measure
    return f"{name}: {SAID[measure](value)}{_beside(finding)}"


# What was measured


def _colors(value: Value) -> str:
    return many(value.count, "color")


def _palette(value: Value) -> str:
    text = f"{value.count:,} of {many(value.details['pixels'], 'visible pixel')} have colors outside the palette"
    worst = [
        f"{color['color']} ({many(color['pixels'], 'pixel')}, nearest is {color['nearest']})"
        for color in value.details["worst"]
    ]
    return text + (f", most often {_listed(worst)}" if worst else "")


def _orphans(value: Value) -> str:
    text = f"{_part(value, 'visible pixel')} are orphans"
    return f"{text}, single pixels whose color touches no equal one" if value.count else text


def _scale(value: Value) -> str:
    if value.count == 1:
        return "a pixel of the art is a pixel of the file"
    return f"a {value.count}-fold enlargement, a pixel of the art is {value.count}x{value.count} in the file"


def _mixels(value: Value) -> str:
    if not value.count:
        return "all pixels of the art are of one size"
    if nearly := value.details["nearly"]:
        grid = f"the {nearly}x{nearly} grid that the others keep"
        return f"{_part(value, 'color change')} lie off {grid}: pixels of several sizes are mixed"
    factor = _decimal(Fraction(value.of, value.of - value.count))
    repeated = f"{_part(value, 'column and row', 'columns and rows')} repeat the one before"
    return f"{repeated}, as if it were enlarged by {factor}: its pixels are not of one size"


def _detail(value: Value) -> str:
    return f"{_part(value, 'visible pixel')} are finer than a 2x2 block of one color"


def _soft_alpha(value: Value) -> str:
    return f"{_part(value, 'visible pixel')} are neither opaque nor transparent"


def _banding(value: Value) -> str:
    text = f"{_part(value, 'color change')} are banded"
    return f"{text}: steps of a ramp, a pixel thick, that end where their neighbors do" if value.count else text


def _outline(value: Value) -> str:
    color = value.details["color"]
    text = f"{_part(value, 'border pixel')} carry an outline"
    return f"{text}, most often {color}" if color else text


def _silhouette(value: Value) -> str:
    dark, light = (_percent(Fraction(value.details[ground], value.of)) for ground in ("dark", "light"))
    return f"{dark} of its border stands out from a dark ground, {light} from a light one"


def _fill(value: Value) -> str:
    return f"{_percent(value.number)} of the canvas is visible"


def _parts(value: Value) -> str:
    single = value.details["single"]
    text = many(value.count, "separate part")
    return f"{text}, {single:,} of them single pixels" if single and value.count > 1 else text


def _distinct(value: Value) -> str:
    other, same = value.details["other"], value.details["same_colors"]
    if not value.count and not value.details["apart"]:
        return f"cannot be told from {other}"
    colors = "in nearly the same colors" if same else "in other colors"
    return f"{_percent(1 - value.number)} of its silhouette is that of {other}, {colors}"


def _seam(value: Value) -> str:
    return f"its seam looks newer than {_percent(value.number)} of its inside, where a seamless one is near 50 %"


def _size(value: Value) -> str:
    return "x".join(map(str, value.details["size"]))


def _visible(value: Value) -> str:
    return f"no visible pixel of {value.of:,}"


SAID: Mapping[str, Callable[[Any], str]] = {
    "size": _size,
    "visible": _visible,
    "colors": _colors,
    "palette": _palette,
    "orphans": _orphans,
    "scale": _scale,
    "mixels": _mixels,
    "detail": _detail,
    "soft_alpha": _soft_alpha,
    "banding": _banding,
    "outline": _outline,
    "silhouette": _silhouette,
    "fill": _fill,
    "parts": _parts,
    "distinct": _distinct,
    "seam": _seam,
}
MEASURES = tuple(SAID)


# Beside what it was judged


def _beside(finding: Finding) -> str:
    text = _bound(finding)
    return f"; {text}" if text else ""


def _bound(finding: Finding) -> str:
    bounds, measure = finding.bounds, finding.measure
    if finding.by == "set":
        return "" if finding.verdict == "ok" else f"most of the others are at {bounds[0]}"
    if finding.by == "references":
        return _of_references(measure, bounds, finding.value)
    if finding.by != "limit":
        return ""
    if measure == "size":
        return f"{_x(bounds)} is declared"
    if measure == "scale":
        return f"{bounds[0]} is declared"
    if measure == "distinct":
        return f"at most {_percent(1 - bounds)} is allowed in nearly the same colors"
    low, high = bounds
    share = finding.value.of > 0
    if low is not None:
        return f"at least {_limit(low, share)} is asked for"
    return f"at most {_limit(high, share)} is allowed" if high else "none is allowed"


def _of_references(measure: str, bounds: Any, value: Value) -> str:
    if measure == "size":
        return f"the references are {_x(bounds)}"
    if measure == "scale":
        return f"the references are at {_listed([str(scale) for scale in bounds])}"
    if measure == "distinct":
        near = bounds and value.details["same_colors"] and (value.count or value.details["apart"])
        return f"most references share less than {_percent(1 - bounds)} with another in such colors" if near else ""
    span: Range = bounds
    share = value.of > 0
    low, high = (_number(bound, share) for bound in span.usual)
    if measure == "silhouette":
        return f"the references have {low} or more on either"
    return f"the references have {low}" if low == high else f"the references have {low.removesuffix(' %')} to {high}"


# Numbers in words


def _part(value: Value, one: str, more: str = "") -> str:
    return f"{value.count:,} of {many(value.of, one, more)} ({_percent(value.number)})"


def many(count: int, one: str, more: str = "") -> str:
    return f"{count:,} {one if count == 1 else more or one + 's'}"


def _percent(share: Fraction) -> str:
    """Whole percents, below ten with one decimal; neither 0 nor 100 for what is not quite that."""
    if 0 < share < Fraction(1, 2000):
        return "under 0.1 %"
    if Fraction(99, 100) < share < 1:
        return "over 99 %"
    return f"{float(round(share * 100, int(share < TENTH))):g} %"


def _limit(number: Fraction, share: bool) -> str:
    """As it was declared."""
    return f"{float(number * 100):g} %" if share else f"{int(number):,}"


def _number(number: Fraction, share: bool) -> str:
    return _percent(number) if share else f"{int(number):,}"


def _decimal(number: Fraction) -> str:
    return f"{float(round(number, 1)):g}"


def _x(size: Sequence[int]) -> str:
    return f"{size[0]}x{size[1]}"


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
