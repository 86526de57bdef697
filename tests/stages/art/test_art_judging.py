"""Verdicts, by limits, by references, and by what is wrong in any pixel art; and what is said of them."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from drawn import INK, LIGHT, MIDDLE, Rgba, draw, enlarged, few_colors, sprite
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from spritebuild_stages.art import judging
from spritebuild_stages.art.limits import Limits
from spritebuild_stages.art.measured import measured, with_twins
from spritebuild_stages.art.report import lines, report

Report = dict[str, Any]


def judge(sprites: dict[str, Rgba], references: list[Rgba] | None = None, **limits: Any) -> Report:
    told = Limits(**limits)
    palette = tuple((int(c[1:3], 16), int(c[3:5], 16), int(c[5:7], 16)) for c in told.palette)
    found = with_twins(list(sprites), [measured(rgba, palette) for rgba in sprites.values()])
    normal = None
    if references is not None:
        normal = judging.references(with_twins([""] * len(references), [measured(rgba) for rgba in references]))
    return report(list(sprites), found, judging.judged(found, told, normal), normal)


def finding(report: Report, measure: str, name: str = "hero") -> Any:
    entries = next(sprite["findings"] for sprite in report["sprites"] if sprite["name"] == name)
    return next(entry for entry in entries if entry["measure"] == measure)


def soft(rgba: Rgba, count: int) -> Rgba:
    found = rgba.copy()
    rows, columns = np.nonzero(rgba[..., 3])
    found[rows[:count], columns[:count], 3] = 100
    return found


HANDS = [sprite(number) for number in range(40)]


def test_hand_made_sprites_alone_are_in_order() -> None:
    found = judge({str(number): sprite(number) for number in range(8)})
    assert found["summary"]["sentence"] == "8 sprites: in order"
    assert list(lines(found)) == ["8 sprites: in order"]


def test_sprites_of_the_references_style_are_in_order() -> None:
    found = judge({str(number): sprite(number) for number in range(50, 60)}, HANDS)
    assert found["summary"]["violations"] == 0
    assert found["summary"]["notices"] <= 2
    assert found["references"]["count"] == 40


@pytest.mark.parametrize(
    ("limits", "measure", "bound"),
    [
        ({"size": (32, 32)}, "size", "32x32 is declared"),
        ({"max_colors": 2}, "colors", "at most 2 is allowed"),
        ({"palette": ("#0a080c",)}, "palette", "none is allowed"),
        ({"palette": ("#000",), "palette_violations": 3}, "palette", "at most 3 is allowed"),
        ({"orphans": 0.005}, "orphans", "at most 0.5 % is allowed"),
        ({"scale": 2}, "scale", "2 is declared"),
        ({"detail": 1}, "detail", "at least 100 % is asked for"),
        ({"soft_alpha": 0}, "soft_alpha", "none is allowed"),
        ({"banding": 0}, "banding", "none is allowed"),
        ({"outline": 1}, "outline", "at least 100 % is asked for"),
        ({"silhouette": 1}, "silhouette", "at least 100 % is asked for"),
    ],
)
def test_a_broken_limit_is_a_violation(limits: dict[str, Any], measure: str, bound: str) -> None:
    hero = soft(sprite(3), 5)
    hero[6:10, 2:4, :3] = INK
    hero[4:12, 13, :] = (*LIGHT, 255)
    hero[5:7, 4:9] = [[(*MIDDLE, 255)], [(*LIGHT, 255)]]
    hero[4, 4:9] = (*INK, 255)
    hero[:3, :2] = (*INK, 255)
    hero[0, 0] = (1, 1, 1, 255)
    entry = finding(judge({"hero": hero}, **limits), measure)
    assert (entry["verdict"], entry["judged_by"]) == ("violation", "limit")
    assert entry["sentence"].startswith("hero: ")
    assert entry["sentence"].endswith(f"; {bound}")


def test_a_limit_that_is_just_kept_is_kept() -> None:
    hero = draw("rr..", "rr..", "..m.", "....")
    assert finding(judge({"hero": hero}, orphans=0.2), "orphans")["verdict"] == "ok"
    assert finding(judge({"hero": hero}, orphans=0.1999999), "orphans")["verdict"] == "violation"
    assert finding(judge({"hero": hero}, max_colors=2), "colors")["verdict"] == "ok"


def test_a_limit_is_judged_by_alone_whatever_the_references_have() -> None:
    noise: Rgba = np.random.default_rng(0).integers(0, 256, (16, 16, 4), np.uint8)
    noise[..., 3] = 255
    assert finding(judge({"hero": noise}, HANDS), "colors")["verdict"] == "notice"
    assert finding(judge({"hero": noise}, HANDS, max_colors=999), "colors")["verdict"] == "ok"


def test_outside_of_what_the_references_have_is_a_notice() -> None:
    entry = finding(
        judge(
            {"hero": np.dstack([np.arange(256, dtype=np.uint8).reshape(16, 16)] * 3 + [np.full((16, 16), 255)])}, HANDS
        ),
        "orphans",
    )
    assert entry["verdict"] == "notice"
    assert entry["usual"][1] < entry["allowed"][1] < entry["value"] == 1
    assert entry["sentence"].startswith(
        "hero: 256 of 256 visible pixels (100 %) are orphans, single pixels whose color touches no equal one; the refe"
    )


def test_a_range_is_from_the_5th_to_the_95th_percentile_and_widened() -> None:
    numbers = [Fraction(number, 200) for number in range(1, 101)]
    found = judging._range(numbers, "orphans")
    assert found.usual == (Fraction(5, 200), Fraction(95, 200))
    assert found.allowed == (Fraction(0), Fraction(95, 200) + Fraction(90, 800))
    assert judging._range([Fraction(1)], "outline").allowed == (Fraction(49, 50), Fraction(1))
    assert judging._range([Fraction(7)], "colors").allowed == (Fraction(5), Fraction(9))


@pytest.mark.parametrize("references", [None, HANDS])
def test_soft_alpha_and_mixels_are_wrong_in_any_pixel_art(references: list[Rgba] | None) -> None:
    mixed = np.pad(enlarged(sprite(1), 2), ((1, 1), (1, 1), (0, 0)))
    mixed[13, 13:19, 0] ^= 128
    found = judge({"hero": soft(sprite(1), 1), "mixed": mixed}, references)
    assert finding(found, "soft_alpha")["verdict"] == "notice"
    assert finding(found, "mixels", "mixed")["verdict"] == "notice"
    assert "lie off the 2x2 grid that the others keep" in finding(found, "mixels", "mixed")["sentence"]


def test_soft_alpha_is_normal_where_the_references_have_it() -> None:
    references = [soft(rgba, 20) for rgba in HANDS]
    assert finding(judge({"hero": soft(sprite(1), 20)}, references), "soft_alpha")["verdict"] == "ok"


def test_one_enlargement_among_true_pixels_is_noticed() -> None:
    sprites = {str(number): sprite(number) for number in range(3)} | {"hero": enlarged(sprite(9), 3)}
    entry = finding(judge(sprites), "scale")
    assert (entry["verdict"], entry["judged_by"], entry["value"]) == ("notice", "set", 3)
    assert entry["sentence"].endswith("; most of the others are at 1")
    assert finding(judge(sprites), "scale", "0")["verdict"] == "ok"
    assert finding(judge(sprites, HANDS), "scale")["judged_by"] == "references"


def test_an_enlargement_is_measured_by_its_true_pixels() -> None:
    small, large = judge({"hero": sprite(4)}), judge({"hero": enlarged(sprite(4), 5)})
    for measure in ("colors", "orphans", "detail", "banding", "outline", "silhouette", "fill", "parts"):
        assert finding(small, measure) == finding(large, measure)


def test_a_picture_without_a_visible_pixel_is_noticed_and_nothing_else_said_of_it() -> None:
    found = judge({"hero": np.zeros((4, 5, 4), np.uint8)}, HANDS, orphans=0, outline=1)
    assert [entry["measure"] for entry in found["sprites"][0]["findings"]] == ["size", "visible"]
    assert finding(found, "visible")["sentence"] == "hero: no visible pixel of 20"
    assert found["sprites"][0]["verdict"] == "notice"


def test_a_tile_has_no_silhouette() -> None:
    found = judge({"hero": np.full((16, 16, 4), 255, np.uint8)}, outline=1, silhouette=1)
    measures = [entry["measure"] for entry in found["sprites"][0]["findings"]]
    assert measures == ["size", "colors", "orphans", "detail", "soft_alpha", "fill"]
    assert found["sprites"][0]["verdict"] == "ok"


def test_the_same_picture_under_two_names_is_noticed() -> None:
    found = judge({"hero": sprite(1), "other": sprite(2), "twin": sprite(1)})
    assert finding(found, "distinct")["sentence"] == "hero: cannot be told from twin"
    assert finding(found, "distinct")["verdict"] == "notice"
    assert finding(found, "distinct", "other")["verdict"] == "ok"


def test_a_recolored_sprite_is_told_apart_by_its_colors() -> None:
    blue = sprite(1)
    blue[..., :3] = blue[..., 2::-1]
    blue[blue[..., 3] > 0, 2] |= 160
    for limits in ({}, {"distinct": 0.1}):
        found = judge({"hero": sprite(1), "blue": blue}, HANDS, **limits)
        assert finding(found, "distinct")["verdict"] == "ok"
        assert "100 % of its silhouette is that of blue, in other colors" in finding(found, "distinct")["sentence"]


def test_nearly_the_same_sprite_is_noticed_where_references_have_no_such_pairs() -> None:
    near = sprite(1)
    near[8, 8, :3] ^= 3
    entry = finding(judge({"hero": sprite(1), "near": near}, HANDS), "distinct")
    assert (entry["verdict"], entry["judged_by"], entry["least"]) == ("notice", "references", 0.05)
    assert entry["sentence"].endswith("; most references share less than 95 % with another in such colors")
    in_pairs = judge({"hero": sprite(1), "near": near}, [*HANDS, *HANDS])
    assert finding(in_pairs, "distinct")["verdict"] == "ok"


def test_nearly_the_same_sprite_breaks_a_limit() -> None:
    near = sprite(1)
    near[8, 8, :3] ^= 3
    entry = finding(judge({"hero": sprite(1), "near": near}, distinct=0.05), "distinct")
    assert entry["verdict"] == "violation"
    assert entry["sentence"].endswith(
        "is that of near, in nearly the same colors; at most 95 % is allowed in nearly the same colors"
    )


def test_a_canvas_that_all_references_share_is_expected() -> None:
    assert finding(judge({"hero": sprite(1, 20)}, HANDS), "size")["sentence"] == "hero: 20x20; the references are 16x16"
    assert finding(judge({"hero": sprite(1, 20)}, [*HANDS, sprite(1, 24)]), "size")["verdict"] == "ok"


def test_the_lines_give_violations_first_and_the_summary_last() -> None:
    found = judge({"a": soft(sprite(1), 3), "b": sprite(2)}, size=(16, 15))
    said = list(lines(found))
    assert [line.split()[0] for line in said] == ["violation", "violation", "notice", "2"]
    assert said[-1] == "2 sprites: 2 violations and 1 notice"
    everything = list(lines(found, everything=True))
    assert len(everything) == sum(len(one["findings"]) for one in found["sprites"]) + 1
    assert found["summary"]["measures"] == {
        "size": {"violations": 2, "notices": 0},
        "soft_alpha": {"violations": 0, "notices": 1},
    }


@given(st.lists(few_colors, min_size=1, max_size=4), st.lists(few_colors, max_size=3))
def test_any_pictures_have_a_report_in_sentences(sprites: list[Rgba], references: list[Rgba]) -> None:
    named = {f"s{number}": rgba for number, rgba in enumerate(sprites)}
    found = judge(named, references or None, palette=("#fff",), orphans=0.5, outline=0.5)
    assert found == judge(named, references or None, palette=("#fff",), orphans=0.5, outline=0.5)
    for one in found["sprites"]:
        for entry in one["findings"]:
            assert entry["sentence"].startswith(f"{one['name']}: ")
            assert not entry["of"] or 0 <= entry["value"] <= 1 if "of" in entry else entry["value"] >= 0


@pytest.mark.parametrize(
    "limits",
    [
        {"orphans": 1.1},
        {"orphans": -0.1},
        {"max_colors": 0},
        {"palette": ("red",)},
        {"palette_violations": -1},
        {"size": (0, 1)},
        {"size": (1,)},
        {"scale": 0},
        {"colors": 3},
    ],
)
def test_what_no_limit_means_is_refused(limits: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Limits(**limits)


def test_two_spellings_of_a_color_are_one() -> None:
    assert Limits(palette=("#ABC",)) == Limits(palette=("#aabbcc",))
