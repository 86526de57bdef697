"""Whether a picture is another one in other colors: a map from color to color is learned and tested; knows no rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spritebuild.check.deltae import channels, delta_e_each

Packed = NDArray[np.integer[Any]]
Counts = NDArray[np.int64]

FEATURES = 6  # of the smooth function of a color
SMOOTH_COLORS = 4 * FEATURES  # changed colors at least that it is tested on
LOST = 0.25  # of the colors that must be left
PLAIN = 0.98  # of the pixels that look the same in a picture of one color
SMOOTH = 0.9  # of the variance, and of the squared change, that it must explain


@dataclass(frozen=True, slots=True)
class Remap:
    """What the best map from color to color says: `pairs` are (old, new, count), the most frequent first.

    `proof` is the number of pixels that it explains less one for each of its colors, since that one would be explained
    by chance; `against` is the number of those that it does not explain. `lost` says that colors did not become others
    but went: fewer than a quarter are left, or all look like one. `smooth` says that a smooth function of the color
    explains the change.
    """

    pairs: tuple[tuple[int, int, int], ...]
    proof: int
    against: int
    lost: bool
    smooth: bool


def remap(old: Packed, new: Packed, limit: float) -> Remap:
    """Learn which color became which: 0xRRGGBB of the same pixels, uint32 (N,) twice, N of 1 or more.

    Every old color goes to the new one that most of its pixels have, the lowest of equals. Colors that are no more than
    `limit` (CIEDE2000) apart count as one. Colors that stay are not in the map, but their pixels that changed speak
    against it: in an edit, others of the same color stay as they are.
    """
    keys, counts = np.unique(old.astype(np.uint64) << np.uint64(24) | new, return_counts=True)
    first, second = (keys >> np.uint64(24)).astype(np.uint32), (keys & np.uint64(0xFFFFFF)).astype(np.uint32)
    group, best = _most(first, counts)
    chosen = second[best][group]
    visible = _apart(first, second, limit)
    agrees = ~visible
    other = chosen != first
    agrees[other] = ~_apart(second[other], chosen[other], limit)
    moved = visible[best][group]
    explained = int(counts[moved & agrees].sum())
    against = int(counts[~agrees & (moved | visible)].sum())
    mapped = np.flatnonzero(visible[best])
    pairs = sorted(
        zip(first[best][mapped].tolist(), second[best][mapped].tolist(), counts[best][mapped].tolist(), strict=True),
        key=lambda pair: (-pair[2], pair),
    )
    return Remap(
        tuple(pairs),
        explained - len(mapped),
        against,
        len(mapped) > 0 and _lost(first, second, counts, limit),
        int(visible.sum()) >= SMOOTH_COLORS and _smooth(first, second, counts),
    )


def _most(key: Packed, counts: Counts) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Of sorted keys the group that each is of, and for every group the place of its greatest count, the first."""
    begins = np.concatenate(([True], key[1:] != key[:-1]))
    group = np.cumsum(begins) - 1
    places = np.arange(len(key))
    ranked = counts * len(key) + (len(key) - 1 - places)
    best = np.maximum.reduceat(ranked, np.flatnonzero(begins))
    return group, len(key) - 1 - best % len(key)


def _apart(one: Packed, other: Packed, limit: float) -> NDArray[np.bool_]:
    """Whether colors are more than `limit` apart; where they are equal nothing is computed."""
    result = one != other
    places = np.flatnonzero(result)
    result[places] = delta_e_each(one[places], other[places]) > limit
    return np.asarray(result)


def _lost(old: Packed, new: Packed, counts: Counts, limit: float) -> bool:
    """Whether colors went, not only changed."""
    if len(np.unique(new)) < LOST * len(np.unique(old)):
        return True
    return _plain(new, counts, limit) and not _plain(old, counts, limit)


def _plain(colors: Packed, counts: Counts, limit: float) -> bool:
    """Whether nearly all pixels look like the color in their middle."""
    order = np.argsort(colors, kind="stable")
    middle = colors[order][np.searchsorted(np.cumsum(counts[order]), counts.sum() / 2)]
    near = ~_apart(colors, np.full_like(colors, middle), limit)
    return bool(counts[near].sum() >= PLAIN * counts.sum())


def _smooth(old: Packed, new: Packed, counts: Counts) -> bool:
    """Whether new colors follow from the old by one smooth function, as after a turn of the hue, and do not stay.

    Fitted is red, green and blue by the three, their greatest and their least: linear within a sixth of the hues.
    """
    rgb, target, weight = channels(old) / 255.0, channels(new) / 255.0, np.sqrt(counts)[:, None]
    features = np.column_stack((np.ones(len(rgb)), rgb, rgb.max(axis=1), rgb.min(axis=1))) * weight
    wanted = target * weight
    fitted = features @ np.linalg.lstsq(features, wanted, rcond=None)[0]
    missed = float(((wanted - fitted) ** 2).sum())
    mean = (target * counts[:, None]).sum(axis=0) / counts.sum()
    spread = float((((target - mean) * weight) ** 2).sum())
    change = float((((target - rgb) * weight) ** 2).sum())
    return missed < (1 - SMOOTH) * min(spread, change)
