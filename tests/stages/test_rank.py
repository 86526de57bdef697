"""Ranking: which of several pictures of a sprite a person should look at first, and why."""

from __future__ import annotations

import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError
from sets import SPRITES, needs_sprites

from spritebuild.errors import StageError
from spritebuild.stage import BoundAction, Context, Stages
from spritebuild_stages.art.ranking import MEASURES, Score, ranked
from spritebuild_stages.images import png
from spritebuild_stages.rank import Rank

Rgba = NDArray[np.uint8]
EQUAL = dict.fromkeys(MEASURES, Fraction(1))


def hero(side: int = 8) -> Rgba:
    """A red square with a black border."""
    rgba = np.zeros((side, side, 4), np.uint8)
    rgba[1:-1, 1:-1] = (0, 0, 0, 255)
    rgba[2:-2, 2:-2] = (200, 30, 40, 255)
    return rgba


def dotted(rgba: Rgba, count: int, color: tuple[int, int, int] = (0, 255, 0)) -> Rgba:
    """The picture with single pixels of another color inside, none of which touch."""
    found = rgba.copy()
    for place in range(count):
        y, x = divmod(place, 2)
        found[2 + 2 * y, 3 + 2 * x] = (*color, 255)
    return found


def ranks(
    folder: Path,
    images: list[Rgba],
    references: list[Rgba] | None = None,
    scores: list[Any] | None = None,
    palettes: dict[str, Path] | None = None,
    **params: Any,
) -> list[dict[str, Any]]:
    paths = [folder / f"{n}.png" for n in range(len(images) + len(references or []))]
    for path, rgba in zip(paths, [*images, *(references or [])], strict=True):
        png.write(path, rgba)
    files = [folder / f"{n}.json" for n in range(len(scores or []))]
    for file, score in zip(files, scores or [], strict=True):
        file.write_text(score if isinstance(score, str) else json.dumps(score), "utf-8")
    action = BoundAction(
        Rank.Params.model_validate({"seeds": range(10, 10 + len(images)), **params}),
        Rank.Inputs(
            images=tuple(paths[: len(images)]),
            references=tuple(paths[len(images) :]),
            palettes=palettes or {},
            scores=tuple(files),
        ),
        Rank.Outputs(report=folder / "rank.json"),
    )
    assert Rank().run(action, Context(memory=folder)) is None
    rows: list[dict[str, Any]] = json.loads(action.outputs.report.read_bytes())["candidates"]
    return rows


def test_the_stage_is_found_by_its_kind() -> None:
    stage = Stages()["rank"]
    assert (stage.kind, stage.version, stage.device) == ("rank", 1, "cpu")


def test_importing_the_stage_imports_no_numpy() -> None:
    code = "import spritebuild_stages.rank, sys; print({'numpy', 'PIL', 'deflate'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "set()\n"


def test_the_report_is_that(tmp_path: Path) -> None:
    limits = {"palette": ["#000000", "#c81e28"], "max_colors": 3}
    rows = ranks(tmp_path, [dotted(hero(), 2), hero()], limits=limits)
    assert rows == [
        {
            "seed": 10,
            "rank": 2,
            "score": 0.9722,
            "scores": {"style": 1.0, "palette": 0.9444, "orphans": 0.9444, "silhouette": 1.0},
            "words": "as its style asks for; 2 pixels outside the palette; 2 orphan pixels; "
            "100 % of its border stands out on any ground",
        },
        {
            "seed": 11,
            "rank": 1,
            "score": 1.0,
            "scores": {"style": 1.0, "palette": 1.0, "orphans": 1.0, "silhouette": 1.0},
            "words": "as its style asks for; all colors are in the palette; no orphan pixels; "
            "100 % of its border stands out on any ground",
        },
    ]


def test_the_same_candidates_give_the_same_bytes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (9, 9, 4), np.uint8) for _ in range(6)]
    first = ranks(tmp_path, images, [hero()] * 3)
    data = (tmp_path / "rank.json").read_bytes()
    assert ranks(tmp_path, images, [hero()] * 3) == first
    assert (tmp_path / "rank.json").read_bytes() == data


