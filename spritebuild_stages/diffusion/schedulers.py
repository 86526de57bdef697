"""Samplers by the names that people use, built from a model's own noise schedule; knows no pipeline."""

from __future__ import annotations

from typing import Any, Literal

from spritebuild.errors import UsageError

SchedulerName = Literal["ddim", "ddpm", "euler", "euler_a", "dpmpp_2m", "dpmpp_2m_sde", "unipc", "lcm"]

LCM_STEPS = 50  # the schedule that latent consistency models were distilled from; fewer are taken from it, never more

CLASSES: dict[SchedulerName, tuple[str, dict[str, Any]]] = {
    "ddim": ("DDIMScheduler", {}),
    "ddpm": ("DDPMScheduler", {}),
    "euler": ("EulerDiscreteScheduler", {}),
    "euler_a": ("EulerAncestralDiscreteScheduler", {}),
    "dpmpp_2m": ("DPMSolverMultistepScheduler", {"algorithm_type": "dpmsolver++", "solver_order": 2}),
    "dpmpp_2m_sde": ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++", "solver_order": 2}),
    "unipc": ("UniPCMultistepScheduler", {}),
    "lcm": ("LCMScheduler", {}),
}


def scheduler(name: SchedulerName, own: Any) -> Any:
    """A fresh scheduler for a model whose own one is `own`: same betas, prediction type, zero-SNR rescale and spacing.

    All eight take a v-prediction model with zero terminal SNR (Lin et al. 2023, arXiv 2305.08891): where a sampler
    divides by the signal's share, diffusers replaces the zero by 2^-24, that is sigma = 4096. Raises UsageError for a
    flow-matching model and a sampler other than euler: the others would integrate another equation.
    """
    import diffusers

    if type(own).__name__.startswith("FlowMatch"):
        if name != "euler":
            raise UsageError(
                f"scheduler {name} cannot sample a flow-matching model",
                facts=[("the model's own", type(own).__name__)],
                hint='set scheduler = "euler"',
            )
        return type(own).from_config(own.config)
    class_name, changes = CLASSES[name]
    config = dict(own.config)
    # Absent from models saved with other samplers, while ddim and ddpm default to clipping, which latents do not bear.
    config.setdefault("clip_sample", False)
    return getattr(diffusers, class_name).from_config(config, **changes)
