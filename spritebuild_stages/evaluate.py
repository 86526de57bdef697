"""Evaluate: generated pictures beside the set that they should look like, in numbers, a sheet and a text.

A build may ask for a match that is good enough, and is refused otherwise.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from spritebuild.errors import RegressionError, UsageError
from spritebuild.stage import BoundAction, Context, Inputs, Notes, Outputs, Params
from spritebuild_stages._torch import TorchStage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from spritebuild_stages.datasets.artifact import Example
    from spritebuild_stages.evaluation.classifier_net import Classifier
    from spritebuild_stages.evaluation.judging import Judged, Reference, Shown

VERSION = 1  # of the report
FEW = 20  # pictures of which numbers of a set are rough

Weight = Annotated[float, Field(ge=0, le=1000)]


class MatchWeights(BaseModel):
    """What each term counts in the match; terms that cannot be measured do not count."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    palette: Weight = Field(0.3, description="Colors near those of the reference set.")
    edges: Weight = Field(0.2, description="Edges as frequent, hard and directed as those of the reference set.")
    coverage: Weight = Field(0.2, description="As various as the reference set; needs a classifier.")
    classes: Weight = Field(0.3, description="Read as what they should show; needs a classifier and labels.")


class EvaluateParams(Params):
    """What the pictures should show, and how good is good enough."""

    names: tuple[str, ...] = Field(min_length=1, description="The pictures' names, one each, all different.")
    labels: tuple[str, ...] = Field(
        (), description='The class that each should be read as, "" for no matter what; or nothing at all.'
    )
    colors: tuple[str, ...] = Field(
        (), description='The word for the dominant color of each, "" for no matter what; or nothing at all.'
    )
    weights: MatchWeights = Field(MatchWeights(), description="What each term counts in the match.")
    accept_at: float | None = Field(None, ge=0, le=100, description="The match below which the pictures are refused.")

    @model_validator(mode="after")
    def _agree(self) -> EvaluateParams:
        if twice := [name for name, count in Counter(self.names).items() if count > 1]:
            raise ValueError(f"more than one picture is named {twice[0]!r}")
        for what, given in (("labels", self.labels), ("colors", self.colors)):
            if given and len(given) != len(self.names):
                raise ValueError(f"{len(given)} {what} for {len(self.names)} pictures")
        if not any(self.weights.model_dump().values()):
            raise ValueError("weights: one is greater than 0")
        return self


class EvaluateInputs(Inputs):
    """The reference set; what reads labels; the pictures, and the same ones as they were before a LoRA."""

    images: Path
    manifest: Path
    classifier: Path | None = None
    generated: tuple[Path, ...]
    baseline: tuple[Path, ...] = ()


class EvaluateOutputs(Outputs):
    """The numbers; each picture beside the nearest training picture; a text."""

    report: Path = Path("report.json")
    sheet: Path = Path("sheet.png")
    table: Path = Path("report.md")


class Evaluate(TorchStage):
    """Some seconds for a hundred pictures. Bump the version when a number is computed in another way."""

    version = 2
    Params = EvaluateParams
    Inputs = EvaluateInputs
    Outputs = EvaluateOutputs

    def run(self, action: BoundAction, context: Context) -> Notes:
        """Judge the pictures, the baseline, and real pictures that were held out, in the same way."""
        from spritebuild_stages.datasets import artifact
        from spritebuild_stages.evaluation import presentation
        from spritebuild_stages.evaluation.judging import Reference, judged
        from spritebuild_stages.images import png

        params: EvaluateParams = action.params
        inputs: EvaluateInputs = action.inputs
        examples = artifact.read(inputs.images, inputs.manifest).examples
        classifier = _classifier(inputs.classifier, context.threads)
        _check(params, inputs, examples, classifier)
        labels = frozenset(params.labels) if params.labels and all(params.labels) else frozenset()
        reference = Reference(examples, classifier, labels)
        _check_reference(reference, inputs.manifest)
        generated, warnings = _shown(inputs.generated, params, examples)
        sets = {"generated": generated}
        if inputs.baseline:
            sets["baseline"] = _shown(inputs.baseline, params, examples)[0]
        if reference.held_out:
            sets["held_out"] = reference.held_out
        weights = params.weights.model_dump() | ({} if any(params.labels) else {"classes": 0.0})
        found = {name: judged(pictures, reference, weights) for name, pictures in sets.items()}
        result = found["generated"]
        if result.figures["match"] is None:
            hint = "give `classifier` and `labels`, or weigh palette or edges"
            raise UsageError("no term of the match can be measured", hint=hint)
        warnings += _warnings(result)
        report = _report(params, weights, reference, found, warnings)
        pixels = {example.name: example.pixels for example in reference.learned}
        facts = zip(generated, result.pictures, strict=True)
        pairs = [(picture.pixels, pixels[fact["nearest"]], fact["memorized"]) for picture, fact in facts]
        action.outputs.report.write_text(artifact.canonical(report), encoding="utf-8", newline="\n")
        png.write(action.outputs.sheet, presentation.sheet(pairs))
        action.outputs.table.write_text(presentation.table(report), encoding="utf-8", newline="\n")
        _accept(params, found)
        return {"match": result.figures["match"], "memorized": result.figures["memorized"], "warnings": warnings}


def _classifier(path: Path | None, threads: int) -> Classifier | None:
    if path is None:
        return None
    from spritebuild_stages import _torch

    torch = _torch.start(threads)
    from spritebuild_stages.evaluation.classifier_net import load

    return load(path, _torch.device(torch))


