"""What became of a picture by ordered rules, from the same to another picture; reads no file.

Perceptual hashes miss half of the small edits of a sprite, and a mean over all pixels ranks harmless noise above ten
wrong pixels. So pixels are compared one by one by what the eye can tell (CIEDE2000), and the simplest explanation
comes first.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from spritebuild.check import moves
from spritebuild.check.deltae import delta_e
from spritebuild.check.moves import Packed
from spritebuild.check.remap import Remap, remap

Kind = Literal["same", "imperceptible", "flip", "shift", "recolor", "edit", "different"]
Rgba = NDArray[np.uint8]
Box = tuple[int, int, int, int]

UNLIKE = 100.0  # the difference of a pixel of which one picture has nothing; that of black and white
MOST_COLORS = 64  # that a change names
BLOCK = 1 << 16  # pixels whose differences are computed at a time
SAMPLE = 1 << 18  # pixels from which a map of colors is learned


@dataclass(frozen=True, slots=True)
class Rules:
    """The thresholds, which were set before anything was measured with them, but for `steps` and `alpha`.

    - `delta_e`: CIEDE2000 beyond which two colors look different (2.3 is the just noticeable difference).
    - `steps`: of 255, in red, green and blue; a color that is no further off is one that was rounded otherwise, which
      in dark grays is up to 2.4 apart.
    - `alpha`: of 255; more is visible. Something instead of nothing, alpha 1 instead of 0, always is.
    - `flip`, `shift`: share of the visible pixels that may differ after the flip or the shift.
    - `reach`: pixels along x and y within which a shift is looked for; 0 looks for none.
    - `silhouette`: share of the pixels visible in either picture that are so in both, for a recolor.
    - `recolor`: share of what a map from color to color has to explain.
    - `edit`: share of the visible pixels that may differ in an edit; beyond that it is another picture.
    - `region`: pixels of a side of the window in which differences are counted for the worst region.

    Shares are 0..1. Raises ValueError beyond the limits of what is said here.
    """

    delta_e: float = 2.3
    steps: int = 1
    alpha: int = 2
    flip: float = 0.02
    shift: float = 0.08
    reach: int = 2
    silhouette: float = 0.98
    recolor: float = 0.98
    edit: float = 0.25
    region: int = 8

    def __post_init__(self) -> None:
        most = {"delta_e": 100, "steps": 255, "alpha": 255, "reach": 16, "region": 255}
        for name in self.__slots__:
            value, limit = getattr(self, name), most.get(name, 1)
            least = 1 if name == "region" else 0
            if not least <= value <= limit:
                raise ValueError(f"{name} is {least} to {limit}, not {value}")


@dataclass(frozen=True, slots=True)
class Change:
    """What became of a picture.

    - `pixels` differ visibly, `share` is theirs of the pixels that are visible in either picture.
    - `delta_e`: the greatest difference of a pixel, 100.0 where one picture has nothing there.
    - `box`: (left, top, right, bottom) of the pixels that differ visibly; None if there are none.
    - `worst`: (x, y), the differing pixel around which most others differ, in a window of `Rules.region`; `worst_share`
      is their share of that window.
    - `faded`: how many of the pixels differ in alpha alone.
    - `axis`: "x" (left becomes right), "y" or "xy" for a flip; `by`: (dx, dy) for a shift, right and down.
    - `colors`: (old, new, count) as "#rrggbb" for a recolor, the most frequent first, at most 64 of `mapped`. In
      pictures of more than 262,144 visible pixels they are counted in a sample.
    - `size`: the old and the new (width, height) where they differ; nothing else is compared then.
    """

    kind: Kind
    pixels: int = 0
    share: float = 0.0
    delta_e: float = 0.0
    box: Box | None = None
    worst: tuple[int, int] | None = None
    worst_share: float = 0.0
    faded: int = 0
    axis: str = ""
    by: tuple[int, int] | None = None
    colors: tuple[tuple[str, str, int], ...] = ()
    mapped: int = 0
    size: tuple[tuple[int, int], tuple[int, int]] | None = None


def classify(old: Rgba, new: Rgba, rules: Rules | None = None) -> Change:
    """Say what became of `old`, uint8 (H, W, 4) with straight alpha, in `new`; the first rule that fits says it.

    1. same: equal, whatever colors are hidden under alpha 0.
    2. imperceptible: no pixel differs visibly: the same ones are visible, and none is off by more than `rules.delta_e`
       and `rules.steps`, or `rules.alpha`.
    3. flip: flipped, all but a share of `rules.flip` fits, and less than half of what differs without.
    4. shift: the same for a shift of `rules.reach` at most, with `rules.shift`.
    5. recolor: one silhouette, and a map from color to color explains the change: learned from all pixels, tested on
       those beyond the first of each color; in pictures of many colors a smooth function of the color may, too.
    6. edit: no more than a share of `rules.edit` differs visibly. Else different, as are pictures of two sizes.

    Colors are compared as they are, however translucent. Raises ValueError for what is not such an array.
    """
    rules = Rules() if rules is None else rules
    for picture in (old, new):
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 4 or not picture.size:
            raise ValueError(f"a picture is uint8 of (height, width, 4), not {picture.dtype} of {picture.shape}")
    first, second = _packed(old), _packed(new)
    if first.shape != second.shape:
        visible = max(int(np.count_nonzero(first)), int(np.count_nonzero(second)))
        sizes = (old.shape[1], old.shape[0]), (new.shape[1], new.shape[0])
        return Change("different", visible, 1.0, UNLIKE, worst_share=1.0, size=sizes)
    if np.array_equal(first, second):
        return Change("same")
    found = _differences(first, second, rules)
    pixels = int(np.count_nonzero(found.seen))
    if not pixels:
        return Change("imperceptible", delta_e=found.farthest)
    union = int(np.count_nonzero((first > 0) | (second > 0)))
    share = pixels / union
    box, worst, worst_share = _places(found.seen, rules.region)
    kind: Kind = "edit" if share <= rules.edit else "different"
    change = Change(kind, pixels, share, found.farthest, box, worst, worst_share, found.faded)
    most = [min((found.off - 1) // 2, int(limit * union)) for limit in (rules.flip, rules.shift)]
    tolerance = np.array([rules.steps] * 3 + [rules.alpha], np.uint8)
    axis, by = moves.move(first, second, tolerance, most[0], most[1], rules.reach)
    if axis:
        return replace(change, kind="flip", axis=axis)
    if by:
        return replace(change, kind="shift", by=by)
    if recolored := _recolored(first, second, union, rules):
        named = tuple((f"#{one:06x}", f"#{other:06x}", count) for one, other, count in recolored.pairs[:MOST_COLORS])
        return replace(change, kind="recolor", colors=named, mapped=len(recolored.pairs))
    return change


def _packed(rgba: Rgba) -> Packed:
    """Pixels as uint32 whose bytes are red, green, blue and alpha; 0 where nothing is visible."""
    packed: Packed = np.ascontiguousarray(rgba).view(np.uint32)[..., 0]
    return np.where(rgba[..., 3] > 0, packed, np.uint32(0))


def _colors(packed: Packed) -> Packed:
    """0xRRGGBB of pixels."""
    return packed.view(">u4").astype(np.uint32) >> 8


@dataclass(frozen=True, slots=True)
class _Differences:
    """Which pixels differ visibly, how many in alpha alone and how many by more than the steps, and the greatest."""

    seen: NDArray[np.bool_]
    faded: int
    off: int
    farthest: float


def _differences(first: Packed, second: Packed, rules: Rules) -> _Differences:
    """Compare pixel by pixel, in blocks of rows."""
    seen = np.zeros(first.shape, np.bool_)
    faded, off, farthest = 0, 0, 0.0
    rows = max(1, BLOCK // first.shape[1])
    for top in range(0, len(first), rows):
        one, other = first[top : top + rows], second[top : top + rows]
        where = np.nonzero(one != other)
        if not len(where[0]):
            continue
        one, other = one[where], other[where]
        both = (one > 0) & (other > 0)
        apart = np.full(len(one), UNLIKE)
        apart[both] = delta_e(_colors(one[both]), _colors(other[both]))
        farthest = max(farthest, float(apart.max()))
        red, green, blue, alpha = moves.steps(one, other).reshape(-1, 4).T
        stepped, fade = np.maximum(np.maximum(red, green), blue) > rules.steps, alpha > rules.alpha
        unlike = ~both | (stepped & (apart > rules.delta_e))
        seen[top : top + rows][where] = unlike | fade
        faded += int(np.count_nonzero(fade & ~unlike))
        off += int(np.count_nonzero(stepped | fade))
    return _Differences(seen, faded, off, farthest)


def _places(seen: NDArray[np.bool_], region: int) -> tuple[Box, tuple[int, int], float]:
    """The box of what differs, the differing pixel with most others around it, and their share of its window."""
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    top, bottom, left, right = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
    inside = seen[top:bottom, left:right]
    counts = _sums(_sums(inside, region).T, region).T
    counts *= inside
    most = np.flatnonzero(counts == counts.max())
    y, x = divmod(int(most[len(most) // 2]), right - left)  # about the middle of a hole, not its corner
    area = min(region, seen.shape[0]) * min(region, seen.shape[1])
    return (left, top, right, bottom), (left + x, top + y), int(counts[y, x]) / area


def _sums(values: NDArray[Any], region: int) -> NDArray[np.uint16]:
    """For every place the sum of the `region` rows around it, as many above it as below or one more.

    Running sums may wrap around, for their differences are those of no more than 255 x 255 pixels.
    """
    height = len(values)
    running = np.zeros((height + 1, values.shape[1]), np.uint16)
    np.cumsum(values, axis=0, dtype=np.uint16, out=running[1:])
    places = np.arange(height)
    above, below = np.maximum(places - region // 2, 0), np.minimum(places + (region + 1) // 2, height)
    return np.asarray(running[below] - running[above])


def _recolored(first: Packed, second: Packed, union: int, rules: Rules) -> Remap | None:
    """The map from color to color, if the silhouette stays and the map explains what changed."""
    visible = (first > 0) & (second > 0)
    count = int(np.count_nonzero(visible))
    if not count or count < rules.silhouette * union:
        return None
    every = -(-count // SAMPLE) | 1  # odd, or it would be the columns of a grid
    rows = max(1, SAMPLE // visible.shape[1])
    blocks = [slice(top, top + rows) for top in range(0, len(visible), rows)]
    one, other = (
        np.concatenate([some[block][visible[block]][::every] for block in blocks]) for some in (first, second)
    )
    faded = int(np.count_nonzero(moves.steps(one, other)[3::4] > rules.alpha))
    found = remap(_colors(one), _colors(other), rules.delta_e)
    if not found.pairs or found.lost:
        return None
    against = found.against + faded + (union - count) // every
    if found.proof > 0 and against <= (1 - rules.recolor) * (found.proof + against):
        return found
    return found if found.smooth and not faded else None


def describe(change: Change) -> str:
    """One sentence for people."""
    if change.size:
        return " became ".join(f"{width}x{height}" for width, height in change.size)
    if change.kind == "same":
        return "the same"
    if change.kind == "imperceptible":
        return f"cannot be told from the former by eye (delta E at most {change.delta_e:.1f})"
    if change.kind == "flip":
        axes = {"x": "left to right", "y": "upside down", "xy": "left to right and upside down"}
        return f"flipped {axes[change.axis]}"
    if change.kind == "shift" and change.by:
        dx, dy = change.by
        ways = ((dx, "to the right" if dx > 0 else "to the left"), (dy, "down" if dy > 0 else "up"))
        return "moved by " + " and ".join(f"{abs(step)} {way}" for step, way in ways if step)
    if change.kind == "recolor":
        old, new, _ = change.colors[0]
        if change.mapped == 1:
            return f"1 color changed: {old} -> {new}"
        return f"{change.mapped:,} colors changed, most of all {old} -> {new}"
    worst = "in alpha alone" if change.faded == change.pixels else f"worst delta E {change.delta_e:.0f}"
    if change.kind == "different" and change.faded < change.pixels:
        return f"other picture: {100 * change.share:.0f} % differ"
    left, top, right, bottom = change.box or (0, 0, 0, 0)
    if change.pixels == 1:
        return f"1 pixel differs at ({left}, {top}), {worst}"
    return f"{change.pixels:,} pixels differ in {right - left}x{bottom - top} at ({left}, {top}), {worst}"
