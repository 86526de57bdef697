"""What a plan is said to cost: only from what was measured or declared, and it says which."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from projects import ISLAND, Project

from spritebuild import prices
from spritebuild.cli.costs import data, lines
from spritebuild.cost import DECLARED, NOTHING, OTHER, SAME, Cost, Sample, estimate
from spritebuild.errors import UsageError
from spritebuild.plan import plan, targets
from spritebuild.prices import Offer, Prices
from spritebuild.project import opened

A100 = "NVIDIA A100-SXM4-40GB"


@pytest.fixture
def dreams(project: Project) -> Project:
    """Six sprites of an accelerator's stage; nothing is built."""
    style = {**ISLAND["styles"]["base"], "stage": "dream"}
    sprites = {"coin": {"style": "base", "prompt": "coin", "seeds": list(range(6))}}
    return project.write({**ISLAND, "styles": {"base": style}, "sprites": sprites, "sheets": {}})


def costs(project: Project, *, rebuild: bool = False) -> Cost:
    with opened(project.path) as read:
        chosen = targets(read.graph, ())
        return estimate(read, plan(read.graph, read.known, chosen, rebuild=rebuild))


def by_stage(cost: Cost) -> dict[str, Any]:
    return {row.stage: row for row in cost.rows}


def rate(**said: Any) -> dict[str, Any]:
    return {"rates": {"dream": {"seconds": [2, 4], "device": A100, "source": "a bench", **said}}}


def test_where_nothing_was_measured_there_is_no_figure(dreams: Project) -> None:
    cost = costs(dreams)
    assert [(row.stage, row.actions, row.basis) for row in cost.rows] == [("dream", 6, NOTHING), ("finish", 6, NOTHING)]
    assert all(row.seconds is None and row.range is None for row in cost.rows)
    assert not cost.hours and cost.unknown == 12
    assert "nothing was measured here" in "\n".join(lines(cost))


def test_what_was_measured_is_counted_and_has_a_range(dreams: Project) -> None:
    dreams.build()
    assert not costs(dreams).rows
    row = by_stage(costs(dreams, rebuild=True))["dream"]
    with opened(dreams.path) as read:
        keys = read.store.described_keys()
        seconds = [read.store.trace(key).provenance["seconds"] for id, key in keys.items() if "dream" in id]
    assert (row.basis, row.device, row.measurements, row.actions) == (SAME, "cpu", 6, 6)
    assert row.seconds == pytest.approx(sum(seconds))
    assert row.range is not None and 0 <= row.range[0] <= row.seconds <= row.range[1]


def test_one_measurement_has_no_range(dreams: Project) -> None:
    dreams.build("coin-0")
    row = by_stage(costs(dreams))["dream"]
    assert (row.measurements, row.actions, row.range) == (1, 5, None)
    assert "no range from one" in "\n".join(lines(costs(dreams)))


def test_other_work_of_a_stage_is_named_as_that(dreams: Project) -> None:
    dreams.build()
    dreams.edit("styles.base.steps", 28)
    found = by_stage(costs(dreams))
    assert (found["dream"].basis, found["dream"].measurements) == (OTHER, 6)
    assert found["finish"].basis == SAME


def test_a_declared_rate_wins_and_its_source_is_told(dreams: Project) -> None:
    dreams.build()
    cost = costs(dreams.edit("cost", rate()), rebuild=True)
    row = by_stage(cost)["dream"]
    assert (row.basis, row.seconds, row.range, row.source) == (DECLARED, 18, (12, 24), "a bench")
    assert cost.hours == {A100: (18 / 3600, (12 / 3600, 24 / 3600))}
    text = "\n".join(lines(cost))
    assert "declared: a bench" in text and "3 s for each of 6 sprites" in text


def test_prices_are_those_of_the_device_and_dated(dreams: Project) -> None:
    cost = costs(dreams.edit("cost", rate()))
    offered = {price.offer.provider: price for price in cost.bought[A100]}
    assert offered["AWS p4d"].cost == pytest.approx((18 / 3600 * 3.5,) * 2)
    assert offered["AWS p4d"].range == pytest.approx((12 / 3600 * 3.5, 24 / 3600 * 3.5))
    assert {price.offer.gpu for price in cost.bought[A100]} == {"A100 40GB"}
    assert "prices as of 2024: " in "\n".join(lines(cost))


def test_a_device_without_a_price_has_none(dreams: Project) -> None:
    cost = costs(dreams.edit("cost", rate(device="NVIDIA GeForce RTX 3090")))
    assert cost.bought == {"NVIDIA GeForce RTX 3090": ()}
    text = "\n".join(lines(cost))
    assert "no price of that is known" in text and "USD" not in text


def test_the_spritefile_says_other_prices(dreams: Project) -> None:
    said = {**rate(device="RTX 3090"), "providers": {"studio": {"3090": [0.2, 0.4]}, "aws": {"A100": 9.0}}}
    cost = costs(dreams.edit("cost", said))
    assert [price.cost for price in cost.bought["RTX 3090"]] == [pytest.approx((0.001, 0.002))]
    assert "studio, 3090 at 0.20-0.40 USD an hour, as the spritefile says" in "\n".join(lines(cost))
    assert [o.hour for o in cost.prices.offers if o.provider == "aws"] == [(9.0, 9.0)]


def test_a_file_of_the_project_takes_the_place_of_the_table(dreams: Project) -> None:
    dreams.file("ours.toml", 'as_of = "today"\nsource = "us"\ncurrency = "EUR"\n[providers.x]\ngpus = { "A100" = 2 }\n')
    cost = costs(dreams.edit("cost", {**rate(), "prices": "ours.toml"}))
    assert [(price.offer.provider, price.cost) for price in cost.bought[A100]] == [("x", pytest.approx((0.01, 0.01)))]
    assert "EUR" in "\n".join(lines(cost)) and cost.prices.as_of == "today"


@pytest.mark.parametrize(
    "text", ["as_of = 1", "nonsense", 'as_of = ""\nsource = ""\n[providers.x]\ngpus = { a = [2, 1] }']
)
def test_a_wrong_table_is_named(dreams: Project, text: str) -> None:
    dreams.file("ours.toml", text)
    with pytest.raises(UsageError) as raised:
        costs(dreams.edit("cost", {"prices": "ours.toml"}))
    assert "ours.toml" in str(raised.value)


def test_prices_outside_of_the_project_are_refused(dreams: Project) -> None:
    with pytest.raises(UsageError):
        costs(dreams.edit("cost", {"prices": "../ours.toml"}))


def test_what_others_say_of_trainings_is_told_and_not_added_up() -> None:
    table = prices.read()
    assert table.stated["train-lora"].hours == (2, 4) and "2024" in table.stated["train-lora"].source
    assert table.as_of and table.source and all(offer.hour[0] > 0 for offer in table.offers)


def test_costs_are_data_too(dreams: Project) -> None:
    dreams.edit("cost", rate())
    finished = dreams.cli("plan", "--cost", "--json")
    told = json.loads(finished.stdout)
    assert len(told["actions"]) == 12
    assert told["cost"] == json.loads(json.dumps(data(costs(dreams))))
    assert told["cost"]["devices"][0]["prices"][0]["per_sprite"]


def test_prices_change_no_key(dreams: Project) -> None:
    dreams.build()
    assert dreams.edit("cost", rate()).reasons() == {}


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=30), st.integers(1, 1000))
def test_a_range_holds_its_middle(seconds: list[float], count: int) -> None:
    middle, spread = Sample(tuple(seconds)).total(count)
    assert middle == pytest.approx(count * math.fsum(seconds) / len(seconds))
    assert (spread is None) == (len(seconds) == 1)
    if spread is not None:
        assert 0 <= spread[0] <= middle * (1 + 1e-9) + 1e-9 and middle <= spread[1] * (1 + 1e-9) + 1e-9


