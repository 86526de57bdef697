"""What is said of speed is measured: by the traces of builds, or by making sprites and throwing them away."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner
from projects import PRESS, Project

from spritebuild.build import Request, build
from spritebuild.cli.measure import bench, stats
from spritebuild.errors import StageError, UsageError
from spritebuild.project import opened
from spritebuild.run import Options
from spritebuild.statistics import measure
from spritebuild.status import Status
from spritebuild.store import Store

PRESSED_ON_A_DEVICE = PRESS.replace("    version = 1", '    version = 1\n    device = "accelerator"')
GROUPED = """
    def together(self, params):
        return 12

    def run_batch(self, actions, context):
        for index, action in enumerate(actions):
            self.run(action, context)
            yield index, {"group": len(actions)}
"""


def built(project: Project) -> None:
    build(project.root / "spritefile.toml", Request(options=Options(2)), Status())


def found(project: Project) -> dict[str, Any]:
    with opened(project.root / "spritefile.toml") as one:
        return measure(one)


def test_before_the_first_build_nothing_is_known(island: Project) -> None:
    before = found(island)
    assert before["actions"]["known"] == 0
    assert before["store"]["blobs"] == 0
    assert (before["stages"], before["slowest"], before["saved_seconds"]) == ([], [], 0)
    assert not (island.root / ".spritebuild").exists()


def test_after_a_build_everything_is_known_and_what_it_took_is_saved(island: Project) -> None:
    built(island)
    now = found(island)
    assert now["actions"]["known"] == now["actions"]["declared"] > 0
    assert now["store"]["traces"] == now["actions"]["declared"]
    assert now["store"]["bytes"] > 0
    rows = {row["stage"]: row for row in now["stages"]}
    assert {"paint", "sheet"} <= rows.keys()
    assert now["saved_seconds"] == pytest.approx(sum(row["seconds"] for row in rows.values()), abs=0.01)
    seconds = [row["seconds"] for row in now["slowest"]]
    assert seconds == sorted(seconds, reverse=True)


def test_an_edited_sprite_is_no_longer_known_and_saves_nothing(island: Project) -> None:
    built(island)
    before = found(island)
    island.edit("styles.base.steps", 33)
    after = found(island)
    assert after["actions"]["known"] < before["actions"]["known"]
    assert after["store"]["traces"] == before["store"]["traces"]


def test_stats_are_printed_for_people_and_for_programs(island: Project) -> None:
    built(island)
    told = CliRunner().invoke(stats, ["-f", str(island.root)], catch_exceptions=False)
    assert told.output.startswith("store   ")
    assert "paint" in told.output
    data = json.loads(CliRunner().invoke(stats, ["-f", str(island.root), "--json"], catch_exceptions=False).output)
    assert data["actions"] == found(island)["actions"]


@pytest.fixture
def device(pressed: Project) -> Project:
    """Thirty sprites that a model makes on a device, twelve together; nothing is built."""
    pressed.file("stages/press.py", PRESSED_ON_A_DEVICE.rstrip() + "\n" + GROUPED)
    sprites = {f"p{n}": {"stage": "press", "model": "mine", "prompt": f"potion {n}"} for n in range(30)}
    return pressed.edit("sprites", sprites)


def test_groups_are_whole_batches(device: Project) -> None:
    built(device)
    store = Store(device.root / ".spritebuild")
    groups = [store.trace(key).provenance["group"] for key, _ in list(store.all_outputs())]  # type: ignore[union-attr]
    store.close()
    assert sorted(groups) == [6] * 6 + [24] * 24


def test_bench_measures_a_model_and_leaves_nothing_behind(device: Project) -> None:
    arguments = ["-f", str(device.root), "--json"]
    ended = CliRunner().invoke(bench, arguments, catch_exceptions=False)
    (row,) = json.loads(ended.stdout)
    assert (row["model"], row["stage"], row["sprites"], row["batch"]) == ("mine", "press", 36, 12)
    assert row["sprites_per_second"] > 0
    assert row["first_seconds"] > 0
    assert not list((device.root / ".spritebuild").glob("bench-*"))
    assert not (device.root / "assets").exists()
    assert found(device)["store"]["traces"] == 0
    told = CliRunner().invoke(bench, ["-f", str(device.root), "-n", "2", "mine"], catch_exceptions=False)
    assert "sprites/s" in told.stdout


def test_bench_of_what_no_sprite_uses_is_a_mistake(device: Project, island: Project) -> None:
    with pytest.raises(UsageError, match="no sprite uses other"):
        CliRunner().invoke(bench, ["-f", str(device.root), "other"], catch_exceptions=False)
    with pytest.raises(UsageError, match="no sprite is made by a model"):
        CliRunner().invoke(bench, ["-f", str(island.root)], catch_exceptions=False)


def test_a_failure_while_measuring_is_the_stages_own(device: Project) -> None:
    source = (device.root / "stages/press.py").read_text()
    device.file(
        "stages/press.py",
        source.replace('yield index, {"group"', 'raise ValueError("no ink")\n            yield {"group"'),
    )
    with pytest.raises(StageError, match="no ink"):
        CliRunner().invoke(bench, ["-f", str(device.root)], catch_exceptions=False)
    assert not list((device.root / ".spritebuild").glob("bench-*"))
