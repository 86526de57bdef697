"""The probe finds a slot that is unlike the others, whichever it is; with drawings that are not drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spritebuild_stages.diffusion.pipeline import Drawn, Item
from spritebuild_stages.diffusion.probe import slots_agree

Draw = Callable[[Sequence[Item]], list[Drawn]]


def drawing(unlike: Callable[[int, Sequence[Item]], float]) -> Draw:
    def draw(items: Sequence[Item]) -> list[Drawn]:
        return [
            Drawn(np.full((1, 1, 3), item.seed + unlike(slot, items), np.float32)) for slot, item in enumerate(items)
        ]

    return draw


@pytest.mark.parametrize("batch", [2, 4, 8, 16, 32])
def test_slots_that_agree_are_trusted(batch: int) -> None:
    assert slots_agree(drawing(lambda slot, items: 0), batch)


@given(st.sampled_from([2, 4, 8, 16, 32]), st.data())
def test_one_slot_that_differs_is_found(batch: int, data: st.DataObject) -> None:
    wrong = data.draw(st.integers(0, batch - 1))
    assert not slots_agree(drawing(lambda slot, items: 0.5 * (slot == wrong)), batch)


@given(st.sampled_from([2, 4, 8, 16, 32]), st.data())
def test_an_image_that_depends_on_one_neighbor_is_found(batch: int, data: st.DataObject) -> None:
    slot = data.draw(st.integers(0, batch - 1))
    other = data.draw(st.integers(0, batch - 1).filter(lambda place: place != slot))
    leaking = drawing(lambda place, items: 1e-3 * items[other].seed * (place == slot))
    assert not slots_agree(leaking, batch)


@pytest.mark.parametrize(("batch", "most"), [(8, 9), (16, 9), (32, 11)])
def test_large_batches_take_few_calls(batch: int, most: int) -> None:
    calls = 0

    def draw(items: Sequence[Item]) -> list[Drawn]:
        nonlocal calls
        calls += 1
        return drawing(lambda slot, items: 0)(items)

    assert slots_agree(draw, batch)
    assert calls == most