def test_a_build_beyond_the_budget_is_refused_before_it_begins(dreams: Project) -> None:
    dreams.edit("cost", {**rate(seconds=1800), "providers": {"studio": {"A100": 2}}})  # 3 hours, 6 USD
    for budget, said in (({"hours": 2.9}, "3, and the budget is 2.9"), ({"price": 5}, "6.00 USD by the dearest")):
        refused = dreams.edit("budget", budget).cli("build")
        assert refused.returncode == 2 and said in refused.stderr and "--yes-expensive" in refused.stderr
        assert not dreams.assets() and not dreams.blobs()
    assert dreams.cli("build", "sprites.coin-0").returncode == 0  # 1 USD
    assert dreams.cli("build", "--yes-expensive").returncode == 0
    assert dreams.cli("build").returncode == 0  # nothing is left to pay


@pytest.mark.parametrize("budget", [{"hours": 3}, {"price": 6}, {"hours": 3, "price": 6}, {}])
def test_a_build_within_the_budget_says_nothing_of_it(dreams: Project, budget: dict[str, float]) -> None:
    dreams.edit("cost", {**rate(seconds=1800), "providers": {"studio": {"A100": 2}}}).edit("budget", budget)
    built = dreams.cli("build")
    assert built.returncode == 0 and "budget" not in built.stderr


def test_what_a_budget_cannot_tell_is_a_warning(dreams: Project) -> None:
    built = dreams.edit("budget", {"price": 5}).cli("build")
    assert built.returncode == 0 and "[budget] cannot tell what 6 of its actions take" in built.stderr
    built = dreams.edit("cost", rate(device="Abacus")).cli("build", "--rebuild")
    assert built.returncode == 0 and "[budget] cannot tell the price of Abacus" in built.stderr


def test_a_budget_takes_what_others_state_for_a_training_that_nobody_measured(dreams: Project) -> None:
    for kind, hours in (("train-lora", 4), ("train-diffusion", 500)):
        assert prices.read().stated[kind].hours[1] == hours
    table = """
        as_of = "today"
        source = "nobody"
        [providers.studio]
        gpus = { "A100 40GB" = 2, "A100 80GB" = 3, "H100" = 9 }
        [stated.dream]
        hours = [1, 2]
        gpu = "A100"
        source = "somebody"
    """
    dreams.file("ours.toml", table)
    dreams.edit("cost", {"prices": "ours.toml"}).edit("budget", {"price": 35.9})  # 6 * 2 h * 3 USD
    refused = dreams.cli("build")
    assert refused.returncode == 2 and "36.00 USD" in refused.stderr
    assert dreams.edit("budget", {"price": 36, "hours": 12}).cli("build").returncode == 0


def test_a_changed_sprite_is_held_to_the_budget_too(dreams: Project) -> None:
    dreams.edit("cost", rate(seconds=3600)).edit("budget", {"hours": 1})
    dreams.edit("sprites.moon", {"style": "base", "prompt": "moon"})
    assert dreams.cli("build", "--yes-expensive").returncode == 0
    for hours, prompt, code in ((0.9, "full moon", 2), (1, "new moon", 0), (1, "half moon", 0)):
        dreams.edit("budget", {"hours": hours}).edit("sprites.moon.prompt", prompt)
        assert dreams.cli("build").returncode == code


def test_a_cpu_in_a_gpus_place_is_not_held_to_the_budget(dreams: Project) -> None:
    dreams.build()
    assert dreams.edit("budget", {"hours": 0, "price": 0}).cli("build", "--rebuild").returncode == 0


@pytest.mark.parametrize(
    ("device", "prices"),
    [("A100", 2), ("NVIDIA A100", 2), ("NVIDIA A100-SXM4-40GB", 1), ("NVIDIA H100 80GB HBM3", 0), ("", 0), ("cpu", 0)],
)
def test_prices_are_those_of_every_gpu_that_is_meant(device: str, prices: int) -> None:
    offers = (Offer("x", "A100 40GB", (1, 1)), Offer("y", "A100 80GB", (2, 2)))
    assert len(Prices("today", "us", "USD", offers, {}).of(device)) == prices


@pytest.mark.parametrize("said", [{"hours": -1}, {"price": "much"}, {"dollars": 3}])
def test_a_wrong_budget_is_named_with_its_line(dreams: Project, said: dict[str, Any]) -> None:
    refused = dreams.edit("budget", said).cli("build")
    assert refused.returncode == 2 and f"{next(iter(said))} = " in refused.stderr
    assert "spritefile.toml:15:" in refused.stderr
