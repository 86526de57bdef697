"""Stray pixels and broken corners of lines tidied up; adds no color that is not beside the pixel already."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spritebuild_stages.images.integers import Whole, pack, unpack
from spritebuild_stages.ops.components import Labels, areas

Color = tuple[int, int, int]
Mask = NDArray[np.bool_]
Places = NDArray[np.intp]  # of pixels, in a picture laid out as one line

AROUND = tuple((dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx)
HIDDEN = 0xFFFFFFFF  # no color
ROUNDS = 16  # so that the few flat spots of a picture that was never quantized do not flood it
SIDES = ((1, 1), (1, -1), (-1, 1), (-1, -1))  # where the arms of an L go, down or up and right or left


def despeckle(rgba: NDArray[np.uint8], size: int = 2, contrast: int = 255) -> NDArray[np.uint8]:
    """Give areas of one color with fewer than `size` pixels the color of what surrounds them; drop what floats alone.

    `rgba` is uint8 (H, W, 4); areas are joined by all eight neighbors, so dithering and diagonal lines are none. With
    `size` 2 they are the orphan pixels. Visible areas, of any colors, with fewer than `size` pixels and nothing visible
    around them become (0, 0, 0, 0). Then a small area takes the most frequent color among the visible neighbors that
    belong to no small area; of equally frequent ones the nearest to its own (sum of the channels' differences), then
    that of the least red, green, blue. It is no small area any more then, so that those in the middle of others follow,
    up to ROUNDS deep. One that differs from that color by more than `contrast` (1..255) in a channel is a detail and
    stays. So does what has small areas alone around it, such as a picture that was never quantized. Alpha stays.
    A second time changes nothing, but for what lies deeper than that. Returns a new array; raises ValueError for a size
    below 1 or another contrast.
    """
    if size < 1:
        raise ValueError(f"size is at least 1, not {size}")
    if not 1 <= contrast <= 255:
        raise ValueError(f"contrast is 1..255, not {contrast}")
    visible = rgba[..., 3] > 0
    blobs = areas(visible, corners=True)
    visible &= (blobs.sizes >= size)[blobs.labels]
    colors = np.where(visible, pack(rgba) >> 8, HIDDEN)
    found = areas(colors, corners=True)
    tidied = _joined(colors, visible, found.labels, found.sizes >= size, contrast)
    return unpack(np.where(visible, tidied << 8 | rgba[..., 3], 0))


def _joined(colors: Whole, visible: Mask, labels: Labels, kept: Mask, contrast: int) -> Whole:
    """The colors, uint32 (H, W), once every area that is not `kept` has taken one, or cannot."""
    wide = colors.shape[1] + 2
    line = np.pad(colors, 1, constant_values=HIDDEN).ravel()
    area = np.pad(labels, 1).ravel()
    settled = np.pad(visible & kept[labels], 1).ravel()
    waiting = np.flatnonzero(np.pad(visible & ~kept[labels], 1))
    steps = np.array([dy * wide + dx for dy, dx in AROUND])
    for _ in range(ROUNDS):
        beside = np.zeros(len(waiting), np.bool_)
        for step in steps:
            beside |= settled[waiting + step]
        # An area is decided as a whole, as soon as one of its pixels has a settled neighbor.
        due = np.zeros(len(kept), np.bool_)
        due[area[waiting[beside]]] = True
        asking = waiting[due[area[waiting]]]
        if not len(asking):
            break
        becomes = _choices(line, area, settled, asking, steps, contrast)
        taken = becomes[area[asking]]
        changed = asking[taken != HIDDEN]
        if not len(changed):
            break
        line[changed] = taken[taken != HIDDEN]
        settled[changed] = True
        waiting = waiting[~settled[waiting]]
    return line.reshape(-1, wide)[1:-1, 1:-1]


def _choices(line: Whole, area: Labels, settled: Mask, asking: Places, steps: Places, contrast: int) -> Whole:
    """The color that each area takes, HIDDEN where it takes none; each of those that ask has a settled neighbor."""
    votes = []
    for step in steps:
        heard = asking[settled[asking + step]]
        votes.append(area[heard].astype(np.int64) << 24 | line[heard + step])
    ballots, counts = _counted(np.concatenate(votes))
    own = np.zeros(int(area[asking].max()) + 1, np.int64)
    own[area[asking]] = line[asking]
    voters, wanted = ballots >> 24, ballots & 0xFFFFFF
    apart = np.stack([np.abs((wanted >> shift & 255) - (own[voters] >> shift & 255)) for shift in (16, 8, 0)])
    # What has its own color beside it is joined to that already; otherwise the most frequent, the nearest, the least.
    rank = np.where(apart.any(axis=0), (8 * len(line) - counts) * 1024 + apart.sum(axis=0), -1)
    starts = np.flatnonzero(np.diff(voters, prepend=-1))
    best = np.repeat(np.minimum.reduceat(rank, starts), np.diff(starts, append=len(rank))) == rank
    best &= apart.max(axis=0) <= contrast
    voters, wanted = voters[best], wanted[best]
    least = np.diff(voters, prepend=-1) > 0
    result = np.full(int(area.max()) + 1, HIDDEN, np.uint32)
    result[voters[least]] = wanted[least]
    return result


def _counted(values: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
    """The sorted distinct values of a flat array, and how often each is there."""
    ordered = np.sort(values)
    starts = np.flatnonzero(np.diff(ordered, prepend=-1))
    return ordered[starts], np.diff(starts, append=len(ordered))


def jaggies(rgba: NDArray[np.uint8], color: Color | None = None) -> NDArray[np.uint8]:
    """Take the doubled pixels out of lines of `color` that are one pixel wide, so that they step by their corners.

    `rgba` is uint8 (H, W, 4). Without a color it is the most frequent one among the visible pixels that have a
    transparent side neighbor (of equals, that of the least red, green, blue): the outline's. A doubled pixel is the
    corner of an L: two side neighbors of the line that touch by a corner, none of it on the other two sides, at the
    corner between those, or at the corner that the L embraces. This is what drawing programs call pixel-perfect. A
    right angle whose two arms are straight for two pixels or more is meant, and stays.

    The pixel becomes what lies outside of the L: what most of the three pixels there are, of equals the one beside it,
    then the one above or below; transparent where they are. Pixels leave for one direction of L after the other, in the
    order of SIDES, until none is left: a second time changes nothing. Returns a new array.
    """
    packed = np.where(rgba[..., 3] > 0, pack(rgba), 0)
    ink = _edge_color(packed) if color is None else color[0] << 16 | color[1] << 8 | color[2]
    if ink is None:
        return unpack(packed)
    wide = packed.shape[1] + 4
    line = np.pad(packed, 2).ravel()
    drawn = np.pad((packed >> 8 == ink) & (packed > 0), 2).ravel()
    inside = np.pad(np.ones(packed.shape, np.bool_), 2).ravel()
    reach = np.array([dy * wide + dx for dy in range(-2, 3) for dx in range(-2, 3)])
    active = np.flatnonzero(drawn)
    while len(active):
        gone = []
        for down, right in SIDES:
            doubled = _doubled(drawn, active, down * wide, right)
            doubled, becomes = _outside(line, inside, doubled, down * wide, right)
            line[doubled], drawn[doubled] = becomes, False
            gone.append(doubled)
        touched = np.unique(np.concatenate(gone)[:, None] + reach)
        active = touched[drawn[touched]]
    return unpack(line.reshape(-1, wide)[2:-2, 2:-2])


def _edge_color(packed: Whole) -> int | None:
    """The most frequent color of visible pixels beside transparent ones or at the border; None if there are none."""
    clear = np.pad(packed == 0, 1, constant_values=True)
    edge = packed[(packed > 0) & (clear[:-2, 1:-1] | clear[2:, 1:-1] | clear[1:-1, :-2] | clear[1:-1, 2:])]
    if not len(edge):
        return None
    colors, counts = np.unique(edge >> 8, return_counts=True)
    return int(colors[counts.argmax()])


def _doubled(drawn: Mask, active: Places, down: int, right: int) -> Places:
    """The corners of L whose arms go `down` and `right`, given as steps on the line."""
    for step in (down, right):
        active = active[drawn[active + step]]
    for step in (-down, -right, -down - right, down + right):
        active = active[~drawn[active + step]]
    return active[~(drawn[active + 2 * down] & drawn[active + 2 * right])]


def _outside(line: Whole, inside: Mask, corners: Places, down: int, right: int) -> tuple[Places, Whole]:
    """The corners with a pixel outside of their L, and what most of the three are: beside, above or below, between."""
    beside, over, between = corners - right, corners - down, corners - down - right
    either = np.where(inside[beside], line[beside], line[over])
    agree = inside[over] & inside[between] & (line[over] == line[between])
    some = inside[beside] | inside[over]
    return corners[some], np.where(agree, line[over], either)[some]
