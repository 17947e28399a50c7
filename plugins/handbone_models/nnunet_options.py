"""What can be set in nnU-Net's networks; importable without torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PositiveInt, ValidationInfo, field_validator

from handbone_cli import Options

DEFAULT_FEATURES = (32, 64, 128, 256, 512, 512)
"""Of runs whose recipe says neither `features` nor `plan`: their checkpoints rely on it."""


class NnunetResencOptions(Options):
    """Options of nnunet_resenc."""

    features: Annotated[tuple[PositiveInt, ...], Field(min_length=2)] | None = None
    """Channels of each stage, each at half the height and width; none: 32 64 128 256 512 512."""
    plan: bool = False
    """Stages that nnU-Net plans for `data.patch`, down to 4 px a side, in place of `features`."""
    norm: Literal["instance", "batch"] = "instance"
    """Normalisation after each convolution, by image or over the batch."""
    deep_supervision: bool = False
    """Train every resolution of the decoder but the lowest, at weights 1, 1/2, 1/4 ..."""

    @field_validator("plan")
    @classmethod
    def _no_features_beside(cls, plan: bool, info: ValidationInfo) -> bool:  # noqa: FBT001  pydantic's signature
        if plan and info.data.get("features") is not None:
            raise ValueError("makes the features itself, and `features` are given; leave one out")
        return plan


class NnunetOptions(NnunetResencOptions):
    """Options of nnunet."""

    convs_per_stage: PositiveInt = 2
    """Convolutions of each stage, in the encoder and in the decoder."""
