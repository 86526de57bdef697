"""What is refused before it is parsed."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spritebuild.spritefile.scan import scan

PARTS = ".".join("abcdefghijklmnopq")  # 17


def message(text: str) -> str | None:
    fault = scan(text, "spritefile.toml")
    return fault.message if fault else None


def test_dotted_key_of_40_kilobytes_is_refused_with_its_line() -> None:
    fault = scan("[project]\nname = 'x'\n" + "a." * 20_000 + "a = 1\n", "spritefile.toml")
    assert str(fault) == ("spritefile.toml:3: a key of more than 16 parts\n  hint: a spritefile needs at most six")


@pytest.mark.parametrize(
    "text",
    [
        f"{PARTS} = 1",
        f"[{PARTS}]",
        f"[[ {PARTS} ]]",
        f"x = {{ {PARTS} = 1 }}",
        PARTS.replace(".", "\t. ") + " = 1",
        ".".join(['"a.b"', "'c'"] * 9) + " = 1",
        f'x = """""""\n{PARTS} = 1',  # a string of one quotation mark has ended
        f"x = ''''''\n{PARTS} = 1",
        f'x = "\\""\n{PARTS} = 1',
        f"x = '\\'\n{PARTS} = 1",
    ],
)
def test_key_of_17_parts_is_refused_wherever_it_stands(text: str) -> None:
    assert message(text) == "a key of more than 16 parts"


@pytest.mark.parametrize(
    "text",
    [
        PARTS.removesuffix(".q") + " = 1",
        f"# {PARTS} = 1",
        f'x = "{PARTS}"',
        f"x = '{PARTS}'",
        f'x = """\n\\"""{PARTS}\n"" {PARTS}"""',
        f"x = '''\n''{PARTS}'''",
        f'"{PARTS}" = 1',
        'x = """' + "[" * 40 + '""" # ' + "{" * 40,
        "x = " + "[" * 32 + "]" * 32 + "\n" + "y = " + "[" * 32 + "]" * 32,
        "x = " + "[{a = " * 16 + "1" + "}]" * 16,
        "[[a]]\n" * 1000,
        "x = 9223372036854775807",
        f'x = "{"9" * 1000}"',
    ],
)
def test_what_tomllib_can_read_at_no_great_cost_is_let_through(text: str) -> None:
    assert message(text) is None
    tomllib.loads(text)


@pytest.mark.parametrize("opening", ["[", "[\n", "{a = ", "[{a = "])
def test_deep_nesting_is_refused(opening: str) -> None:
    assert message("x = " + opening * 33) == "lists and tables nested deeper than 32"


def test_line_is_counted_through_strings_of_several_lines() -> None:
    fault = scan('x = """\n[[[\n"""\n# [[[\ny = [\n' + "[" * 32, "part.toml")
    assert fault is not None and (fault.file, fault.line) == ("part.toml", 6)


def test_endless_number_is_refused() -> None:
    assert message("seed = " + "9" * 5000) == "a number of more than 100 digits"
    assert message("seed = 0x" + "f_" * 500) == "a number of more than 100 digits"


@settings(deadline=None)  # other work may share the machine
@given(st.lists(st.sampled_from(['"', "'", '"""', "'''", "\\", "#", "\n", "a", ".", "=", " "]), max_size=30))
def test_no_valid_text_hides_a_key_from_the_scan(pieces: list[str]) -> None:
    text = "".join(pieces) + f"\n{PARTS} = 1\n"
    try:
        declared = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    hidden = "a" not in declared or not isinstance(declared["a"], dict)
    assert hidden or message(text) == "a key of more than 16 parts"
