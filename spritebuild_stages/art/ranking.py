"""How well each of several pictures of one sprite does, from 0 to 1, and their order by that; chooses none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from spritebuild_stages.art.judging import SIDES, Finding, Range
from spritebuild_stages.art.measured import Measured
from spritebuild_stages.art.sentences import many

STYLE, PALETTE, ORPHANS, SILHOUETTE, PROMPT = MEASURES = ("style", "palette", "orphans", "silhouette", "prompt")
JUDGES = ("limit", "references", "pixel art")  # that are not the other candidates
APART = (PALETTE, ORPHANS, SILHOUETTE, "distinct")  # not part of the style
NAMED = 3  # measures of the style that are named, the worst first
USUAL = Fraction(1, 4)  # of what an orphan pixel counts elsewhere, it counts among those that are usual
BEYOND = 2  # margins of the references' range beyond what is usual, at which nothing is left of a score


@dataclass(frozen=True)
class Score:
    """How well a picture does by one measure, 0..1, and what there is to say about it."""

    number: Fraction
    words: str


@dataclass(frozen=True)
class Ranked:
    """The place of a picture, from 1 on, its total score, 0..1, its scores by measure, and all of it in words."""

    rank: int
    total: Fraction
    scores: Mapping[str, Score]
    words: str


def scores(sprite: Measured, findings: Sequence[Finding]) -> dict[str, Score]:
    """The scores of one picture, of which `findings` are what it is judged by; none where no pixel is visible.

    - style: the mean over what `check --art` judges: 1 for a limit that is kept and for what is usual for the
      references, 0 for a limit that is broken. Beyond the usual it falls in a straight line, to a half where what the
      references allow for ends, and to 0 as far again.
    - palette: the share of the visible pixels whose colors are in the palette; absent without one.
    - orphans: the share of visible pixels that are none. Beside references it is as for a part of the style, less a
      quarter of the share that are: fewer are better even among what is usual, or most candidates would be equal.
    - silhouette: the share of the border that stands out from a dark ground and from a light one; absent for a tile.
    """
    values = sprite.values
    if "colors" not in values:
        return {}
    judged = {finding.measure: finding for finding in findings}
    found = {STYLE: _style([one for one in findings if one.by in JUDGES and one.measure not in APART])}
    if PALETTE in values:
        value = values[PALETTE]
        pixels = value.details["pixels"]
        words = f"{many(value.count, 'pixel')} outside the palette" if value.count else "all colors are in the palette"
        found[PALETTE] = Score(Fraction(pixels - value.count, pixels), words)
    orphans = values[ORPHANS]
    words = many(orphans.count, "orphan pixel") if orphans.count else "no orphan pixels"
    weight = USUAL if judged[ORPHANS].by == "references" else Fraction(1)
    found[ORPHANS] = Score(_kept(judged[ORPHANS], Fraction(1)) * (1 - weight * orphans.number), words)
    if SILHOUETTE in values:
        share = values[SILHOUETTE].number
        words = f"{_percent(share)} of its border stands out on any ground"
        found[SILHOUETTE] = Score(share if judged[SILHOUETTE].verdict != "violation" else Fraction(0), words)
    return found


def ranked(pictures: Sequence[Mapping[str, Score]], weights: Mapping[str, Fraction]) -> list[Ranked]:
    """The pictures in their given order, each with its place; of equals, the first is before the others.

    The total is the weighted mean over the measures that any of the pictures has; one that a picture alone lacks
    counts 0 for it. Everything is exact, so that the order is the same everywhere.
    """
    counted = [measure for measure in MEASURES if weights[measure] and any(measure in scores for scores in pictures)]
    whole = sum(weights[measure] for measure in counted) or Fraction(1)
    totals = [
        sum((weights[name] * scores[name].number for name in counted if name in scores), Fraction(0)) / whole
        for scores in pictures
    ]
    order = sorted(range(len(pictures)), key=lambda index: (-totals[index], index))
    places = {index: place for place, index in enumerate(order, 1)}
    return [
        Ranked(places[index], totals[index], scores, _words(scores, counted)) for index, scores in enumerate(pictures)
    ]


def _style(findings: Sequence[Finding]) -> Score:
    numbers = {finding.measure: _kept(finding, Fraction(finding.verdict == "ok")) for finding in findings}
    off = sorted((measure for measure in numbers if numbers[measure] < 1), key=lambda measure: numbers[measure])
    number = sum(numbers.values(), Fraction(0)) / len(numbers) if numbers else Fraction(1)
    if not off:
        return Score(number, "as its style asks for")
    more = f" and {len(off) - NAMED} more" if off[NAMED:] else ""
    return Score(number, f"off its style in {', '.join(measure.replace('_', ' ') for measure in off[:NAMED])}{more}")


def _kept(finding: Finding, otherwise: Fraction) -> Fraction:
    """0 for a broken limit; how near the usual it is, beside references; or what else is said."""
    if finding.verdict == "violation":
        return Fraction(0)
    if finding.by != "references" or not isinstance(finding.bounds, Range):
        return otherwise
    number, span = finding.value.number, finding.bounds
    below, above = SIDES[finding.measure]
    gaps = [(span.usual[0] - number, span.usual[0] - span.allowed[0])] if below else []
    gaps += [(number - span.usual[1], span.allowed[1] - span.usual[1])] if above else []
    for gap, margin in gaps:
        if gap > 0:
            return max(1 - gap / (BEYOND * margin), Fraction(0)) if margin > 0 else Fraction(0)
    return Fraction(1)


def _words(scores: Mapping[str, Score], counted: Sequence[str]) -> str:
    if not scores:
        return "no visible pixel"
    return "; ".join(scores[measure].words for measure in counted if measure in scores and scores[measure].words)


def _percent(share: Fraction) -> str:
    return f"{int(share * 100)} %"
