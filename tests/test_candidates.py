"""Candidates and picks: what is made, what is installed, what the lock holds, and when a pick no longer does."""

from __future__ import annotations

import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from projects import INVERT, ISLAND, Project, Recorder

from spritebuild import digest, lock
from spritebuild.candidates import Candidate, candidates, clear, pick, rank, undecided
from spritebuild.collect import collect
from spritebuild.errors import LockError, RegressionError, SpritefileError, StageError, UsageError
from spritebuild.graph import Action, Graph
from spritebuild.project import held, opened

MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # where fsync costs nothing
TARGET, ASSET = "sprites.potion", "assets/potion.png"
TOLD = "1 sprite is undecided: spritebuild review, or spritebuild pick NAME SEED"

# It scores a picture by one param and by its own bytes: what a model's scorer does, without the model.
JUDGE = '''
"""How near the first visible pixel is to a shade."""

from pathlib import Path

from spritebuild.stage import Inputs, Outputs, Params, Stage


class JudgeParams(Params):
    prompt: str = ""
    least: float = 0.0


class JudgeInputs(Inputs):
    image: Path


class JudgeOutputs(Outputs):
    score: Path = Path("score.json")


class Judge(Stage):
    version = 1
    Params = JudgeParams
    Inputs = JudgeInputs
    Outputs = JudgeOutputs

    def run(self, action, context):
        import json

        from spritebuild_stages.images import png

        rgba = png.read(action.inputs.image)
        share = float((rgba[..., 3] > 0).mean())
        action.outputs.score.write_text(json.dumps({"score": share, "words": f"{share:.0%} {action.params.prompt}"}))
'''


@pytest.fixture
def several(project: Project) -> Project:
    """The island with four candidates of the potion; nothing is built."""
    return project.write(ISLAND).edit("sprites.potion", {**ISLAND["sprites"]["potion"], "seed": 3, "candidates": 4})


@pytest.fixture
def built(several: Project) -> Project:
    several.build()
    return several


def ends(project: Project, target: str = TARGET) -> dict[int, str]:
    return dict(project.graph().candidates[target])


def listed(project: Project, target: str = TARGET) -> list[Candidate]:
    rank(project.path, Recorder(), [target])
    with opened(project.path, checks=True) as found:
        return candidates(found, target)


def digests(project: Project, target: str = TARGET) -> dict[int, str]:
    with opened(project.path) as found:
        return {one.seed: one.digest for one in candidates(found, target)}


def left(project: Project) -> list[str]:
    with opened(project.path) as found:
        return undecided(found)


def choose(project: Project, seed: int, target: str = TARGET, **told: Any) -> Recorder:
    status = Recorder()
    pick(project.path, target, seed, status, **told)
    return status


def installed(project: Project, path: str = ASSET) -> str:
    return digest.of_file(project.root / path)


def refusal(project: Project, **sprite: Any) -> str:
    project.write({**ISLAND, "sprites": {"potion": {"stage": "paint", "prompt": "a", **sprite}}, "sheets": {}})
    with pytest.raises(SpritefileError) as caught:
        project.graph()
    return str(caught.value)


# The graph


def test_each_candidate_is_a_chain_of_its_own_seed(several: Project) -> None:
    graph = several.graph()
    assert list(ends(several)) == [3, 4, 5, 6]
    assert [graph.actions[f"{TARGET}:{seed}:paint"].params["seed"] for seed in (3, 4, 5, 6)] == [3, 4, 5, 6]
    assert {action.target for action in graph.actions.values()} == {TARGET, "sprites.sword", "sheets.items"}
    assert [graph.actions[id].installs for id in ends(several).values()] == [(("image", ASSET),), (), (), ()]


def test_candidates_begin_at_the_project_s_seed(project: Project) -> None:
    project.write({**ISLAND, "project": {**ISLAND["project"], "seed": 40}}).edit("sprites.potion.candidates", 2)
    assert list(ends(project)) == [40, 41]


