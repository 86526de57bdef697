"""The losses of autoencoders, by themselves: what counts, what does not, and that none runs away."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch")

import torch
from training_runs import block

from spritebuild_stages.images import batches
from spritebuild_stages.training import vae_losses
from spritebuild_stages.training.vae_losses import direction

pytestmark = pytest.mark.diffusion


def test_hidden_colors_count_little_and_a_perfect_picture_nothing() -> None:
    target = batches.batch([block(0)], "cpu")
    hidden, visible = target.clone(), target.clone()
    hidden[:, 0, :2, :2] += 1
    visible[:, 0, 6:8, 6:8] += 1
    perfect, little, much = (vae_losses.reconstruction(one, target) for one in (target, hidden, visible))
    for name in ("l1", "l2", "edges", "mean"):
        assert float(perfect[name]) == 0
        assert 0 < float(little[name]) < 0.2 * float(much[name])


@settings(max_examples=50)
@given(
    values=st.lists(st.lists(st.floats(-1e4, 1e4), min_size=3, max_size=3), min_size=1, max_size=8),
    labels=st.data(),
)
def test_direction_loss_is_never_negative_and_never_above_its_bound(values: list[Any], labels: Any) -> None:
    names = labels.draw(st.lists(st.sampled_from(["n", "s", "e", None]), min_size=len(values), max_size=len(values)))
    assert 0 <= float(direction(torch.tensor(values), names, 1.0)) <= 1.5 + 1e-4


def test_direction_loss_ignores_labels_that_too_few_have() -> None:
    latents = torch.randn(6, 2, 2, generator=torch.Generator().manual_seed(0))
    two = direction(latents[:4], ["n", "n", "s", "s"], 1.0)
    assert torch.equal(direction(latents, ["n", "n", "s", "s", "e", None], 1.0), two)
    latents.requires_grad_()
    for alone in (["n"] * 6, ["n", "s", "e", "w", None, None], [None] * 6):
        loss = direction(latents, alone, 1.0)
        loss.backward()
        assert float(loss.detach()) == 0
    assert not latents.grad.any()


def test_direction_loss_prefers_classes_that_keep_together_and_apart() -> None:
    names = ["n", "n", "s", "s"]

    def loss(*values: float) -> float:
        return float(direction(torch.tensor(values)[:, None], names, 1.0))

    assert loss(0, 0, 2, 2) == pytest.approx(0, abs=1e-4)
    assert loss(0, 0.5, 2, 2.5) < loss(0, 1, 1.2, 2.2) < loss(0, 2, 0, 2)
    assert loss(0, 0, 100, 100) == pytest.approx(loss(0, 0, 2, 2), abs=1e-4)  # beyond the margin nothing is gained


def test_direction_loss_cannot_make_latents_run_away() -> None:
    """M000-11: minus the distance of the centroids has no lower bound."""

    def descended(loss: Any) -> float:
        latents = torch.randn(8, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
        optimizer = torch.optim.SGD([latents], lr=1.0)
        for _ in range(300):
            optimizer.zero_grad()
            loss(latents).backward()
            optimizer.step()
        return float(latents.detach().abs().max())

    def textbook(latents: torch.Tensor) -> torch.Tensor:
        north, south = latents[::2], latents[1::2]
        within = north.var(0).mean() + south.var(0).mean()
        return within - 0.5 * (north.mean(0) - south.mean(0)).norm()

    assert descended(textbook) > 30
    assert descended(lambda latents: direction(latents, ["n", "s"] * 4, 1.0)) < 5
