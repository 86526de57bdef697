"""What the train-vae stage can be told; reads no file."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from spritebuild_stages.training.loop import TrainParams

Weight = Annotated[float, Field(ge=0, le=1e6)]


class VaeLosses(BaseModel):
    """What each loss counts; 0 leaves it out. Errors, but for those of features, are in luma, chroma and alpha."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    direction: Weight = Field(0.0, description="Whether latents of one direction keep together and apart from others.")
    edges: Weight = Field(0.5, description="Absolute errors of the differences between neighboring pixels.")
    kl: Weight = Field(1e-3, description="How far latents are from a standard normal distribution, a number of them.")
    l1: Weight = Field(1.0, description="Absolute errors.")
    l2: Weight = Field(0.5, description="Squared errors.")
    mean: Weight = Field(1.0, description="Squared errors of means over 4x4 pixels, which tell hues early.")
    perceptual: Weight = Field(0.0, description="Squared errors in the features of the image model `features`.")


class TrainVaeParams(TrainParams):
    """How the autoencoder is built and trained."""

    batch: int = Field(16, ge=1, le=4096, description="Pictures that are computed together.")
    learning_rate: float = Field(1e-3, gt=0, le=10, description="The learning rate at its highest; 1.0 for prodigy.")
    schedule: Literal["constant", "cosine", "linear"] = Field(
        "cosine", description="How the learning rate falls after the warmup: not at all, or to zero at the end."
    )
    betas: tuple[float, float] = Field((0.9, 0.99), description="The optimizer's decay of its two averages.")
    weight_decay: float = Field(
        1e-4, ge=0, le=1, description="The share of the weights that decays a step, times rate."
    )
    precision: Literal["fp32", "bf16"] = Field(
        "fp32", description="The type that matrices are multiplied in; trained weights stay in fp32."
    )
    latent_channels: int = Field(16, ge=1, le=256, description="Numbers of a latent at each place of its grid.")
    channels: tuple[Annotated[int, Field(ge=1, le=4096)], ...] = Field(
        (24, 48, 96),
        min_length=1,
        max_length=8,
        description="Channels of each level; a grid halves from one to the next.",
    )
    layers: int = Field(1, ge=1, le=16, description="Residual blocks of each level.")
    attention: bool = Field(False, description="Whether places of the smallest grid attend to each other.")
    loss: VaeLosses = Field(VaeLosses(), description="What each loss counts.")
    freeze_encoder_at: float = Field(
        1.0, gt=0, le=1, description="The share of the steps after which the decoder alone is trained."
    )
    direction_label: str = Field("direction", min_length=1, description="The label that loss.direction goes by.")
    direction_margin: float = Field(
        1.0, gt=0, le=100, description="The distance between directions beyond which nothing is gained."
    )

    @property
    def factor(self) -> int:
        """Pixels of a side that become one place of the grid."""
        return 1 << (len(self.channels) - 1)
