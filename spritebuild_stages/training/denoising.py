"""The noise of a diffusion model, and the loss of predicting it; knows no architecture. Importing this imports torch.

With a_t the signal's share of the variance at time t, x_t = sqrt(a_t) x + sqrt(1 - a_t) e, and SNR = a_t / (1 - a_t).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from diffusers import DDIMScheduler
from torch import Tensor

from spritebuild_stages._draws import Order, chance, hashed, noise
from spritebuild_stages.training.diffusion_params import TrainDiffusionParams
from spritebuild_stages.training.loop import Training
from spritebuild_stages.training.text_encoders import Conditions

TIMES = 1000
SCHEDULES: Mapping[str, Mapping[str, Any]] = {
    "scaled_linear": {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012},
    "linear": {"beta_schedule": "linear", "beta_start": 0.0001, "beta_end": 0.02},
    "cosine": {"beta_schedule": "squaredcos_cap_v2"},
}
PREDICTIONS = {"epsilon": "epsilon", "v": "v_prediction"}
LEAST = 0.05  # what a time step counts with zero SNR, where its weight would be 0 and the first step never learned


def scheduler(params: TrainDiffusionParams) -> Any:
    """The noise schedule, as the sampler that is saved with the model."""
    return DDIMScheduler(
        num_train_timesteps=TIMES,
        prediction_type=PREDICTIONS[params.prediction],
        rescale_betas_zero_snr=params.zero_snr,
        timestep_spacing="trailing",
        steps_offset=1,
        clip_sample=False,
        **SCHEDULES[params.noise_schedule],
    )


def weights(shares: Tensor, prediction: str, gamma: float) -> Tensor:
    """Min-SNR weights (Hang et al. 2023, arXiv 2303.09556) of squared errors at times with these a_t.

    An error of the picture counts min(SNR, gamma). In terms of the noise it is SNR times smaller, and in terms of the
    velocity SNR + 1 times: w = min(SNR, gamma) / SNR, or / (SNR + 1). Gamma 0 is a weight of 1.
    """
    if not gamma:
        return torch.ones_like(shares)
    snr = shares / (1 - shares)
    if prediction == "epsilon":
        return (gamma / snr).clamp(max=1)
    return snr.clamp(max=gamma) / (snr + 1)


def stratified(place: Sequence[int], slot: int, count: int) -> int:
    """A time step of the `slot`-th of `count` equal parts: over a batch, times are spread evenly."""
    return min(TIMES - 1, int((slot + chance(*place, "time")) * TIMES / count))


class Denoising:
    """The loss of a batch, by its place in the training."""

    def __init__(
        self,
        params: TrainDiffusionParams,
        denoiser: Any,
        latents: Sequence[Tensor],
        conditions: Conditions,
        order: Order,
        training: Training,
    ) -> None:
        self.params, self.denoiser, self.latents = params, denoiser, latents
        self.conditions, self.order, self.training = conditions, order, training
        self.schedule = scheduler(params)

    def __call__(self, step: int, micro: int) -> dict[str, Tensor]:
        """The mean weighted squared error, the plain one, and the mean gate of integrators."""
        params, device = self.params, self.training.device
        number = step * params.accumulation + micro
        picks = self.order.batch(number)
        places = [(params.seed, number, slot) for slot in range(len(picks))]
        first, count = micro * len(picks), params.accumulation * len(picks)
        times = torch.tensor([stratified(place, first + place[2], count) for place in places])
        clean = torch.stack([self.latents[index] for index in picks])
        eps = torch.stack([noise(clean.shape[1:], *place, "noise") for place in places])
        noisy = self.schedule.add_noise(clean, eps, times)
        target = eps if params.prediction == "epsilon" else self.schedule.get_velocity(clean, eps, times)
        told = [self._told(index, place) for index, place in zip(picks, places, strict=True)]
        with self.training.autocast():
            output = self.denoiser(noisy.to(device), times.to(device), self.conditions.embeddings(told))
        error = (output.sample.float() - target.to(device)).square().mean((1, 2, 3))
        weight = weights(self.schedule.alphas_cumprod[times], params.prediction, params.min_snr_gamma)
        if params.zero_snr and params.min_snr_gamma:
            weight = weight + LEAST
        found = {"loss": (weight.to(device) * error).mean(), "mse": error.mean()}
        gate = getattr(output, "gate", None)
        return found if gate is None else {**found, "gate": gate}

    def _told(self, index: int, place: tuple[int, int, int]) -> int:
        """Which text: one of the picture's own, or the empty one (classifier-free guidance, Ho and Salimans 2022)."""
        if chance(*place, "dropout") < self.params.condition_dropout:
            return 0
        variants = self.conditions.variants[index]
        return variants[hashed(*place, "caption") % len(variants)]
