"""Whether an image's bits depend on its slot in a batch or on its neighbors there, found by trying; knows no model."""

from __future__ import annotations

import contextlib
import hashlib
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from spritebuild_stages.diffusion.pipeline import Drawn, Item

VERSION = 1  # of the method: a verdict of another one is found again
EACH = 8  # images of a batch up to which every slot has a call of its own
STEPS = 3  # the fewest that take the second-order update of the multistep samplers
SUBJECT = Item("a red potion", "", 1)
NEIGHBORS = ("", "sword", "a blue dragon with green wings, black outline", "gray stone wall", "a b c d e f g h i j k l")


def slots_agree(draw: Callable[[Sequence[Item]], Sequence[Drawn]], batch: int) -> bool:
    """Whether one item has the same bits in every slot, among copies of itself and among others.

    Every call has other neighbors. It takes batch + 1 calls of up to EACH images; of more, 2 log2(batch) + 1, in which
    the item has many slots at once: those whose number has a certain bit, then the others.
    """
    copies = {_bits(drawn) for drawn in draw([SUBJECT] * batch)}
    if len(copies) > 1:
        return False
    for number, slots in enumerate(_places(batch)):
        group = [SUBJECT if place in slots else _neighbor(number * batch + place) for place in range(batch)]
        drawn = draw(group)
        if any(_bits(drawn[slot]) not in copies for slot in slots):
            return False
    return True


def _places(batch: int) -> list[set[int]]:
    """The slots that the item has in each call: every slot in some, with at least two sets of neighbors."""
    if batch <= EACH:
        return [{slot} for slot in range(batch)]
    bits = range((batch - 1).bit_length())
    return [{slot for slot in range(batch) if slot >> bit & 1 == side} for bit in bits for side in (0, 1)]


def remembered(memory: Path, about: Mapping[str, Any], find: Callable[[], bool]) -> bool:
    """A verdict about exactly that, from the file that an earlier process wrote, or found now and written."""
    facts = {"version": VERSION, **about}
    name = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    path = memory / f"slots-{name[:32]}.json"
    expected = json.loads(json.dumps(facts))
    with contextlib.suppress(OSError, ValueError, RecursionError):
        read = json.loads(path.read_bytes())
        if isinstance(read, dict) and read.get("about") == expected and isinstance(read.get("slots_agree"), bool):
            return bool(read["slots_agree"])
    verdict = find()
    with contextlib.suppress(OSError):  # a memory that cannot be written costs time, no more
        _write(path, {"slots_agree": verdict, "about": facts})
    return verdict


def _neighbor(number: int) -> Item:
    prompt = NEIGHBORS[number % len(NEIGHBORS)]
    return Item(prompt, "blurry" if number % 2 else "", 1000 + number)


def _bits(drawn: Drawn) -> bytes:
    return drawn.pixels.tobytes()


def _write(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=".slots-", delete=False) as file:
        try:
            json.dump(value, file, indent=1, sort_keys=True)
            file.close()
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise
