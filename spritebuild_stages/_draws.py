"""What a training draws: a draw is a function of its place, such as (seed, step, slot, purpose), and of nothing else.

So no draw depends on those before it, on how often the training was resumed, or on how many processes share the work.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Hashable, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def hashed(*place: int | str) -> int:
    """64 bits that belong to a place, such as (seed, step, slot, "noise")."""
    text = "/".join(map(str, place))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def chance(*place: int | str) -> float:
    """A number in [0, 1) that belongs to a place."""
    return (hashed(*place) >> 11) / (1 << 53)


def noise(shape: Sequence[int], *place: int | str) -> torch.Tensor:
    """Standard normal noise on the CPU, fp32, that belongs to a place."""
    import torch

    return torch.randn(tuple(shape), generator=torch.Generator("cpu").manual_seed(hashed(*place)))


class Order:
    """Which examples are in which batch. A batch holds examples of one group, such as one size of picture.

    Without weights an epoch visits every example `repeats` times, in an order of its own; a group's last batch is
    filled from the group's beginning. With weights every example is drawn by itself, in proportion.
    """

    def __init__(
        self, groups: Sequence[Hashable], batch: int, seed: int, repeats: Sequence[int], weights: Sequence[float] = ()
    ) -> None:
        self._groups, self._batch, self._seed, self._repeats = groups, batch, seed, repeats
        members: dict[Hashable, list[int]] = {}
        for index, group in enumerate(groups):
            members.setdefault(group, []).append(index)
        self._members = members
        self._weights = weights if any(weight != 1 for weight in weights) else ()
        visits = {group: sum(repeats[index] for index in indices) for group, indices in members.items()}
        self.batches_per_epoch = sum(-(-count // batch) for count in visits.values())
        self._epoch: tuple[int, list[list[int]]] = (-1, [])
        if self._weights:
            self._totals = list(accumulate(w * r for w, r in zip(weights, repeats, strict=True)))

    def batch(self, number: int) -> list[int]:
        """The examples of batch `number`, counted from the beginning of the training."""
        if self._weights:
            return self._drawn(number)
        epoch, place = divmod(number, self.batches_per_epoch)
        if self._epoch[0] != epoch:
            self._epoch = (epoch, self._shuffled(epoch))
        return self._epoch[1][place]

    def _drawn(self, number: int) -> list[int]:
        first = self._pick(self._totals, number, 0)
        members = self._members[self._groups[first]]
        totals = list(accumulate(self._weights[index] * self._repeats[index] for index in members))
        return [first, *(members[self._pick(totals, number, slot)] for slot in range(1, self._batch))]

    def _pick(self, totals: Sequence[float], number: int, slot: int) -> int:
        place = bisect_right(totals, chance(self._seed, number, slot, "pick") * totals[-1])
        return min(place, len(totals) - 1)

    def _shuffled(self, epoch: int) -> list[list[int]]:
        batches = []
        for indices in self._members.values():
            visits = [(index, visit) for index in indices for visit in range(self._repeats[index])]
            visits.sort(key=lambda one: hashed(self._seed, epoch, *one, "order"))
            order = [index for index, _ in visits]
            full = order + (order * self._batch)[: -len(order) % self._batch]
            batches += [full[start : start + self._batch] for start in range(0, len(full), self._batch)]
        return sorted(batches, key=lambda one: hashed(self._seed, epoch, *one, "batches"))
