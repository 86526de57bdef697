"""What licences are called, how they flow into assets, and what a policy refuses."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.licenses import canonicalize_license_expression
from projects import Project, safetensors
from sets import sprite

from spritebuild.errors import PolicyError, SpritefileError
from spritebuild.licences import UNKNOWN, Origins, check_policy, combined, expression, met, origins
from spritebuild.licences.flow import without_credentials
from spritebuild.project import opened
from spritebuild_stages.images import png

OPENRAIL = "LicenseRef-CreativeML-OpenRAIL-M"
TEXT = "CreativeML Open RAIL-M, with its use restrictions"
HASHED = f"{OPENRAIL}-{hashlib.sha256(TEXT.encode()).hexdigest()[:12]}"

# A model of others, a lora of others, and a lora that is trained here, beside a sprite that is all the project's own.
HARBOR: dict[str, Any] = {
    "project": {"name": "harbor", "stages": "stages"},
    "palettes": {"gray": {"file": "gray.hex"}},
    "models": {"sea": {"path": "weights", "licence": "creativeml-openrail-m"}, "mini": {"builtin": "sprite-mini"}},
    "datasets": {"ropes": {"path": "art", "min_images": 4, "licence": "CC BY 4.0"}},
    "loras": {
        "foam": {"path": "loras/foam.safetensors", "license": "apache 2.0"},
        "ropes": {"dataset": "ropes", "model": "sea", "train": {"steps": 1}, "save": "loras/ropes.safetensors"},
    },
    "sprites": {
        "buoy": {"stage": "press", "model": "sea", "prompt": "buoy"},
        "wave": {"stage": "press", "model": "mini", "prompt": "wave", "loras": ["foam"], "category": "water"},
        "knot": {"stage": "press", "model": "sea", "prompt": "knot", "loras": ["ropes"]},
        "rock": {"stage": "paint", "prompt": "rock", "finish": [{"op": "quantize", "palette": "gray"}]},
    },
    "sheets": {"all": {"sprites": ["*"]}},
}


@pytest.fixture
def harbor(project: Project) -> Project:
    for number in range(4):
        png.write(project.file(f"art/rope{number}.png", b""), sprite(number, 32, 32))
        project.file(f"art/rope{number}.txt", f"a rope of {number} strands\n")
    project.file("weights/unet/model.safetensors", safetensors())
    project.file("weights/LICENSE.md", TEXT)
    project.file("loras/foam.safetensors", safetensors(b"foam"))
    project.file("gray.hex", "000000\n808080\nffffff\n")
    return project.write(HARBOR)


def flow(project: Project) -> Origins:
    with opened(project.path) as reading:
        return origins(reading.spritefile, reading.graph, reading.pins)


def asset_licences(project: Project) -> dict[str, set[str]]:
    found = flow(project)
    return {path: set(found.licences(names)) for path, names in found.assets.items()}


def refusal(project: Project, *chosen: str) -> str:
    """What a policy has to say."""
    with opened(project.path) as reading, pytest.raises(PolicyError) as caught:
        check_policy(reading, chosen or None)
    assert caught.value.exit_code == 4
    return str(caught.value)


# What they are called


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ("MIT", "MIT"),
        ("mit", "MIT"),
        ("MIT License", "MIT"),
        ("CC0", "CC0-1.0"),
        ("CC0 1.0 Universal", "CC0-1.0"),
        ("apache 2.0", "Apache-2.0"),
        ("Apache License 2.0", "Apache-2.0"),
        ("CC BY 4.0", "CC-BY-4.0"),
        ("cc-by-sa-3.0", "CC-BY-SA-3.0"),
        ("CC BY-NC 4.0 International", "CC-BY-NC-4.0"),
        ("GPL-3.0", "GPL-3.0-only"),
        ("gpl-2.0+", "GPL-2.0-or-later"),
        ("openrail", "LicenseRef-OpenRAIL"),
        ("openrail++", "LicenseRef-CreativeML-OpenRAIL-PlusPlus-M"),
        ("CreativeML Open RAIL++-M License", "LicenseRef-CreativeML-OpenRAIL-PlusPlus-M"),
        ("creativeml-openrail-m", OPENRAIL),
        ("flux-1-dev-non-commercial-license", "LicenseRef-FLUX-1-dev-Non-Commercial"),
        ("FLUX.1 [dev] Non-Commercial License", "LicenseRef-FLUX-1-dev-Non-Commercial"),
        ("mit and (cc0-1.0 or apache-2.0)", "MIT AND (CC0-1.0 OR Apache-2.0)"),
        ("openrail OR apache 2.0", "LicenseRef-OpenRAIL OR Apache-2.0"),
        ("GPL-3.0 WITH Classpath-exception-2.0", "GPL-3.0-only WITH Classpath-exception-2.0"),
        ("LicenseRef-Ours", "LicenseRef-Ours"),
        ("OGA-BY 3.0", "LicenseRef-OGA-BY-3.0"),
        ("free for all and sundry", "LicenseRef-free-for-all-and-sundry"),
        ("MIT AND", "LicenseRef-MIT-AND"),
        ("", UNKNOWN),
        ("  ", UNKNOWN),
        ("unknown", UNKNOWN),
        ("other", UNKNOWN),
        ("n/a", UNKNOWN),
        ("???", UNKNOWN),
        (None, UNKNOWN),
    ],
)
def test_a_licence_is_named_as_spdx_names_it(said: str | None, named: str) -> None:
    assert expression(said) == named


def test_words_in_other_scripts_are_a_licence_too() -> None:
    assert re.fullmatch(r"LicenseRef-words\.[0-9a-f]{12}", expression("自由に使えます"))
    assert expression("自由に使えます") != expression("ご自由に")


def test_a_long_licence_is_known_by_its_digest() -> None:
    assert re.fullmatch(r"LicenseRef-words\.[0-9a-f]{12}", expression("you may " * 1000))
    assert re.fullmatch(r"LicenseRef-words\.[0-9a-f]{12}", expression("MIT OR " * 100_000 + "MIT"))


def test_parentheses_without_end_do_no_harm() -> None:
    assert expression("(" * 400 + "MIT" + ")" * 400).startswith("LicenseRef-")


def test_a_text_is_part_of_the_name_of_what_spdx_does_not_list() -> None:
    digest = hashlib.sha256(b"text").hexdigest()
    assert expression("openrail", digest) == f"LicenseRef-OpenRAIL-{digest[:12]}"
    assert expression(expression("openrail", digest), digest) == f"LicenseRef-OpenRAIL-{digest[:12]}"
    assert expression("MIT", digest) == "MIT"
    assert expression(None, digest) == UNKNOWN


WORDS = ["MIT", "OR", "AND", "WITH", "(", ")", "openrail", "cc0", "GPL-3.0", "x"]


@given(st.text(max_size=80) | st.lists(st.sampled_from(WORDS)).map(" ".join))
def test_every_name_is_an_spdx_expression_and_stays_as_it_is(said: str) -> None:
    named = expression(said)
    assert named == UNKNOWN or canonicalize_license_expression(named) == named
    assert expression(named) == named
    assert named.isascii()
    assert named.isprintable()


def test_one_expression_of_several_keeps_alternatives_together() -> None:
    assert combined({"MIT OR Apache-2.0", "CC0-1.0", UNKNOWN}) == "CC0-1.0 AND (MIT OR Apache-2.0)"
    assert combined({"MIT OR Apache-2.0"}) == "MIT OR Apache-2.0"
    assert combined({UNKNOWN}) == UNKNOWN


@pytest.mark.parametrize(
    ("licence", "allow", "deny", "passes"),
    [
        ("MIT", ["MIT"], [], True),
        ("MIT", ["mit license"], [], True),
        ("MIT", ["CC0-1.0"], [], False),
        ("CC-BY-4.0", ["CC-BY-*"], [], True),
        ("CC-BY-4.0", ["cc-by-*"], [], True),
        ("CC-BY-NC-4.0", ["CC-BY-*"], ["*-NC-*"], False),
        ("MIT OR GPL-3.0-only", ["MIT"], [], True),
        ("MIT OR GPL-3.0-only", None, ["GPL-*"], True),
        ("MIT AND GPL-3.0-only", ["MIT"], [], False),
        ("MIT AND GPL-3.0-only", None, ["GPL-*"], False),
        ("MIT AND (GPL-3.0-only OR CC0-1.0)", ["MIT", "CC0"], [], True),
        ("MIT OR GPL-3.0-only AND X11", ["X11"], [], False),
        ("GPL-3.0-only WITH Classpath-exception-2.0", ["GPL-3.0"], [], True),
        ("GPL-3.0-only WITH Classpath-exception-2.0", None, ["GPL-3.0"], False),
        (HASHED, ["creativeml-openrail-m"], [], True),
        (HASHED, [HASHED], [], True),
        (HASHED, [f"{OPENRAIL}-0123456789ab"], [], False),
        (HASHED, None, ["*RAIL*"], False),
        (UNKNOWN, None, ["*"], True),
        (UNKNOWN, ["*"], [], False),
        ("MIT", None, [], True),
    ],
)
def test_an_alternative_meets_a_policy_by_one_side_and_a_sum_by_all(
    licence: str, allow: list[str] | None, deny: list[str], passes: bool
) -> None:
    assert met(licence, allow, deny) is passes


trees = st.recursive(
    st.sampled_from(["MIT", "X11", "CC0-1.0", "Zlib"]),
    lambda inner: st.tuples(inner, st.sampled_from(["AND", "OR"]), inner).map(
        lambda parts: f"({parts[0]}) {parts[1]} {parts[2]}" if " " in parts[0] else " ".join(parts)
    ),
)


@given(trees, st.sets(st.sampled_from(["MIT", "X11", "CC0-1.0", "Zlib"]), min_size=1))
def test_expressions_are_read_with_and_before_or(licence: str, allow: set[str]) -> None:
    words = licence.replace("(", "( ").replace(")", " )").split()
    logic = {"AND": "and", "OR": "or", "(": "(", ")": ")"}
    assert met(licence, allow, ()) is eval(" ".join(logic.get(word) or str(word in allow) for word in words))


# How they flow


def test_an_asset_has_the_licences_of_all_that_it_comes_from(harbor: Project) -> None:
    assert asset_licences(harbor) == {
        "assets/buoy.png": {HASHED},
        "assets/water/wave.png": {"CC0-1.0", "Apache-2.0"},
        "assets/knot.png": {HASHED, "CC-BY-4.0"},
        "assets/rock.png": set(),
        "assets/all*": {HASHED, "CC0-1.0", "Apache-2.0", "CC-BY-4.0"},
        "loras/ropes.safetensors": {HASHED, "CC-BY-4.0"},
        "loras/ropes.json": {HASHED, "CC-BY-4.0"},
    }


def test_limits_on_use_pass_on_to_what_is_trained_here(harbor: Project) -> None:
    components = flow(harbor).components
    assert components["loras.ropes"].restricted
    assert components["loras.ropes"].needs == {"models.sea", "datasets.ropes"}
    assert not components["loras.foam"].restricted
    assert not components["datasets.ropes"].restricted


def test_a_model_that_is_trained_here_inherits_from_the_models_that_it_begins_with(harbor: Project) -> None:
    harbor.edit("vaes", {"small": {"dataset": "ropes", "init": "sea", "train": {"steps": 1}}})
    own = {"dataset": "ropes", "vae": "small", "init": "mini", "licence": "CC-BY-SA-4.0", "train": {"steps": 1}}
    components = flow(
        harbor.edit("models.own", own).edit("sprites.rock", {**HARBOR["sprites"]["buoy"], "model": "own"})
    ).components
    assert components["vaes.small"].licences == {HASHED, "CC-BY-4.0"}
    assert components["models.own"].licences == {HASHED, "CC-BY-4.0", "CC0-1.0", "CC-BY-SA-4.0"}
    assert components["models.own"].licence == "CC-BY-SA-4.0"


def test_a_builtin_model_has_its_licence_before_it_is_pinned(project: Project) -> None:
    declared = {"sprites": {"axe": {"model": "mini", "prompt": "axe"}}, "models": {"mini": {"builtin": "sprite-mini"}}}
    project.write({"project": {"name": "forge"}, **declared})
    assert asset_licences(project) == {"assets/axe.png": {"CC0-1.0"}}
    project.cli("lock")
    assert asset_licences(project) == {"assets/axe.png": {"CC0-1.0"}}


def test_the_licence_in_the_folder_of_data_is_its_text(harbor: Project) -> None:
    harbor.file("art/COPYING", "do as you like")
    harbor.edit("datasets.ropes.licence", "House Licence")
    digest = hashlib.sha256(b"do as you like").hexdigest()[:12]
    assert flow(harbor).components["datasets.ropes"].licence == f"LicenseRef-House-Licence-{digest}"


def test_what_nobody_declared_is_unknown(harbor: Project) -> None:
    harbor.edit("models.sea.licence", None).edit("datasets.ropes.licence", None)
    components = flow(harbor).components
    assert components["models.sea"].licence == components["datasets.ropes"].licence == UNKNOWN
    assert components["loras.ropes"].licence == ""
    assert components["loras.ropes"].licences == {UNKNOWN}


def test_equal_origins_are_one_set(project: Project) -> None:
    project.file("weights/unet/model.safetensors", safetensors())
    project.write(
        {
            "project": {"name": "many", "stages": "stages"},
            "models": {"sea": {"path": "weights", "licence": "MIT"}},
            "sprites": {
                "buoy": {"stage": "press", "model": "sea", "prompt": "x", "matrix": {"n": list(map(str, range(50)))}}
            },
        }
    )
    found = flow(project)
    assert len(found.assets) == 50
    assert len({id(names) for names in found.assets.values()}) == 1


def test_credentials_of_a_repository_are_not_shown() -> None:
    assert without_credentials("dvc:https://me:secret@host.example/a.git:b@v1") == "dvc:https://host.example/a.git:b@v1"
    assert without_credentials("dvc:git@host.example:a.git:b") == "dvc:git@host.example:a.git:b"
    assert without_credentials("dvc:https://host.example/a.git:b@v1") == "dvc:https://host.example/a.git:b@v1"


# What a policy refuses


def test_without_a_policy_nothing_is_refused(harbor: Project) -> None:
    with opened(harbor.edit("models.sea.licence", None).path) as reading:
        check_policy(reading)


def test_a_refusal_names_the_component_its_assets_and_the_place(harbor: Project) -> None:
    text = refusal(policy(harbor, allow=["CC0-1.0", "CC-BY-*", "Apache-2.0"]))
    line = 1 + harbor.path.read_text().splitlines().index('licence = "creativeml-openrail-m"')
    assert text == (
        f"spritefile.toml:{line}:11: models.sea is under {HASHED}, which `policy.allow` does not name; "
        "assets/buoy.png, loras/ropes.safetensors, loras/ropes.json and 2 more would come from it\n"
        f'  {line} | licence = "creativeml-openrail-m"\n'
        f"  {' ' * len(str(line))} |           ^^^^^^^^^^^^^^^^^^^^^^^\n"
        "  hint: use another model, or change the policy\n"
        "1 licence is against the policy"
    )


def policy(project: Project, **said: Any) -> Project:
    """Append a policy to a spritefile."""
    lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in said.items())
    project.path.write_text(f"{project.path.read_text()}\n[policy]\n{lines}")
    return project


def test_an_allowed_licence_passes_in_any_spelling(harbor: Project) -> None:
    policy(harbor, allow=["CC0", "cc-by-*", "apache 2.0", "creativeml-openrail-m"])
    with opened(harbor.path) as reading:
        check_policy(reading)


def test_a_denied_licence_is_refused_where_it_is_spelled_the_american_way(harbor: Project) -> None:
    text = refusal(policy(harbor, deny=["Apache-*"]))
    assert 'license = "apache 2.0"' in text
    assert "loras.foam is under Apache-2.0, which `policy.deny` names; assets/water/wave.png, assets/all*" in text


def test_an_unknown_licence_is_not_allowed(harbor: Project) -> None:
    policy(harbor.edit("models.sea.licence", None), allow=["*"])
    text = refusal(harbor)
    assert "[models.sea]" in text
    assert "the licence of models.sea is unknown" in text
    assert 'hint: find out what it is under, and say so: licence = "..." in [models.sea]' in text


def test_only_what_the_chosen_targets_come_from_is_refused(harbor: Project) -> None:
    policy(harbor, deny=["*RAIL*"])
    with opened(harbor.path) as reading:
        check_policy(reading, ["sprites.wave:press", "sprites.rock:finish"])
    assert "assets/knot.png would come from it" in refusal(harbor, "sprites.knot:press")
    assert "loras/ropes.safetensors would come from it" in refusal(harbor, "loras.ropes:train-lora")
    harbor.edit("loras.ropes.save", None)
    assert "; loras.ropes would come from it" in refusal(policy(harbor, deny=["*RAIL*"]), "loras.ropes:train-lora")


def test_what_is_declared_and_not_used_is_not_refused(harbor: Project) -> None:
    harbor.edit("sprites", {"rock": {"stage": "paint", "prompt": "rock"}}).edit("loras", {})
    with opened(policy(harbor, allow=["MIT"]).path) as reading:
        check_policy(reading)


@pytest.mark.parametrize("said", ["GPL", "apache2.1", "MIT OR X11", "", "unknown"])
def test_a_slip_in_a_policy_is_told_at_its_place(harbor: Project, said: str) -> None:
    policy(harbor, deny=["MIT", said])
    with opened(harbor.path) as reading, pytest.raises(SpritefileError, match="is no licence") as caught:
        check_policy(reading)
    assert f'deny = ["MIT", {json.dumps(said)}]' in str(caught.value)


def test_a_build_against_the_policy_runs_and_writes_nothing(harbor: Project) -> None:
    harbor.build("sprites.rock")
    before = harbor.assets(), harbor.lock_text()
    policy(harbor, deny=["*RAIL*"])
    with pytest.raises(PolicyError):
        harbor.build("sprites.*")
    assert harbor.last.ran == []
    assert (harbor.assets(), harbor.lock_text()) == before
    assert harbor.build("sprites.wave", "sprites.rock").ran == ["sprites.wave:press"]


# The command


def test_licenses_are_a_table_of_assets_and_of_components(harbor: Project) -> None:
    harbor.edit("sheets", {}).edit("loras.ropes.save", None)
    done = harbor.cli("licenses", NO_COLOR="1")
    assert done.returncode == 0
    assets, components = (part.splitlines() for part in done.stdout.split("\n\n"))
    assert [re.split(r"  +", line) for line in assets] == [
        ["licences", "number", "assets"],
        ["the project's own", "1", "assets/rock.png"],
        ["Apache-2.0,", "1", "assets/water/wave.png"],
        ["CC0-1.0"],
        ["CC-BY-4.0,", "1", "assets/knot.png"],
        [HASHED],
        [HASHED, "1", "assets/buoy.png"],
    ]
    rows = [re.split(r"  +", line) for line in components[1:]]
    assert [row[:3] for row in rows] == [
        ["models.sea", HASHED, "path:weights"],
        ["models.mini", "CC0-1.0", "builtin:sprite-mini"],
        ["loras.foam", "Apache-2.0", "path:loras/foam.safetensors"],
        ["datasets.ropes", "CC-BY-4.0", "path:art"],
        ["loras.ropes", "CC-BY-4.0 (inherited)", "trained here"],
        ["", f"{HASHED} (inherited)"],
    ]
    assert "note: models.sea, loras.ropes: the licence limits" in done.stderr


def test_many_assets_are_shown_by_folder_and_each_with_verbose(project: Project) -> None:
    numbers = [str(n) for n in range(30)]
    project.write(
        {
            "project": {"name": "many", "stages": "stages"},
            "sprites": {"rock": {"stage": "paint", "prompt": "{n}", "matrix": {"n": numbers}, "category": "rocks"}},
        }
    )
    assert "30      assets/rocks/*  (30)\n" in project.cli("licences").stdout
    assert project.cli("licences", "--verbose").stdout.count("assets/rocks/rock-") == 30


def test_a_table_of_many_folders_is_cut_short(project: Project) -> None:
    rocks = {f"rock{n}": {"stage": "paint", "prompt": str(n), "category": f"shore{n // 2}"} for n in range(20)}
    project.write({"project": {"name": "many", "stages": "stages"}, "sprites": rocks})
    lines = project.cli("licenses").stdout.splitlines()
    assert len(lines) == 8
    assert lines[1].endswith("20      assets/shore0/*  (2)")
    assert lines[-1].strip() == "8 in 4 more folders"


def test_licenses_of_what_is_unknown_come_with_a_remedy(harbor: Project) -> None:
    harbor.edit("models.sea.licence", None)
    done = harbor.cli("licenses")
    assert "warning: the licence of models.sea is unknown" in done.stderr
    assert 'licence = "..." in [models.sea]' in done.stderr
    assert re.search(r"models\.sea +unknown +path:weights", done.stdout)
    assert done.returncode == 0


def test_licenses_against_the_policy_exit_4_and_are_still_shown(harbor: Project) -> None:
    policy(harbor, deny=["*RAIL*"])
    done = harbor.cli("licenses")
    assert done.returncode == 4
    assert "models.sea is under" in done.stderr
    assert "assets/water/wave.png" in done.stdout
    data = json.loads(harbor.cli("licenses", "--json").stdout)
    assert [(row["component"], row["rule"]) for row in data["offences"]] == [("models.sea", "deny")]


def test_licenses_in_json_hold_every_asset_and_component(harbor: Project) -> None:
    data: Mapping[str, Any] = json.loads(harbor.cli("licenses", "--json").stdout)
    by_asset = {path: set(row["licences"]) for row in data["assets"] for path in row["assets"]}
    assert by_asset == asset_licences(harbor)
    ropes = next(row for row in data["components"] if row["name"] == "loras.ropes")
    assert ropes["restricts_use"] is True
    assert ropes["needs"] == ["datasets.ropes", "models.sea"]
    assert data["offences"] == []


def test_hostile_words_reach_no_terminal(harbor: Project) -> None:
    hostile = "<script>alert(1)</script>\n::error::boo\x1b[31m\u202egnp"
    harbor.edit("models.sea.licence", hostile)
    for arguments in (["licenses"], ["licenses", "--json"], ["licenses", "-v"]):
        done = harbor.cli(*arguments)
        assert done.returncode == 0
        assert not re.search("<script>|^::error|\x1b\\[31|\u202e", done.stdout + done.stderr, re.MULTILINE)
    done = policy(harbor, allow=["MIT"]).cli("licenses")
    assert done.returncode == 4
    assert not re.search("^::error|\x1b\\[31|\u202e", done.stderr, re.MULTILINE)