def test_every_variant_of_a_matrix_has_candidates(project: Project) -> None:
    sprite = {"stage": "paint", "prompt": "{color}", "matrix": {"color": ["red", "blue"]}, "candidates": 2}
    graph = project.write({**ISLAND, "sprites": {"gem": sprite}}).graph()
    assert {target: list(found) for target, found in graph.candidates.items()} == {
        "sprites.gem-red": [0, 1],
        "sprites.gem-blue": [0, 1],
    }


def test_what_candidates_agree_in_with_others_is_made_once(project: Project) -> None:
    finish = {"finish": [{"op": "quantize", "palette": "{tone}"}]}
    sprite = {"stage": "paint", "matrix": {"tone": ["gray", "red"]}, "candidates": 3, **finish}
    palettes = {**ISLAND["palettes"], "red": {"colors": ["#f00", "#000"]}}
    status = project.write({**ISLAND, "palettes": palettes, "sprites": {"gem": sprite}, "sheets": {}}).build()
    kinds = [id.rpartition(":")[2] for id in status.ran]
    assert (kinds.count("paint"), kinds.count("finish")) == (3, 6)


def test_sheets_evaluations_and_palettes_take_the_pick_alone(built: Project) -> None:
    finish = [{"op": "quantize", "palette": "own"}]
    built.edit("palettes.own", {"sprites": ["potion", "sword"], "most": 4}).edit("styles.base.finish", finish).build()
    choose(built, 5)
    graph = built.graph()
    frames = {ref.action for ref in graph.actions["sheets.items:sheet"].producers()}
    assert frames == {f"{TARGET}:5:finish", "sprites.sword:finish"}
    assert {ref.action for ref in graph.actions["palettes.own:palette"].producers()} == {
        f"{TARGET}:5:paint",
        "sprites.sword:paint",
    }
    assert "palettes.own" in dict(graph.actions[f"{TARGET}:6:finish"].inputs)["palettes.own"].action  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("sprite", "message", "hint"),
    [
        ({"candidates": 1}, "candidates must be at least 2, not 1", ""),
        ({"candidates": 65}, "candidates must be at most 64, not 65", ""),
        ({"candidates": 4, "seeds": [1, 2]}, "say candidates or seeds, not both", ""),
        ({"candidates": 4, "seed": 2**63 - 3}, "there are no 4 seeds from 9223372036854775805", "or less"),
        ({"candidates": 4, "params": {"seed": 1}}, "sprites.potion.params.seed is said", "take it out"),
        ({"candidates": 4, "stage": "press"}, 'stage "press" has no param seed', ""),
        ({"candidates": 2, "rank": {"stile": 1}}, 'unknown key "stile"', 'did you mean "style"?'),
        ({"candidates": 2, "rank": {"style": -1}}, "style must be at least 0, not -1", ""),
        ({"candidates": 2, "rank": {"scorer": {"model": "x"}}}, "a scorer is a stage of your own", ""),
    ],
)
def test_what_cannot_be_is_refused_at_its_line(
    project: Project, sprite: dict[str, Any], message: str, hint: str
) -> None:
    error = refusal(project, **sprite)
    assert message in error
    assert hint in error
    assert error.startswith("spritefile.toml:")
    assert error.endswith("\n1 error")


def test_the_last_seed_there_is_can_be_a_candidate(project: Project) -> None:
    project.write(ISLAND).edit("sprites.potion.seed", 2**63 - 2).edit("sprites.potion.candidates", 2)
    assert list(ends(project)) == [2**63 - 2, 2**63 - 1]


# What is built


def test_all_are_made_and_the_first_is_installed(several: Project) -> None:
    status = several.build()
    assert sorted(id for id in status.ran if id.endswith("paint")) == [
        *(f"{TARGET}:{seed}:paint" for seed in (3, 4, 5, 6)),
        "sprites.sword:paint",
    ]
    assert sorted(several.assets()) == ["assets/items.json", "assets/items.png", ASSET, "assets/sword.png"]
    made = digests(several)
    assert len(set(made.values())) == 4
    assert installed(several) == made[3]
    assert set(made.values()) <= several.blobs().keys()
    assert status.said == [TOLD]


