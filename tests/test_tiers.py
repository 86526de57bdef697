"""A quality has keys of its own, and what is made in one that was asked for lies apart from the project's assets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from projects import Project

from spritebuild import lock
from spritebuild.build import Request, build
from spritebuild.errors import SpritefileError, UsageError
from spritebuild.graph import Graph
from spritebuild.project import of_quality, opened
from spritebuild.resolution import tiers
from spritebuild.run import Options
from spritebuild.spritefile.tiers import PROFILES, Quality, Tier, Tiers
from spritebuild.status import Status

DEFAULTS = {"steps": 20, "size": (32, 32), "scheduler": "ddim"}


def spritefile(**potion: Any) -> dict[str, Any]:
    return {
        "project": {"name": "island", "stages": "stages"},
        "styles": {"plain": {"stage": "paint", "steps": 30}},
        "sprites": {"potion": {"style": "plain", "prompt": "red potion", **potion}, "sword": {"stage": "paint"}},
    }


def graph_of(project: Project, quality: Quality | None = None) -> Graph:
    with opened(project.root / "spritefile.toml") as found:
        return of_quality(found, quality).graph if quality is not None else found.graph


def steps_of(graph: Graph, sprite: str = "potion") -> int:
    return int(graph.actions[f"sprites.{sprite}:paint"].params.get("steps", 20))


def built(project: Project, quality: Quality | None = None) -> dict[str, Any]:
    return build(project.root / "spritefile.toml", Request(options=Options(2), quality=quality), Status())


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_every_quality_has_a_key_of_its_own(project: Project) -> None:
    project.write(spritefile())
    recipes = {quality: graph_of(project, quality).actions["sprites.potion:paint"].recipe for quality in QUALITIES}
    assert len(set(recipes.values())) == 3
    assert recipes["standard"] == graph_of(project).actions["sprites.potion:paint"].recipe


QUALITIES: tuple[Quality, ...] = ("draft", "standard", "high")


def test_a_quality_changes_the_steps_by_its_factor_and_says_where_that_is_declared(project: Project) -> None:
    project.write(spritefile())
    assert [steps_of(graph_of(project, quality)) for quality in QUALITIES] == [12, 30, 60]
    assert [steps_of(graph_of(project, quality), "sword") for quality in QUALITIES] == [8, 20, 40]
    action = graph_of(project, "draft").actions["sprites.potion:paint"]
    assert action.origins["steps"] == "quality.draft.steps"


def test_what_a_look_says_wins_over_the_project_and_what_is_asked_for_over_both(project: Project) -> None:
    said = spritefile(quality="high")
    said["project"]["quality"] = "draft"
    project.write(said)
    assert (steps_of(graph_of(project)), steps_of(graph_of(project), "sword")) == (60, 8)
    assert steps_of(graph_of(project, "standard")) == 30
    assert steps_of(graph_of(project, "draft")) == 12


def test_a_project_says_what_its_qualities_mean(project: Project) -> None:
    project.write(spritefile(size=[64, 32]) | {"quality": {"draft": {"steps": 0.1, "scale": 0.5}}})
    params = graph_of(project, "draft").actions["sprites.potion:paint"].params
    assert (params["steps"], params["size"]) == (4, [32, 16])
    assert steps_of(graph_of(project, "high")) == 60


def test_a_sampler_that_is_none_is_blamed_where_the_quality_is_declared(project: Project) -> None:
    said = {
        "project": {"name": "island"},
        "models": {"mini": {"builtin": "sprite-mini"}},
        "sprites": {"potion": {"model": "mini", "prompt": "red potion"}},
        "quality": {"draft": {"scheduler": "fastest"}},
    }
    project.write(said)
    with pytest.raises(SpritefileError, match=r"fastest") as caught:
        graph_of(project, "draft")
    assert "scheduler" in str(caught.value)


def test_a_draft_touches_neither_the_assets_nor_the_lock_nor_what_the_next_build_does(project: Project) -> None:
    project.write(spritefile())
    built(project)
    assets, locks = files(project.root / "assets"), files(project.root / "lockfiles")
    assert built(project, "draft")["ran"] == 2
    home = project.root / ".spritebuild" / "quality" / "draft"
    assert (files(project.root / "assets"), files(project.root / "lockfiles")) == (assets, locks)
    drafts = files(home / "assets")
    assert drafts.keys() == assets.keys()
    assert all(drafts[name] != assets[name] for name in assets)
    assert built(project) | {"seconds": 0} == {"ran": 0, "installed": 0, "removed": 0, "seconds": 0}
    assert files(home / "assets") == drafts
    assert built(project, "draft") | {"seconds": 0} == {"ran": 0, "installed": 0, "removed": 0, "seconds": 0}


def test_a_draft_that_comes_first_leaves_everything_to_the_build(project: Project) -> None:
    project.write(spritefile())
    built(project, "draft")
    assert not (project.root / "assets").exists()
    assert lock.read(project.root) == {}
    assert built(project)["ran"] == 2


def test_an_undeclared_sprite_leaves_the_drafts_with_the_next_draft_and_the_assets_with_the_next_build(
    project: Project,
) -> None:
    said = spritefile()
    project.write(said)
    built(project)
    built(project, "draft")
    del said["sprites"]["sword"]
    project.write(said)
    home = project.root / ".spritebuild" / "quality" / "draft" / "assets"
    assert built(project, "draft")["removed"] == 1
    assert (sorted(files(home)), len(files(project.root / "assets"))) == (["potion.png"], 2)
    assert built(project)["removed"] == 1


def test_reasons_of_drafts_and_of_builds_know_nothing_of_each_other(project: Project) -> None:
    from spritebuild.plan import plan, targets

    project.write(spritefile())
    built(project)
    built(project, "draft")
    said = spritefile(steps=40)
    project.write(said)
    with opened(project.root / "spritefile.toml") as found:
        for one, reason in ((found, "30 -> 40"), (of_quality(found, "draft"), "12 -> 16")):
            decided = plan(one.graph, one.known, targets(one.graph, ()))
            assert reason in decided.decisions["sprites.potion:paint"].reason


def test_a_locked_build_of_a_quality_is_refused(project: Project) -> None:
    project.write(spritefile())
    with pytest.raises(UsageError, match="no quality but the declared one"):
        build(project.root / "spritefile.toml", Request(locked=True, quality="draft"), Status())


def test_a_profile_says_what_models_leave_open_and_is_part_of_the_key(pressed: Project) -> None:
    said: dict[str, Any] = {
        "project": {"name": "island"},
        "models": {
            "mine": {"path": "weights", "licence": "CC0-1.0"},
            "own": {"path": "weights", "licence": "CC0-1.0", "batch": 2},
            "mini": {"builtin": "sprite-mini"},
        },
        "sprites": {name: {"model": name, "prompt": "red potion"} for name in ("mine", "own", "mini")},
    }
    pressed.write(said)
    before = graph_of(pressed).actions
    said["project"]["profile"] = "enthusiast"
    pressed.write(said)
    after = graph_of(pressed).actions
    assert dict(after["sprites.mine:generate"].params).items() >= {"dtype": "bf16", "batch": 8}.items()
    assert after["sprites.own:generate"].params["batch"] == 2
    assert after["sprites.mine:generate"].origins["dtype"] == "project.profile"
    assert before["sprites.mine:generate"].recipe != after["sprites.mine:generate"].recipe
    assert before["sprites.mini:generate"].recipe == after["sprites.mini:generate"].recipe


def test_profiles_say_only_what_models_may_say() -> None:
    from spritebuild.spritefile import Model

    for profile in PROFILES.values():
        assert profile.keys() <= Model.model_fields.keys()
        Model.model_validate({"builtin": "sprite-mini", **profile})


@given(
    st.integers(1, 1000),
    st.tuples(st.integers(1, 512), st.integers(1, 512)).map(lambda sides: [8 * side for side in sides]),
    st.floats(0.01, 10),
    st.floats(0.1, 4),
    st.sampled_from(QUALITIES),
)
def test_scaled_steps_and_sizes_are_ones_that_models_make(
    steps: int, size: list[int], factor: float, scale: float, quality: Quality
) -> None:
    tier = Tier(steps=factor, scale=scale)
    said = Tiers(draft=tier, high=tier)
    found, where = tiers.applied(said, quality, {"steps": steps, "size": size}, DEFAULTS, None)
    assert found.keys() == where.keys()
    assert 1 <= found.get("steps", steps) <= 1000
    assert all(side % 8 == 0 and side >= 8 for side in found.get("size", size))
    if factor < 1:
        assert found.get("steps", steps) <= steps
    if quality == "standard":
        assert found == {}


@pytest.mark.parametrize(("steps", "fewest"), [(1, 1), (3, 3), (4, 4), (5, 4), (20, 8)])
def test_a_draft_has_as_many_steps_as_it_takes_to_see_something(steps: int, fewest: int) -> None:
    assert tiers.applied(Tiers(), "draft", {"steps": steps}, DEFAULTS, None)[0]["steps"] == fewest


def test_models_of_few_steps_are_left_alone() -> None:
    for quality in QUALITIES:
        assert tiers.applied(Tiers(), quality, {"steps": 4, "scheduler": "lcm"}, DEFAULTS, None)[0] == {}


def test_the_size_of_a_picture_that_is_pixelated_stays_a_whole_multiple() -> None:
    said = Tiers(draft=Tier(scale=0.5))
    found, _ = tiers.applied(said, "draft", {"size": [768, 768]}, DEFAULTS, (48, 48))
    assert found["size"] == [384, 384]


def test_a_quality_is_told_in_words() -> None:
    assert tiers.words(Tiers(), "draft") == "quality draft: 0.4 times the steps"
    said = Tiers(high=Tier(scale=2, scheduler="unipc"))
    assert tiers.words(said, "high") == "quality high: 2 times the steps, 2 times the size, sampler unipc"
    assert tiers.words(Tiers(), "standard") == "quality standard: what the styles say"
