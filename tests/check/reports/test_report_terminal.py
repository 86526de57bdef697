"""The terminal's table: 80 columns, legible without color, with nothing that a terminal or a build server obeys."""

import re
from dataclasses import replace

import pytest
from reported import HOSTILE, checked_of

from spritebuild.check.cases import Case, Checked, Part, Violation
from spritebuild.check.reports.terminal import MOST, terminal

SGR = re.compile(r"\x1b\[[0-9;]*m")
CASES = [
    *(
        Case(f"assets/item-{n:02}.png", "edit", "fail", "3 pixels differ in 2x2 at (5, 6)", group="g")
        for n in range(42)
    ),
    Case("assets/cat.png", "same", "pass", "the same"),
    Case("assets/dog.png", "new", "notice", "never approved"),
    Case(
        "assets/hero.png",
        "recolor",
        "fail",
        "4 colors changed, most of all #102030 -> #203040",
        why=["palettes.ruins.colors[1] #102030 -> #203040"],
        violations=[Violation("palette_violations", "12 pixels are of no color of the palette ruins")],
    ),
    Case("game/godot/characters/of/the/second/world/*", "edit", "pass", "2 of 9 files differ"),
]
PARTS = (Part("page-1.png", "edit", "4 pixels differ", "", ""), Part("page-2.png", "same", "the same"))
GOLDEN = """\
FAIL
  edit     assets/item-00.png  3 pixels differ in 2x2 at (5, 6)
                               and 41 more alike
  recolor  assets/hero.png     4 colors changed, most of all #102030 -> #203040
                               limit palette_violations: 12 pixels are of no
                               color of the palette ruins
                               because palettes.ruins.colors[1] #102030 ->
                               #203040

NOTICE
  new  assets/dog.png  never approved

PASS
  edit  game/godot/characters/of/the/second/world/*
          2 of 9 files differ
          page-1.png: edit: 4 pixels differ

note: compared with the lock
1 same, 1 recolor, 43 edits, 1 new; 43 fail
"""


def the_check() -> Checked:
    return Checked("dungeon", [*CASES[:-1], replace(CASES[-1], parts=PARTS)], ["compared with the lock"])


def test_a_table_reads_well_in_80_columns() -> None:
    assert terminal(the_check()) == GOLDEN


def test_color_changes_no_word() -> None:
    colored = terminal(the_check(), color=True)
    assert SGR.sub("", colored) == GOLDEN
    assert "\x1b[31m" in colored


def test_everything_is_told_when_asked_for() -> None:
    said = terminal(the_check(), verbose=True)
    assert "alike: assets/item-41.png" in said
    assert "same  assets/cat.png" in said


def test_a_check_of_nothing_but_the_same_is_one_line() -> None:
    assert terminal(Checked("p", CASES[42:43])) == "1 same\n"


def test_a_table_ends_and_says_how_much_is_left() -> None:
    checked = Checked("p", [Case(f"{n:05}.png", "edit", "fail", "x") for n in range(10_000)])
    said = terminal(checked)
    assert said.count("edit  0") == MOST
    assert f"and {10_000 - MOST:,} more rows" in said
    assert said.endswith("10,000 edits; 10,000 fail\n")
    assert terminal(checked, verbose=True).count("edit  0") == 10_000


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("verbose", [False, True])
@pytest.mark.parametrize("width", [20, 80])
def test_hostile_names_do_nothing(text: str, verbose: bool, width: int) -> None:
    said = terminal(checked_of(text), verbose=verbose, width=width)
    *lines, counts = said.splitlines()
    assert counts.startswith("1 same, 1 imperceptible, ")
    for line in lines:
        assert line.isprintable()
        assert not line.strip().startswith("::")
        assert "##[" not in line
        assert "##vso" not in line
        if text.isascii() and not verbose and width == 80:
            assert len(line) <= width
