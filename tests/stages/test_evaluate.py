"""Evaluating pictures of small shapes: what the numbers say of known pictures, and what a build is told."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

pytest.importorskip("torch")

from sets import sprite
from shapes import KINDS, SMALL, shape, shapes
from training_runs import cpu, dataset

from spritebuild.errors import RegressionError, UsageError
from spritebuild.stage import BoundAction, Context, Stages
from spritebuild_stages.datasets.artifact import Example
from spritebuild_stages.evaluate import Evaluate, EvaluateInputs, EvaluateOutputs, EvaluateParams
from spritebuild_stages.evaluation import judging
from spritebuild_stages.evaluation.presentation import sheet
from spritebuild_stages.images import png
from spritebuild_stages.train_classifier import (
    TrainClassifier,
    TrainClassifierInputs,
    TrainClassifierOutputs,
    TrainClassifierParams,
)

pytestmark = pytest.mark.diffusion
__all__ = ["cpu"]  # a fixture that every test uses

Rgba = NDArray[np.uint8]
EXAMPLES = shapes(24, 6)
LEARNED = [example for example in EXAMPLES if not example.held_out]
HELD_OUT = [example for example in EXAMPLES if example.held_out]


def kinds(examples: Sequence[Example]) -> list[str]:
    return [example.labels["kind"] for example in examples]


def pixels(examples: Sequence[Example]) -> list[Rgba]:
    return [example.pixels for example in examples]


def recolored(rgba: Rgba) -> Rgba:
    """Red, green and blue in another order, and all colors of a picture lighter."""
    return np.concatenate([rgba[..., [1, 2, 0]] // 2 + 127, rgba[..., 3:]], axis=2) * (rgba[..., 3:] > 0)


def framed() -> int:
    """The place of a picture with an empty frame, which no other one is like."""
    alone = [one.tobytes() for one in pixels(LEARNED)]
    return next(
        place
        for place, one in enumerate(pixels(LEARNED))
        if LEARNED[place].labels["kind"] == "disc"
        and one[1:-1, 1:-1, 3].sum() == one[..., 3].sum()
        and alone.count(one.tobytes()) == 1
    )


@dataclass
class Bench:
    """Runs the stage on pictures, each time in a folder of its own."""

    folder: Path
    data: dict[str, Path]
    classifier: Path | None = None
    numbers: Iterator[int] = field(default_factory=itertools.count)
    notes: dict[str, Any] = field(default_factory=dict)

    def run(self, generated: Sequence[Rgba], baseline: Sequence[Rgba] = (), **params: Any) -> Path:
        out = self.folder / f"out{next(self.numbers)}"
        out.mkdir()
        paths: dict[str, tuple[Path, ...]] = {}
        for kind, pictures in (("generated", generated), ("baseline", baseline)):
            paths[kind] = tuple(out / f"{kind}{number}.png" for number in range(len(pictures)))
            for path, picture in zip(paths[kind], pictures, strict=True):
                png.write(path, picture)
        outputs = EvaluateOutputs(report=out / "report.json", sheet=out / "sheet.png", table=out / "report.md")
        told = EvaluateParams(**{"names": tuple(f"p{number}" for number in range(len(generated))), **params})
        given = EvaluateInputs(**self.data, classifier=self.classifier, **paths)
        self.notes = dict(Evaluate().run(BoundAction(told, given, outputs), Context(self.folder)))
        return out

    def report(self, generated: Sequence[Rgba], baseline: Sequence[Rgba] = (), **params: Any) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.run(generated, baseline, **params) / "report.json").read_text("utf-8"))
        return found

    def figures(self, generated: Sequence[Rgba], **params: Any) -> dict[str, Any]:
        found: dict[str, Any] = self.report(generated, **params)["sets"]["generated"]
        return found


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Path], Path]:
    """A set of shapes, and a classifier of them."""
    folder = tmp_path_factory.mktemp("trained")
    data = dataset(folder, *EXAMPLES)
    outputs = TrainClassifierOutputs(
        classifier=folder / "classifier", summary=folder / "summary.json", log=folder / "log.jsonl"
    )
    params = TrainClassifierParams(**SMALL, steps=120, learning_rate=5e-3)
    TrainClassifier().run(BoundAction(params, TrainClassifierInputs(**data), outputs), Context(folder))
    return data, outputs.classifier


@pytest.fixture
def plain(tmp_path: Path, trained: tuple[dict[str, Path], Path]) -> Bench:
    """Without a classifier."""
    return Bench(tmp_path, trained[0])


@pytest.fixture
def bench(tmp_path: Path, trained: tuple[dict[str, Path], Path]) -> Bench:
    return Bench(tmp_path, *trained)


# Palette and copies


def test_recolored_sprites_raise_palette_distance_and_lower_the_match(plain: Bench) -> None:
    same = plain.figures(pixels(HELD_OUT))
    other = plain.figures([recolored(one) for one in pixels(HELD_OUT)])
    assert other["palette_distance"] > same["palette_distance"] + 1
    assert other["palette_coverage"] < same["palette_coverage"]
    assert other["match"] < same["match"] - 5
    # the lightness of edges changes, and nothing else of them
    assert other["edge_similarity"] > 0.7


def test_perfect_copies_have_palette_distance_0_and_are_memorized(plain: Bench) -> None:
    few = [Example(e.name, e.captions, e.pixels, labels=e.labels) for e in LEARNED[:9]]
    held = [Example(f"held/{e.name}", e.captions, e.pixels, held_out=True) for e in HELD_OUT]
    # each color in more than a hundredth of the pixels: the palette has them all
    plain.data = dataset(plain.folder / "few", *few, *held)
    report = plain.report(pixels(few))
    assert report["sets"]["generated"]["palette_distance"] == 0
    assert report["sets"]["generated"]["memorized"] == 9
    assert report["sets"]["generated"]["edge_similarity"] == 1
    assert all(one["memorized"] and one["nearest_training_distance"] == 0 for one in report["pictures"])
    assert [one["nearest"] for one in report["pictures"]] == [one.name for one in few]
    assert report["match"] == 100
    assert report["memorization"]["measured_on"] == "held out"
    assert "as near as copies to training pictures: 9 of 9, such as p0 of bar0.png" in plain.notes["warnings"]
    assert plain.notes["memorized"] == 9


def test_fresh_pictures_are_not_memorized(plain: Bench) -> None:
    fresh = [shape(kind, number) for kind in KINDS for number in range(200, 210)]
    report = plain.report(fresh)
    assert report["sets"]["generated"]["memorized"] <= 1  # one of a hundred is expected
    assert 0 < report["memorization"]["threshold"] < 0.05


def test_without_pictures_held_out_each_is_left_out_for_the_yardstick(plain: Bench) -> None:
    noise = [Example(f"{number}", ("noise",), sprite(number)) for number in range(12)]
    plain.data = dataset(plain.folder / "learned", *noise)
    report = plain.report(pixels(noise[:3]))
    assert report["memorization"]["measured_on"] == "trained on, each left out"
    assert report["memorization"]["threshold"] > 0
    assert report["sets"]["generated"]["memorized"] == 3
    assert set(report["sets"]) == {"generated"}
    plain.data = dataset(plain.folder / "one", noise[0])
    assert plain.report(pixels(noise[:3]))["sets"]["generated"]["memorized"] == 1


# Classes and colors


def test_real_sprites_are_read_as_what_they_show_and_wrong_labels_are_not(bench: Bench) -> None:
    right = bench.figures(pixels(HELD_OUT), labels=kinds(HELD_OUT))
    wrong = bench.figures(pixels(HELD_OUT), labels=[KINDS[KINDS.index(kind) - 1] for kind in kinds(HELD_OUT)])
    assert right["class_accuracy"] > 0.8
    assert right["relative_class_accuracy"] == pytest.approx(1, abs=0.01)  # the very pictures that it was measured on
    assert wrong["class_accuracy"] < 0.2
    assert wrong["match"] < right["match"] - 20
    assert right["match"] > 85


def test_set_of_one_kind_is_compared_with_that_kind(bench: Bench) -> None:
    bars = [example for example in HELD_OUT if example.labels["kind"] == "bar"]
    among_bars = bench.report(pixels(bars), labels=kinds(bars))
    among_all = bench.report(pixels(bars), labels=["", *kinds(bars)[1:]])
    assert (among_bars["reference"]["compared"], among_all["reference"]["compared"]) == (18, 54)
    assert among_bars["sets"]["held_out"]["pictures"] == 6
    assert among_bars["sets"]["generated"]["kid"] < among_all["sets"]["generated"]["kid"]
    assert among_bars["sets"]["generated"]["expected_coverage"] > among_all["sets"]["generated"]["expected_coverage"]


def test_noise_is_far_from_real_pictures_in_every_number(bench: Bench) -> None:
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 256, (12, 12, 4), np.uint8) for _ in HELD_OUT]
    sets = bench.report(noise, labels=kinds(HELD_OUT))["sets"]
    noisy, real = sets["generated"], sets["held_out"]
    assert noisy["palette_distance"] > real["palette_distance"]
    assert noisy["kid"] > 10 * abs(real["kid"])
    assert noisy["nearest_training_distance"] > real["nearest_training_distance"]
    for number in ("match", "edge_similarity", "density", "coverage", "class_accuracy"):
        assert noisy[number] < real[number], number


def test_color_words_are_compared_with_the_expected_ones(plain: Bench) -> None:
    red = shape("disc", 1)
    red[red[..., 0] > 0, :3] = (200, 30, 30)
    found = plain.report([red, red, red], colors=["red", "blue", ""])
    assert found["sets"]["generated"]["color_accuracy"] == 0.5
    assert [one["color"] for one in found["pictures"]] == ["red"] * 3
    assert [one.get("expected_color") for one in found["pictures"]] == ["red", "blue", None]


# The match and the report


def test_match_is_the_weighted_mean_of_the_terms_that_are_known() -> None:
    weights = {"palette": 1.0, "edges": 3.0, "coverage": 5.0, "classes": 0.0}
    terms = {"palette": 1.0, "edges": 0.5, "coverage": None, "classes": 0.1}
    assert judging.match(terms, weights) == 62.5
    assert judging.match({**terms, "coverage": 1.0}, weights) == pytest.approx(100 * 7.5 / 9)
    assert judging.match(dict.fromkeys(terms), weights) is None


def test_palette_term_halves_with_every_difference_that_is_just_seen(plain: Bench) -> None:
    report = plain.report([recolored(one) for one in pixels(LEARNED)], weights={"palette": 1, "edges": 0})
    excess = report["sets"]["generated"]["palette_distance"] - report["reference"]["palette_distance"]
    assert report["terms"]["palette"]["value"] == pytest.approx(2 ** (-excess / 2), abs=1e-3)
    assert report["match"] == pytest.approx(100 * report["terms"]["palette"]["value"], abs=0.02)


def test_order_of_the_pictures_changes_no_number_of_the_set(bench: Bench) -> None:
    shown, labels = [recolored(one) for one in pixels(HELD_OUT)], kinds(HELD_OUT)
    names = [f"n{number}" for number in range(len(shown))]
    one = bench.report(shown, shown, names=names, labels=labels)
    order = np.random.default_rng(3).permutation(len(shown)).tolist()
    moved, moved_names = [shown[place] for place in order], [names[place] for place in order]
    other = bench.report(moved, shown, names=moved_names, labels=[labels[place] for place in order])
    assert {**other["sets"], "baseline": None} == {**one["sets"], "baseline": None}
    assert (other["match"], other["terms"]) == (one["match"], one["terms"])
    assert other["pictures"] == [one["pictures"][place] for place in order]


def test_baseline_is_judged_likewise_and_the_gain_is_said(bench: Bench) -> None:
    report = bench.report(pixels(HELD_OUT), [recolored(one) for one in pixels(HELD_OUT)], labels=kinds(HELD_OUT))
    sets = report["sets"]
    assert list(sets) == ["baseline", "generated", "held_out"]
    assert report["gain"] == pytest.approx(sets["generated"]["match"] - sets["baseline"]["match"], abs=0.01)
    assert report["gain"] > 5
    assert sets["generated"] == sets["held_out"]


def test_outputs_are_the_same_bytes_every_time_and_name_no_place(bench: Bench) -> None:
    def made() -> list[bytes]:
        out = bench.run(pixels(HELD_OUT), labels=kinds(HELD_OUT), colors=["red"] * len(HELD_OUT))
        return [(out / name).read_bytes() for name in ("report.json", "report.md", "sheet.png")]

    first = made()
    assert made() == first
    assert str(bench.folder).encode() not in first[0] + first[1]
    text = first[1].decode()
    assert text.startswith("# Match: ")
    rows = [line for line in text.splitlines() if line.startswith("| p")]
    assert len(rows) == 3 + len(HELD_OUT)  # palette_distance, palette_coverage, the term palette; the pictures


def test_sheet_shows_each_picture_beside_the_nearest(plain: Bench) -> None:
    picture = png.read(plain.run(pixels(HELD_OUT[:7])) / "sheet.png")
    # 12 pixels eightfold; two in a pair with a seam of 2, gaps of 6 around; five pairs in a row
    assert picture.shape == (2 * (96 + 12), 5 * (2 * 96 + 2 + 12), 4)
    assert (picture[..., 3] == 255).all()
    one = HELD_OUT[0].pixels
    opaque = one[..., 3] == 255
    assert np.array_equal(picture[6:102:8, 6:102:8][opaque], one[opaque])
    copied = sheet([(one, one, True)])
    assert copied[4, 4].tolist() == [200, 40, 30, 255]
    assert np.array_equal(copied[6:102, 6:102], copied[6:102, 104:200])


def test_sheet_of_very_many_pictures_is_cut_to_what_a_png_can_hold() -> None:
    large = np.zeros((700, 700, 4), np.uint8)
    found = sheet([(large, large, False)] * 40)
    assert found.shape[0] * found.shape[1] <= png.MAX_PIXELS
    assert found.shape[0] > 700


def test_match_below_accept_at_is_refused_with_all_numbers(bench: Bench) -> None:
    shown, labels = [recolored(one) for one in pixels(HELD_OUT)], kinds(HELD_OUT)
    figures = bench.figures(shown, labels=labels)
    assert bench.figures(shown, labels=labels, accept_at=math.floor(figures["match"])) == figures
    with pytest.raises(RegressionError, match=r"less than 99 %") as refused:
        bench.run(shown, labels=labels, accept_at=99)
    assert refused.value.exit_code == 1
    facts = dict(refused.value.facts)
    assert facts["palette_distance"] == str(figures["palette_distance"])
    assert facts["accept_at"] == "99.0"
    assert {"match", "kid", "coverage", "class_accuracy", "memorized", "term palette", "match of held_out"} <= set(
        facts
    )
    assert "accept_at" in (refused.value.hint or "")


def test_pictures_smaller_than_the_set_are_centered_and_larger_ones_are_warned_of(plain: Bench) -> None:
    whole = LEARNED[framed()].pixels
    cut = whole[1:11, 1:11].copy()
    assert plain.report([cut])["pictures"][0]["nearest_training_distance"] == 0
    assert plain.notes["warnings"][-1] == "numbers of a set of 1 pictures are rough: 20 or more tell more"
    large = whole.repeat(2, axis=0).repeat(2, axis=1)
    plain.report([large])
    assert plain.notes["warnings"][0].startswith("1 pictures, such as p0, are larger than the 12x12")


def test_pictures_that_show_nothing_match_nothing(bench: Bench) -> None:
    report = bench.report([np.zeros((12, 12, 4), np.uint8)] * 2, labels=["bar", "disc"])
    figures = report["sets"]["generated"]
    assert (figures["palette_distance"], figures["edge_similarity"]) == (None, 0)
    assert report["terms"]["palette"]["value"] == 0
    assert any("show nothing" in warning for warning in report["warnings"])


def test_without_a_classifier_palette_and_edges_make_the_match(plain: Bench) -> None:
    report = plain.report(pixels(HELD_OUT))
    values = {name: term["value"] for name, term in report["terms"].items()}
    assert (values["coverage"], values["classes"], report["classifier"]) == (None, None, None)
    assert report["match"] == pytest.approx((60 * values["palette"] + 40 * values["edges"]), abs=0.02)


def test_what_does_not_fit_together_is_refused(bench: Bench) -> None:
    plain = Bench(bench.folder, bench.data, numbers=bench.numbers)
    shown = pixels(HELD_OUT[:2])
    with pytest.raises(UsageError, match="2 pictures in `generated` for 1 names"):
        bench.run(shown, names=["a"])
    with pytest.raises(UsageError, match="1 pictures in `baseline` for 2 names"):
        bench.run(shown, shown[:1])
    with pytest.raises(UsageError, match=r"p1: 'disk' is no label that is known(.|\n)*did you mean 'disc'"):
        bench.run(shown, labels=["bar", "disk"])
    with pytest.raises(UsageError, match="p0: 'reddish' is no color that is known"):
        bench.run(shown, colors=["reddish", ""])
    with pytest.raises(UsageError, match="labels are read by a classifier, and there is none"):
        plain.run(shown, labels=["bar", "bar"])
    with pytest.raises(UsageError, match="no term of the match can be measured"):
        plain.run(shown, weights={"palette": 0, "edges": 0})
    bare = [Example(e.name, e.captions, e.pixels) for e in LEARNED]
    bench.data = dataset(bench.folder / "bare", *bare)
    with pytest.raises(UsageError, match="no picture of the reference set has one of the labels"):
        bench.run(shown, labels=["bar", "bar"])
    plain.data = dataset(plain.folder / "unseen", Example("a", ("a",), np.zeros((4, 4, 4), np.uint8)))
    with pytest.raises(UsageError, match="no visible picture"):
        plain.run(shown)
    for wrong in ({"names": ("a", "a")}, {"labels": ("a",)}, {"weights": dict.fromkeys(SMALL, 1)}):
        with pytest.raises(ValidationError):
            EvaluateParams(**{"names": ("a", "b"), **wrong})
    with pytest.raises(ValidationError, match="one is greater than 0"):
        EvaluateParams(names=("a",), weights=dict.fromkeys(("palette", "edges", "coverage", "classes"), 0))


def test_the_stage_is_found_by_its_kind() -> None:
    stage = Stages()["evaluate"]
    assert (stage.kind, stage.device, stage.resumable) == ("evaluate", "accelerator", False)
