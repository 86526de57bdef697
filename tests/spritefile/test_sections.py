"""Cut into its sprites, a file of declarations says what it says as a whole; what cannot be cut is left alone."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from spritebuild.spritefile import sections

LINES = st.sampled_from(
    [
        "[sprites.a]",
        "[sprites.b]",
        "[sprites.c]  # a comment",
        "[sprites.a.params]",
        "[sprites.b.params]",
        "[[sprites.b.finish]]",
        "[ sprites . c ]",
        '[sprites."a"]',
        '["spr\\u0069tes".a]',
        "[sprites]",
        "[styles.base]",
        "[sheets.all]",
        "[project]",
        "prompt = 'x'",
        'prompt = "[sprites.b]"',
        "steps = 1",
        "steps = 1.0",
        "steps = true",
        "sprites.d = {}",
        "a.b = 1",
        "list = [",
        "[1, 2],",
        "]",
        '"""',
        "text = '''",
        "'''",
        "# [sprites.a]",
        "",
        "half",
    ]
)
TABLES = st.sampled_from(
    [
        "[sprites.a]\nprompt = 'x'\n",
        "[sprites.b]  # a comment\nsteps = 1\n\n",
        "[sprites.c]\r\nprompt = 'x'\r\n[sprites.c.params]\r\nsteps = 1\r\n",
        '[sprites.d]\nprompt = """\nlong\n[sprites.b\n"""\n',
        "[sprites.e]\nlist = [\n[1, 2],\n]\n",
        '[sprites.f]\nprompt = """\n[sprites.b]\n"""\n',
        "[[sprites.a.finish]]\nop = 1\n",
        "[sprites.b.params]\nnote = '''\n# [sprites.b]'''\n",
        "[ sprites . g ]\nsteps = 2\n",
        '[sprites."h"]\nsteps = 2\n',
        '["spr\\u0069tes".a.deep]\nsteps = 2\n',
        "[styles.base]\nsteps = 3\n",
        "[styles.base.params]\nsteps = 3\n",
        "[sheets.all]\nsprites = ['*']\n",
        "# [sprites.a]\n",
        "[project]\nname = 'x'",
        "[sprites]\ni = {}\n",
    ]
)
TEXTS = st.lists(TABLES, max_size=7, unique=True).map("\n".join)
EDITS = LINES | LINES.map(lambda line: line + "\n") | TABLES | st.text(max_size=2)


def _sprites(text: str) -> dict[str, object] | None:
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None
    return tree.get("sprites", {})


@settings(max_examples=150, suppress_health_check=[HealthCheck.filter_too_much])
@given(old=TEXTS, start=st.integers(0, 200), length=st.integers(0, 60), new=EDITS)
def test_what_changed_is_what_the_whole_says(old: str, start: int, length: int, new: str) -> None:
    before = _sprites(old)
    assume(before is not None)
    names = sections.cuttable(old.encode())
    rest = tomllib.loads(sections.without_sprites(old.encode()).decode()) if names is not None else {"sprites": {}}
    assume(names is not None and "sprites" not in rest and names == list(before or {}))
    edited = old[:start] + new + old[start + length :]
    found = sections.changed(old.encode(), edited.encode())
    if found is None:
        return
    after = _sprites(edited)
    assert before is not None
    assert after is not None
    assert list(before) == list(after)
    assert {key: value for key, value in tomllib.loads(edited).items() if key != "sprites"} == {
        key: value for key, value in tomllib.loads(old).items() if key != "sprites"
    }
    differ = {name for name in before if repr(before[name]) != repr(after[name])}
    assert found == {name: (before[name], after[name]) for name in differ}


@settings(max_examples=50, suppress_health_check=[HealthCheck.filter_too_much])
@given(text=TEXTS)
def test_parts_are_those_of_the_whole(text: str) -> None:
    sprites = _sprites(text)
    data = text.encode()
    assume(sprites is not None and (names := sections.cuttable(data)) is not None and names == list(sprites))
    rest = tomllib.loads(sections.without_sprites(data).decode())
    assume("sprites" not in rest)
    assert sprites is not None
    assert {**rest, **({"sprites": sprites} if sprites else {})} == tomllib.loads(text)
    for name, table in sprites.items():
        found = sections.one(data, name)
        assert found is None or found == table


OLD = '[project]\nname = "x"\n\n[sprites.a]\nprompt = "a"\n[sprites.b]\nprompt = "b"\n\n[sheets.all]\nsprites = ["*"]\n'


@pytest.mark.parametrize(
    ("old", "new", "names"),
    [
        ('"a"', '"other"', ["a"]),
        ('prompt = "b"\n', 'prompt = "b"\n[sprites.b.params]\nnote = 1\n', ["b"]),
        ("[sprites.b]", "# why\n[sprites.b]", []),
        ('prompt = "a"', 'prompt = """\n[sprites.c]\n"""', None),
        ('prompt = "a"', 'prompt = """\na\n"""', ["a"]),
        ("[sprites.b]", "[sprites.c]", None),
        ('"x"', '"y"', None),
        ('["*"]', '["a"]', None),
        ('"a"', '"a', None),
        ('"b"\n', '"b"\n[sprites.a.params]\nnote = 1\n', None),
    ],
)
def test_edits(old: str, new: str, names: list[str] | None) -> None:
    found = sections.changed(OLD.encode(), OLD.replace(old, new).encode())
    assert (list(found) if found is not None else None) == names
