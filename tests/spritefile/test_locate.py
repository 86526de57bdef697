"""Places of keys and values in TOML text."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spritebuild.spritefile.locate import Path, Place, places

TEXT = """\
version = 1  # styles.ruins.steps = 1

[project]
name = '''
[styles.ruins]
steps = 2
'''

[styles.ruins]
"steps" = 20
params.depth . max = [1, {a = 2, b = "]"}, [
    3, # , 4
    5,
]]

[[styles.ruins.finish]]
op = "trim"

[[styles.ruins.finish]]
op = 'outline'

[styles.ruins.finish.color]
red = 1979-05-27 07:32:00
"""


def found(path: Path, *, key: bool = True, text: str = TEXT) -> Place:
    place = places(text).find(path, key=key)
    assert place is not None
    return place


def marked(path: Path, *, key: bool = True) -> tuple[int, str]:
    place = found(path, key=key)
    return place.line, place.source[place.column - 1 : place.column - 1 + place.width]


@pytest.mark.parametrize(
    ("path", "line", "key", "value"),
    [
        (("version",), 1, "version", "1"),
        (("styles", "ruins", "steps"), 10, '"steps"', "20"),
        (("styles", "ruins", "params", "depth", "max"), 11, "max", '[1, {a = 2, b = "]"}, ['),
        (("styles", "ruins", "params", "depth", "max", 1, "b"), 11, "b", '"]"'),
        (("styles", "ruins", "params", "depth", "max", 2, 1), 13, "5", "5"),
        (("styles", "ruins", "finish", 0, "op"), 17, "op", '"trim"'),
        (("styles", "ruins", "finish", 1, "op"), 20, "op", "'outline'"),
        (("styles", "ruins", "finish", 1, "color", "red"), 23, "red", "1979-05-27 07:32:00"),
    ],
)
def test_keys_and_values_stand_where_they_are_written(path: Path, line: int, key: str, value: str) -> None:
    assert marked(path) == (line, key)
    assert marked(path, key=False) == (line, value)


def test_table_stands_at_its_part_of_the_header() -> None:
    assert marked(("styles", "ruins")) == (9, "ruins")
    assert marked(("styles", "ruins"), key=False) == (9, "ruins")
    assert marked(("styles",)) == (9, "styles")
    assert marked(("styles", "ruins", "finish", 1)) == (19, "finish")


def test_missing_key_is_pointed_at_through_the_nearest_table() -> None:
    assert marked(("styles", "ruins", "guidance", 0), key=False) == (9, "ruins")
    assert places(TEXT).find(("sprites", "tower")) is None


def test_value_over_several_lines_is_marked_on_its_first() -> None:
    assert marked(("project", "name"), key=False) == (4, "'''")


def test_carriage_returns_are_no_part_of_a_line() -> None:
    place = found(("a", "b"), key=False, text='[a]\r\nb = """x\r\ny"""\r\n')
    assert place == Place(line=2, column=5, width=4, source='b = """x')


def test_second_declarations_are_noted() -> None:
    text = "[a]\nx = 1\nx = 2\n[b]\n[[c]]\nx = 1\n[[c]]\nx = 1\n[a]\n"
    assert [path for path, _ in places(text).repeated] == [("a", "x"), ("a",)]


def test_walk_goes_on_after_what_it_cannot_read() -> None:
    broken = "a = \n= 3\n[x\nb = {c 1}\nd = [1 2]\n" + "[" * 100 + "\ne = " + "[" * 100 + "\n[styles]\nf = 1"
    assert found(("styles", "f"), text=broken).line == 9


Keys = st.one_of(
    st.from_regex(r"[A-Za-z0-9_-]{1,8}", fullmatch=True),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x7f"), max_size=6),
)
Words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x7f"), max_size=12)
Values = st.recursive(
    st.one_of(st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), Words),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(Keys, inner, max_size=3)),
    max_leaves=8,
)


class Writer:
    """Writes TOML and remembers the line and column at which it wrote every key."""

    def __init__(self, data: st.DataObject) -> None:
        self.data = data
        self.text = ""
        self.expected: dict[Path, tuple[int, int]] = {}

    def write(self, text: str) -> None:
        self.text += text

    def choice(self, *ways: str) -> str:
        return self.data.draw(st.sampled_from(ways))

    def key(self, path: Path) -> None:
        self.expected.setdefault(path, (self.text.count("\n") + 1, len(self.text) - self.text.rfind("\n")))
        name = str(path[-1])
        bare = name.isascii() and name.replace("-", "").replace("_", "").isalnum()
        literal = name.isprintable() and "'" not in name
        ways = [json.dumps(name, ensure_ascii=False), *[name] * bare, *[f"'{name}'"] * literal]
        self.write(self.choice(*ways))

    def value(self, path: Path, value: Any) -> None:
        if isinstance(value, list):
            self.write("[")
            for index, item in enumerate(value):
                self.write(self.choice("", " ", "\n  ", " # ], \"'\n", "\r\n\t"))
                self.value((*path, index), item)
                self.write(self.choice(",", " ,", " # [\n,"))
            self.write("]")
        elif isinstance(value, dict):
            self.write("{")
            for index, (name, item) in enumerate(value.items()):
                self.write(", " if index else " ")
                self.pair((*path, name), item)
            self.write("}")
        elif isinstance(value, str):
            quoted = json.dumps(value, ensure_ascii=False)
            printable = value.isprintable() and "'" not in value
            self.write(self.choice(quoted, f'""{quoted}""', *[f"'{value}'", f"'''\n{value}'''"] * printable))
        else:
            self.write(json.dumps(value).replace("Infinity", "inf"))

    def pair(self, path: Path, value: Any) -> None:
        self.key(path)
        self.write(self.choice("=", " = ", "\t="))
        self.value(path, value)

    def table(self, path: Path, content: dict[str, Any]) -> None:
        for name, value in content.items():
            self.pair((*path, name), value)
            self.write(self.choice("\n", "\r\n", "  # x = [\n", "\n\n"))


@settings(deadline=None)  # other work may share the machine
@given(st.data())
def test_every_key_of_a_generated_document_is_found(data: st.DataObject) -> None:
    writer = Writer(data)
    tree: dict[str, Any] = data.draw(st.dictionaries(Keys, Values, max_size=3))
    tables = st.dictionaries(Keys, Values, max_size=3)
    writer.table((), tree)
    for name in data.draw(st.lists(Keys.filter(lambda key: key not in tree), unique=True, max_size=3)):
        content = data.draw(st.one_of(tables, st.lists(tables, min_size=1, max_size=3)))
        tree[name] = content
        for index, table in enumerate(content if isinstance(content, list) else [content]):
            many = isinstance(content, list)
            writer.write("[[ " if many else "[")
            writer.key((name,))
            writer.write(" ]]\n" if many else "]\n")
            writer.table((name, index) if many else (name,), table)

    assert tomllib.loads(writer.text) == tree
    known = places(writer.text)
    assert known.repeated == []
    for path, (line, column) in writer.expected.items():
        place = known.find(path)
        assert place is not None and (place.line, place.column) == (line, column)
    for path, (start, end) in known.values.items():
        declared: Any = tree
        for part in path:
            declared = declared[part]
        assert tomllib.loads(f"value = {writer.text[start:end]}") == {"value": declared}


@settings(deadline=None)  # other work may share the machine
@given(st.text(st.sampled_from("a.=[]{}\"'\\#,\n 1"), max_size=60))
def test_any_text_is_walked_to_its_end(text: str) -> None:
    for path in places(text).keys:
        assert places(text).find(path) is not None