def _check(
    params: EvaluateParams, inputs: EvaluateInputs, examples: Sequence[Example], classifier: Classifier | None
) -> None:
    """Raise UsageError for what does not fit together."""
    import difflib

    from spritebuild_stages.datasets.colors import NAMED

    for what, paths in (("generated", inputs.generated), ("baseline", inputs.baseline)):
        if len(paths) != len(params.names) and (paths or what == "generated"):
            raise UsageError(
                f"{len(paths)} pictures in `{what}` for {len(params.names)} names", hint="give each picture one name"
            )
    if any(params.labels) and classifier is None:
        raise UsageError("labels are read by a classifier, and there is none", hint="give `classifier`, or no labels")
    known = {"color": tuple(NAMED), "label": () if classifier is None else classifier.about.classes}
    for what, given in (("label", params.labels), ("color", params.colors)):
        for name, value in zip(params.names, given, strict=False):
            if value and value not in known[what]:
                close = difflib.get_close_matches(value, known[what], 1)
                hint = f"did you mean {close[0]!r}?" if close else 'write "" where it does not matter'
                facts = [("known", ", ".join(known[what]))]
                raise UsageError(f"{name}: {value!r} is no {what} that is known", facts=facts, hint=hint)


def _check_reference(reference: Reference, manifest: Path) -> None:
    if not reference.learned or not len(reference.palette.colors):
        raise UsageError("the reference set has no visible picture that is not held out", where=str(manifest))
    if not reference.compared:
        assert reference.classifier is not None
        raise UsageError(
            f"no picture of the reference set has one of the labels of the generated ones as its "
            f"{reference.classifier.about.label}",
            where=str(manifest),
            facts=[("labels", ", ".join(sorted(reference.labels)))],
            hint="evaluate with the dataset that the classifier was trained on",
        )


def _shown(paths: Sequence[Path], params: EvaluateParams, examples: Sequence[Example]) -> tuple[list[Shown], list[str]]:
    """Pictures on a canvas of the reference set's most frequent size, where they are smaller; and warnings."""
    from spritebuild_stages.evaluation.judging import Shown
    from spritebuild_stages.evaluation.pixel_metrics import centered
    from spritebuild_stages.images import png

    (height, width), _ = Counter(example.pixels.shape[:2] for example in examples).most_common(1)[0]
    shown, larger, empty = [], [], []
    for place, (name, path) in enumerate(zip(params.names, paths, strict=True)):
        try:
            rgba: NDArray[np.uint8] = png.read(path)
        except png.PngError as error:
            raise UsageError(f"{name} cannot be read: {error}", hint="pictures to evaluate are PNGs") from error
        larger += [name] * (rgba.shape[0] > height or rgba.shape[1] > width)
        empty += [name] * (not rgba[..., 3].any())
        label, color = (given[place] if given else "" for given in (params.labels, params.colors))
        shown.append(Shown(name, centered(rgba, height, width), label, color))
    warnings = []
    if larger:
        names = f"{len(larger)} pictures, such as {larger[0]}"
        warnings.append(f"{names}, are larger than the {width}x{height} of the reference set: compare before enlarging")
    if empty:
        warnings.append(f"{len(empty)} pictures, such as {empty[0]}, show nothing")
    return shown, warnings


def _warnings(result: Judged) -> list[str]:
    warnings = []
    if copied := [fact for fact in result.pictures if fact["memorized"]]:
        first = f"such as {copied[0]['name']} of {copied[0]['nearest']}"
        warnings.append(f"as near as copies to training pictures: {len(copied)} of {len(result.pictures)}, {first}")
    if len(result.pictures) < FEW:
        warnings.append(f"numbers of a set of {len(result.pictures)} pictures are rough: {FEW} or more tell more")
    return warnings


def _report(
    params: EvaluateParams,
    weights: Mapping[str, float],
    reference: Reference,
    found: Mapping[str, Judged],
    warnings: Sequence[str],
) -> dict[str, Any]:
    from spritebuild_stages.evaluation.judging import rounded

    result = found["generated"]
    about = None if reference.classifier is None else reference.classifier.about
    measured_on, distances = reference.yardstick
    report: dict[str, Any] = {
        "version": VERSION,
        "match": result.figures["match"],
        "accept_at": params.accept_at,
        "terms": {name: {"value": value, "weight": weights[name]} for name, value in result.terms.items()},
        "sets": {name: judged.figures for name, judged in found.items()},
        "reference": rounded(
            {
                "pictures": len(reference.learned),
                "compared": len(reference.compared),
                "palette_colors": len(reference.palette.colors),
                "palette_share": float(reference.palette.shares.sum()),
                "palette_distance": reference.own_palette_distance,
            }
        ),
        "memorization": {
            "threshold": round(reference.threshold, 5),
            "measured_on": measured_on,
            "pictures": len(distances),
        },
        "classifier": None if about is None else {"label": about.label, "balanced_accuracy": about.balanced},
        "pictures": result.pictures,
        "warnings": list(warnings),
    }
    if "baseline" in found and (before := found["baseline"].figures["match"]) is not None:
        report["gain"] = round(report["match"] - before, 2)
    return report


def _accept(params: EvaluateParams, found: Mapping[str, Judged]) -> None:
    """Raise RegressionError for a match that is not good enough, with everything that was found."""
    figures = found["generated"].figures
    if params.accept_at is None or (figures["match"] or 0) >= params.accept_at:
        return
    facts: list[tuple[str, object]] = [("accept_at", params.accept_at)]
    facts += [(f"term {name}", value) for name, value in found["generated"].terms.items() if value is not None]
    facts += [(name, value) for name, value in figures.items() if value is not None]
    facts += [(f"match of {name}", one.figures["match"]) for name, one in found.items() if name != "generated"]
    raise RegressionError(
        f"the pictures match the reference set by {figures['match']} %, less than {params.accept_at:g} %",
        facts=facts,
        hint="train longer or on more pictures; leave out accept_at to see the report and the sheet",
    )
