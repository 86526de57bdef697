"""What declarations say of each other and of the files beside the spritefile."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from spritebuild import __version__
from spritebuild.errors import SpritefileError
from spritebuild.spritefile import inside, load

PROJECT = '[project]\nname = "island"\n'


@pytest.fixture
def faults(tmp_path: Path) -> Callable[[str], list[str]]:
    """The messages of the faults of a spritefile, with their hints."""

    def read(text: str) -> list[str]:
        path = tmp_path / "spritefile.toml"
        path.write_text(text, encoding="utf-8")
        try:
            load(path)
        except SpritefileError as error:
            return [f"{fault.message} ({fault.hint})" if fault.hint else fault.message for fault in error.faults]
        return []

    return read


Faults = Callable[[str], list[str]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('sprites.a.style = "ruin"', 'unknown style "ruin" (did you mean "ruins"? styles: ruins, forest)'),
        ('styles.a.extends = "zzz"', 'unknown style "zzz" (styles: a, ruins, forest)'),
        ('sprites.a.model = "tiny"', 'unknown model "tiny" (did you mean "tiny-sd"? models: tiny-sd)'),
        ('styles.a.loras = ["ink"]', 'unknown lora "ink" (declare [loras.NAME])'),
        ('sprites.a.loras = [{name = "ink"}]', 'unknown lora "ink" (declare [loras.NAME])'),
        (
            'sprites.a.finish = [{op = "quantize", palette = "db23"}]',
            'unknown palette "db23" (did you mean "db32"? palettes: db32)',
        ),
    ],
)
def test_unknown_name_is_a_fault_with_the_names_there_are(faults: Faults, text: str, expected: str) -> None:
    declared = (
        '[styles.ruins]\n[styles.forest]\n[models.tiny-sd]\nbuiltin = "tiny-sd"\n[palettes.db32]\ncolors=["#000"]\n'
    )
    assert faults(f"{text}\n{PROJECT}{declared}") == [expected]


def test_palette_of_an_own_stage_is_its_own_affair(faults: Faults) -> None:
    assert faults(f'sprites.a.finish = [{{stage = "sparkle", palette = "x"}}]\n{PROJECT}') == []


def test_palette_written_out_in_an_op_is_no_name(faults: Faults) -> None:
    assert faults(f'sprites.a.finish = [{{op = "quantize", palette = ["#000"]}}]\n{PROJECT}') == []


def test_long_list_of_names_is_cut(faults: Faults) -> None:
    styles = "".join(f"[styles.s{number}]\n" for number in range(20))
    (fault,) = faults(f'sprites.a.style = "forest"\n{PROJECT}{styles}')
    assert fault == 'unknown style "forest" (styles: s0, s1, s2, s3, s4, s5, s6, s7, ...)'


def test_every_cycle_of_extends_is_named_once(faults: Faults) -> None:
    chain = {"a": "b", "b": "c", "c": "b", "d": "d", "e": "a", "f": "g", "g": "h"}
    text = "".join(f'[styles.{name}]\nextends = "{base}"\n' for name, base in chain.items()) + "[styles.h]\n"
    assert faults(PROJECT + text) == [
        "styles extend each other: b -> c -> b (take one extends out)",
        "styles extend each other: d -> d (take one extends out)",
    ]


def test_name_whose_declaration_is_wrong_is_not_unknown(faults: Faults) -> None:
    text = 'sprites.a = {style = "ruins"}\nsprites.b = {style = "rune"}\nstyles.ruins.steps = 0\n'
    assert faults(text + PROJECT) == [
        'unknown style "rune" (did you mean "ruins"? styles: ruins)',
        "steps must be at least 1, not 0",
    ]


def test_names_are_not_judged_where_declarations_could_not_be_read(faults: Faults) -> None:
    text = 'sprites.a = {style = "ruins"}\nstyle.ruins.steps = 1\n'
    assert faults(text + PROJECT) == ['unknown table "style" (did you mean "styles"?)']
    (fault,) = faults('include = ["styles/*.toml"]\nsprites.a = {style = "ruins"}\n' + PROJECT)
    assert fault.startswith('include "styles/*.toml" finds no file')


def test_other_version_of_spritebuild_is_a_fault_that_names_both(faults: Faults) -> None:
    assert faults(f'{PROJECT}requires = "=={__version__}"\n') == []
    (fault,) = faults(f'{PROJECT}requires = ">=99,<100"\n')
    assert fault == (
        f"this project requires spritebuild >=99,<100, this is {__version__} "
        '(install it: pip install "spritebuild>=99,<100")'
    )


SOURCES = [
    ("palettes.a.file", "file", "a.hex"),
    ("loras.a.path", "path", "a.safetensors"),
    ("models.a.path", "path", "weights"),
    ("project.stages", "stages", "tools"),
]


@pytest.mark.parametrize(("key", "label", "name"), SOURCES)
def test_source_must_exist(faults: Faults, tmp_path: Path, key: str, label: str, name: str) -> None:
    what = "file" if "." in name else "folder"
    text = f'{key} = "{name}"\nproject.name = "island"\n'
    assert faults(text) == [f'{what} "{name}" does not exist']
    (tmp_path / name).touch() if what == "file" else (tmp_path / name).mkdir()
    assert faults(text) == []


@pytest.mark.parametrize(("key", "label", "name"), [*SOURCES, ("project.assets", "assets", "assets")])
def test_source_must_stay_in_the_project(faults: Faults, tmp_path: Path, key: str, label: str, name: str) -> None:
    def reason(path: str) -> str:
        (fault,) = faults(f'{key} = "{path}"\nproject.name = "island"\n')
        start = f'{label} "{path}" '
        assert fault.startswith(start)
        return fault.removeprefix(start).removesuffix(
            " (paths are relative to the folder of the spritefile and stay in it)"
        )

    (tmp_path / "link").symlink_to(tmp_path.parent)
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert reason(f"../{name}") == 'contains ".."'
    assert reason(f"/srv/{name}") == "is absolute"
    assert reason(f"C:/{name}") == "is absolute"
    assert reason(f"link/{name}") == "leaves the project through a symlink"


@pytest.mark.parametrize("table", ["sprites.a", "sheets.a"])
def test_category_must_stay_below_assets(faults: Faults, tmp_path: Path, table: str) -> None:
    def reason(category: str) -> list[str]:
        sheet = 'sprites = ["*"]\n' if table == "sheets.a" else ""
        return faults(f'{PROJECT}[{table}]\n{sheet}category = "{category}"\n')

    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "link").symlink_to(tmp_path.parent)
    hint = "(a category is a folder below assets)"
    assert reason("props/stone") == []
    assert reason("../props") == [f'category "../props" contains ".." {hint}']
    assert reason("/props") == [f'category "/props" is absolute {hint}']
    assert reason("link/props") == [f'category "link/props" leaves the project through a symlink {hint}']


def test_category_shared_by_many_sprites_is_a_fault_of_each(faults: Faults) -> None:
    assert len(faults(PROJECT + "".join(f'[sprites.s{n}]\ncategory = "../x"\n' for n in range(3)))) == 3


@pytest.mark.parametrize(
    ("assets", "reason"),
    [
        (".", "is the folder of the spritefile"),
        ("./", "is the folder of the spritefile"),
        (".spritebuild", "lies in .spritebuild"),
        (".spritebuild/out", "lies in .spritebuild"),
        (".git/hooks", "lies in .git"),
    ],
)
def test_assets_need_a_folder_of_their_own(faults: Faults, assets: str, reason: str) -> None:
    hint = '(give the pictures a folder of their own, such as "assets")'
    assert faults(f'{PROJECT}assets = "{assets}"\n') == [f'assets "{assets}" {reason} {hint}']


def test_assets_may_not_reach_the_project_folder_through_a_symlink(faults: Faults, tmp_path: Path) -> None:
    (tmp_path / "art").symlink_to(tmp_path)
    (fault,) = faults(f'{PROJECT}assets = "art"\n')
    assert fault.startswith('assets "art" is the folder of the spritefile')


def test_inside_resolves_a_path_of_the_project(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert inside(tmp_path, "link/a.png") == tmp_path.resolve() / "real" / "a.png"
    assert inside(tmp_path, "not/there") == tmp_path.resolve() / "not" / "there"


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/etc", "is absolute"),
        ("\\\\host\\share", "is absolute"),
        ("C:a", "is absolute"),
        ("..", 'contains ".."'),
        ("a\\..\\b", 'contains ".."'),
        ("a/../b", 'contains ".."'),
        ("a\0b", "contains a null character"),
        ("a" * 256 + "/b", "is too long"),
        ("a/" * 501, "is too long"),
        ("loop/a", "cannot be resolved"),
        ("out/a", "leaves the project through a symlink"),
    ],
)
def test_inside_refuses_what_may_leave_the_project(tmp_path: Path, path: str, reason: str) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "out").symlink_to("/")
    with pytest.raises(ValueError, match=reason):
        inside(tmp_path, path)
