"""Which actions go to a worker together, and how many at once."""

from __future__ import annotations

from collections.abc import Hashable

from hypothesis import given
from hypothesis import strategies as st

from spritebuild.executor import BATCH, FIRST, MOST, Alike, Waiting, Work
from spritebuild.graph import Action
from spritebuild.stage import Stage, Stages

FINISH, GENERATE, TRAIN = (Stages()[kind] for kind in ("finish", "generate", "train-lora"))


def waiting(*works: tuple[str, Stage, Hashable, str]) -> Waiting:
    """What waits, of (id, stage, affinity, place)."""
    found = Waiting()
    for id, stage, affinity, place in works:
        action = Action(id, stage.kind, stage.version, {}, (), (), "")
        found.add(Alike(place, stage.kind, affinity), Work(action, stage, id, {}))
    return found


def ids(taken: tuple[Alike, list[Work]] | None) -> list[str]:
    return [work.action.id for work in taken[1]] if taken else []


def images(count: int, affinity: Hashable = ("model", 1)) -> list[tuple[str, Stage, Hashable, str]]:
    return [(f"{affinity}-{number}", GENERATE, affinity, "gpu") for number in range(count)]


def test_a_worker_stays_with_the_model_that_it_has() -> None:
    found = waiting(*images(8, ("sdxl", 20)), *images(8, ("tiny", 20)), *images(8, ("tiny", 28)))
    last = Alike("gpu", "generate", ("tiny", 28))
    assert ids(found.take("gpu", last, "", 1))[0] == "('tiny', 28)-0"
    assert ids(found.take("gpu", last, "", 1))[0] == "('tiny', 20)-0"
    assert ids(found.take("gpu", last, "", 1))[0] == "('sdxl', 20)-0"
    assert found.take("gpu", last, "", 1) is None


def test_a_new_worker_takes_what_waits_first() -> None:
    found = waiting(*images(3, ("sdxl", 20)), *images(3, ("tiny", 20)))
    assert ids(found.take("gpu", None, "", 1))[0] == "('sdxl', 20)-0"


def test_what_is_for_a_gpu_goes_to_no_other_worker() -> None:
    found = waiting(*images(3), ("coin:finish", FINISH, None, "cpu"))
    assert ids(found.take("cpu", None, "", 1)) == ["coin:finish"]
    assert found.take("cpu", None, "", 1) is None and found.count("gpu") == 3


def test_groups_grow_with_the_speed_of_the_device() -> None:
    alike = Alike("gpu", "generate", ("model", 1))
    found = waiting(*images(2000))
    assert len(ids(found.take("gpu", None, "T4", 1))) == FIRST
    found.learn(alike, "T4", FIRST, 16.0)
    found.learn(alike, "H100", FIRST, 1.6)
    assert len(ids(found.take("gpu", None, "T4", 1))) == BATCH
    assert len(ids(found.take("gpu", None, "H100", 1))) == 96
    found.learn(alike, "H200", 100, 0.1)
    assert len(ids(found.take("gpu", None, "H200", 1))) == MOST


def test_the_last_ones_are_shared_out() -> None:
    found = waiting(*images(32))
    assert [len(ids(found.take("gpu", None, "", 4))) for _ in range(4)] == [BATCH] * 4
    found = waiting(*[(f"{number}", FINISH, None, "cpu") for number in range(10)])
    assert [len(ids(found.take("cpu", None, "", 4))) for _ in range(5)] == [3, 2, 2, 1, 1]


def test_a_training_goes_alone() -> None:
    found = waiting(*[(f"{number}", TRAIN, None, "gpu") for number in range(3)])
    assert len(ids(found.take("gpu", None, "", 1))) == 1


def test_what_failed_in_a_group_takes_no_other_along() -> None:
    found = waiting(*images(6))
    found.alone |= {"('model', 1)-2"}
    taken = [ids(found.take("gpu", None, "", 1)) for _ in range(3)]
    assert [len(group) for group in taken] == [2, 1, 3] and taken[1] == ["('model', 1)-2"]


@given(
    st.lists(st.tuples(st.sampled_from(["gpu", "cpu"]), st.integers(0, 3)), max_size=200),
    st.integers(1, 9),
    st.dictionaries(st.integers(0, 3), st.floats(0, 1e4)),
)
def test_everything_is_handed_out_once(kinds: list[tuple[str, int]], workers: int, known: dict[int, float]) -> None:
    works = [
        (str(number), GENERATE if place == "gpu" else FINISH, affinity, place)
        for number, (place, affinity) in enumerate(kinds)
    ]
    found = waiting(*works)
    for affinity, seconds in known.items():
        found.learn(Alike("gpu", "generate", affinity), "", 1, seconds)
    given: list[str] = []
    for place in ("gpu", "cpu"):
        last = None
        while (taken := found.take(place, last, "", workers)) is not None:
            last, group = taken
            assert 1 <= len(group) <= MOST and {work.stage.kind for work in group} == {last.kind}
            given += ids(taken)
    assert sorted(given, key=int) == [str(number) for number in range(len(kinds))]
    assert found.count("gpu") == found.count("cpu") == 0
