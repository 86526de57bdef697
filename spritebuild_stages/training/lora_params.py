"""What the train-lora stage can be told, and what of it cannot be meant; reads no file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field, model_validator

from spritebuild_stages.training.loop import SamplePrompt, TrainParams

ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
TARGETS: Mapping[str, tuple[str, ...]] = {
    "attention": ATTENTION,
    "linear": (*ATTENTION, "ff.net.0.proj", "ff.net.2", "proj_in", "proj_out"),
    "all": (*ATTENTION, "ff.net.0.proj", "ff.net.2", "proj_in", "proj_out", "conv1", "conv2", "time_emb_proj"),
}


class TrainLoraParams(TrainParams):
    """What is learned, and how."""

    rank: int = Field(16, ge=1, le=1024, description="The rank of the change of each matrix.")
    alpha: float = Field(16.0, gt=0, le=10_000, description="The change is scaled by alpha / rank.")
    rslora: bool = Field(False, description="Scale by alpha / sqrt(rank) instead.")
    dora: bool = Field(False, description="Learn magnitude and direction apart (DoRA).")
    dropout: float = Field(0.0, ge=0, lt=1, description="The share of a LoRA's inputs that is dropped in training.")
    targets: Literal["attention", "linear", "all"] | tuple[str, ...] = Field(
        "attention", description="The modules to change: a set of them, or the ends of their names."
    )
    text_encoder: bool = Field(False, description="Change the text encoders as well.")
    min_snr_gamma: float | None = Field(
        None, gt=0, le=1000, description="Weigh time steps by min(SNR, gamma) (Hang et al. 2023, arXiv 2303.09556)."
    )
    noise_offset: float = Field(
        0.0, ge=0, le=1, description="Noise added to whole channels: learns darker and lighter."
    )
    caption_dropout: float = Field(0.0, ge=0, le=1, description="The share of captions that is left empty.")
    tag_shuffle: bool = Field(
        False, description="Put the parts of a caption between commas in another order each time."
    )
    keep_tags: int = Field(1, ge=0, description="How many of the first parts stay where they are when shuffled.")
    flip: bool = Field(False, description="Mirror half of the pictures left to right.")
    background: str = Field(
        "#ffffff", pattern=r"^#[0-9A-Fa-f]{6}$", description="The color behind pictures for a model without alpha."
    )
    sample_prompts: tuple[SamplePrompt, ...] = Field((), max_length=16, description="Pictures to make meanwhile.")
    sample_every: int | None = Field(None, ge=1, description="Steps between samples; at the end alone unless said.")
    sample_steps: int = Field(20, ge=1, le=1000, description="Sampling steps of the samples.")
    sample_guidance: float = Field(3.0, ge=0, le=50, description="The guidance of the samples.")
    save_every: int | None = Field(None, ge=1, description="Steps between LoRAs that are kept to be looked at.")
    save_dtype: Literal["fp32", "bf16", "fp16"] = Field("fp16", description="The type of the numbers in the files.")

    @model_validator(mode="after")
    def _agree(self) -> TrainLoraParams:
        if self.dora and self.rslora:
            raise ValueError("say dora or rslora, not both")
        return self
