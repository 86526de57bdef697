"""The dataset stage: which files, on what canvas, how often."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError
from sets import OPAQUE, OUTPUTS, SPRITES, Content, auto, captioned, flat, make, needs_sprites, put, sprite

from spritebuild.errors import UsageError
from spritebuild.stage import Stages
from spritebuild_stages.dataset import Dataset
from spritebuild_stages.datasets.colors import NAMED
from spritebuild_stages.datasets.files import matches
from spritebuild_stages.datasets.params import Dye
from spritebuild_stages.images import png

# The set


def test_the_stage_is_found_by_its_kind() -> None:
    stage = Stages()["dataset"]
    assert (stage.kind, stage.version, stage.device) == ("dataset", 2, "cpu")


def test_importing_the_stage_imports_no_numpy() -> None:
    code = "import spritebuild_stages.dataset, sys; print({'numpy', 'PIL', 'safetensors', 'torch'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "set()\n"


def test_pictures_and_captions_come_back_in_the_order_of_paths(tmp_path: Path) -> None:
    made = make(
        tmp_path,
        put(tmp_path, {"b/x.png": sprite(1), "b/x.txt": "a red  x \n\nan x\n", "a.png": sprite(2), "a.txt": "an a"}),
    )
    assert made.captions == {"a.png": ("an a",), "b/x.png": ("a red x", "an x")}
    assert np.array_equal(made["a.png"].pixels, sprite(2))
    assert np.array_equal(made["b/x.png"].pixels, sprite(1))
    entry = made.manifest["pictures"][1]
    assert entry == {
        "name": "b/x.png",
        "tensor": "000001",
        "captions": ["a red x", "an x"],
        "size": [8, 8],
        "original_size": [8, 8],
        "scale": 1,
        "repeats": 1,
        "weight": 1.0,
        "held_out": False,
        "labels": {},
    }


def test_bytes_depend_on_neither_order_nor_folder_nor_process(tmp_path: Path) -> None:
    files = put(tmp_path / "one", captioned(12))
    expected = make(tmp_path / "one", files, held_out=0.3, triggers=["pixel"]).bytes()
    moved = put(tmp_path / "two", dict(reversed(captioned(12).items())))
    assert make(tmp_path / "two", moved, held_out=0.3, triggers=["pixel"]).bytes() == expected
    script = f"""
