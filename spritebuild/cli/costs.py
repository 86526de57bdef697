"""What `spritebuild plan --cost` prints: the estimates and what they are from; computes none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from spritebuild.cost import DECLARED, NOTHING, Cost, Price, Row
from spritebuild.prices import Range


def lines(cost: Cost) -> Iterator[str]:
    """The estimates as text."""
    if not cost.rows:
        yield "cost: nothing to run, so nothing to pay; --rebuild estimates all of it"
        return
    yield "cost, at most (what turns out to be known is not run):"
    cells = [
        (f"{row.actions:,} {row.stage}", _spread(row.seconds, row.range, _time), _evidence(row)) for row in cost.rows
    ]
    widths = [max(len(cell[column]) for cell in cells) for column in (0, 1)]
    for row, (what, how_long, why) in zip(cost.rows, cells, strict=True):
        yield f"  {what:<{widths[0]}}  {how_long:<{widths[1]}}  {why}"
        if row.stated is not None:
            said = "-".join(f"{each:g}" for each in row.stated.hours) + f" h on {row.stated.gpu}"
            yield f"  {'':<{widths[0]}}  {'':<{widths[1]}}  stated, not added up: {said} ({row.stated.source})"
    for device, (hours, spread) in cost.hours.items():
        unit = "hours of a CPU in a GPU's place" if device == "cpu" else f"GPU-hours on {device or 'a device unnamed'}"
        yield f"{_spread(hours, spread, _number)} {unit}" + _each(cost, hours)
        for price in cost.bought[device]:
            yield f"  {_priced(price, cost)}"
        if not cost.bought[device]:
            yield "  no price of that is known: say one in [cost.providers]"
    if cost.unknown:
        yield f"not in these figures: {cost.unknown:,} actions of which nothing is known; say [cost.rates.STAGE]"
    if any(not price.offer.own for prices in cost.bought.values() for price in prices):
        yield f"prices as of {cost.prices.as_of}: {cost.prices.source}"


def _evidence(row: Row) -> str:
    if row.basis == NOTHING:
        return "nothing was measured here"
    if row.basis == DECLARED:
        return f"declared: {row.source}"
    count = f"{row.measurements:,} measurement{'s' * (row.measurements != 1)}"
    return f"from {count} of {row.basis} on {row.device}" + (": no range from one" if row.measurements == 1 else "")


def _each(cost: Cost, hours: float) -> str:
    if not cost.sprites or len(cost.hours) != 1:
        return ""
    return f"; {_time(hours * 3600 / cost.sprites)} for each of {cost.sprites:,} sprites"


def _priced(price: Price, cost: Cost) -> str:
    offer, unit = price.offer, cost.prices.currency
    low, high = price.cost
    said = _money(low) if low == high else f"{_money(low)}-{_money(high)}"
    if price.range is not None:
        said += f" ({_money(price.range[0])} to {_money(price.range[1])})"
    hour = "-".join(f"{each:.2f}" for each in dict.fromkeys(offer.hour))
    each = f", {_money(high / cost.sprites)} a sprite" if cost.sprites and len(cost.hours) == 1 else ""
    by = ", as the spritefile says" if offer.own else ""
    return f"{offer.provider}, {offer.gpu} at {hour} {unit} an hour{by}: {said} {unit}{each}"


def _spread(value: float | None, spread: Range | None, said: Callable[[float], str]) -> str:
    if value is None:
        return "?"
    return said(value) + (f" ({said(spread[0])} to {said(spread[1])})" if spread is not None else "")


def _time(seconds: float) -> str:
    if seconds >= 2 * 3600:
        return f"{seconds / 3600:.1f} h"
    if seconds >= 120:
        return f"{seconds / 60:.1f} min"
    return f"{seconds:.3g} s"


def _number(value: float) -> str:
    return f"{value:.3g}"


def _money(value: float) -> str:
    return f"{value:,.2f}" if value >= 1 else f"{value:.2g}"


def data(cost: Cost) -> dict[str, Any]:
    """The estimates for programs: seconds, hours, and the currency of the prices."""
    return {
        "rows": [
            {
                "stage": row.stage,
                "accelerator": row.accelerator,
                "actions": row.actions,
                "basis": row.basis,
                "device": row.device or None,
                "measurements": row.measurements,
                "seconds": _round(row.seconds),
                "range": _rounded(row.range),
                **({"source": row.source} if row.source else {}),
                **({"stated": vars(row.stated)} if row.stated is not None else {}),
            }
            for row in cost.rows
        ],
        "sprites": cost.sprites,
        "unknown": cost.unknown,
        "devices": [
            {
                "device": device or None,
                "hours": _round(hours),
                "range": _rounded(spread),
                "prices": [
                    {
                        "provider": price.offer.provider,
                        "gpu": price.offer.gpu,
                        "declared": price.offer.own,
                        "hour": price.offer.hour,
                        "cost": _rounded(price.cost),
                        "range": _rounded(price.range),
                        "per_sprite": _rounded(tuple(each / cost.sprites for each in price.cost))
                        if cost.sprites
                        else None,
                    }
                    for price in cost.bought[device]
                ],
            }
            for device, (hours, spread) in cost.hours.items()
        ],
        "prices": {"as_of": cost.prices.as_of, "source": cost.prices.source, "currency": cost.prices.currency},
    }


def _round(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")


def _rounded(spread: Any) -> list[float] | None:
    return None if spread is None else [float(f"{each:.6g}") for each in spread]