def test_the_first_candidate_is_the_sprite_without_candidates(project: Project) -> None:
    project.write(ISLAND).edit("sprites.potion.seed", 3).build()
    before, entry = project.assets(), project.lock()[ASSET]
    status = project.edit("sprites.potion.candidates", 4).build()
    assert status.installs == []
    assert (project.assets(), project.lock()[ASSET]) == (before, entry)


def test_a_second_build_runs_nothing(built: Project) -> None:
    assert built.idle()
    before = built.lock_text()
    status = built.build()
    assert (status.ran, status.installs, built.lock_text()) == ([], [], before)


def test_a_sprite_that_is_named_has_all_its_candidates_made(several: Project) -> None:
    status = several.build("potion")
    assert len([id for id in status.ran if id.endswith(":paint")]) == 4
    assert "sprites.sword:paint" not in status.ran


def test_plan_tells_of_the_undecided(several: Project) -> None:
    several.edit("sprites.sword.candidates", 2)
    assert several.cli("plan").stderr.endswith(
        "\n2 sprites are undecided: spritebuild review, or spritebuild pick NAME SEED\n"
    )
    assert f"\n{TOLD}\n" in several.cli("build", "sword").stderr
    assert several.cli("plan", "sword").stderr == f"nothing to do\n{TOLD}\n"
    assert several.cli("build", "sword", "-q").stderr == ""


# Picks


def test_a_pick_is_installed_and_recorded_by_seed_and_digest(built: Project) -> None:
    made = digests(built)
    status = choose(built, 5)
    assert (status.ran, status.installs) == ([], [ASSET])
    assert installed(built) == made[5]
    assert built.lock()[ASSET].pick == {"seed": 5, "digest": made[5]}
    assert left(built) == []
    assert built.build().ran == ["sheets.items:sheet"]
    assert built.last.said == []


def test_the_lock_is_true_after_a_pick_and_the_idle_check_sees_it(built: Project) -> None:
    choose(built, 5)
    assert not built.idle()
    with pytest.raises(LockError):
        built.build(locked=True)  # the sheet
    built.build()
    assert built.idle()
    before = built.lock_text()
    assert built.build(locked=True).ran == []
    assert built.lock_text() == before


def test_a_pick_that_came_with_the_lock_is_installed(built: Project, tmp_path: Path) -> None:
    other = built.clone(tmp_path / "other", assets=True, store=True)
    choose(built, 6)
    built.build()
    other.file(lock.PATH, built.lock_text())
    assert not other.idle()
    status = other.build()
    assert status.ran == ["sheets.items:sheet"]
    assert other.assets() == built.assets()


def test_a_clone_of_what_is_decided_makes_no_other_candidate(built: Project, tmp_path: Path) -> None:
    choose(built, 5)
    built.build()
    clone = built.clone(tmp_path / "clone")
    status = clone.build()
    assert [id for id in status.ran if id.endswith("paint")] == [f"{TARGET}:5:paint", "sprites.sword:paint"]
    assert clone.assets() == built.assets()
    assert built.clone(tmp_path / "full", assets=True).build(locked=True).ran == []


def test_a_clone_that_names_a_decided_sprite_makes_them_all(built: Project, tmp_path: Path) -> None:
    choose(built, 5)
    clone = built.clone(tmp_path / "clone", assets=True)
    with pytest.raises(
        UsageError, match=r"seed 6 of sprites\.potion is not here\n\nhint: make it first: spritebuild build"
    ):
        choose(clone, 6)
    assert set(clone.build("potion").ran) == {
        f"{TARGET}:{seed}:{stage}" for seed in (3, 4, 6) for stage in ("paint", "finish")
    }
    assert digests(clone) == digests(built)


def test_a_pick_before_anything_is_built_is_refused(several: Project) -> None:
    with pytest.raises(UsageError, match="is not here"):
        choose(several, 4)
    assert not (several.root / lock.PATH).exists()


@pytest.mark.parametrize(
    ("target", "seed", "message"),
    [
        (TARGET, 7, "sprites.potion has no candidate of seed 7\n\nhint: seeds: 3, 4, 5, 6"),
        ("sprites.sword", 0, "sprites.sword has no candidates\n\nhint: declare some: candidates = 8"),
        ("sprites.poton", 3, "no sprite is called 'poton'\n\nhint: did you mean \"potion\"? with candidates: potion"),
    ],
)
def test_what_is_no_candidate_is_refused(built: Project, target: str, seed: int, message: str) -> None:
    before = built.lock_text()
    with pytest.raises(UsageError) as caught:
        choose(built, seed, target)
    assert str(caught.value) == message
    assert built.lock_text() == before


def test_a_pick_of_what_was_looked_at_and_changed_is_refused(built: Project) -> None:
    before = digests(built)
    built.edit("sprites.potion.prompt", "blue potion").build()
    with pytest.raises(RegressionError, match="not what was looked at"):
        choose(built, 5, digest=before[5])
    assert not built.lock()[ASSET].pick
    choose(built, 5, digest=digests(built)[5])
    assert built.lock()[ASSET].pick["seed"] == 5


def test_a_pick_can_be_changed_and_cleared(built: Project) -> None:
    made = digests(built)
    choose(built, 5)
    choose(built, 4)
    assert (installed(built), built.lock()[ASSET].pick["seed"]) == (made[4], 4)
    status = Recorder()
    assert clear(built.path, TARGET, status)
    assert (installed(built), built.lock()[ASSET].pick) == (made[3], {})
    assert status.ran == []
    assert left(built) == [TARGET]
    assert not clear(built.path, TARGET, status)


def test_picks_of_variants_are_their_own(project: Project) -> None:
    sprite = {"stage": "paint", "prompt": "{color}", "matrix": {"color": ["red", "blue"]}, "candidates": 3}
    project.write({**ISLAND, "sprites": {"gem": sprite}, "sheets": {}}).build()
    choose(project, 2, "sprites.gem-blue")
    assert left(project) == ["sprites.gem-red"]
    assert {path: entry.pick.get("seed") for path, entry in project.lock().items()} == {
        "assets/gem-blue.png": 2,
        "assets/gem-red.png": None,
    }


# When a pick no longer holds


def test_a_changed_declaration_leaves_the_pick_installed_and_undecided(built: Project) -> None:
    choose(built, 5)
    built.build()
    status = built.edit("sprites.potion.prompt", "blue potion").build()
    assert len([id for id in status.ran if id.endswith("paint")]) == 4  # to choose from again
    assert status.said == [TOLD]
    assert installed(built) == digests(built)[5]
    assert left(built) == [TARGET]
    assert built.build(locked=True).ran == []
    choose(built, 5)
    assert left(built) == []


def test_a_change_of_no_effect_leaves_the_pick_as_it_is(built: Project) -> None:
    choose(built, 5)
    status = built.edit("sprites.potion.params", {"note": "of no effect"}).build()
    assert left(built) == []
    assert status.said == []


def test_a_reverted_change_is_decided_again(built: Project) -> None:
    choose(built, 5)
    built.edit("sprites.potion.prompt", "blue potion").build()
    built.edit("sprites.potion.prompt", "red potion").build()
    assert left(built) == []


def test_a_pick_that_is_no_candidate_any_more_stays_installed_and_is_undecided(built: Project) -> None:
    made = digests(built)
    choose(built, 6)
    built.build()
    status = built.edit("sprites.potion.candidates", 2).build()
    assert (status.ran, status.said) == ([], [TOLD])
    assert installed(built) == made[6]
    assert list(ends(built)) == [3, 4]
    assert left(built) == [TARGET]
    assert set(built.build("potion", rebuild=True).ran) == {
        f"{TARGET}:{seed}:{stage}" for seed in (3, 4, 6) for stage in ("paint", "finish")
    }
    choose(built, 4)
    assert installed(built) == made[4]
    assert not any(":6:" in id for id in built.graph().actions)


