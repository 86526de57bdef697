"""Verdicts on measured sprites: by declared limits first, else by the references; measures nothing, says nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

from spritebuild_stages.art.limits import Limits
from spritebuild_stages.art.measured import Measured, Value

Verdict = Literal["ok", "notice", "violation"]
Bounds = tuple[Fraction | None, Fraction | None]

# Which side of the references' range is outside of the style: too many orphans are a fault, too few never.
SIDES: Mapping[str, tuple[bool, bool]] = {
    "colors": (True, True),
    "orphans": (False, True),
    "soft_alpha": (False, True),
    "mixels": (False, True),
    "detail": (True, False),
    "banding": (False, True),
    "outline": (True, True),
    "silhouette": (True, False),
    "fill": (True, True),
    "parts": (False, True),
}
# By what a range is widened at the least: shadows are lost on dark grounds, and flat areas are a matter of the motif.
SLACK = {"colors": Fraction(2), "parts": Fraction(1), "silhouette": Fraction(1, 5), "detail": Fraction(1, 5)}
SLACK |= {"soft_alpha": Fraction(0), "mixels": Fraction(0)}  # where the references have none, one is too many
SHARE_SLACK = Fraction(1, 50)
COUNTS = ("colors", "parts")
LOWEST, HIGHEST = 5, 95  # percentiles that are usual
WIDENED = Fraction(1, 4)  # of the usual range, on both sides: a tenth of a style would else be outside of every range
SEEN = 3  # pixels outside of a range of shares: fewer are chance where a sprite has few
RARE = 20  # a scale that fewer than a 20th of the references have is none of the style
HARDLY_DISTINCT = Fraction(1, 20)
BROKEN_SEAM = Fraction(17, 25)  # above are 5 % of seamless tiles, and 53 % of broken ones
ALWAYS_WRONG = ("soft_alpha", "mixels")


@dataclass(frozen=True)
class Range:
    """What is usual for the references, 5th to 95th percentile, and what is allowed for: that, widened."""

    usual: tuple[Fraction, Fraction]
    allowed: tuple[Fraction, Fraction]


@dataclass(frozen=True)
class References:
    """What is normal for a style: ranges by measure, canvases, scales, and how near silhouettes come."""

    count: int
    ranges: Mapping[str, Range]
    size: tuple[int, int] | None
    scales: tuple[int, ...]
    distinct: Fraction | None


@dataclass(frozen=True)
class Finding:
    """A verdict on one measure of one sprite; `by` says what it was judged by, "" if by nothing."""

    measure: str
    value: Value
    verdict: Verdict
    by: Literal["limit", "references", "set", "pixel art", ""]
    bounds: Any = None


def references(sprites: Sequence[Measured]) -> References:
    """What is normal for a set, which `with_twins` has gone through."""
    ranges = {}
    for measure in SIDES:
        numbers = sorted(sprite.values[measure].number for sprite in sprites if measure in sprite.values)
        if numbers:
            ranges[measure] = _range(numbers, measure)
    sizes = {sprite.size for sprite in sprites}
    scales = Counter(int(sprite.values["scale"].number) for sprite in sprites if "scale" in sprite.values)
    known = sorted(scale for scale, count in scales.items() if count * RARE >= scales.total())
    near = sorted(map(_apart, (sprite.values["distinct"] for sprite in sprites if "distinct" in sprite.values)))
    distinct = min(HARDLY_DISTINCT, _percentile(near, LOWEST)) if near else None
    return References(len(sprites), ranges, sizes.pop() if len(sizes) == 1 else None, tuple(known), distinct)


def judged(sprites: Sequence[Measured], limits: Limits, normal: References | None) -> list[list[Finding]]:
    """The findings on every sprite, in one order of measures."""
    common = _common_scale(sprites)
    return [list(_findings(sprite, limits, normal, common)) for sprite in sprites]


def _findings(sprite: Measured, limits: Limits, normal: References | None, common: int | None) -> Iterable[Finding]:
    values = sprite.values
    yield _size(sprite, limits, normal)
    if "colors" not in values:
        yield Finding("visible", values["fill"], "notice", "pixel art")
        return
    judges: dict[str, Callable[[Value], Finding]] = {
        "scale": lambda value: _scale(value, limits, normal, common),
        "distinct": lambda value: _distinct(value, limits, normal),
        "seam": lambda value: _seam(value, limits),
    }
    for measure in ORDER:
        if measure in values:
            judge = judges.get(measure, lambda value, measure=measure: _ranged(measure, value, limits, normal))
            yield judge(values[measure])


ORDER = (
    *("colors", "palette", "orphans", "scale", "mixels", "detail", "soft_alpha", "banding"),
    *("outline", "silhouette", "fill", "parts", "distinct", "seam"),
)


def _ranged(measure: str, value: Value, limits: Limits, normal: References | None) -> Finding:
    low, high = _limit(measure, limits)
    if low is not None or high is not None:
        outside = (low is not None and value.number < low) or (high is not None and value.number > high)
        return Finding(measure, value, "violation" if outside else "ok", "limit", (low, high))
    if normal and measure in normal.ranges:
        span, (below, above) = normal.ranges[measure], SIDES[measure]
        pixels = SEEN if measure not in (*COUNTS, *ALWAYS_WRONG) else 0
        short, excess = (span.allowed[0] - value.number), (value.number - span.allowed[1])
        outside = any(side and gap > 0 and gap * value.of >= pixels for side, gap in ((below, short), (above, excess)))
        return Finding(measure, value, "notice" if outside else "ok", "references", span)
    if measure in ALWAYS_WRONG:
        return Finding(measure, value, "notice" if value.count else "ok", "pixel art")
    return Finding(measure, value, "ok", "")


def _limit(measure: str, limits: Limits) -> Bounds:
    least = {"detail": limits.detail, "outline": limits.outline, "silhouette": limits.silhouette}
    most = {
        "colors": limits.max_colors,
        "palette": limits.palette_violations,
        "orphans": limits.orphans,
        "mixels": limits.mixels,
        "soft_alpha": limits.soft_alpha,
        "banding": limits.banding,
    }
    return _exact(least.get(measure)), _exact(most.get(measure))


def _exact(limit: float | None) -> Fraction | None:
    """A limit as it was written: 0.1 is a tenth."""
    return None if limit is None else Fraction(repr(limit))


def _size(sprite: Measured, limits: Limits, normal: References | None) -> Finding:
    value = Value(sprite.size[0] * sprite.size[1], 0, {"size": list(sprite.size)})
    if limits.size:
        return Finding("size", value, "ok" if sprite.size == limits.size else "violation", "limit", limits.size)
    if normal and normal.size:
        return Finding("size", value, "ok" if sprite.size == normal.size else "notice", "references", normal.size)
    return Finding("size", value, "ok", "")


def _scale(value: Value, limits: Limits, normal: References | None, common: int | None) -> Finding:
    if limits.scale:
        return Finding("scale", value, "ok" if value.count == limits.scale else "violation", "limit", (limits.scale,))
    if normal and normal.scales:
        inside = value.count in normal.scales
        return Finding("scale", value, "ok" if inside else "notice", "references", normal.scales)
    if common:
        return Finding("scale", value, "ok" if value.count == common else "notice", "set", (common,))
    return Finding("scale", value, "ok", "")


def _distinct(value: Value, limits: Limits, normal: References | None) -> Finding:
    """Nearly the same silhouette is no fault as long as the colors are told apart, as potions' are."""
    same = bool(value.details["same_colors"])
    if limits.distinct is not None:
        bound = Fraction(repr(limits.distinct))
        return Finding("distinct", value, "violation" if same and value.number < bound else "ok", "limit", bound)
    if normal and normal.distinct is not None:
        outside = same and value.number < normal.distinct
        return Finding("distinct", value, "notice" if outside else "ok", "references", normal.distinct)
    twice = not value.count and not value.details["apart"]
    return Finding("distinct", value, "notice" if twice else "ok", "pixel art")


