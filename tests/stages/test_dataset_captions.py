"""The captions of a training set: written by people, or made from paths and colors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sets import SPRITES, auto, captioned, flat, make, needs_sprites, put, sprite

from spritebuild.errors import UsageError
from spritebuild_stages.datasets import captioning, colors
from spritebuild_stages.images import png

# Captions from sidecars


def test_other_sidecars_than_txt_are_recognized(tmp_path: Path) -> None:
    files = put(tmp_path, {"a.png": sprite(1), "b.png": sprite(2), "a.caption": "an a", "b.caption": "a b"})
    with pytest.raises(UsageError) as caught:
        make(tmp_path, files)
    assert str(caught.value) == (
        "no caption at all, for 2 pictures\n"
        "  such as         a.png\n"
        "  .caption files  2 beside them\n"
        "\n"
        "hint: captions are read from .txt files: rename the .caption files"
    )


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"s0.txt": None}, "no caption for 1 picture\n  picture  s0.png\n\nhint: write hero.txt beside hero.png"),
        ({"s9.txt": "a"}, "no picture for 1 text\n  text  s9.txt\n\nhint: name a text like its picture"),
        ({"s0.txt": None, "s0.png.txt": "a"}, "no picture for 1 text\n  text  s0.png.txt"),
        ({"s0.txt": " \n\n"}, "1 empty caption\n  text  s0.txt\n\nhint: write what the picture shows"),
        ({"s0.txt": b"\xff\xfea"}, "s0.txt: not a text in UTF-8"),
        ({f"s{n}.txt": None for n in range(7)}, "  picture  s4.png\n           and 2 more"),
    ],
)  # fmt: skip
def test_mistakes_in_sidecars_name_the_file_and_the_remedy(tmp_path: Path, files: dict[str, Any], message: str) -> None:
    changed = {name: content for name, content in {**captioned(8), **files}.items() if content is not None}
    with pytest.raises(UsageError) as caught:
        make(tmp_path, put(tmp_path, changed))
    assert message in str(caught.value)
    assert caught.value.exit_code == 2


def test_mistakes_are_found_before_a_picture_is_decoded(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no caption for 1 picture"):
        make(tmp_path, put(tmp_path, {**captioned(2), "s2.png": b"no picture"}))


def test_text_of_an_excluded_picture_is_no_orphan_and_neither_is_one_elsewhere(tmp_path: Path) -> None:
    put(tmp_path / "set", {**captioned(2), "test_1.png": sprite(9), "test_1.txt": "t", "docs/readme.txt": "r"})
    made = make(tmp_path, tmp_path / "set", exclude=["test_*.png"])
    assert made.names == ["s0.png", "s1.png"]


def test_trigger_is_put_before_captions_that_lack_it(tmp_path: Path) -> None:
    texts = {"s0.txt": "a knight", "s1.txt": "Zork style, a catapult", "s2.txt": "a cat in zork  style"}
    made = make(tmp_path, put(tmp_path, {**captioned(3), **texts}), triggers=["zork style", "cat"])
    assert made.captions == {
        "s0.png": ("zork style, cat, a knight",),
        "s1.png": ("cat, Zork style, a catapult",),
        "s2.png": ("a cat in zork style",),
    }
    assert made.dataset.triggers == ("zork style", "cat")


@given(st.text("ab <>*.,-", max_size=12), st.lists(st.text("ab<>*.-", min_size=1, max_size=4), max_size=3, unique=True))
def test_caption_contains_every_trigger_afterwards(caption: str, triggers: list[str]) -> None:
    said = captioning.with_triggers(caption, triggers)
    assert said.endswith(caption)
    assert all(captioning.contains(said, trigger) for trigger in triggers)
    assert captioning.with_triggers(said, triggers) == said


@pytest.mark.parametrize(
    "text",
    [
        '"s0.png" = "a corrected one"\n"s1.png" = ["one", "two"]\n',
        '{"s0.png": "a corrected one", "s1.png": ["one", "two"]}',
    ],
)
def test_corrections_win_in_toml_and_json(tmp_path: Path, text: str) -> None:
    files = put(tmp_path, {**captioned(3), "s1.txt": "", "fixes": text})
    fixes = files.pop("fixes")
    expected = {"s0.png": ("a corrected one",), "s1.png": ("one", "two")}
    assert make(tmp_path, files, corrections=fixes).captions == {**expected, "s2.png": ("sprite number 2",)}
    pictures = {name: path for name, path in files.items() if name.endswith(".png")}
    made = make(tmp_path, pictures, corrections=fixes, captions="auto", templates=["{name}"])
    assert made.captions == {**expected, "s2.png": ("s",)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('"s9.png" = "x"', "no picture for 1 correction\n  path  s9.png\n\nhint: did you mean 's"),
        ('"s0.png" = ""', "the correction of 's0.png' is no caption"),
        ('"s0.png" = []', "the correction of 's0.png' is no caption"),
        ('[item]\n"s0.png" = "x"', "the correction of 'item' is no caption"),
        ("s0.png: x", "neither TOML nor JSON"),
        ("{", "neither TOML nor JSON"),
    ],
)
def test_corrections_that_correct_nothing_are_refused(tmp_path: Path, text: str, message: str) -> None:
    files = put(tmp_path, {**captioned(2), "fixes.toml": text})
    with pytest.raises(UsageError) as caught:
        make(tmp_path, files, corrections=files.pop("fixes.toml"))
    assert message in str(caught.value)


# Captions by templates


def test_name_and_folder_are_words_of_the_path(tmp_path: Path) -> None:
    names = ["item/old_ring/ruby-ring_2.png", "top_hat12.png", "item/7.png"]
    made = auto(tmp_path, names, templates=["{folder}: {name}", "{name}", "{folder}"])
    assert made.captions == {
        "item/7.png": ("item",),
        "item/old_ring/ruby-ring_2.png": ("old ring: ruby ring", "ruby ring", "old ring"),
        "top_hat12.png": ("top hat",),
    }


def test_rules_apply_in_order_and_their_groups_are_filled_in(tmp_path: Path) -> None:
    rules = [
        {"match": r"^(\w+)/", "set": {"noun": r"\1", "kind": "thing"}},
        {"match": "dragon", "set": {"noun": "dragon", "kind": ""}, "weight": 2},
        {"match": r"(red|ice)_(?=dragon)", "set": {"breed": r"\1"}, "weight": 1.5},
        {"match": "test_", "drop": True},
    ]
    names = ["mon/red_dragon.png", "mon/bat.png", "mon/test_bat.png", "ice_dragon.png"]
    made = auto(
        tmp_path, names, rules=rules, templates=["{breed} {noun}", "{noun}, a {kind}", "{noun}"], labels=["kind"]
    )
    assert made.captions == {
        "ice_dragon.png": ("ice dragon", "dragon"),
        "mon/bat.png": ("mon, a thing", "mon"),
        "mon/red_dragon.png": ("red dragon", "dragon"),
    }
    assert [example.weight for example in made.dataset.examples] == [3.0, 1.0, 3.0]
    assert [dict(example.labels) for example in made.dataset.examples] == [{}, {"kind": "thing"}, {}]
    assert made.manifest["skipped"] == [{"name": "mon/test_bat.png", "reason": "dropped by a rule", "detail": "test_"}]


def test_words_are_replaced_or_dropped_as_whole_words(tmp_path: Path) -> None:
    rules = [{"match": "old_(.+)[.]", "set": {"noun": r"\1"}}]
    words = {"Armour": "armor", "old": "", "bplate": "breast plate"}
    made = auto(tmp_path, ["old_bplate_armour.png"], rules=rules, words=words, templates=["{name}", "oldest {noun}"])
    assert made.captions["old_bplate_armour.png"] == ("breast plate armor", "oldest breast plate armor")


def test_word_that_follows_itself_is_said_once(tmp_path: Path) -> None:
    rules = [{"match": "dragon", "set": {"noun": "dragon"}}]
    made = auto(tmp_path, ["dragon.png", "red_dragon.png"], rules=rules, templates=["a {name} {noun}, {noun}"])
    assert made.captions == {
        "dragon.png": ("a dragon dragon, dragon",),
        "red_dragon.png": ("a red dragon dragon, dragon",),
    }
    made = auto(tmp_path, ["dragon.png", "red_dragon.png"], rules=rules, templates=["a {name} {noun}"])
    assert made.captions == {"dragon.png": ("a dragon",), "red_dragon.png": ("a red dragon",)}


def test_picture_that_no_template_fits_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        auto(tmp_path, ["a.png", "x/b.png"], templates=["{folder}"])
    assert str(caught.value).startswith("no template fits 1 picture: a slot is empty\n  picture  a.png")


def test_texts_that_auto_does_not_read_have_a_warning(tmp_path: Path) -> None:
    made = make(tmp_path, put(tmp_path, captioned(3)), captions="auto")
    assert '3 texts not read: captions = "auto"' in made.warnings


# Colors


@pytest.mark.parametrize(
    ("color", "word"),
    [
        ((210, 20, 30), "red"), ((110, 15, 20), "red"), ((240, 140, 20), "orange"), ((250, 220, 50), "yellow"),
        ((40, 170, 60), "green"), ((20, 80, 30), "green"), ((50, 210, 210), "cyan"), ((40, 70, 210), "blue"),
        ((150, 50, 190), "purple"), ((240, 140, 200), "pink"), ((125, 80, 45), "brown"), ((125, 125, 130), "gray"),
        ((245, 245, 245), "white"), ((15, 15, 15), "black"),
    ],
)  # fmt: skip
def test_outline_does_not_hide_the_color(color: tuple[int, int, int], word: str) -> None:
    rgba = flat(color)
    assert np.count_nonzero((rgba == (0, 0, 0, 255)).all(axis=2)) > 16 or word == "black"  # more than the color has
    assert colors.color_word(rgba) == word


def test_color_is_of_opaque_pixels_and_none_has_no_word() -> None:
    rgba = flat((210, 20, 30))
    rgba[:2] = (0, 0, 255, 127)
    assert colors.color_word(rgba) == "red"
    assert colors.color_word(np.full((4, 4, 4), 100, np.uint8)) == ""


def test_color_of_a_rule_goes_before_the_measured_one(tmp_path: Path) -> None:
    files = put(tmp_path, {"gem_ruby.png": flat((40, 70, 210)), "gem.png": flat((40, 70, 210))})
    told = {"templates": ["{color} gem"], "labels": ["color"]}
    made = make(tmp_path, files, captions="auto", rules=[{"match": "_(ruby)", "set": {"color": r"\1"}}], **told)
    assert made.captions == {"gem.png": ("blue gem",), "gem_ruby.png": ("ruby gem",)}
    assert made.summary["labels"] == {"color": {"blue": 1, "ruby": 1}}


@needs_sprites
def test_colors_of_real_sprites_are_those_of_their_names() -> None:
    told = [
        ("item/potion/brilliant_blue", "blue"), ("item/potion/brown", "brown"), ("item/potion/ruby", "red"),
        ("item/potion/white", "white"), ("item/potion/yellow", "yellow"), ("item/book/cyan", "cyan"),
        ("mon/dragons/quicksilver_dragon", "blue"), ("mon/dragons/hydra1", "green"), ("player/body/robe_red", "red"),
        ("player/body/robe_green", "green"), ("player/body/robe_blue", "blue"), ("player/cloak/magenta", "purple"),
    ]  # fmt: skip
    measured = [(name, colors.color_word(png.read(SPRITES / f"{name}.png"))) for name, _ in told]
    assert measured == told
