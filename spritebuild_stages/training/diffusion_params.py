"""What the train-diffusion stage can be told, and what of it cannot be meant; reads no file."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from spritebuild_stages.training.loop import SamplePrompt, TrainParams

BYTE_TOKENS = 514  # start, end, and every byte within and at the end of a word
Channels = Annotated[int, Field(ge=1, le=8192)]


class TrainDiffusionParams(TrainParams):
    """What the model is, what it is told, and what it learns."""

    batch: int = Field(32, ge=1, le=4096, description="Pictures that are computed together.")
    learning_rate: float = Field(1e-4, gt=0, le=10, description="The learning rate at its highest; 1.0 for prodigy.")
    betas: tuple[float, float] = Field((0.9, 0.99), description="The optimizer's decay of its two averages.")
    ema: float = Field(0.999, ge=0, lt=1, description="Decay of the running average that is the result; 0 is none.")

    architecture: Literal["unet", "inl-dit"] = Field(
        "unet", description="A UNet as in Stable Diffusion, or a transformer with integrator neurons."
    )
    channels: tuple[Channels, ...] = Field(
        (96, 192), min_length=1, max_length=8, description="unet: channels of each level, between which a grid halves."
    )
    layers: int = Field(1, ge=1, le=16, description="unet: residual blocks of each level.")
    heads: int = Field(4, ge=1, le=128, description="unet: attention heads of each level.")
    size: Literal["nano", "S", "B", "L", "XL", "XXL"] = Field("nano", description="inl-dit: its depth and width.")
    patch: int = Field(1, ge=1, le=16, description="inl-dit: the side of the squares of a latent that are one token.")
    mlp: Literal["swiglu", "gelu"] = Field("swiglu", description="inl-dit: the kind of its MLPs.")
    integrator: bool = Field(True, description="inl-dit: whether MLPs are followed by integrator neurons.")
    integrator_iterations: int = Field(
        2, ge=1, le=16, description="inl-dit: how often integrators refine; time is in proportion, whatever the gates."
    )

    conditioning: Literal["text", "labels"] = Field("text", description="Learn from captions, or from labels.")
    labels: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        ("class", "direction"), min_length=1, max_length=16, description="The labels of the dataset to learn from."
    )
    vocabulary: int = Field(
        2000,
        ge=BYTE_TOKENS,
        le=100_000,
        description="Tokens to learn from the captions, at most; not with text or init.",
    )
    text_width: int = Field(160, ge=1, le=8192, description="Width of a new text encoder or table of labels.")
    text_layers: int = Field(2, ge=1, le=48, description="Layers of a new text encoder.")
    text_heads: int = Field(4, ge=1, le=128, description="Attention heads of a new text encoder.")
    text_length: int = Field(24, ge=3, le=512, description="Tokens of a caption that a new text encoder reads.")
    train_text_encoder: bool = Field(
        True, description="Train a text encoder that is new or of init along; that of text is frozen."
    )

    prediction: Literal["epsilon", "v"] = Field(
        "v", description="What is predicted: the noise, or the velocity (Salimans and Ho 2022, arXiv 2202.00512)."
    )
    noise_schedule: Literal["scaled_linear", "linear", "cosine"] = Field(
        "scaled_linear", description="How noise grows: as in Stable Diffusion, DDPM or improved DDPM."
    )
    zero_snr: bool = Field(
        True, description="Whether the last time step is noise alone (Lin et al. 2023, arXiv 2305.08891)."
    )
    min_snr_gamma: float = Field(
        5.0, ge=0, le=1000, description="Weigh time steps by min(SNR, gamma) (Hang et al. 2023); 0 weighs all alike."
    )
    condition_dropout: float = Field(
        0.1, ge=0, lt=1, description="The share of pictures shown without a condition; without any, no guidance later."
    )

    sample_prompts: tuple[SamplePrompt, ...] = Field(
        (), max_length=16, description="Pictures to make meanwhile; by default of a few of the dataset's conditions."
    )
    sample_every: int | None = Field(None, ge=1, description="Steps between samples; at the end alone unless said.")
    sample_steps: int = Field(20, ge=1, le=1000, description="Sampling steps of the samples.")
    sample_guidance: float = Field(3.0, ge=0, le=50, description="The guidance of the samples.")
    save_dtype: Literal["fp32", "fp16"] = Field("fp16", description="The type of the numbers in the files.")

    @model_validator(mode="after")
    def _agree(self) -> TrainDiffusionParams:
        if self.zero_snr and self.prediction == "epsilon":
            raise ValueError("where all is noise, predicting it tells nothing: set zero_snr = false with epsilon")
        if self.sample_guidance > 1 and not self.condition_dropout:
            raise ValueError("a model trained without condition_dropout cannot be guided: set sample_guidance = 1")
        if uneven := [channels for channels in self.channels if channels % self.heads]:
            raise ValueError(f"{uneven[0]} channels cannot be divided among {self.heads} heads")
        if self.text_width % self.text_heads:
            raise ValueError(f"a text_width of {self.text_width} cannot be divided among {self.text_heads} heads")
        if len(set(self.labels)) < len(self.labels):
            raise ValueError("a label is named twice")
        return self

    @property
    def divisor(self) -> int:
        """What must divide the sides of the latents."""
        return 1 << (len(self.channels) - 1) if self.architecture == "unet" else self.patch