def _seam(value: Value, limits: Limits) -> Finding:
    if limits.seam is not None:
        high = Fraction(repr(limits.seam))
        return Finding("seam", value, "violation" if value.number > high else "ok", "limit", (None, high))
    return Finding("seam", value, "notice" if value.number > BROKEN_SEAM else "ok", "pixel art")


def _apart(value: Value) -> Fraction:
    """The distance from the nearest silhouette, and the greatest there is if the colors are told apart."""
    return value.number if value.details["same_colors"] else Fraction(1)


def _common_scale(sprites: Sequence[Measured]) -> int | None:
    """The scale that more than half of the sprites have, of those where one is seen."""
    scales = Counter(sprite.values["scale"].count for sprite in sprites if "scale" in sprite.values)
    scale, count = max(scales.items(), key=lambda item: (item[1], -item[0]), default=(0, 0))
    return scale if 2 * count > scales.total() else None


def _range(numbers: Sequence[Fraction], measure: str) -> Range:
    low, high = _percentile(numbers, LOWEST), _percentile(numbers, HIGHEST)
    more = max(WIDENED * (high - low), SLACK.get(measure, SHARE_SLACK))
    above = high + more if measure in COUNTS else min(high + more, Fraction(1))
    return Range((low, high), (max(low - more, Fraction(0)), above))


def _percentile(numbers: Sequence[Fraction], percent: int) -> Fraction:
    """The least number that as many percent of the sorted ones do not exceed: the nearest rank, none made up."""
    return numbers[max(-(-percent * len(numbers) // 100), 1) - 1]