def test_of_equals_the_first_seed_is_first(tmp_path: Path) -> None:
    assert [row["rank"] for row in ranks(tmp_path, [hero()] * 4)] == [1, 2, 3, 4]


def test_a_broken_limit_costs_its_part_of_the_style(tmp_path: Path) -> None:
    kept, broken = ranks(tmp_path, [hero(), dotted(hero(), 1)], limits={"max_colors": 2, "size": [8, 8]})
    assert (kept["scores"]["style"], broken["scores"]["style"]) == (1.0, 0.75)  # size, colors, alpha, mixels
    assert broken["words"].startswith("off its style in colors; ")


def test_what_references_have_is_no_fault_and_what_they_never_have_is(tmp_path: Path) -> None:
    usual = [dotted(hero(12), count) for count in range(4)]
    same, far = ranks(tmp_path, [dotted(hero(12), 3), dotted(hero(12), 8)], usual)
    assert same["scores"]["style"] == 1.0
    assert same["scores"]["orphans"] > 0.99
    assert far["scores"]["orphans"] < 0.8 * same["scores"]["orphans"]
    assert (same["rank"], far["rank"]) == (1, 2)


def test_a_palette_file_counts_like_colors(tmp_path: Path) -> None:
    (tmp_path / "game.hex").write_text("000000\nc81e28\n")
    rows = ranks(tmp_path, [dotted(hero(), 2)], palettes={"game": tmp_path / "game.hex"})
    assert rows[0]["scores"]["palette"] == 0.9444
    assert "palette" not in ranks(tmp_path, [hero()])[0]["scores"]


def test_a_weight_of_nothing_leaves_a_measure_out_of_the_order_and_the_words(tmp_path: Path) -> None:
    images = [dotted(hero(), 2), hero()]
    weights = {"orphans": 0, "palette": 0, "style": 0}
    rows = ranks(tmp_path, images, weights=weights)
    assert [row["rank"] for row in rows] == [1, 2]
    assert {row["words"] for row in rows} == {"100 % of its border stands out on any ground"}
    assert [row["score"] for row in ranks(tmp_path, images, weights=dict.fromkeys(MEASURES, 0))] == [0, 0]


def test_what_shows_nothing_is_last_whatever_it_scored(tmp_path: Path) -> None:
    empty, full = ranks(tmp_path, [np.zeros((1, 1, 4), np.uint8), hero()], scores=[{"score": 1}, {"score": 0}])
    assert (empty["rank"], empty["score"], empty["scores"], empty["words"]) == (2, 0.0, {}, "no visible pixel")
    assert full["rank"] == 1
    assert ranks(tmp_path, [np.zeros((1, 1, 4), np.uint8)])[0]["rank"] == 1


def test_a_tile_has_no_silhouette_and_is_none_the_worse(tmp_path: Path) -> None:
    rows = ranks(tmp_path, [np.full((8, 8, 4), 255, np.uint8)] * 2, tile="both")
    assert "silhouette" not in rows[0]["scores"]
    assert rows[0]["score"] > 0.9


def test_one_that_alone_has_no_silhouette_gets_nothing_for_it(tmp_path: Path) -> None:
    shape, full = ranks(tmp_path, [hero(), np.full((8, 8, 4), 255, np.uint8)])
    assert (shape["rank"], full["rank"]) == (1, 2)
    assert full["score"] < 0.7


def test_a_scorer_counts_as_much_as_it_weighs(tmp_path: Path) -> None:
    images, scores = [hero(), dotted(hero(), 1)], [{"score": 0.2}, {"score": 0.9, "words": "a hero"}]
    rows = ranks(tmp_path, images, scores=scores)
    assert [row["scores"]["prompt"] for row in rows] == [0.2, 0.9]
    assert [row["rank"] for row in rows] == [2, 1]
    assert rows[0]["words"].endswith("; 20 % by its prompt")
    assert rows[1]["words"].endswith("; a hero")
    assert [row["rank"] for row in ranks(tmp_path, images, scores=scores, weights={"prompt": 0})] == [1, 2]


