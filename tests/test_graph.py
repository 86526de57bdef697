"""Keys and recipes: what they depend on, and that their encoding never changes by accident."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from projects import ISLAND, Project, toml

from spritebuild import digest
from spritebuild.graph import Action, Graph, Output, Source, recipe

PALETTE = Source("palettes/gray.hex", "a" * 64)


def action(id: str, *inputs: tuple[str, Any], params: Mapping[str, Any] | None = None, version: int = 1) -> Action:
    stage = id.rpartition(":")[2]
    named = recipe(stage, version, params or {}, inputs, {"sprites.potion:paint": "b" * 64})
    return Action(id, stage, version, params or {}, inputs, (("image", "image.png"),), named)


PAINT = action("sprites.potion:paint", params={"prompt": "potion", "size": [8, 8]})
FINISH = action("sprites.potion:finish", ("image", Output("sprites.potion:paint", "image")), ("palettes.gray", PALETTE))

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


# The encoding


def test_recipe_of_a_fixed_action_is_this() -> None:
    # If this fails, every key of every project changes: bump graph.KEY_FORMAT, and say so in the change log.
    assert FINISH.recipe == "8d2e749174108b24606087f83c65fab2bf4be78653ee2e12af42662697c55885"
    assert PAINT.key({}) == PAINT.recipe == "b311a220b96e1bff42bf9c6a5d1378c5fcb9f65f4fedc7ebd463b436501600cd"


def test_canonical_encoding_is_this() -> None:
    value = {"b": [1, 2.5, True, None, "é\n"], "a": {}, "A": 1e-7}
    assert digest.canonical(value) == '{"A":1e-07,"a":{},"b":[1,2.5,true,null,"é\\n"]}'.encode()


@given(values)
def test_canonical_encoding_reads_back(value: Any) -> None:
    assert json.loads(digest.canonical(value)) == value


@given(st.dictionaries(st.text(), values, max_size=5))
def test_canonical_encoding_ignores_order(value: dict[str, Any]) -> None:
    assert digest.canonical(dict(reversed(value.items()))) == digest.canonical(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"a": [float("-inf")]}])
def test_numbers_that_are_none_are_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="Out of range"):
        digest.canonical(value)


# What names depend on


@given(st.dictionaries(st.text(), values, max_size=4), st.dictionaries(st.text(), values, max_size=4))
def test_keys_differ_exactly_where_params_do(left: dict[str, Any], right: dict[str, Any]) -> None:
    same = digest.canonical(left) == digest.canonical(right)
    assert (action("a:x", params=left).key({}) == action("a:x", params=right).key({})) == same


def test_key_depends_on_stage_version_params_and_input_digests() -> None:
    inputs = {"image": "c" * 64, "palettes.gray": "a" * 64}
    keys = {
        FINISH.key(inputs),
        replace(FINISH, stage="polish").key(inputs),
        replace(FINISH, version=2).key(inputs),
        replace(FINISH, params={"ops": []}).key(inputs),
        FINISH.key({**inputs, "image": "d" * 64}),
        FINISH.key({**inputs, "more": "d" * 64}),
        FINISH.key({"image": "c" * 64}),
    }
    assert len(keys) == 7


def test_key_depends_on_nothing_else() -> None:
    inputs = {"image": "c" * 64, "palettes.gray": "a" * 64}
    other = replace(FINISH, id="sprites.x:y", origins={"a": "b"}, installs=(("image", "x.png"),), recipe="")
    assert other.key(dict(reversed(inputs.items()))) == FINISH.key(inputs)


def test_recipe_covers_the_recipes_upstream() -> None:
    inputs = (("image", Output("sprites.potion:paint", "image")),)
    assert recipe("finish", 1, {}, inputs, {"sprites.potion:paint": "a"}) != recipe(
        "finish", 1, {}, inputs, {"sprites.potion:paint": "b"}
    )


def recipes(project: Project) -> dict[str, str]:
    return {id: found.recipe for id, found in project.graph().actions.items()}


def test_recipes_ignore_the_order_of_tables_and_keys(island: Project, tmp_path: Path) -> None:
    before = recipes(island)
    flipped = {table: dict(reversed(rows.items())) for table, rows in reversed(ISLAND.items())}
    flipped["styles"] = {"base": dict(reversed(ISLAND["styles"]["base"].items()))}
    island.write({**flipped, "sheets": {"items": {"columns": 2, "sprites": ["potion", "sword"]}}})
    assert recipes(island) == before


def test_recipes_ignore_spelling(island: Project) -> None:
    before = recipes(island)
    text = toml(island.declared).replace('"#000000"', '"#000"').replace('"#ffffff"', '"#FFF"')
    island.write(text.replace("[sprites.potion]", '# a comment\n[ sprites . "potion" ]').replace("20", "0x14"))
    assert recipes(island) == before


def test_recipes_ignore_the_folder(island: Project, tmp_path: Path) -> None:
    assert recipes(island.clone(tmp_path / "else/where")) == recipes(island)


def test_keys_ignore_the_environment(island: Project) -> None:
    island.build()
    island.edit("styles.base.steps", 21)
    plans = {
        island.cli("plan", "--json", **environment).stdout
        for environment in (
            {},
            {"HOME": "/nowhere", "USER": "nobody", "PYTHONHASHSEED": "1", "TZ": "Asia/Tokyo"},
            {"LANG": "tr_TR.UTF-8", "LC_ALL": "C", "PYTHONHASHSEED": "2", "COLUMNS": "40", "PYTHONUTF8": "0"},
        )
    }
    assert len(plans) == 1
    assert len(json.loads(plans.pop())[0]["key"]) == 64


def test_param_set_to_its_default_changes_no_recipe(island: Project) -> None:
    before = recipes(island)
    island.edit("styles.base.steps", None).edit("styles.base.finish.0.threshold", 128)
    island.edit("styles.base.params", {"note": ""}).edit("sheets.items.spacing", 0)
    assert recipes(island) == before


def test_recipe_depends_on_the_stage_version(island: Project) -> None:
    before = recipes(island)
    island.bump("paint", 2)
    after = recipes(island)
    assert {id for id in before if before[id] != after[id]} == set(before)


def test_edit_of_a_stage_without_a_bump_changes_no_recipe(island: Project) -> None:
    before = recipes(island)
    island.stage("paint", (island.root / "stages/paint.py").read_text("utf-8") + "\n# tidier\n")
    assert recipes(island) == before


def test_recipe_depends_on_the_bytes_of_a_palette_file(island: Project) -> None:
    island.file("gray.hex", "000000\n")
    island.edit("palettes.gray", {"file": "gray.hex"})
    before = recipes(island)
    island.file("gray.hex", "000001\n")
    after = recipes(island)
    assert {id.partition(":")[2] for id in before if before[id] != after[id]} == {"finish", "sheet"}


def test_importing_the_graph_imports_no_stage() -> None:
    code = "import spritebuild.graph, sys; print({'numpy', 'pydantic', 'spritebuild.stage'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True)
    assert result.stdout == "set()\n"


# The graph


def test_graph_refuses_an_id_taken_twice() -> None:
    with pytest.raises(ValueError, match=r"two actions are called sprites\.potion:paint"):
        Graph.of([PAINT, PAINT])


def test_graph_refuses_an_input_that_comes_later_or_never() -> None:
    message = r"sprites\.potion:finish needs sprites\.potion:paint, which does not come before it"
    for actions in ([FINISH, PAINT], [FINISH]):
        with pytest.raises(ValueError, match=message):
            Graph.of(actions)


def test_graph_refuses_a_cycle() -> None:
    loop = replace(PAINT, inputs=(("image", Output("sprites.potion:paint", "image")),))
    with pytest.raises(ValueError, match="does not come before it"):
        Graph.of([loop])


def test_graph_knows_consumers_finals_and_what_is_upstream(island: Project) -> None:
    graph = island.graph()
    assert graph.consumers["sprites.potion:finish"] == ("sheets.items:sheet",)
    assert graph.finals == ("sprites.potion:finish", "sprites.sword:finish", "sheets.items:sheet")
    assert graph.upstream(["sprites.potion:finish"]) == {"sprites.potion:paint", "sprites.potion:finish"}
    assert graph.upstream(["sheets.items:sheet"]) == set(graph.actions)
    assert graph.actions["sheets.items:sheet"].target == "sheets.items"