def test_a_sprite_that_has_no_candidates_any_more_has_no_pick(built: Project) -> None:
    made = digests(built)
    choose(built, 6)
    built.edit("sprites.potion.candidates", None).build()
    assert installed(built) == made[3]
    assert not built.lock()[ASSET].pick


def test_what_is_not_declared_any_more_has_no_pick(built: Project) -> None:
    choose(built, 6)
    built.edit("sprites.potion", None).build()
    assert ASSET not in built.lock()


def test_another_machine_keeps_the_pick(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    styles = {"base": {"stage": "dream", "finish": [{"op": "alpha"}]}}
    project.write({**ISLAND, "styles": styles}).edit("sprites.potion.candidates", 3).build()
    choose(project, 2)
    project.build()
    other = project.clone(tmp_path / "other")
    monkeypatch.setenv("DREAM_PLATFORM", "two")
    monkeypatch.setenv("DREAM_NOISE", "1")
    other.build()
    assert installed(other) != installed(project)
    assert left(other) == []
    assert other.lock()[ASSET] == project.lock()[ASSET]
    assert other.build(locked=True).ran == []
    before = other.lock_text()
    choose(other, 2)  # what stands in for the locked bytes is looked at, they are picked
    assert other.lock_text() == before


edits = st.one_of(
    st.tuples(st.just("candidates"), st.sampled_from([None, 2, 3, 5])),
    st.tuples(st.just("seed"), st.integers(0, 3)),
    st.tuples(st.just("prompt"), st.sampled_from(["red potion", "blue potion"])),
    st.tuples(st.just("pick"), st.integers(0, 4)),
)


@settings(max_examples=20)
@given(steps=st.lists(edits, min_size=1, max_size=6))
@example(steps=[("candidates", 2), ("pick", 1), ("seed", 1), ("pick", 1)])
def test_whatever_is_edited_and_picked_a_clean_clone_builds_the_same(steps: list[tuple[str, Any]]) -> None:
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        project = Project(Path(folder) / "island").write({**ISLAND, "sheets": {}})
        project.edit("sprites.potion.seed", 0).build()
        for what, value in steps:
            if what == "pick":
                seeds = list(project.graph().candidates.get(TARGET, {}))
                if seeds:
                    project.build(TARGET)  # after a pick, a build alone makes no other candidate
                    choose(project, seeds[value % len(seeds)])
                    assert left(project) == []
            elif value is not None or what in project.declared["sprites"]["potion"]:
                project.edit(f"sprites.potion.{what}", value).build()
            pick = project.lock()[ASSET].pick
            (made,) = (a.params.get("seed", 0) for a in ending(project))
            assert made == pick.get("seed", project.declared["sprites"]["potion"]["seed"])
        project.build()
        assert project.build(locked=True).ran == []
        clone = project.clone(Path(folder) / "clone")
        clone.build(locked=True)
        assert clone.assets() == project.assets()
        assert clone.lock_text() == project.lock_text()
        assert left(clone) == left(project)


def ending(project: Project) -> list[Action]:
    """The action that draws what is installed for the potion."""
    graph = project.graph()
    (last,) = (action for action in graph.actions.values() if ("image", ASSET) in action.installs)
    return [graph.actions[ref.action] for ref in last.producers()]


# The lock and the store


def test_an_approval_is_kept_with_what_was_picked_since_as_the_reason(built: Project) -> None:
    entries = {path: lock.approve(entry) or entry for path, entry in built.lock().items()}
    lock.write(built.root, entries.values())
    first = built.lock()[ASSET].digest
    choose(built, 4)
    entry = built.lock()[ASSET]
    assert (entry.approved, entry.before["digest"], entry.before["why"]) == (first, first, ["seed 4 was picked"])
    clear(built.path, TARGET, Recorder())
    assert (built.lock()[ASSET].approved, built.lock()[ASSET].before) == (first, {})


@pytest.mark.parametrize(
    "wrong",
    [{"seed": "5", "digest": "a"}, {"seed": -1, "digest": "a"}, {"seed": True, "digest": "a"}, {"seed": 1}, [1]],
)
def test_a_damaged_pick_names_its_line(built: Project, wrong: Any) -> None:
    rows = [json.loads(line) for line in built.lock_text().splitlines()]
    number = next(n for n, row in enumerate(rows, 1) if row["path"] == ASSET)
    rows[number - 1]["pick"] = wrong
    built.file(lock.PATH, "".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(LockError, match=f"{lock.PATH}:{number}: not an entry"):
        built.build()


def test_gc_keeps_candidates_as_long_as_they_are_declared(built: Project) -> None:
    made = digests(built)
    choose(built, 5)
    built.build()

    def swept() -> set[str]:
        for path in built.blobs().values():
            os.utime(path, (time.time() - 9e6,) * 2)
        with held(built.path, Recorder()) as project:
            collect(project, 60, dry_run=False)
        return set(built.blobs())

    assert set(made.values()) <= swept()
    choose(built, 4)
    built.build()
    built.edit("sprites.potion.candidates", 2).build()
    kept = swept()
    assert {made[3], made[4]} <= kept
    assert not {made[5], made[6]} & kept


# Ranks


def test_ranks_are_actions_that_only_a_check_has(built: Project) -> None:
    assert f"{TARGET}:rank" not in built.graph().actions
    with opened(built.path, checks=True) as project:
        found = project.graph.actions[f"{TARGET}:rank"]
    assert found.params["seeds"] == [3, 4, 5, 6]
    assert [name for name, _ in found.inputs] == ["images.0", "images.1", "images.2", "images.3"]
    assert found.params["limits"] == {"palette": ["#000000", "#888888", "#ffffff"]}
    assert not found.installs


def test_candidates_are_ranked_once_and_listed_best_first(built: Project) -> None:
    with opened(built.path) as project:
        unranked = candidates(project, TARGET)
    assert [(one.seed, one.rank, one.score) for one in unranked] == [
        (3, 1, None),
        (4, 2, None),
        (5, 3, None),
        (6, 4, None),
    ]
    status = Recorder()
    rank(built.path, status)
    assert status.ran == [f"{TARGET}:rank"]
    again = Recorder()
    rank(built.path, again, [TARGET])
    assert again.ran == []
    found = listed(built)
    assert [one.rank for one in found] == [1, 2, 3, 4]
    assert [one.score for one in found] == sorted((one.score or 0.0 for one in found), reverse=True)
    assert {one.seed: one.digest for one in found} == digests(built)
    assert all(0 <= score <= 1 for one in found for score in one.scores.values())
    assert all("palette" in one.words for one in found)
    assert built.assets().keys() == {"assets/items.json", "assets/items.png", ASSET, "assets/sword.png"}


def test_ranks_do_not_make_what_is_not_here(several: Project) -> None:
    status = Recorder()
    rank(several.path, status)
    assert status.ran == []
    assert [one.digest for one in listed(several)] == [""] * 4


def test_a_weight_of_a_style_decides(built: Project) -> None:
    built.stage("judge", JUDGE)
    weights = {"style": 0, "palette": 0, "orphans": 0, "silhouette": 0, "prompt": 3}
    built.edit("styles.base.rank", {**weights, "scorer": {"stage": "judge", "least": 0.5}})
    found = listed(built)
    assert [one.score for one in found] == [one.scores["prompt"] for one in found]
    assert found[0].score and found[0].score > found[-1].score  # type: ignore[operator]
    assert found[0].words.endswith("% red potion")
    built.edit("styles.base.rank", {"silhouette": 1, "style": 0, "palette": 0, "orphans": 0})
    found = listed(built)
    assert [one.scores["silhouette"] for one in found] == sorted(
        (one.scores["silhouette"] for one in found), reverse=True
    )


@pytest.mark.parametrize(
    ("scorer", "message", "hint"),
    [
        ({"stage": "juge"}, 'unknown stage "juge"', 'did you mean "judge"?'),
        ({"stage": "invert"}, 'stage "invert" scores no image', "its Outputs a `score`"),
        ({"stage": "judge", "leest": 1.0}, 'unknown key "leest"', 'did you mean "least"?'),
    ],
)
def test_a_scorer_that_cannot_be_is_refused(several: Project, scorer: dict[str, Any], message: str, hint: str) -> None:
    several.stage("judge", JUDGE)
    several.edit("styles.base.rank", {"scorer": scorer})
    with pytest.raises(SpritefileError) as caught, opened(several.path, checks=True):
        pass
    assert message in str(caught.value)
    assert hint in str(caught.value)
    assert str(caught.value).startswith("spritefile.toml:")


def test_a_scorer_may_need_a_model(pressed: Project) -> None:
    needs = JUDGE.replace("    image: Path\n\n\nclass JudgeOut", "    image: Path\n    model: Path\n\n\nclass JudgeOut")
    pressed.write({**ISLAND, "models": pressed.declared["models"]}).stage("judge", needs)
    pressed.edit("sprites.potion.candidates", 2).edit("styles.base.rank", {"scorer": {"stage": "judge"}})
    with pytest.raises(SpritefileError, match='stage "judge" needs a model'), opened(pressed.path, checks=True):
        pass
    pressed.edit("styles.base.rank", {"scorer": {"stage": "judge", "model": "mine"}}).build()
    assert all("prompt" in one.scores for one in listed(pressed))
    with opened(pressed.path, checks=True) as project:
        assert dict(project.graph.actions[f"{TARGET}:0:score"].inputs)["model"]


def test_a_score_that_is_none_names_the_scorer_s_contract(built: Project) -> None:
    built.stage("judge", JUDGE.replace('"score": share', '"score": 7'))
    built.edit("styles.base.rank", {"scorer": {"stage": "judge"}})
    with pytest.raises(StageError, match="a score is not from 0 to 1"):
        listed(built)


# The command


def test_pick_lists_picks_and_clears(built: Project) -> None:
    result = built.cli("pick", "potion")
    lines = result.stdout.splitlines()
    assert lines[0] == "sprites.potion: 4 candidates, undecided"
    assert lines[1].split() == ["rank", "seed", "score"]
    assert [line.split()[0] for line in lines[2:]] == ["1", "2", "3", "4"]
    result = built.cli("pick", "sprites.potion", "5", "-q")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert built.lock()[ASSET].pick["seed"] == 5
    assert "sprites.potion: 4 candidates, seed 5 is picked" in built.cli("pick", "potion").stdout
    found = json.loads(built.cli("pick", "potion", "4", "--json").stdout)
    assert (found["target"], found["undecided"]) == (TARGET, False)
    assert [one["seed"] for one in found["candidates"] if one["picked"]] == [4]
    result = built.cli("pick", "potion", "--clear")
    assert (result.returncode, result.stdout) == (0, "")
    assert result.stderr.endswith("forgot what was picked for sprites.potion\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["potion", "9"], "error: sprites.potion has no candidate of seed 9\n\nhint: seeds: 3, 4, 5, 6\n"),
        (["poton"], "error: no sprite is called 'poton'\n\nhint: did you mean \"potion\"? with candidates: potion\n"),
        (["sword"], "error: sprites.sword has no candidates\n\nhint: declare some: candidates = 8\n"),
        (["potion", "4", "--clear"], "error: say a seed or --clear, not both\n"),
    ],
)
def test_a_wrong_pick_exits_2(built: Project, arguments: list[str], words: str) -> None:
    result = built.cli("pick", *arguments)
    assert (result.returncode, result.stdout, result.stderr) == (2, "", words)


# The mark of what a model made


def marks(graph: Graph) -> set[str]:
    return {id for id, action in graph.actions.items() if action.params.get("mark") is True}


def test_what_a_model_made_is_marked_where_it_is_installed(project: Project) -> None:
    finish = [{"op": "alpha"}]
    sprites = {
        "drawn": {"stage": "paint", "finish": finish},
        "dreamt": {"model": "mini", "prompt": "a potion", "finish": finish, "candidates": 2},
        "raw": {"model": "mini", "prompt": "a potion"},
        "turned": {"model": "mini", "prompt": "a potion", "finish": [*finish, {"stage": "invert"}]},
    }
    sheets = {"mixed": {"sprites": ["*"]}, "own": {"sprites": ["drawn"]}, "other": {"sprites": ["turned"]}}
    exports = {name: {"kind": "phaser", "path": f"game/{name}", "sheets": [name]} for name in sheets}
    tables = {"models": {"mini": {"builtin": "sprite-mini"}}, "sprites": sprites, "sheets": sheets, "exports": exports}
    marking = INVERT.replace("    amount: int = 255\n", "    amount: int = 255\n    mark: bool = False\n")
    project.write({"project": ISLAND["project"], **tables}).stage("invert", marking)
    graph = project.graph()
    assert marks(graph) == {
        "sprites.dreamt:0:finish",
        "sprites.dreamt:1:finish",
        "sprites.raw:generate",
        "sprites.turned:invert",
        "sheets.mixed:sheet",
        "sheets.other:sheet",
        "exports.mixed:export",
        "exports.other:export",
    }
    assert all(graph.actions[id].origins["mark"] == "project.mark" for id in marks(graph))
    project.edit("project.mark", False)
    assert marks(project.graph()) == set()


def test_a_sheet_is_marked_by_its_frames_and_companions_and_not_by_itself(project: Project) -> None:
    sprites = {
        "hero": {"stage": "paint"},
        "hero-glow": {"model": "mini", "prompt": "a glow"},
    }
    sheet = {"sprites": ["hero"], "companions": {"glow": "{name}-glow"}}
    project.write(
        {**ISLAND, "models": {"mini": {"builtin": "sprite-mini"}}, "sprites": sprites, "sheets": {"all": sheet}}
    )
    assert marks(project.graph()) == {"sprites.hero-glow:generate", "sheets.all:sheet"}
    project.edit("sheets.all.mark", True)
    with pytest.raises(SpritefileError, match='unknown key "mark"'):
        project.graph()


# With the built-in model


@pytest.mark.diffusion
def test_candidates_of_a_model_share_a_batch_and_a_pick_draws_nothing(project: Project) -> None:
    finish = [{"op": "cutout"}, {"op": "quantize", "palette": "gray"}]
    styles = {"base": {"model": "mini", "steps": 4, "finish": finish}}
    sprites = {"potion": {"style": "base", "prompt": "a red potion", "candidates": 4}}
    project.write({**ISLAND, "models": {"mini": {"builtin": "sprite-mini"}}, "styles": styles, "sprites": sprites})
    status = project.build()
    assert sorted(id for id in status.ran if id.endswith("generate")) == [f"{TARGET}:{n}:generate" for n in range(4)]
    with opened(project.path) as found:
        stage = found.stages["generate"]
        actions = [found.graph.actions[f"{TARGET}:{n}:generate"] for n in range(4)]
        groups = {stage.affinity(stage.Params.model_validate(one.params), {"model": "x"}) for one in actions}
    assert len(groups) == 1
    made = digests(project)
    assert len(set(made.values())) == 4
    best = listed(project)[0]
    assert choose(project, best.seed, digest=best.digest).ran == []
    assert installed(project) == made[best.seed]
    assert set(project.build().ran) <= {"sheets.items:sheet"}
    assert project.idle()
    project.edit("styles.base.steps", 5)
    assert len([id for id in project.build().ran if id.endswith("generate")]) == 4
    assert left(project) == [TARGET]
