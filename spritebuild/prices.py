"""What an hour of a GPU costs: a dated table, and what a project says instead; knows no action and no measurement."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spritebuild.errors import UsageError

SHIPPED = Path(__file__).with_suffix(".toml")
VENDORS = {"nvidia", "geforce", "tesla", "amd", "radeon", "intel"}  # words that tell no GPU from another
Range = tuple[float, float]


@dataclass(frozen=True)
class Offer:
    """What a provider asks for an hour of a GPU, from the cheapest to the dearest."""

    provider: str
    gpu: str
    hour: Range
    own: bool = False  # whether it is the project that says so


@dataclass(frozen=True)
class Stated:
    """What somebody says that a stage takes."""

    hours: Range
    gpu: str
    source: str


@dataclass(frozen=True)
class Prices:
    """Offers, when they were made and who says so."""

    as_of: str
    source: str
    currency: str
    offers: tuple[Offer, ...]
    stated: Mapping[str, Stated]

    def of(self, device: str) -> list[Offer]:
        """The offers for a device as it calls itself, such as NVIDIA A100-SXM4-40GB; for A100, those for any A100."""
        words = _words(device) - VENDORS
        exact = [offer for offer in self.offers if _words(offer.gpu) - VENDORS <= words]
        return exact or [offer for offer in self.offers if words and words <= _words(offer.gpu)]


def _words(name: str) -> set[str]:
    return {*re.findall(r"[a-z]+\d+\w*|\w+", name.lower())}


def read(path: Path = SHIPPED, own: Mapping[str, Mapping[str, float | Range]] | None = None) -> Prices:
    """The table of a file; `own` offers of a project win over it, provider by provider. Raises UsageError."""
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise UsageError(error.strerror or str(error), where=str(path), hint="see prices in [cost]") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"is no TOML: {error}", where=str(path)) from None
    try:
        offers = [
            Offer(str(row.get("title", name)), gpu, _range(asked))
            for name, row in table.get("providers", {}).items()
            if name not in (own or {})
            for gpu, asked in row["gpus"].items()
        ]
        stated = {
            kind: Stated(_range(row["hours"]), str(row["gpu"]), str(row["source"]))
            for kind, row in table.get("stated", {}).items()
        }
        as_of, source = str(table["as_of"]), str(table["source"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        hint = 'it says as_of, source, and [providers.NAME] with gpus = { "A100 40GB" = 1.10 }'
        raise UsageError(f"is no table of prices: {error}", where=str(path), hint=hint) from None
    offers += [Offer(name, gpu, _range(hour), True) for name, gpus in (own or {}).items() for gpu, hour in gpus.items()]
    return Prices(as_of, source, str(table.get("currency", "USD")), tuple(offers), stated)


def _range(value: Any) -> Range:
    low, high = value if isinstance(value, list | tuple) else (value, value)
    if not 0 <= float(low) <= float(high):
        raise ValueError(f"{value} is no price, and no pair of a lower and a higher one")
    return float(low), float(high)