def test_the_words_of_a_scorer_do_nothing_to_a_terminal(tmp_path: Path) -> None:
    (row,) = ranks(tmp_path, [hero()], scores=[{"score": 1, "words": "\x1b[2J\n::error::‮" + "x" * 900}])
    assert row["words"].isprintable()
    assert len(row["words"]) < 400


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("{", "a score is no JSON"),
        ("[1]", "a score is not from 0 to 1"),
        ({}, "a score is not from 0 to 1"),
        ({"score": True}, "a score is not from 0 to 1"),
        ({"score": 1.01}, "a score is not from 0 to 1"),
        ('{"score": NaN}', "a score is not from 0 to 1"),
        ({"score": 1, "words": 3}, "the words of a score are no text"),
    ],
)
def test_a_wrong_score_is_an_error(tmp_path: Path, said: Any, message: str) -> None:
    with pytest.raises(StageError, match=message):
        ranks(tmp_path, [hero()], scores=[said])


def test_seeds_images_and_scores_are_as_many(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="2 images for 1 seeds"):
        ranks(tmp_path, [hero()] * 2, seeds=[1])
    with pytest.raises(StageError, match="1 scores for 2 seeds"):
        ranks(tmp_path, [hero()] * 2, scores=[{"score": 1}])


@pytest.mark.parametrize(
    "params", [{"seeds": []}, {"seeds": [1, 1]}, {"weights": {"style": -1}}, {"weights": {"a": 1}}]
)
def test_wrong_params_are_refused(params: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Rank.Params.model_validate({"seeds": [1], **params})


shares = st.fractions(0, 1, max_denominator=50)
rows_of = st.lists(st.dictionaries(st.sampled_from(MEASURES), shares), min_size=1, max_size=8)


@given(rows=rows_of, weights=st.fixed_dictionaries(dict.fromkeys(MEASURES, st.integers(0, 5))))
def test_ranks_count_from_one_and_follow_the_totals(rows: list[dict[str, Fraction]], weights: dict[str, int]) -> None:
    pictures = [{name: Score(number, name) for name, number in row.items()} for row in rows]
    found = ranked(pictures, {name: Fraction(weight) for name, weight in weights.items()})
    assert sorted(one.rank for one in found) == list(range(1, len(rows) + 1))
    assert all(0 <= one.total <= 1 for one in found)
    order = sorted(found, key=lambda one: one.rank)
    assert [one.total for one in order] == sorted((one.total for one in found), reverse=True)


@given(rows=rows_of, more=shares)
def test_more_of_a_measure_never_costs_a_place(rows: list[dict[str, Fraction]], more: Fraction) -> None:
    pictures = [{name: Score(number, "") for name, number in row.items()} for row in rows]
    for measure, score in pictures[0].items():
        better = [{**pictures[0], measure: Score(max(score.number, more), "")}, *pictures[1:]]
        assert ranked(better, EQUAL)[0].rank <= ranked(pictures, EQUAL)[0].rank


@needs_sprites
def test_hand_made_sprites_come_before_what_was_done_to_them(tmp_path: Path) -> None:
    files = sorted((SPRITES / "item").rglob("*.png"))
    drawn = [rgba for rgba in map(png.read, files) if 60 <= np.count_nonzero(rgba[..., 3]) < 900]
    references, rest = drawn[::2][:80], drawn[1::2][:40]
    rng = np.random.default_rng(3)
    wins = 0
    for rgba in rest:
        noisy = rgba.copy()
        hit = (rng.random(rgba.shape[:2]) < 0.3) & (rgba[..., 3] > 0)
        noisy[hit, :3] = rng.integers(0, 256, (int(hit.sum()), 3))
        noisy_first, whole = ranks(tmp_path, [noisy, rgba], references)
        wins += whole["rank"] < noisy_first["rank"]
    assert wins >= 0.9 * len(rest)
