"""What an evaluation found, for people: a sheet of pictures and a text with tables; computes no number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spritebuild_stages.images import png
from spritebuild_stages.images.grid import GAP, PAPER, VIEW, shown

Rgba = NDArray[np.uint8]

COLUMNS = 5  # pairs side by side
SEAM = 2  # pixels between the two of a pair
FRAME, COPIED = 2, (200, 40, 30)

MEANING = {
    "match": "0 to 100: the weighted mean of the terms below",
    "palette_distance": "how far colors are from the palette of the reference set: 0 is in it, 2 is just seen",
    "palette_coverage": "the share of the palette that is used",
    "color_distance": "how far the colors as a whole are from the set's, in mean and spread: 0 is the same",
    "edge_similarity": "how much alike edges are: 1 is the same",
    "kid": "the distance in the classifier's features (KID): about 0 for the same kind of pictures",
    "density": "how close to real pictures: about 1 for real ones",
    "coverage": "the share of real pictures that have one of these near",
    "expected_coverage": "the coverage that as many real pictures would have",
    "class_accuracy": "the share that is read as what it should show",
    "relative_class_accuracy": "that, over the share of real pictures which are read right",
    "color_accuracy": "the share whose dominant color is the one that it should be",
    "nearest_training_distance": "the median distance to the nearest training picture: 0 is the same picture",
    "memorized": "pictures as near to a training picture as real ones hardly ever are",
}
ONE_BY_ONE = ("palette_distance", "nearest_training_distance", "nearest", "read_as", "label", "color", "expected_color")


def sheet(pairs: Sequence[tuple[Rgba, Rgba, bool]]) -> Rgba:
    """Pictures, each at the left of its nearest training picture, as one opaque picture (H, W, 4).

    A pair that is a copy has a frame. All are enlarged by one whole factor. There are as many pairs, from the first, as
    one PNG can hold; all of them up to some thousand small sprites.
    """
    sides = [max(max(one.shape[axis], other.shape[axis]) for one, other, _ in pairs) for axis in (0, 1)]
    factor = max(1, VIEW // max(sides))
    height, width = (side * factor for side in sides)
    cell_height, cell_width = height + 2 * GAP, 2 * width + SEAM + 2 * GAP
    columns = min(COLUMNS, len(pairs))
    rows = min(-(-len(pairs) // columns), max(1, png.MAX_PIXELS // (cell_height * cell_width * columns)))
    found = np.full((rows * cell_height, columns * cell_width, 4), PAPER, np.uint8)
    found[..., 3] = 255
    for place, (one, other, copied) in enumerate(pairs[: rows * columns]):
        top, left = place // columns * cell_height + GAP, place % columns * cell_width + GAP
        if copied:
            edge = found[top - FRAME : top + height + FRAME, left - FRAME : left + 2 * width + SEAM + FRAME]
            edge[..., :3] = COPIED
            found[top : top + height, left : left + 2 * width + SEAM, :3] = PAPER
        for picture, x in ((one, left), (other, left + width + SEAM)):
            view = shown(picture, factor)
            found[top : top + view.shape[0], x : x + view.shape[1]] = view
    return found


def table(report: Mapping[str, Any]) -> str:
    """The report as Markdown: the numbers of every set, the terms of the match, and those of every picture."""
    sets: Mapping[str, Mapping[str, Any]] = report["sets"]
    names = list(sets)
    count = sets["generated"]["pictures"]
    lines = [f"# Match: {_cell(report['match'])} %", "", f"{count} pictures beside {_reference(report)}.", ""]
    lines += [f"- {warning}" for warning in report["warnings"]] + [""] * bool(report["warnings"])
    lines += _table(
        ["", *(name.replace("_", " ") for name in names), "meaning"],
        [
            [key, *(_cell(sets[name].get(key)) for name in names), text]
            for key, text in MEANING.items()
            if any(sets[name].get(key) is not None for name in names)
        ],
    )
    terms = [[name, _cell(term["value"]), _cell(term["weight"])] for name, term in report["terms"].items()]
    lines += ["", "## Terms of the match", "", *_table(["", "value", "weight"], terms)]
    keys = [key for key in ONE_BY_ONE if any(picture.get(key) is not None for picture in report["pictures"])]
    rows = [
        [picture["name"] + (" (memorized)" if picture["memorized"] else ""), *(_cell(picture.get(key)) for key in keys)]
        for picture in report["pictures"]
    ]
    lines += ["", "## Pictures", "", *_table(["", *(key.replace("_", " ") for key in keys)], rows)]
    return "\n".join(lines) + "\n"


def _reference(report: Mapping[str, Any]) -> str:
    about = report["reference"]
    compared = about["compared"]
    rest = "" if compared == about["pictures"] else f", {compared} of them of the same classes"
    return f"{about['pictures']} training pictures{rest}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [_line(head), _line(["---"] * len(head)), *map(_line, rows)]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _cell(value: Any) -> str:
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
