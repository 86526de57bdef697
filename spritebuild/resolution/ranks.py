"""What ranks the candidates of sprites, as actions: a suggestion for whoever chooses; knows no pick and no score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from spritebuild.graph import Output, Ref
from spritebuild.resolution.assemblies import Assemblies
from spritebuild.resolution.faults import Where, dotted
from spritebuild.resolution.styles import Look, Piece, dumped
from spritebuild.resolution.trainings import Sprited, Trainings
from spritebuild.spritefile import Spritefile
from spritebuild.spritefile.mistakes import alternatives, say
from spritebuild.stage import Stage

RANK = "rank"
SCORE = "score"  # the output of a scorer


@dataclass(frozen=True)
class Candidates:
    """The candidates of one sprite: its declaration, the words of its matrix, its look, and what ends each, by seed."""

    declared: str
    words: Mapping[str, str]
    look: Look
    ends: dict[int, str] = field(default_factory=dict)


@dataclass
class Ranks:
    """The ranks of one spritefile, whose sprites are in the graph. `candidates` are by the sprites' names."""

    spritefile: Spritefile
    assemblies: Assemblies
    trainings: Trainings
    candidates: Mapping[str, Candidates]

    def all(self) -> None:
        """Add the actions that rank each sprite's candidates."""
        for name, candidates in self.candidates.items():
            if candidates.ends:
                self._rank(name, candidates)

    def _rank(self, name: str, candidates: Candidates) -> None:
        look, where = candidates.look, ("sprites", candidates.declared)
        said = look.values["rank"].model_dump(exclude_none=True) if "rank" in look.values else {}
        place = look.where.get("rank", where)
        scorer = said.pop("scorer", None)
        sprites = [Sprited(id, candidates.words, candidates.declared, look) for id in candidates.ends.values()]
        judges = self.assemblies.judges(sprites[:1], where)
        stage = self.assemblies.styles.stages[RANK]
        values = {"seeds": list(candidates.ends), "limits": judges.limits, "weights": said}
        if "tile" in look.values:
            values["tile"] = look.values["tile"]
        try:
            params = dumped(stage.Params.model_validate(values))
        except ValidationError as error:
            known = ["references", *getattr(stage.Params.model_fields["limits"].annotation, "model_fields", ())]
            for problem in error.errors():
                key, *rest = problem["loc"]
                self.assemblies.faults.refused(
                    (*judges.where, *rest) if key == "limits" else (*place, *rest), problem, stage, values, known
                )
            return
        origins = {"seeds": dotted((*where, "candidates")), "limits": dotted(judges.where), "weights": dotted(place)}
        inputs: list[tuple[str, Ref]] = [*judges.palettes, *judges.references]
        inputs += [(f"images.{n}", Output(sprite.action, "image")) for n, sprite in enumerate(sprites)]
        if scorer is not None:
            piece = self._scorer(scorer, candidates, (*place, "scorer"))
            if piece is None:
                return
            for n, (seed, end) in enumerate(candidates.ends.items()):
                wanted = (("image", Output(end, "image")), *piece.inputs)
                score = self.assemblies.add(f"sprites.{name}", piece, wanted, f"{seed}:{SCORE}")
                inputs.append((f"scores.{n}", Output(score.id, SCORE)))
        self.assemblies.add(f"sprites.{name}", Piece(stage, params, origins), tuple(inputs), RANK)

    def _scorer(self, entry: Mapping[str, Any], candidates: Candidates, where: Where) -> Piece | None:
        """What scores one picture; None, with a fault, where that is refused."""
        faults = self.assemblies.faults
        stage = self.assemblies.styles.stage(entry["stage"], (*where, "stage"))
        if stage is None:
            return None
        if "image" not in stage.Inputs.model_fields or SCORE not in stage.Outputs.model_fields:
            message = f"stage {say(stage.kind)} scores no image"
            need = f"its Inputs need an `image`, its Outputs a `{SCORE}`"
            faults.blame((*where, "stage"), message, need, key=False)
            return None
        values = {key: value for key, value in entry.items() if key != "stage"}
        inputs: tuple[tuple[str, Ref], ...] = ()
        if "model" in stage.Inputs.model_fields:
            model = str(values.pop("model", ""))
            if model not in self.spritefile.models:
                hint = alternatives(model, self.spritefile.models, "models")
                message = f"unknown model {say(model)}" if model else f"stage {say(stage.kind)} needs a model"
                faults.blame((*where, "model") if "model" in entry else where, message, hint, key=False)
                return None
            weights = self.trainings.artifact("models", model)
            if weights is None:
                return None
            inputs = (("model", weights),)
        origins = {key: f"{dotted(where)}.{key}" for key in values}
        prompt = self.spritefile.sprites[candidates.declared].prompt
        if "prompt" in stage.Params.model_fields and "prompt" not in values and prompt is not None:
            said_at = ("sprites", candidates.declared, "prompt")
            values["prompt"] = faults.filled(prompt, candidates.words, said_at)
            origins["prompt"] = dotted(said_at)
        params = self._params(stage, values, where)
        return None if params is None else Piece(stage, params, origins, inputs)

    def _params(self, stage: Stage, values: Mapping[str, Any], where: Where) -> Mapping[str, Any] | None:
        try:
            return dumped(stage.Params.model_validate(values))
        except ValidationError as error:
            for problem in error.errors():
                self.assemblies.faults.refused((*where, *problem["loc"]), problem, stage, values)
            return None