from pathlib import Path
from sets import make
told = {{"held_out": 0.3, "triggers": ["pixel"], "exclude": ["out/**"]}}
make(Path({str(tmp_path / "two")!r}), Path({str(tmp_path / "one")!r}), **told)
"""
    other = {**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", script], check=True, env=other)
    assert [(tmp_path / "two/out" / name).read_bytes() for name in OUTPUTS] == expected


def test_manifest_and_summary_are_canonical_and_name_no_place(tmp_path: Path) -> None:
    made = make(tmp_path, put(tmp_path, captioned(2)))
    for name in ("manifest.json", "summary.json"):
        text = (made.folder / name).read_text("utf-8")
        assert text == json.dumps(json.loads(text), indent=1, sort_keys=True, ensure_ascii=False) + "\n"
        assert str(tmp_path) not in text


def test_hidden_color_is_cleared(tmp_path: Path) -> None:
    rgba = np.full((4, 4, 4), (9, 8, 7, 0), np.uint8)
    rgba[0, 0, 3] = 255
    made = make(tmp_path, put(tmp_path, {"a.png": rgba, "a.txt": "a"}))
    assert made["a.png"].pixels.sum() == 9 + 8 + 7 + 255


def test_webp_and_jpeg_are_read_and_other_formats_have_a_warning(tmp_path: Path) -> None:
    encoded = {}
    for name, image in (("a.webp", Image.fromarray(sprite(3))), ("b.jpg", Image.fromarray(sprite(3)).convert("RGB"))):
        buffer = io.BytesIO()
        image.save(buffer, {"a.webp": "webp", "b.jpg": "jpeg"}[name], lossless=True, quality=95)
        encoded[name] = buffer.getvalue()
    files: dict[str, Content] = {**encoded, "c.gif": b"", "readme.md": b"", "a.txt": "a", "b.txt": "b"}
    made = make(tmp_path, put(tmp_path, files))
    assert np.array_equal(made["a.webp"].pixels, sprite(3))
    assert (made["b.jpg"].pixels[..., 3] == 255).all()
    assert "1 picture left out: the format is not read, such as that of c.gif" in made.warnings


# Which files


@pytest.mark.parametrize(
    ("glob", "matching", "other"),
    [
        ("**/*.png", ["a.png", "x/y/a.png", "a.PNG"], ["a.txt", "a.png/b"]),
        ("item/**", ["item/a.png", "item/x/a.png"], ["a.png", "items/a.png"]),
        ("*/a?.png", ["x/a1.png"], ["a1.png", "x/y/a1.png", "x/a.png"]),
        ("item/**/a.png", ["item/a.png", "item/x/y/a.png"], ["item/xa.png"]),
        ("[ab].png", ["a.png", "b.png"], ["c.png"]),
        ("[!ab].png", ["c.png"], ["a.png", "/.png"]),
        ("a+(1).png", ["a+(1).png"], ["aa1.png"]),
    ],
)
def test_globs_match_whole_paths(glob: str, matching: list[str], other: list[str]) -> None:
    assert [name for name in matching + other if matches(name, [glob])] == matching


def test_source_is_filtered_by_its_globs(tmp_path: Path) -> None:
    put(tmp_path / "set", {f"{folder}/{name}.png": sprite(ord(name)) for folder in "xy" for name in "ab"})
    told = {"captions": "auto", "templates": ["{name}"]}
    assert make(tmp_path, tmp_path / "set", include=["x/*.png"], **told).names == ["x/a.png", "x/b.png"]
    assert make(tmp_path, tmp_path / "set", exclude=["**/a.*"], **told).names == ["x/b.png", "y/b.png"]


def test_files_and_source_give_the_same_set(tmp_path: Path) -> None:
    files = put(tmp_path / "set", captioned(3))
    assert make(tmp_path, files).bytes() == make(tmp_path, tmp_path / "set").bytes()


def test_files_or_source_is_given(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="of `files` or of a `source`, one of them"):
        make(tmp_path, {})
    with pytest.raises(UsageError, match="is a folder"):
        make(tmp_path, tmp_path / "nowhere")


def test_no_picture_is_an_error_that_says_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        make(tmp_path, put(tmp_path, {"a.gif": b"", "b.gif": b"", "LICENSE": b""}))
    assert str(caught.value).splitlines()[:2] == ["a training set of no picture", "  files    2 .gif, 1 no suffix"]


def test_unreadable_pictures_are_named_all_at_once(tmp_path: Path) -> None:
    broken: dict[str, Content] = {
        "s0.png": b"no picture",
        "s2.png": png.encode(sprite())[:-30],
        "t.jpg": b"",
        "t.txt": "t",
    }
    with pytest.raises(UsageError) as caught:
        make(tmp_path, put(tmp_path, {**captioned(3), **broken}))
    assert str(caught.value).startswith(
        "3 pictures cannot be read\n  picture  s0.png: not a PNG\n  picture  s2.png: damaged"
    )
    assert "t.jpg: neither WebP nor JPEG" in str(caught.value)


# The canvas, and what has no place on it


@settings(max_examples=40)
@given(st.integers(1, 12), st.integers(1, 12), st.integers(12, 40), st.integers(12, 40))
def test_picture_is_enlarged_by_a_whole_factor_and_centered(
    tmp_path_factory: pytest.TempPathFactory, width: int, height: int, across: int, down: int
) -> None:
    folder = tmp_path_factory.getbasetemp() / "canvas"
    original = sprite(5, width, height)
    original[0, 0] = (1, 2, 3, 255)
    made = make(folder, put(folder, {"a.png": original, "a.txt": "a"}), size=[across, down])
    (entry,) = made.manifest["pictures"]
    scale, pixels = entry["scale"], made["a.png"].pixels
    assert pixels.shape == (down, across, 4)
    assert scale == min(across // width, down // height)
    x, y = (across - scale * width) // 2, (down - scale * height) // 2
    inner = pixels[y : y + scale * height, x : x + scale * width]
    assert np.array_equal(inner, original.repeat(scale, 0).repeat(scale, 1))
    assert np.count_nonzero(pixels[..., 3]) == np.count_nonzero(inner[..., 3])
    assert entry["original_size"] == [width, height]


def test_what_has_no_place_is_left_out_with_the_reason(tmp_path: Path) -> None:
    thin = sprite(1, 3, 8)
    pictures = {"wide.png": sprite(2, 33, 4), "high.png": sprite(3, 4, 40), "thin.png": thin, "good.png": sprite(4)}
    pictures |= {"empty.png": np.zeros((8, 8, 4), np.uint8), "speck.png": np.zeros((8, 8, 4), np.uint8)}
    pictures["speck.png"][0, 0] = 255
    told = {"captions": "auto", "size": [32, 32], "min_side": 4, "max_side": 39, "min_opaque": 0.1}
    made = make(tmp_path, put(tmp_path, pictures), **told)
    assert made.names == ["good.png"]
    assert made.skipped == {
        "empty.png": "nothing visible",
        "high.png": "longer than max_side",
        "speck.png": "less opaque than min_opaque",
        "thin.png": "shorter than min_side",
        "wide.png": "larger than the canvas",
    }
    assert made.summary["skipped"] == dict.fromkeys(made.skipped.values(), 1)
    assert "1 picture left out: larger than the canvas" in made.warnings


def test_picture_that_looks_like_an_earlier_one_is_dropped_and_a_recolored_one_is_not(tmp_path: Path) -> None:
    original = flat((200, 40, 40), 16)
    near = original.copy()
    near[8, 8] = (190, 50, 50, 255)
    recolored = original[..., [2, 1, 0, 3]]
    pictures = {"a.png": original, "b.png": near, "c.png": recolored, "d.png": sprite(1, 16, 16)}
    files = put(tmp_path, pictures)
    assert make(tmp_path, files, captions="auto").names == list(pictures)
    made = make(tmp_path, files, captions="auto", unique=4)
    assert made.names == ["a.png", "c.png", "d.png"]
    assert made.manifest["skipped"] == [{"name": "b.png", "reason": "looks like another one", "detail": "a.png"}]


@needs_sprites
def test_unique_keeps_real_sprites_that_differ_in_color_alone(tmp_path: Path) -> None:
    told = {"captions": "auto", "exclude": ["**/i-*"], "include": ["item/potion/*.png"]}
    made = make(tmp_path, SPRITES, unique=4, **told)
    assert made.skipped == {
        "item/potion/cloudy.png": "looks like another one",
        "item/potion/unknown.png": "looks like another one",
    }


# How often, and how many


def test_held_out_pictures_stay_when_others_are_added(tmp_path: Path) -> None:
    few = auto(tmp_path / "few", [f"{n}a.png" for n in range(0, 200, 2)], held_out=0.2)
    many = auto(tmp_path / "many", [f"{n}a.png" for n in range(200)], held_out=0.2)
    of_few, of_many = ({e.name for e in made.dataset.examples if e.held_out} for made in (few, many))
    assert of_few == of_many & set(few.names)
    assert 20 < len(of_many) < 60
    assert many.summary["pictures"]["held_out"] == len(of_many)


def test_balance_gives_every_value_the_same_share(tmp_path: Path) -> None:
    names = ["a/1.png", "a/2.png", "a/3.png", "b/1.png"]
    made = auto(tmp_path, names, templates=["{folder}"], balance="folder", rules=[{"match": "^a", "weight": 3}])
    shares = dict.fromkeys("ab", 0.0)
    for example in made.dataset.examples:
        shares[example.name[0]] += example.weight
    assert shares == {"a": 6.0, "b": 2.0}
    with pytest.raises(UsageError, match="no noun to balance by in 3 pictures"):
        auto(tmp_path, names, templates=["{folder}"], balance="noun", rules=[{"match": "^b", "set": {"noun": "b"}}])


def test_shares_are_those_of_the_values_of_balance(tmp_path: Path) -> None:
    names = ["a/1.png", "a/2.png", "b/1.png", "c/1.png"]
    told = {"templates": ["{folder}"], "balance": "folder"}
    made = auto(tmp_path, names, **told, shares={"a": 6, "b": 0.5})
    shares = dict.fromkeys("abc", 0.0)
    for example in made.dataset.examples:
        shares[example.name[0]] += example.weight
    assert [shares[value] / shares["c"] for value in "abc"] == pytest.approx([6, 0.5, 1])
    with pytest.raises(UsageError, match="no picture whose folder is 'd', which has a share"):
        auto(tmp_path, names, **told, shares={"d": 2})


def test_copies_in_other_hues_are_called_by_their_color_and_held_out_together(tmp_path: Path) -> None:
    red = np.zeros((8, 8, 4), np.uint8)
    red[1:7, 1:7] = (200, 30, 30, 255)
    gray = np.full((8, 8, 4), 128, np.uint8)
    files = {f"potion/red{letter}.png": red for letter in "abcdefghij"} | {
        "potion/gray.png": gray,
        "gray/wall.png": red,
    }
    rule = {"match": "^potion/", "set": {"color": "crimson"}, "weight": 2, "hues": [0.02, 1 / 3]}
    told = {
        "captions": "auto",
        "templates": ["{color} {folder}"],
        "rules": [rule],
        "held_out": 0.5,
        "labels": ["color"],
    }
    made = make(tmp_path, put(tmp_path, files), **told)
    copies = {name: made[name] for name in made.names if "@" in name}
    assert sorted(copies) == [f"potion/red{letter}.png@0.333333" for letter in "abcdefghij"]
    for name, copy in copies.items():
        original = made[name.partition("@")[0]]
        assert (original.captions, copy.captions) == (("crimson potion",), ("green potion",))
        assert copy.labels == {"color": "green"}
        assert (copy.held_out, copy.weight, original.weight) == (original.held_out, 1, 1)  # two as one of weight 2
        assert np.array_equal(copy.pixels[..., 3], red[..., 3])
        assert copy.pixels[4, 4].tolist() == [30, 200, 30, 255]
        assert not copy.pixels[0].any()
    assert len({copy.held_out for copy in copies.values()}) == 2


def test_gray_pictures_are_dyed_and_drawn_as_often_as_one_without_copies(tmp_path: Path) -> None:
    steel = np.zeros((8, 8, 4), np.uint8)
    steel[:, 1:7] = [(level, level, level, 255) for level in (0, 40, 80, 120, 160, 200)]
    files = {"sword/steel.png": steel, "sword/other.png": flat((200, 30, 30)), "wall/wall.png": steel}
    rule = {"match": "steel", "set": {"what": "blade"}, "dyes": ["red", "blue", "gray"]}
    templates = ["{color} {folder}", "{what}", "{folder}"]
    told = {"captions": "auto", "templates": templates, "rules": [rule], "balance": "folder"}
    made = make(tmp_path, put(tmp_path, files), **told)
    copies = [name for name in made.names if "@" in name]
    assert copies == ["sword/steel.png@red", "sword/steel.png@blue"]  # gray it is
    assert [made[name].captions for name in copies] == [("red sword",), ("blue sword",)]  # by their colors only
    for name, strongest in zip(copies, (0, 2), strict=True):
        colors = made[name].pixels[0, 1:7, :3].astype(int)
        assert np.array_equal(made[name].pixels[..., 3], steel[..., 3])
        assert colors[0].tolist() == [0, 0, 0]
        assert (np.diff(colors.sum(axis=1)) > 0).all()  # as dark and light as before, in order
        assert (colors[1:].argmax(axis=1) == strongest).all()
    weights = {example.name: example.weight for example in made.dataset.examples}
    steels = [weight for name, weight in weights.items() if name.startswith("sword/steel")]
    assert sum(steels) == pytest.approx(weights["sword/other.png"])
    assert sum(steels) + weights["sword/other.png"] == pytest.approx(weights["wall/wall.png"])


def test_dyes_are_the_colors_that_have_names() -> None:
    assert get_args(Dye) == tuple(NAMED)


def test_what_is_withheld_no_caption_says(tmp_path: Path) -> None:
    files = {
        "dragon/red.png": flat((200, 30, 30)),
        "dragon/green.png": flat((50, 160, 50)),
        "potion/red.png": flat((200, 30, 30)),
        "redcap/red.png": flat((200, 30, 30)),
    }
    told = {"captions": "auto", "templates": ["a {folder} that is {color}"], "withheld": ["Red dragon", "blue dragon"]}
    rules = [{"match": "potion", "hues": [1 / 3]}, {"match": "dragon/green", "hues": [1 / 3]}]
    made = make(tmp_path, put(tmp_path, files), **told, rules=rules)
    assert made.names == [
        "dragon/green.png",
        "dragon/red.png",
        "potion/red.png",
        "potion/red.png@0.333333",
        "redcap/red.png",
    ]  # and no blue dragon
    assert [example.name for example in made.dataset.examples if example.held_out] == ["dragon/red.png"]
    more = make(
        tmp_path / "more", put(tmp_path / "more", files), **{**told, "templates": [*told["templates"], "{folder}"]}
    )
    assert more["dragon/red.png"].captions == ("dragon",)
    assert not more["dragon/red.png"].held_out


def test_a_corrected_caption_is_not_said_of_copies(tmp_path: Path) -> None:
    red = flat((200, 30, 30))
    (tmp_path / "better.json").write_text('{"a.png": "a red thing"}')
    told = {"captions": "auto", "rules": [{"match": ".", "hues": [0.25]}], "corrections": tmp_path / "better.json"}
    made = make(tmp_path, put(tmp_path, {"a.png": red, "b.png": red}), **told)
    assert made.names == ["a.png", "b.png", "b.png@0.25"]


def test_repeats_are_those_of_every_picture(tmp_path: Path) -> None:
    made = make(tmp_path, put(tmp_path, captioned(3)), repeats=7)
    assert {example.repeats for example in made.dataset.examples} == {7}
    assert made.summary["visits"] == 21


def test_number_of_pictures_is_checked(tmp_path: Path) -> None:
    files = put(tmp_path, captioned(6))
    assert len(make(tmp_path, files, expect=6).names) == 6
    with pytest.raises(UsageError, match="6 pictures, not the 7 of `expect`"):
        make(tmp_path, files, expect=7)
    with pytest.raises(UsageError) as caught:
        make(tmp_path, files, min_images=20)
    assert (
        str(caught.value)
        == "a training set of 6 pictures\n\nhint: 20 are the fewest to train on: add pictures, or set min_images"
    )
    assert Dataset.Params().min_images == 20


# What is likely a mistake


@pytest.mark.parametrize(
    ("files", "told", "warning"),
    [
        (captioned(3), {}, "only 3 pictures: with fewer than 50, what is trained repeats them"),
        ({**captioned(3), "s2.png": sprite(2, 9, 9)}, {}, "pictures are of 2 sizes, mostly 8x8: give a canvas, `size`"),
        (
            {**captioned(3), "s2.png": sprite(2, 4, 4)},
            {"size": [8, 8]},
            "pixels are of different sizes: of the pictures, 2 by 1, 1 by 2 are enlarged",
        ),
        (
            {**captioned(3), "s2.png": sprite(0)},
            {},
            "1 picture the same as another one, 1 of them with other captions, such as s0.png and s2.png",
        ),
        ({**captioned(3), "s0.txt": "x", "s1.txt": "x"}, {}, "2 of 3 pictures have the same caption: x"),
        ({**captioned(3), "s1.txt": "x " * 61}, {}, "1 picture with captions of more than 60 words, such as s1.png"),
        (captioned(2), {"held_out": 0.001}, "held_out = 0.001 holds out none of 2 pictures"),
        (
            captioned(2),
            {"rules": [{"match": "s0", "set": {"view": "left"}}], "labels": ["view"]},
            "no label view for 1 of 2 pictures, such as s1.png",
        ),
    ],
)
def test_likely_mistakes_have_warnings(
    tmp_path: Path, files: dict[str, Any], told: dict[str, Any], warning: str
) -> None:
    made = make(tmp_path, put(tmp_path, files), **told)
    assert warning in made.warnings
    assert made.summary["warnings"] == made.warnings


def test_sound_set_has_no_warning(tmp_path: Path) -> None:
    assert make(tmp_path, put(tmp_path, captioned(50))).warnings == []


def test_summary_counts(tmp_path: Path) -> None:
    half = flat((255, 0, 0), 4)
    half[1, 1, 3] = 200
    files = put(
        tmp_path,
        {"a.png": half, "a.txt": "one two\nthree", "b.png": flat((255, 0, 0), 4) | OPAQUE, "b.txt": "b"},
    )
    summary = make(tmp_path, files, triggers=["t"]).summary
    assert summary["pictures"] == {"all": 2, "composed": 0, "held_out": 0, "opaque": 1, "soft_edged": 1}
    assert summary["captions"]["words"] == {"least": 2, "median": 2, "most": 3}
    assert summary["captions"]["by_words"] == {"2": 2, "3": 1}
    assert summary["sizes"] == summary["original_sizes"] == {"4x4": 2}
    assert summary["colors"] == {"distinct": 1, "most_common": [{"color": "#000000", "share": 1.0}]}


@pytest.mark.parametrize(
    "told",
    [
        {"captions": "guess"},
        {"captions": "auto", "templates": []},
        {"captions": "auto", "templates": ["{nam}"]},
        {"captions": "auto", "templates": ["{name"]},
        {"captions": "auto", "templates": [" "]},
        {"templates": ["{name}"]},
        {"rules": [{"match": "("}]},
        {"rules": [{"match": "a", "set": {"x": r"\1"}}]},
        {"rules": [{"match": "a", "set": {"X y": "a"}}]},
        {"rules": [{"match": "a", "weight": 0}]},
        {"labels": ["view"]},
        {"balance": "view"},
        {"shares": {"a": 2}},
        {"balance": "name", "shares": {"a": 0}},
        {"rules": [{"match": "a", "hues": [0.5]}]},
        {"captions": "auto", "rules": [{"match": "a", "hues": [1]}]},
        {"rules": [{"match": "a", "dyes": ["red"]}]},
        {"captions": "auto", "rules": [{"match": "a", "dyes": ["crimson"]}]},
        {"withheld": [" "]},
        {"triggers": [" "]},
        {"held_out": 0.6},
        {"unique": -1},
        {"size": [0, 8]},
        {"min_side": 9, "max_side": 8},
        {"min_opaque": 1.1},
        {"repeats": 0},
        {"expect": 0},
        {"include": []},
    ],
)
def test_params_that_cannot_be_meant_are_refused(told: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Dataset.Params.model_validate(told)
