"""What a plan will cost: from how long this project's own actions took, or what its spritefile says; runs nothing.

An estimate says from what it was estimated: how many measurements, on which device, of the same work or other work of
the same stage. Where there is none of these, there is no figure.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from spritebuild import digest, prices
from spritebuild.errors import UsageError
from spritebuild.plan import Plan, input_digests
from spritebuild.prices import Offer, Prices, Range, Stated
from spritebuild.project import Project
from spritebuild.spritefile import Rate, inside
from spritebuild.stage import Stage

MOST = 5000  # measurements of a stage that are looked up: more would tell no more
UNKNOWN = "unknown"  # what work it will be
SAME, OTHER, DECLARED, NOTHING = "the same work", "other work of this stage", "declared", "nothing"


@dataclass(frozen=True)
class Sample:
    """How long actions took that were measured on one device."""

    seconds: tuple[float, ...]

    def total(self, count: int) -> tuple[float, Range | None]:
        """Seconds of so many actions like these, and the range that holds 19 times of 20; None from one measurement.

        The spread of both counts: of what was measured, and of what is to come.
        """
        number = len(self.seconds)
        mean = math.fsum(self.seconds) / number
        if number < 2:
            return count * mean, None
        variance = math.fsum((each - mean) ** 2 for each in self.seconds) / (number - 1)
        off = 2 * math.sqrt(variance * (count * count / number + count))
        return count * mean, (max(0.0, count * mean - off), count * mean + off)


@dataclass(frozen=True)
class Row:
    """Actions of one stage that a plan runs, of one kind of evidence. `accelerator` says that they want a device."""

    stage: str
    accelerator: bool
    actions: int
    basis: str  # SAME, OTHER, DECLARED or NOTHING
    device: str = ""
    measurements: int = 0
    seconds: float | None = None
    range: Range | None = None
    source: str = ""
    stated: Stated | None = None


@dataclass(frozen=True)
class Price:
    """What an offer makes of GPU-hours."""

    offer: Offer
    cost: Range
    range: Range | None  # with that of the hours


@dataclass(frozen=True)
class Cost:
    """What a plan costs, as far as that is known."""

    rows: tuple[Row, ...]
    sprites: int  # that are made or made anew
    hours: Mapping[str, tuple[float, Range | None]]  # of accelerators, by device
    bought: Mapping[str, tuple[Price, ...]]  # likewise
    prices: Prices

    @property
    def unknown(self) -> int:
        """Actions of which nothing is known."""
        return sum(row.actions for row in self.rows if row.seconds is None)


@dataclass
class _Measured:
    same: dict[tuple[str, Hashable], dict[str, list[float]]] = field(default_factory=dict)
    stage: dict[str, dict[str, list[float]]] = field(default_factory=dict)


def estimate(project: Project, decided: Plan) -> Cost:
    """What a plan will cost at most: an action that turns out to be known costs nothing."""
    said = project.spritefile.cost
    asked = prices.SHIPPED if said.prices is None else _inside(project, said.prices)
    table = prices.read(asked, said.providers)
    to_run = [project.graph.actions[decision.action] for decision in decided.to_run()]
    measured = _measure(project, {action.stage for action in to_run})
    counts: dict[str, Counter[Hashable]] = defaultdict(Counter)
    for action in to_run:
        inputs = input_digests(action, decided.outputs)
        counts[action.stage][_alike(project.stages[action.stage], action.params, inputs)] += 1
    rows: list[Row] = []
    for kind, alike in counts.items():
        accelerator = project.stages[kind].device != "cpu"
        if (rate := said.rates.get(kind)) is not None:
            rows.append(_declared(kind, accelerator, alike.total(), rate))
        else:
            rows += _estimated(kind, accelerator, alike, measured, table.stated.get(kind))
    rows.sort(key=lambda row: (not row.accelerator, row.stage, row.basis))
    hours, bought = _bought(rows, table)
    sprites = len({action.target for action in to_run if action.target.startswith("sprites.")})
    return Cost(tuple(rows), sprites, hours, bought, table)


def keep_to_budget(project: Project, decided: Plan) -> list[str]:
    """Refuse a plan that will cost more than the spritefile's budget; returns what of it cannot be told.

    What is not known at all costs what others state of such work, if anybody does. Raises UsageError.
    """
    budget = project.spritefile.budget
    ran = {project.graph.actions[decision.action].stage for decision in decided.to_run()}
    if (budget.hours is None and budget.price is None) or all(project.stages[kind].device == "cpu" for kind in ran):
        return []
    cost = estimate(project, decided)
    spent = {device: hours for device, (hours, _) in cost.hours.items() if device != "cpu"}
    for row in cost.rows:
        if row.stated is not None:
            spent[row.stated.gpu] = spent.get(row.stated.gpu, 0.0) + row.actions * row.stated.hours[1]
    offers = {device: cost.prices.of(device) for device in spent}
    hour = {
        device: max(offer.hour[1] for offer in found if offer.own or not any(each.own for each in found))
        for device, found in offers.items()
        if found
    }
    hours, price = math.fsum(spent.values()), math.fsum(spent[device] * hour[device] for device in hour)
    unit = cost.prices.currency
    over = []
    if budget.hours is not None and hours > budget.hours:
        over.append(("hours", f"{hours:.3g}, and the budget is {budget.hours:g}"))
    if budget.price is not None and price > budget.price:
        over.append(("price", f"{price:.2f} {unit} by the dearest offer, and the budget is {budget.price:g} {unit}"))
    if over:
        raise UsageError(
            "this build would cost more than [budget] allows",
            where=project.spritefile.files[0].path,
            facts=over,
            hint="`spritebuild plan --cost` says what it is made of; build fewer targets, or say build --yes-expensive",
        )
    unknown = sum(row.actions for row in cost.rows if row.accelerator and row.seconds is None and row.stated is None)
    dark = [f"what {unknown:,} of its actions take: say [cost.rates]"] if unknown else []
    if budget.price is not None:
        free = sorted(device for device in spent if device not in hour)
        dark += [f"the price of {device or 'a device unnamed'}: say [cost.providers]" for device in free]
    return dark


def _declared(kind: str, accelerator: bool, count: int, rate: Rate) -> Row:
    low, high = rate.seconds
    spread = (count * low, count * high) if high > low else None
    return Row(kind, accelerator, count, DECLARED, rate.device, 0, count * (low + high) / 2, spread, rate.source)


def _estimated(
    kind: str, accelerator: bool, alike: Counter[Hashable], measured: _Measured, stated: Stated | None
) -> Iterator[Row]:
    """A row for each kind of evidence that there is for actions of a stage."""
    parts: dict[tuple[str, str], list[tuple[int, Sample]]] = defaultdict(list)
    nothing = 0
    for work, count in alike.items():
        basis, samples = SAME, measured.same.get((kind, work))
        if samples is None or work is UNKNOWN:
            basis, samples = OTHER, measured.stage.get(kind)
        if samples is None:
            nothing += count
            continue
        device = max(samples, key=lambda name: len(samples[name]))
        parts[basis, device].append((count, Sample(tuple(samples[device]))))
    for (basis, device), members in parts.items():
        totals = [sample.total(count) for count, sample in members]
        number = sum(len(sample.seconds) for sample in {sample for _, sample in members})
        count = sum(count for count, _ in members)
        seconds = math.fsum(total for total, _ in totals)
        yield Row(kind, accelerator, count, basis, device, number, seconds, _sum(spread for _, spread in totals))
    if nothing:
        yield Row(kind, accelerator, nothing, NOTHING, stated=stated)


def _measure(project: Project, kinds: set[str]) -> _Measured:
    """How long the actions took that the last builds described, as their traces say; by device."""
    found = _Measured()
    looked: Counter[str] = Counter()
    for id, key in project.store.described_keys().items():
        action = project.graph.actions.get(id)
        if action is not None and (action.stage not in kinds or looked[action.stage] >= MOST):
            continue
        described, trace = project.store.description(id), project.store.trace(key)
        if described is None or trace is None or described.stage not in kinds or "seconds" not in trace.provenance:
            continue
        kind = described.stage
        looked[kind] += 1
        platform = trace.provenance.get("platform", {})
        device = str(platform.get("gpu") or platform.get("device") or "cpu")
        seconds = float(trace.provenance["seconds"])
        found.stage.setdefault(kind, {}).setdefault(device, []).append(seconds)
        stage = project.stages[kind]
        if described.version == stage.version:
            work = _alike(stage, described.params, described.inputs)
            found.same.setdefault((kind, work), {}).setdefault(device, []).append(seconds)
    return found


def _alike(stage: Stage, params: Mapping[str, Any], inputs: Mapping[str, str] | None) -> Hashable:
    """What actions of about equal cost have in common; UNKNOWN where that is not known yet."""
    if inputs is None and stage.device != "cpu":
        return UNKNOWN
    if stage.resumable:
        return digest.of_value(params)
    try:
        return stage.affinity(stage.Params.model_validate(params), inputs or {})
    except (ValidationError, KeyError):
        return UNKNOWN


def _bought(
    rows: Iterable[Row], table: Prices
) -> tuple[dict[str, tuple[float, Range | None]], dict[str, tuple[Price, ...]]]:
    by_device: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row.accelerator and row.seconds is not None:
            by_device[row.device].append(row)
    hours: dict[str, tuple[float, Range | None]] = {}
    bought: dict[str, tuple[Price, ...]] = {}
    for device, members in by_device.items():
        total = math.fsum(row.seconds or 0 for row in members) / 3600
        spread = _sum(row.range for row in members)
        spread = None if spread is None else (spread[0] / 3600, spread[1] / 3600)
        hours[device] = total, spread
        bought[device] = tuple(
            Price(
                offer,
                (total * offer.hour[0], total * offer.hour[1]),
                None if spread is None else (spread[0] * offer.hour[0], spread[1] * offer.hour[1]),
            )
            for offer in table.of(device)
        )
    return hours, bought


def _sum(ranges: Iterable[Range | None]) -> Range | None:
    """The range of a sum, its parts as far off as they may be, all at once; None if one of them is not known."""
    low = high = 0.0
    for each in ranges:
        if each is None:
            return None
        low, high = low + each[0], high + each[1]
    return low, high


def _inside(project: Project, path: str) -> Any:
    try:
        return inside(project.root, path)
    except ValueError as error:
        raise UsageError(f"prices {error}", where=path, hint="name a file of the project") from None
