"""Loading a spritefile with what it includes; what the user reads when it is wrong."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from spritebuild.errors import Fault, SpritefileError, UsageError
from spritebuild.spritefile import Spritefile, load
from spritebuild.spritefile.scan import LARGEST_FILE

PROJECT = '[project]\nname = "island"\n'
Files = dict[str, str]


@pytest.fixture
def loaded(tmp_path: Path) -> Callable[..., Spritefile]:
    """Load a spritefile of a text, with further files beside it."""

    def write(text: str, files: Files | None = None) -> Spritefile:
        for name, content in {"spritefile.toml": text, **(files or {})}.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8", newline="")
        return load(tmp_path / "spritefile.toml")

    return write


@pytest.fixture
def refused(loaded: Callable[..., Spritefile]) -> Callable[..., str]:
    """The whole text of the error that a spritefile causes."""

    def read(text: str, files: Files | None = None) -> str:
        with pytest.raises(SpritefileError) as caught:
            loaded(text, files)
        return str(caught.value)

    return read


Loaded = Callable[..., Spritefile]
Refused = Callable[..., str]


def test_tables_keep_the_order_of_their_declaration(loaded: Loaded) -> None:
    text = PROJECT + '[sprites.b]\nstyle = "s"\n[sprites.a]\n[styles.s]\nsteps = 3\n'
    spritefile = loaded(text)
    assert list(spritefile.sprites) == ["b", "a"]
    assert spritefile.sprites["b"].style == "s"
    assert spritefile.styles["s"].steps == 3
    assert spritefile.project.name == "island"


def test_root_is_the_resolved_folder_of_the_spritefile(loaded: Loaded, tmp_path: Path) -> None:
    assert loaded(PROJECT).root == tmp_path.resolve()


def test_files_carry_path_text_and_digest(loaded: Loaded) -> None:
    text = 'include = ["art/*.toml"]\n' + PROJECT
    spritefile = loaded(text, {"art/b.toml": "# ä\r\n", "art/a.toml": ""})
    assert [file.path for file in spritefile.files] == ["spritefile.toml", "art/a.toml", "art/b.toml"]
    assert spritefile.files[2].text == "# ä\r\n"
    assert spritefile.files[2].digest == hashlib.sha256("# ä\r\n".encode()).hexdigest()
    assert spritefile.include == ("art/*.toml",)


def test_included_declarations_follow_in_the_order_of_globs_and_names(loaded: Loaded) -> None:
    text = 'include = ["z.toml", "*.toml"]\n[sprites.first]\n' + PROJECT
    files = {"z.toml": "[sprites.second]\n", "b.toml": "[sprites.fourth]\n", "a.toml": "[sprites.third]\n"}
    assert list(loaded(text, files).sprites) == ["first", "second", "third", "fourth"]


def test_included_style_may_be_used_by_the_main_file_and_back(loaded: Loaded) -> None:
    text = 'include = ["a.toml"]\n[sprites.x]\nstyle = "dark"\n[styles.base]\n' + PROJECT
    assert loaded(text, {"a.toml": '[styles.dark]\nextends = "base"\n'}).styles["dark"].extends == "base"


def test_fault_points_into_the_file_that_declares_the_path(loaded: Loaded) -> None:
    spritefile = loaded('include = ["a.toml"]\n' + PROJECT, {"a.toml": "[styles.ruins]\nsteps = 20\n"})
    assert spritefile.fault(("styles", "ruins", "steps"), "is odd", "make it even", key=False) == Fault(
        "is odd", "a.toml", line=2, column=9, source="steps = 20", width=2, hint="make it even"
    )
    assert spritefile.fault(("styles", "ruins", "guidance"), "is missing").line == 1
    assert spritefile.fault(("project", "name"), "is dull").file == "spritefile.toml"


def test_long_line_is_not_shown(loaded: Loaded) -> None:
    spritefile = loaded(f'{PROJECT}[sprites.a]\nprompt = "{"x" * 300}"\n')
    assert str(spritefile.fault(("sprites", "a", "prompt"), "is long")) == "spritefile.toml:4:1: is long"


def test_control_characters_of_a_line_are_not_shown(refused: Refused) -> None:
    assert refused(PROJECT + "x\t= 1 # \u202e\u009b\n") == (
        'spritefile.toml:3:1: unknown key "x"\n'
        "  3 | x = 1 #   \n"
        "    | ^\n"
        "  hint: keys: name, assets, seed, stages, requires, quality, profile, mark\n"
        "1 error"
    )


# The whole text of what the user reads


def test_unknown_style(refused: Refused) -> None:
    text = PROJECT + '\n[styles.ruins]\n[styles.forest]\n\n[sprites.tower]\nstyle = "ruin"\nprompt = "a tower"\n'
    assert refused(text) == (
        'spritefile.toml:8:9: unknown style "ruin"\n'
        '  8 | style = "ruin"\n'
        "    |         ^^^^^^\n"
        '  hint: did you mean "ruins"? styles: ruins, forest\n'
        "1 error"
    )


def test_wrong_type_and_misspelled_key(refused: Refused) -> None:
    assert refused(PROJECT + '[styles.ruins]\nsteps = "twenty"\npromt = "{prompt}, moss"\n') == (
        'spritefile.toml:4:9: steps must be a whole number, not "twenty"\n'
        '  4 | steps = "twenty"\n'
        "    |         ^^^^^^^^\n"
        'spritefile.toml:5:1: unknown key "promt"\n'
        '  5 | promt = "{prompt}, moss"\n'
        "    | ^^^^^\n"
        '  hint: did you mean "prompt"?\n'
        "2 errors"
    )


def test_cycle_through_extends(refused: Refused) -> None:
    assert refused(PROJECT + '[styles.a]\nextends = "b"\n[styles.b]\nextends = "a"\n') == (
        "spritefile.toml:4:11: styles extend each other: a -> b -> a\n"
        '  4 | extends = "b"\n'
        "    |           ^^^\n"
        "  hint: take one extends out\n"
        "1 error"
    )


def test_duplicate_declaration_across_files(refused: Refused) -> None:
    text = 'include = ["art.toml"]\n' + PROJECT + "[sprites.tower]\n"
    assert refused(text, {"art.toml": "\n[sprites.tower]\n"}) == (
        "art.toml:2:10: sprites.tower is declared twice\n"
        "  2 | [sprites.tower]\n"
        "    |          ^^^^^\n"
        "  hint: first declared in spritefile.toml:4\n"
        "1 error"
    )


def test_duplicate_key_in_one_file(refused: Refused) -> None:
    assert refused(PROJECT + "[styles.ruins]\nsteps = 1\nsteps = 2\n") == (
        "spritefile.toml:5:1: styles.ruins.steps is declared twice\n"
        "  5 | steps = 2\n"
        "    | ^^^^^\n"
        "  hint: first declared on line 4\n"
        "1 error"
    )


def test_duplicate_table_in_one_file(refused: Refused) -> None:
    assert refused(PROJECT + "[styles.ruins]\n[styles.ruins]\n") == (
        "spritefile.toml:4:9: styles.ruins is declared twice\n"
        "  4 | [styles.ruins]\n"
        "    |         ^^^^^\n"
        "  hint: first declared on line 3\n"
        "1 error"
    )


def test_path_that_leaves_the_project(refused: Refused) -> None:
    assert refused(PROJECT + '[palettes.db32]\nfile = "../db32.hex"\n') == (
        'spritefile.toml:4:8: file "../db32.hex" contains ".."\n'
        '  4 | file = "../db32.hex"\n'
        "    |        ^^^^^^^^^^^^^\n"
        "  hint: paths are relative to the folder of the spritefile and stay in it\n"
        "1 error"
    )


def test_absolute_path(refused: Refused) -> None:
    assert refused(PROJECT + 'assets = "/srv/art"\n') == (
        'spritefile.toml:3:10: assets "/srv/art" is absolute\n'
        '  3 | assets = "/srv/art"\n'
        "    |          ^^^^^^^^^^\n"
        "  hint: paths are relative to the folder of the spritefile and stay in it\n"
        "1 error"
    )


def test_symlink_escape(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "weights").symlink_to("/")
    assert refused(PROJECT + '[models.base]\npath = "weights"\n') == (
        'spritefile.toml:4:8: path "weights" leaves the project through a symlink\n'
        '  4 | path = "weights"\n'
        "    |        ^^^^^^^^^\n"
        "  hint: paths are relative to the folder of the spritefile and stay in it\n"
        "1 error"
    )


def test_missing_palette_file(refused: Refused) -> None:
    assert refused(PROJECT + '[palettes.db32]\nfile = "art/db32.hex"\n') == (
        'spritefile.toml:4:8: file "art/db32.hex" does not exist\n'
        '  4 | file = "art/db32.hex"\n'
        "    |        ^^^^^^^^^^^^^^\n"
        "1 error"
    )


def test_dotted_key_of_40_kilobytes(refused: Refused) -> None:
    assert refused(PROJECT + "a." * 20_000 + "a = 1\n") == (
        "spritefile.toml:3: a key of more than 16 parts\n  hint: a spritefile needs at most six\n1 error"
    )


def test_unknown_table(refused: Refused) -> None:
    assert refused(PROJECT + "[sprits.tower]\n") == (
        'spritefile.toml:3:2: unknown table "sprits"\n'
        "  3 | [sprits.tower]\n"
        "    |  ^^^^^^\n"
        '  hint: did you mean "sprites"?\n'
        "1 error"
    )


def test_missing_project(refused: Refused) -> None:
    assert refused("[sprites.a]\n") == (
        'spritefile.toml: [project] is missing\n  hint: begin with [project] and name = "..."\n1 error'
    )


def test_syntax_error(refused: Refused) -> None:
    assert refused(PROJECT + "seed = \n") == (
        "spritefile.toml:3:8: invalid value\n  3 | seed = \n    |        ^\n1 error"
    )


def test_text_that_ends_too_early(refused: Refused) -> None:
    assert refused(PROJECT + "seed") == (
        "spritefile.toml:3:5: expected '=' after a key in a key/value pair\n  3 | seed\n    |     ^\n1 error"
    )


def test_byte_order_mark(refused: Refused) -> None:
    assert refused("\ufeff" + PROJECT) == (
        "spritefile.toml:1:1: invalid statement\n"
        "  1 |  [project]\n"
        "    | ^\n"
        "  hint: save the file without a byte order mark\n"
        "1 error"
    )


# Files that cannot be read


def test_missing_spritefile_says_how_to_begin(tmp_path: Path) -> None:
    path = tmp_path / "spritefile.toml"
    with pytest.raises(UsageError) as caught:
        load(path)
    assert str(caught.value) == f"{path}: no such spritefile\n\nhint: write one: spritebuild init"


def test_folder_in_place_of_a_spritefile_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read: Is a directory"):
        load(tmp_path)


def test_bytes_that_are_not_utf8_are_placed(tmp_path: Path) -> None:
    path = tmp_path / "spritefile.toml"
    path.write_bytes(b'[project]\nname = "\xc3\xa4\xff"\n')
    with pytest.raises(SpritefileError) as caught:
        load(path)
    assert str(caught.value) == (
        "spritefile.toml:2:10: byte 0xff is not UTF-8\n  hint: save the file as UTF-8\n1 error"
    )


def test_file_of_more_than_16_mebibytes_is_refused(refused: Refused) -> None:
    assert refused("#" * (LARGEST_FILE + 1)) == (
        "spritefile.toml: is larger than 16 MiB\n  hint: split it with `include`\n1 error"
    )


# Includes

HINT = "  hint: paths are relative to the folder of the spritefile and stay in it\n"


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("art/*.toml", "finds no file"),
        ("spritefile.*", "finds no file"),
        ("../*.toml", 'contains ".."'),
        ("/*.toml", "is absolute"),
        ("", "is not a glob"),
    ],
)
def test_include_that_finds_nothing_of_the_project_is_a_fault(refused: Refused, pattern: str, reason: str) -> None:
    assert refused(f'include = ["{pattern}"]\n{PROJECT}') == (
        f'spritefile.toml:1:12: include "{pattern}" {reason}\n'
        f'  1 | include = ["{pattern}"]\n'
        f"    |            {'^' * (len(pattern) + 2)}\n"
        f"{HINT}1 error"
    )


def test_included_symlink_out_of_the_project_is_a_fault(refused: Refused, tmp_path: Path) -> None:
    outside = tmp_path.parent / f"{tmp_path.name}.toml"
    outside.write_text("[sprites.a]\n")
    (tmp_path / "a.toml").symlink_to(outside)
    message = refused(f'include = ["a*.toml"]\n{PROJECT}').splitlines()[0]
    assert message == (
        'spritefile.toml:1:12: include "a*.toml" finds "a.toml", which leaves the project through a symlink'
    )


@pytest.mark.parametrize("text", [PROJECT, "version = 1\n", 'include = ["b.toml"]\n'])
def test_included_file_holds_declarations_only(refused: Refused, text: str) -> None:
    key = text.split()[0].strip("[]")
    message = refused(f'include = ["a.toml"]\n{PROJECT}', {"a.toml": text})
    assert f'an included file may not hold "{key}"' in message
    assert "hint: move it to the main spritefile" in message


def test_faults_of_all_files_are_reported_at_once(refused: Refused) -> None:
    text = f'include = ["*.toml"]\n{PROJECT}[styles.x]\nsteps = 0\n'
    files = {"a.toml": "[styles.a]\nsteps = 0\n", "b.toml": "=\n", "c.toml": "a.b = 1\n"}
    places = [line.split(": ")[0] for line in refused(text, files).splitlines() if ".toml:" in line]
    assert places == ["a.toml:2:9", "b.toml:1:1", "c.toml:1:1", "spritefile.toml:5:9"]
