"""The noise of a diffusion model: what each time step counts, and what a batch is told. No model is run."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

pytest.importorskip("torch")
pytest.importorskip("diffusers")

import torch

from spritebuild_stages.training import denoising
from spritebuild_stages.training.diffusion_params import TrainDiffusionParams

pytestmark = pytest.mark.diffusion


def test_weights_of_both_predictions_are_one_weight_of_the_picture() -> None:
    shares = torch.linspace(0.001, 0.999, 50)
    snr = shares / (1 - shares)
    of_the_noise = denoising.weights(shares, "epsilon", 5.0) * snr
    of_the_velocity = denoising.weights(shares, "v", 5.0) * (snr + 1)
    assert torch.allclose(of_the_noise, snr.clamp(max=5), rtol=1e-4)
    assert torch.allclose(of_the_velocity, snr.clamp(max=5), rtol=1e-4)
    assert denoising.weights(shares, "v", 0.0).unique().tolist() == [1]


def test_last_time_step_is_noise_alone_and_learned_all_the_same() -> None:
    params = TrainDiffusionParams(steps=1)
    schedule = denoising.scheduler(params)
    assert schedule.alphas_cumprod[-1] == 0
    assert denoising.weights(schedule.alphas_cumprod[-1:], "v", 5.0) + denoising.LEAST > 0
    with pytest.raises(ValidationError, match="set zero_snr = false with epsilon"):
        TrainDiffusionParams(steps=1, prediction="epsilon")


def test_times_are_spread_evenly_over_a_step() -> None:
    times = [denoising.stratified((0, 7, slot), slot, 8) for slot in range(8)]
    assert [time * 8 // 1000 for time in times] == list(range(8))
    assert times != [denoising.stratified((0, 8, slot), slot, 8) for slot in range(8)]


def test_share_of_the_pictures_is_shown_with_the_empty_prompt() -> None:
    class Said:
        variants = ((1, 2, 3),)

    params = TrainDiffusionParams(steps=1, condition_dropout=0.25)
    noised = denoising.Denoising(params, None, [], Said, None, None)  # type: ignore[arg-type]
    told = [noised._told(0, (0, number, slot)) for number in range(250) for slot in range(4)]
    shares = [told.count(text) / len(told) for text in range(4)]
    assert shares == pytest.approx([0.25] * 4, abs=0.05)
