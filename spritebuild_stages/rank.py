"""Rank: the candidates of one sprite in the order in which a person might look at them; it chooses none."""

from __future__ import annotations

import json
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from spritebuild.errors import StageError
from spritebuild.stage import BoundAction, Context, Inputs, Notes, Outputs, Params, Stage
from spritebuild_stages.art.limits import Limits

if TYPE_CHECKING:
    from spritebuild_stages.art.ranking import Score

VERSION = 1
DIGITS = 4
AXES = {None: "", "x": "x", "y": "y", "both": "xy"}
Weight = Annotated[float, Field(ge=0, le=1000)]


class Weights(BaseModel):
    """How much each measure counts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    style: Weight = Field(1.0, description="Being within the limits, and within what is usual for the references.")
    palette: Weight = Field(1.0, description="Colors that are in the palette.")
    orphans: Weight = Field(1.0, description="Few pixels whose color touches no equal one.")
    silhouette: Weight = Field(1.0, description="A border that stands out from a dark and from a light ground.")
    prompt: Weight = Field(1.0, description="What a scorer says.")


class RankParams(Params):
    seeds: tuple[int, ...] = Field(min_length=1, description="The candidates' seeds, one each, all different.")
    weights: Weights = Field(Weights(), description="What each measure counts for in the mean of the scores.")
    limits: Limits = Field(Limits(), description="What the sprite must keep to.")
    tile: Literal["x", "y", "both"] | None = Field(None, description="Along which sides it is to meet itself.")

    @field_validator("seeds")
    @classmethod
    def _all_different(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(seeds)) < len(seeds):
            raise ValueError("more than one candidate has the same seed")
        return seeds


class RankInputs(Inputs):
    images: tuple[Path, ...]
    references: tuple[Path, ...] = Field((), description="Hand-made pictures of the style, which say what is normal.")
    palettes: dict[str, Path] = Field({}, description="Palette files: a visible pixel may have a color of any.")
    scores: tuple[Path, ...] = Field((), description="What a scorer says of each image.")


class RankOutputs(Outputs):
    report: Path = Path("rank.json")


class Rank(Stage):
    """Each candidate is measured as `check --art` measures; the weighted mean of its scores decides its place."""

    version = 1
    Params = RankParams
    Inputs = RankInputs
    Outputs = RankOutputs

    def run(self, action: BoundAction, context: Context) -> Notes | None:
        from spritebuild_stages.art import given, judging, ranking
        from spritebuild_stages.art.measured import with_twins

        params, inputs = action.params, action.inputs
        for named, count in (("images", len(inputs.images)), ("scores", len(inputs.scores) or len(params.seeds))):
            if count != len(params.seeds):
                raise StageError(f"{count} {named} for {len(params.seeds)} seeds", hint="give each candidate one")
        palette = given.palette(params.limits, inputs.palettes)
        sprites = list(given.measured(inputs.images, palette, [AXES[params.tile]] * len(params.seeds)))
        normal = None
        if inputs.references:
            stems = [path.stem for path in inputs.references]
            drawn = list(given.measured(inputs.references, (), [""] * len(stems)))
            normal = judging.references(with_twins(stems, drawn))
        findings = judging.judged(sprites, params.limits, normal)
        rows = [ranking.scores(sprite, found) for sprite, found in zip(sprites, findings, strict=True)]
        for row, path in zip(rows, inputs.scores, strict=False):
            if row:  # what shows nothing shows nothing of the prompt
                row[ranking.PROMPT] = _score(path)
        weights = {name: Fraction(repr(weight)) for name, weight in params.weights.model_dump().items()}
        places = ranking.ranked(rows, weights)
        report = {
            "version": VERSION,
            "candidates": [
                {
                    "seed": seed,
                    "rank": place.rank,
                    "score": _round(place.total),
                    "scores": {name: _round(score.number) for name, score in place.scores.items()},
                    "words": place.words,
                }
                for seed, place in zip(params.seeds, places, strict=True)
            ],
        }
        text = json.dumps(report, indent=1, ensure_ascii=False)
        action.outputs.report.write_text(text + "\n", encoding="utf-8", newline="\n")
        return None


def _score(path: Path) -> Score:
    """What a scorer wrote: {"score": 0..1, "words": "..."}."""
    from spritebuild_stages.art.ranking import Score

    hint = 'a scorer writes {"score": S} with S from 0 to 1, and "words" if it likes'
    try:
        said: Any = json.loads(path.read_bytes())
    except ValueError as error:
        raise StageError("a score is no JSON", facts=[("file", path.name)], hint=hint) from error
    number = said.get("score") if isinstance(said, Mapping) else None
    if isinstance(number, bool) or not isinstance(number, int | float) or not 0 <= number <= 1:
        raise StageError("a score is not from 0 to 1", facts=[("score", json.dumps(number))], hint=hint)
    words = said.get("words", f"{round(number * 100)} % by its prompt")
    if not isinstance(words, str):
        raise StageError("the words of a score are no text", hint=hint)
    return Score(Fraction(repr(number)), "".join(letter if letter.isprintable() else " " for letter in words[:200]))


def _round(number: Fraction) -> float:
    return float(round(number, DIGITS))
