"""What can be set in each model; importable without torch, so that recipes are checked at once."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, PositiveInt

from handbone_cli import Options


class NnunetOptions(Options):
    """Options of nnunet; the number of stages is that of `features`."""

    features: tuple[PositiveInt, ...] = Field((32, 64, 128, 256, 512, 512), min_length=2)
    """Channels of each stage; each stage after the first halves height and width."""
    convs_per_stage: PositiveInt = 2
    """Convolutions of each stage, in the encoder and in the decoder."""
    norm: Literal["instance", "batch"] = "instance"
    """Normalisation after each convolution, by image or over the batch."""


class UnetOptions(Options):
    """Options of unet."""

    encoder: str = "efficientnet-b2"
    """An encoder of segmentation_models_pytorch, or `tu-NAME` for a model of timm."""
    pretrained: bool = False
    """Start the encoder from ImageNet weights, downloaded on first use."""
    decoder_channels: tuple[PositiveInt, ...] = Field(
        (256, 128, 64, 32, 16), min_length=5, max_length=5
    )
    """Channels of the decoder at strides 16, 8, 4, 2 and 1."""


class Deeplabv3PlusOptions(Options):
    """Options of deeplabv3plus."""

    encoder: str = "resnet50"
    """An encoder of segmentation_models_pytorch, or `tu-NAME` for a model of timm."""
    pretrained: bool = False
    """Start the encoder from ImageNet weights, downloaded on first use."""


class HrnetOptions(Options):
    """Options of hrnet."""

    width: Literal[18, 32, 48] = 48
    """Channels of the branch at stride 4; those at 8, 16 and 32 have 2, 4 and 8 times as many."""
    pretrained: bool = False
    """Start the backbone from ImageNet weights, downloaded on first use."""
